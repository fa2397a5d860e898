//! What a language model is asked beside the turns: summaries and cards.
//!
//! Owns [`Places`], which bounds how many are written at once, and the request itself. Called by who writes them.
//! Invariants: nobody's turn waits for it; a few run at once, one a session, and a session whose last one failed
//! has a rest; only a model whose breaker is closed is asked, for one that failed is tried by people's turns.

use super::asking::{Facts, clean};
use crate::domain::SessionId;
use crate::domain::step::FinishReason;
use crate::domain::usage::Tokens;
use crate::llm::chain::{Link, State, says_ill};
use crate::llm::{ChatModel, ChatRequest, Fault, Piece};
use crate::service::App;
use futures_util::StreamExt as _;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is written at the same time.
const AT_ONCE: usize = 2;
/// How long a session is left alone after one that failed.
const REST: Duration = Duration::from_mins(5);
/// How many such sessions are remembered.
const RESTING: usize = 1000;

/// The sessions of which something is being written, and those that are left alone for a while.
#[derive(Debug, Default)]
pub(in crate::service) struct Places(Arc<Mutex<Sessions>>);

#[derive(Debug, Default)]
struct Sessions {
    written: HashSet<SessionId>,
    resting: HashMap<SessionId, Instant>,
}

/// The place of one that is being written.
#[derive(Debug)]
pub(in crate::service) struct Place {
    sessions: Arc<Mutex<Sessions>>,
    session_id: SessionId,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum NoPlace {
    /// One of this very session is being written.
    Written,
    /// All are taken, or the session has a rest.
    Later,
}

fn locked(sessions: &Mutex<Sessions>) -> MutexGuard<'_, Sessions> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// A place, unless the session has one or rests, or all are taken.
    pub(in crate::service) fn enter(
        &self,
        session_id: SessionId,
        now: Instant,
    ) -> Result<Place, NoPlace> {
        let mut sessions = locked(&self.0);
        sessions
            .resting
            .retain(|_, since| now.saturating_duration_since(*since) < REST);
        if sessions.written.contains(&session_id) {
            return Err(NoPlace::Written);
        }
        if sessions.resting.contains_key(&session_id) || sessions.written.len() >= AT_ONCE {
            return Err(NoPlace::Later);
        }
        sessions.written.insert(session_id);
        Ok(Place {
            sessions: Arc::clone(&self.0),
            session_id,
        })
    }
}

impl Place {
    /// It failed: what fails now would most likely fail in a moment, too.
    pub(in crate::service) fn failed(&self, now: Instant) {
        let mut sessions = locked(&self.sessions);
        if sessions.resting.len() >= RESTING {
            sessions.resting.clear();
        }
        sessions.resting.insert(self.session_id, now);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.sessions).written.remove(&self.session_id);
    }
}

/// What a model has written.
#[derive(Debug)]
pub(in crate::service) struct Answer {
    /// Without what surrounds it.
    pub(in crate::service) text: String,
    /// Why it ended.
    pub(in crate::service) finish_reason: FinishReason,
    /// What it cost.
    pub(in crate::service) charge: Tokens,
    /// Who wrote it.
    pub(in crate::service) model: String,
}

/// The first language model whose breaker is closed.
pub(in crate::service) fn writer(app: &App) -> Option<&Link> {
    let mut links = app.chain.links();
    links.find(|link| link.model.is_language_model() && link.state() == State::Closed)
}

/// Asks once, for at most so many bytes; `None` when nobody answers to the end.
pub(in crate::service) async fn ask(
    app: &App,
    request: ChatRequest,
    most_bytes: usize,
) -> Option<Answer> {
    let link = writer(app)?;
    let leave = link.leave(Instant::now())?;
    let mut facts = Facts::default();
    facts.asked(&request);
    match written(app, &*link.model, request, most_bytes, &mut facts).await {
        Ok(written) => {
            leave.well();
            link.answers.add(1);
            let (text, finish_reason) = written?;
            Some(Answer {
                finish_reason,
                charge: facts.charge(text.len()),
                text: clean(text.trim()).into_owned(),
                model: link.model.name().to_owned(),
            })
        }
        Err(fault) => {
            link.failures.add(fault.as_str());
            tracing::warn!(
                model = link.model.name(),
                fault = fault.as_str(),
                "nothing was written"
            );
            if says_ill(&fault) {
                leave.ill(Instant::now());
            } else {
                leave.well();
            }
            None
        }
    }
}

/// The answer of a model; `None` when it is longer than it may be.
async fn written(
    app: &App,
    model: &dyn ChatModel,
    request: ChatRequest,
    most_bytes: usize,
    facts: &mut Facts,
) -> Result<Option<(String, FinishReason)>, Fault> {
    // Nobody waits: it has as long for a token as a turn has for its first one.
    let patience = Duration::from_secs(app.config.llm.first_token_seconds);
    let slow = |_| Fault::Stalled;
    let asking = tokio::time::timeout(patience, model.ask(request));
    let mut stream = asking.await.map_err(slow)??;
    let mut text = String::new();
    loop {
        let next = tokio::time::timeout(patience, stream.next()).await;
        match next.map_err(slow)?.unwrap_or(Err(Fault::Connection))? {
            Piece::Text(more) if text.len() + more.len() <= most_bytes => text.push_str(&more),
            Piece::Text(_) => return Ok(None),
            Piece::End {
                finish_reason,
                input_tokens,
                output_tokens,
            } => {
                facts.counted(input_tokens, output_tokens);
                return Ok(Some((text, finish_reason)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_written_at_once_and_one_a_session() {
        let places = Places::default();
        let session = |n| SessionId(uuid::Uuid::from_u128(n));
        let now = Instant::now();
        let first = places.enter(session(1), now).unwrap();
        let refused = |n, at| places.enter(session(n), at).unwrap_err();
        assert_eq!(refused(1, now), NoPlace::Written);
        let _second = places.enter(session(2), now).unwrap();
        assert_eq!(refused(3, now), NoPlace::Later);
        drop(first);
        let third = places.enter(session(3), now).unwrap();
        third.failed(now);
        drop(third);
        assert_eq!(refused(3, now + REST / 2), NoPlace::Later);
        assert!(places.enter(session(3), now + REST).is_ok());
    }
}
