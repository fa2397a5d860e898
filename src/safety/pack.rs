//! The rule pack: a versioned data file, read and checked once.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::lexicon::{Builder, Lexicon, Pattern, expand};
use crate::domain::safety::{Category, Tier};

const EMBEDDED: &str = include_str!("rules.toml");

/// Why a rule pack could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError(String);

impl PackError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for PackError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the safety rule pack is broken: {}", self.0)
    }
}

impl std::error::Error for PackError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    version: String,
    #[serde(default)]
    part: BTreeMap<String, String>,
    word: BTreeMap<String, Vec<String>>,
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    tier: Tier,
    category: Category,
    seq: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    #[serde(default)]
    unless_tier: Tier,
    #[serde(default)]
    not: Vec<String>,
    #[serde(default)]
    not_before: Vec<String>,
    #[serde(default)]
    past: bool,
    lift: Option<Tier>,
    #[serde(default)]
    needs: Vec<String>,
}

/// One rule, compiled.
#[derive(Debug)]
pub(super) struct Rule {
    #[cfg(test)]
    pub(super) id: String,
    pub(super) tier: Tier,
    pub(super) category: Category,
    /// Near these words the finding is worth only `unless_tier`.
    pub(super) unless: Vec<u16>,
    pub(super) unless_tier: Tier,
    /// One of these right behind the finding says that it is not so: low.
    pub(super) not: Vec<u16>,
    /// The same right before it.
    pub(super) not_before: Vec<u16>,
    /// Whether "long ago" and "better now" together make it low.
    pub(super) past: bool,
    /// The tier if the person spoke of dying elsewhere, here or in the turns before.
    pub(super) lift: Option<Tier>,
    /// One of these must be near.
    pub(super) needs: Vec<u16>,
}

/// Where a word class stands in a sequence of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// The rule that the sequence belongs to.
    pub(super) rule: usize,
    /// How far behind the class before it may stand; the first has none before it.
    pub(super) reach: Option<u32>,
    /// Whether the sequence ends with it.
    pub(super) last: bool,
    /// Which of the steps of all sequences it is: the one before it in its sequence is the one before it here.
    pub(super) slot: usize,
}

/// Word classes the engine itself asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) quiet: u16,
    pub(super) past: u16,
    pub(super) resolved: u16,
    pub(super) person: u16,
    /// The writer.
    pub(super) me: u16,
    /// The ending of a wish, which in Korean only the one who has it speaks of so.
    pub(super) wish: u16,
    /// What somebody said is told: of somebody else, or of what the writer said to them.
    pub(super) told: u16,
    /// The same in a form that nobody uses of themselves.
    pub(super) theirs: u16,
}

/// Everything the matcher needs.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) version: String,
    pub(super) lexicon: Lexicon,
    pub(super) classes: usize,
    pub(super) rules: Vec<Rule>,
    /// For each word class, where it stands.
    pub(super) used: Vec<Vec<Use>>,
    /// Steps of all sequences.
    pub(super) slots: usize,
    pub(super) known: Known,
}

impl Pack {
    pub(super) fn embedded() -> Result<Self, PackError> {
        Self::read(EMBEDDED)
    }

    pub(super) fn read(text: &str) -> Result<Self, PackError> {
        let raw: RawPack = toml::from_str(text).map_err(|e| PackError::new(e.to_string()))?;
        let mut names: HashMap<&str, u16> = HashMap::new();
        let mut lexicon = Builder::default();
        for (name, words) in &raw.word {
            let class = u16::try_from(names.len()).map_err(|e| PackError::new(e.to_string()))?;
            names.insert(name, class);
            for word in words {
                read_word(class, word, &raw.part, &mut lexicon)?;
            }
        }
        let class = |name: &str| {
            names
                .get(name)
                .copied()
                .ok_or_else(|| PackError::new(format!("no words {name:?}")))
        };
        let classes_of = |list: &[String]| -> Result<Vec<u16>, PackError> {
            list.iter().map(|name| class(name)).collect()
        };
        let mut rules = Vec::new();
        let mut used = vec![Vec::new(); names.len()];
        let mut slots = 0;
        for rule in &raw.rule {
            if raw.rule.iter().filter(|other| other.id == rule.id).count() > 1 {
                return Err(PackError::new(format!("two rules {:?}", rule.id)));
            }
            for seq in &rule.seq {
                let steps = read_sequence(seq, &class)?;
                for (step, &(reach, class)) in steps.iter().enumerate() {
                    used[usize::from(class)].push(Use {
                        rule: rules.len(),
                        reach: (step > 0).then_some(reach),
                        last: step + 1 == steps.len(),
                        slot: slots,
                    });
                    slots += 1;
                }
            }
            rules.push(Rule {
                #[cfg(test)]
                id: rule.id.clone(),
                tier: rule.tier,
                category: rule.category,
                unless: classes_of(&rule.unless)?,
                unless_tier: rule.unless_tier,
                not: classes_of(&rule.not)?,
                not_before: classes_of(&rule.not_before)?,
                past: rule.past,
                lift: rule.lift,
                needs: classes_of(&rule.needs)?,
            });
        }
        let known = Known {
            quiet: class("quiet")?,
            past: class("past")?,
            resolved: class("resolved")?,
            person: class("person")?,
            me: class("me")?,
            wish: class("wish")?,
            told: class("told")?,
            theirs: class("theirs")?,
        };
        let classes = names.len();
        Ok(Self {
            version: raw.version,
            lexicon: lexicon.build(),
            classes,
            rules,
            used,
            slots,
            known,
        })
    }
}

fn read_word(
    class: u16,
    word: &str,
    parts: &BTreeMap<String, String>,
    lexicon: &mut Builder,
) -> Result<(), PackError> {
    let broken = || PackError::new(format!("cannot read the word {word:?}"));
    let mut full = word.to_owned();
    // A part may name parts; the depth is bounded, so a circle is an error and not a hang.
    for _ in 0..8 {
        let Some(open) = full.find('{') else { break };
        let close = full[open..].find('}').ok_or_else(broken)? + open;
        let name = &full[open + 1..close];
        let part = parts
            .get(name)
            .ok_or_else(|| PackError::new(format!("no part {name:?}")))?;
        full = format!("{}{part}{}", &full[..open], &full[close + 1..]);
    }
    if full.contains(['{', '}']) {
        return Err(broken());
    }
    for spelling in expand(&full).ok_or_else(broken)? {
        let tidy = spelling.split_whitespace().collect::<Vec<_>>().join(" ");
        lexicon.add(&Pattern::read(class, &tidy).ok_or_else(broken)?);
    }
    Ok(())
}

/// `a 6 b` is: a word of `a`, then within 6 a word of `b`.
fn read_sequence(
    text: &str,
    class: &impl Fn(&str) -> Result<u16, PackError>,
) -> Result<Vec<(u32, u16)>, PackError> {
    let mut steps = Vec::new();
    let mut gap = Some(0);
    for item in text.split_whitespace() {
        if let Ok(number) = item.parse::<u32>() {
            if gap.replace(number).is_some() {
                return Err(PackError::new(format!("two distances in {text:?}")));
            }
        } else {
            let gap = gap
                .take()
                .ok_or_else(|| PackError::new(format!("no distance before {item:?}")))?;
            steps.push((gap, class(item)?));
        }
    }
    if steps.is_empty() || gap.is_some() {
        return Err(PackError::new(format!(
            "{text:?} does not end in a word class"
        )));
    }
    Ok(steps)
}
