//! The conversation.
//!
//! Owns how a conversation looks: transcript, help, input and status. Called by the view.
//! Invariants: help in need is never behind anything; what is typed is in view where the cursor is.

use super::super::chat::{Chat, Scroll};
use super::super::layout::{self, Areas, BAD, BOLD, DIM, WARN};
use super::super::link::Link;
use super::super::model::{Model, short};
use super::super::text::{clean_line, width, wrap};
use super::{banner, header, line, row};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use std::time::Duration;

pub(super) fn paint(model: &Model, frame: &mut Frame<'_>) {
    let Some(chat) = &model.chat else { return };
    let areas = layout::areas(model, frame.area());
    let texts = model.texts;
    let title = match (&chat.title, chat.session_id) {
        (Some(title), _) => title.clone(),
        (None, Some(session_id)) => short(session_id),
        (None, None) => texts.new_session.to_owned(),
    };
    header(model, frame, areas.header, &title);
    transcript(model, chat, frame, areas.transcript);
    help(model, chat, frame, areas.safety);
    banner(model, frame, areas.banner);
    rule(model, chat, frame, areas.rule);
    input(model, chat, frame, areas);
    status(model, chat, frame, areas.status);
}

fn transcript(model: &Model, chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    let rows = layout::window(model, chat, area);
    if rows.is_empty() {
        let text = if chat.loading {
            model.texts.loading
        } else {
            model.texts.begin
        };
        line(frame, row(area, area.height / 2), text, DIM);
    }
    // A short conversation stands at the bottom, by the input.
    let top = area
        .height
        .saturating_sub(u16::try_from(rows.len()).unwrap_or(u16::MAX));
    for (n, text) in (top..area.height).zip(rows) {
        frame.render_widget(text, row(area, n));
    }
}

fn help(model: &Model, chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    if let Some((help, _)) = &chat.safety {
        let rows = layout::safety(help, model.texts, usize::from(area.width));
        for (n, text) in (0..area.height).zip(rows) {
            frame.render_widget(text, row(area, n));
        }
    }
}

/// The line above the input, with what is out of view below.
fn rule(model: &Model, chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    let mark = if chat.unseen {
        format!(" {} ", model.texts.new_below)
    } else if chat.scroll == Scroll::Follow {
        String::new()
    } else {
        " ↓ ".to_owned()
    };
    let rest = usize::from(area.width).saturating_sub(width(&mark) + 2);
    let text = format!("{}{mark}──", "─".repeat(rest));
    line(frame, area, &text, if chat.unseen { WARN } else { DIM });
}

fn input(model: &Model, chat: &Chat, frame: &mut Frame<'_>, areas: Areas) {
    let area = areas.input;
    if area.is_empty() {
        return;
    }
    if chat.ended {
        return line(frame, row(area, 0), model.texts.read_only, DIM);
    }
    let wide = usize::from(layout::input_width(area));
    let (cursor_row, column) = chat.editor.cell(wide);
    let skip = (cursor_row + 1).saturating_sub(usize::from(area.height));
    let text = chat.editor.text();
    for (n, range) in (0..area.height).zip(wrap(text, wide).into_iter().skip(skip)) {
        let mark = if n == 0 && skip == 0 { "> " } else { "  " };
        let typed = Span::raw(text[range].to_owned());
        let typed = if text.is_empty() {
            Span::styled(model.texts.write_here, DIM)
        } else {
            typed
        };
        frame.render_widget(
            Line::from(vec![Span::styled(mark, BOLD), typed]),
            row(area, n),
        );
    }
    let to = |from: u16, by: usize| from.saturating_add(u16::try_from(by).unwrap_or(u16::MAX));
    let place = Position::new(to(area.x, column + 2), to(area.y, cursor_row - skip));
    if area.contains(place) {
        frame.set_cursor_position(place);
    }
}

/// The last line. When there is not room for all, what is said last gives way first.
fn status(model: &Model, chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    let texts = model.texts;
    let (sign, state, style) = match &chat.link {
        Link::Open(_) => ("●", texts.link_open, Style::new().fg(Color::Green)),
        Link::Connecting { again: true, .. } => ("◌", texts.link_reconnecting, WARN),
        Link::Connecting { .. } => ("◌", texts.link_connecting, WARN),
        Link::Off if chat.ended => ("○", texts.session_ended, DIM),
        Link::Off => ("○", texts.link_off, BAD),
    };
    let mut parts = Vec::new();
    parts.extend(chat.session_id.filter(|_| chat.title.is_some()).map(short));
    if let Some(last) = &chat.last {
        parts.extend(last.model.as_deref().map(clean_line));
        parts.extend(
            last.first
                .map(|first| format!("{} {}", texts.first_token, seconds(first))),
        );
        parts.push(format!("{} {}", texts.total, seconds(last.total)));
        parts.push(match last.tokens {
            Some(tokens) => format!("{tokens} {}", texts.tokens),
            None => format!("{} {}", last.chars, texts.chars),
        });
    }
    parts.extend(model.local.as_deref().map(clean_line));
    let mut text = String::new();
    let wide = usize::from(area.width).saturating_sub(width(sign) + 1 + width(state));
    for part in parts {
        let more = format!(" · {part}");
        if width(&text) + width(&more) <= wide {
            text.push_str(&more);
        }
    }
    let spans = vec![
        Span::styled(format!("{sign} {state}"), style),
        Span::styled(text, DIM),
    ];
    if !area.is_empty() {
        frame.render_widget(Line::from(spans), area);
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{:.1}s", time.as_secs_f64())
    }
}
