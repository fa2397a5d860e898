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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
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
            // A peer that takes the connection and then says nothing is no peer.
            match timeout(CONNECT, self.connect()).await {
                Ok(Ok((client, mut driving))) => {
                    // What others told before is lost, at the start, too.
                    self.tell(News::Missed);
                    pause = SHORTEST;
                    self.serve(&client, &mut driving).await;
                    drop(client);
                    driving.abort();
                    tracing::warn!("the connection that carries news between instances was lost");
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "no connection to carry news between instances");
                }
                Err(_) => {
                    tracing::warn!("no connection to carry news between instances in time");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// A connection that listens, and the task that hears for it.
    async fn connect(&self) -> Result<(Client, JoinHandle<()>), Told> {
        let told = |error| Told::of(&error);
        let (client, messages) = self.connector.open().await.map_err(told)?;
        let driving = tokio::spawn(hear(messages, self.sender.clone(), self.news.clone()));
        // What is told here is worth no flush to disk. A statement that cannot be sent ends the hearing.
        let begun = client
            .batch_execute(&format!("SET synchronous_commit = off; LISTEN {CHANNEL}"))
            .await;
        if let Err(error) = begun {
            driving.abort();
            return Err(Told::of(&error));
        }
        Ok((client, driving))
    }

    /// Sends what is posted until the connection fails.
    async fn serve(&mut self, client: &Client, driving: &mut JoinHandle<()>) {
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
                let posted = tokio::select! {
                    _ = &mut *driving => return,
                    posted = self.queue.recv() => match posted {
                        Some(news) => Some(news.to_string()),
                        None => return,
                    },
                    () = tokio::time::sleep(SILENCE) => None,
                };
                if let Some(posted) = posted {
                    self.collect(posted).await;
                }
            }
            let answer = match self.unsent.front() {
                Some(payload) => {
                    let sql = "SELECT pg_notify($1, $2)";
                    timeout(PATIENCE, client.execute(sql, &[&CHANNEL, payload])).await
                }
                None => timeout(PATIENCE, client.execute("SELECT 1", &[])).await,
            };
            if !matches!(answer, Ok(Ok(_))) {
                return;
            }
            self.unsent.pop_front();
        }
    }

    /// Makes payloads of this and what else is posted within a moment.
    async fn collect(&mut self, first: String) {
        let until = Instant::now() + COLLECT;
        let mut payload = format!("{}\n{first}", self.sender);
        while let Ok(Some(news)) = tokio::time::timeout_at(until, self.queue.recv()).await {
            let line = news.to_string();
            if payload.len() + 1 + line.len() > PAYLOAD {
                self.unsent.push_back(payload);
                payload = self.sender.clone();
            }
            let _ = write!(payload, "\n{line}");
        }
        self.unsent.push_back(payload);
    }

    fn tell(&self, news: News) {
        // Nobody may be listening.
        let _ = self.news.send(news);
    }
}

/// Drives a connection and passes on what others tell, until it is closed.
async fn hear(mut messages: Messages, sender: String, news: broadcast::Sender<News>) {
    while let Some(Ok(message)) = std::future::poll_fn(|context| messages.poll(context)).await {
        let AsyncMessage::Notification(notification) = message else {
            continue;
        };
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
