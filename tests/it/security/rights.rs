//! Security 22 and 34: what is erased is gone, who read is told, and everybody can take along what is theirs.

use super::{SOON, closes, nobody_any_more, pair};
use crate::raw::Ask;
use crate::sealing::{bytes_under, holds};
use crate::support::{PASSWORD, Person, Server, held, on_postgres};
use crate::unsure::Unsure;
use deepme::config::Config;
use deepme::llm::scripted::{Gate, answer};
use deepme::store::Store as _;
use deepme::store::sqlite::SqliteStore;
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use deepme::wire::rights::{EXPORT_FORMAT, ErasedBody};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Whoever asked for it and heard that it failed must not have to ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_22_an_erasure_that_was_begun_is_finished() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::over(dir, Config::default(), None, |inner| {
        Arc::new(Unsure {
            unknown: AtomicBool::new(true),
            ..Unsure::over(inner)
        })
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let failed = jiwoo.client.erase().await.unwrap_err();
    assert_eq!(failed.status(), Some(503));
    let store = server.beside().await;
    assert!(store.user(jiwoo.user_id).await.unwrap().is_some());
    server.app.tidy().await.unwrap();
    assert_eq!(store.user(jiwoo.user_id).await.unwrap(), None);
    assert_eq!(store.data_key(jiwoo.user_id).await.unwrap(), None);
    nobody_any_more(&jiwoo).await;
}

/// A scrub in the middle of an erasure, by the sweep or by somebody else's, is not the scrub of it: the receipt says that
/// files are overwritten only when they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_22_what_is_said_to_be_overwritten_is() {
    if on_postgres() {
        return;
    }
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let slow = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&slow);
    let server = Server::over(Arc::clone(&dir), Config::default(), None, move |inner| {
        Arc::new(Unsure {
            slow: held,
            ..Unsure::over(inner)
        })
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let session = said(&server, &jiwoo, None, "첫째 말").await;
    let permit = slow.acquire().await.unwrap();
    let client = jiwoo.client.clone();
    let erasing = tokio::spawn(async move { client.erase().await });
    // Until the words are gone: then the account waits for its turn.
    let there = async || jiwoo.client.steps(session).await.unwrap().len();
    while there().await > 0 {
        tokio::task::yield_now().await;
    }
    server.app.tidy().await.unwrap();
    drop(permit);
    let receipt = erasing.await.unwrap().unwrap();
    assert_eq!(receipt.overwritten, Some(true));
    let log = dir.path().join("data/t.db-wal");
    assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
}

/// Says this in a session of its own, or in that one; the session.
async fn said(
    server: &Server,
    person: &Person,
    session: Option<deepme::domain::SessionId>,
    words: &str,
) -> deepme::domain::SessionId {
    server.script(answer(&["그랬군요, ", words]));
    let request = GenerateRequest {
        session_id: session,
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    person.client.generate(&request).await.unwrap().session_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_22_who_is_erased_is_found_nowhere_and_gets_a_receipt() {
    let server = Server::start().await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let session = said(&server, &jiwoo, None, "첫째 말").await;
    said(&server, &jiwoo, Some(session), "둘째 말").await;
    said(&server, &minsu, None, "다른 사람의 말").await;
    jiwoo.client.set_prompt("반말로").await.unwrap();
    let (mut talk, _) = jiwoo.connect(None).await;
    let key = server.beside().await.data_key(jiwoo.user_id).await.unwrap();
    let wrapped = key.unwrap().wrapped;
    let since = Instant::now();
    let receipt = jiwoo.client.erase().await.unwrap();
    assert_eq!(receipt.user_id, jiwoo.user_id);
    assert_eq!(receipt.erased_at, server.app.now());
    let erased = ErasedBody {
        sessions: 1,
        steps: 2,
        prompts: 1,
    };
    assert_eq!(receipt.erased, Some(erased));
    assert!(receipt.key_destroyed);
    nobody_any_more(&jiwoo).await;
    closes(&mut talk, since, "of who was erased").await;
    let login = server.stranger().login(&jiwoo.email, PASSWORD).await;
    assert_eq!(login.unwrap_err().status(), Some(401));
    // Nobody else is touched, and the address is free.
    let sessions = minsu.client.sessions(minsu.user_id, None).await.unwrap();
    assert_eq!(sessions.len(), 1);
    server.person("jiwoo").await;
    if on_postgres() {
        assert_eq!(receipt.overwritten, None);
        return;
    }
    assert_eq!(receipt.overwritten, Some(true));
    let files = bytes_under(server.dir.path());
    for gone in [wrapped.as_bytes(), jiwoo.user_id.0.as_bytes()] {
        // Whose tokens are void is remembered for minutes, without more than the id.
        let found = files
            .windows(gone.len())
            .filter(|bytes| *bytes == gone)
            .count();
        let remembered = usize::from(gone.len() == 16);
        assert!(found <= remembered, "{found}");
    }
    assert!(!holds(&files, &wrapped));
}

/// What was copied before a migration has the key, too: it goes from there as well.
#[tokio::test]
async fn security_22_the_key_goes_from_the_copies_that_migrations_made() {
    let server = Server::embedded().await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    said(&server, &jiwoo, None, "말").await;
    said(&server, &minsu, None, "말").await;
    let store = SqliteStore::open(&server.database(), &*server.clock).unwrap();
    let mut wrapped = Vec::new();
    for person in [&jiwoo, &minsu] {
        let key = store.data_key(person.user_id).await.unwrap();
        wrapped.push(key.unwrap().wrapped);
    }
    let copy = server.database().with_file_name("t.db.v5-1.bak");
    let live = rusqlite::Connection::open(server.database()).unwrap();
    live.execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    assert!(holds(&std::fs::read(&copy).unwrap(), &wrapped[0]));
    let receipt = jiwoo.client.erase().await.unwrap();
    assert_eq!(receipt.overwritten, Some(true));
    let bytes = std::fs::read(&copy).unwrap();
    assert!(!holds(&bytes, &wrapped[0]));
    assert!(holds(&bytes, &wrapped[1]), "the others stay as they were");
    assert!(!holds(&bytes_under(server.dir.path()), &wrapped[0]));
}

/// Somebody who is told that all is gone is not answered any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_22_a_turn_of_who_is_erased_ends() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("네, ", &gate, "들어요"));
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.input("안녕").await;
    talk.text("네, ").await;
    jiwoo.client.erase().await.unwrap();
    assert_eq!(talk.closed().await, 4401);
    // Its place is free again: the drain has nothing to wait for.
    let begun = Instant::now();
    server.shut_down().await;
    assert!(begun.elapsed() < SOON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_22_who_is_erased_on_one_instance_is_nobody_on_the_others() {
    let [here, there] = pair().await;
    let jiwoo = here.person("jiwoo").await;
    let away = Person {
        client: there.stranger().with_token(&jiwoo.token).unwrap(),
        token: jiwoo.token.clone(),
        email: jiwoo.email.clone(),
        user_id: jiwoo.user_id,
    };
    said(&there, &away, None, "말").await;
    let (mut talk, _) = away.connect(None).await;
    let since = Instant::now();
    jiwoo.client.erase().await.unwrap();
    closes(&mut talk, since, "on the other instance").await;
    nobody_any_more(&away).await;
}

/// The bytes of `data`, as they stand in the document.
fn data_of(text: &str) -> &str {
    let (_, rest) = text.split_once("\"data\":").unwrap();
    let (data, _) = rest.rsplit_once(",\"counts\":").unwrap();
    data
}

async fn export(server: &Server, person: &Person) -> (String, Value) {
    let answer = Ask::new("GET", "/me/export")
        .bearer(&person.token)
        .send(server)
        .await;
    assert_eq!(answer.status, 200);
    let attached = answer.header("content-disposition").unwrap();
    assert!(attached.starts_with("attachment"), "{attached}");
    let document: Value = answer.json();
    (answer.text().to_owned(), document)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_of_a_person_is_exported_with_counts_and_a_digest() {
    let server = Server::with(|config| {
        config.limits.messages_a_minute = 0;
        config.llm.summaries = false;
    })
    .await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    said(&server, &minsu, None, "다른 사람의 말").await;
    let labels = CreateSessionRequest {
        topic: Some("이직".to_owned()),
        ..CreateSessionRequest::default()
    };
    let labelled = jiwoo.client.create_session(&labels).await.unwrap();
    server.clock.advance(Duration::from_secs(1));
    let full = said(&server, &jiwoo, None, "말 0").await;
    // More than are read at once.
    for n in 1..=210 {
        said(&server, &jiwoo, Some(full), &format!("말 {n}")).await;
        server.clock.advance(Duration::from_secs(1));
    }
    for _ in 0..3 {
        let empty = CreateSessionRequest::default();
        jiwoo.client.create_session(&empty).await.unwrap();
        server.clock.advance(Duration::from_secs(1));
    }
    for prompt in ["반말로", "\"따옴표\"와 \\ 줄\n바꿈"] {
        jiwoo.client.set_prompt(prompt).await.unwrap();
    }
    let reason = "본인이 삭제 여부를 물어봄";
    let noted = server
        .app
        .note_access(jiwoo.user_id, Some(full), "admin", reason);
    noted.await.unwrap();
    let (text, document) = export(&server, &jiwoo).await;
    let digest = Sha256::digest(data_of(&text).as_bytes());
    let told = document["sha256"].as_str().unwrap();
    assert_eq!(told.len(), 64);
    for (byte, digits) in digest.iter().zip(told.as_bytes().chunks(2)) {
        assert_eq!(format!("{byte:02x}").as_bytes(), digits);
    }
    let read = jiwoo.client.export().await.unwrap();
    assert_eq!(read.format, EXPORT_FORMAT);
    assert_eq!(read.exported_at, server.app.now());
    let data = &read.data;
    assert_eq!(data.user.email.as_ref(), Some(&jiwoo.email));
    assert_eq!(data.sessions.len(), 5);
    let by_id = |id| {
        data.sessions
            .iter()
            .find(|s| s.session.session_id == id)
            .unwrap()
    };
    assert_eq!(by_id(full).steps, jiwoo.client.steps(full).await.unwrap());
    assert_eq!(by_id(full).steps.len(), 211);
    assert_eq!(by_id(labelled.session_id).session, labelled);
    let listed = jiwoo.client.sessions(jiwoo.user_id, None).await.unwrap();
    let exported: Vec<_> = data.sessions.iter().map(|s| s.session.clone()).collect();
    assert_eq!(exported, listed);
    let versions: Vec<i64> = data.prompts.iter().map(|p| p.prompt.version).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(data.accesses, jiwoo.client.accesses().await.unwrap());
    assert_eq!(data.accesses[0].reason, reason);
    let counts = read.counts;
    let counted = [
        counts.sessions,
        counts.steps,
        counts.prompts,
        counts.usage,
        counts.accesses,
    ];
    assert_eq!(counted, [5, 211, 2, data.usage.len() as u64, 1]);
    // The same things are the same bytes, whenever they are asked for.
    server.clock.advance(Duration::from_mins(1));
    let (later, _) = export(&server, &jiwoo).await;
    assert_eq!(data_of(&later), data_of(&text));
    assert!(!text.contains("다른 사람의 말"));
    let (other, _) = export(&server, &minsu).await;
    assert!(other.contains("다른 사람의 말") && !other.contains("말 7"));
}

/// One of a person at once: another is told to wait, and the place of one that hangs up is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_exports_once_at_a_time() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let first = server.app.export(jiwoo.user_id).await.unwrap();
    let refused = jiwoo.client.export().await.unwrap_err();
    assert_eq!(refused.code(), Some("overloaded"));
    drop(first);
    jiwoo.client.export().await.unwrap();
}

#[tokio::test]
async fn security_34_who_reads_is_told_to_the_person_and_to_nobody_else() {
    let server = Server::start().await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let session = said(&server, &jiwoo, None, "말").await;
    assert_eq!(jiwoo.client.accesses().await.unwrap(), []);
    let why = "본인의 문의에 답하기 위해";
    for (n, session) in [(1, Some(session)), (2, None), (3, Some(session))] {
        let reason = format!("{why} {n}");
        let noted = server
            .app
            .note_access(jiwoo.user_id, session, "admin", &reason);
        noted.await.unwrap();
        server.clock.advance(Duration::from_secs(1));
    }
    for (by, reason) in [
        ("", why),
        ("admin", "why"),
        ("admin", " \n "),
        ("a\u{7}", why),
    ] {
        let refused = server
            .app
            .note_access(jiwoo.user_id, None, by, reason)
            .await;
        assert!(refused.is_err(), "{by:?} {reason:?}");
    }
    let told = jiwoo.client.accesses().await.unwrap();
    let reasons: Vec<&str> = told.iter().map(|access| access.reason.as_str()).collect();
    assert_eq!(reasons, [3, 2, 1].map(|n| format!("{why} {n}")));
    assert_eq!(
        (told[1].session_id, told[0].session_id),
        (None, Some(session))
    );
    assert_eq!(told[0].by, "admin");
    assert_eq!(minsu.client.accesses().await.unwrap(), []);
    // By pages.
    let page = Ask::new("GET", "/me/access-log?limit=2").bearer(&jiwoo.token);
    let page = page.send(&server).await;
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    let link = page.header("link").unwrap();
    let next = link.split(['<', '>']).nth(1).unwrap();
    let page = Ask::new("GET", next.to_owned()).bearer(&jiwoo.token);
    let page = page.send(&server).await.json();
    assert_eq!(page[0]["access_id"], told[2].access_id.to_string());
    // Why somebody reads is about the person: it is sealed like their words.
    let store = server.beside().await;
    let stored = store.accesses(jiwoo.user_id, None, None).await.unwrap();
    assert!(stored.iter().all(|access| !access.reason.contains("문의")));
}

/// What has been kept for its time goes with the sweep, and what is newer stays.
#[tokio::test]
async fn words_and_sessions_are_kept_for_as_long_as_the_configuration_says() {
    let server = Server::with(|config| {
        config.retention.text_days = 30;
        config.retention.cards_days = 365;
        config.retention.audit_days = 400;
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let days = |n: u64| Duration::from_secs(n * 24 * 3600);
    let old = said(&server, &jiwoo, None, "오래된 말").await;
    let noted = server
        .app
        .note_access(jiwoo.user_id, None, "admin", "문의에 답하기 위해");
    noted.await.unwrap();
    server.clock.advance(days(20));
    let new = said(&server, &jiwoo, None, "새 말").await;
    let again = async |server: &Server| {
        let login = server
            .stranger()
            .login(&jiwoo.email, PASSWORD)
            .await
            .unwrap();
        server.stranger().with_token(&login.access_token.0).unwrap()
    };
    server
        .clock
        .advance(days(9) + Duration::from_secs(24 * 3600 - 1));
    server.app.tidy().await.unwrap();
    let client = again(&server).await;
    assert_eq!(
        client.steps(old).await.unwrap().len(),
        1,
        "a second too early"
    );
    server.clock.advance(Duration::from_secs(2));
    server.app.tidy().await.unwrap();
    assert_eq!(client.steps(old).await.unwrap(), []);
    assert!(client.session(old).await.unwrap().ended_at.is_some());
    assert_eq!(client.steps(new).await.unwrap().len(), 1);
    server.clock.advance(days(340));
    server.app.tidy().await.unwrap();
    let client = again(&server).await;
    assert_eq!(client.session(old).await.unwrap_err().status(), Some(404));
    assert_eq!(client.steps(new).await.unwrap(), []);
    assert_eq!(client.accesses().await.unwrap().len(), 1);
    server.clock.advance(days(31));
    server.app.tidy().await.unwrap();
    let client = again(&server).await;
    assert_eq!(client.accesses().await.unwrap(), []);
    assert_eq!(client.sessions(jiwoo.user_id, None).await.unwrap(), []);
}
