//! Flow: how moods follow each other, within a conversation and over many.
//!
//! Owns what a transition and a turning point are. Called by the surfaces that show a flow. Invariants: pure and in
//! whole numbers, so that the same steps always show the same; a guess that is unsure changes nothing but its own
//! point; one message alone is never a turning point.

use super::emotion::Emotion;
use super::id::{SessionId, StepId};
use super::safety::Tier;
use super::step::Marks;
use super::time::Timestamp;
use std::collections::BTreeMap;

/// A step without its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedStep {
    /// Names the step.
    pub step_id: StepId,
    /// The conversation it is part of.
    pub session_id: SessionId,
    /// Its place there.
    pub step_order: i64,
    /// When the words were stored.
    pub created_at: Timestamp,
    /// What was made of the words.
    pub marks: Marks,
}

impl MarkedStep {
    /// How the person felt, where that is known well enough to reckon with.
    pub fn mood(&self) -> Option<Mood> {
        Mood::of(&self.marks)
    }
}

/// How a person felt at one place of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mood {
    /// The label.
    pub label: Emotion,
    /// How pleasant, in hundredths: -200 to 200.
    pub valence: i32,
}

impl Mood {
    /// What these marks say, where that is known well enough to reckon with.
    pub fn of(marks: &Marks) -> Option<Self> {
        let feeling = marks.feeling().filter(|feeling| !feeling.unsure)?;
        Some(Self {
            label: feeling.label,
            valence: i32::from(feeling.valence) * 100,
        })
    }
}

/// The label changed between two places, with nothing known in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The place before.
    pub from: usize,
    /// The place after.
    pub to: usize,
}

/// From this place on the mood was another one for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurningPoint {
    /// The first place of the new mood.
    pub at: usize,
    /// By how much the mean valence after is above the one before, in hundredths: at least [`SHIFT`] away from 0.
    pub shift: i32,
}

/// How many known places before and after are compared.
pub const WINDOW: usize = 3;
/// By how much their means must differ, in hundredths of valence. More than one place can do alone, which is
/// 400 divided by [`WINDOW`].
pub const SHIFT: i32 = 150;

/// The known places of a flow, with their place among all.
fn known(moods: &[Option<Mood>]) -> Vec<(usize, Mood)> {
    let places = moods.iter().enumerate();
    places
        .filter_map(|(at, mood)| Some((at, (*mood)?)))
        .collect()
}

/// Where the label changes from one known place to the next.
pub fn transitions(moods: &[Option<Mood>]) -> Vec<Transition> {
    let known = known(moods);
    let changed = known.windows(2).filter_map(|pair| match pair {
        [(from, before), (to, after)] if before.label != after.label => Some(Transition {
            from: *from,
            to: *to,
        }),
        _ => None,
    });
    changed.collect()
}

/// Where the mood turned: the mean valence of the [`WINDOW`] known places from here on differs by at least [`SHIFT`]
/// from the one of the [`WINDOW`] before. Of neighbours that turn the same way the one with the greatest difference
/// counts; among equals the one that is itself the greatest step, then the first.
pub fn turning_points(moods: &[Option<Mood>]) -> Vec<TurningPoint> {
    let known = known(moods);
    let valence: Vec<i32> = known.iter().map(|(_, mood)| mood.valence).collect();
    let mut found: Vec<(usize, TurningPoint, i32)> = Vec::new();
    for (n, (at, _)) in known.iter().enumerate() {
        let before = n.checked_sub(WINDOW).and_then(|from| valence.get(from..n));
        let after = valence.get(n..n + WINDOW);
        let means = after.and_then(mean).zip(before.and_then(mean));
        let Some(shift) = means.map(|(after, before)| after - before) else {
            continue;
        };
        if shift.abs() < SHIFT {
            continue;
        }
        let step = (valence[n] - valence[n - 1]).abs();
        let turn = TurningPoint { at: *at, shift };
        match found.last_mut() {
            Some((last, kept, kept_step))
                if *last + 1 == n && kept.shift.signum() == shift.signum() =>
            {
                *last = n;
                if (shift.abs(), step) > (kept.shift.abs(), *kept_step) {
                    (*kept, *kept_step) = (turn, step);
                }
            }
            _ => found.push((n, turn, step)),
        }
    }
    found.into_iter().map(|(_, turn, _)| turn).collect()
}

/// The mean, towards zero; `None` of nothing.
fn mean(values: &[i32]) -> Option<i32> {
    let count = i32::try_from(values.len()).ok()?;
    values.iter().sum::<i32>().checked_div(count)
}

/// What a whole conversation shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMood {
    /// The conversation.
    pub session_id: SessionId,
    /// When its first step was said.
    pub at: Timestamp,
    /// How many steps it has.
    pub steps: u32,
    /// Its commonest label, of several the latest, and the mean valence of the steps that are known.
    pub mood: Option<Mood>,
    /// The mean arousal of those, in hundredths.
    pub arousal: Option<i32>,
    /// How often each label was there, the commonest first.
    pub labels: Vec<(Emotion, u32)>,
    /// The highest tier of its steps.
    pub tier: Option<Tier>,
}

/// What each conversation shows, in the order in which they come; the steps of one stand together.
pub fn by_session(steps: &[MarkedStep]) -> Vec<SessionMood> {
    let sessions = steps.chunk_by(|a, b| a.session_id == b.session_id);
    sessions.filter_map(session).collect()
}

fn session(steps: &[MarkedStep]) -> Option<SessionMood> {
    let first = steps.first()?;
    let moods: Vec<Mood> = steps.iter().filter_map(MarkedStep::mood).collect();
    // How often, and where last.
    let mut counts = BTreeMap::<Emotion, (u32, usize)>::new();
    for (n, mood) in moods.iter().enumerate() {
        let count = counts.entry(mood.label).or_default();
        *count = (count.0 + 1, n);
    }
    let mut labels: Vec<(Emotion, (u32, usize))> = counts.into_iter().collect();
    labels.sort_by_key(|(_, rank)| std::cmp::Reverse(*rank));
    let valence: Vec<i32> = moods.iter().map(|mood| mood.valence).collect();
    let arousal: Vec<i32> = moods
        .iter()
        .map(|mood| i32::from(mood.label.arousal()) * 100)
        .collect();
    let label = labels.first().map(|(label, _)| *label);
    Some(SessionMood {
        session_id: first.session_id,
        at: first.created_at,
        steps: u32::try_from(steps.len()).unwrap_or(u32::MAX),
        mood: label
            .zip(mean(&valence))
            .map(|(label, valence)| Mood { label, valence }),
        arousal: mean(&arousal),
        labels: labels
            .into_iter()
            .map(|(label, (count, _))| (label, count))
            .collect(),
        tier: steps.iter().filter_map(|step| step.marks.tier()).max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::emotion::Reading;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn flow(valences: &[Option<i32>]) -> Vec<Option<Mood>> {
        let mood = |valence: i32| Mood {
            label: match valence.signum() {
                1 => Emotion::Calm,
                0 => Emotion::Even,
                _ => Emotion::Sad,
            },
            valence,
        };
        valences.iter().map(|v| v.map(mood)).collect()
    }

    fn sure(valences: &[i32]) -> Vec<Option<Mood>> {
        let valences: Vec<Option<i32>> = valences.iter().map(|v| Some(v * 100)).collect();
        flow(&valences)
    }

    fn turns(valences: &[i32]) -> Vec<(usize, i32)> {
        let found = turning_points(&sure(valences));
        found.iter().map(|turn| (turn.at, turn.shift)).collect()
    }

    #[test]
    fn a_mood_that_lasts_turns_once_where_it_begins() {
        assert_eq!(turns(&[-2, -2, -2, 1, 1, 1]), [(3, 300)]);
        assert_eq!(
            turns(&[-2, -2, -2, 1, 1, 1, 1, -2, -2, -2]),
            [(3, 300), (7, -300)]
        );
        // Slowly: in the middle of the way.
        assert_eq!(turns(&[-2, -2, -1, 0, 1, 2, 2]), [(3, 266)]);
        // Small changes, and too little to compare.
        assert_eq!(turns(&[0, 0, 0, 1, 1, 1]), []);
        assert_eq!(turns(&[-2, -2, 2, 2]), []);
        assert_eq!(turns(&[]), []);
    }

    #[test]
    fn a_transition_is_told_across_what_is_unsure() {
        let moods = flow(&[Some(-200), None, Some(100), Some(100), None]);
        assert_eq!(transitions(&moods), [Transition { from: 0, to: 2 }]);
        assert_eq!(transitions(&flow(&[None, Some(100), None])), []);
    }

    fn marked(session: u128, order: i64, label: Emotion, unsure: bool, tier: Tier) -> MarkedStep {
        let reading = Reading {
            first: label,
            second: None,
            valence: label.valence(),
            confidence: 80,
            unsure,
        };
        MarkedStep {
            step_id: StepId(Uuid::from_u128(
                session * 100 + u128::from(order.unsigned_abs()),
            )),
            session_id: SessionId(Uuid::from_u128(session)),
            step_order: order,
            created_at: Timestamp::from_micros(order),
            marks: Marks::of(&reading, tier),
        }
    }

    #[test]
    fn a_conversation_shows_its_commonest_label_and_its_highest_tier() {
        use Emotion::{Anxious, Calm, Sad};
        let told = by_session(&[
            marked(1, 1, Sad, false, Tier::None),
            marked(1, 2, Calm, false, Tier::Elevated),
            marked(1, 3, Anxious, true, Tier::Low),
            marked(2, 1, Anxious, true, Tier::None),
        ]);
        assert_eq!(told.len(), 2);
        // Of two that are as common, the one it ended with.
        assert_eq!(
            told[0].mood,
            Some(Mood {
                label: Calm,
                valence: -50
            })
        );
        assert_eq!(told[0].arousal, Some(-150));
        assert_eq!(told[0].labels, [(Calm, 1), (Sad, 1)]);
        assert_eq!((told[0].steps, told[0].tier), (3, Some(Tier::Elevated)));
        assert_eq!((told[1].mood, told[1].steps), (None, 1));
    }

    fn any_flow() -> impl Strategy<Value = Vec<Option<i32>>> {
        prop::collection::vec(prop::option::weighted(0.8, -2..=2), 0..40)
            .prop_map(|flow| flow.into_iter().map(|v| v.map(|v: i32| v * 100)).collect())
    }

    proptest! {
        #[test]
        fn what_is_unknown_changes_nothing(flow_of in any_flow()) {
            let with = flow(&flow_of);
            let places: Vec<usize> = known(&with).iter().map(|(at, _)| *at).collect();
            let without: Vec<Option<Mood>> = with.iter().flatten().copied().map(Some).collect();
            let moved: Vec<TurningPoint> = turning_points(&without)
                .into_iter()
                .map(|turn| TurningPoint { at: places[turn.at], ..turn })
                .collect();
            prop_assert_eq!(turning_points(&with), moved);
            let moved: Vec<Transition> = transitions(&without)
                .into_iter()
                .map(|t| Transition { from: places[t.from], to: places[t.to] })
                .collect();
            prop_assert_eq!(transitions(&with), moved);
        }

        #[test]
        fn a_turning_point_is_a_difference_that_lasts(flow_of in any_flow()) {
            let moods = flow(&flow_of);
            let known = known(&moods);
            let found = turning_points(&moods);
            for turn in &found {
                let n = known.iter().position(|(at, _)| *at == turn.at);
                prop_assert!(n.is_some_and(|n| n >= WINDOW && known.len() - n >= WINDOW));
                prop_assert!(turn.shift.abs() >= SHIFT);
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
            // Upside down, the same places turn the other way.
            let mirrored: Vec<Option<i32>> = flow_of.iter().map(|v| v.map(|v| -v)).collect();
            let mirrored: Vec<(usize, i32)> = turning_points(&flow(&mirrored))
                .iter()
                .map(|turn| (turn.at, -turn.shift))
                .collect();
            let found: Vec<(usize, i32)> = found.iter().map(|turn| (turn.at, turn.shift)).collect();
            prop_assert_eq!(found, mirrored);
        }

        #[test]
        fn one_message_alone_never_turns_a_mood(
            valence in -2..=2i32, other in -2..=2i32, length in 1..40usize, at in 0..40usize,
        ) {
            let mut valences = vec![valence; length];
            valences[at % length] = other;
            prop_assert!(turning_points(&sure(&valences)).is_empty());
            prop_assert!(transitions(&sure(&valences)).len() <= 2);
        }
    }
}
