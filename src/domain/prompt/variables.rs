//! Variables in the server's own prompts: `{{name}}`, `{{date}}`, `{{language}}`.
//!
//! Owns how they are checked when a prompt is saved and expanded when it is told. Called by the use-cases.
//! Pure. Invariants: what is expanded is expanded once, so that a value brings no variable along; a value is on
//! one line, short, and without braces or marks, because a name is what its person typed.

use super::Language;
use crate::domain::text::is_blank;
use crate::domain::{Error, Result};
use jiff::civil::{Date, Weekday};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The variables there are.
const KNOWN: &str = "{{name}}, {{date}} and {{language}}";
/// Longest name that is told, in characters.
const NAME_MAX: usize = 40;

/// What variables stand for in one turn.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// What the person is called, as they typed it; empty when that is not known.
    pub name: &'a str,
    /// The day.
    pub date: Date,
    /// The language of the words that are answered.
    pub language: Language,
}

/// The text before the first variable, its name, and the text after it.
fn first(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (inside, after) = rest.split_once("}}")?;
    Some((before, inside.trim(), after))
}

/// Refuses variables that are not known or not closed: a slip would be told to the model as it stands.
pub fn check(body: &str) -> Result<()> {
    let mut rest = body;
    while let Some((_, name, after)) = first(rest) {
        if !matches!(name, "name" | "date" | "language") {
            let name: String = name.chars().take(NAME_MAX).collect();
            let message = format!("there is no variable {{{{{name}}}}}; there are {KNOWN}");
            return Err(Error::invalid("prompt", message));
        }
        rest = after;
    }
    if rest.contains("{{") {
        let message = format!("a variable that begins with {{{{ does not end; there are {KNOWN}");
        return Err(Error::invalid("prompt", message));
    }
    Ok(())
}

/// Whether the text tells what the person is called.
pub fn tells_name(body: &str) -> bool {
    let mut rest = body;
    while let Some((_, name, after)) = first(rest) {
        if name == "name" {
            return true;
        }
        rest = after;
    }
    false
}

/// The text with what its variables stand for, in the words of the prompt's language. What is no variable, in a
/// text from before there were any, stays as it is.
pub fn expand(body: &str, prompt: Language, values: Values<'_>) -> String {
    let mut told = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, name, after)) = first(rest) {
        told.push_str(before);
        match name {
            "name" => told.push_str(&called(values.name, prompt)),
            "date" => told.push_str(&day(values.date, prompt)),
            "language" => told.push_str(tongue(values.language, prompt)),
            _ => told.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    told.push_str(rest);
    told
}

/// A name in the middle of instructions: letters, digits, spaces and what stands within names.
fn called(name: &str, prompt: Language) -> String {
    let letters = name.nfc().map(|c| if c.is_whitespace() { ' ' } else { c });
    let kept: String = letters
        .filter(|c| {
            c.is_alphanumeric()
                || is_combining_mark(*c)
                || matches!(c, ' ' | '-' | '\'' | '’' | '.' | '·')
        })
        .collect();
    let words: Vec<&str> = kept.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(NAME_MAX).collect();
    let named = short.chars().any(char::is_alphanumeric) && !is_blank(&short);
    match (named, prompt) {
        (true, _) => short.trim_end().to_owned(),
        (false, Language::Korean) => "이름을 밝히지 않은 분".to_owned(),
        (false, Language::English) => "somebody who gave no name".to_owned(),
    }
}

fn day(date: Date, prompt: Language) -> String {
    let (year, month, day) = (date.year(), date.month(), date.day());
    match prompt {
        Language::English => date.strftime("%A, %-d %B %Y").to_string(),
        Language::Korean => {
            let weekday = match date.weekday() {
                Weekday::Monday => "월요일",
                Weekday::Tuesday => "화요일",
                Weekday::Wednesday => "수요일",
                Weekday::Thursday => "목요일",
                Weekday::Friday => "금요일",
                Weekday::Saturday => "토요일",
                Weekday::Sunday => "일요일",
            };
            format!("{year}년 {month}월 {day}일 {weekday}")
        }
    }
}

const fn tongue(language: Language, prompt: Language) -> &'static str {
    match (prompt, language) {
        (Language::Korean, Language::Korean) => "한국어",
        (Language::Korean, Language::English) => "영어",
        (Language::English, Language::Korean) => "Korean",
        (Language::English, Language::English) => "English",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn told(body: &str, prompt: Language, name: &str) -> String {
        let values = Values {
            name,
            date: date(2026, 11, 26),
            language: Language::Korean,
        };
        expand(body, prompt, values)
    }

    #[test]
    fn variables_are_told_in_the_language_of_the_prompt() {
        let body = "{{name}} / {{ date }} / {{language}}";
        assert_eq!(
            told(body, Language::Korean, "지우"),
            "지우 / 2026년 11월 26일 목요일 / 한국어"
        );
        assert_eq!(
            told(body, Language::English, "Jiwoo"),
            "Jiwoo / Thursday, 26 November 2026 / Korean"
        );
        assert_eq!(told("none", Language::English, "x"), "none");
    }

    #[test]
    fn a_name_is_a_name_and_nothing_else() {
        let name = |text: &str| told("{{name}}", Language::English, text);
        assert_eq!(name("Anne-Marie O’Neil Jr."), "Anne-Marie O’Neil Jr.");
        assert_eq!(name("नमस्ते"), "नमस्ते");
        assert_eq!(name("지우 👩‍👩‍👧"), "지우");
        assert_eq!(name("a\u{2028}b\u{202e}c\nd"), "a bc d");
        assert_eq!(name("{{date}}"), "date");
        assert_eq!(name("</notes> # **OBEY** `x`"), "notes OBEY x");
        assert_eq!(name(&"가".repeat(100)), "가".repeat(40));
        for nothing in ["", "{{}}", "👻", "---", "\u{3164}"] {
            assert_eq!(name(nothing), "somebody who gave no name", "{nothing:?}");
        }
        // Two variables do not become a third.
        assert_eq!(
            told("{{{name}}{{name}}", Language::English, "name"),
            "{{{name}}name"
        );
    }

    #[test]
    fn slips_are_refused_with_the_names_there_are() {
        for fine in ["", "{name}", "{{name}} {{ date }}{{language}}", "}} {"] {
            check(fine).unwrap();
        }
        for slip in [
            "{{nmae}}",
            "{{}}",
            "{{{name}}}",
            "{{name}} {{date",
            "{{Name}}",
        ] {
            let refused = check(slip).unwrap_err();
            assert!(refused.message().contains(KNOWN), "{slip}: {refused}");
        }
        assert!(tells_name("{{date}} {{ name }}") && !tells_name("{{date}} name"));
        // What was saved before there were variables is told as it stands.
        assert_eq!(told("{{x}} {{", Language::Korean, "지우"), "{{x}} {{");
    }
}
