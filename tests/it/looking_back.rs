//! What the gate said in the past is counted, and read again, without a word or a name.

use crate::command_line::{Machine, PASSWORD};
use crate::support::Server;
use deepme::domain::Timestamp;
use deepme::domain::safety::Tier;
use deepme::domain::step::{StepType, UserInput};
use deepme::llm::scripted::answer;
use deepme::safety::Assessment;
use deepme::service::looking_back::Changed;
use deepme::service::turn::{Said, Say};
use deepme::wire::rest::GenerateRequest;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiers_are_counted_and_those_of_other_rules_are_found() {
    let server = Server::start().await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let said = async |person: &crate::support::Person, words: &str| {
        server.script(answer(&["네."]));
        let request = GenerateRequest {
            user_input: words.to_owned(),
            ..GenerateRequest::default()
        };
        person.client.generate(&request).await.unwrap()
    };
    said(&jiwoo, "오래전 말, 죽고 싶어.").await;
    server.clock.advance(Duration::from_hours(48));
    let since = server.app.now();
    said(&jiwoo, "날이 맑다.").await;
    said(&jiwoo, "죽고 싶어.").await;
    said(&jiwoo, "그냥 다 끝내고 죽고 싶어.").await;
    let step = said(&minsu, "점심 먹었어.").await;
    let nobody = |_| {};
    let tally = server.app.tally_tiers(since, &nobody).await.unwrap();
    assert_eq!((tally.steps, tally.unknown), (4, 0));
    assert_eq!(
        (tally.tiers[&Tier::None], tally.people[&Tier::None]),
        (2, 2)
    );
    assert_eq!(
        (tally.tiers[&Tier::Elevated], tally.people[&Tier::Elevated]),
        (2, 1)
    );
    let all = server
        .app
        .tally_tiers(Timestamp::from_micros(0), &nobody)
        .await
        .unwrap();
    assert_eq!(all.tiers[&Tier::Elevated], 3);
    let replay = server.app.replay_gate(since, &nobody).await.unwrap();
    assert_eq!((replay.steps, replay.changed), (4, vec![]));

    // As if the rules of then had heard something in these words.
    server.script(answer(&["네."]));
    let say = Say {
        session_id: step.session_id,
        user_input: UserInput::parse("저녁도 먹었어.", 1000).unwrap(),
        step_type: StepType::default(),
        message_id: None,
        client_prompt: None,
        knows_frames: true,
        assessment: Assessment {
            tier: Tier::Elevated,
            categories: Vec::new(),
            pack_version: "then".into(),
            weighable: true,
        },
    };
    let Said::Started(turn) = server.app.say(minsu.user_id, say).await.unwrap() else {
        panic!("a turn begins");
    };
    server.app.ended(&turn).await;
    let replay = server.app.replay_gate(since, &nobody).await.unwrap();
    let changed = Changed {
        session_id: step.session_id,
        step_id: turn.step_id,
        from: Tier::Elevated,
        to: Tier::None,
    };
    assert_eq!((replay.steps, replay.changed), (5, vec![changed]));
}

#[test]
fn the_commands_print_counts_and_no_words() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let url = format!("http://{}", server.address);
    let chat = [
        "chat",
        "--server",
        &url,
        "--email",
        "jiwoo@example.com",
        "--password-stdin",
        "--once",
    ];
    machine
        .run(&[&chat[..], &["요즘 죽고 싶어"]].concat(), PASSWORD)
        .ok();
    assert_eq!(server.stop().code, 0);
    let report = machine.run(&["safety", "report"], "").ok();
    let lines = [
        "messages in 30 days: 1 (from before tiers were stored: 0)",
        "tier       messages   people",
        "none              0        0",
        "low               0        0",
        "elevated          1        1",
        "imminent          0        0",
    ];
    assert_eq!(report.out.lines().collect::<Vec<_>>(), lines);
    let replay = machine.run(&["safety", "replay", "--steps"], "").ok();
    let line = "messages in 30 days: 1 (with another tier by the rules of this program: 0)\n";
    assert_eq!(replay.out, line);
    let json = machine
        .run(&["safety", "report", "--days", "1", "--json"], "")
        .ok()
        .json();
    assert_eq!(
        json["tiers"]["elevated"],
        serde_json::json!({"steps": 1, "people": 1})
    );
    let json = machine.run(&["safety", "replay", "--json"], "").ok().json();
    assert_eq!((&json["steps"], &json["changed"]), (&1.into(), &0.into()));
}
