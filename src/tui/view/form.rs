//! The form.
//!
//! Owns how the form looks. Called by the view. Invariant: a password is shown as dots, one for
//! each grapheme; the field that is typed into is in view at any height.

use super::super::editor::Editor;
use super::super::form::{Field, Kind};
use super::super::layout::{BAD, BOLD, DIM, WARN};
use super::super::model::Model;
use super::super::text::{clean_line, fit, width, wrap};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use unicode_segmentation::UnicodeSegmentation as _;

const WIDEST: u16 = 52;

pub(super) fn paint(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let wide = WIDEST.min(area.width.saturating_sub(2).max(1));
    let (rows, cursor) = rows(model, usize::from(wide));
    let height = usize::from(area.height);
    // All of it in the middle, or as much as there is room for around the cursor.
    let top = area
        .height
        .saturating_sub(u16::try_from(rows.len()).unwrap_or(u16::MAX))
        / 2;
    let skip = (cursor.1 + 2)
        .saturating_sub(height)
        .min(rows.len().saturating_sub(height));
    let x = area.x + (area.width - wide) / 2;
    for (y, row) in (area.y + top..area.bottom()).zip(rows.into_iter().skip(skip)) {
        frame.render_widget(
            row,
            Rect {
                x,
                y,
                width: wide,
                height: 1,
            },
        );
    }
    let at = |offset: usize, from: u16| from + u16::try_from(offset).unwrap_or(0);
    let place = Position::new(
        at(cursor.0, x),
        at(cursor.1.saturating_sub(skip), area.y + top),
    );
    if area.contains(place) {
        frame.set_cursor_position(place);
    }
}

/// The rows, and the column and row of the cursor.
fn rows(model: &Model, wide: usize) -> (Vec<Line<'static>>, (usize, usize)) {
    let (form, texts) = (&model.form, model.texts);
    let (title, other) = match form.kind {
        Kind::LogIn => (texts.log_in, texts.to_register),
        Kind::Register => (texts.register, texts.to_log_in),
    };
    let mut rows = vec![Line::styled(fit(&format!("deepme · {title}"), wide), BOLD)];
    rows.push(Line::styled(fit(&model.host, wide), DIM));
    rows.extend(
        model
            .local
            .as_deref()
            .map(|local| text_row(local, wide, DIM)),
    );
    if let Some(why) = form.why {
        rows.extend(block(why, wide, WARN));
    }
    rows.push(Line::default());
    let mut cursor = (0, 0);
    for field in form.kind.fields().iter().copied() {
        let label = match (field, form.kind) {
            (Field::Name, _) => texts.name,
            (Field::Email, _) => texts.email,
            (Field::Password, Kind::Register) => texts.password_rule,
            (Field::Password, Kind::LogIn) => texts.password,
        };
        let focused = field == form.focus;
        rows.push(Line::styled(
            fit(label, wide),
            if focused { BOLD } else { DIM },
        ));
        let (shown, column) = value(form.field(field), field, wide);
        if focused {
            cursor = (column, rows.len());
        }
        let pad = " ".repeat(wide.saturating_sub(width(&shown)));
        let style = Style::new().add_modifier(Modifier::UNDERLINED);
        rows.push(Line::styled(format!("{shown}{pad}"), style));
        if let Some((Some(wrong), why)) = &form.wrong
            && *wrong == field
        {
            rows.extend(block(&format!("✕ {why}"), wide, BAD));
        }
    }
    rows.push(Line::default());
    match &form.wrong {
        Some((None, why)) => rows.extend(block(&format!("✕ {why}"), wide, BAD)),
        _ if form.busy => rows.push(Line::styled(fit(texts.one_moment, wide), WARN)),
        _ => {}
    }
    rows.push(Line::styled(fit(texts.form_keys, wide), DIM));
    rows.push(Line::styled(fit(other, wide), DIM));
    (rows, cursor)
}

fn text_row(text: &str, wide: usize, style: Style) -> Line<'static> {
    Line::styled(fit(&clean_line(text), wide), style)
}

fn block(text: &str, wide: usize, style: Style) -> impl Iterator<Item = Line<'static>> {
    let rows = wrap(text, wide);
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| text[row].trim_end().to_owned())
        .collect();
    rows.into_iter().map(move |row| Line::styled(row, style))
}

/// As much of a field as fits around the cursor, and the column of the cursor.
fn value(editor: &Editor, field: Field, wide: usize) -> (String, usize) {
    let dots = |text: &str| "•".repeat(text.graphemes(true).count());
    let (before, after) = editor.text().split_at(editor.cursor());
    let (before, after) = match field {
        Field::Password => (dots(before), dots(after)),
        Field::Name | Field::Email => (before.to_owned(), after.to_owned()),
    };
    // One cell stays for the cursor.
    let mut before = before.as_str();
    while width(before) + 1 > wide
        && let Some(first) = before.graphemes(true).next()
    {
        before = &before[first.len()..];
    }
    let column = width(before);
    let mut shown = before.to_owned();
    shown.push_str(&fit(&after, wide.saturating_sub(column)));
    (shown, column)
}
