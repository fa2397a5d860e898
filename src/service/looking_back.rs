//! What the safety gate said in the past, and what it would say today.
//!
//! Owns the walk over everybody's steps. Called by the commands of whoever runs the server. Invariants: what comes out
//! is counts, tiers and ids, never words; nothing is changed; there is never more than a page of steps in memory.

use super::App;
use super::turn::briefing::{RECENT, assess_together};
use crate::domain::safety::Tier;
use crate::domain::session::EmotionSession;
use crate::domain::step::EmotionStep;
use crate::domain::transcript::Exchange;
use crate::domain::user::UserFilter;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Accounts, sessions and steps that are read at once.
const PAGE: u32 = 100;

/// How often each tier was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages.
    pub steps: u64,
    /// By tier, lowest first.
    pub tiers: BTreeMap<Tier, u64>,
    /// People with at least one message of the tier.
    pub people: BTreeMap<Tier, u64>,
    /// Messages of the time before tiers were stored.
    pub unknown: u64,
}

/// What the rules of today make of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Messages whose tier is stored.
    pub steps: u64,
    /// Those that would have another tier now, oldest first within a session.
    pub changed: Vec<Changed>,
}

/// A message that would have another tier now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// In which session.
    pub session_id: SessionId,
    /// Which one.
    pub step_id: StepId,
    /// What was stored.
    pub from: Tier,
    /// What it would be.
    pub to: Tier,
}

impl Tally {
    fn add(&mut self, step: &EmotionStep, person: &mut BTreeSet<Tier>) {
        self.steps += 1;
        match step.marks.tier() {
            None => self.unknown += 1,
            Some(tier) => {
                *self.tiers.entry(tier).or_default() += 1;
                if person.insert(tier) {
                    *self.people.entry(tier).or_default() += 1;
                }
            }
        }
    }
}

impl App {
    /// Counts the tiers of everything that was said since `since`; `tell` hears how many people are done.
    pub async fn tally_tiers(&self, since: Timestamp, tell: &dyn Fn(u64)) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut done = 0;
        let mut before = None;
        while let Some(people) = self.page_of_people(&mut before).await? {
            for user_id in people {
                let mut person = BTreeSet::new();
                let mut sessions = None;
                while let Some(page) = self.page_of_sessions(user_id, &mut sessions).await? {
                    for session in page {
                        let mut after = 0;
                        while let Some(steps) = self.page_of_steps(&session, &mut after).await? {
                            let those = steps.iter().filter(|step| step.created_at >= since);
                            those.for_each(|step| tally.add(step, &mut person));
                        }
                    }
                }
                done += 1;
                tell(done);
            }
        }
        Ok(tally)
    }

    /// Reads everything that was said since `since`, with the turns before it, by the rules of today.
    pub async fn replay_gate(&self, since: Timestamp, tell: &dyn Fn(u64)) -> Result<Replay> {
        let mut replay = Replay::default();
        let mut done = 0;
        let mut before = None;
        while let Some(people) = self.page_of_people(&mut before).await? {
            for user_id in people {
                let mut sessions = None;
                while let Some(page) = self.page_of_sessions(user_id, &mut sessions).await? {
                    for session in page {
                        self.replay_session(&session, since, &mut replay).await?;
                    }
                }
                done += 1;
                tell(done);
            }
        }
        Ok(replay)
    }

    async fn replay_session(
        &self,
        session: &EmotionSession,
        since: Timestamp,
        replay: &mut Replay,
    ) -> Result<()> {
        let mut recent: VecDeque<Exchange> = VecDeque::new();
        let mut after = 0;
        while let Some(steps) = self.page_of_steps(session, &mut after).await? {
            for step in steps {
                if let Some(from) = step.marks.tier().filter(|_| step.created_at >= since) {
                    let alone = self.assess(&step.user_input);
                    let now = assess_together(&step.user_input, &alone, recent.make_contiguous());
                    replay.steps += 1;
                    if now.tier != from {
                        replay.changed.push(Changed {
                            session_id: session.session_id,
                            step_id: step.step_id,
                            from,
                            to: now.tier,
                        });
                    }
                }
                recent.push_back(Exchange {
                    step_id: step.step_id,
                    step_order: step.step_order,
                    user_input: step.user_input,
                    gpt_response: String::new(),
                    output_tokens: None,
                });
                if recent.len() > RECENT as usize {
                    recent.pop_front();
                }
            }
        }
        Ok(())
    }

    async fn page_of_people(
        &self,
        before: &mut Option<(Timestamp, UserId)>,
    ) -> Result<Option<Vec<UserId>>> {
        let page = self.users(UserFilter::default(), *before, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        *before = Some((last.created_at, last.user_id));
        Ok(Some(page.into_iter().map(|user| user.user_id).collect()))
    }

    async fn page_of_sessions(
        &self,
        user_id: UserId,
        before: &mut Option<(Timestamp, SessionId)>,
    ) -> Result<Option<Vec<EmotionSession>>> {
        let page = self.vault.sessions(user_id, *before, Some(PAGE)).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        *before = Some((last.started_at, last.session_id));
        Ok(Some(page))
    }

    async fn page_of_steps(
        &self,
        session: &EmotionSession,
        after: &mut i64,
    ) -> Result<Option<Vec<EmotionStep>>> {
        let (user_id, session_id) = (session.user_id, session.session_id);
        let page = self.vault.steps(user_id, session_id, *after, Some(PAGE));
        let page = page.await?.unwrap_or_default();
        let Some(last) = page.last() else {
            return Ok(None);
        };
        *after = last.step_order;
        Ok(Some(page))
    }
}
