//! The comparison at the end: what people were told against what is stored.

use crate::client::{Print, Session};
use deepme::client::Client;
use deepme::domain::step::StepStatus;
use deepme::wire::rest::StepBody;
use std::path::Path;
use std::sync::Arc;

/// What the comparison came to.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) sessions: usize,
    pub(crate) acknowledged: usize,
    pub(crate) stored: usize,
    pub(crate) complete: usize,
    pub(crate) watched: usize,
    pub(crate) wrong: Vec<String>,
}

/// Asks for every session and compares.
pub(crate) async fn compare(clients: &[Client], sessions: Vec<Session>) -> Checked {
    const AT_ONCE: usize = 8;
    let sessions = Arc::new(sessions);
    let comparing: Vec<_> = (0..AT_ONCE)
        .map(|part| {
            let (clients, sessions) = (clients.to_vec(), Arc::clone(&sessions));
            tokio::spawn(async move {
                let mut checked = Checked::default();
                for session in sessions.iter().skip(part).step_by(AT_ONCE) {
                    let client = &clients[session.account];
                    checked.session(client, session).await;
                }
                checked
            })
        })
        .collect();
    let mut all = Checked::default();
    for part in comparing {
        let part = part.await.unwrap();
        all.sessions += part.sessions;
        all.acknowledged += part.acknowledged;
        all.stored += part.stored;
        all.complete += part.complete;
        all.watched += part.watched;
        all.wrong.extend(part.wrong);
    }
    all
}

impl Checked {
    async fn session(&mut self, client: &Client, session: &Session) {
        self.sessions += 1;
        let id = session.id;
        let acknowledged = session.heard.iter().filter(|heard| heard.step_id.is_some());
        self.acknowledged += acknowledged.clone().count();
        let steps = match client.steps(id).await {
            Ok(steps) => steps,
            // Nothing was said in it.
            Err(error) if error.status() == Some(404) => Vec::new(),
            Err(error) => {
                self.wrong.push(format!("{id} cannot be read: {error}"));
                return;
            }
        };
        self.stored += steps.len();
        for (n, step) in steps.iter().enumerate() {
            if step.step_order != n as i64 + 1 {
                self.wrong
                    .push(format!("{id}: a gap before {}", step.step_order));
            }
            if step.status == StepStatus::Pending {
                self.wrong
                    .push(format!("{id}: {} is pending", step.step_order));
            }
        }
        for heard in acknowledged {
            let its = |step: &&StepBody| step.message_id.as_ref() == Some(&heard.message_id);
            let found: Vec<&StepBody> = steps.iter().filter(its).collect();
            let [step] = found[..] else {
                let times = found.len();
                self.wrong.push(format!(
                    "{id}: {} is stored {times} times",
                    heard.message_id
                ));
                continue;
            };
            self.complete += usize::from(step.status == StepStatus::Complete);
            // A turn without a word of answer was told to have failed, whatever ended it.
            let told = match heard.status {
                Some(StepStatus::Failed) => step.gpt_response.is_empty(),
                status => status == Some(step.status),
            };
            let same = Print::of(&step.gpt_response) == heard.text;
            if Some(step.step_id) != heard.step_id || !told || !same {
                self.wrong.push(format!(
                    "{id}: {} was told as {:?}, its text is {}the same, and it is stored as {:?}",
                    heard.message_id,
                    heard.status,
                    if same { "" } else { "not " },
                    step.status
                ));
            }
        }
        // Whatever is stored was said by somebody.
        let known = session.heard.len();
        if steps.len() > known {
            self.wrong
                .push(format!("{id}: {} steps of {known} messages", steps.len()));
        }
        for watched in &session.watched {
            self.watched += 1;
            let step = steps.iter().find(|step| step.step_id == watched.step_id);
            let same = step.is_some_and(|step| {
                step.status == watched.status && Print::of(&step.gpt_response) == watched.text
            });
            if !same {
                self.wrong
                    .push(format!("{id}: a second device was told something else"));
            }
        }
    }
}

/// What SQLite says of the file, and how many steps are in it.
pub(crate) fn file(database: &Path) -> (String, usize) {
    let connection = rusqlite::Connection::open(database).unwrap();
    let integrity = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    let steps: i64 = connection
        .query_row("SELECT count(*) FROM steps", [], |row| row.get(0))
        .unwrap();
    (integrity, steps as usize)
}
