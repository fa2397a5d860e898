//! What the instances on one database tell each other.
//!
//! Owns [`News`] and its text, a line of words that are ids. Invariant: news carry ids only, never
//! what anybody said; who wants the words reads them in the database.

use super::{SessionId, StepId, UserId};
use std::fmt;
use std::str::FromStr;

/// Something that happened on one instance and concerns people who are attached to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum News {
    /// The words of a turn are committed.
    Begun(SessionId, StepId),
    /// More of the answer of a turn is committed.
    Grew(SessionId, StepId),
    /// The end of a turn is committed.
    Ended(SessionId, StepId),
    /// Somebody on another instance reads a turn along: what there is should be committed soon.
    Watched(SessionId, StepId),
    /// The person wants a turn to end with what it has.
    Stop(SessionId, StepId),
    /// All earlier tokens of an account have become void.
    Revoked(UserId),
    /// Some news may have been lost.
    Missed,
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun(session, step) => write!(f, "begun {session} {step}"),
            Self::Grew(session, step) => write!(f, "grew {session} {step}"),
            Self::Ended(session, step) => write!(f, "ended {session} {step}"),
            Self::Watched(session, step) => write!(f, "watched {session} {step}"),
            Self::Stop(session, step) => write!(f, "stop {session} {step}"),
            Self::Revoked(user) => write!(f, "revoked {user}"),
            Self::Missed => f.write_str("missed"),
        }
    }
}

/// A line that is no news that this program knows: another version's, perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl FromStr for News {
    type Err = Unknown;

    fn from_str(line: &str) -> Result<Self, Unknown> {
        fn id<T: FromStr>(word: Option<&str>) -> Result<T, Unknown> {
            word.and_then(|word| word.parse().ok()).ok_or(Unknown)
        }
        let mut words = line.split(' ');
        let kind = words.next();
        if kind == Some("missed") {
            return Ok(Self::Missed);
        }
        if kind == Some("revoked") {
            return id(words.next()).map(Self::Revoked);
        }
        let turn = (id(words.next())?, id(words.next())?);
        let made = match kind {
            Some("begun") => Self::Begun,
            Some("grew") => Self::Grew,
            Some("ended") => Self::Ended,
            Some("watched") => Self::Watched,
            Some("stop") => Self::Stop,
            _ => return Err(Unknown),
        };
        Ok(made(turn.0, turn.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn news_are_read_as_they_were_written() {
        let (session, step) = (SessionId(Uuid::from_u128(7)), StepId(Uuid::from_u128(8)));
        for news in [
            News::Begun(session, step),
            News::Grew(session, step),
            News::Ended(session, step),
            News::Watched(session, step),
            News::Stop(session, step),
            News::Revoked(UserId(Uuid::from_u128(9))),
            News::Missed,
        ] {
            assert_eq!(news.to_string().parse(), Ok(news));
        }
    }

    #[test]
    fn what_is_no_news_is_not_taken_for_any() {
        let id = Uuid::from_u128(7);
        for line in [
            "",
            "begun",
            &format!("begun {id}"),
            &format!("new {id} {id}"),
        ] {
            assert_eq!(line.parse::<News>(), Err(Unknown), "{line}");
        }
    }
}
