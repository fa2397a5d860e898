//! Whose life a finding is about.
//!
//! Owns [`Whose`]. Called by the rules, for what stands around a finding. A word for somebody nearby does not say it:
//! "친구랑 싸웠어. 죽고 싶어" is the writer's own, "친구가 죽고 싶대" is not. Invariants: it changes no tier; where
//! it cannot be told, both are spoken to, for nobody who speaks of their own death may be taken for a bystander.

use super::pack::Known;
use super::rules::Places;

/// How far before a finding the person it is about may stand.
const PERSON: u32 = 14;
/// How far before it the writer says "I": two Latin words more than the pronoun, or as many syllables.
const ME: u32 = 6;
/// How far behind it the ending stands that tells a wish from a report.
const ENDING: u32 = 4;

/// Whose life it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The writer's.
    Own,
    /// Somebody else's, whose words or deeds are told.
    Other,
    /// Somebody is named, and it is not said whose it is.
    Unclear,
}

impl Whose {
    /// Of a finding that itself names somebody, from there to here.
    pub(super) fn of_named(known: &Known, places: &Places, from: u32, to: u32) -> Self {
        if places.any(&[known.theirs], from, to) && !places.any(&[known.me], from, to) {
            Self::Other
        } else {
            Self::Unclear
        }
    }

    /// By what stands around a finding that goes from here to there.
    pub(super) fn of(known: &Known, places: &Places, from: u32, to: u32) -> Self {
        let end = to.saturating_add(ENDING);
        let near = from.saturating_sub(PERSON);
        let Some(person) = places.last_end(known.person, near, from) else {
            return Self::Own;
        };
        // "I" behind the person is who does it: "my friend doesn't know that I …".
        let me = places.any(&[known.me], from.saturating_sub(ME).max(person), to);
        // Right there: further on it is said of something else.
        let theirs = places.any(&[known.theirs], from, to);
        let told = theirs || places.any(&[known.told], from, end);
        let wish = places.any(&[known.wish], from, end);
        if (me || wish) && !told {
            Self::Own
        } else if theirs && !me {
            Self::Other
        } else {
            Self::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::safety::{Category, Tier};
    use crate::safety::{Assessment, Gate, Lang, is_own_risk, message};
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    fn gate() -> &'static Gate {
        static GATE: OnceLock<Gate> = OnceLock::new();
        GATE.get_or_init(|| Gate::embedded().unwrap())
    }

    /// Of the last of these turns, after the others.
    fn assess(turns: &[&str]) -> Assessment {
        let (text, recent) = turns.split_last().unwrap();
        let found = gate().assess(text, recent);
        assert!(found.tier >= Tier::Elevated, "{turns:?}: {found:?}");
        found
    }

    fn concern(found: &Assessment) -> bool {
        found.categories.contains(&Category::ConcernForOther)
    }

    #[test]
    fn who_names_somebody_and_speaks_of_themselves_is_spoken_to() {
        for turns in [
            &["친구랑 싸웠어. 죽고 싶어"][..],
            &["엄마는 몰라. 나 죽고 싶어"],
            &["엄마가 너무 미워서 죽고 싶어"],
            &["남자친구가 헤어지재. 죽고 싶어"],
            &["엄마한테 미안한데 죽고 싶어"],
            &["사람들이 다 나를 싫어해 그냥 죽고 싶다"],
            &["친구가 자살했는데 나도 따라 죽고 싶어"],
            &["나는 죽고 싶은데 남친은 몰라"],
            &["오늘 친구랑 싸웠어", "죽고 싶어"],
            &["오늘 친구랑 싸웠어", "다 끝내고 싶어. 약을 모아뒀어"],
            &["엄마는 몰라요", "자살하고 싶어요"],
            &["my boyfriend left me and i want to kill myself"],
            &["i told my friend that i want to kill myself"],
            &["he left me and now i want to end my life"],
            &["my friend is mad at me", "i want to die"],
        ] {
            let found = assess(turns);
            assert!(!concern(&found), "{turns:?}: {found:?}");
        }
    }

    #[test]
    fn a_form_that_nobody_uses_of_themselves_is_about_somebody_else() {
        for text in [
            "친구가 죽고 싶대",
            "동생이 죽고 싶어 해요",
            "엄마가 자꾸 죽겠대",
            "my friend wants to die",
            "my sister said she wants to kill herself",
        ] {
            let found = assess(&[text]);
            assert_eq!(found.categories, [Category::ConcernForOther], "{text}");
        }
    }

    /// A list by somebody who had not seen the rules, in which everybody names somebody else.
    #[test]
    fn on_a_list_that_the_rules_have_not_seen_hardly_anybody_is_taken_for_a_bystander() {
        let list = include_str!("../../tests/data/safety-whose.tsv");
        let mut counts = BTreeMap::new();
        for line in list.lines().skip(1) {
            let (_, rest) = line.split_once('\t').unwrap();
            let (whose, text) = rest.split_once('\t').unwrap();
            let found = gate().assess(text, &[]);
            let own = found.categories.iter().any(|c| is_own_risk(*c));
            let spoken_to = match (found.tier >= Tier::Elevated, own, concern(&found)) {
                (false, ..) => "nobody",
                (_, true, true) => "both",
                (_, true, false) => "the writer",
                (_, false, true) => "a bystander",
                (_, false, false) => "others",
            };
            *counts.entry((whose, spoken_to)).or_insert(0) += 1;
        }
        let counts: Vec<_> = counts.into_iter().collect();
        // Those of docs/safety.md.
        let documented = [
            (("other", "a bystander"), 4),
            (("other", "both"), 30),
            (("other", "nobody"), 9),
            (("other", "the writer"), 10),
            (("own", "a bystander"), 1),
            (("own", "both"), 19),
            (("own", "nobody"), 4),
            (("own", "others"), 1),
            (("own", "the writer"), 42),
        ];
        assert_eq!(counts, documented);
    }

    /// What looks like such a form and is the next word, or stands elsewhere.
    #[test]
    fn nobody_who_speaks_of_themselves_is_taken_for_a_bystander() {
        for text in [
            "친구한테 배신당했어. 죽고 싶어. 하루하루가 지옥이야",
            "친구한테 배신당하고 죽고 싶어 하루하루가 지옥이야",
            "친구한테 배신당하고 죽고싶어 하나도 안 괜찮아",
            "엄마가 미워 죽고 싶어 하지만 못 죽겠어",
            "엄마가 미워 죽고 싶어 해결책이 없어",
            "여자친구가 떠났어 죽고 싶어 담배 한대 피우고 왔어",
            "친구들은 다 잘 산대 나만 죽고 싶어",
            "엄마는 나보고 나가래 죽고 싶어",
            "동생은 결혼한대 난 죽고 싶은데",
            "언니는 먹고 싶대 나는 죽고 싶다",
            "남친이 바람폈대 죽고 싶어",
            "엄마가 이혼하겠대. 죽고 싶다",
            "my brother killed himself and i want to die",
            "she hates herself, i hate me. i want to kill myself",
            "my mom wants to hurt me. i want to die",
            "엄마가 자꾸 그러면 나 죽어버릴 거야",
            "친구한테 죽어버릴거라고 했어",
            "엄마가 화내서 죽겠다고 소리쳤어",
            "엄마가 잠든 사이에 약을 많이 먹었어",
            "친구가 떠나서 살고 싶지 않아",
            "my boyfriend is asleep and i took a bunch of pills",
            "he broke up with me so i overdosed",
        ] {
            let found = assess(&[text]);
            assert_ne!(found.categories, [Category::ConcernForOther], "{text}");
            let own = found.categories.iter().any(|c| is_own_risk(*c));
            assert!(own, "{text}: {found:?}");
        }
    }

    /// Where it is not said whose life it is, nobody is told that they worry about somebody else, and nobody who does
    /// is left without a word.
    #[test]
    fn where_it_cannot_be_told_both_are_spoken_to() {
        let bystander = |lang| {
            [Tier::Elevated, Tier::Imminent]
                .map(|tier| message(tier, &[Category::ConcernForOther], lang))
        };
        for (lang, turns) in [
            (Lang::Ko, &["엄마는 죽고 싶다고 하면 화만 내"][..]),
            (Lang::Ko, &["엄마한테 죽고 싶다고 했어"]),
            (Lang::Ko, &["엄마는 내가 죽고 싶다고 해도 안 믿어"]),
            (
                Lang::Ko,
                &["엄마가 무서워서 죽고 싶다고 했는데 아무도 안 들어"],
            ),
            (Lang::Ko, &["동생이 미워서 자살하려고 해"]),
            (Lang::Ko, &["친구가 자살하려고 해"]),
            (Lang::Ko, &["오빠한테 맞고 나서 손목을 그었어"]),
            (Lang::Ko, &["친구가 손목을 그었어"]),
            (Lang::Ko, &["남자친구가 떠났어", "유서를 썼어"]),
            (Lang::Ko, &["친구가 걱정돼", "죽고 싶대"]),
            (Lang::En, &["she wants to hurt me and i want to die"]),
        ] {
            let found = assess(turns);
            assert!(concern(&found), "{turns:?}: {found:?}");
            assert!(found.categories.len() > 1, "{turns:?}: {found:?}");
            let said = message(found.tier, &found.categories, lang);
            assert!(!bystander(lang).contains(&said), "{turns:?}: {said}");
            let own = message(found.tier, &[Category::Suicide], lang);
            assert_ne!(said, own, "{turns:?}");
        }
    }
}
