//! The rows that one entry of a transcript takes.
//!
//! Owns what an entry looks like. Called by the layout only. Invariant: whatever came from outside
//! is cleaned here before it is shown, and no row is wider than asked for.

use super::super::chat::Chat;
use super::super::link::Link;
use super::super::model::Model;
use super::super::text::{clean, clean_line, fit, width, wrap};
use super::super::texts::Texts;
use super::super::transcript::{Entry, Phase};
use crate::domain::step::StepStatus;
use crate::wire::ws::Safety;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// For what is beside the point.
pub(in super::super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// For what stands out.
pub(in super::super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// For what went wrong.
pub(in super::super) const BAD: Style = Style::new().fg(Color::Red);
/// For what to be aware of.
pub(in super::super) const WARN: Style = Style::new().fg(Color::Yellow);
const PERSON: Style = Style::new().fg(Color::Cyan);
const URGENT: Style = BAD.add_modifier(Modifier::BOLD);

/// What stands before the answer.
const NAME: &str = "deepme";

/// The rows of an entry, with an empty one at the end.
pub(super) fn entry(model: &Model, chat: &Chat, index: usize, width: u16) -> Vec<Line<'static>> {
    let Some(entry) = chat.transcript.entries().get(index) else {
        return Vec::new();
    };
    let mut rows = Rows {
        width: usize::from(width).max(1),
        rows: Vec::new(),
    };
    rows.question(model, chat, entry);
    let pinned = chat
        .safety
        .as_ref()
        .is_some_and(|(_, key)| *key == Some(entry.key));
    if let Some(help) = entry.safety.as_ref().filter(|_| !pinned) {
        rows.rows.extend(safety(help, model.texts, rows.width));
    }
    for notice in &entry.notices {
        rows.left(&format!("· {}", model.texts.notice(notice)), DIM);
    }
    rows.answer(model, chat, entry);
    rows.rows.push(Line::default());
    rows.rows
}

/// The rows of help: whom to reach first, as they may be all that there is room for.
pub(in super::super) fn safety(help: &Safety, texts: &Texts, wide: usize) -> Vec<Line<'static>> {
    let mark = Span::styled("┃ ", URGENT);
    let wide = wide.saturating_sub(2).max(1);
    let mut rows = Vec::new();
    let mut add = |text: &str, style: Style| {
        for row in wrap(text, wide) {
            let text = text[row].trim_end().to_owned();
            rows.push(Line::from(vec![mark.clone(), Span::styled(text, style)]));
        }
    };
    add(texts.safety, URGENT);
    for resource in &help.resources {
        let (name, contact) = (clean_line(&resource.name), clean_line(&resource.contact));
        let note = resource
            .note
            .as_deref()
            .map(clean_line)
            .filter(|note| !note.is_empty());
        let note = note.map_or_else(String::new, |note| format!("  {note}"));
        add(&format!("{contact}  {name}{note}"), BOLD);
    }
    add(&clean(&help.message), Style::new());
    rows
}

struct Rows {
    width: usize,
    rows: Vec<Line<'static>>,
}

impl Rows {
    fn question(&mut self, model: &Model, chat: &Chat, entry: &Entry) {
        let Some(words) = &entry.words else { return };
        self.right(
            &format!("{} {}", model.texts.you, model.time(entry.at)),
            DIM,
        );
        self.right(&clean(words), PERSON);
        if entry.phase == Phase::Waiting {
            let open = matches!(chat.link, Link::Open(_)) && chat.hold_until.is_none();
            let state = if open || chat.sent {
                model.texts.sending
            } else {
                model.texts.send_later
            };
            self.right(state, WARN);
        }
    }

    fn answer(&mut self, model: &Model, chat: &Chat, entry: &Entry) {
        if entry.phase == Phase::Waiting {
            return;
        }
        let by = entry.model.as_deref().map(clean_line).unwrap_or_default();
        let name = if by.is_empty() {
            NAME.to_owned()
        } else {
            format!("{NAME} · {by}")
        };
        self.rows.push(Line::styled(fit(&name, self.width), DIM));
        let answer = clean(entry.answer.trim());
        if !answer.is_empty() {
            self.left(&answer, Style::new());
        }
        match entry.phase {
            Phase::Over(status) => {
                if let Some(mark) = model.texts.mark(status, entry.finish) {
                    let style = if status == StepStatus::Failed {
                        BAD
                    } else {
                        WARN
                    };
                    self.left(&format!("■ {mark}{}", why(model, entry)), style);
                }
            }
            _ if matches!(&chat.link, Link::Open(_)) => {
                let seconds = model.now.since(entry.begun).as_secs();
                self.left(&format!("▍ {} {seconds}s", model.texts.thinking), DIM);
            }
            _ => self.left(&format!("▍ {}", model.texts.cut_off), WARN),
        }
    }

    fn left(&mut self, text: &str, style: Style) {
        for row in wrap(text, self.width) {
            let text = fit(text[row].trim_end(), self.width);
            self.rows.push(Line::styled(text, style));
        }
    }

    /// A block at the right edge, four fifths of the width at most, its rows even at the left.
    fn right(&mut self, text: &str, style: Style) {
        let rows = wrap(text, (self.width * 4 / 5).max(2).min(self.width));
        let rows: Vec<_> = rows.into_iter().map(|row| text[row].trim_end()).collect();
        let widest = rows.iter().map(|row| width(row)).max().unwrap_or(0);
        let edge = " ".repeat(self.width.saturating_sub(widest));
        for row in rows {
            let text = Span::styled(fit(row, self.width), style);
            self.rows
                .push(Line::from(vec![Span::raw(edge.clone()), text]));
        }
    }
}

/// Why there is no answer.
fn why(model: &Model, entry: &Entry) -> String {
    entry.error.as_ref().map_or_else(String::new, |error| {
        let said = model
            .texts
            .error(&error.code, error.field.as_deref(), &error.message);
        format!(" · {said}")
    })
}
