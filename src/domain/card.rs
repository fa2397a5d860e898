//! Cards: a conversation on one page, for its person to look at again.
//!
//! Owns [`Card`], how the answer of a model becomes one, and how one is put together without a model. Called by the
//! service, which stores them. Invariants: a quote is the person's own words, letter by letter, at the place that it
//! names; nothing else on a card looks like a quote; a title has at most [`TITLE`] characters.

use super::emotion::Emotion;
use super::flow::Mood;
use super::id::StepId;
use super::prompt::Language;
use super::session::Labels;
use super::step::EmotionStep;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unicode_segmentation::UnicodeSegmentation as _;

/// The form in which a model answers.
pub const SCHEMA: &str = include_str!("../../prompts/card.schema.json");
/// Most characters of a title.
pub const TITLE: usize = 20;
/// Most characters of a text, and of a tag.
const TEXT: usize = 400;
const TAG: usize = 20;
/// Most tags, quotes and emotions.
const TAGS: usize = 5;
const QUOTES: usize = 3;
const EMOTIONS: usize = 3;
/// Most characters of a quote.
const QUOTE: usize = 200;
/// Most characters of a quote that is picked without a model.
const EXCERPT: usize = 60;

/// How a card came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// A language model wrote it.
    Written,
    /// It was put together of what is known without one; shorter.
    Extract,
    /// Somebody may be in danger: it says whom to reach, and nothing else.
    Care,
}

/// A card, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// How it came about.
    pub kind: CardKind,
    /// At most [`TITLE`] characters.
    pub title: String,
    /// What stands out, the strongest first.
    pub emotions: Vec<Emotion>,
    /// What happened.
    pub situation: Option<String>,
    /// What went through the person's mind.
    pub thoughts: Option<String>,
    /// What they felt in their body.
    pub body: Option<String>,
    /// What they did.
    pub behaviour: Option<String>,
    /// What they want.
    pub needs: Option<String>,
    /// What helped.
    pub coping: Option<String>,
    /// What they came to see.
    pub insight: Option<String>,
    /// Short words.
    pub tags: Vec<String>,
    /// Who wrote it.
    pub model: Option<String>,
}

/// What the person said, to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// In which step.
    pub step_id: StepId,
    /// After how many code points of its words.
    pub offset: u64,
    /// The words.
    pub text: String,
}

/// The answer of a model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    title: String,
    emotions: Vec<Emotion>,
    situation: Option<String>,
    thoughts: Option<String>,
    body: Option<String>,
    behaviour: Option<String>,
    needs: Option<String>,
    coping: Option<String>,
    insight: Option<String>,
    tags: Vec<String>,
    quotes: Vec<DraftQuote>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftQuote {
    n: i64,
    text: String,
}

impl Card {
    fn titled(kind: CardKind, title: String) -> Self {
        Self {
            kind,
            title,
            emotions: Vec::new(),
            situation: None,
            thoughts: None,
            body: None,
            behaviour: None,
            needs: None,
            coping: None,
            insight: None,
            tags: Vec::new(),
            model: None,
        }
    }

    /// The card of somebody who may be in danger. Its words are those of the safety gate, which come with it.
    pub fn care(language: Language) -> Self {
        let title = match language {
            Language::Korean => "혼자 견디지 않아도 돼요",
            Language::English => "You are not alone",
        };
        Self::titled(CardKind::Care, title.to_owned())
    }

    /// What a model answered about these steps, and the quotes in it that are the person's words; `None` when it is
    /// not what it was asked for.
    pub fn written(
        answer: &str,
        model: String,
        steps: &[EmotionStep],
    ) -> Option<(Self, Vec<Quote>)> {
        let draft: Draft = serde_json::from_str(answer).ok()?;
        let text = |text: Option<String>| text.and_then(|text| fitted(&text, TEXT));
        let mut emotions = Vec::new();
        for emotion in draft.emotions {
            if !emotions.contains(&emotion) && emotions.len() < EMOTIONS {
                emotions.push(emotion);
            }
        }
        if emotions.is_empty() {
            return None;
        }
        let mut tags: Vec<String> = Vec::new();
        for tag in &draft.tags {
            let tag = fitted(tag.trim_start_matches('#'), TAG);
            if let Some(tag) = tag.filter(|tag| !tags.contains(tag) && tags.len() < TAGS) {
                tags.push(tag);
            }
        }
        let mut quotes: Vec<Quote> = Vec::new();
        for quote in draft.quotes {
            let found = found(&quote.text, quote.n, steps);
            if let Some(quote) = found.filter(|q| !quotes.contains(q) && quotes.len() < QUOTES) {
                quotes.push(quote);
            }
        }
        let card = Self {
            emotions,
            situation: text(draft.situation),
            thoughts: text(draft.thoughts),
            body: text(draft.body),
            behaviour: text(draft.behaviour),
            needs: text(draft.needs),
            coping: text(draft.coping),
            insight: text(draft.insight),
            tags,
            model: Some(model),
            ..Self::titled(CardKind::Written, fitted(&draft.title, TITLE)?)
        };
        Some((card, quotes))
    }

    /// What is known of these steps without a model: the labels that stood out, and where the person said it.
    pub fn extracted(steps: &[EmotionStep], language: Language) -> (Self, Vec<Quote>) {
        let moods: Vec<(&EmotionStep, Mood)> = steps
            .iter()
            .filter_map(|step| Some((step, Mood::of(&step.marks)?)))
            .collect();
        let mut counts = BTreeMap::<Emotion, (u32, usize)>::new();
        for (n, (_, mood)) in moods.iter().enumerate() {
            let count = counts.entry(mood.label).or_default();
            *count = (count.0 + 1, n);
        }
        let mut emotions: Vec<(Emotion, (u32, usize))> = counts.into_iter().collect();
        emotions.sort_by_key(|(_, rank)| std::cmp::Reverse(*rank));
        let emotions: Vec<Emotion> = emotions.into_iter().map(|(emotion, _)| emotion).collect();
        let ends = moods.first().zip(moods.last());
        let ends = ends.map(|((_, first), (_, last))| (first.label, last.label));
        let title = match (ends, emotions.first(), language) {
            (Some((from, to)), _, Language::Korean) if from != to => {
                format!("{}에서 {}까지", from.korean(), to.korean())
            }
            (Some((from, to)), _, Language::English) if from != to => {
                format!("{}, then {}", from.english(), to.english())
            }
            (_, Some(label), Language::Korean) => format!("{} · 나눈 이야기", label.korean()),
            (_, Some(label), Language::English) => format!("Mostly {}", label.english()),
            (_, None, Language::Korean) => "나눈 이야기".to_owned(),
            (_, None, Language::English) => "What was said".to_owned(),
        };
        // Where the feeling was strongest; of several, the first.
        let mut strongest: Vec<&(&EmotionStep, Mood)> = moods.iter().collect();
        strongest.sort_by_key(|(step, mood)| (-mood.valence.abs(), step.step_order));
        strongest.truncate(QUOTES);
        strongest.sort_by_key(|(step, _)| step.step_order);
        let mut quotes: Vec<Quote> = strongest
            .iter()
            .filter_map(|(step, _)| excerpt(step))
            .collect();
        if quotes.is_empty() {
            quotes.extend(steps.iter().find_map(excerpt));
        }
        let card = Self {
            emotions: emotions.into_iter().take(EMOTIONS).collect(),
            ..Self::titled(CardKind::Extract, fitted(&title, TITLE).unwrap_or_default())
        };
        (card, quotes)
    }

    /// What it says in the seed's fields of a session.
    pub fn labels(&self, language: Language) -> Labels {
        let name = |emotion: &Emotion| emotion.name(language).to_owned();
        let written = self.kind == CardKind::Written;
        Labels {
            emotion_label: self.emotions.first().map(name),
            topic: written.then(|| self.title.clone()),
            trigger_summary: self.situation.clone(),
            insight_summary: self.insight.clone(),
            insight_tag: self.tags.first().cloned(),
        }
    }
}

/// A text on one line of at most `most` characters, without anything that makes a part of it look like a quote;
/// `None` when nothing is left.
fn fitted(text: &str, most: usize) -> Option<String> {
    let quiet: String = text
        .chars()
        .filter(|c| {
            !matches!(
                c,
                '"' | '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』'
            )
        })
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let text = quiet.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(cut(&text, most)).filter(|text| !super::text::is_blank(text))
}

/// The text, or as much of it as leaves room for an ellipsis.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut chars = 0;
    for grapheme in text.graphemes(true) {
        chars += grapheme.chars().count();
        if chars >= most {
            break;
        }
        kept.push_str(grapheme);
    }
    format!("{}…", kept.trim_end())
}

/// Where the person said this: in the step that is named, else in any other one.
fn found(text: &str, step_order: i64, steps: &[EmotionStep]) -> Option<Quote> {
    let text = text
        .trim()
        .trim_matches(['"', '“', '”', '「', '」', '\''])
        .trim();
    let size = text.chars().count();
    if !(2..=QUOTE).contains(&size) || super::text::is_blank(text) {
        return None;
    }
    let named = steps.iter().filter(|step| step.step_order == step_order);
    let others = steps.iter().filter(|step| step.step_order != step_order);
    named.chain(others).find_map(|step| {
        let byte = step.user_input.find(text)?;
        Some(at(step, byte, text))
    })
}

fn at(step: &EmotionStep, byte: usize, text: &str) -> Quote {
    let before = step.user_input.get(..byte).unwrap_or_default();
    Quote {
        step_id: step.step_id,
        offset: before.chars().count() as u64,
        text: text.to_owned(),
    }
}

/// The first sentence of a step, or its beginning.
fn excerpt(step: &EmotionStep) -> Option<Quote> {
    let words = step.user_input.trim_start();
    let byte = step.user_input.len() - words.len();
    let end = words.find(['\n', '\r']).unwrap_or(words.len());
    let line = words.get(..end)?;
    let mark = line
        .char_indices()
        .find(|(_, c)| matches!(c, '.' | '!' | '?' | '…'));
    let sentence = line.get(..mark.map_or(line.len(), |(at, c)| at + c.len_utf8()))?;
    let mut kept = 0;
    let mut chars = 0;
    for (start, grapheme) in sentence.grapheme_indices(true) {
        chars += grapheme.chars().count();
        if chars > EXCERPT {
            break;
        }
        kept = start + grapheme.len();
    }
    let text = sentence.get(..kept)?.trim_end();
    (!super::text::is_blank(text)).then(|| at(step, byte, text))
}

#[cfg(test)]
mod tests;
