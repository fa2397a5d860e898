//! Tokens that a person's conversations cost, by day.
//!
//! Owns [`Tokens`], [`Day`] and [`Usage`], and the estimate for answers that nobody counted. Called by
//! the turn, the store and the surfaces. Invariant: a day is one of UTC, the same for every server and
//! every person, so that what was used is the same whoever asks.

use super::time::Timestamp;

/// Microseconds of a day.
const DAY: i64 = 24 * 3600 * 1_000_000;

/// Bytes of UTF-8 that are taken for one token where the provider did not count. By `o200k_base` the
/// prompts in `prompts/` have 4.2 bytes a token in Korean and 4.5 to 4.7 in English.
const BYTES_A_TOKEN: usize = 4;

/// Tokens that a model read and wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// What it read: prompts, history and words.
    pub input: i64,
    /// What it wrote.
    pub output: i64,
}

impl Tokens {
    /// Both together.
    pub const fn total(self) -> i64 {
        self.input.saturating_add(self.output)
    }
}

/// Tokens of a text of this many bytes, roughly.
pub fn estimate(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(BYTES_A_TOKEN)).unwrap_or(i64::MAX)
}

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day that this time is in.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.as_micros().div_euclid(DAY))
    }

    /// The day so many days before.
    pub const fn back(self, days: i64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The day of this number.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// When the day begins.
    pub const fn begin(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(DAY))
    }

    /// When the next day begins.
    pub const fn end(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_add(1).saturating_mul(DAY))
    }
}

/// What a person has used on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Which day.
    pub day: Day,
    /// How much.
    pub tokens: Tokens,
}

impl Usage {
    /// What is left of `quota` tokens a day; 0 when it is used up.
    pub fn left_of(self, quota: i64) -> i64 {
        quota.saturating_sub(self.tokens.total()).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let noon: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let last: Timestamp = "2026-11-26T23:59:59.999999Z".parse().unwrap();
        let next: Timestamp = "2026-11-27T00:00:00Z".parse().unwrap();
        assert_eq!(Day::of(noon), Day::of(last));
        assert_eq!(Day::of(noon).end(), next);
        assert_eq!(Day::of(next).number(), Day::of(last).number() + 1);
        let before: Timestamp = "1969-12-31T23:00:00Z".parse().unwrap();
        assert_eq!(Day::of(before).number(), -1);
        // No time is too late.
        assert_eq!(Day::of(Timestamp::MAX).end(), Timestamp::MAX);
    }

    #[test]
    fn what_is_left_is_never_less_than_nothing() {
        let used = |input, output| Usage {
            day: Day(0),
            tokens: Tokens { input, output },
        };
        assert_eq!(used(60, 30).left_of(100), 10);
        assert_eq!(used(60, 60).left_of(100), 0);
        assert_eq!(used(i64::MAX, i64::MAX).left_of(100), 0);
    }

    #[test]
    fn a_text_is_at_least_one_token_unless_it_is_empty() {
        assert_eq!([0, 1, 4, 5].map(estimate), [0, 1, 1, 2]);
    }
}
