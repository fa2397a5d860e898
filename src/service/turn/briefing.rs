//! What the model is told before it answers.
//!
//! Owns the choice of prompt, history and care for one turn. Invariants: the words of the safety
//! gate stand above every prompt; in danger the wishes of person and app do not count; what is left
//! out of the history is said.

use crate::config::{ClientPrompts, PromptsAb};
use crate::domain::prompt::variables::{self, Values};
use crate::domain::prompt::{self, Language, Prompt, PromptName};
use crate::domain::safety::Tier;
use crate::domain::step::Marks;
use crate::domain::transcript::{self, Exchange, Transcript};
use crate::llm::{recital, tokens};
use crate::safety::{self, Assessment, Lang};
use crate::service::App;
use crate::service::guest;
use crate::service::live::LiveTurn;
use crate::service::settings::Settings;
use crate::wire::ws::{NOTICE_TRIMMED, Notice, ServerFrame};
use std::sync::Arc;

/// The person's earlier turns that the safety gate reads along.
pub(in crate::service) const RECENT: u32 = 4;
/// The person's earlier turns whose tier still holds.
pub(super) const STICKY: u32 = 20;

/// What the turn needs beside its words.
pub(super) struct Brief {
    /// What held when the turn began.
    pub(super) settings: Arc<Settings>,
    pub(super) client_prompt: Option<String>,
    pub(super) knows_frames: bool,
    pub(super) assessment: Assessment,
    /// What was made of the words when they were stored.
    pub(super) marks: Marks,
    /// The server's prompt that is told instead of the newest, to see what comes of it.
    pub(super) trial: Option<Prompt>,
}

/// The server's own prompt, as it is told in one turn.
pub(super) struct Own {
    label: String,
    body: String,
    /// What of it may not be recited.
    pub(super) secret: String,
}

/// The server's own prompt in this language, with what its variables stand for.
pub(super) async fn own(
    app: &App,
    turn: &LiveTurn,
    brief: &Brief,
    language: Language,
    ab: PromptsAb,
    stored: &[Prompt],
) -> Own {
    let name = PromptName::System(language);
    let newest = || stored.iter().find(|p| p.name == name).cloned();
    let other = if let Some(trial) = &brief.trial {
        Some(trial.clone())
    } else {
        app.earlier_for(turn.user_id, language, ab).await
    };
    let prompt = other.or_else(newest);
    let prompt = prompt.or_else(|| name.embedded()).unwrap_or(Prompt {
        name,
        version: 0,
        body: String::new(),
        created_at: None,
    });
    let called = if variables::tells_name(&prompt.body) {
        // Whoever cannot be asked for is not called by name.
        let user = app.store.user(turn.user_id).await.ok().flatten();
        user.filter(|user| user.email.address().is_some() || user.name != guest::NAME)
    } else {
        None
    };
    let values = Values {
        name: called.as_ref().map_or("", |user| &user.name),
        date: app.clock.today(),
        language: Language::of(&turn.user_input).unwrap_or(language),
    };
    Own {
        label: prompt.label(),
        // Which lines name a number to call is decided before a year or a name brings one.
        secret: variables::expand(&recital::secret(&prompt.body), language, values),
        body: variables::expand(&prompt.body, language, values),
    }
}

/// The gate on the words together with the turns before; it can only raise what the words alone
/// said.
pub(in crate::service) fn assess_together(
    words: &str,
    alone: &Assessment,
    history: &[Exchange],
) -> Assessment {
    let recent: Vec<&str> = history
        .iter()
        .skip(history.len().saturating_sub(RECENT as usize))
        .map(|e| e.user_input.as_str())
        .collect();
    crate::service::assess_together(words, alone.clone(), &recent)
}

/// A tier holds on: somebody who spoke of dying a few turns ago is not over it because they now talk
/// of the weather. The frame is for the turn that raised it; the model is told for all of them.
pub(super) fn sticky(app: &App, now: Assessment, history: &[Exchange]) -> Assessment {
    let earlier = history.iter().rev().take(STICKY as usize);
    app.assessed.worst(now, earlier, crate::service::assess)
}

/// What a person in danger gets before the model has said a word.
pub(super) fn take_care(app: &App, turn: &LiveTurn, brief: &Brief, assessment: &Assessment) {
    let Some(safety) = app.safety(&turn.user_input, assessment) else {
        return;
    };
    turn.tell(ServerFrame::Safety { safety });
    let (session_id, step_id) = (Some(turn.session_id), Some(turn.step_id));
    app.raise_alarm(assessment.tier, turn.user_id, session_id, step_id);
    let lang = Lang::detect(&turn.user_input);
    let country = &brief.settings.safety.country;
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
pub(super) fn instructions(
    turn: &LiveTurn,
    brief: &Brief,
    assessment: &Assessment,
    language: Language,
    own: &Own,
    stored: &[Prompt],
) -> (String, String) {
    let lang = Lang::detect(&turn.user_input);
    let mut label = own.label.clone();
    if assessment.tier >= Tier::Elevated {
        let preamble = safety::preamble(assessment.tier, &assessment.categories, lang);
        return (format!("{preamble}\n\n{}", own.body), label);
    }
    let personal = PromptName::Personal(turn.user_id);
    let personal = stored.iter().find(|p| p.name == personal);
    let client = brief
        .client_prompt
        .as_deref()
        .filter(|_| brief.settings.prompts.client == ClientPrompts::Append);
    if let Some(personal) = personal {
        label = format!("{label}+personal@{}", personal.version);
    }
    let mut system = prompt::stack(
        &own.body,
        personal.map(|p| p.body.as_str()),
        client,
        language,
    );
    if assessment.tier == Tier::Low {
        let preamble = safety::preamble(assessment.tier, &assessment.categories, lang);
        system = format!("{preamble}\n\n{system}");
    }
    (system, label)
}

/// What the model is given, and up to which step the conversation is to be folded, if it is.
pub(super) struct Fitted {
    pub(super) messages: Vec<transcript::Message>,
    pub(super) fold_until: Option<i64>,
}

/// The messages that fit; tokens are counted off the runtime, and only when bytes do not settle it.
/// `folded` is the last step that a summary stands for; steps between it and the history are as good as
/// left out.
pub(super) async fn fit(
    app: &App,
    turn: &LiveTurn,
    system: String,
    history: Vec<Exchange>,
    folded: i64,
) -> Fitted {
    let budget = app.config.llm.context_tokens;
    let words = turn.user_input.clone();
    let orders: Vec<i64> = history.iter().map(|e| e.step_order).collect();
    let fitted = if transcript::surely_fits(&system, &history, &words, budget) {
        transcript::assemble(system, history, &words, budget, &str::len)
    } else {
        let count = move || transcript::assemble(system, history, &words, budget, &tokens::count);
        match tokio::task::spawn_blocking(count).await {
            Ok(transcript) => transcript,
            Err(_) => Transcript {
                messages: Vec::new(),
                left_out: 0,
                to_fold: 0,
            },
        }
    };
    let first = orders.first().copied().unwrap_or(turn.step_order);
    let unseen = first - folded - 1;
    let left_out = i64::try_from(fitted.left_out).unwrap_or(i64::MAX) + unseen.max(0);
    if left_out > 0 {
        turn.tell(ServerFrame::Notice {
            notice: Notice {
                code: NOTICE_TRIMMED.to_owned(),
                message: format!("the conversation has grown long: the {left_out} oldest messages were not shown to the model"),
            },
        });
    }
    let shown_and_folded = fitted.to_fold.checked_sub(1);
    let fold_until = shown_and_folded
        .and_then(|last| orders.get(last).copied())
        .or((unseen > 0).then_some(first - 1));
    Fitted {
        messages: fitted.messages,
        fold_until,
    }
}
