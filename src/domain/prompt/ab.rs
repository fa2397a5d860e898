//! Two versions of a prompt beside each other (A/B), and how the turns under each of them went.
//!
//! Owns [`Split`] and [`Tally`]. Called by the service, which holds the configuration. Pure. Invariants:
//! a person stays on their side as long as the version is the same, on every instance; with a larger
//! share nobody changes sides who was told the version before.

use super::PromptName;
use crate::domain::id::UserId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Who is told an earlier version of a prompt instead of the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    /// The version; 0 is the one that comes with the program.
    pub version: i64,
    /// Of 100 people, how many are told it; 0 for nobody, at most 100.
    pub percent: u8,
}

impl Split {
    /// Whether this person is told the version. Which side it is depends on the person, the prompt and the
    /// version alone: another version draws anew.
    pub fn takes(self, name: PromptName, user_id: UserId) -> bool {
        let drawn = Sha256::digest(format!("{}@{}:{user_id}", name.key(), self.version));
        let first = drawn.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(first) % 100 < u64::from(self.percent)
    }
}

/// How the turns went in which the same version of the server's prompt was told. Counts only, no words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The version, such as `ko@3`; what people asked for themselves is left out.
    pub prompt_version: String,
    /// People who had such a turn.
    pub people: i64,
    /// Their turns, the running ones left out.
    pub turns: i64,
    /// Those that were answered to the end.
    pub complete: i64,
    /// Those that the person stopped.
    pub cancelled: i64,
    /// Those after which the person said something more in the session.
    pub went_on: i64,
    /// Mean tokens of an answer, of those that were counted.
    pub output_tokens: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::prompt::Language;
    use uuid::Uuid;

    const KO: PromptName = PromptName::System(Language::Korean);

    fn told(split: Split, name: PromptName) -> Vec<u128> {
        let people = 0..1000;
        people
            .filter(|n| split.takes(name, UserId(Uuid::from_u128(*n))))
            .collect()
    }

    #[test]
    fn a_share_of_the_people_is_told_it_and_stays_there() {
        let of = |version, percent| told(Split { version, percent }, KO);
        assert!(of(3, 0).is_empty());
        assert_eq!(of(3, 100).len(), 1000);
        let (fifth, half) = (of(3, 20), of(3, 50));
        // Three standard deviations of a draw of 1000.
        assert!((160..=240).contains(&fifth.len()), "{}", fifth.len());
        assert!((450..=550).contains(&half.len()), "{}", half.len());
        assert!(fifth.iter().all(|n| half.contains(n)));
        assert_ne!(of(4, 50), half, "another version draws anew");
        let en = PromptName::System(Language::English);
        let split = Split {
            version: 3,
            percent: 50,
        };
        assert_ne!(told(split, en), half);
        // Every release and every instance: whoever changes this moves people to another side.
        assert_eq!(&fifth[..5], [2, 4, 5, 15, 17]);
    }
}
