//! However an answer is cut and dressed on its way, its text is the same.

use super::{Reply, Upstream, done, ends, event, says};
use crate::support::{Person, Talk};
use deepme::domain::SessionId;
use deepme::domain::step::{FinishReason, StepStatus};

const TEXT: &str = "그랬군요. 👩‍👩‍👧 \"네\"\n";

/// A whole answer, its text as raw UTF-8.
fn stream() -> Vec<u8> {
    let raw = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        event(&format!(
            r#"{{"choices":[{{"delta":{{"content":{text}}}}}]}}"#
        ))
    };
    [
        raw("그랬군"),
        raw("요. 👩\u{200d}👩\u{200d}"),
        raw("👧 \"네\"\n"),
        ends("stop"),
        done(),
    ]
    .concat()
}

async fn talk(upstream: &Upstream) -> (crate::support::Server, Person, Talk, SessionId) {
    let server = upstream
        .server(|config| {
            config.llm.history_steps = 1;
            config.llm.summaries = false;
            config.limits.messages_a_minute = 0;
        })
        .await;
    let jiwoo = server.person("jiwoo").await;
    let (talk, session) = jiwoo.connect(None).await;
    (server, jiwoo, talk, session.session_id)
}

#[tokio::test]
async fn fault_07_an_answer_cut_at_every_byte_is_the_same_answer() {
    let upstream = Upstream::start().await;
    let (_server, jiwoo, mut talk, session) = talk(&upstream).await;
    let stream = stream();
    let mut turns = 0;
    let mut cuts: Vec<Vec<Vec<u8>>> = (0..=stream.len())
        .map(|cut| vec![stream[..cut].to_vec(), stream[cut..].to_vec()])
        .collect();
    cuts.extend((1..=7).map(|size| stream.chunks(size).map(<[u8]>::to_vec).collect()));
    for pieces in cuts {
        let shown = pieces[0].len();
        upstream.reply(Reply::Stream(pieces));
        talk.input("안녕").await;
        let turn = talk.turn().await;
        assert_eq!(turn.text, TEXT, "cut at {shown}");
        let end = turn.done();
        assert_eq!(
            (end.status, end.finish_reason),
            (StepStatus::Complete, Some(FinishReason::Stop)),
            "cut at {shown}"
        );
        turns += 1;
    }
    let steps = jiwoo.client.steps(session).await.unwrap();
    assert_eq!(steps.len(), turns);
    assert!(steps.iter().all(|step| step.gpt_response == TEXT));
}

/// Where the connection breaks instead, what came before is kept, whole characters only.
#[tokio::test]
async fn fault_08_an_answer_that_breaks_at_every_byte_keeps_a_whole_beginning() {
    let upstream = Upstream::start().await;
    let (_server, jiwoo, mut talk, session) = talk(&upstream).await;
    let stream = stream();
    let all_said = stream.len() - [ends("stop"), done()].concat().len();
    for cut in (0..all_said).step_by(3) {
        upstream.reply(Reply::Broken(vec![stream[..cut].to_vec()]));
        talk.input("안녕").await;
        let turn = talk.turn().await;
        assert!(TEXT.starts_with(&turn.text), "cut at {cut}: {turn:?}");
        if turn.text.is_empty() {
            assert_eq!(turn.error().status, Some(StepStatus::Failed));
        } else {
            assert_eq!(turn.done().status, StepStatus::Interrupted, "cut at {cut}");
            assert_eq!(turn.done().finish_reason, None);
            assert_eq!(turn.notices().last(), Some(&"incomplete"));
        }
    }
    for step in jiwoo.client.steps(session).await.unwrap() {
        assert!(TEXT.starts_with(&step.gpt_response));
    }
}

#[tokio::test]
async fn fault_07_streams_as_real_servers_send_them() {
    let upstream = Upstream::start().await;
    let (_server, _jiwoo, mut talk, _) = talk(&upstream).await;
    let json = |json: &str| event(json);
    let content = |text: &str| {
        json(&format!(
            r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#
        ))
    };
    let crlf = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .unwrap()
            .replace('\n', "\r\n")
            .into_bytes()
    };
    let cr = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .unwrap()
            .replace('\n', "\r")
            .into_bytes()
    };
    let ended = |pieces: Vec<Vec<u8>>| [pieces, vec![ends("stop"), done()]].concat();
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("plain", ended(vec![says("네"), says("요")])),
        ("CRLF", ended(vec![crlf(says("네")), crlf(says("요"))])),
        ("CR", vec![[cr(says("네")), cr(says("요")), cr(ends("stop")), cr(done())].concat()]),
        ("comments", ended(vec![b": ping\n\n".to_vec(), says("네"), b":\n: x\n\n".to_vec(), says("요")])),
        ("merged events", vec![[says("네"), says("요"), ends("stop"), done()].concat()]),
        ("no space", ended(vec![b"data:{\"choices\":[{\"delta\":{\"content\":\"\xeb\x84\xa4\xec\x9a\x94\"}}]}\n\n".to_vec()])),
        ("byte order mark", ended(vec!["\u{feff}".as_bytes().to_vec(), says("네요")])),
        ("event, id, retry", ended(vec![b"event: message\nid: 7\nretry: 5\n".to_vec(), says("네요")])),
        ("several data lines", ended(vec![b"data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"\xeb\x84\xa4\xec\x9a\x94\"}}]}\n\n".to_vec()])),
        ("float created", ended(vec![json(r#"{"created":1.5e9,"id":null,"choices":[{"index":0.0,"delta":{"content":"네요"}}]}"#)])),
        ("escapes", ended(vec![content(r"\ub124\uc694")])),
        ("null content", ended(vec![json(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#), says("네요")])),
        ("null delta", ended(vec![json(r#"{"choices":[{"delta":null}]}"#), says("네요")])),
        ("null choices", ended(vec![json(r#"{"choices":null}"#), says("네요")])),
        ("null error", ended(vec![json(r#"{"error":null,"choices":[]}"#), says("네요")])),
        ("empty content", ended(vec![says(""), says("네요"), says("")])),
        ("reasoning first", ended(vec![json(r#"{"choices":[{"delta":{"reasoning_content":"음"}}]}"#), says("네요")])),
        ("a broken event between", ended(vec![says("네"), json("{ broken"), says("요")])),
        ("finish_reason eos", vec![says("네요"), ends("eos"), done()]),
        ("finish_reason with the last word", vec![json(r#"{"choices":[{"delta":{"content":"네요"},"finish_reason":"stop"}]}"#), done()]),
        ("empty finish_reason", vec![json(r#"{"choices":[{"delta":{"content":"네요"},"finish_reason":""}]}"#), done()]),
        ("no finish_reason", vec![says("네요"), done()]),
        ("no [DONE]", vec![says("네요"), ends("stop")]),
        ("no blank line at the end", vec![says("네요"), ends("stop"), b"data: [DONE]".to_vec()]),
        ("words after [DONE]", vec![says("네요"), done(), says("더")]),
        ("usage", vec![says("네요"), ends("stop"), json(r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#), done()]),
        ("null usage", vec![json(r#"{"choices":[{"delta":{"content":"네요"}}],"usage":null}"#), ends("stop"), done()]),
    ];
    for (name, pieces) in cases {
        upstream.reply(Reply::Stream(pieces));
        talk.input("안녕").await;
        let turn = talk.turn().await;
        assert_eq!(turn.text, "네요", "{name}: {turn:?}");
        let end = turn.done();
        assert_eq!(end.status, StepStatus::Complete, "{name}");
        assert_eq!(end.finish_reason, Some(FinishReason::Stop), "{name}");
        assert_eq!(end.model.as_deref(), Some("up"));
        assert_eq!(end.tokens, (name == "usage").then_some(2), "{name}");
        // But for what the model was not shown.
        let mut notices = turn.notices();
        notices.retain(|code| *code != "context_trimmed");
        assert!(notices.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_reason_that_is_not_the_whole_answer_is_passed_on() {
    let upstream = Upstream::start().await;
    let (_server, jiwoo, mut talk, session) = talk(&upstream).await;
    for (word, reason) in [
        ("length", FinishReason::Length),
        ("max_tokens", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
    ] {
        upstream.reply(Reply::Stream(vec![says("네, 그"), ends(word), done()]));
        talk.input("안녕").await;
        let turn = talk.turn().await;
        assert_eq!(turn.text, "네, 그");
        let end = turn.done();
        assert_eq!(
            (end.status, end.finish_reason),
            (StepStatus::Complete, Some(reason))
        );
        // What the model was not shown is said as well.
        assert_eq!(turn.notices().last(), Some(&"incomplete"), "{word}");
    }
    let steps = jiwoo.client.steps(session).await.unwrap();
    assert_eq!(steps[0].finish_reason, Some(FinishReason::Length));
    assert_eq!(steps[2].finish_reason, Some(FinishReason::ContentFilter));
}

#[tokio::test]
async fn nul_and_other_odd_characters_do_no_harm() {
    let upstream = Upstream::start().await;
    let (_server, jiwoo, mut talk, session) = talk(&upstream).await;
    let odd = "가\0나\u{1b}[31m\u{202e}\u{fffd}\u{10ffff}";
    upstream.reply(Reply::Stream(vec![says(odd), ends("stop"), done()]));
    talk.input("안녕").await;
    let turn = talk.turn().await;
    assert_eq!(
        turn.text,
        odd.replace('\0', ""),
        "NUL cannot be kept everywhere"
    );
    let steps = jiwoo.client.steps(session).await.unwrap();
    assert_eq!(
        steps[0].gpt_response, turn.text,
        "what was shown is what is stored"
    );
    // An answer of nothing but NUL is none.
    upstream.reply(Reply::Stream(vec![says("\0\0"), ends("stop"), done()]));
    talk.input("안녕").await;
    assert_eq!(talk.turn().await.error().status, Some(StepStatus::Failed));
}
