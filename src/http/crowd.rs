//! How many sockets a person and an address have open.
//!
//! Owns [`Crowd`], the counts of this instance, and which address a request counts for. Called by the
//! handshake and by `address`. Invariants: a socket is counted from before its upgrade until it has gone; what nobody
//! has open is not remembered; `X-Forwarded-For` is believed only where a configured proxy wrote it.

use crate::config::Network;
use crate::domain::{Error, ErrorCode, UserId};
use axum::http::{HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const FORWARDED: &str = "x-forwarded-for";
/// Seconds after which somebody who was sent away may find a place.
const RETRY: u32 = 5;

/// The sockets that are open, by whom and from where.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    users: Arc<Counts<UserId>>,
    addresses: Arc<Counts<IpAddr>>,
    /// Whether it was said that a proxy is not named.
    warned: AtomicBool,
}

impl Crowd {
    /// A place among the sockets of a person; `too_many` when there are `most` (0: any number).
    pub(super) fn of_user(&self, user_id: UserId, most: usize) -> Result<Counted<UserId>, Error> {
        let place = Counts::take(&self.users, user_id, most);
        place.ok_or_else(|| too_many("too many sockets of this account are open: close one"))
    }

    /// Says once that a proxy is not named.
    pub(super) fn warn_of_proxy(&self, peer: IpAddr) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(%peer, "a proxy is not among server.trusted_proxies: addresses behind it are not told apart");
        }
    }

    /// A place among the sockets from an address; `too_many` when there are `most` (0: any number).
    /// Loopback has as many as it likes: it is a proxy that nobody has named, or this machine's owner.
    pub(super) fn of_address(
        &self,
        address: IpAddr,
        most: usize,
    ) -> Result<Counted<IpAddr>, Error> {
        let most = if address.is_loopback() { 0 } else { most };
        let place = Counts::take(&self.addresses, household(address), most);
        place.ok_or_else(|| too_many("too many sockets from this address are open"))
    }
}

fn too_many(message: &'static str) -> Error {
    Error::new(ErrorCode::TooMany, message).retry_after(RETRY)
}

/// What counts as one address: a provider gives a home or a phone a whole IPv6 /64.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// The address that a request comes from: `peer`, or what the trusted proxies in front of it say,
/// nearest first, up to the first one that is not trusted itself.
pub(super) fn origin(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    let lines: Vec<&[u8]> = headers
        .get_all(FORWARDED)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let mut told = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','));
    while is_trusted(address)
        && let Some(Some(before)) = told.next().map(entry)
    {
        address = before.to_canonical();
    }
    address
}

/// The address that a limit counts a request for; `None` where many may come from one that cannot be told
/// apart: loopback, and a proxy that is not named.
pub(super) fn countable(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let address = origin(peer, headers, trusted);
    let anybody = address.is_loopback() || unnamed_proxy(peer, headers, trusted);
    (!anybody).then(|| household(address))
}

/// An entry of `X-Forwarded-For`: an address, some proxies add the port.
fn entry(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let address = text.parse().ok();
    address.or_else(|| {
        text.parse::<SocketAddr>()
            .ok()
            .map(|with_port| with_port.ip())
    })
}

/// Whether a peer on a private network says that it passes others on, though it is not among the trusted
/// proxies: most likely somebody forgot to name it, and everybody seems to come from one address.
pub(super) fn unnamed_proxy(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> bool {
    let private = match peer.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    };
    private
        && headers.contains_key(FORWARDED)
        && !trusted
            .iter()
            .any(|network| network.contains(peer.to_canonical()))
}

#[derive(Debug)]
struct Counts<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> Counts<K> {
    fn map(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(counts: &Arc<Self>, key: K, most: usize) -> Option<Counted<K>> {
        let mut map = counts.map();
        let count = map.entry(key).or_insert(0);
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        drop(map);
        Some(Counted {
            counts: Arc::clone(counts),
            key,
        })
    }
}

/// One of the sockets that are counted; no longer when it is dropped.
#[derive(Debug)]
pub(super) struct Counted<K: Copy + Eq + Hash> {
    counts: Arc<Counts<K>>,
    key: K,
}

impl<K: Copy + Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut map = self.counts.map();
        if let Some(count) = map.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                map.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_has_gone_is_not_counted_or_remembered() {
        let crowd = Crowd::default();
        let me = UserId(uuid::Uuid::from_u128(1));
        let you = UserId(uuid::Uuid::from_u128(2));
        let first = crowd.of_user(me, 2).unwrap();
        let _second = crowd.of_user(me, 2).unwrap();
        let error = crowd.of_user(me, 2).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TooMany);
        assert!(error.retry_after_seconds().is_some());
        drop(crowd.of_user(you, 2).unwrap());
        assert_eq!(crowd.users.map().len(), 1);
        drop(first);
        assert!(crowd.of_user(me, 2).is_ok());
        assert!(crowd.of_user(me, 0).is_ok(), "0 is no limit");
    }

    #[test]
    fn an_ipv6_home_is_one_address_and_loopback_is_none() {
        let crowd = Crowd::default();
        let _held = crowd.of_address(address("2001:db8:1:2::7"), 1).unwrap();
        assert!(
            crowd
                .of_address(address("2001:db8:1:2:ffff::9"), 1)
                .is_err()
        );
        assert!(crowd.of_address(address("2001:db8:1:3::7"), 1).is_ok());
        let _near = crowd.of_address(address("127.0.0.1"), 1).unwrap();
        assert!(crowd.of_address(address("127.0.0.1"), 1).is_ok());
    }

    #[test]
    fn only_a_trusted_proxy_says_who_is_behind_it() {
        let trusted: Vec<Network> = ["127.0.0.1", "10.0.0.0/8"]
            .map(|network| network.parse().unwrap())
            .into();
        let from = |peer: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
                headers.append(FORWARDED, line);
            }
            origin(address(peer), &headers, &trusted).to_string()
        };
        assert_eq!(from("203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(from("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("::ffff:127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        // What the client wrote itself stands before what the proxies added.
        assert_eq!(
            from("127.0.0.1", &["1.2.3.4, 198.51.100.1, 10.0.0.9"]),
            "198.51.100.1"
        );
        assert_eq!(
            from("127.0.0.1", &["1.2.3.4", "198.51.100.1"]),
            "198.51.100.1"
        );
        assert_eq!(from("127.0.0.1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(from("127.0.0.1", &["198.51.100.1:5678"]), "198.51.100.1");
        assert_eq!(from("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        for nonsense in ["", "unknown", "1.2.3.4, _x"] {
            assert_eq!(from("127.0.0.1", &[nonsense]), "127.0.0.1", "{nonsense}");
        }
        assert_eq!(from("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(from("127.0.0.1", &["10.0.0.7"]), "10.0.0.7");
        // What a client wrote itself does not spoil what the proxy added.
        assert_eq!(from("127.0.0.1", &["é, 198.51.100.1"]), "198.51.100.1");
        let mut headers = HeaderMap::new();
        let unnamed =
            |peer: &str, headers: &HeaderMap| unnamed_proxy(address(peer), headers, &trusted);
        assert!(!unnamed("172.17.0.1", &headers), "somebody next door");
        headers.insert(FORWARDED, HeaderValue::from_static("198.51.100.1"));
        assert!(unnamed("172.17.0.1", &headers) && unnamed("fd00::1", &headers));
        assert!(!unnamed("127.0.0.1", &headers) && !unnamed("203.0.113.5", &headers));
    }
}
