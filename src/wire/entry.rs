//! Bodies of the ways in beside register and login: guests, and tickets for a socket.
//!
//! Owns their JSON. Invariant: as in [`rest`](super::rest), a request is only text here.

use super::rest::{ClientKind, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /register/guest`
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct GuestRequest {
    /// What the person wants to be called: 1 to 100 characters; `guest` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        pattern = r"^\s*[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,98}[^\s\x00-\x1f\x7f-\x9f])?\s*$",
        example = "지우"
    )]
    pub name: Option<String>,
    /// `v1` for a client that refreshes its tokens; absent gives one long-lived token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientKind>,
}

/// `POST /ws-ticket`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TicketBody {
    /// For `/ws/emotion?ticket=…`, once.
    #[schema(value_type = String, min_length = 64, max_length = 64)]
    pub ticket: Secret,
    /// Seconds until it ends.
    #[schema(example = 30)]
    pub expires_in: u64,
}
