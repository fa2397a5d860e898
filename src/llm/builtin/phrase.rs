//! Owns the sentences: the pools read from the data files, Korean particles, filling a slot, and
//! telling which sentences a session has already heard. Called by `compose`. Invariant: a sentence
//! with a slot is offered only when the slot can be filled grammatically.
//!
//! A data file holds pools: `[kind.say]` reflects, `[kind.reach]` points to a person who can help
//! and always follows, `[kind.ask]` asks, and never asks if its only line is `-`. Slots are `{}`,
//! `{이}` and its kin for a noun, and `{q}` for the person's own words. No sentence may stand in
//! two lines.

use std::collections::BTreeMap;

use super::text;

/// Named pools of sentences of one language.
#[derive(Debug)]
pub(super) struct Phrases(BTreeMap<&'static str, Vec<&'static str>>);

impl Phrases {
    pub(super) fn parse(files: &[&'static str]) -> Self {
        let mut map: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
        for (name, line) in files.iter().flat_map(|file| text::sections(file)) {
            map.entry(name).or_default().push(line);
        }
        Self(map)
    }

    /// The lines of a pool; empty if there is none of that name.
    pub(super) fn get(&self, name: &str) -> &[&'static str] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0
            .iter()
            .flat_map(|(name, lines)| lines.iter().map(move |line| (*name, *line)))
    }
}

/// What slots may be filled with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots<'a> {
    /// A noun: `{}` bare, `{이}` and its kin with the right Korean particle.
    pub(super) noun: Option<&'a str>,
    /// The person's own words: `{q}`.
    pub(super) quote: Option<&'a str>,
}

/// A noun with its particle (`이`, `은`, `을`, `과`, `으로`, `이라`, `에게`), or `None` where the last
/// sound is not certain: anything that does not end in a Hangul syllable.
pub(super) fn with_particle(noun: &str, particle: &str) -> Option<String> {
    let last = u32::from(noun.chars().last()?);
    if !(0xac00..=0xd7a3).contains(&last) {
        return None;
    }
    let coda = (last - 0xac00) % 28;
    let closed = coda != 0;
    let tail = match (particle, closed) {
        ("이", false) => "가",
        ("은", false) => "는",
        ("을", false) => "를",
        ("과", false) => "와",
        ("이라", false) => "라",
        ("으로", _) if !closed || coda == 8 => "로",
        ("이" | "은" | "을" | "과" | "이라" | "으로" | "에게", _) => particle,
        _ => return None,
    };
    Some(format!("{noun}{tail}"))
}

/// Fills the slots of a line; `None` when one cannot be filled.
pub(super) fn fill(line: &str, slots: Slots<'_>) -> Option<String> {
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line;
    while let Some((before, tail)) = rest.split_once('{') {
        let (slot, after) = tail.split_once('}')?;
        out.push_str(before);
        match slot {
            "" => out.push_str(slots.noun?),
            "q" => out.push_str(slots.quote?),
            particle => out.push_str(&with_particle(slots.noun?, particle)?),
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Whether `answer` contains `line`, whatever its slots were filled with.
pub(super) fn heard(line: &str, answer: &str) -> bool {
    let (mut rest, mut tail) = (answer, line);
    while let Some((literal, more)) = tail.split_once('{') {
        let Some((_, found)) = rest.split_once(literal) else {
            return false;
        };
        rest = found;
        tail = more.split_once('}').map_or("", |(_, after)| after);
    }
    rest.contains(tail)
}

/// The lines of `pools` that can be said now: never heard before the oldest heard, earlier pools
/// before later ones, turned by `seed` so that different words meet different sentences.
pub(super) fn ranked(
    phrases: &Phrases,
    pools: &[&str],
    slots: Slots<'_>,
    answers: &[&str],
    seed: usize,
) -> Vec<String> {
    let (mut fresh, mut worn) = (Vec::new(), Vec::new());
    for pool in pools {
        let lines = phrases.get(pool);
        for i in 0..lines.len() {
            let line = lines[(seed + i) % lines.len()];
            let Some(text) = fill(line, slots) else {
                continue;
            };
            match answers.iter().rposition(|answer| heard(line, answer)) {
                None => fresh.push(text),
                Some(when) => worn.push((when, text)),
            }
        }
    }
    worn.sort_by_key(|(when, _)| *when);
    fresh.extend(worn.into_iter().map(|(_, text)| text));
    fresh
}
