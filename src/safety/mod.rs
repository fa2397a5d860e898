//! The safety gate: reads a person's words before a model does, and says how much care they need.
//!
//! | file | what it owns |
//! |---|---|
//! | `letters` | characters as plain pieces: look-alikes, masks, drawn-out letters |
//! | `normalise` | pieces as symbols that survive typos, jamo and spacing |
//! | `lexicon` | the spellings of the pack, found wherever one can begin |
//! | `pack`, `rules.toml` | the rule pack: versioned data, checked when read |
//! | `rules` | sequences of words, what silences them, what denies them |
//! | `pieces` | a message as the hashed pieces that the model sees |
//! | `model`, `weights.bin` | a linear model for what the rules have no words for |
//! | `resources`, `resources.toml` | people to reach, by country |
//! | `texts` | what is said to the person and to the model |
//! | `whose` | whether a finding is about the writer or somebody else |
//! | `score` | recall and precision, for tests and for whoever measures |
//!
//! Called by the turn, on every message, before quota, lock and database. Pure: no clock, no file,
//! no network. Invariants: it is a floor and never an all-clear; more turns never lower a tier; what
//! it returns holds none of the person's words; its time is linear in the text.
//! How long a tier sticks is decided by the caller.

mod letters;
mod lexicon;
pub mod model;
mod normalise;
mod pack;
pub mod pieces;
pub mod resources;
mod rules;
pub mod score;
#[cfg(test)]
mod tests;
pub mod texts;
mod whose;

pub use pack::PackError;
pub use resources::{Resource, resources};
pub use texts::{Lang, fixed_answer, message, preamble, short_text};

use std::sync::Arc;

use crate::domain::safety::{Category, Tier};
use model::Model;
use normalise::Stream;
use pack::Pack;
use rules::Finding;
use whose::Whose;

/// How many of the turns before are read, and how many bytes of each (its end).
const TURNS: usize = 4;
const TURN_BYTES: usize = 2048;

/// What the gate found. It holds no words of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The highest tier found.
    pub tier: Tier,
    /// What it is about, without repeats, in the order of [`Category::ALL`].
    pub categories: Vec<Category>,
    /// The versions of the rule pack and of the model that found it.
    pub pack_version: Arc<str>,
    /// Whether a rule found something, be it nothing by itself: only then can the turns before weigh in.
    pub weighable: bool,
}

impl Assessment {
    /// Raises it by what was found: tier, category, and whose life it is about.
    fn raise(&mut self, found: &[(Tier, Category, Whose)]) {
        let own = found.iter().any(|&(tier, category, whose)| {
            tier >= Tier::Elevated && is_own_risk(category) && whose == Whose::Own
        });
        for &(tier, category, whose) in found {
            if tier == Tier::None {
                continue;
            }
            self.tier = self.tier.max(tier);
            if whose != Whose::Other || !is_own_risk(category) {
                self.categories.push(category);
            }
            match whose {
                Whose::Other if is_own_risk(category) => {
                    self.categories.push(Category::ConcernForOther);
                }
                // Who says it of themselves is not asked whether they meant somebody else.
                Whose::Unclear if is_own_risk(category) && !own => {
                    self.categories.push(Category::ConcernForOther);
                }
                Whose::Unclear if category == Category::ConcernForOther => {
                    self.categories.push(Category::Suicide);
                }
                _ => {}
            }
        }
        self.categories.sort_unstable();
        self.categories.dedup();
    }
}

/// The compiled gate. Build it once and share it.
#[derive(Debug)]
pub struct Gate {
    pack: Pack,
    model: Option<Model>,
    version: Arc<str>,
}

impl Gate {
    /// The gate with the rule pack and the model of this build.
    pub fn embedded() -> Result<Self, PackError> {
        let model = Model::from_bytes(include_bytes!("weights.bin"));
        let model = model.map_err(|fault| PackError::new(format!("weights.bin: {fault:?}")))?;
        let rules = Self::of_rules()?;
        Ok(Self {
            version: format!("{}+{}", rules.version, model.name()).into(),
            model: Some(model),
            ..rules
        })
    }

    /// The gate with the rules alone, which a new model is measured beside.
    pub fn of_rules() -> Result<Self, PackError> {
        let pack = Pack::embedded()?;
        let version = Arc::from(pack.version.as_str());
        Ok(Self {
            pack,
            model: None,
            version,
        })
    }

    /// The versions of the rule pack and of the model.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Reads `text` together with the person's turns before it, oldest first.
    ///
    /// Earlier turns can raise what `text` says (a plan told in two messages). Alone they do not
    /// count again: keeping a tier for the session is the caller's part.
    pub fn assess(&self, text: &str, recent: &[&str]) -> Assessment {
        let findings = self.findings(text, &[]);
        let mut alone = Assessment {
            tier: Tier::None,
            categories: Vec::new(),
            pack_version: Arc::clone(&self.version),
            weighable: !findings.0.is_empty(),
        };
        alone.raise(&self.weighted(findings));
        if let Some(opinion) = self.model.as_ref().map(|model| model.read(text))
            && opinion.tier() > alone.tier
        {
            // It is no grammar: where it says that this is about somebody else, it may be wrong.
            let whose = if opinion.category == Category::ConcernForOther {
                Whose::Unclear
            } else {
                Whose::Own
            };
            alone.raise(&[(opinion.tier(), opinion.category, whose)]);
        }
        self.together(alone, text, recent)
    }

    /// What the turns before make of `text`, of which this was said alone: never less.
    pub fn together(&self, mut alone: Assessment, text: &str, recent: &[&str]) -> Assessment {
        // They only weigh what is found in these words: no rule begins there and ends here.
        if alone.weighable && !recent.is_empty() {
            alone.raise(&self.weighted(self.findings(text, recent)));
        }
        alone
    }

    /// The rules that fired, for tests and for tuning the pack.
    #[cfg(test)]
    pub(crate) fn explain(&self, text: &str, recent: &[&str]) -> Vec<(String, Tier)> {
        let (findings, _) = self.findings(text, recent);
        findings
            .iter()
            .map(|f| (self.pack.rules[f.rule].id.clone(), f.tier))
            .collect()
    }

    /// What is found in these turns, and where the last of them begins.
    fn findings(&self, text: &str, recent: &[&str]) -> (Vec<Finding>, usize) {
        let skipped = recent.len().saturating_sub(TURNS);
        let before = recent
            .iter()
            .skip(skipped)
            .map(|turn| tail(turn, TURN_BYTES));
        let (stream, starts) = Stream::of_turns(before.chain(std::iter::once(text)));
        let current = starts.last().copied().unwrap_or(0);
        (rules::findings(&self.pack, &stream, &starts), current)
    }

    fn weighted(&self, (findings, current): (Vec<Finding>, usize)) -> Vec<(Tier, Category, Whose)> {
        // Dying spoken of lifts a sign ("I have the pills") all the way, despair only to elevated.
        let spoken = Ends::of(&self.pack, &findings, |finding| {
            finding.tier >= Tier::Elevated
                || matches!(finding.category, Category::Suicide | Category::SelfHarm)
        });
        let despair = Ends::of(&self.pack, &findings, |_| true);
        findings
            .iter()
            .filter(|finding| finding.end > current)
            .map(|finding| {
                let lifted = if spoken.beside(finding) {
                    finding.lifted
                } else if despair.beside(finding) {
                    finding.lifted.min(Tier::Elevated)
                } else {
                    Tier::None
                };
                (finding.tier.max(lifted), finding.category, finding.whose)
            })
            .collect()
    }
}

/// The first end and the last start of some findings: enough to know if one stands beside another.
struct Ends {
    first_end: Option<usize>,
    last_start: Option<usize>,
}

impl Ends {
    fn of(pack: &Pack, findings: &[Finding], holds: impl Fn(&Finding) -> bool) -> Self {
        let some = || {
            findings.iter().filter(|finding| {
                finding.tier > Tier::None
                    && is_own_risk(finding.category)
                    && pack.rules[finding.rule].lift.is_none()
                    && holds(finding)
            })
        };
        Self {
            first_end: some().map(|finding| finding.end).min(),
            last_start: some().map(|finding| finding.start).max(),
        }
    }

    fn beside(&self, finding: &Finding) -> bool {
        self.first_end.is_some_and(|end| end <= finding.start)
            || self.last_start.is_some_and(|start| start >= finding.end)
    }
}

/// Whether the category is about someone's own life.
fn is_own_risk(category: Category) -> bool {
    matches!(
        category,
        Category::Suicide
            | Category::SelfHarm
            | Category::PlanOrMeans
            | Category::Farewell
            | Category::Hopelessness
            | Category::Burden
    )
}

/// The last `bytes` bytes of the text, from a character's start on.
fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}
