//! The body of a search.
//!
//! Owns its JSON. Invariant: of the person's words it holds what surrounds a place that was looked for.

use super::rest::SessionBody;
use crate::domain::StepId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
