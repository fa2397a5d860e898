//! Owns what both readers share: the shape of a reading, which feeling wins when there are
//! several, and the nouns that may be given back. Called by `ko`, `en` and `compose`. Invariant:
//! a noun is given back only in the form its data file spells out.

use super::text::{self, Compact, Cue};

/// The feelings looked for; where two are equally present the later one in a message wins.
pub(super) const FEELINGS: [&str; 28] = [
    "joy",
    "confident",
    "eager",
    "moved",
    "calm",
    "bored",
    "tired",
    "lonely",
    "shame",
    "embarrassed",
    "sad",
    "frustrated",
    "stuck",
    "confused",
    "anxious",
    "angry",
    "breakup",
    "miss",
    "grief",
    "sleepless",
    "panic",
    "hurt",
    "abuse",
    "body",
    "even",
    "love",
    "idle",
    "flutter",
];

/// Whether a feeling is one a person is glad of.
pub(super) fn is_good(kind: &str) -> bool {
    matches!(
        kind,
        "joy" | "confident" | "eager" | "moved" | "calm" | "past_good" | "other_good"
    )
}

/// Whose a feeling is, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The person's own, now.
    Now,
    /// Said not to be there.
    Denied,
    /// Over.
    Past,
    /// Someone else's.
    Another,
}

/// One feeling found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: &'static str,
    pub(super) state: State,
}

/// What was understood of a message, without the conversation around it.
#[derive(Debug)]
pub(super) struct Reading {
    /// The section to speak from, if a feeling was found.
    pub(super) kind: Option<&'static str>,
    pub(super) whose: State,
    pub(super) person: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) quote: Option<String>,
    /// Letters and digits in the message.
    pub(super) length: usize,
}

/// How much a kind outweighs others in the same message: what must not be missed first, what is
/// only colour last.
fn weight(kind: &str) -> u8 {
    match kind {
        "abuse" => 9,
        "panic" => 8,
        "grief" => 7,
        "breakup" | "hurt" => 5,
        "flutter" => 1,
        "even" | "love" | "body" | "eager" => 2,
        "confused" | "sleepless" | "calm" | "frustrated" | "stuck" => 3,
        _ => 4,
    }
}

/// Whether a kind speaks of what was done to the person or lost by them, so that a subject other
/// than "I" does not make it another's (`아빠가 돌아가셨어`, `he hit me`).
pub(super) fn befalls(kind: &str) -> bool {
    matches!(
        kind,
        "grief" | "abuse" | "breakup" | "hurt" | "miss" | "love" | "even"
    )
}

/// The section to speak from, out of everything found.
pub(super) fn choose(found: &[Found]) -> (Option<&'static str>, State) {
    let now = found
        .iter()
        .filter(|f| f.state == State::Now)
        .max_by_key(|f| weight(f.kind));
    if let Some(hit) = now {
        let kind = if hit.kind == "flutter" {
            "anxious"
        } else {
            hit.kind
        };
        return (Some(kind), State::Now);
    }
    let of = |state| found.iter().rfind(|f| f.state == state);
    if let Some(hit) = of(State::Another) {
        let kind = match hit.kind {
            "angry" => "other_angry",
            kind if is_good(kind) => "other_good",
            _ => "other_bad",
        };
        return (Some(kind), State::Another);
    }
    if let Some(hit) = of(State::Past) {
        let kind = match hit.kind {
            // What happened stays what it is, however long ago.
            "abuse" | "grief" | "breakup" => hit.kind,
            kind if is_good(kind) => "past_good",
            _ => "past_bad",
        };
        return (Some(kind), State::Past);
    }
    match of(State::Denied) {
        Some(hit) if is_good(hit.kind) => (Some("not_good"), State::Denied),
        Some(_) => (Some("not_bad"), State::Denied),
        None => (None, State::Now),
    }
}

/// Nouns that may be given back, as a data file spells them.
#[derive(Debug)]
pub(super) struct Nouns(Vec<(&'static str, Cue, &'static str)>);

impl Nouns {
    pub(super) fn parse(file: &'static str) -> Self {
        let mut nouns = Vec::new();
        for (section, line) in text::sections(file) {
            for (surface, said) in line
                .split(',')
                .filter_map(|pair| pair.trim().split_once('='))
            {
                nouns.extend(Cue::at_word_start(surface).map(|cue| (section, cue, said)));
            }
        }
        Self(nouns)
    }

    /// The first noun of the section that the text holds.
    pub(super) fn find(
        &self,
        text: &Compact,
        section: &str,
        ends: impl Fn(&Compact, usize) -> bool,
    ) -> Option<String> {
        self.0
            .iter()
            .filter(|(name, _, _)| *name == section)
            .find(|(_, cue, _)| text.find(cue).any(|at| ends(text, at + cue.chars.len())))
            .map(|(_, _, said)| (*said).to_owned())
    }

    /// Where the last Korean subject that is a person ends (`친구가`, `엄마는`, `선생님께서`).
    pub(super) fn last_subject(&self, text: &Compact) -> Option<usize> {
        let people = self.0.iter().filter(|(name, _, _)| *name == "person");
        people
            .flat_map(|(_, cue, _)| text.find(cue).map(|at| at + cue.chars.len()))
            .filter_map(|mut end| {
                end += usize::from(matches!(text.at(end), Some('님' | '들')));
                let particle =
                    matches!(text.at(end), Some('이' | '가' | '은' | '는' | '도' | '께'));
                particle.then_some(end + 1)
            })
            .max()
    }
}
