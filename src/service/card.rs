//! Summary cards: a conversation on one page.
//!
//! Owns making, keeping and showing them. Called by the end of a session and by who asks for one. Invariants: the end
//! of a session waits for no card, a drain neither; a quote is the person's own words; where a step of the session
//! was elevated or worse there is no card but whom to reach, and no model is asked; what a model wrote is charged, a
//! broken answer too, and nothing shorter takes its place unless more was said.

use super::App;
use super::turn::aside::{self, NoPlace, Place};
use super::turn::folding::ends;
use super::turn::restarting;
use super::vault::Kept;
use crate::domain::card::{Card, CardKind, Quote, SCHEMA};
use crate::domain::flow::MarkedStep;
use crate::domain::prompt::{self, Language};
use crate::domain::safety::Tier;
use crate::domain::step::{EmotionStep, FinishReason};
use crate::domain::transcript::{Message, Role};
use crate::domain::usage::Tokens;
use crate::domain::{Error, ErrorCode, Result, SessionId, Timestamp, UserId};
use crate::llm::{ChatRequest, Schema, tokens};
use crate::wire::ws::Safety;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Steps that a card is made of: the newest.
const STEPS: i64 = 200;
/// Steps whose tier is looked at.
const TIERS: u32 = 10_000;
/// Most tokens of an answer, and once more when that was too few.
const BUDGETS: [u32; 2] = [900, 2400];
/// Most bytes of one.
const MOST_BYTES: usize = 24 * 1024;

/// A card as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The card.
    pub card: Card,
    /// What the person said, to the letter; empty when it has been forgotten.
    pub quotes: Vec<Quote>,
    /// When it was made; a card of whom to reach is made whenever it is looked at.
    pub made_at: Timestamp,
    /// Whom to reach, where that is what the card says.
    pub safety: Option<Safety>,
}

impl App {
    /// The card of the person's session; `not_found` while there is none.
    pub async fn card(&self, user_id: UserId, session_id: SessionId) -> Result<Shown> {
        let marks = self.tiers(user_id, session_id).await?;
        if let Some(shown) = self.care_card(user_id, &marks).await? {
            return Ok(shown);
        }
        let kept = self.vault.card(user_id, session_id).await?;
        let kept = kept.filter(|kept| kept.card.kind != CardKind::Care);
        let kept = kept.ok_or_else(|| Error::not_found("card"))?;
        Ok(Shown {
            card: kept.card,
            quotes: kept.quotes,
            made_at: kept.made_at,
            safety: None,
        })
    }

    /// Makes a card of the person's session in place of the one there is. It is made whoever hangs up; `overloaded`
    /// while one of this session is being made, `not_found` where nothing was said.
    pub async fn make_card(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Shown> {
        // Nobody takes the place of, or learns anything about, somebody else's.
        self.session(user_id, session_id).await?;
        let place = self.cards.enter(session_id, Instant::now());
        if place.as_ref().is_err_and(|why| *why == NoPlace::Written) {
            let message = "a card of this session is being made: ask for it in a moment";
            return Err(Error::new(ErrorCode::Overloaded, message).retry_after(5));
        }
        // Who is told to come back in a moment has had nothing yet.
        self.settings().pace.admit(user_id)?;
        if self.draining.is_cancelled() {
            return Err(restarting());
        }
        let app = Arc::clone(self);
        let making = self
            .turns
            .spawn(async move { app.making_card(user_id, session_id, place.ok()).await });
        making.await.map_err(Error::internal)??;
        self.card(user_id, session_id).await
    }

    /// A session has ended: makes its card beside everything else.
    pub(super) fn begin_card(self: &Arc<Self>, user_id: UserId, session_id: SessionId) {
        if !self.config.llm.cards || self.draining.is_cancelled() {
            return;
        }
        let place = self.cards.enter(session_id, Instant::now());
        if place.as_ref().is_err_and(|why| *why == NoPlace::Written) {
            return;
        }
        let app = Arc::clone(self);
        self.turns.spawn(async move {
            let begun = Instant::now();
            let made = app.making_card(user_id, session_id, place.ok()).await;
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match made {
                Ok(kind) => tracing::info!(%session_id, ?kind, ms, "card made"),
                // Nothing was said in it.
                Err(error) if error.code() == ErrorCode::NotFound => {}
                Err(error) => {
                    tracing::warn!(%session_id, code = %error.code(), causes = error.causes(), ms, "no card");
                }
            }
        });
    }

    async fn making_card(
        &self,
        user_id: UserId,
        session_id: SessionId,
        place: Option<Place>,
    ) -> Result<CardKind> {
        tokio::select! {
            biased;
            () = self.draining.cancelled() => Err(restarting()),
            made = self.put_card(user_id, session_id, place) => made,
        }
    }

    async fn put_card(
        &self,
        user_id: UserId,
        session_id: SessionId,
        place: Option<Place>,
    ) -> Result<CardKind> {
        let marks = self.tiers(user_id, session_id).await?;
        let last = marks.last().map_or(0, |step| step.step_order);
        let after = (last - STEPS).max(0);
        let steps = self.steps(user_id, session_id, after, None).await?;
        if steps.is_empty() {
            return Err(Error::not_found("card"));
        }
        let steps: Arc<[EmotionStep]> = steps.into();
        let language = language(&steps);
        let now = self.clock.now();
        let made = |(card, quotes)| Kept {
            card,
            quotes,
            made_at: now,
        };
        let mut stays = false;
        let (kept, charge) = if highest(&marks) >= Tier::Elevated {
            (made((Card::care(language), Vec::new())), Tokens::default())
        } else {
            let (written, charge) = match place {
                Some(place) => self.written(user_id, &steps, language, &place).await,
                None => (None, Tokens::default()),
            };
            let kept = match written {
                Some(card) => made(card),
                None => match self.written_before(user_id, session_id, &steps).await? {
                    Some(before) => {
                        stays = true;
                        before
                    }
                    None => made(Card::extracted(&steps, language)),
                },
            };
            (kept, charge)
        };
        let (kind, labels) = (kept.card.kind, kept.card.labels(language));
        let put = self
            .vault
            .put_card(user_id, session_id, &kept, labels, charge);
        if !put.await? {
            return Err(Error::not_found("session"));
        }
        self.meters.charged(charge);
        if stays {
            let message = "no model can write a card now: the one that was written before stays";
            return Err(Error::new(ErrorCode::Overloaded, message).retry_after(60));
        }
        Ok(kind)
    }

    /// The card that a model wrote when all of this was said already: nothing shorter takes its place.
    async fn written_before(
        &self,
        user_id: UserId,
        session_id: SessionId,
        steps: &[EmotionStep],
    ) -> Result<Option<Kept>> {
        let said = steps.iter().map(|step| step.created_at).max();
        let kept = self.vault.card(user_id, session_id).await?;
        Ok(kept.filter(|kept| kept.card.kind == CardKind::Written && said <= Some(kept.made_at)))
    }

    /// What a model made of the steps, and what that cost; asked again with a larger budget when it ran out of tokens.
    async fn written(
        &self,
        user_id: UserId,
        steps: &Arc<[EmotionStep]>,
        language: Language,
        place: &Place,
    ) -> (Option<(Card, Vec<Quote>)>, Tokens) {
        let mut charge = Tokens::default();
        if aside::writer(self).is_none() || !self.may_spend(user_id).await {
            return (None, charge);
        }
        let (told, budget) = (Arc::clone(steps), self.config.llm.context_tokens);
        let told = tokio::task::spawn_blocking(move || told_to_model(&told, language, budget));
        let Ok(told) = told.await else {
            return (None, charge);
        };
        let patience = Duration::from_secs(self.config.llm.turn_seconds);
        let until = Instant::now() + patience;
        for max_output_tokens in BUDGETS {
            let request = ChatRequest {
                messages: told.clone(),
                max_output_tokens,
                schema: Some(Schema {
                    name: "card",
                    json: SCHEMA,
                }),
                pseudonym: self.keys.now().pseudonym(user_id.0.as_bytes()),
            };
            let asking = aside::ask(self, request, MOST_BYTES);
            let Ok(Some(answer)) = tokio::time::timeout_at(until, asking).await else {
                break;
            };
            charge.input = charge.input.saturating_add(answer.charge.input);
            charge.output = charge.output.saturating_add(answer.charge.output);
            match answer.finish_reason {
                FinishReason::Length => {}
                FinishReason::ContentFilter => break,
                FinishReason::Stop => {
                    let card = Card::written(&answer.text, answer.model, steps);
                    if card.is_none() {
                        tracing::warn!("a model did not answer by the form of a card");
                        break;
                    }
                    return (card, charge);
                }
            }
        }
        place.failed(Instant::now());
        (None, charge)
    }

    /// Whether the person has tokens left today.
    async fn may_spend(&self, user_id: UserId) -> bool {
        let Some(quota) = self.quota(Tier::None) else {
            return true;
        };
        let used = self.usage(user_id).await;
        used.is_ok_and(|used| used.left_of(quota) > 0)
    }

    async fn tiers(&self, user_id: UserId, session_id: SessionId) -> Result<Vec<MarkedStep>> {
        let marks = self.vault.marks(user_id, session_id, TIERS).await?;
        marks.ok_or_else(|| Error::not_found("session"))
    }

    /// Whom to reach, when one of the steps asks for it: by the newest of those that ask the loudest.
    async fn care_card(&self, user_id: UserId, marks: &[MarkedStep]) -> Result<Option<Shown>> {
        let highest = highest(marks);
        if highest < Tier::Elevated {
            return Ok(None);
        }
        let loudest = marks.iter().rev();
        let mut loudest = loudest.filter(|step| step.marks.tier() == Some(highest));
        let Some(step_id) = loudest.next().map(|step| step.step_id) else {
            return Ok(None);
        };
        let step = self.step(user_id, step_id).await?;
        let mut assessment = self.assess(&step.user_input);
        // Together with what was said before it may have been worse.
        assessment.tier = highest;
        let language = language(std::slice::from_ref(&step));
        Ok(Some(Shown {
            card: Card::care(language),
            quotes: Vec::new(),
            made_at: self.clock.now(),
            safety: self.safety(&step.user_input, &assessment),
        }))
    }
}

fn highest(marks: &[MarkedStep]) -> Tier {
    let tiers = marks.iter().filter_map(|step| step.marks.tier());
    tiers.max().unwrap_or_default()
}

/// The language in which most was said; Korean when nothing tells.
fn language(steps: &[EmotionStep]) -> Language {
    let spoken = |language| {
        let steps = steps.iter();
        let steps = steps.filter(|step| Language::of(&step.user_input) == Some(language));
        steps.count()
    };
    if spoken(Language::English) > spoken(Language::Korean) {
        Language::English
    } else {
        Language::Korean
    }
}

/// The conversation as a model is told it: a line of JSON a step, the newest that fit. Counts tokens, so it blocks.
fn told_to_model(steps: &[EmotionStep], language: Language, budget: usize) -> Vec<Message> {
    let instructions = prompt::card(language);
    let output = BUDGETS.last().copied().unwrap_or_default();
    let output = usize::try_from(output).unwrap_or(usize::MAX);
    // A tokenizer of another model may count a quarter more.
    let most = budget.saturating_sub(tokens::count(instructions) + output) / 4 * 3;
    let mut lines: Vec<String> = Vec::new();
    let mut taken = 0;
    for step in steps.iter().rev() {
        let line = serde_json::json!({
            "n": step.step_order,
            "person": ends(&step.user_input),
            "answer": ends(&step.gpt_response),
        });
        let line = line.to_string();
        taken += tokens::count(&line) + 1;
        if taken > most && !lines.is_empty() {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    let message = |role, content| Message { role, content };
    vec![
        message(Role::System, instructions.to_owned()),
        message(Role::User, lines.join("\n")),
    ]
}
