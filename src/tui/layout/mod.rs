//! Where the parts of a conversation lie, and the rows that a transcript takes.
//!
//! Owns [`Areas`] and the rows of entries. Called by the view to paint and by the update to scroll,
//! so that both mean the same rows. Invariants: only as many entries are laid out as are in view;
//! every area lies within the screen, however small that is.

mod rows;

use super::chat::{Chat, Scroll};
use super::model::Model;
use super::text;
use ratatui::layout::Rect;
use ratatui::text::Line;

pub(super) use rows::{BAD, BOLD, DIM, WARN, safety};

/// The parts of the screen of a conversation, from top to bottom. What has no height is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) header: Rect,
    pub(super) transcript: Rect,
    pub(super) safety: Rect,
    pub(super) banner: Rect,
    pub(super) rule: Rect,
    pub(super) input: Rect,
    pub(super) status: Rect,
}

/// The parts on the screen as it is.
pub(super) fn screen(model: &Model) -> Areas {
    areas(model, Rect::new(0, 0, model.size.0, model.size.1))
}

/// The parts within an area. The input, the help in need and one row of the transcript come first
/// when there is not enough for all.
pub(super) fn areas(model: &Model, area: Rect) -> Areas {
    let height = area.height;
    let chat = model.chat.as_ref();
    let mut left = height;
    let mut take = |wanted: u16| {
        let taken = wanted.min(left);
        left -= taken;
        taken
    };
    let lines = chat.map_or(1, |chat| {
        text::wrap(chat.editor.text(), usize::from(input_width(area))).len()
    });
    let lines = u16::try_from(lines)
        .unwrap_or(u16::MAX)
        .min((height / 3).clamp(1, 8));
    let input = take(lines);
    let status = take(u16::from(height >= 5));
    let transcript = take(1);
    let help = chat
        .and_then(|chat| chat.safety.as_ref())
        .map_or(0, |(help, _)| {
            let rows = safety(help, model.texts, usize::from(area.width)).len();
            u16::try_from(rows)
                .unwrap_or(u16::MAX)
                .min((height / 2).max(1))
        });
    let safety = take(help);
    let banner = take(u16::from(model.banner.is_some()));
    let rule = take(u16::from(height >= 8));
    let header = take(u16::from(height >= 10));
    let transcript = transcript + left;
    let mut y = area.y;
    let mut place = |height: u16| {
        let rect = Rect { y, height, ..area };
        y += height;
        rect
    };
    Areas {
        header: place(header),
        transcript: place(transcript),
        safety: place(safety),
        banner: place(banner),
        rule: place(rule),
        input: place(input),
        status: place(status),
    }
}

/// The cells of a row of the input: one is for the mark before it, one for the cursor behind it.
pub(super) const fn input_width(area: Rect) -> u16 {
    let width = area.width.saturating_sub(3);
    if width == 0 { 1 } else { width }
}

/// The rows of the transcript that are in view.
pub(super) fn window(model: &Model, chat: &Chat, view: Rect) -> Vec<Line<'static>> {
    let height = usize::from(view.height);
    let from = |first, skip| -> Vec<_> {
        let mut got = 0;
        (first..chat.transcript.entries().len())
            .map_while(|index| {
                (got < skip + height).then(|| {
                    let rows = rows::entry(model, chat, index, view.width);
                    got += rows.len();
                    rows
                })
            })
            .flatten()
            .skip(skip)
            .take(height)
            .collect()
    };
    let rows = anchor(chat).map_or_else(Vec::new, |(first, skip)| from(first, skip));
    if rows.len() == height {
        return rows;
    }
    let (first, skip) = from_end(model, chat, view);
    from(first, skip)
}

/// Where the view is after it has been moved by so many rows; up is negative.
pub(super) fn moved(model: &Model, chat: &Chat, view: Rect, by: i32) -> Scroll {
    let entries = chat.transcript.entries();
    let rows = |index| rows::entry(model, chat, index, view.width).len();
    let (mut index, mut row) = anchor(chat).unwrap_or_else(|| from_end(model, chat, view));
    let mut left = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    if by < 0 {
        while left > row && index > 0 {
            left -= row;
            index -= 1;
            row = rows(index);
        }
        row = row.saturating_sub(left);
    } else {
        row += left;
        while index < entries.len() && row >= rows(index) {
            row -= rows(index);
            index += 1;
        }
    }
    let mut below = 0;
    let reach = row + usize::from(view.height);
    let more = (index..entries.len()).any(|index| {
        below += rows(index);
        below > reach
    });
    match entries.get(index) {
        Some(entry) if more => Scroll::At(entry.key, row),
        _ => Scroll::Follow,
    }
}

/// The entry and the row of it that the view begins with, unless it follows the end.
fn anchor(chat: &Chat) -> Option<(usize, usize)> {
    let Scroll::At(key, row) = chat.scroll else {
        return None;
    };
    let index = chat
        .transcript
        .entries()
        .iter()
        .position(|entry| entry.key == key)?;
    Some((index, row))
}

/// The entry and the row of it that the view begins with when the end is in view.
fn from_end(model: &Model, chat: &Chat, view: Rect) -> (usize, usize) {
    let height = usize::from(view.height);
    let mut above = 0;
    (0..chat.transcript.entries().len())
        .rev()
        .find_map(|index| {
            above += rows::entry(model, chat, index, view.width).len();
            above.checked_sub(height).map(|skip| (index, skip))
        })
        .unwrap_or((0, 0))
}
