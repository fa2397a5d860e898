//! Lists over REST: whole without a limit, by pages with one.

use crate::raw::Ask;
use crate::support::Server;
use deepme::llm::scripted::answer;
use std::time::Duration;

/// Follows `Link` from page to page.
async fn pages(server: &Server, token: &str, path: &str, limit: usize) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    let mut next = format!("{path}?limit={limit}");
    for _ in 0..100 {
        let answer = Ask::new("GET", &next).bearer(token).send(server).await;
        assert_eq!(answer.status, 200, "{next}");
        let page = answer.json().as_array().unwrap().clone();
        assert!(page.len() <= limit);
        let full = page.len() == limit;
        all.extend(page);
        let Some(link) = answer.header("link") else {
            assert!(!full, "a full page names the next");
            return all;
        };
        let (target, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        target.clone_into(&mut next);
    }
    panic!("the pages do not end")
}

#[tokio::test]
async fn pages_give_what_the_whole_list_gives() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let mut session = None;
    for n in 0..7 {
        // Some at the same time, some later.
        server.clock.advance(Duration::from_micros(n / 3));
        server.script(answer(&["네"]));
        let (mut talk, frame) = jiwoo.connect(None).await;
        talk.input("안녕").await;
        talk.turn().await.done();
        session = Some(frame.session_id);
    }
    let session = session.unwrap();
    let (mut talk, _) = jiwoo.connect(Some(session)).await;
    for _ in 0..5 {
        server.script(answer(&["네"]));
        talk.input("또").await;
        talk.turn().await.done();
    }
    let sessions = format!("/emotion/sessions/user/{}", jiwoo.user_id);
    let steps = format!("/emotion/steps/{session}");
    for (path, length) in [(sessions, 7), (steps, 6)] {
        let whole = Ask::new("GET", &path)
            .bearer(&jiwoo.token)
            .send(&server)
            .await;
        assert_eq!(whole.header("link"), None);
        let whole = whole.json().as_array().unwrap().clone();
        assert_eq!(whole.len(), length);
        for limit in 1..=8 {
            let paged = pages(&server, &jiwoo.token, &path, limit).await;
            assert_eq!(paged, whole, "{path} by {limit}");
        }
        // Sessions newest first, steps by ascending order.
        let times: Vec<&str> = whole
            .iter()
            .map(|item| {
                item["started_at"]
                    .as_str()
                    .unwrap_or(item["created_at"].as_str().unwrap_or(""))
            })
            .collect();
        if path.starts_with("/emotion/sessions") {
            assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
        } else {
            let orders: Vec<i64> = whole
                .iter()
                .map(|s| s["step_order"].as_i64().unwrap())
                .collect();
            assert_eq!(orders, [1, 2, 3, 4, 5, 6]);
        }
    }
}
