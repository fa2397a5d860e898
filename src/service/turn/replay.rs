//! The last words of a session, answered once more under another version of a prompt.
//!
//! Called by the command line. Invariant: nothing of it is stored, counted against the person or shown to them;
//! what is asked is what a turn would ask, but for the wish of the client, which is not kept.

use super::asking::Facts;
use super::briefing::Brief;
use super::run::answer;
use crate::domain::prompt::Prompt;
use crate::domain::step::StepStatus;
use crate::domain::{Error, ErrorCode, Result, SessionId, UserId};
use crate::service::App;
use crate::service::live::{LiveTurn, Started};
use std::time::Duration;

/// What was said to the words this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The prompts that were told, such as `ko@3+personal@1`.
    pub prompt_version: String,
    /// Who answered.
    pub model: String,
    /// The words.
    pub user_input: String,
    /// The answer.
    pub gpt_response: String,
}

impl App {
    /// Asks the models for an answer to the last words of a session under this version of a prompt. Whoever reads
    /// it reads what a person said: [`Self::note_access`] comes first.
    pub async fn replay(
        &self,
        user_id: UserId,
        session_id: SessionId,
        prompt: Prompt,
    ) -> Result<Replayed> {
        let step = self.vault.find_step(user_id, session_id, None).await?;
        let step = step.ok_or_else(|| Error::not_found("step"))?;
        let brief = Brief {
            settings: self.settings(),
            client_prompt: None,
            knows_frames: true,
            assessment: self.assess(&step.user_input),
            marks: step.marks,
            trial: Some(prompt),
        };
        // Nobody watches it and nobody stores it: a turn that was never begun.
        let turn = LiveTurn::new(
            Started {
                step_id: step.step_id,
                session_id,
                user_id,
                step_order: step.step_order,
                message_id: None,
                user_input: step.user_input,
                created_at: step.created_at,
            },
            false,
        );
        let mut facts = Facts::default();
        let deadline = Duration::from_secs(self.config.llm.turn_seconds);
        let status = tokio::time::timeout(deadline, answer(self, &turn, &brief, &mut facts)).await;
        match (status, facts.model, facts.prompt_version) {
            (Ok(StepStatus::Complete), Some(model), Some(prompt_version)) => Ok(Replayed {
                prompt_version,
                model,
                gpt_response: turn.text(),
                user_input: turn.user_input,
            }),
            _ => Err(Error::new(
                ErrorCode::Unavailable,
                "no model answered to the end; deepme config show tells which are asked",
            )),
        }
    }
}
