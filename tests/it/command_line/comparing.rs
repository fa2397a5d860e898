//! `deepme prompt diff` and `prompt replay`.

use super::{Machine, PASSWORD};
use crate::upstream::{Reply, Upstream, done, ends, says};

#[test]
fn versions_of_a_prompt_are_compared() {
    let machine = Machine::new();
    let run = |args: &[&str], stdin: &str| machine.run(&[&["prompt"], args].concat(), stdin);
    let none = run(&["diff", "ko"], "").ok();
    assert!(none.out.is_empty() && none.err.contains("nothing before ko@0"));
    run(&["set", "ko"], "첫째 줄\n둘째 줄\n셋째 줄").ok();
    run(&["set", "ko"], "첫째 줄\n다른 줄\n셋째 줄").ok();
    let shown = run(&["diff", "ko"], "").ok().out;
    assert_eq!(
        shown,
        "--- ko@1\n+++ ko@2\n@@ -1,3 +1,3 @@\n 첫째 줄\n-둘째 줄\n+다른 줄\n 셋째 줄\n"
    );
    let back = run(&["diff", "ko", "2", "1"], "").ok().out;
    assert!(back.contains("-다른 줄\n+둘째 줄\n"), "{back}");
    let from_own = run(&["diff", "ko", "0", "--json"], "").ok().json();
    assert_eq!((&from_own["from"], &from_own["to"]), (&0.into(), &2.into()));
    assert!(from_own["diff"].as_str().unwrap().contains("노아"));
    let same = run(&["diff", "ko", "1", "1"], "").ok();
    assert!(
        same.out.is_empty() && same.err.contains("are the same"),
        "{same:?}"
    );
    run(&["diff", "ko", "9"], "").failed(1, "no such prompt");
    run(&["diff", "de"], "").failed(1, "no prompt \"de\"");
    run(&["set", "ko"], "안녕, {{nmae}}").failed(1, "{{name}}, {{date}} and {{language}}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_are_answered_under_two_versions_and_nothing_is_kept_but_the_reason() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[("DEEPME_LLM__CHAIN", "builtin")]);
    let url = server.url();
    let login = ["--email", "jiwoo@example.com", "--password-stdin"];
    let say = ["chat", "--server", &url, "--once", "요즘 기분이 별로야."];
    let said = machine.run(&[&say[..], &login[..]].concat(), PASSWORD).ok();
    let session = said.err.split_once("session ").unwrap().1[..36].to_owned();
    server.stop();
    machine
        .run(&["prompt", "set", "ko"], "{{name}} 님께 짧게 답하세요")
        .ok();

    let mut upstream = Upstream::start().await;
    let base_url = format!("http://{}/v1", upstream.address);
    for text in ["첫째 답이에요.", "둘째 답이에요."] {
        upstream.reply(Reply::Stream(vec![says(text), ends("stop"), done()]));
    }
    let env = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("DEEPME_LLM__CHAIN", "openai"),
    ];
    let replay = ["prompt", "replay", "ko", "0", "1", "--session", &session];
    machine.run_with(&replay, "", &env).failed(2, "--reason");
    let reason = ["--reason", "답이 차갑다는 문의, 12번"];
    let shown = machine
        .run_with(&[&replay[..], &reason[..]].concat(), "", &env)
        .ok();
    assert!(
        shown.err.contains("noted for the person to see"),
        "{shown:?}"
    );
    assert!(
        shown.err.contains("asking openai at 127.0.0.1"),
        "{shown:?}"
    );
    let lines: Vec<&str> = shown.out.lines().collect();
    assert_eq!(lines[0], "> 요즘 기분이 별로야.");
    assert!(lines[2].starts_with("ko@0  openai") && lines[2].contains("│ ko@1  openai"));
    assert!(lines[4].starts_with("첫째 답이에요.") && lines[4].ends_with("│ 둘째 답이에요."));
    let told = |body: &serde_json::Value| body["messages"][0]["content"].to_string();
    assert!(told(&upstream.request().await.body).contains("노아"));
    let second = upstream.request().await.body;
    assert!(told(&second).contains("jiwoo 님께"), "{second}");
    assert_eq!(second["messages"].as_array().unwrap().len(), 2, "{second}");

    // No model, no answer; and who looked is there to see.
    machine
        .run_with(
            &[&replay[..], &reason[..]].concat(),
            "",
            &[
                ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
                ("DEEPME_LLM__CHAIN", "openai"),
                ("DEEPME_LLM__TRIES", "1"),
            ],
        )
        .failed(1, "no model answered");
    let database = rusqlite::Connection::open(machine.path("data/deepme.db")).unwrap();
    let count = |sql: &str| {
        database
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM steps"), 1);
    assert_eq!(count("SELECT count(*) FROM accesses"), 2);
    assert_eq!(count("SELECT count(*) FROM usage"), 0);
}
