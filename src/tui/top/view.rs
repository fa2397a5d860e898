//! The figures on the screen.
//!
//! Owns [`view`]. Called after everything that happens. Invariants: pure, and safe at any size; what does not fit is
//! said to be missing; the colours are those of the terminal's own palette, for dark and light ones.

use super::super::layout::{BAD, BOLD, DIM, WARN};
use super::super::text::{clean_line, width};
use super::super::view::{ends, line, row};
use super::Top;
use super::sections::{Row, Section, Tone, WIDE, header, sections, time};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::time::Duration;

/// Cells between two columns.
const GAP: usize = 2;
/// Most columns: there are no more sections than would fill them.
const MOST: usize = 4;
const KEYS: &str = "q quit · p pause";
const LEGEND: &str = "/s: between the last two readings";

/// Paints what is known.
pub(super) fn view(top: &Top, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let [first, second] = header(&top.figures);
    if_room(frame, row(area, 0), &first, &clean_line(&top.url), BOLD);
    match &top.trouble {
        Some((what, since)) => {
            let silent = top.heard.unwrap_or(*since).saturating_sub(*since);
            let text = trouble(what, silent);
            let style = style(Tone::Bad, top.colours);
            ends(frame, row(area, 1), &text, &pace(top), style);
        }
        None if top.heard.is_none() => line(frame, row(area, 1), "reading …", DIM),
        None => ends(frame, row(area, 1), &second, &pace(top), Style::new()),
    }
    let foot = u16::from(area.height > 3);
    let body = Rect {
        y: area.y.saturating_add(2),
        height: area.height.saturating_sub(2 + foot),
        ..area
    };
    columns(frame, body, sections(&top.figures), top.colours);
    if foot > 0 {
        if_room(frame, row(area, area.height - 1), KEYS, LEGEND, DIM);
    }
}

/// Two texts at the ends of a line; the right one only if there is room for both.
fn if_room(frame: &mut Frame<'_>, area: Rect, left: &str, right: &str, style: Style) {
    let room = width(left) + GAP + width(right) <= usize::from(area.width);
    ends(frame, area, left, if room { right } else { "" }, style);
}

fn trouble(what: &str, silent: Duration) -> String {
    let what = clean_line(what);
    if silent < Duration::from_secs(1) {
        what
    } else {
        format!("for {}: {what}", time(silent.as_secs_f64()))
    }
}

fn pace(top: &Top) -> String {
    if top.paused {
        "paused".to_owned()
    } else {
        format!("every {}", time(top.every.as_secs_f64()))
    }
}

/// Without colours there is none at all, for one that is switched off on its way to the terminal takes the bold
/// letters with it.
fn style(tone: Tone, colours: bool) -> Style {
    let style = match tone {
        Tone::Title => BOLD.add_modifier(Modifier::UNDERLINED),
        Tone::Plain => Style::new(),
        Tone::Aside => DIM,
        Tone::Warn => WARN.patch(BOLD),
        Tone::Bad => BAD.patch(BOLD),
    };
    Style {
        fg: style.fg.filter(|_| colours),
        ..style
    }
}

fn columns(frame: &mut Frame<'_>, area: Rect, sections: Vec<Section>, colours: bool) {
    let many = ((usize::from(area.width) + GAP) / (WIDE + GAP)).clamp(1, MOST);
    let (columns, missing) = arranged(sections, many, usize::from(area.height));
    let mut x = area.x;
    for column in columns {
        for (y, its) in (area.top()..area.bottom()).zip(column) {
            let wide = area.right().saturating_sub(x);
            let place = Rect {
                x,
                y,
                width: wide,
                height: 1,
            };
            if let Some(its) = its {
                line(frame, place, &its.text, style(its.tone, colours));
            }
        }
        x = x.saturating_add(u16::try_from(WIDE + GAP).unwrap_or(u16::MAX));
    }
    if missing > 0 && area.height > 0 {
        let text = format!("… {missing} rows more: a larger terminal, or --once");
        let style = style(Tone::Warn, colours);
        line(frame, row(area, area.height - 1), &text, style);
    }
}

/// Rows under each other; `None` is an empty one.
type Column = Vec<Option<Row>>;

/// The sections in this many columns, as low as they can be, and how many rows found no place.
fn arranged(sections: Vec<Section>, many: usize, height: usize) -> (Vec<Column>, usize) {
    for between in [1, 0] {
        let fits = |height| packed(&sections, many, height, between);
        if let Some(columns) = (1..=height).find_map(fits) {
            return (columns, 0);
        }
    }
    // Cut wherever a column ends, and at the bottom, where it is said.
    let rows: Column = sections.into_iter().flatten().map(Some).collect();
    let room = height.saturating_sub(1);
    let missing = rows.len().saturating_sub(room * many);
    let columns = rows.chunks(room.max(1)).take(many);
    (columns.map(<[_]>::to_vec).collect(), missing)
}

/// Whole sections, one after another; `None` when they do not fit.
fn packed(sections: &[Section], many: usize, height: usize, between: usize) -> Option<Vec<Column>> {
    let mut columns = vec![Column::new()];
    for section in sections {
        let last = columns.last_mut()?;
        let before = if last.is_empty() { 0 } else { between };
        if last.len() + before + section.len() <= height {
            last.extend(std::iter::repeat_n(None, before));
            last.extend(section.iter().cloned().map(Some));
        } else {
            columns.push(section.iter().cloned().map(Some).collect());
            if columns.len() > many || section.len() > height {
                return None;
            }
        }
    }
    Some(columns)
}
