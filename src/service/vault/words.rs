//! The methods of the store that carry words.
//!
//! Each does what the one of the same name in [`Store`](crate::store::Store) promises, with the words as
//! they were said on this side and sealed on the other.

use super::Vault;
use super::insights::{TIER, marks};
use crate::auth::seal::{DataKey, Place};
use crate::domain::prompt::{Prompt, PromptName};
use crate::domain::rights::Access;
use crate::domain::session::{EmotionSession, Labels};
use crate::domain::step::{EmotionStep, MessageId};
use crate::domain::usage::Usage;
use crate::domain::{AccessId, Error, Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{BeginStep, Begun, Briefing, FinishStep, Fold, storable};
use std::sync::Arc;

/// Steps that are opened without leaving the runtime's worker: opening one of 2 KiB takes about 10 µs.
const FEW: usize = 100;

impl Vault {
    pub(in crate::service) async fn add_session(&self, session: EmotionSession) -> Result<()> {
        for (field, text) in session.labels.fields() {
            storable(field, text.unwrap_or_default())?;
        }
        let key = self.key(session.user_id).await?;
        let labels = labels(session.session_id, session.labels, |place, text| {
            key.seal(place, text, &*self.random)
        })?;
        self.store
            .add_session(EmotionSession { labels, ..session })
            .await
    }

    pub(in crate::service) async fn session(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Option<EmotionSession>> {
        let found = self.store.session(user_id, session_id).await?;
        self.open_session(user_id, found).await
    }

    pub(in crate::service) async fn sessions(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, SessionId)>,
        limit: Option<u32>,
    ) -> Result<Vec<EmotionSession>> {
        let found = self.store.sessions(user_id, before, limit).await?;
        self.open_all(user_id, found, open_session).await
    }

    pub(in crate::service) async fn end_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
        at: Timestamp,
    ) -> Result<Option<EmotionSession>> {
        let ended = self.store.end_session(user_id, session_id, at).await?;
        self.open_session(user_id, ended).await
    }

    pub(in crate::service) async fn begin_step(&self, begin: BeginStep) -> Result<Begun> {
        storable("user_input", &begin.user_input)?;
        let Some(key) = self.keys.of(begin.user_id).await? else {
            return Ok(Begun::NoSession);
        };
        let place = Place::UserInput(begin.step_id);
        let user_input = key.seal(place, &begin.user_input, &*self.random)?;
        let marks = marks(begin.step_id, begin.marks, |place, text| {
            key.seal(place, text, &*self.random)
        })?;
        let begun = self.store.begin_step(BeginStep {
            user_input,
            marks,
            ..begin
        });
        Ok(match begun.await? {
            Begun::Repeated(step) => Begun::Repeated(Box::new(open_step(&key, *step)?)),
            other => other,
        })
    }

    pub(in crate::service) async fn checkpoint_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        gpt_response: &str,
        lease_until: Timestamp,
    ) -> Result<()> {
        storable("gpt_response", gpt_response)?;
        let key = self.key(user_id).await?;
        let sealed = key.seal(Place::GptResponse(step_id), gpt_response, &*self.random)?;
        self.store
            .checkpoint_step(step_id, sealed, lease_until)
            .await
    }

    pub(in crate::service) async fn finish_step(
        &self,
        user_id: UserId,
        finish: FinishStep,
    ) -> Result<Option<Usage>> {
        storable("gpt_response", &finish.gpt_response)?;
        let key = self.key(user_id).await?;
        let place = Place::GptResponse(finish.step_id);
        let gpt_response = key.seal(place, &finish.gpt_response, &*self.random)?;
        let place = Place::Mark(finish.step_id, TIER);
        let tier = finish.safety_tier.as_deref();
        let safety_tier = tier
            .map(|tier| key.seal(place, tier, &*self.random))
            .transpose()?;
        self.store
            .finish_step(FinishStep {
                gpt_response,
                safety_tier,
                ..finish
            })
            .await
    }

    pub(in crate::service) async fn step(
        &self,
        user_id: UserId,
        step_id: StepId,
    ) -> Result<Option<EmotionStep>> {
        let found = self.store.step(user_id, step_id).await?;
        self.open_step(user_id, found).await
    }

    pub(in crate::service) async fn find_step(
        &self,
        user_id: UserId,
        session_id: SessionId,
        message_id: Option<MessageId>,
    ) -> Result<Option<EmotionStep>> {
        let found = self
            .store
            .find_step(user_id, session_id, message_id)
            .await?;
        self.open_step(user_id, found).await
    }

    pub(in crate::service) async fn steps(
        &self,
        user_id: UserId,
        session_id: SessionId,
        after: i64,
        limit: Option<u32>,
    ) -> Result<Option<Vec<EmotionStep>>> {
        match self.store.steps(user_id, session_id, after, limit).await? {
            Some(steps) => Ok(Some(self.open_all(user_id, steps, open_step).await?)),
            None => Ok(None),
        }
    }

    pub(in crate::service) async fn briefing(
        &self,
        user_id: UserId,
        session_id: SessionId,
        before: i64,
        limit: u32,
        prompts: Vec<PromptName>,
    ) -> Result<Briefing> {
        let sealed = self.store.briefing(session_id, before, limit, prompts);
        let mut briefing = sealed.await?;
        let exchanges = std::mem::take(&mut briefing.history);
        briefing.history = self
            .open_all(user_id, exchanges, |key, exchange| {
                Ok(crate::domain::transcript::Exchange {
                    user_input: key
                        .open(Place::UserInput(exchange.step_id), &exchange.user_input)?,
                    gpt_response: key
                        .open(Place::GptResponse(exchange.step_id), &exchange.gpt_response)?,
                    ..exchange
                })
            })
            .await?;
        if let Some(summary) = &mut briefing.summary {
            let key = self.key(user_id).await?;
            summary.text = key.open(Place::Summary(session_id), &summary.text)?;
        }
        for prompt in &mut briefing.prompts {
            self.open_prompt(prompt).await?;
        }
        Ok(briefing)
    }

    pub(in crate::service) async fn fold(&self, user_id: UserId, mut fold: Fold) -> Result<bool> {
        storable("summary", &fold.summary.text)?;
        let key = self.key(user_id).await?;
        let place = Place::Summary(fold.session_id);
        fold.summary.text = key.seal(place, &fold.summary.text, &*self.random)?;
        self.store.fold(fold).await
    }

    pub(in crate::service) async fn add_prompt(
        &self,
        name: PromptName,
        body: String,
        at: Timestamp,
    ) -> Result<Prompt> {
        storable("body", &body)?;
        let sealed = match name {
            PromptName::Personal(user_id) => {
                let key = self.key(user_id).await?;
                key.seal(Place::Prompt(at), &body, &*self.random)?
            }
            PromptName::System(_) => body.clone(),
        };
        let added = self.store.add_prompt(name, sealed, at).await?;
        Ok(Prompt { body, ..added })
    }

    pub(in crate::service) async fn prompt(
        &self,
        name: PromptName,
        version: Option<i64>,
    ) -> Result<Option<Prompt>> {
        let mut found = self.store.prompt(name, version).await?;
        if let Some(prompt) = &mut found {
            self.open_prompt(prompt).await?;
        }
        Ok(found)
    }

    pub(in crate::service) async fn prompt_history(&self, name: PromptName) -> Result<Vec<Prompt>> {
        let mut found = self.store.prompt_history(name).await?;
        for prompt in &mut found {
            self.open_prompt(prompt).await?;
        }
        Ok(found)
    }

    pub(in crate::service) async fn add_access(&self, access: Access) -> Result<bool> {
        storable("reason", &access.reason)?;
        let Some(key) = self.keys.of(access.user_id).await? else {
            return Ok(false);
        };
        let place = Place::Reason(access.access_id);
        let reason = key.seal(place, &access.reason, &*self.random)?;
        self.store.add_access(Access { reason, ..access }).await
    }

    pub(in crate::service) async fn accesses(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, AccessId)>,
        limit: Option<u32>,
    ) -> Result<Vec<Access>> {
        let found = self.store.accesses(user_id, before, limit).await?;
        self.open_all(user_id, found, |key, access| {
            Ok(Access {
                reason: key.open(Place::Reason(access.access_id), &access.reason)?,
                ..access
            })
        })
        .await
    }

    /// The person's key; who does not exist has nothing to seal or to open.
    pub(super) async fn key(&self, user_id: UserId) -> Result<Arc<DataKey>> {
        let key = self.keys.of(user_id).await?;
        key.ok_or_else(|| Error::not_found("user"))
    }

    async fn open_prompt(&self, prompt: &mut Prompt) -> Result<()> {
        if let PromptName::Personal(user_id) = prompt.name {
            let key = self.key(user_id).await?;
            let at = prompt.created_at.unwrap_or(Timestamp::MAX);
            prompt.body = key.open(Place::Prompt(at), &prompt.body)?;
        }
        Ok(())
    }

    async fn open_session(
        &self,
        user_id: UserId,
        found: Option<EmotionSession>,
    ) -> Result<Option<EmotionSession>> {
        match found {
            Some(session) => open_session(&*self.key(user_id).await?, session).map(Some),
            None => Ok(None),
        }
    }

    async fn open_step(
        &self,
        user_id: UserId,
        found: Option<EmotionStep>,
    ) -> Result<Option<EmotionStep>> {
        match found {
            Some(step) => open_step(&*self.key(user_id).await?, step).map(Some),
            None => Ok(None),
        }
    }

    /// Opens a list; a long one on a thread where it holds up nobody.
    pub(super) async fn open_all<T: Send + 'static>(
        &self,
        user_id: UserId,
        sealed: Vec<T>,
        open: impl Fn(&DataKey, T) -> Result<T> + Send + 'static,
    ) -> Result<Vec<T>> {
        if sealed.is_empty() {
            return Ok(sealed);
        }
        let key = self.key(user_id).await?;
        let many = sealed.len() > FEW;
        let open = move || sealed.into_iter().map(|item| open(&key, item)).collect();
        if many {
            tokio::task::spawn_blocking(open)
                .await
                .map_err(Error::internal)?
        } else {
            open()
        }
    }
}

fn open_step(key: &DataKey, step: EmotionStep) -> Result<EmotionStep> {
    Ok(EmotionStep {
        user_input: key.open(Place::UserInput(step.step_id), &step.user_input)?,
        gpt_response: key.open(Place::GptResponse(step.step_id), &step.gpt_response)?,
        marks: marks(step.step_id, step.marks, |place, text| {
            key.open(place, text)
        })?,
        ..step
    })
}

fn open_session(key: &DataKey, session: EmotionSession) -> Result<EmotionSession> {
    let labels = labels(session.session_id, session.labels, |place, text| {
        key.open(place, text)
    })?;
    Ok(EmotionSession { labels, ..session })
}

/// The labels of a session, each through `pass`.
pub(super) fn labels(
    session_id: SessionId,
    labels: Labels,
    pass: impl Fn(Place, &str) -> Result<String>,
) -> Result<Labels> {
    let one = |field: &'static str, text: Option<String>| {
        text.map(|text| pass(Place::Label(session_id, field), &text))
            .transpose()
    };
    Ok(Labels {
        emotion_label: one("emotion_label", labels.emotion_label)?,
        topic: one("topic", labels.topic)?,
        trigger_summary: one("trigger_summary", labels.trigger_summary)?,
        insight_summary: one("insight_summary", labels.insight_summary)?,
        insight_tag: one("insight_tag", labels.insight_tag)?,
    })
}
