//! Looking for a session.
//!
//! Owns the search. Called by the surfaces. Invariants: nobody finds anything of somebody else; there is no index of
//! words, which would be one of what people feel: what is looked through is opened for it; one request opens a
//! bounded number of sessions and says where to go on.

use super::App;
use crate::domain::emotion::Emotion;
use crate::domain::flow::Mood;
use crate::domain::search::{Hit, Terms};
use crate::domain::session::EmotionSession;
use crate::domain::step::{EmotionStep, Marks};
use crate::domain::{Error, ErrorCode, Result, SessionId, StepId, Timestamp, UserId};
use uuid::Uuid;

/// Searches at once.
pub(super) const AT_ONCE: usize = 4;
/// Sessions that one request looks at.
const SESSIONS: u32 = 50;
/// Steps after which it looks at no further session.
const ENOUGH: usize = 1000;
/// Steps of one session that are read at once, and at most.
const PAGE: u32 = 200;
const MOST: usize = 10_000;
/// Places in one session that are shown.
const SHOWN: usize = 3;

/// What is looked for; what is `None` does not count.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Sessions that began at this time or later.
    pub from: Option<Timestamp>,
    /// Sessions that began before this time.
    pub to: Option<Timestamp>,
    /// A label of the session, or the emotion of one of its steps.
    pub label: Option<String>,
    /// A tag of the session or of its card.
    pub tag: Option<String>,
    /// What the person said in one of its steps.
    pub words: Option<Terms>,
}

/// A session that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The session.
    pub session: EmotionSession,
    /// Where the words were said, at most three places.
    pub places: Vec<(StepId, Hit)>,
}

/// What one request found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub found: Vec<Found>,
    /// After which session to go on; `None` when all have been looked at.
    pub next: Option<(Timestamp, SessionId)>,
}

impl App {
    /// Looks through the person's sessions, newest first, those before `before`, until `limit` are found or enough
    /// has been opened.
    pub async fn search(
        &self,
        user_id: UserId,
        wanted: &Wanted,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Page> {
        let _place = self.searches.try_acquire().map_err(|_| {
            let message = "others are searching at the moment: try again in a second";
            Error::new(ErrorCode::Overloaded, message).retry_after(1)
        })?;
        // Every session that began at `to` comes after this.
        let to = wanted.to.map(|to| (to, SessionId(Uuid::nil())));
        let before = match (before, to) {
            (Some(before), Some(to)) => Some(before.min(to)),
            (before, to) => before.or(to),
        };
        let sessions = self.sessions(user_id, before, Some(SESSIONS)).await?;
        let full = sessions.len() >= SESSIONS as usize;
        let (mut found, mut opened) = (Vec::new(), 0);
        let mut last = None;
        for session in sessions {
            if wanted.from.is_some_and(|from| session.started_at < from) {
                return Ok(Page { found, next: None });
            }
            if found.len() >= limit || opened >= ENOUGH {
                return Ok(Page { found, next: last });
            }
            last = Some((session.started_at, session.session_id));
            if let Some(places) = self.places(user_id, &session, wanted, &mut opened).await? {
                found.push(Found { session, places });
            }
        }
        let next = last.filter(|_| full);
        Ok(Page { found, next })
    }

    /// Where the words are in a session that is what is wanted.
    async fn places(
        &self,
        user_id: UserId,
        session: &EmotionSession,
        wanted: &Wanted,
        opened: &mut usize,
    ) -> Result<Option<Vec<(StepId, Hit)>>> {
        let session_id = session.session_id;
        if let Some(label) = &wanted.label
            && !self.has_label(user_id, session, label, opened).await?
        {
            return Ok(None);
        }
        if let Some(tag) = &wanted.tag {
            let is = |text: &str| same(text, tag);
            let own = session.labels.insight_tag.as_deref().is_some_and(is);
            let card = self.vault.card(user_id, session_id).await?;
            if !own && !card.is_some_and(|kept| kept.card.tags.iter().any(|text| is(text))) {
                return Ok(None);
            }
        }
        let Some(words) = &wanted.words else {
            return Ok(Some(Vec::new()));
        };
        let mut places = Vec::new();
        self.read_until(user_id, session_id, opened, |step| {
            let hit = words.find(&step.user_input);
            places.extend(hit.map(|hit| (step.step_id, hit)));
            places.len() >= SHOWN
        })
        .await?;
        Ok((!places.is_empty()).then_some(places))
    }

    /// Reads the steps of a session, oldest first and at most [`MOST`], until one is `enough`: whether one was.
    async fn read_until(
        &self,
        user_id: UserId,
        session_id: SessionId,
        opened: &mut usize,
        mut enough: impl FnMut(&EmotionStep) -> bool,
    ) -> Result<bool> {
        let (mut after, mut read) = (0, 0);
        while read < MOST {
            let steps = self.vault.steps(user_id, session_id, after, Some(PAGE));
            // One that was deleted since the list was read has none.
            let steps = steps.await?.unwrap_or_default();
            *opened += steps.len();
            read += steps.len();
            if steps.iter().any(&mut enough) {
                return Ok(true);
            }
            match steps.last() {
                Some(last) if steps.len() >= PAGE as usize => after = last.step_order,
                _ => break,
            }
        }
        Ok(false)
    }

    async fn has_label(
        &self,
        user_id: UserId,
        session: &EmotionSession,
        label: &str,
        opened: &mut usize,
    ) -> Result<bool> {
        let emotion = Emotion::parse(label.trim());
        let own = session.labels.emotion_label.as_deref();
        if own.is_some_and(|own| {
            same(own, label) || (emotion.is_some() && Emotion::parse(own.trim()) == emotion)
        }) {
            return Ok(true);
        }
        if emotion.is_none() {
            return Ok(false);
        }
        let marks = self.vault.marks(user_id, session.session_id, PAGE).await?;
        let marks = marks.unwrap_or_default();
        *opened += marks.len();
        let is = |marks: &Marks| Mood::of(marks).map(|mood| mood.label) == emotion;
        let found = marks.iter().any(|step| is(&step.marks));
        if found || marks.len() < PAGE as usize {
            return Ok(found);
        }
        // Not among the newest of a long one, which are opened without their words.
        self.read_until(user_id, session.session_id, opened, |step| is(&step.marks))
            .await
    }
}

/// Whether two short texts are the same but for case and what surrounds them.
fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}
