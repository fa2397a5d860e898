//! One conversation on the screen.
//!
//! Owns [`Chat`]: the transcript, the words being typed, the connection and what of it all is in
//! view. Called by the update. Invariant: whatever the person typed is in the editor, in the
//! transcript or back in the editor, never nowhere.

use super::editor::Editor;
use super::link::{Link, Open};
use super::transcript::{Entry, Key, Transcript};
use crate::domain::{SessionId, Timestamp};
use crate::wire::ws::Safety;
use std::time::Duration;

/// What of the transcript is in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scroll {
    /// The end, also when it moves.
    Follow,
    /// From this row of this entry on, whatever comes below.
    At(Key, usize),
}

/// A conversation.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may hold with any other"
)]
pub(super) struct Chat {
    /// The server's name for it, once it was said.
    pub(super) session_id: Option<SessionId>,
    /// What it is about.
    pub(super) title: Option<String>,
    /// Whether it can only be read.
    pub(super) ended: bool,
    /// Whether the stored steps are still on their way for the first time.
    pub(super) loading: bool,
    pub(super) transcript: Transcript,
    pub(super) editor: Editor,
    pub(super) link: Link,
    pub(super) scroll: Scroll,
    /// Whether something came that is out of view.
    pub(super) unseen: bool,
    /// Help for what was said last, and the entry that it belongs to. Stays until more is said.
    pub(super) safety: Option<(Safety, Option<Key>)>,
    pub(super) last: Option<Stats>,
    /// Before this time nothing that was refused is sent again.
    pub(super) hold_until: Option<Timestamp>,
    /// Whether the words that are waiting were sent, so that the server may have them.
    pub(super) sent: bool,
    /// When to look at the stored steps again.
    pub(super) reload_at: Option<Timestamp>,
}

/// What is known of the last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) model: Option<String>,
    pub(super) first: Option<Duration>,
    pub(super) total: Duration,
    pub(super) tokens: Option<i64>,
    pub(super) chars: u64,
}

impl Stats {
    /// The numbers of a turn that ended `now`.
    pub(super) fn of(entry: &Entry, now: Timestamp) -> Self {
        Self {
            model: entry.model.clone(),
            first: entry.first.map(|first| first.since(entry.begun)),
            total: now.since(entry.begun),
            tokens: entry.tokens,
            chars: entry.received,
        }
    }
}

impl Chat {
    pub(super) fn new(session_id: Option<SessionId>, draft: &str) -> Self {
        Self {
            session_id,
            title: None,
            ended: false,
            loading: false,
            transcript: Transcript::default(),
            editor: Editor::with(draft),
            link: Link::Off,
            scroll: Scroll::Follow,
            unseen: false,
            safety: None,
            last: None,
            hold_until: None,
            sent: false,
            reload_at: None,
        }
    }

    pub(super) const fn open(&mut self) -> Option<&mut Open> {
        match &mut self.link {
            Link::Open(open) => Some(open),
            Link::Off | Link::Connecting { .. } => None,
        }
    }

    /// Whether an answer is on its way, so that nothing more can be said.
    pub(super) fn answering(&self) -> bool {
        match &self.link {
            Link::Open(open) => open.attached.is_some() || open.asked.is_some(),
            Link::Off | Link::Connecting { .. } => self.transcript.running().next().is_some(),
        }
    }

    /// Puts words back in front of what is being typed.
    pub(super) fn give_back(&mut self, words: &str) {
        let typed = self.editor.take();
        let all = if typed.is_empty() {
            words.to_owned()
        } else {
            format!("{words}\n{typed}")
        };
        self.editor = Editor::with(&all);
    }

    /// Everything that is not said yet, for the next conversation.
    pub(super) fn into_draft(mut self) -> String {
        let waiting = self
            .transcript
            .waiting()
            .and_then(|entry| entry.words.clone());
        if let Some(words) = waiting {
            self.give_back(&words);
        }
        self.editor.take()
    }
}
