//! A turn while it runs: from the stored words to the stored end.
//!
//! Owns the life of one turn's task. Invariants: whatever happens — a fault, a stop, the deadline,
//! a drain, a panic — the step is closed and the turn has exactly one end; what the person was
//! shown is what is stored.

use super::asking::{Facts, Question, Spoken, ask_in_turn};
use super::briefing::{Brief, assess_together, fit, instructions, own, sticky, take_care};
use super::ends::{failed, incomplete, terminal};
use super::{LEASE, folding};
use crate::config::{PromptLanguage, PromptsAb};
use crate::domain::news::News;
use crate::domain::prompt::{self, Language, PromptName};
use crate::domain::safety::Tier;
use crate::domain::step::{EmotionStep, Marks, StepStatus, StepType};
use crate::domain::usage::Usage;
use crate::domain::{Error, ErrorCode, Result};
use crate::llm::ChatRequest;
use crate::safety::{self, Assessment, Lang};
use crate::service::App;
use crate::service::live::LiveTurn;
use crate::store::FinishStep;
use crate::wire::ws::ServerFrame;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often a running answer is stored.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How often, while somebody on another instance reads along: what is stored is what they get.
const WATCHED_CHECKPOINT: Duration = Duration::from_millis(150);
/// How long the end of a turn is tried to be stored while the database does not answer.
const STORE_PATIENCE: Duration = Duration::from_mins(1);
/// The name under which fixed answers are stored.
const FIXED: &str = "fixed";

/// Runs a turn to its end.
pub(super) async fn run(app: &Arc<App>, turn: &Arc<LiveTurn>, brief: Brief) {
    let begun = Instant::now();
    let _running = app.meters.turns_running.hold();
    let mut facts = Facts::default();
    let mut counted = 0;
    let deadline = Duration::from_secs(app.config.llm.turn_seconds);
    let status = tokio::select! {
        biased;
        () = turn.stopped().cancelled() => StepStatus::Cancelled,
        () = app.cutting.cancelled() => StepStatus::Interrupted,
        answered = AssertUnwindSafe(timeout(deadline, answer(app, turn, &brief, &mut facts))).catch_unwind() => {
            match answered {
                Ok(Ok(status)) => status,
                Ok(Err(_)) => StepStatus::Interrupted,
                Err(_) => {
                    tracing::error!(step_id = %turn.step_id, "a turn panicked");
                    StepStatus::Interrupted
                }
            }
        }
        () = checkpoints(app, turn, &mut counted) => StepStatus::Interrupted,
    };
    let status = if status == StepStatus::Interrupted && !app.cutting.is_cancelled() {
        // The time is over, or something broke: somebody in danger is answered all the same.
        care_for(
            turn,
            &brief.settings.safety.country,
            &brief.assessment,
            &mut facts,
        )
        .unwrap_or(status)
    } else {
        status
    };
    let fold_until = facts.fold_until.filter(|_| app.config.llm.summaries);
    let spoken = facts.spoken;
    let end = close(app, turn, status, facts, brief.marks).await;
    count_bytes(app, turn, &mut counted);
    count(app, begun, spoken, status, &end);
    tracing::info!(
        step_id = %turn.step_id,
        session_id = %turn.session_id,
        outcome = outcome(&end),
        ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        bytes = turn.text_len(),
        "turn ended"
    );
    app.live.finish(turn, end);
    if turn.watched() {
        app.post(News::Ended(turn.session_id, turn.step_id));
    }
    if let Some(until) = fold_until {
        folding::begin(app, turn, until);
    }
}

/// Counts a turn that is over.
fn count(app: &App, begun: Instant, spoken: Spoken, status: StepStatus, end: &ServerFrame) {
    let ended = match end {
        ServerFrame::Done(done) => done.status,
        // Stopped before there was a word of an answer.
        _ if status == StepStatus::Cancelled => status,
        _ => StepStatus::Failed,
    };
    app.meters.turns_ended.add(ended.as_str());
    app.meters.turn.observe(begun.elapsed());
    if let Some(first) = spoken.first {
        app.meters.first_token.observe(first.duration_since(begun));
    }
    if let Some(between) = spoken.between() {
        app.meters.between_tokens.observe(between);
    }
}

/// Counts what an answer has grown by.
fn count_bytes(app: &App, turn: &LiveTurn, counted: &mut usize) {
    let size = turn.text_len();
    let grown = size.saturating_sub(*counted);
    *counted = size;
    app.meters
        .answer_bytes
        .add(u64::try_from(grown).unwrap_or(0));
}

fn outcome(end: &ServerFrame) -> &str {
    match end {
        ServerFrame::Done(done) => done.status.as_str(),
        ServerFrame::Error { error } => &error.code,
        _ => "unknown",
    }
}

/// Stores what there is of the answer every second while it grows, and extends the lease. That is also when it is
/// counted how much it has grown.
async fn checkpoints(app: &App, turn: &LiveTurn, counted: &mut usize) {
    let mut stored = 0;
    let mut extended = Instant::now();
    loop {
        if turn.watched() {
            tokio::time::sleep(WATCHED_CHECKPOINT).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(CHECKPOINT) => {}
                () = turn.nudged() => {}
            }
        }
        if turn.text_len() == stored && extended.elapsed() < LEASE / 4 {
            continue;
        }
        count_bytes(app, turn, counted);
        let text = turn.text();
        let size = text.len();
        // A checkpoint that fails is made up for by the next one, or by the end.
        if app
            .vault
            .checkpoint_step(
                turn.user_id,
                turn.step_id,
                &text,
                app.clock.now().plus(LEASE),
            )
            .await
            .is_ok()
        {
            if size > stored && turn.watched() {
                app.post(News::Grew(turn.session_id, turn.step_id));
            }
            stored = size;
            extended = Instant::now();
        }
    }
}

/// Stores the end and gives the frame that tells it. The notice before it is told here.
async fn close(
    app: &App,
    turn: &LiveTurn,
    status: StepStatus,
    facts: Facts,
    marks: Marks,
) -> ServerFrame {
    let text = turn.text();
    // A turn without a word of answer has failed, unless the person stopped it.
    let status = if text.is_empty() && status != StepStatus::Cancelled {
        StepStatus::Failed
    } else {
        status
    };
    let finish = FinishStep {
        step_id: turn.step_id,
        gpt_response: text.clone(),
        status,
        finish_reason: facts.finish_reason,
        charge: facts.charge(text.len()),
        model: facts.model,
        prompt_version: facts.prompt_version,
        output_tokens: facts.output_tokens,
        safety_tier: facts.raised.map(Marks::written_tier),
        at: app.clock.now(),
    };
    let used = match store_end(app, turn, &finish).await {
        Ok(Some(used)) => {
            app.meters.charged(finish.charge);
            used
        }
        // An earlier try did it, or the sweep of another instance: what is stored is what counts.
        Ok(None) => return stored_end(app, turn).await,
        Err(error) => {
            tracing::error!(step_id = %turn.step_id, code = %error.code(), causes = error.causes(), "answer not stored");
            return failed(turn.step_id, &error);
        }
    };
    if let Some(notice) = incomplete(status, finish.finish_reason).filter(|_| !text.is_empty()) {
        turn.tell(notice);
    }
    let (_, mut end) = terminal(&EmotionStep {
        step_id: turn.step_id,
        session_id: turn.session_id,
        step_order: turn.step_order,
        step_type: StepType::default(),
        user_input: String::new(),
        gpt_response: text,
        status,
        finish_reason: finish.finish_reason,
        message_id: turn.message_id.clone(),
        model: finish.model,
        prompt_version: finish.prompt_version,
        output_tokens: finish.output_tokens,
        created_at: turn.created_at,
        marks,
    });
    match &mut end {
        ServerFrame::Done(done) => done.quota = app.quota_left(used),
        ServerFrame::Error { error } if status == StepStatus::Failed => {
            error.retry_after = facts.wait.map(in_seconds).or(error.retry_after);
        }
        _ => {}
    }
    end
}

/// What a client is told to wait, in whole seconds: at least one, at most an hour.
fn in_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).clamp(1, 3600)
}

/// The end of a turn that is closed already.
async fn stored_end(app: &App, turn: &LiveTurn) -> ServerFrame {
    let begun = Instant::now();
    loop {
        match app.step(turn.user_id, turn.step_id).await {
            Ok(step) => {
                let (notice, end) = terminal(&step);
                if let Some(notice) = notice {
                    turn.tell(notice);
                }
                return end;
            }
            Err(error) if passing(&error) && begun.elapsed() < STORE_PATIENCE => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return failed(turn.step_id, &error),
        }
    }
}

/// Whether a database that failed like this may answer in a moment.
fn passing(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Unavailable | ErrorCode::Overloaded)
}

/// Tries again while the database does not answer: the answer was paid for and read already.
async fn store_end(app: &App, turn: &LiveTurn, finish: &FinishStep) -> Result<Option<Usage>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match app.vault.finish_step(turn.user_id, finish.clone()).await {
            Ok(closed) => return Ok(closed),
            Err(error) => {
                if !passing(&error) || begun.elapsed() > STORE_PATIENCE {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// Asks the models in order; how the turn ends.
pub(super) async fn answer(
    app: &App,
    turn: &LiveTurn,
    brief: &Brief,
    facts: &mut Facts,
) -> StepStatus {
    let language = Language::of(&turn.user_input);
    let trial = brief.trial.as_ref().map(|trial| trial.name);
    let prompt_language = match (trial, brief.settings.prompts.language) {
        (Some(PromptName::System(language)), _) => language,
        (_, PromptLanguage::Auto) => language.unwrap_or(Language::Korean),
        (_, PromptLanguage::Ko) => Language::Korean,
        (_, PromptLanguage::En) => Language::English,
    };
    let briefing = app
        .vault
        .briefing(
            turn.user_id,
            turn.session_id,
            turn.step_order,
            app.config.llm.history_steps,
            vec![PromptName::System(prompt_language), PromptName::Personal(turn.user_id)],
        )
        .await
        .inspect_err(|error| {
            // Better an answer without the history than none.
            tracing::warn!(step_id = %turn.step_id, code = %error.code(), causes = error.causes(), "answering without history");
        });
    let known = briefing.is_ok();
    let briefing = briefing.unwrap_or_default();
    let now = assess_together(&turn.user_input, &brief.assessment, &briefing.history);
    app.meters.tiers.add(now.tier);
    facts.raised = (now.tier > brief.assessment.tier).then_some(now.tier);
    take_care(app, turn, brief, &now);
    app.assessed.put(turn.step_id, brief.assessment.clone());
    let assessment = sticky(app, now, &briefing.history);
    let prompts = briefing.prompts;
    let ab = if known {
        brief.settings.prompts.ab
    } else {
        // A database that did not answer is not asked once more.
        PromptsAb::default()
    };
    let own = own(app, turn, brief, prompt_language, ab, &prompts).await;
    let (mut system, version) =
        instructions(turn, brief, &assessment, prompt_language, &own, &prompts);
    facts.prompt_version = Some(version);
    let mut history = briefing.history;
    let folded = briefing.summary.as_ref().map_or(0, |summary| summary.until);
    if let Some(summary) = briefing.summary {
        history.retain(|exchange| exchange.step_order > summary.until);
        system = prompt::with_summary(&system, &summary.text, prompt_language);
    }
    // Without the history nothing is known of what would be left out.
    let folded = if known { folded } else { turn.step_order - 1 };
    let fitted = fit(app, turn, system, history, folded).await;
    facts.fold_until = fitted.fold_until;
    let request = ChatRequest {
        messages: fitted.messages,
        max_output_tokens: app.config.llm.max_output_tokens,
        schema: None,
        pseudonym: app.keys.now().pseudonym(turn.user_id.0.as_bytes()),
    };
    // Nothing that somebody in danger is told is held back.
    let guarded = if assessment.tier < Tier::Elevated {
        own.secret
    } else {
        String::new()
    };
    let question = Question {
        request,
        instructions: app.recitals.instructions(guarded).await,
    };
    if let Some(status) = ask_in_turn(app, turn, &question, facts).await {
        return status;
    }
    care_for(turn, &brief.settings.safety.country, &assessment, facts).unwrap_or(StepStatus::Failed)
}

/// Somebody in danger is never answered by silence: the fixed answer, where there is no other one.
fn care_for(
    turn: &LiveTurn,
    country: &str,
    assessment: &Assessment,
    facts: &mut Facts,
) -> Option<StepStatus> {
    if assessment.tier < Tier::Elevated || facts.model.is_some() {
        return None;
    }
    if turn.text_len() == 0 {
        turn.say(&safety::fixed_answer(
            assessment.tier,
            &assessment.categories,
            country,
            Lang::detect(&turn.user_input),
        ));
    }
    facts.model = Some(FIXED.to_owned());
    Some(StepStatus::Complete)
}
