//! The view: the model as it looks.
//!
//! Owns [`view`]. Called by the shell after every change. Invariants: pure, and safe at any size,
//! down to a single cell; the terminal's own cursor stands where the next letter will be, as input
//! methods open their window there.

mod chat;
mod flow;
mod form;
mod overlay;
mod sessions;

use super::layout;
use super::layout::DIM;
use super::model::{Model, Screen, Tone};
use super::text::fit;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Line;

/// Paints the model.
pub(super) fn view(model: &Model, frame: &mut Frame<'_>) {
    if frame.area().is_empty() {
        return;
    }
    match model.screen {
        Screen::Form => form::paint(model, frame),
        Screen::Sessions => sessions::paint(model, frame),
        Screen::Chat => chat::paint(model, frame),
    }
    if let Some(overlay) = model.overlay {
        overlay::paint(model, overlay, frame);
    }
}

/// One line, cut to its area.
pub(super) fn line(frame: &mut Frame<'_>, area: Rect, text: &str, style: Style) {
    if !area.is_empty() {
        let text = fit(text, usize::from(area.width));
        frame.render_widget(Line::styled(text, style), area);
    }
}

/// Two texts on one line, at its ends; the left one gives way.
pub(super) fn ends(frame: &mut Frame<'_>, area: Rect, left: &str, right: &str, style: Style) {
    let wide = usize::from(area.width);
    let right = fit(right, wide);
    let taken = super::text::width(&right);
    let left = fit(left, wide.saturating_sub(taken + 1));
    let gap = " ".repeat(wide.saturating_sub(super::text::width(&left) + taken));
    line(frame, area, &format!("{left}{gap}{right}"), style);
}

/// What is to be said in passing.
fn banner(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    if let Some(banner) = &model.banner {
        let style = match banner.tone {
            Tone::Info => Style::new().fg(Color::Yellow),
            Tone::Error | Tone::Connection => layout::BAD,
        };
        line(frame, area, &banner.text, style);
    }
}

/// The first line of a screen.
fn header(model: &Model, frame: &mut Frame<'_>, area: Rect, title: &str) {
    let name = model
        .login
        .as_ref()
        .map(|login| super::text::clean_line(&login.name));
    let name = name
        .filter(|name| !name.is_empty())
        .map(|name| format!(" · {name}"));
    let left = format!("deepme{} · {title}", name.unwrap_or_default());
    ends(frame, area, &left, model.texts.help_hint, DIM);
}

/// Row `n` of an area, empty when it has none.
pub(super) fn row(area: Rect, n: u16) -> Rect {
    let y = area.y.saturating_add(n);
    let height = u16::from(n < area.height);
    Rect { y, height, ..area }
}
