//! The matching engine: words of the pack, in order and near each other, make a finding.
//!
//! The lexicon finds the words, one pass over them fills the sequences; the time grows with the
//! length of the text and no faster. Nothing here knows a language: that is all in the pack.

use super::lexicon::Hit;
use super::normalise::{Stream, Symbol};
use super::pack::{Pack, Rule, Use};
use super::whose::Whose;
use crate::domain::safety::{Category, Tier};

/// How far around a finding `unless` and `needs` look.
const NEAR: u32 = 24;
/// How far before and after a finding a negation still belongs to it.
const NOT_BEFORE: u32 = 2;
const NOT_AFTER: u32 = 3;
/// How many ends of a step are kept; older ones are out of reach in any ordinary text.
const KEPT: usize = 6;

/// A rule that fired.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    pub(super) rule: usize,
    pub(super) tier: Tier,
    /// The tier if dying is spoken of elsewhere; the same as `tier` for most.
    pub(super) lifted: Tier,
    pub(super) category: Category,
    /// Whose life it is about.
    pub(super) whose: Whose,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Where the words of each class stand, in order.
pub(super) struct Places {
    by_class: Vec<Vec<(u32, u32)>>,
}

impl Places {
    /// Whether one of these words touches what goes from here to there.
    pub(super) fn any(&self, classes: &[u16], from: u32, to: u32) -> bool {
        classes.iter().any(|&class| {
            let places = &self.by_class[usize::from(class)];
            // Ends are in order, so the first that ends after `from` decides with its neighbours.
            let first = places.partition_point(|place| place.1 < from);
            places[first..].iter().take(8).any(|place| place.0 <= to)
        })
    }

    /// Where the last of these words ends that touches what goes from here to there.
    pub(super) fn last_end(&self, class: u16, from: u32, to: u32) -> Option<u32> {
        let places = &self.by_class[usize::from(class)];
        let after = places.partition_point(|place| place.1 <= to);
        let last = places[..after]
            .last()
            .or_else(|| places.get(after).filter(|place| place.0 <= to))?;
        (last.1 >= from).then_some(last.1)
    }
}

fn from_at(symbols: &[Symbol], start: usize) -> u32 {
    symbols.get(start).map_or(0, |symbol| symbol.at)
}

fn to_at(symbols: &[Symbol], end: usize) -> u32 {
    end.checked_sub(1)
        .and_then(|i| symbols.get(i))
        .map_or(0, |symbol| symbol.at + 1)
}

/// Every rule that fires, with what stands around it taken into account.
pub(super) fn findings(pack: &Pack, stream: &Stream, turns: &[usize]) -> Vec<Finding> {
    let symbols = &stream.symbols;
    let mut hits = pack.lexicon.find(stream);
    if hits.is_empty() {
        return Vec::new();
    }
    silence(pack.known.quiet, &mut hits);
    let matches = matches(pack, symbols, &hits);
    if matches.is_empty() {
        return Vec::new();
    }
    let mut places = Places {
        by_class: vec![Vec::new(); pack.classes],
    };
    for hit in &hits {
        places.by_class[usize::from(hit.class)]
            .push((from_at(symbols, hit.start), to_at(symbols, hit.end)));
    }
    matches
        .into_iter()
        .filter_map(|(rule, start, end)| {
            let span = Span {
                from: from_at(symbols, start),
                to: to_at(symbols, end),
                turn: turn_of(symbols, turns, end),
            };
            // A sequence is one thing said: two greetings in two turns are no farewell. What is
            // split over turns on purpose is found by what a turn lifts in its neighbours.
            if span.from < span.turn.0 {
                return None;
            }
            let weight = weigh(pack, &pack.rules[rule], &places, &span);
            let category = pack.rules[rule].category;
            let Weight {
                tier,
                lifted,
                whose,
            } = weight;
            Some(Finding {
                rule,
                tier,
                lifted,
                category,
                whose,
                start,
                end,
            })
        })
        .collect()
}

/// Words that touch an idiom ("배고파 죽겠") are not said in earnest.
fn silence(quiet: u16, hits: &mut Vec<Hit>) {
    let idioms: Vec<(usize, usize)> = hits
        .iter()
        .filter(|hit| hit.class == quiet)
        .map(|hit| (hit.start, hit.end))
        .collect();
    if idioms.is_empty() {
        return;
    }
    hits.retain(|hit| {
        let first = idioms.partition_point(|idiom| idiom.1 <= hit.start);
        hit.class == quiet
            || !idioms[first..]
                .iter()
                .take(8)
                .any(|&(start, end)| start < hit.end && end > hit.start && end + 1 >= hit.end)
    });
}

/// The place of a row that is counted from 1 on.
fn reached_at(row: u32) -> Option<usize> {
    usize::try_from(row.checked_sub(1)?).ok()
}

/// The sequences that are complete: (rule, first symbol, end).
fn matches(pack: &Pack, symbols: &[Symbol], hits: &[Hit]) -> Vec<(usize, usize, usize)> {
    // The latest (start of the whole, end) of each step that was reached, and which of these rows a step has, from 1 on:
    // few have one, and to clear one for each would take longer than all the rest.
    let mut reached: Vec<[Option<(usize, usize)>; KEPT]> = Vec::new();
    let mut rows = vec![0_u32; pack.slots];
    let mut out: Vec<(usize, usize, usize)> = Vec::new();
    for hit in hits {
        for &Use {
            rule,
            reach,
            last,
            slot,
        } in &pack.used[usize::from(hit.class)]
        {
            let from = if let Some(reach) = reach {
                let row = reached_at(rows[slot - 1]).map(|row| &reached[row]);
                row.into_iter()
                    .flatten()
                    .flatten()
                    .find(|&&(_, end)| {
                        end <= hit.start
                            && from_at(symbols, hit.start).saturating_sub(to_at(symbols, end))
                                <= reach
                    })
                    .map(|&(start, _)| start)
            } else {
                Some(hit.start)
            };
            let Some(from) = from else { continue };
            if last {
                out.push((rule, from, hit.end));
                continue;
            }
            let row = reached_at(rows[slot]).unwrap_or_else(|| {
                reached.push([None; KEPT]);
                rows[slot] = u32::try_from(reached.len()).unwrap_or(u32::MAX);
                reached.len() - 1
            });
            let row = &mut reached[row];
            row.rotate_right(1);
            row[0] = Some((from, hit.end));
        }
    }
    out
}

/// Where a finding stands, and its turn.
struct Span {
    from: u32,
    to: u32,
    turn: (u32, u32),
}

/// From where to where the turn goes in which a finding ends.
fn turn_of(symbols: &[Symbol], turns: &[usize], end: usize) -> (u32, u32) {
    let after = turns.partition_point(|&start| start < end);
    let first = after
        .checked_sub(1)
        .and_then(|i| turns.get(i))
        .map_or(0, |&i| from_at(symbols, i));
    let last = turns
        .get(after)
        .map_or(u32::MAX, |&i| from_at(symbols, i).saturating_sub(1));
    (first, last)
}

/// What a finding is worth in its place.
struct Weight {
    tier: Tier,
    lifted: Tier,
    whose: Whose,
}

fn weigh(pack: &Pack, rule: &Rule, places: &Places, span: &Span) -> Weight {
    let &Span { from, to, turn } = span;
    let (left, right) = (from.saturating_sub(NEAR), to.saturating_add(NEAR));
    // What speaks against a finding counts only in its own turn: more turns never lower a tier.
    let own = |classes: &[u16]| places.any(classes, left.max(turn.0), right.min(turn.1));
    let whose = if rule.category == Category::ConcernForOther {
        Whose::of_named(&pack.known, places, from, to)
    } else {
        Whose::of(&pack.known, places, from, to)
    };
    if !rule.needs.is_empty() && !places.any(&rule.needs, left, right) {
        return Weight {
            tier: Tier::None,
            lifted: Tier::None,
            whose,
        };
    }
    let mut tier = rule.tier;
    let hushed = own(&rule.unless);
    if hushed {
        tier = tier.min(rule.unless_tier);
    }
    let before = places.any(
        &rule.not_before,
        from.saturating_sub(NOT_BEFORE).max(turn.0),
        from.saturating_sub(1),
    );
    let after = places.any(
        &rule.not,
        to.saturating_sub(1),
        to.saturating_add(NOT_AFTER).min(turn.1),
    );
    let over = rule.past && own(&[pack.known.past]) && own(&[pack.known.resolved]);
    let denied = before || after || over;
    if denied {
        tier = tier.min(Tier::Low);
    }
    let lifted = match rule.lift {
        Some(higher) if !hushed && !denied => tier.max(higher),
        _ => tier,
    };
    Weight {
        tier,
        lifted,
        whose,
    }
}
