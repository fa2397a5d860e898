//! Everything that is stored of a person, for them to take along.
//!
//! Owns [`Export`], which reads a piece at a time while the one before is being sent, so that a long life of
//! conversations takes no more memory than a short one. Called by the surfaces. Invariants: the digest is of the
//! very bytes that were given out; two exports of the same stored things are the same bytes within `data`; a person
//! has one at a time, and one that nobody reads gives its place back.

use super::App;
use crate::auth::hex::hex;
use crate::domain::prompt::PromptName;
use crate::domain::user::User;
use crate::domain::{Error, ErrorCode, Result, SessionId, Timestamp, UserId};
use crate::wire::card::CardBody;
use crate::wire::rest::{PromptBody, SessionBody, StepBody};
use crate::wire::rights::{
    AccessBody, EXPORT_FORMAT, ExportCounts, ExportPrompt, ExportUsage, ExportUser,
};
use futures_util::{Stream, TryStreamExt as _, stream};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Exports at once: each reads and opens all that somebody said.
const AT_ONCE: usize = 4;
/// How long a piece may wait for whoever downloads it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sessions, steps and accesses that are read at once.
const PAGE: u32 = 100;

/// An export that is being read. [`Export::next`] until it gives nothing.
pub struct Export {
    app: Arc<App>,
    user: User,
    at: Timestamp,
    next: Next,
    counts: ExportCounts,
    digest: Sha256,
    _place: Place,
}

/// Who exports at the moment.
#[derive(Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashSet<UserId>>>);

/// One of them, until it is dropped.
struct Place {
    places: Arc<Mutex<HashSet<UserId>>>,
    user_id: UserId,
}

fn locked(places: &Mutex<HashSet<UserId>>) -> MutexGuard<'_, HashSet<UserId>> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// `overloaded` when this person exports, or others as many as may.
    fn take(&self, user_id: UserId) -> Result<Place> {
        let mut places = locked(&self.0);
        let message = if places.contains(&user_id) {
            "you are exporting already: wait until that has ended"
        } else if places.len() >= AT_ONCE {
            "others are exporting at the moment: try again in a while"
        } else {
            places.insert(user_id);
            return Ok(Place {
                places: Arc::clone(&self.0),
                user_id,
            });
        };
        Err(Error::new(ErrorCode::Overloaded, message).retry_after(10))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.places).remove(&self.user_id);
    }
}

/// What is downloaded, piece by piece.
pub struct Download(mpsc::Receiver<Option<String>>);

impl Download {
    /// The next piece; `None` when it was the last, an error when it broke off.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let broken = || Error::unavailable("the export broke off");
        self.0.recv().await.ok_or_else(broken)
    }
}

/// What comes next.
enum Next {
    Head,
    /// Sessions that began before this.
    Sessions(Option<(Timestamp, SessionId)>),
    /// The steps of the first of these after this one, then the sessions after them.
    Steps(VecDeque<SessionBody>, i64),
    Prompts,
    Accesses,
    Tail,
    Nothing,
}

impl App {
    /// Begins an export; `overloaded` while others are under way.
    pub async fn export(self: &Arc<Self>, user_id: UserId) -> Result<Export> {
        let user = self.user(user_id).await?;
        let place = self.exports.take(user_id)?;
        tracing::info!(%user_id, "export begun");
        Ok(Export {
            app: Arc::clone(self),
            user,
            at: self.clock.now(),
            next: Next::Head,
            counts: ExportCounts::default(),
            digest: Sha256::new(),
            _place: place,
        })
    }

    /// An export for a download, which is read by a task of its own and ends when nobody takes a piece for half a
    /// minute: whoever lets a download hang must not keep others from theirs.
    pub async fn download(self: &Arc<Self>, user_id: UserId) -> Result<Download> {
        let export = self.export(user_id).await?;
        let read = stream::try_unfold(export, async |mut export| {
            Ok(export.next().await?.map(|piece| (piece, export)))
        });
        let (pieces, download) = mpsc::channel(1);
        let cutting = self.cutting.clone();
        self.turns.spawn(async move {
            let delivering = deliver(read, pieces, PATIENCE);
            match cutting.run_until_cancelled(delivering).await {
                Some(Ok(true)) => {}
                Some(Ok(false)) | None => {
                    tracing::info!(%user_id, "an export was not taken to its end");
                }
                Some(Err(error)) => {
                    tracing::warn!(%user_id, code = %error.code(), causes = error.causes(), "an export broke off");
                }
            }
        });
        Ok(Download(download))
    }
}

/// Hands over every piece and that there are no more; `false` when one was not taken in time.
async fn deliver(
    read: impl Stream<Item = Result<String>>,
    pieces: mpsc::Sender<Option<String>>,
    patience: Duration,
) -> Result<bool> {
    let mut read = std::pin::pin!(read);
    loop {
        let piece = read.try_next().await?;
        let last = piece.is_none();
        if pieces.send_timeout(piece, patience).await.is_err() {
            return Ok(false);
        }
        if last {
            return Ok(true);
        }
    }
}

impl Export {
    /// The next piece of the document; `None` when it is whole. After an error it is not, and never will be.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        let (piece, next) = match next {
            Next::Head => (self.head()?, Next::Sessions(None)),
            Next::Sessions(before) => self.sessions(before).await?,
            Next::Steps(sessions, after) => self.steps(sessions, after).await?,
            Next::Prompts => (self.prompts().await?, Next::Accesses),
            Next::Accesses => (self.accesses().await?, Next::Tail),
            Next::Tail => {
                let digest = hex(&std::mem::take(&mut self.digest).finalize());
                let counts = json(&self.counts)?;
                let tail = format!(",\"counts\":{counts},\"sha256\":\"{digest}\"}}\n");
                return Ok(Some(tail));
            }
            Next::Nothing => return Ok(None),
        };
        self.digest.update(piece.as_bytes());
        self.next = next;
        Ok(Some(match &self.next {
            // What stands before `data` is not of it.
            Next::Sessions(None) => format!("{}{piece}", self.preamble()?),
            _ => piece,
        }))
    }

    fn preamble(&self) -> Result<String> {
        let (format, at) = (json(&EXPORT_FORMAT)?, json(&self.at)?);
        Ok(format!(
            "{{\"format\":{format},\"exported_at\":{at},\"data\":"
        ))
    }

    fn head(&self) -> Result<String> {
        let user = json(&ExportUser {
            user_id: self.user.user_id,
            name: self.user.name.clone(),
            email: self.user.email.address().map(str::to_owned),
            role: self.user.role.as_str().to_owned(),
            created_at: self.user.created_at,
        })?;
        Ok(format!("{{\"user\":{user},\"sessions\":["))
    }

    /// The beginnings of no session yet: which come next.
    async fn sessions(&mut self, before: Option<(Timestamp, SessionId)>) -> Result<(String, Next)> {
        let user_id = self.user.user_id;
        let page = self.app.sessions(user_id, before, Some(PAGE)).await?;
        if page.is_empty() {
            return Ok(("]".to_owned(), Next::Prompts));
        }
        let page = page.into_iter().map(SessionBody::from).collect();
        Ok((String::new(), Next::Steps(page, 0)))
    }

    async fn steps(
        &mut self,
        mut sessions: VecDeque<SessionBody>,
        after: i64,
    ) -> Result<(String, Next)> {
        let user_id = self.user.user_id;
        let Some(session) = sessions.front() else {
            return Ok((String::new(), Next::Tail));
        };
        let (session_id, place) = (session.session_id, (session.started_at, session.session_id));
        let mut piece = String::new();
        // One that was deleted since the list was read has no steps; it was counted by then.
        let steps = self.app.vault.steps(user_id, session_id, after, Some(PAGE));
        let steps = steps.await?.unwrap_or_default();
        if after == 0 {
            let summary = self
                .app
                .vault
                .briefing(user_id, session_id, 0, 0, Vec::new());
            let summary = summary.await?.summary.map(|summary| summary.text);
            piece.push_str(if self.counts.sessions > 0 { "," } else { "" });
            let object = json(session)?;
            piece.push_str(object.strip_suffix('}').unwrap_or(&object));
            piece.push_str(",\"summary\":");
            piece.push_str(&json(&summary)?);
            let card = self.app.vault.card(user_id, session_id).await?;
            let card = card
                .map(|kept| CardBody::of(session_id, kept.card, kept.quotes, kept.made_at, None));
            piece.push_str(",\"card\":");
            piece.push_str(&json(&card)?);
            piece.push_str(",\"steps\":[");
            self.counts.sessions += 1;
        }
        let last = steps.last().map(|step| step.step_order);
        let more = steps.len() >= PAGE as usize;
        for (n, step) in steps.into_iter().enumerate() {
            piece.push_str(if after > 0 || n > 0 { "," } else { "" });
            piece.push_str(&json(&StepBody::from(step))?);
            self.counts.steps += 1;
        }
        if let Some(last) = last.filter(|_| more) {
            return Ok((piece, Next::Steps(sessions, last)));
        }
        piece.push_str("]}");
        sessions.pop_front();
        let next = if sessions.is_empty() {
            Next::Sessions(Some(place))
        } else {
            Next::Steps(sessions, 0)
        };
        Ok((piece, next))
    }

    async fn prompts(&mut self) -> Result<String> {
        let name = PromptName::Personal(self.user.user_id);
        let versions = self.app.vault.prompt_history(name).await?;
        let prompts: Vec<ExportPrompt> = versions
            .into_iter()
            .map(|version| ExportPrompt {
                created_at: version.created_at,
                prompt: PromptBody {
                    prompt: version.body,
                    version: version.version,
                },
            })
            .collect();
        let days = self.app.store.usage_days(self.user.user_id).await?;
        let usage: Vec<ExportUsage> = days.into_iter().map(Into::into).collect();
        self.counts.prompts = prompts.len() as u64;
        self.counts.usage = usage.len() as u64;
        Ok(format!(
            ",\"prompts\":{},\"usage\":{}",
            json(&prompts)?,
            json(&usage)?
        ))
    }

    async fn accesses(&mut self) -> Result<String> {
        let found = self.app.accesses(self.user.user_id, None, None).await?;
        let accesses: Vec<AccessBody> = found.into_iter().map(Into::into).collect();
        self.counts.accesses = accesses.len() as u64;
        Ok(format!(",\"accesses\":{}}}", json(&accesses)?))
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_person_exports_once_at_a_time_and_not_too_many_do() {
        let places = Places::default();
        let person = |n: usize| UserId(Uuid::from_u128(n as u128));
        let mut held: Vec<_> = (0..AT_ONCE)
            .map(|n| places.take(person(n)).unwrap())
            .collect();
        for n in [0, AT_ONCE] {
            let refused = places.take(person(n)).err().unwrap();
            assert_eq!(refused.code(), ErrorCode::Overloaded);
        }
        held.remove(0);
        let _again = places.take(person(0)).unwrap();
        assert!(places.take(person(AT_ONCE)).is_err());
    }

    #[tokio::test]
    async fn a_download_that_nobody_takes_ends_and_one_that_somebody_takes_says_whether_it_is_whole()
     {
        let endless = stream::repeat_with(|| Ok("x".to_owned()));
        let (pieces, mut taken) = mpsc::channel(1);
        assert!(!deliver(endless, pieces, Duration::ZERO).await.unwrap());
        assert_eq!(taken.try_recv().unwrap().as_deref(), Some("x"));
        assert!(Download(taken).next().await.is_err(), "it broke off");
        let (pieces, taken) = mpsc::channel(1);
        let two = stream::iter(["a", "b"].map(|piece| Ok(piece.to_owned())));
        let delivering = tokio::spawn(deliver(two, pieces, PATIENCE));
        let mut download = Download(taken);
        for piece in [Some("a"), Some("b"), None] {
            assert_eq!(download.next().await.unwrap().as_deref(), piece);
        }
        assert!(delivering.await.unwrap().unwrap());
    }
}
