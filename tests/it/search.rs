//! A person finds their own sessions, by bounded pieces of work.

use crate::raw::{Answer, Ask};
use crate::support::{Person, Server};
use deepme::domain::emotion::Emotion;
use deepme::domain::{SessionId, StepId};
use deepme::llm::scripted::answer;
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use deepme::wire::search::SearchBody;
use serde_json::{Value, json};
use std::time::Duration;

async fn said(server: &Server, person: &Person, session_id: SessionId, words: &str) -> StepId {
    server.script(answer(&["비밀 답변"]));
    let request = GenerateRequest {
        session_id: Some(session_id),
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    person.client.generate(&request).await.unwrap().step_id
}

async fn session(person: &Person, label: Option<&str>, tag: Option<&str>) -> SessionId {
    let request = CreateSessionRequest {
        emotion_label: label.map(str::to_owned),
        insight_tag: tag.map(str::to_owned),
        ..CreateSessionRequest::default()
    };
    person
        .client
        .create_session(&request)
        .await
        .unwrap()
        .session_id
}

async fn ask(server: &Server, person: &Person, request: &Value) -> Answer {
    let path = format!("/emotion/sessions/user/{}/search", person.user_id);
    Ask::new("POST", path)
        .bearer(&person.token)
        .json(request.to_string())
        .send(server)
        .await
}

async fn search(server: &Server, person: &Person, request: &Value) -> SearchBody {
    let answer = ask(server, person, request).await;
    assert_eq!(answer.status, 200, "{request}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn sessions_are_found_by_words_label_tag_and_date() {
    let server = Server::start().await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let first = session(&jiwoo, Some("불안"), Some("회의")).await;
    let step = said(&server, &jiwoo, first, "내일 Presentation 발표가 걱정돼").await;
    server.clock.advance(Duration::from_hours(24));
    let second = session(&jiwoo, None, Some("산책")).await;
    let calm = said(&server, &jiwoo, second, "발표 끝나고 걸었어").await;
    jiwoo
        .client
        .correct_step(calm, Some(Emotion::Calm))
        .await
        .unwrap();
    let others = session(&minsu, None, None).await;
    said(&server, &minsu, others, "나도 발표").await;
    let ids = async |query: &Value| {
        let found = search(&server, &jiwoo, query).await;
        assert_eq!(found.next, None, "{query}");
        found
            .sessions
            .iter()
            .map(|s| s.session.session_id)
            .collect::<Vec<_>>()
    };
    for (query, wanted) in [
        (json!({}), vec![second, first]),
        (json!({"q": "발표"}), vec![second, first]),
        (json!({"q": "presentation"}), vec![first]),
        // What the answer says is not what the person said.
        (json!({"q": "비밀"}), vec![]),
        (json!({"label": "anxious"}), vec![first]),
        (json!({"label": "calm"}), vec![second]),
        (json!({"tag": "회의"}), vec![first]),
        (json!({"from": "2026-11-24"}), vec![second]),
        (json!({"to": "2026-11-24"}), vec![first]),
        (json!({"from": "2026-11-24", "q": "presentation"}), vec![]),
    ] {
        assert_eq!(ids(&query).await, wanted, "{query}");
    }
    let found = search(&server, &jiwoo, &json!({"q": "PRESENTATION"})).await;
    let place = &found.sessions[0].places[0];
    assert_eq!((place.step_id, place.offset, place.length), (step, 3, 12));
    assert!(place.excerpt.contains("Presentation 발표"));
    for wrong in [
        json!({"q": ""}),
        json!({"q": " "}),
        json!({"label": ""}),
        json!({"limit": 0}),
        json!({"cursor": "x"}),
        json!({"from": "soon"}),
        json!({"sort": "new"}),
    ] {
        let refused = ask(&server, &jiwoo, &wrong).await;
        assert_eq!(refused.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn one_request_looks_at_so_many_sessions_and_says_where_to_go_on() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let mut all = Vec::new();
    for n in 0..120 {
        let tag = if n % 60 == 0 { "드문" } else { "흔한" };
        all.push(session(&jiwoo, None, Some(tag)).await);
        server.clock.advance(Duration::from_secs(1));
    }
    // Two of a tag that few have; in between there are pages with none, and still more to come.
    let (mut found, mut requests, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = search(&server, &jiwoo, &json!({"tag": "드문", "cursor": cursor})).await;
        requests += 1;
        found.extend(page.sessions.iter().map(|s| s.session.session_id));
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    assert_eq!(found, [all[60], all[0]]);
    assert_eq!(requests, 3, "50 sessions each");
    // A limit stops it earlier; pages neither skip nor repeat.
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = search(&server, &jiwoo, &json!({"limit": 7, "cursor": cursor})).await;
        assert!(page.sessions.len() <= 7);
        found.extend(page.sessions.iter().map(|s| s.session.session_id));
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    all.reverse();
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_feeling_is_found_however_long_ago_in_a_session_it_was() {
    let server = Server::with(|config| config.limits.messages_a_minute = 1000).await;
    let jiwoo = server.person("jiwoo").await;
    let long = session(&jiwoo, None, None).await;
    let first = said(&server, &jiwoo, long, "옥상 텃밭에 상추를 심었어").await;
    let moved = Some(Emotion::Moved);
    jiwoo.client.correct_step(first, moved).await.unwrap();
    for _ in 0..200 {
        said(&server, &jiwoo, long, "3월 2일").await;
        server.clock.advance(Duration::from_mins(1));
    }
    let found = search(&server, &jiwoo, &json!({"label": "moved"})).await;
    assert_eq!(found.sessions.len(), 1);
    let none = search(&server, &jiwoo, &json!({"label": "eager"})).await;
    assert!(none.sessions.is_empty());
}
