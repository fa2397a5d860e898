//! Identifiers: newtypes over UUIDs, made from a time and random bytes that are handed in.
//!
//! Owns the id types and [`Random`]. Invariant: an id names one kind of thing. New ids are UUIDv7;
//! any RFC 9562 UUID is accepted from outside, and order is never read out of an id.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Where random bytes come from: the operating system when serving.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable values.
    fn fill(&self, bytes: &mut [u8]) -> super::Result<()>;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh UUIDv7 of this time.
            pub fn generate(now: Timestamp, random: &dyn Random) -> super::Result<Self> {
                let mut bytes = [0; 10];
                random.fill(&mut bytes)?;
                Ok(Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &bytes).into_uuid()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// Names a [`User`](super::user::User).
    UserId
);
id!(
    /// Names a [`Login`](super::login::Login).
    LoginId
);
id!(
    /// Names an [`EmotionSession`](super::session::EmotionSession).
    SessionId
);
id!(
    /// Names an [`Access`](super::rights::Access).
    AccessId
);
id!(
    /// Names an [`EmotionStep`](super::step::EmotionStep), and the turn that makes it.
    StepId
);
