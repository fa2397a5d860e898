//! Sessions: beginning, reading, ending.
//!
//! Invariant: somebody else's session and one that does not exist are the same thing.

use super::App;
use crate::auth::reserve;
use crate::domain::session::{EmotionSession, Labels};
use crate::domain::step::EmotionStep;
use crate::domain::{Error, Result, SessionId, Timestamp, UserId};
use std::sync::Arc;

/// A session as a socket finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// The session.
    pub session_id: SessionId,
    /// Whether it has a row already.
    pub stored: bool,
}

impl App {
    /// Begins a session with a row of its own.
    pub async fn create_session(&self, user_id: UserId, labels: Labels) -> Result<EmotionSession> {
        let labels = labels.parse()?;
        let now = self.clock.now();
        let session_id = SessionId::generate(now, &*self.random)?;
        let session = EmotionSession {
            session_id,
            user_id,
            labels,
            started_at: now,
            ended_at: None,
        };
        self.vault.add_session(session.clone()).await?;
        Ok(session)
    }

    /// The person's session.
    pub async fn session(&self, user_id: UserId, session_id: SessionId) -> Result<EmotionSession> {
        self.vault
            .session(user_id, session_id)
            .await?
            .ok_or_else(|| Error::not_found("session"))
    }

    /// The person's sessions, newest first.
    pub async fn sessions(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, SessionId)>,
        limit: Option<u32>,
    ) -> Result<Vec<EmotionSession>> {
        self.vault.sessions(user_id, before, limit).await
    }

    /// Ends the person's session, and begins to make its card; ending it again changes nothing.
    pub async fn end_session(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<EmotionSession> {
        let ended = self.end(user_id, session_id, self.clock.now()).await?;
        ended.ok_or_else(|| Error::not_found("session"))
    }

    async fn end(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
    ) -> Result<Option<EmotionSession>> {
        let ended = self.vault.end_session(user_id, session_id, now).await?;
        if ended
            .as_ref()
            .is_some_and(|session| session.ended_at == Some(now))
        {
            self.begin_card(user_id, session_id);
        }
        Ok(ended)
    }

    /// Ends the session that a socket speaks in; one in which nothing was said leaves nothing
    /// behind. When it ended.
    pub async fn end_attached(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Timestamp> {
        let now = self.clock.now();
        match self.end(user_id, session_id, now).await? {
            Some(session) => Ok(session.ended_at.unwrap_or(now)),
            None if self.is_reserved(user_id, session_id) => Ok(now),
            None => Err(Error::not_found("session")),
        }
    }

    /// The steps of the person's session by ascending order, those after `after`.
    pub async fn steps(
        &self,
        user_id: UserId,
        session_id: SessionId,
        after: i64,
        limit: Option<u32>,
    ) -> Result<Vec<EmotionStep>> {
        self.vault
            .steps(user_id, session_id, after, limit)
            .await?
            .ok_or_else(|| Error::not_found("session"))
    }

    /// The session that a socket, or a request without a session, speaks in: the wanted one if it
    /// is the person's or was reserved for them, a fresh one if none is wanted. `None` when the
    /// wanted one is neither.
    pub async fn attach(
        &self,
        user_id: UserId,
        wanted: Option<SessionId>,
    ) -> Result<Option<Attached>> {
        let Some(session_id) = wanted else {
            return self.reserve_session(user_id).map(Some);
        };
        if self.vault.session(user_id, session_id).await?.is_some() {
            return Ok(Some(Attached {
                session_id,
                stored: true,
            }));
        }
        Ok(self.is_reserved(user_id, session_id).then_some(Attached {
            session_id,
            stored: false,
        }))
    }

    /// A fresh session id that has no row yet.
    pub fn reserve_session(&self, user_id: UserId) -> Result<Attached> {
        let session_id =
            reserve::reserve(&self.keys.now(), user_id, self.clock.now(), &*self.random)?;
        Ok(Attached {
            session_id,
            stored: false,
        })
    }

    /// Whether this id was given to this person within the last 24 hours.
    pub(super) fn is_reserved(&self, user_id: UserId, session_id: SessionId) -> bool {
        reserve::is_reserved(&self.keys.now(), user_id, session_id, self.clock.now())
    }
}
