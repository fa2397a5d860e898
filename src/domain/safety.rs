//! What the safety gate says about a person's words: a tier and the categories behind it.

use serde::{Deserialize, Serialize};

/// How much care a turn needs. The order is the order of danger.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nothing was found. Never an all-clear.
    #[default]
    None,
    /// Hopelessness, being a burden, past and resolved, negated, bereaved by suicide.
    Low,
    /// Ideation, self-harm, worry about someone else, abuse or violence.
    Elevated,
    /// Plan, means, date, farewell, overdose, weapon, asking for a method.
    Imminent,
}

impl Tier {
    /// Every tier, lowest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Low, Self::Elevated, Self::Imminent];

    /// The name used on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Elevated => "elevated",
            Self::Imminent => "imminent",
        }
    }

    /// The tier of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }
}

/// What a finding is about. A closed list: clients and texts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Wishing to be dead, or thinking of suicide.
    Suicide,
    /// Hurting oneself.
    SelfHarm,
    /// A plan, a means, a date, a place, or an attempt under way.
    PlanOrMeans,
    /// A goodbye, a note, giving away what one loves.
    Farewell,
    /// No hope, no meaning, no way out.
    Hopelessness,
    /// Feeling like a burden to others.
    Burden,
    /// Someone was lost to suicide.
    Bereavement,
    /// Another person is at risk.
    ConcernForOther,
    /// Hurt by someone: at home, by a partner, at school.
    Abuse,
    /// Sexual violence.
    SexualViolence,
    /// Wishing or planning to hurt someone else.
    Violence,
    /// Asking for a crisis line or a counsellor.
    SeekingHelp,
}

impl Category {
    /// Every category, in the order of declaration.
    pub const ALL: [Self; 12] = [
        Self::Suicide,
        Self::SelfHarm,
        Self::PlanOrMeans,
        Self::Farewell,
        Self::Hopelessness,
        Self::Burden,
        Self::Bereavement,
        Self::ConcernForOther,
        Self::Abuse,
        Self::SexualViolence,
        Self::Violence,
        Self::SeekingHelp,
    ];

    /// The name used on the wire and in the rule pack.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suicide => "suicide",
            Self::SelfHarm => "self_harm",
            Self::PlanOrMeans => "plan_or_means",
            Self::Farewell => "farewell",
            Self::Hopelessness => "hopelessness",
            Self::Burden => "burden",
            Self::Bereavement => "bereavement",
            Self::ConcernForOther => "concern_for_other",
            Self::Abuse => "abuse",
            Self::SexualViolence => "sexual_violence",
            Self::Violence => "violence",
            Self::SeekingHelp => "seeking_help",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tier_names_round_trip_and_order_is_danger() {
        for tier in Tier::ALL {
            assert_eq!(Tier::parse(tier.as_str()), Some(tier));
        }
        assert_eq!(Tier::parse("Imminent"), None);
        assert!(Tier::ALL.is_sorted());
        assert_eq!(Tier::default(), Tier::None);
    }

    #[test]
    fn category_names_are_the_serde_names() {
        #[derive(Deserialize)]
        struct Row {
            c: Category,
        }
        for category in Category::ALL {
            let row: Row = toml::from_str(&format!("c = \"{}\"", category.as_str())).unwrap();
            assert_eq!(row.c, category);
        }
    }
}
