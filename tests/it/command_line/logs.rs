//! Security 23: no content, prompt, token, password or address in the logs, at trace level.

use super::Machine;
use crate::raw::Ask;
use crate::upstream::{CANARY as FROM_UPSTREAM, Reply, Upstream, event, says, status};

const CANARY: &str = "canary";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_said_or_secret_is_logged_at_trace_level() {
    let machine = Machine::new();
    let password = "canary-password-비밀은 둥지 속에";
    let email = "canary-mail@example.com";
    for format in ["text", "json"] {
        // An upstream that tells everything it knows, in every way it can.
        let upstream = Upstream::start().await;
        let base_url = format!("http://{}/v1", upstream.address);
        let told = format!(r#"{{"error":{{"message":"{FROM_UPSTREAM}"}}}}"#);
        upstream.reply(status("500 Internal Server Error", "", &told));
        upstream.reply(Reply::Stream(vec![
            says("canary answer"),
            event(FROM_UPSTREAM),
            event(&told),
        ]));
        upstream.reply(status("401 Unauthorized", "", &told));
        let env = [
            ("DEEPME_LOG__LEVEL", "trace"),
            ("DEEPME_LOG__FORMAT", format),
            ("OPENAI_API_KEY", "canary-key"),
            ("OPENAI_BASE_URL", &base_url),
            ("DEEPME_LLM__CHAIN", "openai,builtin"),
            ("DEEPME_LLM__TRIES", "1"),
        ];
        let server = machine.serve(&[], &env);
        let call = async |method, path: &str, token: Option<&str>, body: &str| {
            let mut ask = Ask::new(method, path);
            if let Some(token) = token {
                ask = ask.bearer(token);
            }
            if !body.is_empty() {
                ask = ask.json(body);
            }
            let answer = ask.send_to(server.address).await;
            serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default()
        };
        let account =
            format!(r#"{{"name":"canary name","email":"{email}","password":"{password}"}}"#);
        call("POST", "/register", None, &account).await;
        let login = call("POST", "/login", None, &account).await;
        let secret = login["access_token"].as_str().unwrap().to_owned();
        let user_id = login["user_id"].as_str().unwrap().to_owned();
        let token = Some(secret.as_str());
        call("PUT", "/me/prompt", token, r#"{"prompt":"canary prompt"}"#).await;
        let topic = r#"{"topic":"canary topic","emotion_label":"canary label"}"#;
        call("POST", "/emotion/sessions", token, topic).await;
        let said = call(
            "POST",
            "/emotion/steps/generate",
            token,
            r#"{"user_input":"canary words","system_prompt":"canary wish","step_type":"canary type"}"#,
        ).await;
        assert_eq!(said["status"], "complete", "{said}");
        let words = r#"{"user_input":"canary words again"}"#;
        let cut = call("POST", "/emotion/steps/generate", token, words).await;
        assert_eq!(cut["status"], "interrupted", "{cut}");
        // What is refused is not logged either.
        call(
            "POST",
            "/login",
            None,
            &account.replace("password-", "wrong-"),
        )
        .await;
        call("POST", "/register", None, &account).await;
        call(
            "POST",
            "/register",
            None,
            r#"{"email":"canary","email":"canary"}"#,
        )
        .await;
        call("POST", "/register", None, "canary{").await;
        call(
            "POST",
            "/emotion/steps/generate",
            token,
            r#"{"user_input":["canary"]}"#,
        )
        .await;
        call(
            "POST",
            "/emotion/steps/generate",
            Some("canary.token.x"),
            "{}",
        )
        .await;
        call(
            "GET",
            &format!("/emotion/sessions/user/{user_id}?limit=canary"),
            token,
            "",
        )
        .await;
        call(
            "GET",
            &format!("/emotion/sessions/user/{user_id}?cursor=canary"),
            token,
            "",
        )
        .await;
        call(
            "GET",
            &format!("/emotion/sessions/user/{user_id}?canary-key=canary"),
            token,
            "",
        )
        .await;
        call("GET", "/me?access_token=canary", None, "").await;
        // A ticket, used and made up, and a page that is not let in.
        let ticket = call("POST", "/ws-ticket", token, "").await;
        let ticket = ticket["ticket"].as_str().unwrap().to_owned();
        for ticket in [&ticket, &ticket, "canary"] {
            let path = format!("/ws/emotion?ticket={ticket}");
            let ask = Ask::new("GET", path).upgrade();
            ask.clone().send_to(server.address).await;
            let page = ask.header("origin", "https://canary.example");
            page.send_to(server.address).await;
        }
        call(
            "GET",
            "/ws/emotion?user_id=canary&access_token=canary",
            token,
            "",
        )
        .await;
        // And the socket, by the program's own client.
        let url = server.url();
        let once = [
            "chat",
            "--server",
            &url,
            "--email",
            email,
            "--password-stdin",
            "--once",
            "canary once",
        ];
        let talked = machine.run(&once, password).ok();
        let stopped = server.stop();
        assert_eq!(stopped.code, 0);
        let log = &stopped.err;
        assert!(log.contains("TRACE"), "the level is trace");
        assert!(
            log.contains("turn ended") && log.contains("request"),
            "it does log"
        );
        let secrets = [
            CANARY,
            &secret,
            &ticket,
            talked.out.trim(),
            said["gpt_response"].as_str().unwrap(),
        ];
        for secret in secrets {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{format}");
        }
        std::fs::remove_dir_all(machine.path("data")).unwrap();
        std::fs::remove_dir_all(machine.path("state")).unwrap();
    }
}
