//! People to reach, by country: read once from a data file that says when it was checked.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::texts::Lang;
use crate::domain::safety::{Category, Tier};

const EMBEDDED: &str = include_str!("resources.toml");
/// The countries of the European Union; they share one emergency number.
const UNION: [&str; 26] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IT", "LT",
    "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// What kind of help a line gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Someone to talk to in a crisis.
    Crisis,
    /// Someone to talk to who knows one kind of trouble.
    Support,
    /// Ambulance, rescue or police.
    Emergency,
    /// A list of lines.
    Directory,
}

/// One line to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What to dial, or an address to open.
    pub number: String,
    /// The Korean name.
    #[serde(rename = "ko")]
    pub name_ko: String,
    /// The English name.
    #[serde(rename = "en")]
    pub name_en: String,
    /// More to know, in Korean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_ko: Option<String>,
    /// More to know, in English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_en: Option<String>,
    /// What kind of help it is.
    pub kind: Kind,
    /// The categories it is made for.
    #[serde(rename = "for", default, skip_serializing)]
    pub made_for: Vec<Category>,
}

impl Resource {
    /// What it is called in this language.
    pub fn name(&self, lang: Lang) -> &str {
        match lang {
            Lang::Ko => &self.name_ko,
            Lang::En => &self.name_en,
        }
    }

    /// More to know, in this language.
    pub fn note(&self, lang: Lang) -> Option<&str> {
        match lang {
            Lang::Ko => self.note_ko.as_deref(),
            Lang::En => self.note_en.as_deref(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    verified_on: String,
    country: Vec<Country>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Country {
    code: String,
    line: Vec<Resource>,
}

/// The book; if the embedded file were broken it is empty, which a test rules out.
fn book() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(|| toml::from_str(EMBEDDED).unwrap_or_default())
}

/// The day the numbers were last checked.
pub fn verified_on() -> &'static str {
    &book().verified_on
}

/// The lines of a country (ISO 3166, any case; `UK` is understood), the fitting ones first.
///
/// Nothing at [`Tier::None`]. A country that is not in the book gets the international directory;
/// an empty one is Korea, the default of the server.
pub fn resources(country: &str, tier: Tier, categories: &[Category]) -> Vec<Resource> {
    if tier == Tier::None {
        return Vec::new();
    }
    let code = country.trim().to_ascii_uppercase();
    let code = match code.as_str() {
        "" => "KR",
        "UK" => "GB",
        other if UNION.contains(&other) => "EU",
        other => other,
    };
    let find = |code: &str| book().country.iter().find(|country| country.code == code);
    let Some(found) = find(code).or_else(|| find("*")) else {
        return Vec::new();
    };
    let mut lines = found.line.clone();
    lines.sort_by_key(|line| rank(line, tier, categories));
    lines
}

/// The smaller, the sooner it is shown; lines of equal rank keep the order of the file.
fn rank(line: &Resource, tier: Tier, categories: &[Category]) -> u8 {
    let fits = line
        .made_for
        .iter()
        .any(|category| categories.contains(category));
    let hurt = categories.iter().all(|category| {
        matches!(
            category,
            Category::Abuse | Category::SexualViolence | Category::Violence
        )
    }) && !categories.is_empty();
    match (tier, line.kind) {
        (Tier::Imminent, Kind::Emergency) => u8::from(hurt && !fits),
        (Tier::Imminent, _) if fits => 1,
        (_, Kind::Emergency) if fits && tier >= Tier::Elevated => 1,
        (_, Kind::Emergency) => 5,
        (_, _) if fits => 0,
        (_, Kind::Crisis | Kind::Directory) => 2,
        (_, Kind::Support) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(country: &str, tier: Tier, categories: &[Category]) -> Vec<String> {
        resources(country, tier, categories)
            .into_iter()
            .map(|line| line.number)
            .collect()
    }

    #[test]
    fn the_book_is_whole() {
        let book: Book = toml::from_str(EMBEDDED).unwrap();
        assert_eq!(book.country.len(), 6);
        assert_eq!(verified_on().len(), 10);
        for line in book.country.iter().flat_map(|country| &country.line) {
            assert!(
                !line.name_ko.is_empty() && !line.name_en.is_empty() && !line.number.is_empty()
            );
        }
    }

    #[test]
    fn korea_has_exactly_the_facts() {
        let mut got = numbers("KR", Tier::Elevated, &[Category::Suicide]);
        assert_eq!(got.first().map(String::as_str), Some("109"));
        got.sort();
        assert_eq!(got, ["109", "112", "119", "1366", "1388", "1577-0199"]);
        assert_eq!(numbers("", Tier::Low, &[]), numbers("kr", Tier::Low, &[]));
        assert!(!EMBEDDED.contains("1393"), "retired");
    }

    #[test]
    fn the_fitting_ones_come_first() {
        let plan = numbers("KR", Tier::Imminent, &[Category::PlanOrMeans]);
        assert_eq!(plan[..3], ["119", "112", "109"]);
        let hurt = numbers("KR", Tier::Imminent, &[Category::Abuse]);
        assert_eq!(hurt[0], "112");
        let abuse = numbers("KR", Tier::Elevated, &[Category::SexualViolence]);
        assert_eq!(abuse[..2], ["1366", "112"]);
        assert_eq!(
            numbers("US", Tier::Imminent, &[Category::Suicide]),
            ["911", "988"]
        );
        assert_eq!(
            numbers("US", Tier::Elevated, &[Category::Suicide]),
            ["988", "911"]
        );
    }

    #[test]
    fn other_countries() {
        assert_eq!(numbers("UK", Tier::Low, &[]), ["116 123", "999"]);
        assert_eq!(numbers("IE", Tier::Low, &[]), ["116 123", "999"]);
        assert!(numbers("DE", Tier::Imminent, &[]).contains(&"112".to_owned()));
        assert_eq!(numbers("JP", Tier::Imminent, &[]), ["findahelpline.com"]);
        assert!(numbers("KR", Tier::None, &[]).is_empty());
    }
}
