//! A card as a picture.
//!
//! Owns its layout. Called by the handler of cards. Invariants: every text of the card is in it, broken into lines by
//! an estimate of its width, as no font is known here; a screen reader is told all of it.

use super::lines::lines;
use super::{document, escaped};
use crate::domain::card::CardKind;
use crate::domain::prompt::Language;
use crate::wire::card::CardBody;
use std::fmt::Write as _;

const WIDTH: u32 = 480;
const MARGIN: u32 = 28;
/// Hundredths of an em that a line may have, at 14 pixels an em.
const LINE: u32 = (WIDTH - 2 * MARGIN) * 100 / 14;

/// What is drawn so far.
struct Page {
    y: u32,
    svg: String,
    told: String,
}

impl Page {
    fn line(&mut self, class: &str, text: &str, height: u32) {
        self.y += height;
        let text = escaped(text);
        let _ = writeln!(
            self.svg,
            "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{}\">{text}</text>",
            self.y
        );
    }

    fn paragraph(&mut self, class: &str, text: &str) {
        for line in lines(text, LINE) {
            self.line(class, &line, 21);
        }
        self.told.push_str(text);
        self.told.push_str(". ");
    }

    fn part(&mut self, heading: &str, text: &str) {
        self.y += 8;
        self.line("part", heading, 20);
        let _ = write!(self.told, "{heading}: ");
        self.paragraph("", text);
    }
}

/// The picture.
pub(in crate::http) fn draw(card: &CardBody, language: Language) -> String {
    let say = |korean, english| match language {
        Language::Korean => korean,
        Language::English => english,
    };
    let mut page = Page {
        y: 20,
        svg: String::new(),
        told: String::new(),
    };
    page.line("head", &card.title, 20);
    let emotions: Vec<&str> = card
        .emotions
        .iter()
        .map(|emotion| emotion.name(language))
        .collect();
    if !emotions.is_empty() {
        page.y += 4;
        page.paragraph("quiet", &emotions.join(" · "));
    }
    for (heading, text) in [
        (say("있었던 일", "What happened"), &card.situation),
        (say("떠오른 생각", "Thoughts"), &card.thoughts),
        (say("몸의 느낌", "In the body"), &card.body),
        (say("한 행동", "What you did"), &card.behaviour),
        (say("바라는 것", "What you want"), &card.needs),
        (say("도움이 된 것", "What helped"), &card.coping),
        (say("알게 된 것", "What you came to see"), &card.insight),
    ] {
        if let Some(text) = text {
            page.part(heading, text);
        }
    }
    if !card.quotes.is_empty() {
        page.y += 8;
        page.line("part", say("내가 한 말", "In your words"), 20);
        for quote in &card.quotes {
            page.paragraph("said", &format!("“{}”", quote.text));
        }
    }
    if !card.tags.is_empty() {
        page.y += 10;
        let tags: Vec<String> = card.tags.iter().map(|tag| format!("#{tag}")).collect();
        page.paragraph("quiet", &tags.join(" "));
    }
    if let Some(safety) = &card.safety {
        page.y += 8;
        page.paragraph("", &safety.message);
        page.y += 8;
        for resource in &safety.resources {
            page.line("part", &resource.name, 24);
            let note = resource.note.as_deref().map(|note| format!(" · {note}"));
            let contact = format!("{}{}", resource.contact, note.unwrap_or_default());
            let _ = write!(page.told, "{}: ", resource.name);
            page.paragraph("", &contact);
        }
    }
    let note = match card.kind {
        CardKind::Written => say(
            "언어 모델이 대화를 읽고 쓴 카드예요. 틀릴 수 있어요.",
            "Written by a language model from the conversation; it can be wrong.",
        ),
        CardKind::Extract => say(
            "언어 모델 없이, 짐작한 마음과 한 말만 모은 카드예요.",
            "Put together without a language model, of guesses and your words.",
        ),
        CardKind::Care => "",
    };
    page.y += 10;
    if !note.is_empty() {
        page.paragraph("quiet", note);
    }
    document(
        (WIDTH, page.y + 24),
        language.as_str(),
        &card.title,
        page.told.trim_end(),
        &page.svg,
    )
}
