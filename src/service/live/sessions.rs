//! Which turn each session has, and who is told of the next one.
//!
//! Owns [`Sessions`], one entry for each session that somebody is attached to or that has a turn, on
//! this instance. Called by turns when they begin and end, and by sockets when they come and go.
//! Invariants: a session has at most one running turn here, be it run here or copied; a turn is no
//! longer the running one before anybody hears of its end; an entry that nobody needs is dropped.

use super::{LiveTurn, Started};
use crate::domain::{SessionId, StepId, UserId};
use crate::wire::ws::ServerFrame;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, broadcast};

/// Turns that a socket may have waiting before it counts as lost.
const TURNS_BEHIND: usize = 4;

/// The sessions that somebody is attached to or that have a turn, on this instance.
#[derive(Debug, Default)]
pub(in crate::service) struct Sessions(Mutex<HashMap<SessionId, Entry>>);

#[derive(Debug)]
struct Entry {
    turn: Option<Arc<LiveTurn>>,
    /// The newest place in the session that a turn here had.
    newest: Option<i64>,
    /// Whose the session is, once somebody was attached.
    user_id: Option<UserId>,
    /// The copy that was made without telling those who are attached.
    untold: Option<StepId>,
    news: broadcast::Sender<Arc<LiveTurn>>,
    /// Held from before the words of a turn are stored until the turn is the running one.
    beginning: Arc<AsyncMutex<()>>,
}

impl Entry {
    /// Tells those who are attached of a copy that was made for somebody else, before it goes.
    fn tell_untold(&mut self) {
        let untold = self.untold.take();
        if let Some(turn) = self
            .turn
            .as_ref()
            .filter(|turn| untold == Some(turn.step_id))
        {
            let _ = self.news.send(Arc::clone(turn));
        }
    }

    /// Makes a turn the running one and tells everybody who is attached.
    fn run(&mut self, turn: &Arc<LiveTurn>) {
        self.tell_untold();
        self.newest = self.newest.max(Some(turn.step_order));
        self.turn = Some(Arc::clone(turn));
        // Nobody may be listening: a turn does not need a socket.
        let _ = self.news.send(Arc::clone(turn));
    }

    /// Nobody needs it any more.
    fn idle(&self) -> bool {
        self.turn.is_none()
            && self.news.receiver_count() == 0
            && Arc::strong_count(&self.beginning) == 1
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            turn: None,
            newest: None,
            user_id: None,
            untold: None,
            news: broadcast::Sender::new(TURNS_BEHIND),
            beginning: Arc::default(),
        }
    }
}

/// A socket's subscription to the turns of a session that are accepted from now on.
pub type Subscription = broadcast::Receiver<Arc<LiveTurn>>;

impl Sessions {
    fn map(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the turns of a session. [`Self::leave`] when done.
    pub(in crate::service) fn subscribe(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> Subscription {
        let mut map = self.map();
        let entry = map.entry(session_id).or_default();
        entry.user_id = Some(user_id);
        entry.news.subscribe()
    }

    /// Notes the latest place that is stored in a session that somebody is attached to.
    pub(in crate::service) fn note_newest(&self, session_id: SessionId, step_order: i64) {
        if let Some(entry) = self.map().get_mut(&session_id) {
            entry.newest = entry.newest.max(Some(step_order));
        }
    }

    /// Waits until no turn of the session is between its words in the store and its place here.
    /// Who holds this sees a step that is pending as the running turn. [`Self::leave`] when done.
    pub(in crate::service) async fn beginning(&self, session_id: SessionId) -> OwnedMutexGuard<()> {
        let beginning = Arc::clone(&self.map().entry(session_id).or_default().beginning);
        beginning.lock_owned().await
    }

    /// Forgets a session that nobody is attached to any more. Called when a socket has gone.
    pub(in crate::service) fn leave(&self, session_id: SessionId) {
        let mut map = self.map();
        if map.get(&session_id).is_some_and(Entry::idle) {
            map.remove(&session_id);
        }
    }

    /// The running turn of a session.
    pub(in crate::service) fn running(&self, session_id: SessionId) -> Option<Arc<LiveTurn>> {
        self.map().get(&session_id)?.turn.clone()
    }

    /// Every turn that this instance runs.
    pub(in crate::service) fn all_running(&self) -> Vec<Arc<LiveTurn>> {
        let map = self.map();
        map.values()
            .filter_map(|entry| entry.turn.clone())
            .filter(|turn| !turn.elsewhere)
            .collect()
    }

    /// Whose a session is, if somebody is attached to it.
    pub(in crate::service) fn attended(&self, session_id: SessionId) -> Option<UserId> {
        let map = self.map();
        let entry = map.get(&session_id)?;
        entry.user_id.filter(|_| entry.news.receiver_count() > 0)
    }

    /// Every session that somebody is attached to, and whose it is.
    pub(in crate::service) fn all_attended(&self) -> Vec<(UserId, SessionId)> {
        let map = self.map();
        map.iter()
            .filter(|(_, entry)| entry.news.receiver_count() > 0)
            .filter_map(|(session_id, entry)| Some((entry.user_id?, *session_id)))
            .collect()
    }

    /// The newest place in a session that those who are attached here know of.
    pub(in crate::service) fn newest(&self, session_id: SessionId) -> Option<i64> {
        self.map().get(&session_id)?.newest
    }

    /// Makes a turn the session's running one and tells everybody who is attached.
    pub(in crate::service) fn start(&self, started: Started) -> Arc<LiveTurn> {
        let turn = Arc::new(LiveTurn::new(started, false));
        let mut map = self.map();
        map.entry(turn.session_id).or_default().run(&turn);
        turn
    }

    /// The copy of a turn that another instance runs, and whether it is a new one, which somebody
    /// must keep up to date. With `tell`, those who are attached hear of it; `None` when they have
    /// heard of it, or of a later one, already.
    pub(in crate::service) fn copy(
        &self,
        started: Started,
        text: &str,
        safety: Option<ServerFrame>,
        tell: bool,
    ) -> Option<(Arc<LiveTurn>, bool)> {
        let mut map = self.map();
        let entry = map.entry(started.session_id).or_default();
        let there = entry
            .turn
            .clone()
            .filter(|turn| turn.step_id == started.step_id);
        if let Some(turn) = there {
            if tell && entry.untold.take_if(|step| *step == turn.step_id).is_some() {
                let _ = entry.news.send(Arc::clone(&turn));
            }
            return Some((turn, false));
        }
        if tell && entry.newest >= Some(started.step_order) {
            // What was read of it is older than what happened here.
            return None;
        }
        let turn = Arc::new(LiveTurn::new(started, true));
        if let Some(safety) = safety {
            turn.tell(safety);
        }
        turn.copy(text);
        let later = entry
            .turn
            .as_ref()
            .is_some_and(|held| held.step_order > turn.step_order);
        if later {
            // Whoever asked for it may read it, but the session has gone on.
            return Some((turn, true));
        }
        if tell {
            entry.run(&turn);
        } else {
            entry.newest = entry.newest.max(Some(turn.step_order));
            entry.untold = Some(turn.step_id);
            entry.turn = Some(Arc::clone(&turn));
        }
        Some((turn, true))
    }

    /// Lets go of a copy that nobody reads; whether it did.
    pub(in crate::service) fn abandon(&self, turn: &Arc<LiveTurn>) -> bool {
        let mut map = self.map();
        let Some(entry) = map.get_mut(&turn.session_id) else {
            return true;
        };
        let held = entry
            .turn
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, turn));
        // One is the caller's own, one is held here.
        let read =
            Arc::strong_count(turn) > 1 + usize::from(held) || entry.news.receiver_count() > 0;
        if read {
            return false;
        }
        if held {
            entry.turn = None;
        }
        if entry.idle() {
            map.remove(&turn.session_id);
        }
        true
    }

    /// Ends a turn: it is no longer the running one before anybody hears of its end, so that who
    /// answers the end at once finds the session free.
    pub(in crate::service) fn finish(&self, turn: &Arc<LiveTurn>, end: ServerFrame) {
        let mut map = self.map();
        if let Some(entry) = map.get_mut(&turn.session_id)
            && entry
                .turn
                .as_ref()
                .is_some_and(|running| Arc::ptr_eq(running, turn))
        {
            entry.tell_untold();
            entry.turn = None;
            if entry.idle() {
                map.remove(&turn.session_id);
            }
        }
        drop(map);
        turn.end(end);
    }
}
