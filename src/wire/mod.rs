//! What crosses the network, in both directions.
//!
//! Owns the JSON of the REST bodies ([`rest`], [`rights`], [`insight`], [`card`]) and of the WebSocket frames ([`ws`]), and
//! reads the page of figures ([`exposition`]). Used by the
//! server, the terminal client and the tests, so that one side cannot drift from the other.
//! Invariant: the seed's fields and frames keep exactly their names; additions are ones that an old
//! client may ignore.

pub mod card;
pub mod entry;
pub mod exposition;
pub mod insight;
pub mod rest;
pub mod rights;
pub mod search;
pub mod ws;
