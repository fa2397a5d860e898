//! A turn while it runs: asking the models, keeping what they say, storing it.
//!
//! Owns the life of one turn's task. Invariants: whatever happens — a fault, a stop, the deadline,
//! a drain, a panic — the step is closed and the turn has exactly one end; what the person was
//! shown is what is stored.

use super::{LEASE, failed, incomplete, terminal};
use crate::config::{ClientPrompts, PromptLanguage};
use crate::domain::prompt::{self, Language, Prompt, PromptName};
use crate::domain::safety::Tier;
use crate::domain::step::{EmotionStep, FinishReason, StepStatus, StepType};
use crate::domain::transcript::{self, Exchange, Transcript};
use crate::domain::{Error, ErrorCode, Result};
use crate::llm::{ChatModel, ChatRequest, Fault, Piece, tokens};
use crate::safety::{self, Assessment, Lang};
use crate::service::App;
use crate::service::live::LiveTurn;
use crate::store::{Briefing, FinishStep};
use crate::wire::ws::{NOTICE_FALLBACK, NOTICE_TRIMMED, Notice, ServerFrame};
use futures_util::{FutureExt as _, StreamExt as _};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often a running answer is stored.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How long the end of a turn is tried to be stored while the database does not answer.
const STORE_PATIENCE: Duration = Duration::from_mins(1);
/// The person's earlier turns that the safety gate reads along.
const RECENT: usize = 4;
/// The person's earlier turns whose tier still holds.
const STICKY: usize = 20;
/// The name under which fixed answers are stored.
const FIXED: &str = "fixed";

/// What the turn needs beside its words.
#[derive(Debug)]
pub(super) struct Brief {
    pub(super) client_prompt: Option<String>,
    pub(super) knows_frames: bool,
    pub(super) assessment: Assessment,
}

/// What is known of the answer so far, to be stored with it.
#[derive(Debug, Default)]
struct Facts {
    model: Option<String>,
    prompt_version: Option<String>,
    finish_reason: Option<FinishReason>,
    output_tokens: Option<i64>,
}

/// Runs a turn to its end.
pub(super) async fn run(app: &App, turn: &std::sync::Arc<LiveTurn>, brief: Brief) {
    let begun = Instant::now();
    let mut facts = Facts::default();
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
        () = checkpoints(app, turn) => StepStatus::Interrupted,
    };
    let end = close(app, turn, status, facts).await;
    tracing::info!(
        step_id = %turn.step_id,
        session_id = %turn.session_id,
        outcome = outcome(&end),
        ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        bytes = turn.text_len(),
        "turn ended"
    );
    app.live.finish(turn, end);
}

fn outcome(end: &ServerFrame) -> &str {
    match end {
        ServerFrame::Done(done) => done.status.as_str(),
        ServerFrame::Error { error } => &error.code,
        _ => "unknown",
    }
}

/// Stores what there is of the answer every second while it grows, and extends the lease.
async fn checkpoints(app: &App, turn: &LiveTurn) {
    let mut stored = 0;
    let mut extended = Instant::now();
    loop {
        tokio::time::sleep(CHECKPOINT).await;
        if turn.text_len() == stored && extended.elapsed() < LEASE / 4 {
            continue;
        }
        let text = turn.text();
        let size = text.len();
        // A checkpoint that fails is made up for by the next one, or by the end.
        if app
            .store
            .checkpoint_step(turn.step_id, text, app.clock.now().plus(LEASE))
            .await
            .is_ok()
        {
            stored = size;
            extended = Instant::now();
        }
    }
}

/// Stores the end and gives the frame that tells it. The notice before it is told here.
async fn close(app: &App, turn: &LiveTurn, status: StepStatus, facts: Facts) -> ServerFrame {
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
        model: facts.model,
        prompt_version: facts.prompt_version,
        output_tokens: facts.output_tokens,
        at: app.clock.now(),
    };
    match store_end(app, &finish).await {
        Ok(true) => {}
        // Somebody closed it: its lease had ended. What they stored is what there is.
        Ok(false) => {
            return failed(
                turn.step_id,
                &Error::new(
                    ErrorCode::Interrupted,
                    "the turn was interrupted: resume it",
                ),
            );
        }
        Err(error) => {
            tracing::error!(step_id = %turn.step_id, code = %error.code(), causes = error.causes(), "answer not stored");
            return failed(turn.step_id, &error);
        }
    }
    if let Some(notice) = incomplete(status, finish.finish_reason).filter(|_| !text.is_empty()) {
        turn.tell(notice);
    }
    let (_, end) = terminal(&EmotionStep {
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
    });
    end
}

/// Tries again while the database does not answer: the answer was paid for and read already.
async fn store_end(app: &App, finish: &FinishStep) -> Result<bool> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(100);
    let mut tried = false;
    loop {
        match app.store.finish_step(finish.clone()).await {
            // A try whose outcome was unknown may have been the one that closed it.
            Ok(closed) => return Ok(closed || tried),
            Err(error) => {
                let passing =
                    matches!(error.code(), ErrorCode::Unavailable | ErrorCode::Overloaded);
                if !passing || begun.elapsed() > STORE_PATIENCE {
                    return Err(error);
                }
                tried = true;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// Asks the models in order; how the turn ends.
async fn answer(app: &App, turn: &LiveTurn, brief: &Brief, facts: &mut Facts) -> StepStatus {
    let language = Language::of(&turn.user_input);
    let prompt_language = match app.config.prompts.language {
        PromptLanguage::Auto => language.unwrap_or(Language::Korean),
        PromptLanguage::Ko => Language::Korean,
        PromptLanguage::En => Language::English,
    };
    let briefing = app
        .store
        .briefing(
            turn.session_id,
            turn.step_order,
            app.config.llm.history_steps,
            vec![PromptName::System(prompt_language), PromptName::Personal(turn.user_id)],
        )
        .await
        .unwrap_or_else(|error| {
            // Better an answer without the history than none.
            tracing::warn!(step_id = %turn.step_id, code = %error.code(), causes = error.causes(), "answering without history");
            Briefing::default()
        });
    let now = assess_together(turn, brief, &briefing.history);
    take_care(app, turn, brief, &now);
    let assessment = sticky(now, &briefing.history);
    let (system, version) = instructions(
        app,
        turn,
        brief,
        &assessment,
        prompt_language,
        &briefing.prompts,
    );
    facts.prompt_version = Some(version);
    let request = ChatRequest {
        messages: fit(app, turn, system, briefing.history).await,
        max_output_tokens: app.config.llm.max_output_tokens,
        pseudonym: app.keys.pseudonym(turn.user_id.0.as_bytes()),
    };
    for (place, model) in app.models.iter().enumerate() {
        match ask(app, turn, &**model, request.clone(), place > 0, facts).await {
            Ok(status) => return status,
            Err(fault) => {
                tracing::warn!(step_id = %turn.step_id, model = model.name(), fault = fault.as_str(), "model did not answer");
            }
        }
    }
    if assessment.tier >= Tier::Elevated {
        // Somebody in danger is never answered by silence.
        let lang = Lang::detect(&turn.user_input);
        if turn.text_len() == 0 {
            turn.say(&safety::fixed_answer(
                assessment.tier,
                &assessment.categories,
                &app.config.safety.country,
                lang,
            ));
        }
        facts.model = Some(FIXED.to_owned());
        return StepStatus::Complete;
    }
    StepStatus::Failed
}

/// The gate on the words together with the turns before; it can only raise what the words alone
/// said.
fn assess_together(turn: &LiveTurn, brief: &Brief, history: &[Exchange]) -> Assessment {
    let recent: Vec<&str> = history
        .iter()
        .skip(history.len().saturating_sub(RECENT))
        .map(|e| e.user_input.as_str())
        .collect();
    let together = crate::service::assess(&turn.user_input, &recent);
    if together.tier > brief.assessment.tier {
        together
    } else {
        brief.assessment.clone()
    }
}

/// A tier holds on: somebody who spoke of dying a few turns ago is not over it because they now talk
/// of the weather. The frame is for the turn that raised it; the model is told for all of them.
fn sticky(now: Assessment, history: &[Exchange]) -> Assessment {
    let earlier = history.iter().rev().take(STICKY);
    earlier
        .map(|exchange| crate::service::assess(&exchange.user_input, &[]))
        .fold(now, |highest, assessment| {
            if assessment.tier > highest.tier {
                assessment
            } else {
                highest
            }
        })
}

/// What a person in danger gets before the model has said a word.
fn take_care(app: &App, turn: &LiveTurn, brief: &Brief, assessment: &Assessment) {
    let Some(safety) = app.safety(&turn.user_input, assessment) else {
        return;
    };
    turn.tell(ServerFrame::Safety { safety });
    let lang = Lang::detect(&turn.user_input);
    let country = &app.config.safety.country;
    let first = if assessment.tier == Tier::Imminent {
        safety::fixed_answer(assessment.tier, &assessment.categories, country, lang)
    } else if brief.knows_frames {
        return;
    } else {
        safety::short_text(assessment.tier, &assessment.categories, country, lang)
    };
    turn.say(&format!("{first}\n\n"));
}

/// The system prompt and its label. In danger the wishes of person and app do not count.
fn instructions(
    app: &App,
    turn: &LiveTurn,
    brief: &Brief,
    assessment: &Assessment,
    language: Language,
    stored: &[Prompt],
) -> (String, String) {
    let name = PromptName::System(language);
    let find = |name| stored.iter().find(|p| p.name == name).cloned();
    let server = find(name).or_else(|| name.embedded()).unwrap_or(Prompt {
        name,
        version: 0,
        body: String::new(),
        created_at: None,
    });
    let lang = Lang::detect(&turn.user_input);
    let mut label = server.label();
    if assessment.tier >= Tier::Elevated {
        let preamble = safety::preamble(assessment.tier, &assessment.categories, lang);
        return (format!("{preamble}\n\n{}", server.body), label);
    }
    let personal = find(PromptName::Personal(turn.user_id));
    let client = brief
        .client_prompt
        .as_deref()
        .filter(|_| app.config.prompts.client == ClientPrompts::Append);
    if let Some(personal) = &personal {
        label = format!("{label}+personal@{}", personal.version);
    }
    let mut system = prompt::stack(
        &server.body,
        personal.as_ref().map(|p| p.body.as_str()),
        client,
        language,
    );
    if assessment.tier == Tier::Low {
        let preamble = safety::preamble(assessment.tier, &assessment.categories, lang);
        system = format!("{preamble}\n\n{system}");
    }
    (system, label)
}

/// The messages that fit; tokens are counted off the runtime, and only when bytes do not settle it.
async fn fit(
    app: &App,
    turn: &LiveTurn,
    system: String,
    history: Vec<Exchange>,
) -> Vec<transcript::Message> {
    let budget = app.config.llm.context_tokens;
    let words = turn.user_input.clone();
    let Transcript { messages, left_out } =
        if transcript::surely_fits(&system, &history, &words, budget) {
            transcript::assemble(system, history, &words, budget, &str::len)
        } else {
            let count =
                move || transcript::assemble(system, history, &words, budget, &tokens::count);
            match tokio::task::spawn_blocking(count).await {
                Ok(transcript) => transcript,
                Err(_) => Transcript {
                    messages: Vec::new(),
                    left_out: 0,
                },
            }
        };
    if left_out > 0 {
        turn.tell(ServerFrame::Notice {
            notice: Notice {
                code: NOTICE_TRIMMED.to_owned(),
                message: format!("the conversation has grown long: the {left_out} oldest messages were not shown to the model"),
            },
        });
    }
    messages
}

/// Asks one model. `Err` means that it said nothing, so that the next one may be asked.
async fn ask(
    app: &App,
    turn: &LiveTurn,
    model: &dyn ChatModel,
    request: ChatRequest,
    fallback: bool,
    facts: &mut Facts,
) -> Result<StepStatus, Fault> {
    let llm = &app.config.llm;
    let idle = Duration::from_secs(llm.idle_seconds);
    // One timer for the whole answer: it is moved when it fires, not with every token.
    let mut heard = Instant::now();
    let mut patience = Duration::from_secs(llm.first_token_seconds);
    let mut timer = std::pin::pin!(tokio::time::sleep_until(heard + patience));
    let mut stream = tokio::select! {
        stream = model.ask(request) => stream?,
        () = &mut timer => return Err(Fault::Stalled),
    };
    let mut begun = false;
    loop {
        let piece = tokio::select! {
            biased;
            // A stream that just stops was cut.
            piece = stream.next() => piece.unwrap_or(Err(Fault::Connection)),
            () = &mut timer => {
                if heard.elapsed() < patience {
                    timer.as_mut().reset(heard + patience);
                    continue;
                }
                Err(Fault::Stalled)
            }
        };
        heard = Instant::now();
        match piece {
            Ok(Piece::Text(text)) => {
                if !begun {
                    begun = true;
                    patience = idle;
                    timer.as_mut().reset(heard + patience);
                    facts.model = Some(model.name().to_owned());
                    if fallback {
                        turn.tell(fallback_notice(model.name()));
                    }
                }
                if !say_within(turn, &text, llm.max_output_bytes) {
                    facts.finish_reason = Some(FinishReason::Length);
                    return Ok(StepStatus::Complete);
                }
            }
            Ok(Piece::End {
                finish_reason,
                output_tokens,
            }) if begun => {
                facts.finish_reason = Some(finish_reason);
                facts.output_tokens = output_tokens;
                return Ok(StepStatus::Complete);
            }
            // An empty answer is none.
            Ok(Piece::End { .. }) => return Err(Fault::Malformed),
            Err(fault) if begun => {
                tracing::warn!(step_id = %turn.step_id, model = model.name(), fault = fault.as_str(), "answer cut");
                return Ok(StepStatus::Interrupted);
            }
            Err(fault) => return Err(fault),
        }
    }
}

fn fallback_notice(model: &str) -> ServerFrame {
    ServerFrame::Notice {
        notice: Notice {
            code: NOTICE_FALLBACK.to_owned(),
            message: format!("the usual model is not available; {model} answers"),
        },
    }
}

/// Adds text to the answer; `false` when it had to be cut at the limit. NUL cannot be stored by
/// every database and says nothing.
fn say_within(turn: &LiveTurn, text: &str, limit: usize) -> bool {
    let cleaned;
    let mut text = text;
    if text.contains('\0') {
        cleaned = text.replace('\0', "");
        text = &cleaned;
    }
    let room = limit.saturating_sub(turn.text_len());
    let fits = text.len() <= room;
    turn.say(if fits {
        text
    } else {
        &text[..text.floor_char_boundary(room)]
    });
    fits
}
