//! The bodies of a search.
//!
//! Owns their JSON. Invariant: of the person's words it holds what surrounds a place that was looked for.

use super::rest::SessionBody;
use crate::domain::StepId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is looked for: sessions for which all of it is true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// Words that you said in one step, all of them, in any order and case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "회의 발표", min_length = 1, max_length = 100)]
    pub q: Option<String>,
    /// An emotion of one of its steps by its id or Korean name, or the `emotion_label` of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "anxious", min_length = 1, max_length = 100)]
    pub label: Option<String>,
    /// The `insight_tag` of the session, or a tag of its card.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "회의", min_length = 1, max_length = 100)]
    pub tag: Option<String>,
    /// Sessions that began at this time or later: RFC 3339, or a date of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-01")]
    pub from: Option<String>,
    /// Sessions that began before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-12-01")]
    pub to: Option<String>,
    /// Most sessions to send, 1 to 200; 20 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// Where to go on: `next` of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[0-9]{1,18}\.[0-9a-fA-F]{32}$")]
    pub cursor: Option<String>,
}

/// Sessions that were found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchBody {
    /// Newest first. There may be none and still more to look through.
    pub sessions: Vec<FoundBody>,
    /// For `cursor`, to go on; null when everything has been looked at.
    pub next: Option<String>,
}

/// A session that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FoundBody {
    /// The session.
    #[serde(flatten)]
    pub session: SessionBody,
    /// Where the words of `q` were said: at most three places.
    pub places: Vec<PlaceBody>,
}

/// A place where words were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceBody {
    /// The step.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// After how many code points of its `user_input`.
    pub offset: usize,
    /// How many code points.
    pub length: usize,
    /// What surrounds it.
    pub excerpt: String,
}
