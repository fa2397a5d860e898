//! A flow on a narrow screen: from top to bottom, a place a row, with what it is called beside it.
//!
//! Owns the layout for phones. Called by [`Chart`]. Invariants: a name stands in a column of its own, so that neither
//! another one nor the line lies across it; what is said of a turn has a row of its own; the picture is of bounded height.

use super::chart::{Chart, SCALE, say, text};
use super::lines::lines;
use std::fmt::Write as _;

const WIDTH: u32 = 300;
const MARGIN: f64 = 14.0;
/// Where the scale of time ends, and where the names begin.
const TICKS: f64 = 46.0;
const NAMES: f64 = 208.0;
/// Where a valence of 0 is, and pixels of a point of it.
const MIDDLE: f64 = 128.0;
const POINT: f64 = 30.0;
/// The first row, and pixels from one to the next.
const FIRST: f64 = 92.0;
const ROW: f64 = 27.0;
/// So many places have a row each; more are as near to each other as it takes.
const ROWS: usize = 40;
/// What a turn takes above its row.
const TURN: f64 = 24.0;
/// Rows that are nearer than that cannot both be named.
const LINE: f64 = 18.0;
/// Hundredths of an em that a line of the note may have, at 12 pixels an em.
const NOTE: u32 = (WIDTH - 28) * 100 / 12;

/// Where everything is.
struct Rows {
    /// From the top, place by place.
    y: Vec<f64>,
    /// Between two places.
    gap: f64,
    /// Each so-manieth is named.
    every: usize,
    end: f64,
}

fn counted(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

const fn across(valence: f64) -> f64 {
    valence * POINT + MIDDLE
}

impl Rows {
    fn of(chart: &Chart) -> Self {
        let places = chart.places.len();
        let crowded = places > ROWS;
        let gap = if crowded {
            ROW * counted(ROWS) / counted(places)
        } else {
            ROW
        };
        let mut every = 1;
        while counted(every) * gap < LINE {
            every += 1;
        }
        let mut next = FIRST;
        let mut end = FIRST;
        let y = chart.places.iter().map(|place| {
            if place.turn.is_some() && !crowded && next > FIRST {
                next += TURN;
            }
            end = next;
            next += gap;
            end
        });
        let y = y.collect();
        Self { y, gap, every, end }
    }

    fn is_crowded(&self) -> bool {
        self.y.len() > ROWS
    }
}

impl Chart {
    /// The picture for a narrow screen, and its size.
    pub(super) fn narrow(&self) -> ((u32, u32), String) {
        let rows = Rows::of(self);
        let mut out = String::new();
        text(&mut out, "head", (MARGIN, 30.0), self.title);
        let bottom = rows.end + 14.0;
        for (n, (valence, korean, english)) in SCALE.into_iter().enumerate() {
            let x = across(valence);
            // There is room for the ends and the middle.
            if n.is_multiple_of(2) {
                let name = say(self.language, korean, english);
                text(&mut out, "quiet mid", (x, 60.0), name);
            }
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"70\" y2=\"{bottom:.1}\"/>"
            );
        }
        if self.has_something() {
            let at = |n: usize, valence| (across(valence), rows.y[n]);
            self.line(&mut out, at);
            for n in 0..self.places.len() {
                self.row(&mut out, n, &rows);
            }
        } else {
            text(&mut out, "mid quiet", (across(0.0), 92.0), self.nothing());
        }
        let mut y = bottom + 8.0;
        // Each sentence begins a line.
        for line in self
            .note()
            .split_inclusive(". ")
            .flat_map(|sentence| lines(sentence, NOTE))
        {
            y += 18.0;
            text(&mut out, "quiet", (MARGIN, y), &line);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a height of a few thousand pixels"
        )]
        let height = (y + 16.0).ceil() as u32;
        ((WIDTH, height), out)
    }

    fn row(&self, out: &mut String, n: usize, rows: &Rows) {
        let (place, y) = (&self.places[n], rows.y[n]);
        if let Some(direction) = place.turn {
            let (class, words) = self.turned(direction, !rows.is_crowded());
            // Above the row, in the room that was left for it; among crowded rows on it, before its name.
            let (line, x) = if rows.is_crowded() {
                (y, NAMES - 12.0)
            } else {
                (y - TURN, NAMES)
            };
            let (from, to) = (across(-2.0) - 12.0, across(2.0) + 8.0);
            let _ = writeln!(
                out,
                "<line class=\"turn\" x1=\"{from}\" x2=\"{to}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/>"
            );
            text(out, class, (x, line + 5.0), words);
        }
        let is_named = n.is_multiple_of(rows.every);
        if is_named {
            text(out, "quiet end", (TICKS, y + 4.0), &place.tick);
        }
        let Some(dot) = place.dot else { return };
        dot.draw(out, (across(dot.valence), y), rows.gap);
        if dot.sure && is_named {
            text(out, "", (NAMES, y + 5.0), self.name(dot.label));
        }
    }
}
