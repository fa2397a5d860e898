//! Owns how an answer is put together: which pools it is drawn from, what the session has already
//! heard, whether it may ask. Called by `super::reply`. Invariants: at most one question in an
//! answer; an answer that the session has heard is not given again while there is another.

use super::notice::{DANGER, Plan, Session, Tongue, plan};
use super::phrase::{Phrases, Slots, ranked};
use super::read::{FEELINGS, is_good};
use super::text::hash;

/// The sentences that say what the listener is.
pub(super) const DISCLOSURES: [&str; 3] = ["disclosure", "disclosure.crisis", "disclosure.plain"];
/// Kinds answered with few words, and with a question only after an answer without one.
const SMALL: [&str; 10] = [
    "yes", "no", "dunno", "laugh", "cry", "dots", "sigh", "emoji", "heart", "odd",
];

/// The answer of the listener.
pub(super) fn answer(
    tongue: &Tongue,
    earlier: &[(&str, &str)],
    words: &str,
    foreign: bool,
    disclosed: bool,
) -> String {
    let session = Session {
        answers: earlier.iter().map(|(_, answer)| *answer).collect(),
        words: earlier.iter().map(|(words, _)| *words).collect(),
    };
    let mut plan = plan(tongue, &session, words);
    if foreign && !DANGER.contains(&plan.kind) {
        plan.kind = "foreign";
    }
    put_together(
        tongue,
        &session,
        &plan,
        hash(words, earlier.len()),
        disclosed,
    )
}

/// What the parts of an answer are drawn from.
struct Draw<'a> {
    phrases: &'a Phrases,
    answers: &'a [&'a str],
    seed: usize,
}

impl Draw<'_> {
    fn from(&self, pools: &[&str], slots: Slots<'_>, salt: usize) -> Vec<String> {
        ranked(self.phrases, pools, slots, self.answers, self.seed + salt)
    }
}

/// The parts of an answer that are settled before its sentence and question are chosen.
#[derive(Default)]
struct Frame {
    opener: Option<String>,
    /// The listener says only what it is.
    only_self: bool,
    tie: Option<String>,
    disclosure: Option<&'static str>,
}

impl Frame {
    fn build(&self, say: Option<&str>, reach: Option<&str>, ask: Option<&str>) -> String {
        let say = say.filter(|_| !self.only_self);
        let parts = [
            self.opener.as_deref(),
            say,
            self.tie.as_deref(),
            reach,
            self.disclosure,
            ask,
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

fn put_together(
    tongue: &Tongue,
    session: &Session<'_>,
    plan: &Plan,
    seed: usize,
    disclosed: bool,
) -> String {
    let (phrases, kind) = (tongue.phrases, plan.kind);
    let answers = session.answers.as_slice();
    let draw = Draw {
        phrases,
        answers,
        seed,
    };
    let grave = DANGER.contains(&kind) || kind.starts_with("after");
    let noun = if kind == "topic" {
        &plan.reading.topic
    } else {
        &plan.reading.person
    };
    let quoted = answers
        .iter()
        .rev()
        .take(2)
        .any(|answer| answer.contains(['‘', '"']));
    let quote = plan.reading.quote.as_deref().filter(|_| !quoted);
    let slots = Slots {
        noun: noun.as_deref(),
        quote,
    };

    let frame = frame(&draw, session, plan, grave, disclosed);
    let says = draw.from(&say_pools(plan, &format!("{kind}.say"), grave), slots, 0);
    let reaches = reaches(&draw, session, plan, grave);
    let ask = format!("{kind}.ask");
    let asks = if may_ask(phrases, session, plan, &ask) {
        let long = if plan.long && !grave { "long.ask" } else { "" };
        let open = match kind {
            _ if grave => ["", ""],
            kind if SMALL.contains(&kind) => ["wide.ask", "near.ask"],
            _ => ["near.ask", "wide.ask"],
        };
        draw.from(&[long, ask.as_str(), open[0], open[1]], slots, 4)
    } else {
        Vec::new()
    };

    let mut heard_before = None;
    for reach in options(&reaches) {
        for ask in options(&asks) {
            for say in options(&says) {
                let text = frame.build(say, reach, ask);
                if !answers.contains(&text.as_str()) {
                    return text;
                }
                heard_before.get_or_insert(text);
            }
        }
    }
    // Every combination has been heard: two sentences together have not.
    for (i, one) in says.iter().enumerate() {
        for two in &says[i + 1..] {
            let text = frame.build(Some(&format!("{one} {two}")), None, None);
            if !answers.contains(&text.as_str()) {
                return text;
            }
        }
    }
    heard_before.unwrap_or_default()
}

fn frame(
    draw: &Draw<'_>,
    session: &Session<'_>,
    plan: &Plan,
    grave: bool,
    disclosed: bool,
) -> Frame {
    let phrases = draw.phrases;
    let only_self = !disclosed && matches!(plan.kind, "who" | "bot");
    let pool = match () {
        () if grave => "disclosure.crisis",
        () if only_self => "disclosure.plain",
        () => "disclosure",
    };
    let disclosure = phrases.get(pool).first().copied().filter(|_| !disclosed);
    let long = plan.long && !grave;
    let opener = if long {
        first(draw.from(&["long.say"], Slots::default(), 3))
    } else {
        None
    };
    let tie = match (tone(plan.kind), plan.reading.topic.as_deref()) {
        (Some(tone), Some(topic))
            if disclosed && !long && !grave && !session.said(phrases, 2, &["tie", "tie.good"]) =>
        {
            let pool = if tone == "good" { "tie.good" } else { "tie" };
            first(draw.from(
                &[pool],
                Slots {
                    noun: Some(topic),
                    quote: None,
                },
                1,
            ))
        }
        _ => None,
    };
    Frame {
        opener,
        only_self,
        tie,
        disclosure,
    }
}

/// The pools a sentence is drawn from, the fitting ones first.
fn say_pools<'a>(plan: &Plan, own: &'a str, grave: bool) -> Vec<&'a str> {
    let mut pools = vec![own];
    if !grave {
        pools.extend(tone(plan.kind));
        pools.push("any");
    }
    if let ("plain", Some(colour)) = (plan.kind, plan.colour) {
        pools.insert(0, colour);
    }
    pools
}

/// The sentence that points to a person who can help, where one belongs.
fn reaches(draw: &Draw<'_>, session: &Session<'_>, plan: &Plan, grave: bool) -> Vec<String> {
    let mut pool = format!("{}.reach", plan.kind);
    if !grave && plan.watchful && draw.phrases.get(&pool).is_empty() {
        "after.reach".clone_into(&mut pool);
    }
    if pool == "after.reach" && session.said(draw.phrases, 1, &["after.reach", "crisis.reach"]) {
        return Vec::new();
    }
    draw.from(&[&pool], Slots::default(), 2)
}

/// The pool of tone a kind falls back on when its own sentences are used up.
pub(super) fn tone(kind: &'static str) -> Option<&'static str> {
    match kind {
        kind if is_good(kind) => Some("good"),
        "even" | "bored" | "love" | "idle" | "not_bad" => None,
        kind if FEELINGS.contains(&kind) => Some("bad"),
        "cry" | "past_bad" | "not_good" | "other_bad" | "other_angry" | "swear" => Some("bad"),
        _ => None,
    }
}

fn first(list: Vec<String>) -> Option<String> {
    list.into_iter().next()
}

/// The choices of one place in the answer: the list, or "nothing" when it is empty.
fn options(list: &[String]) -> Vec<Option<&str>> {
    if list.is_empty() {
        vec![None]
    } else {
        list.iter().map(|text| Some(text.as_str())).collect()
    }
}

/// Whether this answer may end in a question.
fn may_ask(phrases: &Phrases, session: &Session<'_>, plan: &Plan, pool: &str) -> bool {
    if phrases.get(pool).first() == Some(&"-") {
        return false;
    }
    if matches!(
        plan.kind,
        "crisis" | "crisis_hurt" | "doubt" | "crisis_past" | "crisis_other"
    ) {
        return true;
    }
    if plan.quiet {
        return false;
    }
    let asked = |back: usize| {
        session
            .answers
            .iter()
            .rev()
            .nth(back)
            .is_some_and(|a| a.contains(['?', '？']))
    };
    if SMALL.contains(&plan.kind) {
        !asked(0)
    } else {
        !(asked(0) && asked(1))
    }
}
