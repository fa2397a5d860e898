//! Owns what is noticed in a message: danger first, then the talk about the talk, then feelings,
//! then small things. Called by `compose`. Invariant: danger outranks everything, and its care is
//! kept for the turns that follow it.

use super::compose::tone;
use super::phrase::{Phrases, heard};
use super::read::{Reading, State};
use super::text::{Compact, Cue, Cues, gist};

/// One language the listener speaks.
pub(super) struct Tongue {
    pub(super) phrases: &'static Phrases,
    pub(super) cues: &'static Cues,
    pub(super) read: fn(&str) -> Reading,
    /// Whether what stands at a place in a clause is said of someone else.
    pub(super) another: fn(&str, &Cue) -> bool,
}

/// What an answer is built from.
pub(super) struct Plan {
    pub(super) kind: &'static str,
    pub(super) quiet: bool,
    /// A dangerous moment lies only a few turns back.
    pub(super) watchful: bool,
    /// What the messages just before were coloured by.
    pub(super) colour: Option<&'static str>,
    pub(super) reading: Reading,
    /// A very long message.
    pub(super) long: bool,
}

/// The session so far, as the listener sees it.
pub(super) struct Session<'a> {
    pub(super) answers: Vec<&'a str>,
    pub(super) words: Vec<&'a str>,
}

/// Kinds that are spoken of gravely.
pub(super) const DANGER: [&str; 9] = [
    "crisis_hurt",
    "crisis",
    "doubt",
    "crisis_denied",
    "crisis_past",
    "crisis_other",
    "crisis_loss",
    "safe_no",
    "safe_yes",
];
/// Pools whose sentences show that a dangerous moment is near.
const WATCHED: [&str; 6] = [
    "crisis.say",
    "crisis.reach",
    "safe_no.say",
    "safe_yes.say",
    "crisis_denied.say",
    "crisis_hurt.say",
];
impl Session<'_> {
    /// Whether one of the last `n` answers holds a line of one of the pools.
    pub(super) fn said(&self, phrases: &Phrases, n: usize, pools: &[&str]) -> bool {
        self.answers.iter().rev().take(n).any(|answer| {
            pools.iter().any(|pool| {
                phrases
                    .get(pool)
                    .iter()
                    .any(|line| *line != "-" && heard(line, answer))
            })
        })
    }

    /// Whether the person has asked for silence and has not lifted it.
    fn is_quiet(&self, cues: &Cues, now: &Compact) -> bool {
        let mut texts = vec![None];
        texts.extend(
            self.words
                .iter()
                .rev()
                .map(|words| Some(Compact::new(&gist(words)))),
        );
        for text in texts {
            let text = text.as_ref().unwrap_or(now);
            if text.has(cues.get("quiet")) {
                return true;
            }
            if text.has(cues.get("speak")) {
                return false;
            }
        }
        false
    }
}

/// Whether a cue of `name` stands outside every manner of speaking.
fn in_earnest(cues: &Cues, text: &Compact, name: &str) -> bool {
    let spans = |name: &str| -> Vec<(usize, usize)> {
        let of = |cue| {
            text.find(cue)
                .map(|at| (at, at + Cue::len(cue)))
                .collect::<Vec<_>>()
        };
        cues.get(name).iter().flat_map(of).collect()
    };
    let (hits, idioms) = (spans(name), spans("idiom"));
    hits.iter()
        .any(|(at, end)| idioms.iter().all(|(from, to)| end <= from || at >= to))
}

/// Words about dying or self-harm, and what kind of words they are.
fn danger(
    tongue: &Tongue,
    words: &str,
    text: &Compact,
    reading: &Reading,
    of_someone: bool,
) -> Option<&'static str> {
    let cues = tongue.cues;
    let has = |name| text.has(cues.get(name));
    if in_earnest(cues, text, "crisis") {
        let someone_else = cues
            .get("crisis")
            .iter()
            .filter(|cue| text.find(cue).next().is_some())
            .all(|cue| (tongue.another)(words, cue))
            || (of_someone && has("told_dying") && !has("no_self"));
        if someone_else && has("death_wished") {
            // Anger at someone, not a wish to die.
            return None;
        }
        return Some(if reading.person.is_some() && has("grief_by") {
            "crisis_loss"
        } else if someone_else {
            "crisis_other"
        } else if has("not_dying") {
            "crisis_denied"
        } else if has("past_mark") && has("dying_past") && !has("still") {
            "crisis_past"
        } else if has("injured") && !has("past_mark") {
            "crisis_hurt"
        } else {
            "crisis"
        });
    }
    in_earnest(cues, text, "doubt").then_some("doubt")
}

/// What a message without any letter is.
fn wordless(words: &str) -> &'static str {
    let any = |set: &str| words.chars().any(|c| set.contains(c));
    if any("ㅠㅜ😭😢🥲😿😥😪💔😔😞☹🙁") {
        "cry"
    } else if any("ㅋㅎ😂🤣😀😃😄😁😊🙂😆😅😹") {
        "laugh"
    } else if any("❤♥💕💖💗💙💚💛💜🧡🖤😍🥰😘🤗♡") {
        "heart"
    } else if words
        .chars()
        .all(|c| c.is_ascii() || c.is_whitespace() || "…。、！？·".contains(c))
    {
        "dots"
    } else {
        "emoji"
    }
}

/// Notices what a message is about, given the session before it.
pub(super) fn plan(tongue: &Tongue, session: &Session<'_>, words: &str) -> Plan {
    let cues = tongue.cues;
    let whole = Compact::new(words);
    let words = &*gist(words);
    let text = Compact::new(words);
    let mut reading = (tongue.read)(words);
    reading.length = whole.len();
    let quiet = session.is_quiet(cues, &text);
    let before = session
        .words
        .last()
        .map(|words| (tongue.read)(&gist(words)));
    let felt = before
        .as_ref()
        .filter(|r| r.whose == State::Now)
        .and_then(|r| r.kind);
    let colour = felt.and_then(tone);
    let of_someone = before.as_ref().is_some_and(|r| r.person.is_some());
    let first = danger(tongue, words, &whole, &reading, of_someone);
    let watchful = session.said(tongue.phrases, 6, &WATCHED);
    let mut kind = first.unwrap_or_else(|| {
        let kind = plain_kind(cues, words, &text, &reading);
        after_danger(tongue, session, &text, kind, watchful)
    });
    if kind == "sad" && colour == Some("good") && text.has(cues.get("tears")) {
        kind = "moved";
    }
    if kind == "other_bad" && colour == Some("good") {
        kind = "person";
    }
    let long = whole.len() > 6 * cap(cues);
    Plan {
        kind,
        quiet,
        watchful,
        colour,
        reading,
        long,
    }
}

/// Keeps the care of a dangerous moment in the turns that follow it.
fn after_danger(
    tongue: &Tongue,
    session: &Session<'_>,
    text: &Compact,
    kind: &'static str,
    watchful: bool,
) -> &'static str {
    let (cues, phrases) = (tongue.cues, tongue.phrases);
    let yes = kind == "yes" || (text.len() <= 12 && text.has(cues.get("yes_start")));
    let no = kind == "no" || (text.len() <= 12 && text.has(cues.get("no_start")));
    if session.said(phrases, 1, &["doubt.ask", "crisis_past.ask"]) {
        if no || text.has(cues.get("joke")) {
            return "doubt_no";
        }
        if yes || kind == "dunno" || text.has(cues.get("partly")) {
            return "crisis";
        }
    }
    if session.said(
        phrases,
        1,
        &["crisis.ask", "crisis_hurt.ask", "after_light.ask"],
    ) {
        let safe = text.has(cues.get("safe")) && !text.has(cues.get("unsafe"));
        if text.has(cues.get("reach_out")) {
            return "after_reach";
        }
        if no && !safe {
            return "safe_no";
        }
        if yes || safe || kind == "calm" {
            return "safe_yes";
        }
    }
    if (yes || no) && session.said(phrases, 1, &["crisis_other.ask"]) {
        return "crisis_other";
    }
    if session.said(phrases, 1, &["panic.say"]) && matches!(kind, "advice" | "plain") {
        return "panic";
    }
    if !watchful {
        return kind;
    }
    if text.has(cues.get("no_call")) {
        return "after_call";
    }
    if text.has(cues.get("reach_out")) {
        return "after_reach";
    }
    match kind {
        "laugh" => "after_light",
        "bye" | "night" | "thanks" => "after_bye",
        _ if text.has(cues.get("joke")) => "after_light",
        "joy" | "eager" | "confident" | "calm" | "greet" | "plain" | "any" | "even"
        | "past_good" | "wonder" | "wish" | "bored" | "idle" | "emoji" | "odd" | "yes" | "no"
        | "dunno" | "dots" | "sigh" | "heart" | "love" | "not_bad" => "after",
        kind => kind,
    }
}

/// What a message is about when it is not about dying.
fn plain_kind(cues: &Cues, words: &str, text: &Compact, reading: &Reading) -> &'static str {
    let has = |name| text.has(cues.get(name));
    let len = text.len();
    if len == 0 {
        return wordless(words);
    }
    let bare = ["yes", "no", "dunno", "sigh", "laugh", "more"];
    if let Some(kind) = bare.into_iter().find(|name| has(name)) {
        return if kind == "more" { "any" } else { kind };
    }
    if text
        .chars
        .iter()
        .all(|c| c.is_numeric() || ('ㄱ'..='ㆎ').contains(c))
        && !["swear", "thanks", "bye", "greet"].into_iter().any(has)
    {
        return "odd";
    }
    let feeling = reading.kind;
    let meta = ["speak", "quiet", "repeat", "bot", "who", "misread"];
    if let Some(kind) = meta
        .into_iter()
        .find(|name| has(name))
        .filter(|_| len <= cap(cues))
    {
        return if kind == "quiet" {
            feeling.unwrap_or(kind)
        } else {
            kind
        };
    }
    if len <= cap(cues) {
        if has("memory") && !has("memory_not") {
            return "memory";
        }
        if has("privacy") {
            return "privacy";
        }
    }
    if len <= cap(cues) * 4 / 5 {
        let soft = matches!(
            feeling,
            None | Some("joy" | "moved" | "calm" | "even" | "tired")
        );
        if let Some(kind) = ["sorry", "insult", "night", "bye", "thanks", "about_you"]
            .into_iter()
            .find(|name| has(name))
            .filter(|kind| {
                matches!(*kind, "insult" | "sorry") || (soft && reading.person.is_none())
            })
        {
            return kind;
        }
    }
    if let Some(kind) = feeling {
        let mild = matches!(
            kind,
            "love" | "confused" | "eager" | "even" | "joy" | "breakup"
        );
        let giggles = words.contains("ㅎㅎ") || words.contains("ㅋㅋ");
        if mild && !giggles && has("advice") && reading.whose == State::Now {
            return "advice";
        }
        return kind;
    }
    let asks = words.trim_end().ends_with(['?', '？']);
    if has("swear") {
        "swear"
    } else if has("greet") && len <= 20 {
        "greet"
    } else if has("about_you") && len <= cap(cues) {
        "about_you"
    } else if has("fact") && (asks || has("fact_sure")) {
        "fact"
    } else if has("advice") {
        "advice"
    } else if asks || has("wondering") {
        "wonder"
    } else if words.contains(['ㅠ', 'ㅜ', '😭', '😢']) {
        "cry"
    } else if has("wish") {
        "wish"
    } else if reading.person.is_some() {
        "person"
    } else if reading.topic.is_some() {
        "topic"
    } else {
        "plain"
    }
}

/// How long a message about the talk itself may be: Korean says more in fewer letters.
fn cap(cues: &Cues) -> usize {
    if cues.get("korean").is_empty() {
        44
    } else {
        22
    }
}
