//! Everything that is stored of a person, for them to take along.
//!
//! Owns [`Export`], which reads a piece at a time while the one before is being sent, so that a long life of
//! conversations takes no more memory than a short one. Called by the surfaces. Invariants: the digest is of the
//! very bytes that were given out; two exports of the same stored things are the same bytes within `data`.

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
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Exports at once: each reads and opens all that somebody said.
pub(super) const AT_ONCE: usize = 2;
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
    _place: OwnedSemaphorePermit,
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
        let place = Arc::clone(&self.exports).try_acquire_owned();
        let place = place.map_err(|_| {
            let message = "others are exporting at the moment: try again in a while";
            Error::new(ErrorCode::Overloaded, message).retry_after(10)
        })?;
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
