//! The list of sessions.
//!
//! Owns how the list looks. Called by the view. Invariant: what is chosen is in view.

use super::super::layout::{DIM, WARN};
use super::super::model::{Model, short};
use super::super::text::{fit, width, wrap};
use super::super::update::{session_name, session_title};
use super::{banner, header, line, row};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

pub(super) fn paint(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let texts = model.texts;
    let wide = usize::from(area.width);
    let keys: Vec<_> = wrap(texts.sessions_keys, wide)
        .into_iter()
        .map(|row| texts.sessions_keys[row].trim_end())
        .collect();
    let has = |rows: u16, at: u16| if area.height >= at { rows } else { 0 };
    let top = has(2, 9) + has(0, 0);
    let foot = has(u16::try_from(keys.len()).unwrap_or(0), 9);
    let told = has(u16::from(model.banner.is_some()), 3);
    let list = Rect {
        y: area.y + top,
        height: area.height.saturating_sub(top + foot + told),
        ..area
    };
    if top > 0 {
        header(model, frame, row(area, 0), texts.sessions);
    }
    rows(model, frame, list);
    banner(
        model,
        frame,
        Rect {
            y: list.bottom(),
            height: told,
            ..area
        },
    );
    for (n, keys) in (list.bottom() + told..area.bottom()).zip(keys) {
        line(
            frame,
            Rect {
                y: n,
                height: 1,
                ..area
            },
            keys,
            DIM,
        );
    }
}

fn rows(model: &Model, frame: &mut Frame<'_>, list: Rect) {
    let texts = model.texts;
    let height = usize::from(list.height);
    let skip = (model.list.selected + 1).saturating_sub(height);
    let names = model.list.sessions.iter().flatten().map(|session| {
        let (name, state) = session_name(session, texts);
        let at = model.time(session.started_at);
        let id = session_title(session).map(|_| short(session.session_id));
        (
            name,
            format!("{}  {at}  {state}", id.unwrap_or_default()),
            session.ended_at.is_some(),
        )
    });
    let first = (texts.new_session.to_owned(), String::new(), false);
    let all = std::iter::once(first).chain(names).enumerate().skip(skip);
    for (y, (n, (name, state, ended))) in (list.top()..list.bottom()).zip(all) {
        let area = Rect {
            y,
            height: 1,
            ..list
        };
        let mut style = if ended { DIM } else { Style::new() };
        if n == model.list.selected {
            style = Style::new().add_modifier(Modifier::REVERSED);
            frame.set_cursor_position(Position::new(list.x, y));
        }
        entry(frame, area, &name, state.trim_start(), style);
    }
    let y = list
        .y
        .saturating_add(u16::try_from(model.list.len()).unwrap_or(u16::MAX));
    let below = Rect {
        y: y.saturating_add(1),
        height: 1,
        ..list
    };
    if below.bottom() <= list.bottom() {
        match &model.list.sessions {
            None => line(frame, below, texts.loading, WARN),
            Some(sessions) if sessions.is_empty() => line(frame, below, texts.no_sessions, DIM),
            Some(_) => {}
        }
    }
}

/// A name at the left and its state at the right; the state gives way.
fn entry(frame: &mut Frame<'_>, area: Rect, name: &str, state: &str, style: Style) {
    let wide = usize::from(area.width).saturating_sub(2);
    let least = width(name).min(wide / 2).min(24);
    let state = if width(state) + 2 + least > wide {
        ""
    } else {
        state
    };
    let name = fit(
        name,
        wide.saturating_sub(width(state) + usize::from(!state.is_empty()) * 2),
    );
    let gap = " ".repeat(wide.saturating_sub(width(&name) + width(state)));
    let text = fit(&format!(" {name}{gap}{state} "), usize::from(area.width));
    frame.render_widget(Line::styled(text, style), area);
}
