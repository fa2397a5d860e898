//! Scrolling through the transcript.
//!
//! Owns the changes of [`Scroll`]. Called by the update. Invariant: the end of the transcript is
//! followed exactly when it is in view.

use super::super::chat::Scroll;
use super::super::layout;
use super::super::model::Model;

/// Moves the view by so many rows; up is negative.
pub(super) fn by(model: &mut Model, rows: i32) {
    let view = layout::screen(model).transcript;
    let Some(chat) = &model.chat else { return };
    let scroll = layout::moved(model, chat, view, rows);
    set(model, scroll);
}

/// Moves the view by pages; up is negative.
pub(super) fn pages(model: &mut Model, pages: i32) {
    let page = layout::screen(model)
        .transcript
        .height
        .saturating_sub(1)
        .max(1);
    by(model, pages * i32::from(page));
}

/// Goes to the end.
pub(super) fn to_end(model: &mut Model) {
    set(model, Scroll::Follow);
}

fn set(model: &mut Model, scroll: Scroll) {
    if let Some(chat) = &mut model.chat {
        chat.scroll = scroll;
        chat.unseen &= scroll != Scroll::Follow;
    }
}
