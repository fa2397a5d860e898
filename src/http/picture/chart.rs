//! A flow as a line: how pleasant, place by place.
//!
//! Owns [`Chart`], and how it is drawn where there is room; where there is not, [`super::narrow`] draws it. Called by the handlers of flows and trends. Invariant: what is only guessed weakly does not look
//! like what is known, and no meaning hangs on a colour alone. The safety tier is not drawn: a picture is shown
//! around.

use super::{Width, document, escaped};
use crate::domain::Timestamp;
use crate::domain::emotion::Emotion;
use crate::domain::prompt::Language;
use crate::wire::insight::{Direction, FlowBody, TrendBody};
use std::fmt::Write as _;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 344;
/// The plot: from where to where across, and where a valence of 0 is.
const LEFT: f64 = 100.0;
const RIGHT: f64 = 690.0;
const MIDDLE: f64 = 172.0;
/// Pixels of a point of valence.
const POINT: f64 = 50.0;
/// Places that a screen reader is told one by one.
const TOLD: usize = 40;

/// What a valence is called.
pub(super) const SCALE: [(f64, &str, &str); 5] = [
    (2.0, "아주 좋음", "very good"),
    (1.0, "좋음", "good"),
    (0.0, "보통", "even"),
    (-1.0, "힘듦", "hard"),
    (-2.0, "많이 힘듦", "very hard"),
];

/// A place of a chart.
pub(super) struct Place {
    /// What names it on the scale of time.
    pub(super) tick: String,
    pub(super) dot: Option<Dot>,
    pub(super) turn: Option<Direction>,
}

#[derive(Clone, Copy)]
pub(super) struct Dot {
    pub(super) label: Emotion,
    pub(super) valence: f64,
    pub(super) sure: bool,
}

/// A flow, ready to be drawn.
pub(in crate::http) struct Chart {
    pub(super) language: Language,
    pub(super) title: &'static str,
    pub(super) places: Vec<Place>,
    truncated: bool,
}

/// Picks by language.
pub(super) const fn say(
    language: Language,
    korean: &'static str,
    english: &'static str,
) -> &'static str {
    match language {
        Language::Korean => korean,
        Language::English => english,
    }
}

impl Chart {
    /// Of a conversation.
    pub(in crate::http) fn of_flow(flow: &FlowBody, language: Language) -> Self {
        let places = flow.points.iter().map(|point| {
            let turn = flow
                .turning_points
                .iter()
                .find(|turn| turn.step_id == point.step_id);
            Place {
                tick: point.step_order.to_string(),
                turn: turn.map(|turn| turn.direction),
                dot: point.emotion.map(|emotion| Dot {
                    label: emotion.emotion_label,
                    valence: f64::from(emotion.valence),
                    sure: !emotion.unsure,
                }),
            }
        });
        Self {
            language,
            title: say(
                language,
                "이 대화의 마음 흐름",
                "How this conversation felt",
            ),
            places: places.collect(),
            truncated: flow.truncated,
        }
    }

    /// Of many conversations. Their days are those of `east` minutes east of UTC.
    pub(in crate::http) fn of_trend(trend: &TrendBody, language: Language, east: i16) -> Self {
        let places = trend.points.iter().map(|point| {
            let turn = trend
                .turning_points
                .iter()
                .find(|turn| turn.session_id == point.session_id);
            let known = point.emotion_label.zip(point.valence);
            Place {
                tick: day(point.at, east),
                turn: turn.map(|turn| turn.direction),
                dot: known.map(|(label, valence)| Dot {
                    label,
                    valence,
                    sure: true,
                }),
            }
        });
        Self {
            language,
            title: say(
                language,
                "그동안의 마음 흐름",
                "How your conversations felt",
            ),
            places: places.collect(),
            truncated: trend.truncated,
        }
    }

    /// The picture.
    pub(in crate::http) fn draw(&self, width: Width) -> String {
        let (size, inside) = match width {
            Width::Wide => self.wide(),
            Width::Narrow => self.narrow(),
        };
        let lang = self.language.as_str();
        document(size, lang, self.title, &self.told(), &inside)
    }

    fn wide(&self) -> ((u32, u32), String) {
        let mut inside = String::new();
        self.frame(&mut inside);
        if self.has_something() {
            let at = |n, valence| (self.across(n), height(valence));
            self.line(&mut inside, at);
            for (n, place) in self.places.iter().enumerate() {
                self.place(&mut inside, n, place);
            }
        } else {
            let x = f64::midpoint(LEFT, RIGHT);
            text(&mut inside, "mid quiet", (x, MIDDLE - 8.0), self.nothing());
        }
        ((WIDTH, HEIGHT), inside)
    }

    /// Whether there is anything to draw.
    pub(super) fn has_something(&self) -> bool {
        self.places.iter().any(|place| place.dot.is_some())
    }

    /// What is said where there is not.
    pub(super) const fn nothing(&self) -> &'static str {
        say(
            self.language,
            "아직 보여 줄 것이 없어요",
            "There is nothing to show yet",
        )
    }

    /// The title, the scale and what is to be known of all of it.
    fn frame(&self, out: &mut String) {
        text(out, "head", (24.0, 28.0), self.title);
        for (valence, korean, english) in SCALE {
            let y = height(valence);
            let name = say(self.language, korean, english);
            text(out, "quiet end", (LEFT - 14.0, y + 4.0), name);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\"/>"
            );
        }
        text(out, "quiet", (24.0, 332.0), &self.note());
    }

    /// What is to be known of all of it.
    pub(super) fn note(&self) -> String {
        let mut note = say(
            self.language,
            "쓴 글에서 짐작한 것이고, 진단이 아니에요.",
            "Guessed from what was written; not a diagnosis.",
        )
        .to_owned();
        if self
            .places
            .iter()
            .any(|place| place.dot.is_some_and(|dot| !dot.sure))
        {
            note.push_str(say(
                self.language,
                " 빈 점은 확실하지 않은 짐작이에요.",
                " A hollow dot is a guess that is not sure.",
            ));
        }
        if self.truncated {
            note.push_str(say(
                self.language,
                " 더 오래된 것은 빠져 있어요.",
                " What is older is left out.",
            ));
        }
        note
    }

    /// Through what is known, but not across what nothing is known of. `at` is where a valence of a place is.
    pub(super) fn line(&self, out: &mut String, at: impl Fn(usize, f64) -> (f64, f64)) {
        let mut path = String::new();
        let mut pen_down = false;
        for (n, place) in self.places.iter().enumerate() {
            match place.dot {
                None => pen_down = false,
                Some(dot) if dot.sure => {
                    let step = if pen_down { 'L' } else { 'M' };
                    let (x, y) = at(n, dot.valence);
                    let _ = write!(path, "{step}{x:.1} {y:.1}");
                    pen_down = true;
                }
                Some(_) => {}
            }
        }
        if !path.is_empty() {
            let _ = writeln!(out, "<path class=\"line\" d=\"{path}\"/>");
        }
    }

    fn place(&self, out: &mut String, n: usize, place: &Place) {
        let x = self.across(n);
        if let Some(direction) = place.turn {
            let _ = writeln!(
                out,
                "<line class=\"turn\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"56\" y2=\"284\"/>"
            );
            let (class, words) = self.turned(direction, self.has_room_for_words(n));
            let class = format!("{class} mid");
            text(out, &class, (x.min(RIGHT - 24.0), 48.0), words);
        }
        if self.is_ticked(n) {
            text(out, "quiet mid", (x, 306.0), &place.tick);
        }
        let Some(dot) = place.dot else { return };
        let y = height(dot.valence);
        dot.draw(out, (x, y), self.gap());
        if dot.sure && self.is_named(n) {
            let y = if dot.valence < 0.0 {
                y + 21.0
            } else {
                y - 12.0
            };
            text(out, "mid", (x, y), self.name(dot.label));
        }
    }

    /// How a turn looks, and what is said of it.
    pub(super) const fn turned(
        &self,
        to: Direction,
        at_length: bool,
    ) -> (&'static str, &'static str) {
        let (class, arrow, korean, english) = match to {
            Direction::Better => ("up", "↑", "↑ 나아짐", "↑ better"),
            Direction::Worse => ("down", "↓", "↓ 힘들어짐", "↓ harder"),
        };
        let words = say(self.language, korean, english);
        (class, if at_length { words } else { arrow })
    }

    pub(super) const fn name(&self, label: Emotion) -> &'static str {
        label.name(self.language)
    }

    /// Pixels between two places.
    fn gap(&self) -> f64 {
        let gaps = u32::try_from(self.places.len().saturating_sub(1)).unwrap_or(u32::MAX);
        (RIGHT - LEFT - 40.0) / f64::from(gaps.max(1))
    }

    fn across(&self, n: usize) -> f64 {
        let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        if self.places.len() == 1 {
            f64::midpoint(LEFT, RIGHT)
        } else {
            n.mul_add(self.gap(), LEFT + 20.0)
        }
    }

    /// Whether there is room for the label of this place: for every one, else for the ends and the turns.
    fn is_named(&self, n: usize) -> bool {
        let most = match self.language {
            Language::Korean => 14,
            Language::English => 8,
        };
        let last = self.places.len().saturating_sub(1);
        let turns = self.places.get(n).is_some_and(|place| place.turn.is_some());
        self.places.len() <= most || n == 0 || n == last || turns
    }

    /// Whether no other turn is so near that its words would lie across those of this one.
    fn has_room_for_words(&self, n: usize) -> bool {
        let turns = self.places.iter().enumerate();
        let mut others = turns.filter(|(other, place)| *other != n && place.turn.is_some());
        !others.any(|(other, _)| (self.across(other) - self.across(n)).abs() < 84.0)
    }

    /// About a dozen places are named below.
    fn is_ticked(&self, n: usize) -> bool {
        n.is_multiple_of(self.places.len().div_ceil(12).max(1))
    }

    /// The same in words.
    fn told(&self) -> String {
        let mut told = String::new();
        let skipped = self.places.len().saturating_sub(TOLD);
        if skipped > 0 {
            let _ = match self.language {
                Language::Korean => write!(told, "마지막 {TOLD}개만 읽어요. "),
                Language::English => write!(told, "The last {TOLD} of {}. ", self.places.len()),
            };
        }
        for place in self.places.iter().skip(skipped) {
            let label = match place.dot {
                None => say(self.language, "알 수 없음", "not known"),
                Some(dot) if dot.sure => self.name(dot.label),
                Some(_) => say(self.language, "확실하지 않음", "not sure"),
            };
            let turn = match place.turn {
                None => "",
                Some(Direction::Better) => say(
                    self.language,
                    " (여기서부터 나아짐)",
                    " (better from here on)",
                ),
                Some(Direction::Worse) => say(
                    self.language,
                    " (여기서부터 힘들어짐)",
                    " (harder from here on)",
                ),
            };
            let _ = write!(told, "{}: {label}{turn}. ", place.tick);
        }
        told.trim_end().to_owned()
    }
}

impl Dot {
    /// A round one, which is hollow where the guess is unsure; the smaller the nearer the next one is.
    pub(super) fn draw(self, out: &mut String, (x, y): (f64, f64), gap: f64) {
        let (class, radius) = if self.sure {
            ("dot", 5.0)
        } else {
            ("maybe", 4.0)
        };
        let room = (gap / 3.0).clamp(1.2, radius);
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{room:.1}\"/>"
        );
    }
}

/// Month and day, so many minutes east of UTC.
fn day(at: Timestamp, east: i16) -> String {
    let there = at.as_micros() + i64::from(east) * 60_000_000;
    let there = Timestamp::from_micros(there).to_string();
    there.get(5..10).unwrap_or_default().to_owned()
}

fn height(valence: f64) -> f64 {
    valence.mul_add(-POINT, MIDDLE)
}

pub(super) fn text(out: &mut String, class: &str, (x, y): (f64, f64), text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}
