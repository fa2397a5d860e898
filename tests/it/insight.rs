//! What a conversation shows: the emotion of each step, who may correct it, and where it is seen.

use crate::raw::Ask;
use crate::sealing::{bytes_under, holds};
use crate::support::{Person, Server, on_postgres};
use deepme::domain::emotion::{Emotion, Feeling};
use deepme::domain::safety::Tier;
use deepme::llm::scripted::answer;
use deepme::wire::insight::{Direction, EmotionBody};
use deepme::wire::rest::{GenerateRequest, StepBody};
use serde_json::json;
use std::time::Duration;

const SAD: &str = "혼자 있으니까 너무 외롭고 눈물이 나";

/// What is shown of these words when nobody corrects it.
fn guess(words: &str) -> EmotionBody {
    let reading = deepme::insight::read(words, None);
    Feeling::of(Some(reading), None).unwrap().into()
}

async fn said(server: &Server, person: &Person, words: &str) -> StepBody {
    server.script(answer(&["네"]));
    let request = GenerateRequest {
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    person.client.generate(&request).await.unwrap()
}

#[tokio::test]
async fn each_step_comes_with_a_guess_that_its_owner_corrects() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let guessed = guess(SAD);
    assert!(guessed.valence < 0 && !guessed.corrected, "{guessed:?}");
    server.script(answer(&["네"]));
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.message(SAD, "m", None).await;
    let step_id = {
        let turn = talk.turn().await;
        assert_eq!(turn.done().emotion, Some(guessed));
        turn.done().step_id
    };
    let shown = async || {
        let steps = jiwoo.client.steps(session.session_id).await.unwrap();
        steps[0].emotion
    };
    assert_eq!(shown().await, Some(guessed));
    let own = Feeling::of(None, Some(Emotion::Calm)).unwrap().into();
    let corrected = jiwoo.client.correct_step(step_id, Some(Emotion::Calm));
    assert_eq!(corrected.await.unwrap().emotion, Some(own));
    assert_eq!(shown().await, Some(own));
    // Wherever it is shown: a turn that is told again, and what the person takes along.
    talk.message(SAD, "m", None).await;
    assert_eq!(talk.turn().await.done().emotion, Some(own));
    let export = jiwoo.client.export().await.unwrap();
    assert_eq!(export.data.sessions[0].steps[0].emotion, Some(own));
    // What is taken back shows the guess again, by either way.
    let path = format!("/emotion/steps/{step_id}/emotion");
    let put = async |body: serde_json::Value| {
        let ask = Ask::new("PUT", path.clone()).bearer(&jiwoo.token);
        ask.json(body.to_string()).send(&server).await
    };
    assert_eq!(put(json!({"emotion_label": null})).await.status, 200);
    assert_eq!(shown().await, Some(guessed));
    // The Korean name is as good as the id; what is none of the fifteen is refused and changes nothing.
    assert_eq!(put(json!({"emotion_label": "분노"})).await.status, 200);
    let angry = Feeling::of(None, Some(Emotion::Angry)).unwrap().into();
    for wrong in [
        json!({"emotion_label": "glad"}),
        json!({}),
        json!({"emotion_label": 1}),
    ] {
        let refused = put(wrong.clone()).await;
        assert_eq!(refused.status, 422, "{wrong}");
        assert_eq!(
            refused.problem().field.as_deref(),
            Some("emotion_label"),
            "{wrong}"
        );
    }
    assert_eq!(shown().await, Some(angry));
    jiwoo.client.correct_step(step_id, None).await.unwrap();
    assert_eq!(shown().await, Some(guessed));
}

#[tokio::test]
async fn a_step_is_flagged_by_its_words_and_by_those_before() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let harmless = said(&server, &jiwoo, "오늘 점심은 김밥이었어").await;
    assert_eq!(harmless.safety_tier, Some(Tier::None));
    let alone = said(&server, &jiwoo, "죽고 싶어").await;
    assert_eq!(alone.safety_tier, Some(Tier::Elevated));
    // What says little by itself says more after what was said before.
    let words = "약은 챙겨 놨어";
    assert!(server.app.assess(words).tier < Tier::Imminent);
    server.script(answer(&["네"]));
    let request = GenerateRequest {
        session_id: Some(alone.session_id),
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    let together = jiwoo.client.generate(&request).await.unwrap();
    assert_eq!(together.safety_tier, Some(Tier::Imminent));
    // No device of theirs is told otherwise later.
    let steps = jiwoo.client.steps(alone.session_id).await.unwrap();
    let tiers: Vec<_> = steps.iter().map(|step| step.safety_tier).collect();
    assert_eq!(tiers, [Some(Tier::Elevated), Some(Tier::Imminent)]);
}

#[tokio::test]
async fn what_is_made_of_words_is_sealed_and_bound_to_its_column() {
    let server = Server::embedded().await;
    let jiwoo = server.person("jiwoo").await;
    let step = said(&server, &jiwoo, "죽고 싶어").await;
    let corrected = jiwoo
        .client
        .correct_step(step.step_id, Some(Emotion::Frustrated));
    corrected.await.unwrap();
    let bytes = bytes_under(server.dir.path());
    for word in [
        "frustrated",
        "elevated",
        "lonely",
        guess("죽고 싶어").emotion_label.as_str(),
    ] {
        assert!(!holds(&bytes, word), "{word}");
    }
    let connection = rusqlite::Connection::open(server.database()).unwrap();
    let lengths = connection.query_row(
        "SELECT length(emotion), length(correction), length(safety_tier) FROM steps",
        [],
        |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        },
    );
    assert_eq!(lengths.unwrap(), (95, 68, 66));
    connection
        .execute("UPDATE steps SET correction = emotion", [])
        .unwrap();
    let moved = jiwoo.client.steps(step.session_id).await;
    assert_eq!(moved.unwrap_err().status(), Some(500));
}

/// Steps from before schema 7 have neither: they show nothing, and the person may say what it was.
#[tokio::test]
async fn a_step_from_before_has_no_guess_and_can_be_told() {
    if on_postgres() {
        return;
    }
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let step = said(&server, &jiwoo, SAD).await;
    rusqlite::Connection::open(server.database())
        .unwrap()
        .execute("UPDATE steps SET emotion = NULL, safety_tier = NULL", [])
        .unwrap();
    let steps = jiwoo.client.steps(step.session_id).await.unwrap();
    assert_eq!((steps[0].emotion, steps[0].safety_tier), (None, None));
    let told = jiwoo
        .client
        .correct_step(step.step_id, Some(Emotion::Moved));
    assert_eq!(
        told.await.unwrap().emotion.unwrap().emotion_label,
        Emotion::Moved
    );
    let back = jiwoo.client.correct_step(step.step_id, None);
    assert_eq!(back.await.unwrap().emotion, None);
}

/// A conversation of these words, each by itself corrected to a label.
async fn felt(server: &Server, person: &Person, labels: &[Emotion]) -> deepme::domain::SessionId {
    let mut session_id = None;
    for label in labels {
        server.script(answer(&["네"]));
        let request = GenerateRequest {
            session_id,
            user_input: "그래".to_owned(),
            ..GenerateRequest::default()
        };
        let step = person.client.generate(&request).await.unwrap();
        let corrected = person.client.correct_step(step.step_id, Some(*label));
        corrected.await.unwrap();
        session_id = Some(step.session_id);
    }
    session_id.unwrap()
}

#[tokio::test]
async fn a_flow_tells_what_changed_and_where_it_turned() {
    use Emotion::{Calm, Joy, Sad};
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let session = felt(&server, &jiwoo, &[Sad, Sad, Sad, Calm, Calm, Joy]).await;
    let flow = jiwoo.client.flow(session).await.unwrap();
    let steps = jiwoo.client.steps(session).await.unwrap();
    assert_eq!((flow.session_id, flow.truncated), (session, false));
    let shown: Vec<_> = flow
        .points
        .iter()
        .map(|p| {
            (
                p.step_id,
                p.step_order,
                p.created_at,
                p.emotion,
                p.safety_tier,
            )
        })
        .collect();
    let stored: Vec<_> = steps
        .iter()
        .map(|s| {
            (
                s.step_id,
                s.step_order,
                s.created_at,
                s.emotion,
                s.safety_tier,
            )
        })
        .collect();
    assert_eq!(shown, stored);
    let changes: Vec<_> = flow.transitions.iter().map(|t| (t.from, t.to)).collect();
    assert_eq!(changes, [(Sad, Calm), (Calm, Joy)]);
    assert_eq!(flow.transitions[0].step_id, steps[3].step_id);
    let [turn] = flow.turning_points[..] else {
        panic!("{:?}", flow.turning_points)
    };
    assert_eq!(
        (turn.step_id, turn.direction),
        (steps[3].step_id, Direction::Better)
    );
    // As a picture, in the language that is asked for; a browser that opens it loads nothing.
    let picture = async |query: &str, accept: &str| {
        let path = format!("/emotion/sessions/{session}/flow?format=svg{query}");
        let ask = Ask::new("GET", path).bearer(&jiwoo.token);
        ask.header("accept-language", accept).send(&server).await
    };
    let korean = picture("", "").await;
    assert_eq!(
        korean.header("content-type"),
        Some("image/svg+xml; charset=utf-8")
    );
    let policy = korean.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(korean.text().contains("우울") && korean.text().contains("나아짐"));
    for (query, accept, word) in [
        ("", "en-US,en;q=0.9,ko;q=0.8", ">sad<"),
        ("", "fr", ">우울<"),
        ("&lang=en", "ko", ">sad<"),
        ("&lang=ko", "en", ">우울<"),
    ] {
        let answer = picture(query, accept).await;
        assert!(answer.text().contains(word), "{query} {accept}");
    }
    let narrow = picture("&width=narrow", "ko").await;
    assert!(narrow.text().contains("width=\"300\"") && narrow.text().contains("우울"));
    assert_eq!(picture("&width=wide", "").await.body, korean.body);
    for wrong in ["&lang=fr", "&format=svg", "&size=9", "&width=tiny"] {
        assert_eq!(picture(wrong, "ko").await.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn a_trend_is_the_same_over_sessions_of_some_time() {
    use Emotion::{Calm, Sad, Tired};
    const DAY: Duration = Duration::from_hours(24);
    let server = Server::with(|config| config.limits.messages_a_minute = 1000).await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    felt(&server, &minsu, &[Sad]).await;
    let mut sessions = Vec::new();
    for labels in [
        [Sad, Sad],
        [Tired, Sad],
        [Sad, Sad],
        [Calm, Calm],
        [Calm, Calm],
        [Tired, Calm],
    ] {
        sessions.push(felt(&server, &jiwoo, &labels).await);
        server.clock.advance(DAY);
    }
    let token = server
        .stranger()
        .login(&jiwoo.email, crate::support::PASSWORD)
        .await
        .unwrap();
    let client = server.stranger().with_token(&token.access_token.0).unwrap();
    let trend = client.trend(jiwoo.user_id).await.unwrap();
    let shown: Vec<_> = trend
        .points
        .iter()
        .map(|p| (p.session_id, p.emotion_label.unwrap()))
        .collect();
    let labels = [Sad, Sad, Sad, Calm, Calm, Calm];
    assert_eq!(
        shown,
        sessions.iter().copied().zip(labels).collect::<Vec<_>>()
    );
    assert_eq!(trend.points[1].valence, Some(-1.5));
    assert_eq!(trend.points[1].emotions.len(), 2);
    assert_eq!(trend.transitions.len(), 1);
    let turns: Vec<_> = trend
        .turning_points
        .iter()
        .map(|t| (t.session_id, t.direction))
        .collect();
    assert_eq!(turns, [(sessions[3], Direction::Better)]);
    let ask = async |query: &str| {
        let path = format!("/emotion/trends/user/{}?{query}", jiwoo.user_id);
        Ask::new("GET", path)
            .bearer(&token.access_token.0)
            .send(&server)
            .await
    };
    // The second and the third day; 2026-11-23 was the first.
    let some = ask("from=2026-11-24&to=2026-11-26").await.json();
    let some: Vec<_> = some["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["session_id"].clone())
        .collect();
    assert_eq!(some, [json!(sessions[1]), json!(sessions[2])]);
    for query in [
        "format=svg&lang=en",
        "format=svg&lang=en&width=narrow&utc_offset=-120",
    ] {
        assert!(
            ask(query)
                .await
                .text()
                .contains("How your conversations felt")
        );
    }
    for (query, field) in [
        ("from=2026-11-26&to=2026-11-26", "from"),
        ("from=2020-01-01", "from"),
        ("to=soon", "to"),
        ("utc_offset=841", "utc_offset"),
    ] {
        let refused = ask(query).await;
        assert_eq!(refused.status, 422, "{query}");
        assert_eq!(refused.problem().field.as_deref(), Some(field), "{query}");
    }
}
