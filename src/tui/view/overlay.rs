//! What lies over the screen.
//!
//! Owns the help, the flow and the question before a session is ended. Called by the view. Invariant: never
//! larger than the screen, and always says how to leave.

use super::super::layout::{BOLD, DIM};
use super::super::model::{Model, Overlay};
use super::super::text::{fit, width, wrap};
use super::flow;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

const WIDEST: u16 = 56;

pub(super) fn paint(model: &Model, overlay: Overlay, frame: &mut Frame<'_>) {
    let texts = model.texts;
    let screen = frame.area();
    let wide = usize::from(WIDEST.min(screen.width).saturating_sub(4)).max(1);
    let (title, rows, foot) = match overlay {
        Overlay::Help => {
            let column = texts.keys().map(|(key, _)| width(key)).max().unwrap_or(0);
            let rows = texts.keys().map(|(key, what)| {
                let gap = " ".repeat(column.saturating_sub(width(key)) + 2);
                let what = fit(what, wide.saturating_sub(column + 2));
                Line::from(vec![
                    Span::styled(fit(key, wide), BOLD),
                    Span::raw(gap + &what),
                ])
            });
            (texts.help, rows.collect(), texts.close_hint)
        }
        Overlay::Flow(_) => {
            let rows = flow::rows(model.flow.as_ref(), texts, wide);
            (texts.flow, rows, texts.close_hint)
        }
        Overlay::End(_) => {
            let rows = wrap(texts.ask_end, wide).into_iter();
            let rows = rows.map(|row| Line::raw(texts.ask_end[row].trim_end()));
            ("deepme", rows.collect::<Vec<_>>(), texts.ask_end_keys)
        }
    };
    let height = u16::try_from(rows.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let area = middle(screen, WIDEST, height);
    // A wide letter that begins before the box would cover its edge.
    let before = area.x - area.x.saturating_sub(1);
    let cleared = Rect {
        x: area.x - before,
        width: area.width + before,
        ..area
    };
    frame.render_widget(Clear, cleared);
    let foot = fit(foot, wide);
    let block = Block::bordered()
        .title(Line::styled(format!(" {title} "), BOLD))
        .title_bottom(Line::styled(format!(" {foot} "), DIM).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let left = inner.x.saturating_add(1);
    for (y, text) in (inner.top()..inner.bottom()).zip(rows) {
        let width = inner.right().saturating_sub(left + 1);
        frame.render_widget(
            text,
            Rect {
                x: left,
                y,
                width,
                height: 1,
            },
        );
    }
}

fn middle(screen: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}
