//! Row 6: the keys that sign tokens can be rotated, and nobody is logged out by it.

use super::{again, lives, refresh_token, status, with};
use crate::support::{PASSWORD, Person, Server};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deepme::auth::SystemRandom;
use deepme::auth::keys::Keys;
use deepme::llm::scripted::answer;
use std::time::Duration;

/// The key that a token says it is signed with.
pub fn kid(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn rotate(server: &Server, change: impl Fn(&Keys) -> Keys) -> String {
    let file = server.dir.path().join("data/token.key");
    let next = change(&Keys::load(&file).unwrap().unwrap());
    next.replace(&file).unwrap();
    let signing = next.ids().next().unwrap().to_owned();
    server.app.adopt_keys(next);
    signing
}

async fn works(person: &Person, what: &str) {
    assert_eq!(status(&person.client).await, 200, "{what}");
    person.connect(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_06_tokens_of_before_a_rotation_work_after_it() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let login = server.stranger().login_v1(&jiwoo.email, PASSWORD).await;
    let login = login.unwrap();
    let lost = server.stranger().login_v1(&jiwoo.email, PASSWORD).await;
    let lost = lost.unwrap();
    let answered = server.stranger().refresh(&refresh_token(&lost)).await;
    let phone = with(&server, &jiwoo, &login);
    let (mut talk, session) = phone.connect(None).await;
    let old = kid(&phone.token);

    let new = rotate(&server, |keys| keys.rotated(&SystemRandom).unwrap());
    assert_ne!(new, old);
    works(&jiwoo, "a long-lived token").await;
    works(&phone, "a short-lived one").await;
    lives(&mut talk).await;
    // An id that was given out before, without a row.
    let (mut back, same) = phone.connect(Some(session.session_id)).await;
    assert_eq!(same.session_id, session.session_id);
    server.script(answer(&["네"]));
    back.input("안녕").await;
    back.turn().await.done();
    // Refresh tokens, and the answer that got lost on the way.
    let next = server.stranger().refresh(&refresh_token(&login)).await;
    let next = next.unwrap();
    assert_eq!(kid(&next.access_token.0), new);
    works(&with(&server, &jiwoo, &next), "refreshed").await;
    let repeated = server.stranger().refresh(&refresh_token(&lost)).await;
    let (answered, repeated) = (answered.unwrap(), repeated.unwrap());
    assert_eq!(refresh_token(&repeated), refresh_token(&answered));
    // What was made before still proves a theft.
    server.clock.advance(Duration::from_secs(61));
    let stolen = server.stranger().refresh(&refresh_token(&lost)).await;
    assert_eq!(stolen.unwrap_err().status(), Some(401));
    let ended = server.stranger().refresh(&refresh_token(&answered)).await;
    assert_eq!(ended.unwrap_err().status(), Some(401));
    let fresh = again(&server, &jiwoo).await;
    assert_eq!(kid(&fresh.token), new);

    // Without the old key its access tokens are void; whoever refreshes is not out even then.
    rotate(&server, Keys::first_only);
    assert_eq!(status(&jiwoo.client).await, 401);
    works(&fresh, "of the key that is left").await;
    let next = server.stranger().refresh(&refresh_token(&next)).await;
    works(&with(&server, &jiwoo, &next.unwrap()), "refreshed").await;
}

/// As several machines do it, one after another: no token is made that another one cannot know yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_06_in_two_steps_every_instance_knows_every_token() {
    let servers = super::pair().await;
    let file = servers[0].dir.path().join("data/token.key");
    let jiwoo = servers[0].person("jiwoo").await;
    let load = || Keys::load(&file).unwrap().unwrap();
    let everywhere = async |what: &str| {
        for (at, there) in [(0, 1), (1, 0)] {
            let fresh = again(&servers[at], &jiwoo).await;
            let token = servers[there].stranger().with_token(&fresh.token).unwrap();
            assert_eq!(status(&token).await, 200, "{what}");
        }
        let old = servers[1].stranger().with_token(&jiwoo.token).unwrap();
        assert_eq!(status(&old).await, 200, "{what}");
    };
    load()
        .staged(&SystemRandom)
        .unwrap()
        .replace(&file)
        .unwrap();
    for server in &servers {
        everywhere("the fresh one waits").await;
        server.app.adopt_keys(load());
    }
    load().swapped().unwrap().replace(&file).unwrap();
    for server in &servers {
        everywhere("the fresh one signs").await;
        server.app.adopt_keys(load());
    }
    everywhere("everywhere").await;
    assert_ne!(
        kid(&again(&servers[1], &jiwoo).await.token),
        kid(&jiwoo.token)
    );
}
