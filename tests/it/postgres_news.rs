//! News between two instances on one database.

use crate::cluster::{cluster, connect};
use crate::contract::settings;
use crate::postgres::until;
use crate::support::PATIENCE;
use deepme::domain::news::News;
use deepme::domain::{SessionId, StepId, UserId};
use deepme::store::Bulletin as _;
use deepme::store::postgres::{Connector, PostgresBulletin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Client;
use uuid::Uuid;

/// An instance: what it posts on, and what it hears.
struct Instance {
    bulletin: Arc<PostgresBulletin>,
    heard: Receiver<News>,
}

impl Instance {
    fn start(url: &str, name: &str) -> Self {
        let settings = settings(&format!("{url}?application_name={name}"));
        let bulletin = PostgresBulletin::start(Connector::parse(&settings).unwrap());
        let heard = bulletin.listen();
        Self { bulletin, heard }
    }

    async fn next(&mut self) -> News {
        let next = timeout(PATIENCE, self.heard.recv()).await;
        next.expect("news come").unwrap()
    }
}

/// Says something until it arrives: then both are connected, and nothing else is on its way.
async fn reaches(from: &Instance, to: &mut Instance) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let probe = News::Revoked(UserId(Uuid::new_v4()));
        from.bulletin.post(probe);
        let patience = Instant::now() + Duration::from_millis(500);
        while let Ok(news) = timeout_at(patience, to.heard.recv()).await {
            if news.unwrap() == probe {
                return;
            }
        }
        assert!(Instant::now() < deadline, "nothing arrives");
    }
}

async fn pair() -> (Client, Instance, Instance) {
    let url = cluster().database().await;
    let (mut here, mut there) = (
        Instance::start(&url, "here"),
        Instance::start(&url, "there"),
    );
    reaches(&here, &mut there).await;
    reaches(&there, &mut here).await;
    (connect(&url).await, here, there)
}

/// Connections of instances.
async fn connected(client: &Client, name: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = $1";
    client.query_one(sql, &[&name]).await.unwrap().get(0)
}

fn turn(n: u128) -> (SessionId, StepId) {
    (
        SessionId(Uuid::from_u128(n)),
        StepId(Uuid::from_u128(n + 1)),
    )
}

#[tokio::test]
async fn every_kind_arrives_at_the_others_and_not_at_who_posted_it() {
    let (_client, mut here, mut there) = pair().await;
    let (session, step) = turn(7);
    let all = [
        News::Begun(session, step),
        News::Grew(session, step),
        News::Ended(session, step),
        News::Watched(session, step),
        News::Stop(session, step),
        News::Revoked(UserId(Uuid::from_u128(9))),
    ];
    for news in all {
        here.bulletin.post(news);
        assert_eq!(there.next().await, news);
    }
    // What comes back comes after all that: had it heard itself, that would be first.
    let answer = News::Ended(session, step);
    there.bulletin.post(answer);
    assert_eq!(here.next().await, answer);
    assert!(here.heard.is_empty() && there.heard.is_empty());
}

#[tokio::test]
async fn who_listens_later_or_twice_hears_it_too() {
    let (_client, here, mut there) = pair().await;
    let mut second = there.bulletin.listen();
    let (session, step) = turn(7);
    here.bulletin.post(News::Begun(session, step));
    assert_eq!(there.next().await, News::Begun(session, step));
    assert_eq!(second.recv().await.unwrap(), News::Begun(session, step));
}

/// A burst needs many payloads: one of 8000 bytes or more would be refused, and the connection given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_arrives_whole_and_in_order() {
    let (client, here, mut there) = pair().await;
    let before = began(&client).await;
    for n in 0..3000 {
        let (session, step) = turn(n);
        here.bulletin.post(News::Grew(session, step));
    }
    for n in 0..3000 {
        let (session, step) = turn(n);
        assert_eq!(there.next().await, News::Grew(session, step), "the {n}th");
    }
    assert_eq!(began(&client).await, before, "the same two connections");
}

/// The processes that serve the two instances.
async fn began(client: &Client) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
               AND application_name IN ('here', 'there') ORDER BY application_name";
    let rows = client.query(sql, &[]).await.unwrap();
    let pids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(pids.len(), 2);
    pids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_connection_it_is_said_that_news_may_be_missed_and_they_flow_again() {
    let (client, mut here, mut there) = pair().await;
    for _ in 0..2 {
        let ended = client
            .execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name IN ('here', 'there')",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(ended, 2);
        assert_eq!(here.next().await, News::Missed);
        assert_eq!(there.next().await, News::Missed);
        // From here on nothing is lost any more.
        let (session, step) = turn(7);
        here.bulletin.post(News::Stop(session, step));
        assert_eq!(there.next().await, News::Stop(session, step));
        there.bulletin.post(News::Grew(session, step));
        assert_eq!(here.next().await, News::Grew(session, step));
    }
}

/// News that other versions tell are no reason to stop listening.
#[tokio::test]
async fn what_nobody_here_understands_is_passed_over() {
    let (client, here, mut there) = pair().await;
    let (session, step) = turn(7);
    for payload in ["", "\n", "someone", "someone\nnew 1 2", "someone\nbegun"] {
        let sql = "SELECT pg_notify('deepme', $1)";
        client.execute(sql, &[&payload]).await.unwrap();
    }
    let mixed = format!("someone\nnovel {session}\nended {session} {step}\n");
    let sql = "SELECT pg_notify('deepme', $1)";
    client.execute(sql, &[&mixed]).await.unwrap();
    assert_eq!(there.next().await, News::Ended(session, step));
    drop(here);
}

#[tokio::test]
async fn who_drops_a_bulletin_ends_its_connection() {
    let (client, here, mut there) = pair().await;
    assert_eq!(connected(&client, "here").await, 1);
    let Instance { bulletin, heard } = here;
    drop(bulletin);
    until("the connection is closed", async || {
        connected(&client, "here").await == 0
    })
    .await;
    assert_eq!(connected(&client, "there").await, 1, "the other one stays");
    drop(heard);
    assert!(there.heard.try_recv().is_err(), "nothing was said about it");
}
