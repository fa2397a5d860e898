//! Owns the choice of what to say: the order in which things are noticed (danger first), what the
//! session has already heard, and how an answer is put together. Called by `super::reply`.
//! Invariants: at most one question in an answer; danger outranks everything; an answer that the
//! session has heard is not given again while there is another.

use super::phrase::{Phrases, Slots, heard, ranked};
use super::read::{FEELINGS, Reading, State, is_good};
use super::text::{Compact, Cue, Cues, hash};

/// One language the listener speaks.
pub(super) struct Tongue {
    pub(super) phrases: &'static Phrases,
    pub(super) cues: &'static Cues,
    pub(super) read: fn(&str) -> Reading,
    /// Whether what stands at a place in a clause is said of someone else.
    pub(super) another: fn(&str, &Cue) -> bool,
}

/// What an answer is built from.
struct Plan {
    kind: &'static str,
    quiet: bool,
    reading: Reading,
}

/// The session so far, as the listener sees it.
struct Session<'a> {
    answers: Vec<&'a str>,
    words: Vec<&'a str>,
}

const DANGER: [&str; 8] = [
    "crisis", "doubt", "crisis_denied", "crisis_past", "crisis_other", "crisis_loss", "safe_no",
    "safe_yes",
];
/// Kinds answered with few words, and with a question only after an answer without one.
const SMALL: [&str; 10] =
    ["yes", "no", "dunno", "laugh", "cry", "dots", "sigh", "emoji", "heart", "odd"];

/// The answer of the listener.
pub(super) fn answer(
    tongue: &Tongue,
    earlier: &[(&str, &str)],
    words: &str,
    foreign: bool,
) -> String {
    let session = Session {
        answers: earlier.iter().map(|(_, answer)| *answer).collect(),
        words: earlier.iter().map(|(words, _)| *words).collect(),
    };
    let mut plan = plan(tongue, &session, words);
    if foreign && !DANGER.contains(&plan.kind) {
        plan.kind = "foreign";
    }
    put_together(tongue, &session, &plan, hash(words, earlier.len()))
}

impl Session<'_> {
    /// Whether one of the last `n` answers holds a line of one of the pools.
    fn said(&self, phrases: &Phrases, n: usize, pools: &[&str]) -> bool {
        self.answers.iter().rev().take(n).any(|answer| {
            pools.iter().any(|pool| {
                phrases.get(pool).iter().any(|line| *line != "-" && heard(line, answer))
            })
        })
    }

    /// Whether the person has asked for silence and has not lifted it.
    fn is_quiet(&self, cues: &Cues, now: &Compact) -> bool {
        let mut texts = vec![None];
        texts.extend(self.words.iter().rev().map(|words| Some(Compact::new(words))));
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
        let of = |cue| text.find(cue).map(|at| (at, at + Cue::len(cue))).collect::<Vec<_>>();
        cues.get(name).iter().flat_map(of).collect()
    };
    let (hits, idioms) = (spans(name), spans("idiom"));
    hits.iter().any(|(at, end)| idioms.iter().all(|(from, to)| end <= from || at >= to))
}

/// Words about dying or self-harm, and what kind of words they are.
fn danger(tongue: &Tongue, words: &str, text: &Compact, reading: &Reading) -> Option<&'static str> {
    let cues = tongue.cues;
    let has = |name| text.has(cues.get(name));
    if in_earnest(cues, text, "crisis") {
        let someone_else = cues
            .get("crisis")
            .iter()
            .filter(|cue| text.find(cue).next().is_some())
            .all(|cue| (tongue.another)(words, cue));
        return Some(if reading.person.is_some() && has("grief_by") {
            "crisis_loss"
        } else if someone_else {
            "crisis_other"
        } else if has("not_dying") {
            "crisis_denied"
        } else if has("past_mark") && has("dying_past") && !has("still") {
            "crisis_past"
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
    } else if words.chars().all(|c| c.is_ascii() || c.is_whitespace() || "…。、！？·".contains(c)) {
        "dots"
    } else {
        "emoji"
    }
}

fn plan(tongue: &Tongue, session: &Session<'_>, words: &str) -> Plan {
    let cues = tongue.cues;
    let text = Compact::new(words);
    let reading = (tongue.read)(words);
    let quiet = session.is_quiet(cues, &text);
    let first = danger(tongue, words, &text, &reading);
    let kind = first.unwrap_or_else(|| {
        let kind = plain_kind(cues, words, &text, &reading);
        after_danger(tongue, session, &text, kind)
    });
    Plan { kind, quiet, reading }
}

/// Keeps the care of a dangerous moment in the turns that follow it.
fn after_danger(
    tongue: &Tongue,
    session: &Session<'_>,
    text: &Compact,
    kind: &'static str,
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
    if session.said(phrases, 1, &["crisis.ask", "after_light.ask"]) {
        if no {
            return "safe_no";
        }
        if yes || kind == "calm" {
            return "safe_yes";
        }
    }
    if (yes || no) && session.said(phrases, 1, &["crisis_other.ask"]) {
        return "crisis_other";
    }
    let recent = ["crisis.say", "crisis.reach", "safe_no.say", "safe_yes.say", "crisis_denied.say"];
    if !session.said(phrases, 6, &recent) {
        return kind;
    }
    match kind {
        "laugh" => "after_light",
        "bye" | "night" | "thanks" => "after_bye",
        _ if text.has(cues.get("joke")) => "after_light",
        "joy" | "eager" | "confident" | "calm" | "greet" | "plain" | "any" | "even" | "fact"
        | "about_you" | "past_good" | "wonder" | "topic" | "bored" | "idle" | "emoji" | "odd"
        | "yes" | "no" | "dunno" | "dots" | "sigh" | "heart" | "love" | "not_bad" => "after",
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
    if text.chars.iter().all(|c| c.is_numeric() || ('ㄱ'..='ㆎ').contains(c))
        && !["swear", "thanks", "bye", "greet"].into_iter().any(has)
    {
        return "odd";
    }
    let feeling = reading.kind;
    let meta = ["speak", "quiet", "repeat", "bot", "who", "misread"];
    if let Some(kind) = meta.into_iter().find(|name| has(name)).filter(|_| len <= cap(cues)) {
        return if kind == "quiet" { feeling.unwrap_or(kind) } else { kind };
    }
    if len <= cap(cues) {
        if has("memory") && !has("memory_not") {
            return "memory";
        }
        if has("privacy") {
            return "privacy";
        }
    }
    let short = cap(cues) * 2 / 3;
    if len <= short {
        let soft = matches!(feeling, None | Some("joy" | "moved" | "calm" | "even" | "tired"));
        if let Some(kind) = ["insult", "thanks", "night", "bye", "about_you"]
            .into_iter()
            .find(|name| has(name))
            .filter(|kind| *kind == "insult" || (soft && reading.person.is_none()))
        {
            return kind;
        }
    }
    if let Some(kind) = feeling {
        let mild = matches!(kind, "love" | "confused" | "eager" | "even" | "joy" | "breakup");
        if mild && has("advice") && reading.whose == State::Now {
            return "advice";
        }
        return kind;
    }
    let asks = words.contains(['?', '？']);
    if has("swear") {
        "swear"
    } else if has("greet") && len <= cap(cues) {
        "greet"
    } else if has("about_you") && len <= cap(cues) {
        "about_you"
    } else if has("fact") && (asks || has("fact_sure")) {
        "fact"
    } else if has("advice") {
        "advice"
    } else if asks {
        "wonder"
    } else if words.contains(['ㅠ', 'ㅜ', '😭', '😢']) {
        "cry"
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
    if cues.get("korean").is_empty() { 44 } else { 22 }
}

fn put_together(
    tongue: &Tongue,
    session: &Session<'_>,
    plan: &Plan,
    seed: usize,
) -> String {
    let phrases = tongue.phrases;
    let kind = plan.kind;
    let answers = &session.answers;
    let dangerous = DANGER.contains(&kind) || kind.starts_with("after");
    let noun = if kind == "topic" { &plan.reading.topic } else { &plan.reading.person };
    let slots = Slots { noun: noun.as_deref(), quote: plan.reading.quote.as_deref() };
    let pick = |pools: &[&str], slots, salt| ranked(phrases, pools, slots, answers, seed + salt);

    let disclosed = ["disclosure", "disclosure.crisis", "disclosure.plain"];
    let disclose = !session.said(phrases, usize::MAX, &disclosed);
    let identity = disclose && matches!(kind, "who" | "bot");
    let disclosure = match () {
        () if !disclose => None,
        () if dangerous => Some("disclosure.crisis"),
        () if identity => Some("disclosure.plain"),
        () => Some("disclosure"),
    };

    let (say, ask) = (format!("{kind}.say"), format!("{kind}.ask"));
    let tone = match kind {
        _ if dangerous => None,
        kind if is_good(kind) => Some("good"),
        kind if FEELINGS.contains(&kind) && !matches!(kind, "even" | "bored" | "love" | "idle") => {
            Some("bad")
        }
        "cry" | "past_bad" | "not_good" | "other_bad" | "other_angry" | "swear" => Some("bad"),
        _ => None,
    };
    let mut say_pools = vec![say.as_str()];
    say_pools.extend(tone);
    if !dangerous {
        say_pools.push("any");
    }
    let says = pick(&say_pools, slots, 0);

    let mut middle: Vec<String> = Vec::new();
    let long = plan.reading.length > 6 * cap(tongue.cues);
    if plan.quiet && !session.said(phrases, 1, &["quiet.say"]) && kind != "quiet" && !dangerous {
        // The silence asked for shows in the missing question; it needs no words again.
    } else if let (Some(tone), false, false) = (tone, long, disclose) {
        let pool = if tone == "good" { "tie.good" } else { "tie" };
        let tie = Slots { noun: plan.reading.topic.as_deref(), quote: None };
        let fresh = !session.said(phrases, 2, &["tie", "tie.good"]);
        if fresh && plan.reading.topic.is_some() && phrases.get(pool).len() > 1 {
            middle.extend(pick(&[pool], tie, 1).into_iter().next());
        }
    }
    let reach_pool = format!("{kind}.reach");
    let heard_lately = kind == "after" && session.said(phrases, 1, &["after.reach"]);
    let reaches = if heard_lately { Vec::new() } else { pick(&[&reach_pool], slots, 2) };
    let opener = (long && !dangerous).then(|| pick(&["long.say"], slots, 3)).and_then(first);

    let asks = if may_ask(phrases, session, plan, &ask) {
        let long_ask = if long && !dangerous { "long.ask" } else { "" };
        let open = if dangerous { "" } else { "any.ask" };
        pick(&[long_ask, ask.as_str(), open], slots, 4)
    } else {
        Vec::new()
    };

    let build = |say: Option<&String>, reach: Option<&String>, ask: Option<&String>| {
        let mut parts: Vec<&str> = Vec::new();
        parts.extend(opener.as_deref());
        parts.extend(say.filter(|_| !identity).map(String::as_str));
        parts.extend(middle.iter().map(String::as_str));
        parts.extend(reach.map(String::as_str));
        parts.extend(disclosure.and_then(|pool| phrases.get(pool).first().copied()));
        parts.extend(ask.map(String::as_str));
        parts.join(" ")
    };
    let mut chosen = None;
    for reach in options(&reaches) {
        for ask in options(&asks) {
            for say in options(&says) {
                let text = build(say, reach, ask);
                if !answers.contains(&text.as_str()) {
                    return text;
                }
                chosen.get_or_insert(text);
            }
        }
    }
    chosen.unwrap_or_default()
}

fn first(list: Vec<String>) -> Option<String> {
    list.into_iter().next()
}

/// The choices of one place in the answer: the list, or "nothing" when it is empty.
fn options(list: &[String]) -> Vec<Option<&String>> {
    if list.is_empty() { vec![None] } else { list.iter().map(Some).collect() }
}

/// Whether this answer may end in a question.
fn may_ask(phrases: &Phrases, session: &Session<'_>, plan: &Plan, pool: &str) -> bool {
    if phrases.get(pool).first() == Some(&"-") {
        return false;
    }
    if matches!(plan.kind, "crisis" | "doubt" | "crisis_past" | "crisis_other") {
        return true;
    }
    if plan.quiet {
        return false;
    }
    let asked = |back: usize| {
        session.answers.iter().rev().nth(back).is_some_and(|a| a.contains(['?', '？']))
    };
    if SMALL.contains(&plan.kind) { !asked(0) } else { !(asked(0) && asked(1)) }
}
