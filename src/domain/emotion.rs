//! The emotion of a message: fifteen labels with Korean and English names, valence and arousal.
//!
//! Owns the closed list of labels and what is fixed about each. Made by the insight engine, stored
//! with a step, shown by every surface. Invariant: the order and the ids never change, since stored
//! steps, weights and clients name them; a [`Reading`] holds none of the person's words.

use super::prompt;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person seems to feel. A closed list in a fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emotion {
    /// Glad, delighted, excited, happily relieved.
    Joy,
    /// Proud, satisfied with oneself, brave.
    Confident,
    /// Motivated, inspired, hopeful, looking forward.
    Eager,
    /// Grateful, loving, touched, in love.
    Moved,
    /// At ease, relaxed, soothed.
    Calm,
    /// Dull, tedious, fed up with sameness.
    Bored,
    /// Exhausted, drained, listless.
    Tired,
    /// Neutral, matter of fact, small talk, questions of fact.
    Even,
    /// Lonely, left out, missing company.
    Lonely,
    /// Embarrassed, ashamed, guilty, regretful.
    Shame,
    /// Sad, hurt, grieving, longing for someone lost.
    Sad,
    /// Disappointed, discouraged, stuck.
    Frustrated,
    /// Torn, bewildered, not knowing what to do or feel.
    Confused,
    /// Worried, nervous, afraid.
    Anxious,
    /// Angry, irritated, resentful.
    Angry,
}

impl Emotion {
    /// Every label in its fixed order, which is also that of the weights.
    pub const ALL: [Self; 15] = [
        Self::Joy,
        Self::Confident,
        Self::Eager,
        Self::Moved,
        Self::Calm,
        Self::Bored,
        Self::Tired,
        Self::Even,
        Self::Lonely,
        Self::Shame,
        Self::Sad,
        Self::Frustrated,
        Self::Confused,
        Self::Anxious,
        Self::Angry,
    ];

    /// Id, Korean and English name, valence and arousal: the whole table.
    const fn row(self) -> (&'static str, &'static str, &'static str, i8, i8) {
        match self {
            Self::Joy => ("joy", "기쁨", "joyful", 2, 1),
            Self::Confident => ("confident", "자신", "confident", 1, 1),
            Self::Eager => ("eager", "열정", "eager", 1, 2),
            Self::Moved => ("moved", "감동", "moved", 2, 0),
            Self::Calm => ("calm", "편안", "calm", 1, -2),
            Self::Bored => ("bored", "심심", "bored", -1, -2),
            Self::Tired => ("tired", "피곤", "tired", -1, -2),
            Self::Even => ("even", "담담", "even", 0, -1),
            Self::Lonely => ("lonely", "고독", "lonely", -1, -1),
            Self::Shame => ("shame", "수치", "ashamed", -1, 0),
            Self::Sad => ("sad", "우울", "sad", -2, -1),
            Self::Frustrated => ("frustrated", "좌절", "frustrated", -1, 0),
            Self::Confused => ("confused", "혼란", "confused", 0, 1),
            Self::Anxious => ("anxious", "불안", "anxious", -1, 2),
            Self::Angry => ("angry", "분노", "angry", -2, 2),
        }
    }

    /// The id used on the wire, in the database and in training data.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The Korean name.
    pub const fn korean(self) -> &'static str {
        self.row().1
    }

    /// What people are told in English: how one feels, where the id may be a noun.
    pub const fn english(self) -> &'static str {
        self.row().2
    }

    /// What people are told in their language. Every surface says it so: the pictures, the cards, the terminal, the page.
    pub const fn name(self, language: prompt::Language) -> &'static str {
        match language {
            prompt::Language::Korean => self.korean(),
            prompt::Language::English => self.english(),
        }
    }

    /// How pleasant the label is in general, from -2 to 2. One message may differ: see
    /// [`Reading::valence`].
    pub const fn valence(self) -> i8 {
        self.row().3
    }

    /// How stirred up the label is, from -2 (slack) to 2 (agitated). It is fixed for a label: nothing
    /// is measured in the message.
    pub const fn arousal(self) -> i8 {
        self.row().4
    }

    /// The label of that id, or Korean or English name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|emotion| [emotion.as_str(), emotion.korean(), emotion.english()].contains(&name))
    }
}

impl fmt::Display for Emotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// In which language a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Korean.
    Korean,
    /// English.
    English,
}

impl Language {
    /// By script: Korean when there is any Hangul, else English.
    pub fn of(text: &str) -> Self {
        let hangul = |c: char| matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}');
        if text.chars().any(hangul) {
            Self::Korean
        } else {
            Self::English
        }
    }
}

/// What one message says about how the person feels. A guess by a small model, never a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reading {
    /// The likeliest label.
    pub first: Emotion,
    /// The next one, where it is nearly as likely or carries much of the rest.
    pub second: Option<Emotion>,
    /// How pleasant this message is, from -2 to 2.
    pub valence: i8,
    /// In per cent, 0 to 100: how often a person would name [`Reading::first`] among the two
    /// strongest feelings, for messages that the model is as sure about.
    pub confidence: u8,
    /// Whether the confidence is too low to show the label as if it were known.
    pub unsure: bool,
}

impl Reading {
    /// What is said of a message in which the model knows nothing.
    pub const UNKNOWN: Self = Self {
        first: Emotion::Even,
        second: None,
        valence: 0,
        confidence: 0,
        unsure: true,
    };

    /// The arousal of the first label, from -2 to 2.
    pub const fn arousal(&self) -> i8 {
        self.first.arousal()
    }

    /// As it is stored. Always of the same length: sealed, a text still shows how long it is.
    pub fn written(&self) -> String {
        let second = self.second.map_or("-", Emotion::as_str);
        let unsure = u8::from(self.unsure);
        format!(
            "{:10} {second:10} {:+} {:3} {unsure}",
            self.first, self.valence, self.confidence
        )
    }

    /// What was written so; `None` for anything else.
    pub fn parse(written: &str) -> Option<Self> {
        let mut parts = written.split_ascii_whitespace();
        let first = Emotion::parse(parts.next()?)?;
        let second = match parts.next()? {
            "-" => None,
            name => Some(Emotion::parse(name)?),
        };
        let valence = parts.next()?.parse().ok()?;
        let confidence = parts.next()?.parse().ok()?;
        let unsure = parts.next()? == "1";
        let valid = (-2..=2).contains(&valence) && confidence <= 100 && parts.next().is_none();
        valid.then_some(Self {
            first,
            second,
            valence,
            confidence,
            unsure,
        })
    }
}

/// What is shown of how a person felt in a step: what they say themselves, else the guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feeling {
    /// The label.
    pub label: Emotion,
    /// A second one that is nearly as likely; never beside what the person said.
    pub second: Option<Emotion>,
    /// How pleasant, from -2 to 2: of the message, or of the label that the person chose.
    pub valence: i8,
    /// How stirred up the label is, from -2 to 2.
    pub arousal: i8,
    /// Of a guess: see [`Reading::confidence`].
    pub confidence: Option<u8>,
    /// Whether the label must not be shown as if it were known.
    pub unsure: bool,
}

impl Feeling {
    /// The person's own word counts; `None` when there is neither it nor a guess.
    pub fn of(guess: Option<Reading>, correction: Option<Emotion>) -> Option<Self> {
        let corrected = correction.map(|label| Self {
            label,
            second: None,
            valence: label.valence(),
            arousal: label.arousal(),
            confidence: None,
            unsure: false,
        });
        corrected.or(guess.map(|guess| Self {
            label: guess.first,
            second: guess.second,
            valence: guess.valence,
            arousal: guess.arousal(),
            confidence: Some(guess.confidence),
            unsure: guess.unsure,
        }))
    }

    /// Whether the person said so themselves.
    pub const fn corrected(&self) -> bool {
        self.confidence.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_the_names_are_fixed() {
        let ids: Vec<&str> = Emotion::ALL.iter().map(|e| e.as_str()).collect();
        assert_eq!(
            ids.join(" "),
            "joy confident eager moved calm bored tired even lonely shame sad frustrated confused \
             anxious angry"
        );
        for (place, emotion) in Emotion::ALL.into_iter().enumerate() {
            assert_eq!(emotion as usize, place);
            assert_eq!(Emotion::parse(emotion.as_str()), Some(emotion));
            assert_eq!(Emotion::parse(emotion.korean()), Some(emotion));
            assert_eq!(Emotion::parse(emotion.english()), Some(emotion));
            assert_eq!(
                serde_json::to_string(&emotion).unwrap(),
                format!("\"{emotion}\"")
            );
            assert!((-2..=2).contains(&emotion.valence()));
            assert!((-2..=2).contains(&emotion.arousal()));
        }
        assert_eq!(Emotion::parse("Joy"), None);
        assert_eq!(format!("[{:>6}]", Emotion::Sad), "[   sad]");
    }

    #[test]
    fn the_document_has_the_same_table() {
        let document = include_str!("../../docs/emotion.md");
        for emotion in Emotion::ALL {
            let row = format!(
                "| `{emotion}` | {} | {} | {} | {} |",
                emotion.korean(),
                emotion.english(),
                emotion.valence(),
                emotion.arousal()
            );
            assert!(document.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_reading_is_written_at_one_length_and_read_again() {
        let mut lengths = std::collections::BTreeSet::new();
        for first in Emotion::ALL {
            for second in Emotion::ALL.map(Some).into_iter().chain([None]) {
                for (valence, confidence, unsure) in [(-2, 100, false), (0, 0, true), (2, 55, true)]
                {
                    let reading = Reading {
                        first,
                        second,
                        valence,
                        confidence,
                        unsure,
                    };
                    let written = reading.written();
                    lengths.insert(written.len());
                    assert_eq!(Reading::parse(&written), Some(reading), "{written}");
                }
            }
        }
        assert_eq!(lengths.len(), 1, "{lengths:?}");
        for wrong in [
            "",
            "sad",
            "sad - +3 50 0",
            "sad - +0 101 0",
            "glad - +0 50 0",
            "sad - +0 50 0 1",
        ] {
            assert_eq!(Reading::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_person_says_of_themselves_counts_more_than_a_guess() {
        let guess = Reading {
            first: Emotion::Sad,
            second: Some(Emotion::Lonely),
            valence: -1,
            confidence: 40,
            unsure: true,
        };
        assert_eq!(Feeling::of(None, None), None);
        let guessed = Feeling::of(Some(guess), None).unwrap();
        assert_eq!(
            (guessed.label, guessed.confidence),
            (Emotion::Sad, Some(40))
        );
        assert!(guessed.unsure && !guessed.corrected());
        let own = Feeling::of(Some(guess), Some(Emotion::Calm)).unwrap();
        assert_eq!(Feeling::of(None, Some(Emotion::Calm)), Some(own));
        assert_eq!((own.label, own.second), (Emotion::Calm, None));
        assert_eq!((own.valence, own.arousal), (1, -2));
        assert!(!own.unsure && own.corrected());
    }

    #[test]
    fn any_hangul_is_korean() {
        for (text, language) in [
            ("so sad", Language::English),
            ("나 sad", Language::Korean),
            ("ㅠㅠ", Language::Korean),
            ("\u{1112}\u{1161}", Language::Korean),
            ("", Language::English),
        ] {
            assert_eq!(Language::of(text), language, "{text}");
        }
    }
}
