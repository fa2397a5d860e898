//! Bodies about what a conversation shows.
//!
//! Owns the JSON of a step's emotion, of flows and of trends. Invariant: they hold none of the person's words, and a
//! guess says that it is one.

use crate::domain::emotion::{Emotion, Feeling};
use crate::domain::flow::{self, MarkedStep, Mood, SessionMood};
use crate::domain::safety::Tier;
use crate::domain::{Error, Result, SessionId, StepId, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// How a person felt in a step: what they say themselves, else a guess by their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmotionBody {
    /// One of fifteen labels: `joy`, `confident`, `eager`, `moved`, `calm`, `bored`, `tired`, `even`, `lonely`,
    /// `shame`, `sad`, `frustrated`, `confused`, `anxious`, `angry`.
    #[schema(value_type = String, example = "anxious")]
    pub emotion_label: Emotion,
    /// A second label that is nearly as likely.
    #[schema(value_type = Option<String>, example = "tired")]
    pub second: Option<Emotion>,
    /// How pleasant, from -2 to 2.
    #[schema(minimum = -2, maximum = 2)]
    pub valence: i8,
    /// How stirred up, from -2 to 2: fixed for a label, nothing is measured.
    #[schema(minimum = -2, maximum = 2)]
    pub arousal: i8,
    /// In per cent, how often a guess as sure as this one is right; null for what the person said.
    #[schema(minimum = 0, maximum = 100)]
    pub confidence: Option<u8>,
    /// Whether the guess is too weak to be shown as if it were known.
    pub unsure: bool,
    /// Whether the person said so themselves.
    pub corrected: bool,
}

impl From<Feeling> for EmotionBody {
    fn from(feeling: Feeling) -> Self {
        Self {
            emotion_label: feeling.label,
            second: feeling.second,
            valence: feeling.valence,
            arousal: feeling.arousal,
            confidence: feeling.confidence,
            unsure: feeling.unsure,
            corrected: feeling.corrected(),
        }
    }
}

/// `PUT /emotion/steps/{step_id}/emotion`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmotionRequest {
    /// What the person says that they felt: one of the fifteen labels, by its id or its Korean or English name. Null
    /// takes it back, as `DELETE` does.
    #[serde(deserialize_with = "present")]
    #[schema(required, max_length = 32, example = "sad")]
    pub emotion_label: Option<String>,
}

/// Null is a value; a member that is not there is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    Option::deserialize(from)
}

impl EmotionRequest {
    /// The label, if one is meant.
    pub fn label(&self) -> Result<Option<Emotion>> {
        let parse = |name: &String| {
            Emotion::parse(name).ok_or_else(|| {
                let known = Emotion::ALL.map(Emotion::as_str).join(", ");
                Error::invalid("emotion_label", format!("must be one of {known}"))
            })
        };
        self.emotion_label.as_ref().map(parse).transpose()
    }
}

/// The emotion of a step, as it then is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepEmotionBody {
    /// The step.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// Null when there is neither a guess nor a word of the person: the step is from before there were guesses.
    pub emotion: Option<EmotionBody>,
}

/// How the moods of a conversation follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowBody {
    /// The session.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// Its steps by ascending order, the newest 1000.
    pub points: Vec<FlowPointBody>,
    /// Where the label changed between two steps with nothing known in between. What is unsure does not count.
    pub transitions: Vec<TransitionBody>,
    /// From where on the mood was another one for a while: the mean valence of three known steps differs by 1.5 or
    /// more from that of the three before.
    pub turning_points: Vec<TurningPointBody>,
    /// Whether there are older steps.
    pub truncated: bool,
}

/// A step of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowPointBody {
    /// The step.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// Its place in the session.
    pub step_order: i64,
    /// When its words were stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Null for a step from before there were guesses.
    pub emotion: Option<EmotionBody>,
    /// `none`, `low`, `elevated` or `imminent`; null for a step from before it was stored.
    #[schema(value_type = Option<String>, example = "none")]
    pub safety_tier: Option<Tier>,
}

/// A change of label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransitionBody {
    /// The step before.
    #[schema(value_type = uuid::Uuid)]
    pub from_step_id: StepId,
    /// The step after.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// The label before.
    #[schema(value_type = String, example = "sad")]
    pub from: Emotion,
    /// The label after.
    #[schema(value_type = String, example = "calm")]
    pub to: Emotion,
}

/// Which way a mood turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It is more pleasant from here on.
    Better,
    /// It is less so.
    Worse,
}

/// From this step on the mood was another one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurningPointBody {
    /// The first step of the new mood.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// Which way.
    #[schema(inline)]
    pub direction: Direction,
    /// By how much the mean valence differs.
    pub shift: f64,
}

impl FlowBody {
    /// What is shown of these steps of the session.
    pub fn of(session_id: SessionId, steps: Vec<MarkedStep>, truncated: bool) -> Self {
        let moods: Vec<Option<Mood>> = steps.iter().map(MarkedStep::mood).collect();
        let transitions = flow::transitions(&moods).into_iter().filter_map(|t| {
            let (from, to) = (steps.get(t.from)?, steps.get(t.to)?);
            Some(TransitionBody {
                from_step_id: from.step_id,
                step_id: to.step_id,
                from: from.mood()?.label,
                to: to.mood()?.label,
            })
        });
        let turning_points = flow::turning_points(&moods).into_iter().filter_map(|turn| {
            Some(TurningPointBody {
                step_id: steps.get(turn.at)?.step_id,
                direction: Direction::of(turn.shift),
                shift: hundredths(turn.shift),
            })
        });
        Self {
            session_id,
            transitions: transitions.collect(),
            turning_points: turning_points.collect(),
            truncated,
            points: steps
                .into_iter()
                .map(|step| FlowPointBody {
                    step_id: step.step_id,
                    step_order: step.step_order,
                    created_at: step.created_at,
                    emotion: step.marks.feeling().map(Into::into),
                    safety_tier: step.marks.tier(),
                })
                .collect(),
        }
    }
}

impl Direction {
    /// Of a change of valence.
    pub const fn of(shift: i32) -> Self {
        if shift > 0 { Self::Better } else { Self::Worse }
    }
}

fn hundredths(value: i32) -> f64 {
    f64::from(value) / 100.0
}

/// How the moods of a person's conversations follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrendBody {
    /// You.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// Sessions that began at this time or later,
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// and before this one.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// The sessions in which something was said, by ascending beginning.
    pub points: Vec<TrendPointBody>,
    /// Where the label changed between two sessions with nothing known in between.
    pub transitions: Vec<SessionTransitionBody>,
    /// From which session on the mood was another one for a while, as in a flow.
    pub turning_points: Vec<SessionTurningPointBody>,
    /// Whether there are older sessions in that time: those of the newest 10000 steps are shown.
    pub truncated: bool,
}

/// A session of a trend. What is unsure does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrendPointBody {
    /// The session.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// When its first step was said.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many steps it has.
    pub steps: u32,
    /// Its commonest label, of several the latest; null when nothing is known of it.
    #[schema(value_type = Option<String>, example = "tired")]
    pub emotion_label: Option<Emotion>,
    /// The mean valence.
    pub valence: Option<f64>,
    /// The mean arousal.
    pub arousal: Option<f64>,
    /// How often each label was there, the commonest first.
    pub emotions: Vec<EmotionCountBody>,
    /// The highest tier of its steps.
    #[schema(value_type = Option<String>, example = "none")]
    pub safety_tier: Option<Tier>,
}

/// How often a label was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmotionCountBody {
    /// The label.
    #[schema(value_type = String, example = "tired")]
    pub emotion_label: Emotion,
    /// In so many steps.
    pub steps: u32,
}

/// A change of label between sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionTransitionBody {
    /// The session before.
    #[schema(value_type = uuid::Uuid)]
    pub from_session_id: SessionId,
    /// The session after.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// The label before.
    #[schema(value_type = String, example = "sad")]
    pub from: Emotion,
    /// The label after.
    #[schema(value_type = String, example = "calm")]
    pub to: Emotion,
}

/// From this session on the mood was another one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTurningPointBody {
    /// The first session of the new mood.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// Which way.
    #[schema(inline)]
    pub direction: Direction,
    /// By how much the mean valence differs.
    pub shift: f64,
}

impl TrendBody {
    /// What is shown of these steps.
    pub fn of(
        user_id: UserId,
        (from, to): (Timestamp, Timestamp),
        steps: &[MarkedStep],
        truncated: bool,
    ) -> Self {
        let sessions = flow::by_session(steps);
        let moods: Vec<Option<Mood>> = sessions.iter().map(|session| session.mood).collect();
        let transitions = flow::transitions(&moods).into_iter().filter_map(|t| {
            let (from, to) = (sessions.get(t.from)?, sessions.get(t.to)?);
            Some(SessionTransitionBody {
                from_session_id: from.session_id,
                session_id: to.session_id,
                from: from.mood?.label,
                to: to.mood?.label,
            })
        });
        let turning_points = flow::turning_points(&moods).into_iter().filter_map(|turn| {
            Some(SessionTurningPointBody {
                session_id: sessions.get(turn.at)?.session_id,
                direction: Direction::of(turn.shift),
                shift: hundredths(turn.shift),
            })
        });
        Self {
            user_id,
            from,
            to,
            transitions: transitions.collect(),
            turning_points: turning_points.collect(),
            truncated,
            points: sessions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<SessionMood> for TrendPointBody {
    fn from(session: SessionMood) -> Self {
        let count = |(emotion_label, steps)| EmotionCountBody {
            emotion_label,
            steps,
        };
        Self {
            session_id: session.session_id,
            at: session.at,
            steps: session.steps,
            emotion_label: session.mood.map(|mood| mood.label),
            valence: session.mood.map(|mood| hundredths(mood.valence)),
            arousal: session.arousal.map(hundredths),
            emotions: session.labels.into_iter().map(count).collect(),
            safety_tier: session.tier,
        }
    }
}
