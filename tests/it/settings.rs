//! What may change while a server runs, and what a turn that runs has of it.

use crate::support::Server;
use deepme::client::ConnectOptions;
use deepme::config::{ClientPrompts, Config, PromptLanguage};
use deepme::llm::Fault;
use deepme::llm::scripted::{Act, Scripted, answer};
use deepme::wire::ws::{ClientFrame, UserMessage};
use std::time::Duration;

/// The system prompt of each time that the model was asked.
fn told(model: &Scripted) -> Vec<String> {
    let asked = model.asked();
    let first = asked
        .iter()
        .map(|request| request.messages[0].content.clone());
    first.collect()
}

fn wish() -> ClientFrame {
    ClientFrame::UserInput(UserMessage {
        user_input: "안녕".to_owned(),
        system_prompt: Some("짧게 말해줘".to_owned()),
        ..UserMessage::default()
    })
}

#[tokio::test]
async fn a_turn_keeps_the_prompts_that_it_began_with() {
    let server = Server::start().await;
    let (mut talk, _) = server.person("jiwoo").await.connect(None).await;
    // It is asked twice in one turn, and the prompts change in between.
    let retry_after = Some(Duration::from_secs(1));
    server.script(vec![Act::Fail(Fault::Busy { retry_after })]);
    server.script(answer(&["네"]));
    server.script(answer(&["yes"]));
    talk.send(&wish()).await;
    let asked = async {
        while told(&server.model).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .unwrap();
    let mut config = Config::default();
    config.prompts.client = ClientPrompts::Ignore;
    config.prompts.language = PromptLanguage::En;
    server.app.adopt(&config);
    talk.turn().await.done();
    talk.send(&wish()).await;
    talk.turn().await.done();
    let told = told(&server.model);
    assert_eq!(told.len(), 3);
    assert!(told[0].contains("짧게 말해줘"));
    assert_eq!(told[0], told[1], "the same turn");
    assert!(
        !told[2].contains("짧게 말해줘") && told[2].starts_with("You are Noa"),
        "{}",
        told[2]
    );
}

#[tokio::test]
async fn limits_hold_from_the_next_message_on_whoever_is_connected() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    let mut config = Config::default();
    config.limits.input_bytes = 3;
    server.app.adopt(&config);
    talk.input("안녕").await;
    assert_eq!(talk.error().await.code, "invalid_input");
    config.limits.input_bytes = 100;
    config.limits.messages_a_minute = 1;
    server.app.adopt(&config);
    server.script(answer(&["네"]));
    talk.input("안녕").await;
    talk.turn().await.done();
    talk.input("안녕").await;
    assert_eq!(talk.error().await.code, "too_many");
    // What did not change is not forgotten.
    config.limits.input_bytes = 200;
    server.app.adopt(&config);
    talk.input("안녕").await;
    assert_eq!(talk.error().await.code, "too_many");
    config.limits.messages_a_minute = 0;
    config.limits.tokens_a_day = 7;
    server.app.adopt(&config);
    server.script(answer(&["네"]));
    talk.input("안녕").await;
    assert_eq!(talk.error().await.code, "quota_exceeded");
    // A place that is taken stays taken.
    config.limits.sockets_a_user = 1;
    server.app.adopt(&config);
    let refused = jiwoo.client.connect(&ConnectOptions::default()).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn helplines_are_those_of_the_new_country() {
    let server = Server::start().await;
    let words = "나 오늘 죽으려고 약을 모았어";
    let assessment = server.app.assess(words);
    let first =
        |server: &Server| server.app.safety(words, &assessment).unwrap().resources[0].clone();
    let before = first(&server);
    let mut config = Config::default();
    config.safety.country = "US".to_owned();
    server.app.adopt(&config);
    assert_ne!(first(&server), before);
}
