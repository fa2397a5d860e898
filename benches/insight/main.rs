//! What reading a person's words costs a turn: `cargo bench --bench insight`.
//!
//! Runs the safety gate and the classifier as a turn does, on one thread, and prints microseconds a turn, and what share
//! that is of the CPU that a server takes for a turn of 200 tokens: give it as microseconds
//! (`cargo bench --bench insight -- 3500`), from `cargo bench --bench relay`, whose server CPU s / M tokens times 200 it is.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program: it prints, and it stops when something is wrong"
)]

use deepme::insight;
use deepme::safety::Gate;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 2_000;

fn main() {
    let turn: Option<f64> = std::env::args().find_map(|arg| arg.parse().ok());
    let gate = Gate::embedded().unwrap();
    insight::warm_up();
    let timed = |work: &dyn Fn()| {
        for _ in 0..ROUNDS / 10 {
            work();
        }
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    };
    let short = "요즘 기분이 별로야.";
    let usual = "요즘 회사 일이 너무 힘들어서 잠을 잘 못 자겠어. 아침마다 나가기가 싫어";
    let english = "I have not been sleeping well since the meeting and I keep thinking about it";
    println!("words                     before     gate  classifier  together");
    for (name, words) in [("short", short), ("usual", usual), ("English", english)] {
        let classifier = timed(&|| {
            black_box(insight::read(black_box(words), None));
        });
        for before in [0, 4] {
            // As a turn: the words alone, and with the four before if there are any. What was said of each of the twenty
            // before is remembered.
            let recent = vec![words; before];
            let gate = timed(&|| {
                let alone = gate.assess(black_box(words), &[]);
                black_box(gate.together(alone, black_box(words), black_box(&recent)));
            });
            let together = gate + classifier;
            let share = turn.map_or_else(String::new, |turn| {
                format!("  {:>5.2} % of a turn", together / turn * 100.0)
            });
            println!(
                "{name:<25} {before:>6} {gate:>8.1} {classifier:>11.1} {together:>9.1}{share}"
            );
        }
    }
}
