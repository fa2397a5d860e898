//! What reading a person's words costs a turn: `cargo bench --bench insight`.
//!
//! Runs the safety gate and the classifier as a turn does, on one thread, over sentences of the trainers' own lists, which are
//! many and in no order: one sentence again and again would be read from the caches, and its branches foreseen. Prints
//! microseconds a turn, and what share that is of the CPU that a server takes for a turn of 200 tokens: give it as microseconds
//! (`cargo bench --bench insight -- 3500`), from `cargo bench --bench relay`, whose server CPU s / M tokens times 200 it is.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program: it prints, and it stops when something is wrong"
)]

use deepme::domain::safety::Tier;
use deepme::insight;
use deepme::safety::Gate;
use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

/// As the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 200;
/// Of each list every so manieth sentence of the wanted length.
const EVERY: usize = 7;

const CHAT: &str = include_str!("../../examples/train_emotion/own_ko.tsv");
const ENGLISH: &str = include_str!("../../examples/train_emotion/own_en.tsv");
/// With the columns lang, tier, theme, text.
const SAFETY: &str = concat!(
    include_str!("../../examples/train_safety/ko_k.tsv"),
    include_str!("../../examples/train_safety/ko_l.tsv"),
    include_str!("../../examples/train_safety/ko_m.tsv"),
    include_str!("../../examples/train_safety/ko_n.tsv"),
    include_str!("../../examples/train_safety/ko_o.tsv")
);

/// What is measured together.
struct Group {
    name: &'static str,
    list: &'static str,
    /// Which lines of the list.
    wanted: fn(&str) -> bool,
    /// In characters.
    lengths: Range<usize>,
}

const GROUPS: [Group; 4] = [
    Group {
        name: "Korean chat",
        list: CHAT,
        wanted: |_| true,
        lengths: 1..100,
    },
    Group {
        name: "Korean, longer",
        list: SAFETY,
        wanted: |line| line.contains("\tnone\t"),
        lengths: 30..60,
    },
    Group {
        name: "English",
        list: ENGLISH,
        wanted: |_| true,
        lengths: 40..60,
    },
    Group {
        name: "Korean, in danger",
        list: SAFETY,
        wanted: |line| line.contains("\televated\t") || line.contains("\timminent\t"),
        lengths: 20..60,
    },
];

fn main() {
    let turn: Option<f64> = std::env::args().find_map(|arg| arg.parse().ok());
    let gate = Gate::embedded().unwrap();
    insight::warm_up();
    println!("sentences            number  characters  alarms    gate  classifier  together");
    for Group {
        name,
        list,
        wanted,
        lengths,
    } in GROUPS
    {
        let messages = messages(list, wanted, &lengths);
        let count = f64::from(u32::try_from(messages.len()).unwrap());
        let characters: usize = messages.iter().map(|text| text.chars().count()).sum();
        let characters = f64::from(u32::try_from(characters).unwrap()) / count;
        let alarms = messages
            .iter()
            .filter(|text| gate.assess(text, &[]).tier >= Tier::Elevated);
        let alarms = f64::from(u32::try_from(alarms.count()).unwrap()) / count;
        // As a turn: the words alone, and with the four before if a rule found something. What was said of each of the twenty
        // before is remembered.
        let of_gate = fastest(|| {
            for five in messages.windows(5) {
                let (words, recent) = five.split_last().unwrap();
                let alone = gate.assess(black_box(words), &[]);
                black_box(gate.together(alone, words, recent));
            }
        }) / (count - 4.0);
        let of_classifier = fastest(|| {
            for words in &messages {
                black_box(insight::read(black_box(words), None));
            }
        }) / count;
        let together = of_gate + of_classifier;
        let share = turn.map_or_else(String::new, |turn| {
            format!("  {:>5.2} % of a turn", together / turn * 100.0)
        });
        println!(
            "{name:<20} {:>6} {characters:>11.1} {:>5.0} % {of_gate:>7.1} {of_classifier:>11.1} {together:>9.1}{share}",
            messages.len(),
            alarms * 100.0,
        );
    }
}

/// Some sentences of a list, of wanted lines, of these lengths in characters.
fn messages<'a>(list: &'a str, wanted: fn(&str) -> bool, lengths: &Range<usize>) -> Vec<&'a str> {
    let lines = list.lines().skip(1).filter(|line| wanted(line));
    let texts = lines.filter_map(|line| line.rsplit('\t').next());
    let fitting = texts.filter(|text| lengths.contains(&text.chars().count()));
    fitting.step_by(EVERY).collect()
}

/// Microseconds of the fastest of some rounds: what else is at work on the machine only ever adds.
fn fastest(work: impl Fn()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64() * 1e6
    });
    rounds.fold(f64::INFINITY, f64::min)
}
