//! The oldest steps of a long conversation, folded into a summary.
//!
//! Owns [`Folding`] and the task that asks a language model for the summary. Called when a turn has
//! ended that left little room. Invariants: nobody waits for it, a drain least of all; a few run at
//! once, one a session; what it costs is charged to the person; whatever fails, the words themselves
//! stay as they are and the window alone is used.

use super::asking::{Facts, clean};
use crate::domain::prompt::{self, Language};
use crate::domain::step::{EmotionStep, StepStatus};
use crate::domain::transcript::{self, Message, Role, Summary};
use crate::domain::usage::Tokens;
use crate::domain::{SessionId, UserId};
use crate::llm::chain::says_ill;
use crate::llm::{ChatRequest, Fault, Piece, tokens};
use crate::service::App;
use crate::service::live::LiveTurn;
use crate::store::Fold;
use futures_util::StreamExt as _;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Summaries that are written at the same time.
const AT_ONCE: usize = 2;
/// Steps that are read for one of them.
const STEPS: u32 = 200;
/// Most tokens a summary may have.
const MOST_TOKENS: u32 = 700;
/// Most bytes that are kept of one.
const MOST_BYTES: usize = 6 * 1024;
/// Most bytes that are read of the words of a step, and of its answer.
const SIDE: usize = 4 * 1024;

/// The sessions whose summary is being written.
#[derive(Debug, Default)]
pub(in crate::service) struct Folding(Arc<Mutex<HashSet<SessionId>>>);

/// The place of one that is being written.
struct Place {
    sessions: Arc<Mutex<HashSet<SessionId>>>,
    session_id: SessionId,
}

fn locked(sessions: &Mutex<HashSet<SessionId>>) -> MutexGuard<'_, HashSet<SessionId>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folding {
    /// A place, unless the session has one or all are taken: a later turn will ask again.
    fn enter(&self, session_id: SessionId) -> Option<Place> {
        let mut sessions = locked(&self.0);
        if sessions.len() >= AT_ONCE || !sessions.insert(session_id) {
            return None;
        }
        Some(Place {
            sessions: Arc::clone(&self.0),
            session_id,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.sessions).remove(&self.session_id);
    }
}

/// Folds the oldest steps of the session that `turn` is in, beside everything else.
pub(super) fn begin(app: &Arc<App>, turn: &LiveTurn) {
    let Some(place) = app.folding.enter(turn.session_id) else {
        return;
    };
    let (user_id, session_id) = (turn.user_id, turn.session_id);
    let language = Language::of(&turn.user_input).unwrap_or(Language::Korean);
    let app = Arc::clone(app);
    let tracker = app.turns.clone();
    tracker.spawn(async move {
        let begun = Instant::now();
        let deadline = Duration::from_secs(app.config.llm.turn_seconds);
        let outcome = tokio::select! {
            biased;
            () = app.draining.cancelled() => "draining",
            outcome = tokio::time::timeout(deadline, fold(&app, user_id, session_id, language)) => {
                outcome.unwrap_or("too slow")
            }
        };
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%session_id, outcome, ms, "conversation folded");
        drop(place);
    });
}

/// How it went, for the log.
async fn fold(
    app: &App,
    user_id: UserId,
    session_id: SessionId,
    language: Language,
) -> &'static str {
    let stored = |error: crate::domain::Error| {
        tracing::warn!(%session_id, code = %error.code(), causes = error.causes(), "folding failed");
        "database"
    };
    let earlier = match app
        .vault
        .briefing(user_id, session_id, 0, 0, Vec::new())
        .await
    {
        Ok(briefing) => briefing.summary,
        Err(error) => return stored(error),
    };
    let after = earlier.as_ref().map_or(0, |summary| summary.until);
    let steps = match app
        .vault
        .steps(user_id, session_id, after, Some(STEPS))
        .await
    {
        Ok(steps) => steps.unwrap_or_default(),
        Err(error) => return stored(error),
    };
    let budget = app.config.llm.context_tokens;
    let Ok(Some(notes)) =
        tokio::task::spawn_blocking(move || notes(earlier, steps, language, budget)).await
    else {
        return "nothing to fold";
    };
    let request = ChatRequest {
        messages: notes.messages,
        max_output_tokens: MOST_TOKENS,
        pseudonym: app.keys.pseudonym(user_id.0.as_bytes()),
    };
    let Some((text, charge)) = ask(app, request).await else {
        return "no model";
    };
    let fold = Fold {
        session_id,
        after,
        summary: Summary {
            until: notes.until,
            text,
        },
        charge,
        at: app.clock.now(),
    };
    match app.vault.fold(user_id, fold).await {
        Ok(true) => "folded",
        Ok(false) => "somebody else was faster",
        Err(error) => stored(error),
    }
}

/// What a model is given to write a summary from.
struct Notes {
    messages: Vec<Message>,
    /// The last step that the summary will cover.
    until: i64,
}

/// Picks what to fold. Counts tokens, so it blocks.
fn notes(
    earlier: Option<Summary>,
    steps: Vec<EmotionStep>,
    language: Language,
    budget: usize,
) -> Option<Notes> {
    let ended = steps
        .into_iter()
        .take_while(|step| step.status != StepStatus::Pending);
    let (orders, texts): (Vec<i64>, Vec<String>) = ended
        .map(|step| (step.step_order, told(&step, language)))
        .unzip();
    let sizes: Vec<usize> = texts.iter().map(|text| tokens::count(text)).collect();
    let folded = transcript::to_fold(&sizes, budget / 2, budget);
    let until = *orders.get(folded.checked_sub(1)?)?;
    let (heading, talk) = match language {
        Language::Korean => ("지금까지의 요약", "그 뒤의 대화"),
        Language::English => ("Notes so far", "The conversation after them"),
    };
    let earlier = earlier.map_or(String::new(), |earlier| {
        format!("[{heading}]\n{}\n\n", earlier.text)
    });
    let given = format!("{earlier}[{talk}]\n{}", texts[..folded].concat());
    Some(Notes {
        messages: vec![
            Message {
                role: Role::System,
                content: prompt::summary(language).to_owned(),
            },
            Message {
                role: Role::User,
                content: given,
            },
        ],
        until,
    })
}

/// A step as it is told to who writes the summary.
fn told(step: &EmotionStep, language: Language) -> String {
    let (person, answer) = match language {
        Language::Korean => ("사람", "답"),
        Language::English => ("Person", "Answer"),
    };
    let cut = |text: &str| text[..text.floor_char_boundary(SIDE)].to_owned();
    let words = cut(&step.user_input);
    if step.gpt_response.is_empty() {
        return format!("{person}: {words}\n");
    }
    let said = cut(&step.gpt_response);
    format!("{person}: {words}\n{answer}: {said}\n")
}

/// The first language model that is not resting is asked once: what fails is tried after a later turn.
async fn ask(app: &App, request: ChatRequest) -> Option<(String, Tokens)> {
    let mut links = app.chain.links();
    let (link, leave) = links.find_map(|link| {
        let asked = link.model.is_language_model();
        Some((link, link.leave(Instant::now()).filter(|_| asked)?))
    })?;
    let mut facts = Facts::default();
    facts.asked(&request);
    match written(app, &*link.model, request, &mut facts).await {
        Ok(text) => {
            leave.well();
            let charge = facts.charge(text.len());
            let text = clean(text.trim());
            let text = text[..text.floor_char_boundary(MOST_BYTES)].to_owned();
            (!text.is_empty()).then_some((text, charge))
        }
        Err(fault) => {
            tracing::warn!(
                model = link.model.name(),
                fault = fault.as_str(),
                "no summary"
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

/// The whole answer of a model.
async fn written(
    app: &App,
    model: &dyn crate::llm::ChatModel,
    request: ChatRequest,
    facts: &mut Facts,
) -> Result<String, Fault> {
    // Nobody waits: it has as long for a token as a turn has for its first one.
    let patience = Duration::from_secs(app.config.llm.first_token_seconds);
    let slow = |_| Fault::Stalled;
    let asking = tokio::time::timeout(patience, model.ask(request));
    let mut stream = asking.await.map_err(slow)??;
    let mut text = String::new();
    loop {
        let next = tokio::time::timeout(patience, stream.next()).await;
        match next.map_err(slow)?.unwrap_or(Err(Fault::Connection))? {
            Piece::Text(more) if text.len() < app.config.llm.max_output_bytes => {
                text.push_str(&more);
            }
            Piece::Text(_) => return Ok(text),
            Piece::End {
                input_tokens,
                output_tokens,
                ..
            } => {
                facts.counted(input_tokens, output_tokens);
                return Ok(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_written_at_once_and_one_a_session() {
        let folding = Folding::default();
        let session = |n| SessionId(uuid::Uuid::from_u128(n));
        let first = folding.enter(session(1)).unwrap();
        assert!(folding.enter(session(1)).is_none());
        let _second = folding.enter(session(2)).unwrap();
        assert!(folding.enter(session(3)).is_none());
        drop(first);
        assert!(folding.enter(session(3)).is_some());
    }
}
