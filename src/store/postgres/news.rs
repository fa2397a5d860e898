//! What the instances on one database tell each other, by LISTEN and NOTIFY.
//!
//! Owns [`PostgresBulletin`]: one task with one connection, which both listens and notifies. A
//! transaction that notifies takes a lock on the whole database when it commits, so that two of them
//! never share a flush to disk: news are therefore never part of a transaction of the store, but go
//! by themselves, several at a time. Invariants: nothing waits for this task; a payload is shorter
//! than PostgreSQL's 8000 bytes; after a time without a connection everybody here hears
//! [`News::Missed`].

use super::connector::{Connector, Messages};
use super::pool::Told;
use crate::domain::news::News;
use crate::store::Bulletin;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

const CHANNEL: &str = "deepme";
/// News that may wait to be sent; more are lost, which the others are told once it is over.
const QUEUE: usize = 4096;
/// News that one who listens may be behind.
const BEHIND: usize = 4096;
/// Longest payload in bytes; PostgreSQL takes fewer than 8000.
const PAYLOAD: usize = 7900;
/// How long news are collected before they are sent together.
const COLLECT: Duration = Duration::from_millis(5);
/// How long a connection may be silent before it is asked whether it is there, and how long it may take
/// to say so.
const SILENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a connection may take until it listens.
const CONNECT: Duration = Duration::from_secs(5);
/// Pauses between two attempts to connect.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// The news of one instance.
pub struct PostgresBulletin {
    posts: mpsc::Sender<News>,
    news: broadcast::Sender<News>,
    lost: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl PostgresBulletin {
    /// Starts the task, which ends when the bulletin is dropped.
    pub fn start(connector: Connector) -> Arc<Self> {
        let (posts, queue) = mpsc::channel(QUEUE);
        let news = broadcast::Sender::new(BEHIND);
        let lost = Arc::new(AtomicU64::new(0));
        let desk = Desk {
            // Tells this instance's own news from those of others.
            sender: Uuid::new_v4().simple().to_string(),
            connector,
            queue,
            unsent: VecDeque::new(),
            news: news.clone(),
            lost: Arc::clone(&lost),
        };
        let task = tokio::spawn(desk.run());
        Arc::new(Self {
            posts,
            news,
            lost,
            task,
        })
    }
}

impl Drop for PostgresBulletin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bulletin for PostgresBulletin {
    fn post(&self, news: News) {
        if self.posts.try_send(news).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn listen(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }
}

/// The task's side.
struct Desk {
    sender: String,
    connector: Connector,
    queue: mpsc::Receiver<News>,
    /// Payloads that were not sent for certain; news may come twice.
    unsent: VecDeque<String>,
    news: broadcast::Sender<News>,
    lost: Arc<AtomicU64>,
}

impl Desk {
    async fn run(mut self) {
        let mut pause = SHORTEST;
        loop {
            let Err(error) = self.connection(&mut pause).await else {
                return;
            };
            tracing::warn!(error, "no connection carries news between instances");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// One connection, until the bulletin is dropped; or why it ended before. What hears and what sends are
    /// one task: of two, one could end before the other when the program does, and be taken for a loss.
    async fn connection(&mut self, pause: &mut Duration) -> Result<(), String> {
        // A peer that takes the connection and then says nothing is no peer.
        let until = Instant::now() + CONNECT;
        let (client, messages) = in_time(until, self.connector.open()).await?;
        // What others told before is lost, at the start, too. Said by whichever finds first that this listens,
        // so that nothing is heard before it.
        let (begun, news) = (Once::new(), self.news.clone());
        let missed = || {
            begun.call_once(|| {
                // Nobody may be listening.
                let _ = news.send(News::Missed);
            });
        };
        let hearing = hear(messages, self.sender.clone(), &news, missed);
        let sending = async {
            // What is told here is worth no flush to disk.
            let sql = format!("SET synchronous_commit = off; LISTEN {CHANNEL}");
            in_time(until, client.batch_execute(&sql)).await?;
            missed();
            *pause = SHORTEST;
            self.serve(&client).await
        };
        tokio::select! {
            // The reason is told to who hears.
            biased;
            error = hearing => Err(error),
            ended = sending => ended,
        }
    }

    /// Sends what is posted until the connection fails.
    async fn serve(&mut self, client: &Client) -> Result<(), String> {
        loop {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                tracing::warn!(
                    lost,
                    "news for other instances were more than could be sent"
                );
                self.unsent
                    .push_back(format!("{}\n{}", self.sender, News::Missed));
            }
            if self.unsent.is_empty() {
                match timeout(SILENCE, self.queue.recv()).await {
                    Ok(Some(news)) => self.collect(news).await,
                    Ok(None) => return Ok(()),
                    Err(_) => {}
                }
            }
            let until = Instant::now() + PATIENCE;
            match self.unsent.front() {
                Some(payload) => {
                    let sql = "SELECT pg_notify($1, $2)";
                    in_time(until, client.execute(sql, &[&CHANNEL, payload])).await?
                }
                None => in_time(until, client.execute("SELECT 1", &[])).await?,
            };
            self.unsent.pop_front();
        }
    }

    /// Makes payloads of this and what else is posted within a moment. None is lost when it is cancelled.
    async fn collect(&mut self, first: News) {
        let until = Instant::now() + COLLECT;
        self.unsent.push_back(format!("{}\n{first}", self.sender));
        while let Ok(Some(news)) = timeout_at(until, self.queue.recv()).await {
            let line = news.to_string();
            match self.unsent.back_mut() {
                Some(payload) if payload.len() + 1 + line.len() <= PAYLOAD => {
                    let _ = write!(payload, "\n{line}");
                }
                _ => self.unsent.push_back(format!("{}\n{line}", self.sender)),
            }
        }
    }
}

/// What the database answers by then, or why there is no answer.
async fn in_time<T>(
    until: Instant,
    asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, String> {
    match timeout_at(until, asked).await {
        Ok(answer) => answer.map_err(|error| Told::of(&error).to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Drives a connection and passes on what others tell, after `missed`, until it is closed; why it was.
async fn hear(
    mut messages: Messages,
    sender: String,
    news: &broadcast::Sender<News>,
    missed: impl Fn(),
) -> String {
    loop {
        let notification = match poll_fn(|context| messages.poll(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => notification,
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Told::of(&error).to_string(),
            None => return "it was closed".to_owned(),
        };
        missed();
        let mut lines = notification.payload().lines();
        if lines.next() == Some(&sender) {
            continue;
        }
        // A line that is no news is of a newer version.
        for told in lines.filter_map(|line| line.parse().ok()) {
            let _ = news.send(told);
        }
    }
}
