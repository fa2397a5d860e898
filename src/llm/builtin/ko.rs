//! Owns how Korean words are read: which feeling they carry, whose it is, and what can be given
//! back. Called by `compose` through `read`. Invariant: a feeling that is denied, past or someone
//! else's is never read as the person's own present feeling.

use std::sync::LazyLock;

use super::phrase::Phrases;
use super::read::{FEELINGS, Found, Nouns, Reading, State, befalls, choose};
use super::text::{Compact, Cue, Cues, clauses, is_hangul};

pub(super) static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::parse(&[
        include_str!("data/ko_care.txt"),
        include_str!("data/ko_talk.txt"),
        include_str!("data/ko_feelings.txt"),
        include_str!("data/ko_common.txt"),
    ])
});
pub(super) static CUES: LazyLock<Cues> =
    LazyLock::new(|| Cues::parse(include_str!("data/ko_cues.txt"), false));
static NOUNS: LazyLock<Nouns> = LazyLock::new(|| Nouns::parse(include_str!("data/ko_nouns.txt")));

/// Reads what a person wrote, without regard to the conversation before it.
pub(super) fn read(words: &str) -> Reading {
    let all = Compact::new(words);
    let mut found = Vec::new();
    for clause in clauses(words) {
        let clause = Compact::new(clause);
        hits(&clause, all.has(CUES.get("past_mark")), &mut found);
    }
    let (kind, whose) = choose(&found);
    let person = NOUNS.find(&all, "person", noun_ends);
    let topic = NOUNS.find(&all, "topic", noun_ends);
    Reading {
        kind,
        whose,
        person,
        topic,
        quote: quote(words),
        length: all.len(),
    }
}

/// The feelings of one clause, longest cue first where cues overlap.
fn hits(clause: &Compact, told_as_past: bool, found: &mut Vec<Found>) {
    let mut spans: Vec<(usize, usize, Found)> = Vec::new();
    for kind in FEELINGS {
        for cue in CUES.get(kind) {
            for at in clause.find(cue) {
                let end = at + cue.chars.len();
                let state = if denied(clause, at, end, kind) {
                    State::Denied
                } else if !cue.of_object && !befalls(kind) && of_another(clause, at, end) {
                    State::Another
                } else if !cue.lasting && (told_as_past || is_past(clause, at, end)) {
                    State::Past
                } else {
                    State::Now
                };
                spans.push((at, end, Found { kind, state }));
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

/// `안 슬퍼`, `슬프지 않아`, `우울한 건 아니야`, `걱정 없어`.
fn denied(clause: &Compact, at: usize, end: usize, kind: &str) -> bool {
    if at > 0 && matches!(clause.at(at - 1), Some('안' | '못')) && clause.starts_word(at - 1) {
        return true;
    }
    let rest = clause.after(end, 9);
    if rest.contains("않은척") || rest.contains("아닌척") || rest.contains("않을수") {
        return false;
    }
    let near = Compact::new(&rest);
    // `전화 한 통이 없네`: there it is the absence that is lonely.
    near.has(CUES.get("negated"))
        || kind != "lonely"
            && ["없", "이없", "은없", "도없", "하나없", "하나도없"]
                .iter()
                .any(|n| rest.starts_with(n))
}

/// `우울했어`, `슬펐어`: the stem's own past, not a past further on in the sentence.
fn is_past(clause: &Compact, at: usize, end: usize) -> bool {
    let past = |c: char| {
        let code = u32::from(c);
        (0xac00..=0xd7a3).contains(&code) && (code - 0xac00) % 28 == 20 && c != '있' && c != '겠'
    };
    (at..end).filter_map(|i| clause.at(i)).any(past)
        || clause.at(end).is_some_and(past)
        || (matches!(
            clause.at(end),
            Some('하' | '스' | '러' | '들' | '드' | '로' | '거')
        ) && clause.at(end + 1).is_some_and(past))
        || (clause.after(end, 2) == "스러" && clause.at(end + 2).is_some_and(past))
}

/// `친구가 우울해해요`, `엄마가 힘들대`, `동생이 울었어`.
fn of_another(clause: &Compact, at: usize, end: usize) -> bool {
    let before = Compact::new(&spaced(clause, 0, at));
    if before.has(CUES.get("no_self")) {
        return false;
    }
    let tail = Compact::new(&clause.after(end.saturating_sub(1), 5));
    let rest = Compact::new(&clause.after(end, 12));
    if tail.has(CUES.get("show_third")) || rest.has(CUES.get("reported")) {
        return NOUNS.find(clause, "person", noun_ends).is_some()
            || tail.has(CUES.get("show_third"));
    }
    NOUNS.last_subject(&before).is_some_and(|after| {
        let between = Compact::new(&before.after(after, usize::MAX));
        !between.has(CUES.get("link")) && between.len() <= 8
    })
}

/// Whether a cue about dying is certainly said of someone else wherever it stands. In doubt it is
/// the person's own: to miss that would be the worse mistake.
pub(super) fn said_of_another(words: &str, cue: &Cue) -> bool {
    let mut places = clauses(words).map(Compact::new).flat_map(|clause| {
        let at: Vec<usize> = clause.find(cue).collect();
        at.into_iter()
            .map(move |at| surely_of_another(&clause, cue, at))
            .collect::<Vec<_>>()
    });
    places
        .next()
        .is_some_and(|another| another && places.all(|another| another))
}

fn surely_of_another(clause: &Compact, cue: &Cue, at: usize) -> bool {
    let before = Compact::new(&spaced(clause, 0, at));
    if clause.has(CUES.get("no_self")) || before.has(CUES.get("link")) {
        return false;
    }
    let Some(after) = NOUNS.last_subject(&before) else {
        return false;
    };
    if cue.chars.contains(&'싶') {
        return Compact::new(&clause.after(at, 12)).has(CUES.get("wants_third"));
    }
    before.len() - after <= 3
}

/// The compact text with its word edges back.
fn spaced(clause: &Compact, from: usize, to: usize) -> String {
    let mut out = String::new();
    for i in from..to {
        if clause.starts_word(i) {
            out.push(' ');
        }
        out.extend(clause.at(i));
    }
    out
}

/// A noun must end there: at a word edge or before a particle.
fn noun_ends(text: &Compact, end: usize) -> bool {
    text.starts_word(end)
        || text.at(end).is_none_or(|c| {
            matches!(
                c,
                '이' | '가'
                    | '은'
                    | '는'
                    | '을'
                    | '를'
                    | '도'
                    | '만'
                    | '의'
                    | '에'
                    | '한'
                    | '하'
                    | '과'
                    | '와'
                    | '랑'
                    | '께'
                    | '들'
                    | '님'
                    | '때'
                    | '보'
                    | '로'
                    | '으'
                    | '라'
                    | '야'
                    | '네'
                    | '까'
                    | '부'
                    | '였'
            )
        })
}

/// A short whole sentence that can be given back as it stands.
fn quote(words: &str) -> Option<String> {
    words
        .split(['.', '!', '\n', '…', '~', '。'])
        .map(|part| part.trim_matches(|c: char| !is_hangul(c) && !c.is_ascii_alphanumeric()))
        .map(|part| part.trim_end_matches(['ㅠ', 'ㅜ', 'ㅋ', 'ㅎ', ' ']))
        .rfind(|part| {
            let count = part.chars().count();
            (8..=22).contains(&count)
                && part.contains(' ')
                && part
                    .chars()
                    .all(|c| c == ' ' || c.is_ascii_alphanumeric() || ('가'..='힣').contains(&c))
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
