//! Owns how English words are read: which feeling they carry and whose it is. Called by `compose`
//! through `read`. Invariant: a feeling that is denied, past or someone else's is never read as
//! the person's own present feeling.

use std::sync::LazyLock;

use super::phrase::Phrases;
use super::read::{FEELINGS, Found, Nouns, Reading, State, befalls, choose};
use super::text::{Compact, Cue, Cues, clauses};

pub(super) static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::parse(&[
        include_str!("data/en_care.txt"),
        include_str!("data/en_talk.txt"),
        include_str!("data/en_feelings.txt"),
        include_str!("data/en_common.txt"),
    ])
});
pub(super) static CUES: LazyLock<Cues> =
    LazyLock::new(|| Cues::parse(include_str!("data/en_cues.txt"), true));
static NOUNS: LazyLock<Nouns> = LazyLock::new(|| Nouns::parse(include_str!("data/en_nouns.txt")));

/// Reads what a person wrote, without regard to the conversation before it.
pub(super) fn read(words: &str) -> Reading {
    let all = Compact::new(words);
    let past = all.has(CUES.get("past_mark"));
    let mut found = Vec::new();
    for clause in clauses(words).flat_map(|part| part.split(" but ")) {
        hits(&Compact::new(clause), past, &mut found);
    }
    let (kind, whose) = choose(&found);
    let ends = |text: &Compact, end: usize| text.starts_word(end);
    let person = NOUNS.find(&all, "person", ends);
    let topic = NOUNS.find(&all, "topic", ends);
    Reading {
        kind,
        whose,
        person,
        topic,
        quote: quote(words),
        length: all.len(),
    }
}

fn hits(clause: &Compact, told_as_past: bool, found: &mut Vec<Found>) {
    let mut spans: Vec<(usize, usize, Found)> = Vec::new();
    for kind in FEELINGS {
        for cue in CUES.get(kind) {
            for at in clause.find(cue) {
                let state = match state(clause, at, told_as_past) {
                    State::Another if befalls(kind) || cue.of_object => State::Now,
                    state => state,
                };
                spans.push((at, at + cue.len(), Found { kind, state }));
            }
        }
    }
    spans.sort_by_key(|(at, end, _)| (usize::MAX - (end - at), *at));
    let mut kept: Vec<(usize, usize, Found)> = Vec::new();
    for span in spans {
        if kept
            .iter()
            .all(|(at, end, _)| span.1 <= *at || span.0 >= *end)
        {
            kept.push(span);
        }
    }
    kept.sort_by_key(|(at, _, _)| *at);
    found.extend(kept.into_iter().map(|(_, _, hit)| hit));
}

/// Walks back from a feeling over the small words before it, to what is said of whom.
fn state(clause: &Compact, at: usize, told_as_past: bool) -> State {
    let listed = |word: &str, name: &str| CUES.get(name).iter().any(|cue| cue.is(word));
    let (mut denied, mut past, mut another) = (false, told_as_past, false);
    for (back, word) in clause.words_before(at).into_iter().enumerate() {
        if listed(&word, "negators") && (!matches!(word.as_str(), "cant" | "cannot") || back > 0) {
            denied = true;
        } else if listed(&word, "pastwords") {
            past = true;
        } else if listed(&word, "self") {
            break;
        } else if listed(&word, "others") {
            another = true;
            break;
        } else if !listed(&word, "fillers") {
            break;
        }
    }
    match (another, denied, past) {
        (true, _, _) => State::Another,
        (_, true, _) => State::Denied,
        (_, _, true) => State::Past,
        _ => State::Now,
    }
}

/// Whether everything `cue` says in these words is said of someone else.
pub(super) fn said_of_another(words: &str, cue: &Cue) -> bool {
    let mut places = clauses(words).map(Compact::new).flat_map(|clause| {
        let at: Vec<usize> = clause.find(cue).collect();
        at.into_iter()
            .map(move |at| of_another(&clause, at))
            .collect::<Vec<_>>()
    });
    places
        .next()
        .is_some_and(|another| another && places.all(|another| another))
}

fn of_another(clause: &Compact, at: usize) -> bool {
    let listed = |word: &str, name: &str| CUES.get(name).iter().any(|cue| cue.is(word));
    let before = clause.words_before(at);
    let whole: String = clause.chars.iter().collect();
    if whole.contains("myself") || whole.contains("withoutme") || whole.contains("mylife") {
        return false;
    }
    let i_too = |word: &String| matches!(word.as_str(), "i" | "im" | "ive" | "id" | "me");
    !before.iter().any(i_too) && before.iter().take(7).any(|word| listed(word, "others"))
}

/// A short whole sentence that can be given back as it stands.
fn quote(words: &str) -> Option<String> {
    words
        .split(['.', '!', '\n', '…'])
        .map(|part| part.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .rfind(|part| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '\'' | '’' | ',');
            (8..=46).contains(&part.len())
                && part.split(' ').count() > 2
                && part.chars().all(plain)
                && {
                    let compact = Compact::new(part);
                    ![
                        "crisis",
                        "doubt",
                        "swear",
                        "insult",
                        "advice",
                        "fact",
                        "about_you",
                    ]
                    .iter()
                    .any(|name| compact.has(CUES.get(name)))
                }
        })
        .map(str::to_owned)
}
