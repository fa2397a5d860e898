//! What an answer becomes, and that no quote is one that was not said.

use super::*;
use crate::domain::emotion::Reading;
use crate::domain::safety::Tier;
use crate::domain::step::{Marks, StepStatus, StepType};
use crate::domain::{SessionId, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

fn step(order: i64, words: &str, label: Emotion) -> EmotionStep {
    let reading = Reading {
        first: label,
        second: None,
        valence: label.valence(),
        confidence: 80,
        unsure: false,
    };
    EmotionStep {
        step_id: StepId(Uuid::from_u128(order.unsigned_abs().into())),
        session_id: SessionId(Uuid::nil()),
        step_order: order,
        step_type: StepType::default(),
        user_input: words.to_owned(),
        gpt_response: "네, 그랬군요".to_owned(),
        status: StepStatus::Complete,
        finish_reason: None,
        message_id: None,
        model: None,
        prompt_version: None,
        output_tokens: None,
        created_at: Timestamp::from_micros(0),
        marks: Marks::of(&reading, Tier::None),
    }
}

fn talk() -> Vec<EmotionStep> {
    vec![
        step(
            1,
            "오늘 회의에서 \"말이 안 나왔어\".\n창피했어",
            Emotion::Shame,
        ),
        step(2, "집에 와서 한참 울었어", Emotion::Sad),
        step(
            3,
            "산책하니까 조금 나아졌어! 내일은 먼저 말해 볼래",
            Emotion::Calm,
        ),
    ]
}

fn draft(quotes: &serde_json::Value) -> serde_json::Value {
    json!({
        "title": "  말이 안 나온\n회의 ", "emotions": ["shame", "sad", "shame"],
        "situation": "회의에서 “아무 말도” 못 했다.", "thoughts": null, "body": null, "behaviour": " ",
        "needs": null, "coping": "산책", "insight": "내일은 먼저 말해 보기로 했다.",
        "tags": ["#회의", "회의", "산책"], "quotes": quotes,
    })
}

fn written(answer: &serde_json::Value) -> Option<(Card, Vec<Quote>)> {
    Card::written(&answer.to_string(), "m".to_owned(), &talk())
}

#[test]
fn an_answer_becomes_a_card_and_only_real_quotes_are_kept() {
    let quotes = json!([
        {"n": 1, "text": "말이 안 나왔어"},
        {"n": 1, "text": "“한참 울었어”"},
        {"n": 2, "text": "나는 쓸모없어"},
        {"n": 3, "text": "그랬군요"},
        {"n": 3, "text": "아"},
    ]);
    let (card, quotes) = written(&draft(&quotes)).unwrap();
    assert_eq!(
        (card.kind, card.title.as_str()),
        (CardKind::Written, "말이 안 나온 회의")
    );
    assert_eq!(card.emotions, [Emotion::Shame, Emotion::Sad]);
    assert_eq!(
        card.situation.as_deref(),
        Some("회의에서 아무 말도 못 했다.")
    );
    assert_eq!((card.behaviour.as_deref(), card.tags.len()), (None, 2));
    let kept: Vec<_> = quotes
        .iter()
        .map(|q| (q.step_id.0.as_u128(), q.offset, q.text.as_str()))
        .collect();
    // The second was in another step than the model said; the answers of the server are nobody's words.
    assert_eq!(kept, [(1, 9, "말이 안 나왔어"), (2, 6, "한참 울었어")]);
    let labels = card.labels(Language::Korean);
    assert_eq!(labels.emotion_label.as_deref(), Some("수치"));
    assert_eq!(labels.topic.as_deref(), Some("말이 안 나온 회의"));
    assert_eq!(labels.insight_tag.as_deref(), Some("회의"));
}

#[test]
fn what_is_not_what_was_asked_for_is_no_card() {
    let good = draft(&json!([]));
    assert!(written(&good).is_some());
    for (member, value) in [
        ("emotions", json!([])),
        ("emotions", json!(["glad"])),
        ("title", json!(" \u{200b}")),
        ("title", json!(null)),
        ("quotes", json!([{"n": 1, "text": "a", "by": "me"}])),
        ("mood", json!("good")),
    ] {
        let mut answer = good.clone();
        answer[member] = value;
        assert!(written(&answer).is_none(), "{member}");
    }
    for answer in ["", "{}", "[]", "```json\n{}\n```"] {
        assert!(
            Card::written(answer, "m".to_owned(), &talk()).is_none(),
            "{answer}"
        );
    }
    let cut = good.to_string();
    assert!(Card::written(&cut[..cut.len() - 1], "m".to_owned(), &talk()).is_none());
}

#[test]
fn without_a_model_a_card_says_what_stood_out_and_where() {
    let (card, quotes) = Card::extracted(&talk(), Language::Korean);
    assert_eq!(
        (card.kind, card.title.as_str()),
        (CardKind::Extract, "수치에서 편안까지")
    );
    assert_eq!(card.emotions.len(), 3);
    let kept: Vec<_> = quotes.iter().map(|q| q.text.as_str()).collect();
    assert_eq!(
        kept,
        [
            "오늘 회의에서 \"말이 안 나왔어\".",
            "집에 와서 한참 울었어",
            "산책하니까 조금 나아졌어!"
        ]
    );
    assert_eq!(
        card.labels(Language::English).topic,
        None,
        "a topic is not guessed"
    );
    let (english, _) = Card::extracted(&talk(), Language::English);
    assert_eq!(english.title, "ashamed, then calm", "as people are told it");
    assert_eq!(
        english.labels(Language::English).emotion_label.as_deref(),
        Some("calm")
    );
    // Nothing is known, or nothing was said.
    let mut unknown = talk();
    for step in &mut unknown {
        step.marks = Marks::default();
    }
    let (card, quotes) = Card::extracted(&unknown, Language::English);
    assert_eq!(
        (card.title.as_str(), card.emotions.len(), quotes.len()),
        ("What was said", 0, 1)
    );
    assert_eq!(Card::extracted(&[], Language::Korean).1, []);
}

#[test]
fn the_schema_is_what_is_read() {
    let schema: serde_json::Value = SCHEMA.parse().unwrap();
    let names: Vec<&str> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_str().unwrap())
        .collect();
    let draft = draft(&json!([]));
    let mut members: Vec<&str> = draft
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut wanted = names.clone();
    members.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(members, wanted);
    let labels = schema["properties"]["emotions"]["items"]["enum"]
        .as_array()
        .unwrap();
    let labels: Vec<&str> = labels.iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(labels, Emotion::ALL.map(Emotion::as_str));
    for language in [Language::Korean, Language::English] {
        let prompt = crate::domain::prompt::card(language);
        for name in names.iter().chain(&labels) {
            assert!(prompt.contains(name), "{name}");
        }
        assert!(Card::care(language).title.chars().count() <= TITLE);
    }
}

/// Whether the words of the step that it names hold this quote where it says.
fn said(quote: &Quote, steps: &[EmotionStep]) -> bool {
    let step = steps.iter().find(|step| step.step_id == quote.step_id);
    step.is_some_and(|step| {
        let offset = usize::try_from(quote.offset).unwrap();
        let rest: String = step.user_input.chars().skip(offset).collect();
        !quote.text.is_empty() && rest.starts_with(&quote.text)
    })
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[가나다 .!\n\"']{0,40}", "[a-c ]{0,20}"]
}

proptest! {
    #[test]
    fn no_quote_survives_that_is_not_in_the_words(
        spoken in prop::collection::vec(words(), 1..5),
        claimed in prop::collection::vec((0..6i64, words()), 0..8),
        pieces in prop::collection::vec((0..5usize, 0..40usize, 1..30usize), 0..4),
        title in words(),
    ) {
        let steps: Vec<EmotionStep> = (1..).zip(&spoken).map(|(n, text)| step(n, text, Emotion::Sad)).collect();
        // Some of what is claimed was really said.
        let real = pieces.into_iter().map(|(which, from, length)| {
            let text = &spoken[which % spoken.len()];
            (1, text.chars().skip(from).take(length).collect::<String>())
        });
        let quotes: Vec<_> = claimed.into_iter().chain(real).map(|(n, text)| json!({"n": n, "text": text})).collect();
        let mut answer = draft(&json!(quotes));
        answer["title"] = json!(title);
        if let Some((card, quotes)) = Card::written(&answer.to_string(), "m".to_owned(), &steps) {
            prop_assert!(card.title.chars().count() <= TITLE, "{}", card.title);
            prop_assert!(quotes.iter().all(|quote| said(quote, &steps)), "{quotes:?}");
        }
        let (card, quotes) = Card::extracted(&steps, Language::Korean);
        prop_assert!(card.title.chars().count() <= TITLE);
        prop_assert!(quotes.iter().all(|quote| said(quote, &steps)), "{quotes:?}");
    }
}
