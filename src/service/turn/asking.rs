//! Asking the models and passing on what one of them says.
//!
//! Invariants: a model that said nothing may be asked again, or followed by another, within a budget of
//! time; one that spoke may not; an answer is whole only if the model said that it ended; none recites the
//! server's prompt.

use super::patience;
use crate::domain::Result;
use crate::domain::prompt::Language;
use crate::domain::safety::Tier;
use crate::domain::step::{FinishReason, StepStatus};
use crate::domain::usage::{Tokens, estimate};
use crate::llm::chain::{Leave, Link, says_ill};
use crate::llm::listener::BUILTIN;
use crate::llm::recital::{Guard, Instructions, Passed};
use crate::llm::{ChatModel, ChatRequest, Fault, Piece};
use crate::service::App;
use crate::service::live::LiveTurn;
use crate::wire::ws::{NOTICE_FALLBACK, Notice, ServerFrame};
use futures_util::StreamExt as _;
use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is known of the answer so far, to be stored with it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) model: Option<String>,
    pub(super) prompt_version: Option<String>,
    pub(super) finish_reason: Option<FinishReason>,
    pub(super) output_tokens: Option<i64>,
    /// When the model spoke.
    pub(super) spoken: Spoken,
    /// Why the model broke off, if it did.
    pub(super) cut: Option<Fault>,
    /// Up to which step the conversation is to be folded, when it has little room left.
    pub(super) fold_until: Option<i64>,
    /// The safety tier of the words together with those before, where it is above that of the words alone.
    pub(super) raised: Option<Tier>,
    /// When the first of those who said nothing may be asked again.
    pub(super) wait: Option<Duration>,
    /// Bytes of what the language model was asked that answers, or was stopped before it did.
    asked_bytes: Option<usize>,
    /// Bytes of what was said before it spoke, which costs nothing.
    free_bytes: usize,
    input_tokens: Option<i64>,
}

/// When a model spoke.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spoken {
    pub(super) first: Option<Instant>,
    last: Option<Instant>,
    pieces: u32,
}

impl Spoken {
    /// A piece of the answer came.
    fn piece(&mut self, at: Instant) {
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.pieces = self.pieces.saturating_add(1);
    }

    /// The time from one piece to the next, on average; one piece has no next.
    pub(super) fn between(&self) -> Option<Duration> {
        let took = self.last?.duration_since(self.first?);
        took.checked_div(self.pieces.checked_sub(1)?)
    }
}

/// What a provider may say that one answer took; what is beyond it is not counted but made up, and so is
/// a question of no tokens.
const CREDIBLE: RangeInclusive<i64> = 1..=100_000_000;

/// When a model that did not say is taken to be there again.
const WAIT: Duration = Duration::from_secs(5);

/// The size of what a model is asked.
fn bytes(request: &ChatRequest) -> usize {
    let contents = request.messages.iter().map(|message| message.content.len());
    contents.sum()
}

impl Facts {
    /// A language model answers this: it costs something from now on.
    pub(super) fn asked(&mut self, request: &ChatRequest) {
        self.asked_bytes = Some(bytes(request));
    }

    /// The provider has counted.
    pub(super) fn counted(&mut self, input_tokens: Option<i64>, output_tokens: Option<i64>) {
        self.input_tokens = input_tokens.filter(|tokens| CREDIBLE.contains(tokens));
        let counted = self.input_tokens.is_some();
        self.output_tokens =
            output_tokens.filter(|tokens| CREDIBLE.contains(tokens) || (*tokens == 0 && counted));
    }

    /// What a turn costs in which `said` bytes were said: as the provider counted, or else an estimate.
    pub(super) fn charge(&self, said: usize) -> Tokens {
        let Some(asked) = self.asked_bytes else {
            return Tokens::default();
        };
        Tokens {
            input: self.input_tokens.unwrap_or_else(|| estimate(asked)),
            output: self
                .output_tokens
                .unwrap_or_else(|| estimate(said.saturating_sub(self.free_bytes))),
        }
    }

    fn said_nothing(&mut self, fault: &Fault) {
        let wait = match fault {
            Fault::Busy {
                retry_after: Some(wait),
            } => *wait,
            _ => WAIT,
        };
        self.wait = Some(self.wait.map_or(wait, |before| before.min(wait)));
    }
}

/// What the models are asked, and what none of them may recite.
pub(super) struct Question {
    pub(super) request: ChatRequest,
    pub(super) instructions: Arc<Instructions>,
}

/// Asks the models in their order, each with patience; how the turn ends, or `None` when none of them
/// said anything.
pub(super) async fn ask_in_turn(
    app: &App,
    turn: &LiveTurn,
    question: &Question,
    facts: &mut Facts,
) -> Option<StepStatus> {
    let until = Instant::now() + Duration::from_secs(app.config.llm.retry_seconds);
    let mut resting = Vec::new();
    for (place, link) in app.chain.links().enumerate() {
        let fallback = place > 0;
        let Some(leave) = link.leave(Instant::now()) else {
            resting.push((fallback, link));
            continue;
        };
        let tried = Tried {
            link,
            leave,
            fallback,
        };
        if let Some(status) = ask_link(app, turn, tried, question, until, facts).await {
            return Some(status);
        }
    }
    // Better one that failed a while ago than nobody.
    let (fallback, link) = resting
        .into_iter()
        .min_by_key(|(_, link)| link.resting_since())?;
    let tried = Tried {
        link,
        leave: link.leave_anyway(),
        fallback,
    };
    ask_link(app, turn, tried, question, until, facts).await
}

/// A model whose turn it is.
struct Tried<'a> {
    link: &'a Link,
    leave: Leave,
    fallback: bool,
}

/// Asks one model, again where that may help, and tells its breaker what came of it.
async fn ask_link(
    app: &App,
    turn: &LiveTurn,
    Tried {
        link,
        leave,
        fallback,
    }: Tried<'_>,
    question: &Question,
    until: Instant,
    facts: &mut Facts,
) -> Option<StepStatus> {
    let model = &*link.model;
    let mut tries = 0;
    loop {
        tries += 1;
        let fault = match ask(app, turn, model, question, fallback, facts).await {
            Ok(status) => {
                if let Some(fault) = &facts.cut {
                    link.failures.add(fault.as_str());
                    leave.ill(Instant::now());
                } else {
                    link.answers.add(1);
                    leave.well();
                }
                return Some(status);
            }
            Err(fault) => fault,
        };
        facts.asked_bytes = None;
        link.failures.add(fault.as_str());
        facts.said_nothing(&fault);
        tracing::warn!(step_id = %turn.step_id, model = model.name(), fault = fault.as_str(), tries, "model did not answer");
        let mut random = [0; 8];
        // Without randomness the pauses are the shortest ones.
        let _ = app.random.fill(&mut random);
        let left = until.saturating_duration_since(Instant::now());
        let most = app.config.llm.tries;
        let random = u64::from_le_bytes(random);
        let Some(pause) = patience::again(&fault, tries, most, left, random) else {
            if says_ill(&fault) {
                leave.ill(Instant::now());
            } else {
                leave.well();
            }
            return None;
        };
        tokio::time::sleep(pause).await;
    }
}

/// Asks one model. `Err` means that it said nothing, so that the next one may be asked.
async fn ask(
    app: &App,
    turn: &LiveTurn,
    model: &dyn ChatModel,
    question: &Question,
    fallback: bool,
    facts: &mut Facts,
) -> Result<StepStatus, Fault> {
    let llm = &app.config.llm;
    let idle = Duration::from_secs(llm.idle_seconds);
    // One timer for the whole answer: it is moved when it fires, not with every token.
    let mut heard = Instant::now();
    let mut patience = Duration::from_secs(llm.first_token_seconds);
    let mut timer = std::pin::pin!(tokio::time::sleep_until(heard + patience));
    // Whoever stops the turn from now on has made it read.
    facts.asked_bytes = model.is_language_model().then(|| bytes(&question.request));
    // Who is no language model has nothing to recite.
    let mut guard = model
        .is_language_model()
        .then(|| Guard::new(&question.instructions));
    facts.free_bytes = turn.text_len();
    let mut stream = tokio::select! {
        stream = model.ask(question.request.clone()) => stream?,
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
                facts.spoken.piece(heard);
                if !begun {
                    begun = true;
                    patience = idle;
                    timer.as_mut().reset(heard + patience);
                    facts.model = Some(model.name().to_owned());
                    if fallback {
                        turn.tell(fallback_notice(model.name(), &turn.user_input));
                    }
                }
                let passed = match &mut guard {
                    Some(guard) => guard.pass(&text),
                    None => Passed::Say(text),
                };
                let recites = matches!(passed, Passed::Recital(_));
                let (Passed::Say(text) | Passed::Recital(text)) = passed;
                if !say_within(turn, &text, llm.max_output_bytes) {
                    facts.finish_reason = Some(FinishReason::Length);
                    return Ok(StepStatus::Complete);
                }
                if recites {
                    tracing::warn!(step_id = %turn.step_id, model = model.name(), "answer cut: it recited the system prompt");
                    say_within(turn, no_recital(turn), llm.max_output_bytes);
                    facts.finish_reason = Some(FinishReason::ContentFilter);
                    return Ok(StepStatus::Complete);
                }
            }
            Ok(Piece::End {
                finish_reason,
                input_tokens,
                output_tokens,
            }) if begun => {
                say_rest(turn, guard, llm.max_output_bytes);
                facts.finish_reason = Some(finish_reason);
                facts.counted(input_tokens, output_tokens);
                return Ok(StepStatus::Complete);
            }
            // An empty answer is none.
            Ok(Piece::End { .. }) => return Err(Fault::Malformed),
            Err(fault) if begun => {
                tracing::warn!(step_id = %turn.step_id, model = model.name(), fault = fault.as_str(), "answer cut");
                say_rest(turn, guard, llm.max_output_bytes);
                facts.cut = Some(fault);
                return Ok(StepStatus::Interrupted);
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Says what was held back of an answer that turned out to recite nothing.
fn say_rest(turn: &LiveTurn, guard: Option<Guard<'_>>, limit: usize) {
    if let Some(mut guard) = guard {
        say_within(turn, &guard.rest(), limit);
    }
}

/// What somebody is told whose answer would have been the instructions; in the language of the words.
fn no_recital(turn: &LiveTurn) -> &'static str {
    match (Language::of(&turn.user_input), turn.text_len()) {
        (Some(Language::English), 0) => {
            "I can't show the instructions I was given. Shall we go back to what is on your mind?"
        }
        (Some(Language::English), _) => {
            "…\n\nI can't show the instructions I was given. Shall we go back to what is on your mind?"
        }
        (_, 0) => {
            "제가 받은 안내문은 보여 드릴 수 없어요. 지금 마음에 있는 이야기로 돌아가 볼까요?"
        }
        (_, _) => {
            "…\n\n제가 받은 안내문은 보여 드릴 수 없어요. 지금 마음에 있는 이야기로 돌아가 볼까요?"
        }
    }
}

/// Who answers instead of the first model; in the language of the words, Korean when they have no
/// letters.
fn fallback_notice(model: &str, words: &str) -> ServerFrame {
    let korean = Language::of(words) != Some(Language::English);
    let message = match (model == BUILTIN, korean) {
        (true, true) => "지금은 언어 모델이 답할 수 없어요. 언어 모델이 아닌 내장 리스너가 대신 답해요.".to_owned(),
        (true, false) => "no language model is available; the built-in listener answers, which is not a language model".to_owned(),
        (false, true) => format!("평소의 모델이 답할 수 없어 {model} 모델이 대신 답해요."),
        (false, false) => format!("the usual model is not available; {model} answers"),
    };
    ServerFrame::Notice {
        notice: Notice {
            code: NOTICE_FALLBACK.to_owned(),
            message,
        },
    }
}

/// The text without NUL, which cannot be stored by every database and says nothing.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// Adds text to the answer; `false` when it had to be cut at the limit.
pub(super) fn say_within(turn: &LiveTurn, text: &str, limit: usize) -> bool {
    let text = &*clean(text);
    let room = limit.saturating_sub(turn.text_len());
    let fits = text.len() <= room;
    turn.say(if fits {
        text
    } else {
        &text[..text.floor_char_boundary(room)]
    });
    fits
}
