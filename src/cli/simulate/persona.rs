//! The file of a scripted person.
//!
//! Owns [`Persona`]. Invariant: an unknown key is an error that names it.

use crate::domain::prompt::Language;
use crate::domain::user;
use serde::{Deserialize, Deserializer, de};

/// Somebody who says these lines, and what is expected of the answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Persona {
    /// What the person is called.
    pub(super) name: String,
    /// The language in which they are to be answered.
    #[serde(deserialize_with = "language")]
    pub(super) language: Language,
    /// Of every answer.
    #[serde(default)]
    pub(super) expect: Expect,
    /// The lines, in order.
    pub(super) say: Vec<Line>,
}

/// What is expected of every answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    /// Most questions in one answer.
    pub(super) questions: usize,
    /// Seconds to the first token at most.
    pub(super) first_token_seconds: f64,
    /// Seconds to the end at most.
    pub(super) answer_seconds: f64,
    /// What no answer says.
    pub(super) lacks: Vec<String>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            questions: 1,
            first_token_seconds: 10.0,
            answer_seconds: 60.0,
            lacks: Vec::new(),
        }
    }
}

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// The words.
    pub(super) text: String,
    /// Whether the safety frame is raised, or not; absent: either.
    pub(super) safety: Option<bool>,
    /// Most questions in this answer, where they are not those of every answer.
    pub(super) questions: Option<usize>,
    /// What the answer says, each of it.
    #[serde(default)]
    pub(super) contains: Vec<String>,
    /// What it does not say.
    #[serde(default)]
    pub(super) lacks: Vec<String>,
}

impl Persona {
    /// Reads the file.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let persona: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        user::name(&persona.name).map_err(|e| format!("name {}", e.message()))?;
        if persona.say.is_empty() || persona.say.iter().any(|line| line.text.trim().is_empty()) {
            return Err("needs at least one [[say]], each with a text".to_owned());
        }
        Ok(persona)
    }
}

fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Language, D::Error> {
    let code = String::deserialize(deserializer)?;
    Language::parse(&code).ok_or_else(|| de::Error::custom("must be \"ko\" or \"en\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_the_file_is_named() {
        let head = "name = \"지우\"\nlanguage = \"ko\"\n";
        let fine = format!("{head}[[say]]\ntext = \"안녕\"\n");
        let persona = Persona::parse(&fine).unwrap();
        assert_eq!((persona.expect.questions, persona.say.len()), (1, 1));
        for (slip, named) in [
            (format!("{fine}contain = []"), "contain"),
            (fine.replace("ko", "de"), "\"ko\" or \"en\""),
            (fine.replace("지우", " "), "name"),
            (fine.replace("안녕", " "), "[[say]]"),
            (format!("{head}say = []"), "[[say]]"),
            (format!("{head}[expect]\nquestion = 1"), "question"),
        ] {
            let refused = Persona::parse(&slip).unwrap_err();
            assert!(refused.contains(named), "{slip}: {refused}");
        }
    }
}
