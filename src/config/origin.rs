//! An origin in the configuration, and in what a browser sends.
//!
//! Owns [`Origin`]. Invariant: it is written as browsers write it (RFC 6454): small letters, no port that
//! goes without saying, no slash at the end, so that two of them are the same when their texts are.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Where a page comes from: `https://chat.example.com`, `http://localhost:5173`, `capacitor://localhost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    /// `None` for the one that goes without saying.
    port: Option<u16>,
}

impl Origin {
    /// Whether a `Host` header names the host and port of this origin. Which scheme it was asked by a
    /// server cannot know behind a proxy, so only these are compared.
    pub fn is_at(&self, host: &str) -> bool {
        let Some((name, port)) = host_and_port(host) else {
            return false;
        };
        name == self.host && (port == self.port || port.is_some() && port == self.usual_port())
    }

    fn usual_port(&self) -> Option<u16> {
        self.port.or(match self.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (scheme, rest) = text.split_once("://").ok_or(())?;
        let scheme = scheme.to_ascii_lowercase();
        let ok = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !ok {
            return Err(());
        }
        let (host, port) = host_and_port(rest).ok_or(())?;
        let mut origin = Self {
            scheme,
            host,
            port: None,
        };
        if port != origin.usual_port() {
            origin.port = port;
        }
        Ok(origin)
    }
}

/// The host in small letters, and the port if there is one.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let bracket = text.find(']').unwrap_or(0);
    let (host, port) = match text[bracket..].rfind(':') {
        Some(colon) => {
            let digits = &text[bracket + colon + 1..];
            // A sign or a nought in front would be read, too, and no browser writes it.
            let port: u16 = digits.parse().ok()?;
            if port.to_string() != digits {
                return None;
            }
            (&text[..bracket + colon], Some(port))
        }
        None => (text, None),
    };
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some((format!("[{address}]"), port));
    }
    // What is not ASCII travels as Punycode.
    let ok = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    ok.then(|| (host.to_ascii_lowercase(), port))
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|()| {
            de::Error::custom(
                "expected an origin such as https://chat.example.com or http://localhost:5173: a scheme, a host and \
                 perhaps a port, nothing after it, no *",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (typed, written) in [
            ("https://chat.example.com", "https://chat.example.com"),
            ("HTTPS://Chat.Example.com:443", "https://chat.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("https://xn--hq1b42j.kr", "https://xn--hq1b42j.kr"),
        ] {
            let origin: Origin = typed.parse().unwrap();
            assert_eq!(origin.to_string(), written, "{typed}");
            assert_eq!(written.parse(), Ok(origin), "{typed}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for wrong in [
            "",
            "*",
            "null",
            "https://*",
            "https://*.example.com",
            "https://chat.example.com/",
            "https://chat.example.com/app",
            "https://chat.example.com?x",
            "https://chat.example.com#x",
            "https://me@chat.example.com",
            "https://me:secret@chat.example.com",
            "chat.example.com",
            "chat.example.com:443",
            "//chat.example.com",
            "https:/chat.example.com",
            "https://",
            "https://:443",
            "file://",
            "https://chat.example.com:",
            "https://chat.example.com:0443",
            "https://chat.example.com:+443",
            "https://chat.example.com:65536",
            "https://chat.example.com:x",
            "https://::1",
            "https://[::1",
            "https://[::1]x",
            "https://]:1",
            "https://대화.kr",
            " https://chat.example.com",
            "https://chat.example.com ",
            "https://chat.example.com,https://b.example.com",
            "1http://a",
            "://a",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(()), "{wrong:?}");
        }
    }

    #[test]
    fn only_host_and_port_of_a_host_header_count() {
        let at = |origin: &str, host: &str| origin.parse::<Origin>().unwrap().is_at(host);
        for (origin, host) in [
            ("https://chat.example.com", "chat.example.com"),
            ("https://chat.example.com", "Chat.Example.COM:443"),
            ("http://chat.example.com", "chat.example.com:80"),
            ("http://localhost:8000", "localhost:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(at(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example.com", "chat.example.com"),
            ("https://chat.example.com.evil.example", "chat.example.com"),
            ("https://chat.example.com", "chat.example.com:8443"),
            ("https://chat.example.com:8443", "chat.example.com"),
            ("https://chat.example.com", "chat.example.com:80"),
            ("http://localhost:8000", "localhost:8001"),
            ("http://localhost:8000", "127.0.0.1:8000"),
            ("https://chat.example.com", ""),
            ("https://chat.example.com", "chat.example.com/"),
            ("https://chat.example.com", "me@chat.example.com"),
        ] {
            assert!(!at(origin, host), "{origin} {host}");
        }
    }
}
