//! Row 15: who may make an account is the admin's choice, and none is there by itself.

use crate::raw::{Answer, Ask};
use crate::support::{PASSWORD, Server};
use deepme::config::Registration;
use deepme::domain::user::UserFilter;
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

async fn server(registration: Registration) -> Server {
    Server::with(|config| config.auth.registration = registration).await
}

async fn register(server: &Server, name: &str, invite: Option<&str>) -> Answer {
    let email = format!("{name}@example.com");
    let mut body = json!({"name": name, "email": email, "password": PASSWORD});
    if let Some(invite) = invite {
        body["invite"] = invite.into();
    }
    let ask = Ask::new("POST", "/register").json(body.to_string());
    ask.send(server).await
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.problem().code, code);
}

async fn accounts(server: &Server) -> usize {
    let users = server.app.users(UserFilter::default(), None, 100).await;
    users.unwrap().len()
}

#[tokio::test]
async fn security_15_no_account_is_there_by_itself_and_registration_is_open_unless_said() {
    let server = Server::start().await;
    assert_eq!(accounts(&server).await, 0);
    assert_eq!(register(&server, "jiwoo", None).await.status, 201);
    // A code is not looked at where nobody needs one.
    let answer = register(&server, "minsu", Some("whatever")).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn security_15_a_closed_server_makes_accounts_for_its_admin_only() {
    let server = server(Registration::Closed).await;
    let code = server.app.invite(DAY).await.unwrap().code;
    refused(&register(&server, "a", None).await, "registration_closed");
    refused(
        &register(&server, "a", Some(&code)).await,
        "registration_closed",
    );
    assert_eq!(accounts(&server).await, 0);
    let added = server
        .app
        .add_account("지우", "jiwoo@example.com", PASSWORD);
    added.await.unwrap();
    let login = server.stranger().login("jiwoo@example.com", PASSWORD).await;
    login.unwrap();
}

#[tokio::test]
async fn security_15_an_invitation_makes_one_account_in_time_however_it_is_typed() {
    let server = server(Registration::Invite).await;
    let made = server.app.invite(DAY).await.unwrap();
    assert_eq!(made.expires_at, server.app.now().plus(DAY));
    let without = register(&server, "a", None).await;
    refused(&without, "invite_needed");
    for wrong in ["", "7KQ2M-0XJ4P-B9D8T-WZ5RC", "가", &made.code[1..]] {
        let answer = register(&server, "a", Some(wrong)).await;
        refused(&answer, "invite_needed");
        assert_eq!(answer.body, without.body, "{wrong}");
    }
    let typed = made.code.to_lowercase().replace('-', " ");
    // What is wrong with the account uses nothing up.
    assert_eq!(register(&server, "a@b", Some(&typed)).await.status, 422);
    assert_eq!(register(&server, "a", Some(&typed)).await.status, 201);
    let used = register(&server, "b", Some(&made.code)).await;
    refused(&used, "invite_needed");
    assert_eq!(used.body, without.body);
    // Nobody learns without a code who has an account.
    refused(&register(&server, "a", None).await, "invite_needed");
    refused(&register(&server, "a", Some("x")).await, "invite_needed");
    let next = server.app.invite(DAY).await.unwrap().code;
    server.clock.advance(DAY);
    refused(&register(&server, "b", Some(&next)).await, "invite_needed");
    assert_eq!(accounts(&server).await, 1);
}

#[tokio::test]
async fn security_15_of_twenty_that_bring_one_invitation_one_joins() {
    let server = server(Registration::Invite).await;
    let code = server.app.invite(DAY).await.unwrap().code;
    let names: Vec<String> = (0..20).map(|n| format!("racer{n}")).collect();
    let racing = names
        .iter()
        .map(|name| register(&server, name, Some(&code)));
    let answers = join_all(racing).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[403; 19][..]));
    assert_eq!(accounts(&server).await, 1);
}

#[tokio::test]
async fn security_15_changing_a_password_takes_the_current_one() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let new = "an entirely new one";
    let refused = jiwoo.client.change_password("not my password", new).await;
    let refused = refused.unwrap_err();
    let told = (refused.status(), refused.code());
    assert_eq!(told, (Some(401), Some("wrong_credentials")));
    let old = server.stranger().login(&jiwoo.email, PASSWORD).await;
    old.unwrap();
}
