//! Summary cards: what a model writes, what is put together without one, and what somebody in danger gets.

use crate::raw::Ask;
use crate::sealing::{bytes_under, holds};
use crate::support::{PATIENCE, Person, Server, held, on_postgres};
use deepme::config::Config;
use deepme::domain::card::CardKind;
use deepme::domain::prompt::{self, Language};
use deepme::domain::step::FinishReason;
use deepme::domain::{SessionId, StepId};
use deepme::llm::scripted::{Act, Gate, Scripted, answer};
use deepme::llm::{ChatModel, ChatRequest, Fault, TokenStream};
use deepme::wire::card::CardBody;
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A model that plays its part in turns by one script and writes cards by another.
#[derive(Default)]
struct Model {
    turns: Scripted,
    cards: Scripted,
}

impl ChatModel for Model {
    fn name(&self) -> &'static str {
        "both"
    }

    fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<TokenStream, Fault>> {
        let languages = [Language::Korean, Language::English];
        if languages
            .map(prompt::card)
            .contains(&request.messages[0].content.as_str())
        {
            self.cards.ask(request)
        } else {
            self.turns.ask(request)
        }
    }
}

struct World {
    model: Arc<Model>,
    server: Server,
    jiwoo: Person,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let model = Arc::new(Model::default());
        let mut config = Config::default();
        change(&mut config);
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let models = vec![Arc::clone(&model) as Arc<dyn ChatModel>];
        let server = Server::on(dir, config, Some(models)).await;
        let jiwoo = server.person("jiwoo").await;
        Self {
            model,
            server,
            jiwoo,
        }
    }

    /// Says this in a session; the session and the step.
    async fn said(&self, session_id: Option<SessionId>, words: &str) -> (SessionId, StepId) {
        self.model.turns.add(answer(&["그랬군요"]));
        let request = GenerateRequest {
            session_id,
            user_input: words.to_owned(),
            ..GenerateRequest::default()
        };
        let step = self.jiwoo.client.generate(&request).await.unwrap();
        (step.session_id, step.step_id)
    }

    /// The card, as soon as there is one.
    async fn card(&self, session: SessionId) -> CardBody {
        let waiting = async {
            loop {
                match self.jiwoo.client.card(session).await {
                    Ok(card) => return card,
                    Err(error) => assert_eq!(error.status(), Some(404)),
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("a card is made")
    }
}

fn draft() -> Value {
    json!({
        "title": "말이 안 나온 회의", "emotions": ["shame"], "situation": "회의에서 말을 못 했다.",
        "thoughts": null, "body": null, "behaviour": null, "needs": null, "coping": null,
        "insight": "내일은 먼저 말해 보려 한다.", "tags": ["회의"],
        "quotes": [{"n": 1, "text": "말이 안 나왔어"}, {"n": 1, "text": "나는 바보야"}],
    })
}

fn says(draft: &Value, end: FinishReason) -> Vec<Act> {
    vec![Act::Say(draft.to_string()), Act::End(end)]
}

#[tokio::test]
async fn the_end_of_a_session_makes_a_card_and_fills_what_nobody_set() {
    let world = World::new().await;
    let client = &world.jiwoo.client;
    let labels = CreateSessionRequest {
        topic: Some("내가 정한 주제".to_owned()),
        ..CreateSessionRequest::default()
    };
    let session = client.create_session(&labels).await.unwrap().session_id;
    let (_, step) = world
        .said(Some(session), "오늘 회의에서 말이 안 나왔어")
        .await;
    assert_eq!(client.card(session).await.unwrap_err().status(), Some(404));
    // The end does not wait for the model.
    let gate = Gate::default();
    let cut = draft().to_string();
    let (before, after) = cut.split_at(cut.find("수").unwrap_or(30));
    world.model.cards.add(held(before, &gate, after));
    let ended = client.end_session(session).await.unwrap();
    assert!(ended.ended_at.is_some() && ended.insight_summary.is_none());
    assert_eq!(client.card(session).await.unwrap_err().status(), Some(404));
    gate.open();
    let card = world.card(session).await;
    assert_eq!(
        (card.kind, card.title.as_str()),
        (CardKind::Written, "말이 안 나온 회의")
    );
    assert_eq!(card.model.as_deref(), Some("both"));
    let quotes: Vec<_> = card
        .quotes
        .iter()
        .map(|q| (q.step_id, q.offset, q.text.as_str()))
        .collect();
    assert_eq!(quotes, [(step, 8, "말이 안 나왔어")]);
    let session_is = client.session(session).await.unwrap();
    assert_eq!(session_is.topic.as_deref(), Some("내가 정한 주제"));
    assert_eq!(session_is.emotion_label.as_deref(), Some("수치"));
    assert_eq!(session_is.trigger_summary, card.situation);
    assert_eq!(session_is.insight_summary, card.insight);
    assert_eq!(session_is.insight_tag.as_deref(), Some("회의"));
    // By its form, and with the words of the person.
    let asked = world.model.cards.asked();
    assert_eq!(asked[0].schema.unwrap().name, "card");
    assert!(asked[0].messages[1].content.contains("오늘 회의에서"));
    // Ending it again makes no other one; what the person takes along has it, and nobody reads it at rest.
    world.server.clock.advance(Duration::from_secs(1));
    client.end_session(session).await.unwrap();
    let export = client.export().await.unwrap();
    assert_eq!(export.data.sessions[0].card.as_ref(), Some(&card));
    assert_eq!(world.model.cards.asked().len(), 1);
    if !on_postgres() {
        let bytes = bytes_under(world.server.dir.path());
        for word in ["말이 안 나온 회의", "말이 안 나왔어", "내일은 먼저"] {
            assert!(!holds(&bytes, word), "{word}");
        }
    }
    // As a picture.
    let path = format!("/emotion/sessions/{session}/card?format=svg");
    let picture = Ask::new("GET", path)
        .bearer(&world.jiwoo.token)
        .send(&world.server)
        .await;
    assert!(
        picture.text().contains("“말이 안 나왔어”"),
        "{}",
        picture.text()
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_once_more_and_both_are_charged() {
    let world = World::new().await;
    let (session, _) = world.said(None, "오늘 회의에서 말이 안 나왔어").await;
    let used = async || {
        let usage = world.jiwoo.client.usage().await.unwrap();
        usage.input_tokens + usage.output_tokens
    };
    let before = used().await;
    world
        .model
        .cards
        .add(says(&json!("{\"title\": \"말"), FinishReason::Length));
    world.model.cards.add(says(&draft(), FinishReason::Stop));
    let card = world.jiwoo.client.make_card(session).await.unwrap();
    assert_eq!(card.kind, CardKind::Written);
    let asked = world.model.cards.asked();
    assert!(asked[0].max_output_tokens < asked[1].max_output_tokens);
    // Where the provider does not count, four bytes are a token.
    let instructions = i64::try_from(prompt::card(Language::Korean).len() / 4).unwrap();
    assert!(used().await > before + 2 * instructions);
    // Twice cut, it is left at that.
    for _ in 0..2 {
        world
            .model
            .cards
            .add(says(&json!("{\"title\": \"말"), FinishReason::Length));
    }
    let charged = used().await;
    let refused = world.jiwoo.client.make_card(session).await.unwrap_err();
    assert_eq!(
        (refused.status(), world.model.cards.asked().len()),
        (Some(503), 4)
    );
    assert!(used().await > charged + 2 * instructions);
    // What has just failed has a rest; of what was said since, a shorter card is made.
    world.server.clock.advance(Duration::from_secs(1));
    world.said(Some(session), "그래도 저녁은 먹었어").await;
    let card = world.jiwoo.client.make_card(session).await.unwrap();
    assert_eq!(
        (card.kind, world.model.cards.asked().len()),
        (CardKind::Extract, 4)
    );
    // What the first one had filled went with it.
    let session = world.jiwoo.client.session(session).await.unwrap();
    assert_eq!((session.topic, session.insight_summary), (None, None));
}

#[tokio::test]
async fn without_a_model_that_answers_a_shorter_card_says_so() {
    let words = "집에 와서 한참 울었어. 너무 슬퍼";
    for broken in [
        vec![Act::Fail(Fault::Connection)],
        says(&json!({"title": "x"}), FinishReason::Stop),
        says(&draft(), FinishReason::ContentFilter),
        vec![Act::Say("x".repeat(30_000)), Act::End(FinishReason::Stop)],
    ] {
        let world = World::new().await;
        let (session, step) = world.said(None, words).await;
        world.model.cards.add(broken);
        let card = world.jiwoo.client.make_card(session).await.unwrap();
        assert_eq!(
            (card.kind, card.model.as_deref()),
            (CardKind::Extract, None)
        );
        let quotes: Vec<_> = card
            .quotes
            .iter()
            .map(|q| (q.step_id, q.text.as_str()))
            .collect();
        assert_eq!(quotes, [(step, "집에 와서 한참 울었어.")]);
        assert_eq!(card, world.jiwoo.client.card(session).await.unwrap());
    }
    // Nobody is asked where the day's tokens are used up.
    let world = World::with(|config| config.limits.tokens_a_day = 1).await;
    let (session, _) = world.said(None, words).await;
    let card = world.jiwoo.client.make_card(session).await.unwrap();
    assert_eq!(
        (card.kind, world.model.cards.asked().len()),
        (CardKind::Extract, 0)
    );
}

#[tokio::test]
async fn a_written_card_stays_until_a_model_writes_another_or_more_is_said() {
    let world = World::new().await;
    let client = &world.jiwoo.client;
    let (session, _) = world.said(None, "회의에서 말이 안 나왔어").await;
    world.model.cards.add(says(&draft(), FinishReason::Stop));
    let written = client.make_card(session).await.unwrap();
    assert_eq!(written.kind, CardKind::Written);
    world.model.cards.add(vec![Act::Fail(Fault::Connection)]);
    let refused = client.make_card(session).await.unwrap_err();
    assert_eq!(refused.status(), Some(503));
    assert_eq!(client.card(session).await.unwrap(), written);
    // More was said, and the written one knows nothing of it. No model is asked again so soon.
    world.server.clock.advance(Duration::from_secs(1));
    world.said(Some(session), "그래도 저녁은 먹었어").await;
    let card = client.make_card(session).await.unwrap();
    assert_eq!(card.kind, CardKind::Extract);
}

#[tokio::test]
async fn somebody_in_danger_gets_whom_to_reach_and_no_model_is_asked() {
    let world = World::new().await;
    let client = &world.jiwoo.client;
    let (session, _) = world.said(None, "오늘 회의에서 말이 안 나왔어").await;
    world.model.cards.add(says(&draft(), FinishReason::Stop));
    assert_eq!(
        client.make_card(session).await.unwrap().kind,
        CardKind::Written
    );
    assert!(
        client
            .session(session)
            .await
            .unwrap()
            .insight_summary
            .is_some()
    );
    world.said(Some(session), "죽고 싶어").await;
    // Before anybody makes it anew, and afterwards.
    for made in [false, true] {
        if made {
            client.end_session(session).await.unwrap();
            // Until the one that the end began is made.
            while let Err(error) = client.make_card(session).await {
                assert_eq!(error.status(), Some(503));
                tokio::task::yield_now().await;
            }
        }
        let card = client.card(session).await.unwrap();
        assert_eq!(
            (card.kind, card.quotes.len(), card.insight),
            (CardKind::Care, 0, None)
        );
        assert!(card.safety.unwrap().resources[0].contact.contains("109"));
    }
    assert_eq!(world.model.cards.asked().len(), 1);
    // Nor does the cheerful one stay on the session.
    let is = client.session(session).await.unwrap();
    assert_eq!(
        (is.emotion_label, is.topic, is.insight_summary),
        (None, None, None)
    );
}

#[tokio::test]
async fn a_card_is_made_of_something_one_at_a_time_and_only_where_it_is_wanted() {
    // What is asked for here, and nothing more.
    let world = World::with(|config| {
        config.llm.cards = false;
        config.limits.messages_a_minute = 3;
    })
    .await;
    let client = &world.jiwoo.client;
    let minsu = world.server.person("minsu").await;
    let empty = client
        .create_session(&CreateSessionRequest::default())
        .await
        .unwrap();
    assert_eq!(
        client
            .make_card(empty.session_id)
            .await
            .unwrap_err()
            .status(),
        Some(404)
    );
    let (session, _) = world.said(None, "오늘 회의에서 말이 안 나왔어").await;
    client.end_session(session).await.unwrap();
    assert_eq!(client.card(session).await.unwrap_err().status(), Some(404));
    let gate = Gate::default();
    world.model.cards.add(held("", &gate, &draft().to_string()));
    let making = tokio::spawn({
        let client = client.clone();
        async move { client.make_card(session).await }
    });
    while world.model.cards.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    // Who is told to come back in a moment has had nothing, and a stranger learns nothing.
    for (client, status) in [(client, 503), (&minsu.client, 404), (client, 503)] {
        let refused = client.make_card(session).await.unwrap_err();
        assert_eq!(refused.status(), Some(status));
    }
    // Who hangs up does not stop it.
    making.abort();
    gate.open();
    assert_eq!(world.card(session).await.kind, CardKind::Written);
}

/// A drain waits for turns, never for cards.
#[tokio::test]
async fn a_drain_does_not_wait_for_a_card() {
    let world = World::new().await;
    let (session, _) = world.said(None, "오늘 회의에서 말이 안 나왔어").await;
    world.model.cards.add(vec![Act::Hang]);
    world.jiwoo.client.end_session(session).await.unwrap();
    while world.model.cards.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let begun = std::time::Instant::now();
    world.server.shut_down().await;
    assert!(begun.elapsed() < PATIENCE / 2);
}
