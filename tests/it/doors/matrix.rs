//! Every route by {nobody, forgers, the expired, a stranger, the owner}.

use super::forge::Forge;
use crate::raw::Ask;
use crate::support::{PASSWORD, Person, Server};
use deepme::domain::{SessionId, StepId};
use deepme::llm::scripted::answer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Who is asked about.
struct Owner {
    person: Person,
    session: SessionId,
    step: StepId,
}

/// A route and who gets what there.
struct Door {
    method: &'static str,
    /// As the OpenAPI document writes it; `{user_id}`, `{session_id}` and `{step_id}` are the owner's.
    path: &'static str,
    body: Option<fn(&Owner) -> Value>,
    who: Who,
    /// Whether who gets in is out afterwards.
    ends: bool,
}

enum Who {
    /// Everybody gets this, whatever they show.
    Everybody(u16),
    /// Who shows no valid token gets 401.
    Known { stranger: u16, owner: u16 },
}

const fn open(method: &'static str, path: &'static str, status: u16) -> Door {
    Door {
        method,
        path,
        body: None,
        who: Who::Everybody(status),
        ends: false,
    }
}

const fn known(method: &'static str, path: &'static str, stranger: u16, owner: u16) -> Door {
    Door {
        method,
        path,
        body: None,
        who: Who::Known { stranger, owner },
        ends: false,
    }
}

impl Door {
    const fn with(mut self, body: fn(&Owner) -> Value) -> Self {
        self.body = Some(body);
        self
    }

    /// By a login of one's own.
    const fn ends(mut self) -> Self {
        self.ends = true;
        self
    }

    fn ask(&self, owner: &Owner) -> Ask {
        let path = self
            .path
            .replace("{user_id}", &owner.person.user_id.to_string())
            .replace("{session_id}", &owner.session.to_string())
            .replace("{step_id}", &owner.step.to_string());
        let mut ask = Ask::new(self.method, path);
        if let Some(body) = self.body {
            ask = ask.json(body(owner).to_string());
        }
        if self.path.starts_with("/ws/") {
            ask = ask.upgrade();
        }
        ask
    }
}

/// The table. Walked in this order: what destroys stands last.
fn doors() -> Vec<Door> {
    vec![
        open("GET", "/health", 200),
        open("GET", "/health/ready", 200),
        open("GET", "/health/live", 200),
        open("GET", "/openapi.json", 200),
        open("GET", "/docs/", 200),
        open("GET", "/", 200),
        open("GET", "/page/0/page.js", 200),
        open("POST", "/register", 409).with(
            |owner| json!({"name": "x", "email": owner.person.email, "password": "tea and rain"}),
        ),
        open("POST", "/register/guest", 403).with(|_| json!({})),
        open("POST", "/login", 200)
            .with(|owner| json!({"email": owner.person.email, "password": PASSWORD})),
        open("POST", "/refresh", 401).with(|_| json!({"refresh_token": "dmr_00"})),
        // A wrong code is not told from a wrong address.
        open("POST", "/password/reset", 401).with(|owner| {
            json!({"email": owner.person.email, "code": "00000", "new_password": "tea and rain"})
        }),
        // A valid caller gets as far as the new password, which is too short.
        known("POST", "/change-password", 422, 422)
            .with(|_| json!({"current_password": PASSWORD, "new_password": "short"})),
        known("POST", "/ws-ticket", 201, 201),
        known("GET", "/me", 200, 200),
        known("GET", "/me/usage", 200, 200),
        known("GET", "/me/export", 200, 200),
        known("GET", "/me/access-log", 200, 200),
        known("GET", "/me/prompt", 404, 200),
        known("DELETE", "/me/prompt", 404, 204),
        known("PUT", "/me/prompt", 200, 200).with(|_| json!({"prompt": "반말로"})),
        known("POST", "/emotion/sessions", 403, 201)
            .with(|owner| json!({"user_id": owner.person.user_id})),
        known("GET", "/emotion/sessions/user/{user_id}", 403, 200),
        known("POST", "/emotion/sessions/user/{user_id}/search", 403, 200)
            .with(|_| json!({"q": "안녕"})),
        known("GET", "/emotion/sessions/{session_id}", 404, 200),
        known("GET", "/emotion/sessions/{session_id}/flow", 404, 200),
        known("GET", "/emotion/sessions/{session_id}/card", 404, 404),
        known("GET", "/emotion/trends/user/{user_id}", 403, 200),
        known("GET", "/emotion/steps/{session_id}", 404, 200),
        known("PUT", "/emotion/steps/{step_id}/emotion", 404, 200)
            .with(|_| json!({"emotion_label": "calm"})),
        known("DELETE", "/emotion/steps/{step_id}/emotion", 404, 200),
        known("POST", "/emotion/steps/generate", 404, 200)
            .with(|owner| json!({"session_id": owner.session, "user_input": "안녕"})),
        known("POST", "/emotion/sessions/{session_id}/card", 404, 200),
        known("POST", "/emotion/sessions/{session_id}/end", 404, 200),
        known("GET", "/ws/emotion", 101, 101),
        known("GET", "/ws/emotion?user_id={user_id}", 403, 101),
        // An old app gets a session of its own instead.
        known("GET", "/ws/emotion?session_id={session_id}", 101, 101),
        known("POST", "/logout", 204, 204).ends(),
        known("POST", "/logout-all", 204, 204).ends(),
        known("DELETE", "/me", 200, 200).ends(),
    ]
}

async fn owner(server: &Server) -> Owner {
    let person = server.person("jiwoo").await;
    server.script(answer(&["네"]));
    let (mut talk, session) = person.connect(None).await;
    talk.input("비밀이야").await;
    let step = talk.turn().await.done().step_id;
    person.client.set_prompt("존댓말로").await.unwrap();
    Owner {
        person,
        session: session.session_id,
        step,
    }
}

async fn refused(door: &Door, ask: &Ask, server: &Server, who: &str) {
    let what = format!("{} {} by {who}", door.method, door.path);
    let answer = ask.send(server).await;
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    assert_eq!(answer.problem().code, "unauthorized", "{what}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.is_some_and(|c| c.starts_with("Bearer")), "{what}");
    assert!(!answer.text().contains("비밀"));
}

#[tokio::test]
async fn every_door_by_every_caller() {
    let server = Server::start().await;
    let owner = owner(&server).await;
    let stranger = server.person("minsu").await;
    let forge = Forge::of(&server);
    let forged = forge.bad(&owner.person);
    server.script(answer(&["네"]));
    // What ends a login is asked by another one.
    let again = async |person: &Person| {
        let login = server.stranger().login(&person.email, PASSWORD).await;
        login.unwrap().access_token.0
    };
    for door in doors() {
        let what = format!("{} {}", door.method, door.path);
        let ask = door.ask(&owner);
        if (door.method, door.path) == ("DELETE", "/me") {
            // The words of strangers and forgers were heard by nobody: two turns and a card.
            assert_eq!(server.model.asked().len(), 3);
            let token = again(&owner.person).await;
            let client = server.stranger().with_token(&token).unwrap();
            assert_eq!(client.steps(owner.session).await.unwrap().len(), 2);
        }
        match door.who {
            Who::Everybody(status) => {
                assert_eq!(ask.send(&server).await.status, status, "{what}");
                for (name, token) in forged.iter().take(3) {
                    let answer = ask.clone().bearer(token).send(&server).await;
                    assert_eq!(answer.status, status, "{what} by {name}");
                }
            }
            Who::Known {
                stranger: theirs,
                owner: own,
            } => {
                refused(&door, &ask, &server, "nobody").await;
                // Since the logout everywhere, the forger's guess of the next epoch is right.
                let erases = door.method == "DELETE" && door.path == "/me";
                let wrong = |(name, _): &&(String, String)| !erases || *name != "epoch 1";
                for (name, token) in forged.iter().filter(wrong) {
                    refused(&door, &ask.clone().bearer(token), &server, name).await;
                }
                let basic = ask.clone().header("authorization", "Basic amk6eA==");
                refused(&door, &basic, &server, "basic").await;
                let in_url = format!(
                    "{}access_token={}",
                    if ask.path.contains('?') { "&" } else { "?" },
                    owner.person.token
                );
                if door.path.starts_with("/ws/") {
                    let mut ask = ask.clone();
                    ask.path.push_str(&in_url);
                    refused(&door, &ask, &server, "a token in the URL").await;
                }
                let token = if door.ends {
                    again(&stranger).await
                } else {
                    stranger.token.clone()
                };
                let answer = ask.clone().bearer(&token).send(&server).await;
                assert_eq!(
                    answer.status,
                    theirs,
                    "{what} by a stranger: {}",
                    answer.text()
                );
                assert!(!answer.text().contains("비밀"), "{what}");
                assert!(
                    !answer.text().contains(&owner.person.user_id.to_string()),
                    "{what}"
                );
                // The forge itself works, or its failures prove nothing.
                let token = if door.ends {
                    again(&owner.person).await
                } else {
                    forge.good(&owner.person)
                };
                let answer = ask.clone().bearer(&token).send(&server).await;
                assert_eq!(answer.status, own, "{what} by the owner: {}", answer.text());
            }
        }
    }
    let login = server.stranger().login(&owner.person.email, PASSWORD).await;
    assert_eq!(login.unwrap_err().status(), Some(401), "erased");
}

#[tokio::test]
async fn every_door_by_the_expired() {
    let server = Server::start().await;
    let owner = owner(&server).await;
    let ttl = Duration::from_secs(server.app.config().auth.legacy_ttl);
    server.clock.advance(ttl + Duration::from_secs(9));
    let me = Ask::new("GET", "/me").bearer(&owner.person.token);
    assert_eq!(me.send(&server).await.status, 200, "clocks differ a little");
    server.clock.advance(Duration::from_secs(21));
    for door in doors() {
        let ask = door.ask(&owner).bearer(&owner.person.token);
        match door.who {
            Who::Everybody(status) => assert_eq!(ask.send(&server).await.status, status),
            Who::Known { .. } => refused(&door, &ask, &server, "the expired").await,
        }
    }
}

/// A route that is added to the server without a row above fails here.
#[tokio::test]
async fn every_route_of_the_document_is_in_the_table_and_says_who_may_enter() {
    let server = Server::start().await;
    let document = Ask::new("GET", "/openapi.json").send(&server).await.json();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            if ![
                "GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE",
            ]
            .contains(&method.as_str())
            {
                continue;
            }
            // Without `security` of its own the document's holds, which wants a token.
            let anybody = operation.get("security").is_some_and(|security| {
                let ways = security.as_array().unwrap();
                ways.is_empty() || ways.iter().any(|way| way.as_object().unwrap().is_empty())
            });
            routes.insert((method, path.clone(), anybody));
        }
    }
    assert_eq!(document["security"], json!([{"bearer": []}]));
    let undocumented = [
        "/ws/emotion",
        "/openapi.json",
        "/docs/",
        "/",
        "/page/0/page.js",
    ];
    let table: BTreeSet<_> = doors()
        .iter()
        .filter(|door| !undocumented.contains(&door.path.split('?').next().unwrap()))
        .map(|door| {
            let anybody = matches!(door.who, Who::Everybody(_));
            (door.method.to_owned(), door.path.to_owned(), anybody)
        })
        .collect();
    assert_eq!(routes, table);
}

/// Security 3: nobody can tell somebody else's thing from one that does not exist.
#[tokio::test]
async fn what_is_somebody_elses_and_what_does_not_exist_are_the_same_to_the_byte() {
    let server = Server::start().await;
    let mut owner = owner(&server).await;
    let stranger = server.person("minsu").await;
    let foreign = owner.session;
    let step = owner.step;
    let (_socket, reserved) = owner.person.connect(None).await;
    let mut compared = 0;
    for door in doors() {
        if !matches!(door.who, Who::Known { stranger: 404, .. }) || door.path.starts_with("/me") {
            continue;
        }
        let mut answers = Vec::new();
        let nothing = StepId(uuid::Uuid::now_v7());
        for (session, step) in [
            (SessionId(uuid::Uuid::now_v7()), nothing),
            (foreign, step),
            (reserved.session_id, step),
        ] {
            (owner.session, owner.step) = (session, step);
            let answer = door.ask(&owner).bearer(&stranger.token).send(&server).await;
            let mut headers = answer.headers;
            headers.retain(|(name, _)| name != "x-request-id" && name != "date");
            answers.push((answer.status, headers, answer.body));
        }
        assert_eq!(answers[0].0, 404);
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{} {answers:?}",
            door.path
        );
        compared += 1;
    }
    assert!(compared >= 8, "session, end, steps, generate, emotion");
    // Nor by resuming a step of somebody else's on one's own socket.
    let step = owner.person.client.steps(foreign).await.unwrap()[0].step_id;
    let (mut talk, _) = stranger.connect(None).await;
    let mut errors = Vec::new();
    for id in [step.0, uuid::Uuid::now_v7()] {
        let frame = json!({"resume": {"step_id": id, "received": 0}});
        talk.send_text(&frame.to_string()).await;
        errors.push(talk.error().await);
    }
    assert_eq!(errors[0].code, "not_found");
    assert_eq!(errors[0], errors[1]);
}
