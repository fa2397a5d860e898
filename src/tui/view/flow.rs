//! How a conversation felt, as a chart of letters.
//!
//! Owns the rows of the chart. Called by the overlay. Invariants: the newest steps are shown where not all fit; what
//! is only guessed weakly has another sign than what is known; and it says that it is guessed.

use super::super::layout::{BOLD, DIM};
use super::super::text::{width, wrap};
use super::super::texts::Texts;
use crate::wire::insight::{Direction, EmotionBody, FlowBody, FlowPointBody};
use ratatui::text::{Line, Span};
use std::fmt::Write as _;

/// Cells of a step.
const CELL: usize = 4;

/// The rows of the chart in so many cells.
pub(super) fn rows(flow: Option<&FlowBody>, texts: &Texts, wide: usize) -> Vec<Line<'static>> {
    let Some(flow) = flow else {
        return vec![Line::styled(texts.loading, DIM)];
    };
    if flow.points.iter().all(|point| point.emotion.is_none()) {
        return vec![Line::styled(texts.flow_none, DIM)];
    }
    let scale = [
        texts.very_good,
        texts.good,
        texts.so_so,
        texts.hard,
        texts.very_hard,
    ];
    let column = scale.iter().map(|name| width(name)).max().unwrap_or(0) + 1;
    let most = (wide.saturating_sub(column) / CELL).max(1);
    let points = &flow.points[flow.points.len().saturating_sub(most)..];
    let turn = |point: &FlowPointBody| {
        let turns = flow.turning_points.iter();
        let mut found = turns.filter(|turn| turn.step_id == point.step_id);
        found.next().map(|turn| turn.direction)
    };
    let row = |name: &str, signs: Vec<String>| {
        let gap = " ".repeat(column.saturating_sub(width(name)));
        let signs = signs.iter().fold(String::new(), |mut row, sign| {
            let _ = write!(row, "{sign:>CELL$}");
            row
        });
        Line::from(vec![
            Span::styled(format!("{name}{gap}"), DIM),
            Span::raw(signs),
        ])
    };
    let mut rows = Vec::new();
    let turns: Vec<String> = points
        .iter()
        .map(|point| arrow(turn(point)).to_owned())
        .collect();
    if turns.iter().any(|turn| !turn.is_empty()) {
        rows.push(row("", turns));
    }
    for (name, valence) in scale.into_iter().zip((-2..=2).rev()) {
        let signs = points.iter().map(|point| match point.emotion {
            Some(emotion) if emotion.valence == valence => sign(emotion).to_owned(),
            _ => "·".to_owned(),
        });
        rows.push(row(name, signs.collect()));
    }
    let orders = points.iter().map(|point| point.step_order.to_string());
    rows.push(row("", orders.collect()));
    rows.push(Line::raw(""));
    let mut told = String::new();
    for point in points {
        let Some(emotion) = point.emotion else {
            continue;
        };
        let between = if told.is_empty() { "" } else { " · " };
        let mut name = emotion.emotion_label.name(texts.language);
        if emotion.unsure {
            name = "?";
        }
        let _ = write!(
            told,
            "{between}{} {name}{}",
            point.step_order,
            arrow(turn(point))
        );
    }
    for range in wrap(&told, wide) {
        rows.push(Line::styled(told[range].trim_end().to_owned(), BOLD));
    }
    for range in wrap(texts.flow_note, wide) {
        rows.push(Line::styled(texts.flow_note[range].trim_end(), DIM));
    }
    rows
}

const fn arrow(turn: Option<Direction>) -> &'static str {
    match turn {
        Some(Direction::Better) => "↑",
        Some(Direction::Worse) => "↓",
        None => "",
    }
}

const fn sign(emotion: EmotionBody) -> &'static str {
    if emotion.unsure { "○" } else { "●" }
}
