//! Any answer, cut anywhere, read by somebody whose connection is lost again and again, on any device.

use super::{Answer, Asks, Reader, WAYS, served};
use crate::support::{Person, Talk};
use crate::upstream::{Reply, Upstream};
use deepme::wire::ws::{ClientFrame, Resume};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What is easily broken: syllables whole and in parts, emoji of one code point and of seven, flags,
/// combining and invisible characters, what JSON escapes, line ends of three kinds.
const FRAGMENTS: [&str; 22] = [
    "그랬",
    "군요.",
    " ",
    "\u{1112}",
    "\u{1161}",
    "\u{11ab}",
    "👩\u{200d}👩\u{200d}👧",
    "👩\u{200d}",
    "👍🏽",
    "🇰🇷",
    "🇰",
    "e\u{301}",
    "\u{301}",
    "\u{200b}",
    "\u{feff}",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\u{2028}",
    "\u{10ffff}",
    "data: ",
];

/// What happens while one answer is read.
#[derive(Debug, Clone)]
struct Plan {
    /// The pieces, and whether they are sent in escapes.
    pieces: Vec<(String, bool)>,
    /// Where the network cuts.
    cuts: Vec<Index>,
    losses: Vec<Loss>,
    /// How it is asked for when it has ended, and what of it is there.
    after: Option<(Asks, Kept)>,
    /// Whether another device comes while the reader is away for the first time.
    joined: bool,
}

/// A connection that is lost while the model waits.
#[derive(Debug, Clone)]
struct Loss {
    /// Before which byte it waits.
    at: Index,
    /// Whether the reader is gone before it has read anything.
    at_once: bool,
    kept: Kept,
    asks: Asks,
    /// Whether the model goes on before the reader is back.
    meanwhile: bool,
}

/// How much of what was read a reader has when it is back.
#[derive(Debug, Clone)]
enum Kept {
    Some(Index),
    /// It says that it has more than there is.
    TooMuch,
}

impl Kept {
    fn lose(&self, reader: &mut Reader) {
        let have = reader.text.chars().count();
        match self {
            Self::Some(index) => reader.lose(index.index(have + 1)),
            Self::TooMuch => {
                reader.lose(have);
                reader.claims = Some(1_000_000);
            }
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let piece = (vec(select(&FRAGMENTS[..]), 1..6), any::<bool>())
        .prop_map(|(fragments, escaped)| (fragments.concat(), escaped));
    let kept = || {
        prop_oneof![
            8 => any::<Index>().prop_map(Kept::Some),
            1 => Just(Kept::TooMuch),
        ]
    };
    let loss = (
        any::<Index>(),
        prop::bool::weighted(0.2),
        kept(),
        select(&WAYS[..]),
        any::<bool>(),
    )
        .prop_map(|(at, at_once, kept, asks, meanwhile)| Loss {
            at,
            at_once,
            kept,
            asks,
            meanwhile,
        });
    let plan = (
        vec(piece, 1..8),
        vec(any::<Index>(), 0..12),
        vec(loss, 0..5),
        proptest::option::of((select(&WAYS[..]), kept())),
        any::<bool>(),
    )
        .prop_map(|(pieces, cuts, losses, after, joined)| Plan {
            pieces,
            cuts,
            losses,
            after,
            joined,
        });
    vec(plan, 1..4)
}

/// The bytes in pieces as the network delivers them, and in parts between which the model waits.
fn parts(answer: &Answer, cuts: &[Index], waits: &[usize]) -> Vec<Vec<Vec<u8>>> {
    let length = answer.bytes.len();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    cuts.sort_unstable();
    let mut parts = Vec::new();
    let mut from = 0;
    for until in waits.iter().copied().chain([length]) {
        let start = from;
        let inside = cuts
            .iter()
            .copied()
            .filter(|cut| (start..until).contains(cut));
        let mut pieces = Vec::new();
        for cut in inside.chain([until]) {
            pieces.push(answer.bytes[from..cut].to_vec());
            from = cut;
        }
        parts.push(pieces);
    }
    parts
}

/// Says something, and loses the connection as planned.
async fn turn(upstream: &Upstream, jiwoo: &Person, reader: &mut Reader, plan: &Plan) -> Answer {
    let pieces = plan.pieces.iter();
    let answer = Answer::of(pieces.map(|(text, escaped)| (text.as_str(), *escaped)));
    let place = |loss: &Loss| loss.at.index(answer.bytes.len() + 1);
    let mut losses = plan.losses.clone();
    losses.sort_by_key(place);
    let waits: Vec<usize> = losses.iter().map(place).collect();
    let gate = Arc::new(Semaphore::new(0));
    let parts = parts(&answer, &plan.cuts, &waits);
    upstream.reply(Reply::Held(parts, Arc::clone(&gate)));
    let mut joined: Option<Talk> = None;
    reader.connect().await.unwrap();
    reader.ask(Asks::Again).await.unwrap();
    for (loss, at) in losses.iter().zip(waits) {
        if !loss.at_once {
            reader.until(answer.said(at)).await.unwrap();
        }
        loss.kept.lose(reader);
        gate.add_permits(usize::from(loss.meanwhile));
        if plan.joined && joined.is_none() && reader.step_id.is_some() {
            let (mut talk, _) = jiwoo.connect(reader.session_id).await;
            let resume = Resume {
                step_id: reader.step_id,
                received: 0,
            };
            talk.send(&ClientFrame::Resume(resume)).await;
            joined = Some(talk);
        }
        reader.connect().await.unwrap();
        reader.ask(loss.asks).await.unwrap();
        gate.add_permits(usize::from(!loss.meanwhile));
    }
    reader.hear_out().await.unwrap();
    if let Some((asks, kept)) = &plan.after {
        assert_eq!(reader.text, answer.text);
        kept.lose(reader);
        reader.connect().await.unwrap();
        reader.ask(*asks).await.unwrap();
        reader.hear_out().await.unwrap();
    }
    reader.lose(usize::MAX);
    if let Some(mut talk) = joined {
        assert_eq!(talk.turn().await.text, answer.text);
    }
    answer
}

async fn conversation(upstream: &Upstream, jiwoo: &Person, plans: &[Plan]) {
    // A case that failed leaves some.
    upstream.forget_replies();
    let (mut watcher, session) = jiwoo.connect(None).await;
    let session_id = session.session_id;
    let mut heard = Vec::new();
    for (n, plan) in plans.iter().enumerate() {
        let mut reader = Reader::new(&jiwoo.client, Some(session_id), format!("m{n}"));
        let answer = turn(upstream, jiwoo, &mut reader, plan).await;
        assert_eq!(watcher.turn().await.text, answer.text, "the second device");
        heard.push((reader, answer));
    }
    let steps = jiwoo.client.steps(session_id).await.unwrap();
    assert_eq!(steps.len(), plans.len());
    for (n, (reader, answer)) in heard.iter().enumerate() {
        reader.compare(answer, &steps);
        assert_eq!(steps[n].step_order, i64::try_from(n).unwrap() + 1);
    }
}

/// 60 conversations here; `DEEPME_TEST_CASES` for another number.
#[test]
fn whatever_is_cut_and_lost_the_reader_has_what_is_stored() {
    let cases = std::env::var("DEEPME_TEST_CASES").map_or(60, |n| n.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let upstream = runtime.block_on(Upstream::start());
    let (_server, jiwoo) = runtime.block_on(served(&upstream));
    let config = ProptestConfig {
        cases,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&plans(), |plans| {
            runtime.block_on(conversation(&upstream, &jiwoo, &plans));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
