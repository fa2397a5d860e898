//! Where a request comes from, for what is counted by address.
//!
//! Owns the extractor [`Address`]. Invariant: an address that many may share without being told apart is
//! none: loopback, and what is behind a proxy that nobody has named.

use super::Surface;
use super::accept::Peer;
use super::crowd;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::IpAddr;

/// The address that failures count for; an IPv6 address stands for its /64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub(super) Option<IpAddr>);

impl FromRequestParts<Surface> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, surface: &Surface) -> Result<Self, Infallible> {
        let trusted = &surface.app.config().server.trusted_proxies;
        let Some(Peer(peer)) = parts.extensions.get().copied() else {
            return Ok(Self(None));
        };
        if crowd::unnamed_proxy(peer, &parts.headers, trusted) {
            surface.crowd.warn_of_proxy(peer);
        }
        Ok(Self(crowd::countable(peer, &parts.headers, trusted)))
    }
}
