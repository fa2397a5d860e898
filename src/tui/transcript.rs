//! What was said in a session, as far as this client knows.
//!
//! Owns [`Transcript`] and the one place where frames, stored steps and unsent words are brought
//! together. Called by the update. Invariants: a step is one entry, found by its `step_id` and, until
//! that is known, by the `message_id`; an answer is a prefix of the server's answer at any time, and
//! the whole of it once its turn is over.

use crate::domain::step::{FinishReason, StepStatus};
use crate::domain::{StepId, Timestamp};
use crate::wire::rest::StepBody;
use crate::wire::ws::{
    Accepted, Done, ErrorFrame, NOTICE_INCOMPLETE, Notice, Resumed, RunningTurn, Safety,
};

/// Names an entry on this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64);

/// How an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server has not said that it has the words.
    Waiting,
    /// The words are stored and the turn runs, as far as is known.
    Running,
    /// The turn is over.
    Over(StepStatus),
}

/// Something that was said, and the answer to it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) step_id: Option<StepId>,
    pub(super) message_id: Option<String>,
    order: Option<i64>,
    /// The person's words; unknown for a turn that was found running until its step is loaded.
    pub(super) words: Option<String>,
    /// The answer to the byte; only what is shown is cleaned.
    pub(super) answer: String,
    /// Code points of `answer`.
    pub(super) received: u64,
    /// Where the next token belongs, in code points. Behind `received` while the server tells again
    /// what is here already.
    place: u64,
    pub(super) phase: Phase,
    pub(super) finish: Option<FinishReason>,
    pub(super) model: Option<String>,
    pub(super) tokens: Option<i64>,
    pub(super) at: Timestamp,
    pub(super) safety: Option<Safety>,
    pub(super) notices: Vec<Notice>,
    pub(super) error: Option<ErrorFrame>,
    /// When this client sent the words, or heard of them.
    pub(super) begun: Timestamp,
    /// When the first token came, if it came to this client.
    pub(super) first: Option<Timestamp>,
}

/// What the end of a turn leaves to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Whole,
    /// The text of the step has to be asked for.
    Missing,
}

/// The entries in the order of the session; what is not accepted comes last.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    entries: Vec<Entry>,
    next_key: u64,
}

impl Transcript {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of a step.
    pub(super) fn step(&self, step_id: StepId) -> Option<&Entry> {
        self.entries.iter().find(|e| e.step_id == Some(step_id))
    }

    /// The words that the server has not said to have. There are never two.
    pub(super) fn waiting(&self) -> Option<&Entry> {
        self.entries.iter().find(|e| e.phase == Phase::Waiting)
    }

    /// The turns that are not over, as far as is known.
    pub(super) fn running(&self) -> impl Iterator<Item = (StepId, &Entry)> {
        self.entries
            .iter()
            .filter(|e| e.phase == Phase::Running)
            .filter_map(|e| e.step_id.map(|step_id| (step_id, e)))
    }

    /// Adds words that are to be sent.
    pub(super) fn say(&mut self, message_id: String, words: String, now: Timestamp) -> Key {
        let entry = self.add(now);
        entry.message_id = Some(message_id);
        entry.words = Some(words);
        entry.key
    }

    /// Takes back the words of a message that is not stored.
    pub(super) fn withdraw(&mut self, message_id: &str) -> Option<String> {
        let at = self.entries.iter().position(|e| {
            e.phase == Phase::Waiting && e.message_id.as_deref() == Some(message_id)
        })?;
        self.entries.remove(at).words
    }

    /// The server has the words. Tokens begin at the start unless `resumed` says otherwise.
    pub(super) fn accepted(&mut self, accepted: &Accepted, now: Timestamp) {
        let entry = self.entry(accepted.step_id, accepted.message_id.as_deref(), now);
        entry.order = Some(accepted.step_order);
        entry.words = Some(accepted.user_input.clone());
        entry.at = accepted.created_at;
        entry.place = 0;
        if entry.phase == Phase::Waiting {
            entry.phase = Phase::Running;
        }
        self.sort();
    }

    /// A turn was running when the socket came.
    pub(super) fn found(&mut self, turn: &RunningTurn, now: Timestamp) {
        let entry = self.entry(turn.step_id, turn.message_id.as_deref(), now);
        entry.order = Some(turn.step_order);
        if entry.phase == Phase::Waiting {
            entry.phase = Phase::Running;
        }
        self.sort();
    }

    /// The server goes on telling a step.
    pub(super) fn resumed(&mut self, resumed: &Resumed, now: Timestamp) {
        let entry = self.entry(resumed.step_id, None, now);
        if matches!(entry.phase, Phase::Over(_)) {
            return;
        }
        entry.phase = Phase::Running;
        // Nothing of it is valid, as after a crash of the server.
        if resumed.from == 0 {
            entry.answer.clear();
            entry.received = 0;
        }
        entry.place = resumed.from;
    }

    /// A piece of the answer of a step. One that would leave a gap is not taken: the end of the
    /// turn then finds text missing.
    pub(super) fn token(&mut self, step_id: StepId, token: &str, now: Timestamp) {
        let Some(entry) = self.entries.iter_mut().find(|e| e.step_id == Some(step_id)) else {
            return;
        };
        if entry.phase != Phase::Running {
            return;
        }
        let known = entry.received.checked_sub(entry.place);
        entry.place += token.chars().count() as u64;
        let Some(known) = known else { return };
        if entry.first.is_none() && !token.is_empty() {
            entry.first = Some(now);
        }
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let new = token
            .char_indices()
            .nth(known)
            .map_or("", |(at, _)| &token[at..]);
        entry.answer.push_str(new);
        entry.received += new.chars().count() as u64;
    }

    /// The turn of a step is over and its answer is stored.
    pub(super) fn done(&mut self, done: &Done, now: Timestamp) -> Rest {
        let entry = self.entry(done.step_id, done.message_id.as_deref(), now);
        let told = entry.place == entry.received && !entry.answer.is_empty();
        let rest = match entry.phase {
            Phase::Over(_) => Rest::Whole,
            _ if told && entry.words.is_some() => Rest::Whole,
            _ => Rest::Missing,
        };
        entry.order = Some(done.step_order);
        entry.at = done.created_at;
        entry.finish = done.finish_reason;
        entry.model.clone_from(&done.model);
        entry.tokens = done.tokens;
        entry.phase = match done.status {
            StepStatus::Pending => Phase::Running,
            status => Phase::Over(status),
        };
        self.sort();
        rest
    }

    /// The turn of a step is over without an answer.
    pub(super) fn failed(&mut self, step_id: StepId, error: &ErrorFrame, now: Timestamp) -> Rest {
        let entry = self.entry(step_id, None, now);
        entry.phase = Phase::Over(error.status.unwrap_or(StepStatus::Failed));
        entry.error = Some(error.clone());
        if entry.words.is_some() {
            Rest::Whole
        } else {
            Rest::Missing
        }
    }

    /// Brings in what is stored. A stored end is the truth; of a running turn the socket knows more.
    pub(super) fn merge(&mut self, steps: Vec<StepBody>, now: Timestamp) {
        for step in steps {
            let entry = self.entry(step.step_id, step.message_id.as_deref(), now);
            entry.order = Some(step.step_order);
            entry.words = Some(step.user_input);
            entry.at = step.created_at;
            if step.status == StepStatus::Pending {
                if entry.phase == Phase::Waiting {
                    entry.phase = Phase::Running;
                }
                continue;
            }
            entry.received = step.gpt_response.chars().count() as u64;
            entry.place = entry.received;
            entry.answer = step.gpt_response;
            entry.phase = Phase::Over(step.status);
            entry.finish = step.finish_reason;
            entry.model = step.model;
        }
        self.sort();
    }

    /// Something to know about the turn of a step; said again it is not shown again.
    pub(super) fn notice(&mut self, step_id: StepId, notice: Notice) {
        // The mark of the answer says the same.
        if notice.code == NOTICE_INCOMPLETE {
            return;
        }
        if let Some(entry) = self.entries.iter_mut().find(|e| e.step_id == Some(step_id))
            && !entry.notices.contains(&notice)
        {
            entry.notices.push(notice);
        }
    }

    /// Help that belongs to the words of an entry.
    pub(super) fn safety(&mut self, key: Key, safety: Safety) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.key == key) {
            entry.safety = Some(safety);
        }
    }

    /// The entry of a step; the words that are waiting under its `message_id` become it.
    fn entry(&mut self, step_id: StepId, message_id: Option<&str>, now: Timestamp) -> &mut Entry {
        let by_step = self.entries.iter().position(|e| e.step_id == Some(step_id));
        let by_message = message_id.and_then(|id| {
            let same = |e: &Entry| e.step_id.is_none() && e.message_id.as_deref() == Some(id);
            self.entries.iter().position(same)
        });
        let at = match (by_step, by_message) {
            (Some(step), Some(words)) => {
                // The turn was heard of before it was known whose it is.
                let waiting = self.entries.remove(words);
                let step = if words < step { step - 1 } else { step };
                let entry = &mut self.entries[step];
                entry.words = entry.words.take().or(waiting.words);
                entry.safety = entry.safety.take().or(waiting.safety);
                entry.begun = waiting.begun;
                step
            }
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => {
                self.add(now);
                self.entries.len() - 1
            }
        };
        let entry = &mut self.entries[at];
        entry.step_id = Some(step_id);
        if let Some(message_id) = message_id {
            entry.message_id = Some(message_id.to_owned());
        }
        entry
    }

    fn add(&mut self, now: Timestamp) -> &mut Entry {
        let key = Key(self.next_key);
        self.next_key += 1;
        self.entries.push(Entry {
            key,
            step_id: None,
            message_id: None,
            order: None,
            words: None,
            answer: String::new(),
            received: 0,
            place: 0,
            phase: Phase::Waiting,
            finish: None,
            model: None,
            tokens: None,
            at: now,
            safety: None,
            notices: Vec::new(),
            error: None,
            begun: now,
            first: None,
        });
        let last = self.entries.len() - 1;
        &mut self.entries[last]
    }

    fn sort(&mut self) {
        self.entries
            .sort_by_key(|entry| entry.order.unwrap_or(i64::MAX));
    }
}
