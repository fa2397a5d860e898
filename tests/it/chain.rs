//! Models that fail before they have said a word: who is asked next, when, and what people hear of it.

use crate::support::{Server, Talk};
use deepme::config::Config;
use deepme::domain::step::StepStatus;
use deepme::llm::listener::Listener;
use deepme::llm::scripted::{Act, Scripted, answer};
use deepme::llm::{ChatModel, Fault};
use deepme::wire::ws::ServerFrame;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server that asks the first model, then the second, and somebody who talks with it.
async fn chained(change: impl FnOnce(&mut Config)) -> (Server, Arc<Scripted>, Arc<Scripted>, Talk) {
    let (first, second) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let models = [&first, &second].map(|model| Arc::clone(model) as Arc<dyn ChatModel>);
    let mut config = Config::default();
    change(&mut config);
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::on(dir, config, Some(models.into())).await;
    let (talk, _) = server.person("jiwoo").await.connect(None).await;
    (server, first, second, talk)
}

fn busy(seconds: u64) -> Vec<Act> {
    let retry_after = Some(Duration::from_secs(seconds));
    vec![Act::Fail(Fault::Busy { retry_after })]
}

fn fails(fault: Fault) -> Vec<Act> {
    vec![Act::Fail(fault)]
}

#[tokio::test]
async fn fault_04_a_busy_model_is_asked_again_when_it_said() {
    let (_server, first, second, mut talk) = chained(|_| ()).await;
    first.add(busy(1));
    first.add(answer(&["네"]));
    let begun = Instant::now();
    talk.input("안녕").await;
    let turn = talk.turn().await;
    assert_eq!(
        (turn.text.as_str(), turn.done().status),
        ("네", StepStatus::Complete)
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(
        turn.notices().is_empty(),
        "it is the usual model that answers"
    );
    assert_eq!((first.asked().len(), second.asked().len()), (2, 0));
}

#[tokio::test]
async fn fault_04_a_model_that_asks_for_too_much_patience_is_left_for_the_next() {
    let (_server, first, second, mut talk) = chained(|_| ()).await;
    first.add(busy(60));
    second.add(answer(&["저는 ", "둘째예요."]));
    talk.input("안녕").await;
    let turn = talk.turn().await;
    assert_eq!(turn.text, "저는 둘째예요.");
    assert_eq!(turn.notices(), ["model_fallback"]);
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[tokio::test]
async fn fault_04_when_nobody_answers_the_person_is_told_to_try_again() {
    let (_server, first, second, mut talk) = chained(|_| ()).await;
    for model in [&first, &second] {
        for _ in 0..3 {
            model.add(fails(Fault::Status { status: 503 }));
        }
    }
    talk.input("안녕").await;
    let turn = talk.turn().await;
    let error = turn.error();
    assert_eq!(error.code, "model_unavailable");
    assert_eq!(
        (error.stored, error.status),
        (Some(true), Some(StepStatus::Failed))
    );
    assert!(error.retry_after.is_some());
    assert_eq!((first.asked().len(), second.asked().len()), (3, 3));
}

#[tokio::test]
async fn fault_05_a_model_that_refuses_the_key_is_not_asked_twice() {
    let (_server, first, second, mut talk) = chained(|_| ()).await;
    first.add(fails(Fault::Refused { status: 401 }));
    second.add(answer(&["네"]));
    talk.input("안녕").await;
    assert_eq!(talk.turn().await.text, "네");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[tokio::test]
async fn fault_05_a_passing_fault_is_not_even_noticed() {
    let (_server, first, second, mut talk) = chained(|_| ()).await;
    first.add(fails(Fault::Status { status: 500 }));
    first.add(fails(Fault::Connection));
    first.add(answer(&["네"]));
    talk.input("안녕").await;
    let turn = talk.turn().await;
    assert_eq!((turn.text.as_str(), turn.notices().len()), ("네", 0));
    assert_eq!((first.asked().len(), second.asked().len()), (3, 0));
}

#[tokio::test]
async fn fault_08_a_model_that_has_begun_to_speak_is_never_replaced() {
    let (_server, first, second, mut talk) = chained(|_| ()).await;
    first.add(vec![
        Act::Say("그랬".to_owned()),
        Act::Fail(Fault::Connection),
    ]);
    talk.input("안녕").await;
    let turn = talk.turn().await;
    assert_eq!(
        (turn.text.as_str(), turn.done().status),
        ("그랬", StepStatus::Interrupted)
    );
    assert_eq!((first.asked().len(), second.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_model_that_fails_turn_after_turn_is_left_alone_for_a_while() {
    let (_server, first, second, mut talk) =
        chained(|config| config.llm.breaker_failures = 2).await;
    for _ in 0..2 {
        first.add(fails(Fault::Refused { status: 401 }));
    }
    for _ in 0..3 {
        second.add(answer(&["네"]));
        talk.input("안녕").await;
        let turn = talk.turn().await;
        assert_eq!(
            (turn.text.as_str(), turn.notices()),
            ("네", vec!["model_fallback"])
        );
    }
    assert_eq!((first.asked().len(), second.asked().len()), (2, 3));
}

#[tokio::test]
async fn when_all_models_rest_one_is_asked_all_the_same() {
    let (_server, first, second, mut talk) =
        chained(|config| config.llm.breaker_failures = 1).await;
    for model in [&first, &second] {
        model.add(fails(Fault::Refused { status: 401 }));
    }
    talk.input("안녕").await;
    assert_eq!(talk.turn().await.error().code, "model_unavailable");
    first.add(answer(&["다시 왔어요."]));
    talk.input("거기 있어?").await;
    assert_eq!(talk.turn().await.text, "다시 왔어요.");
    assert_eq!((first.asked().len(), second.asked().len()), (2, 1));
}

/// The last resort says what it is, in the language of who hears it.
#[tokio::test]
async fn the_built_in_listener_says_that_it_is_no_language_model() {
    let first = Arc::new(Scripted::default());
    let models: Vec<Arc<dyn ChatModel>> = vec![
        Arc::clone(&first) as Arc<dyn ChatModel>,
        Arc::new(Listener::default()),
    ];
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::on(dir, Config::default(), Some(models)).await;
    let (mut talk, _) = server.person("jiwoo").await.connect(None).await;
    for (words, says) in [
        ("요즘 기분이 별로야.", "언어 모델이 아닌 내장 리스너"),
        ("I feel low lately.", "not a language model"),
    ] {
        talk.input(words).await;
        let turn = talk.turn().await;
        assert_eq!(turn.done().model.as_deref(), Some("builtin"));
        let notice = turn.frames.iter().find_map(|frame| match frame {
            ServerFrame::Notice { notice } => Some(&notice.message),
            _ => None,
        });
        assert!(
            notice.is_some_and(|notice| notice.contains(says)),
            "{turn:?}"
        );
    }
}

#[tokio::test]
async fn a_resting_model_is_asked_before_nobody_answers() {
    let (_server, first, second, mut talk) =
        chained(|config| config.llm.breaker_failures = 1).await;
    first.add(fails(Fault::Refused { status: 401 }));
    second.add(answer(&["네"]));
    talk.input("안녕").await;
    assert_eq!(talk.turn().await.text, "네");
    second.add(fails(Fault::Refused { status: 401 }));
    first.add(answer(&["저예요."]));
    talk.input("거기 있어?").await;
    let turn = talk.turn().await;
    assert_eq!((turn.text.as_str(), turn.notices().len()), ("저예요.", 0));
    assert_eq!((first.asked().len(), second.asked().len()), (2, 2));
}
