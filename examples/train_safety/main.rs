//! Makes the weights of the safety model and prints what they add to the rules.
//!
//!     cargo run --release --example train_safety -- --data DIR [--out FILE] [--check] [--cv]
//!
//! `docs/safety.md` names the data. The same data gives the same bytes: `--check` trains and compares with what is committed.
//! `--cv` leaves out one writer at a time, which is what every choice was made by.

mod data;
mod learn;
#[path = "../learn/mod.rs"]
mod learning;

use data::Line;
use deepme::domain::safety::Tier;
use deepme::safety::Gate;
use deepme::safety::model::{ELEVATED, Fault, IMMINENT, Model, Opinion};
use deepme::safety::score::score;
use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::PathBuf;

/// Borders of the probability that are compared.
const BORDERS: [f32; 7] = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut data = None;
    let mut out = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/safety/weights.bin"
    ));
    let (mut check, mut cv) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--data" => data = arguments.next().map(PathBuf::from),
            "--out" => out = arguments.next().ok_or("--out needs a file")?.into(),
            "--check" => check = true,
            "--cv" => cv = true,
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let data = data.ok_or("--data DIR is missing: see docs/safety.md")?;
    let rules = Gate::of_rules()?;
    let corpus = data::corpus(&data, &rules)?;
    if cv {
        return across_writers(&corpus, &rules);
    }
    let all: Vec<&Line> = corpus.lists.iter().flat_map(|(_, lines)| lines).collect();
    let weights = learn::train(&all, &corpus.everyday);
    let bytes = weights.to_bytes();
    if check {
        if std::fs::read(&out)? != bytes {
            return Err(format!("{} is not what this data gives", out.display()).into());
        }
        writeln!(stdout(), "the same bytes as {}", out.display())?;
    } else {
        std::fs::write(&out, &bytes)?;
    }
    writeln!(
        stdout(),
        "{} lines, {} everyday ones, {} pieces, {} bytes",
        all.len(),
        corpus.everyday.len(),
        weights.keys.len(),
        bytes.len()
    )?;
    let model = Model::new(&weights).map_err(|fault| format!("{fault:?}"))?;
    everyday(&corpus, &rules, &model)
}

/// Alarms on everyday sentences that were not learned from: by the rules, and more by the model at each border.
fn everyday(corpus: &data::Corpus, rules: &Gate, model: &Model) -> Done {
    for (name, texts) in &corpus.quiet {
        let (loud, quiet): (Vec<_>, Vec<_>) = texts
            .iter()
            .partition(|text| rules.assess(text, &[]).tier >= Tier::Elevated);
        let read: Vec<f32> = quiet.iter().map(|text| model.read(text).elevated).collect();
        let per_cent = |count: usize| {
            #[expect(clippy::cast_precision_loss, reason = "some thousand")]
            let share = 100.0 * count as f32 / texts.len() as f32;
            share
        };
        write!(
            stdout(),
            "{name}: {} sentences, alarms by the rules {:.2} %, more by the model",
            texts.len(),
            per_cent(loud.len())
        )?;
        for border in BORDERS {
            let alarms = read.iter().filter(|elevated| **elevated >= border).count();
            write!(stdout(), "  {border}: {:.2} %", per_cent(alarms))?;
        }
        writeln!(stdout())?;
    }
    Ok(())
}

/// What a line is, what the rules say, what the model says.
type Outcome = (Tier, Tier, Opinion);

/// Each list by a model that has learned from the others only.
fn across_writers(corpus: &data::Corpus, rules: &Gate) -> Done {
    let at_once = std::thread::available_parallelism()?.get();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for some in corpus.lists.chunks(at_once) {
        let these: Vec<Result<Vec<Outcome>, Fault>> = std::thread::scope(|scope| {
            let tasks: Vec<_> = some
                .iter()
                .map(|list| scope.spawn(|| left_out(corpus, rules, list)))
                .collect();
            tasks
                .into_iter()
                .map(|task| task.join().unwrap_or(Err(Fault::Content)))
                .collect()
        });
        for ((name, _), these) in some.iter().zip(these) {
            let these = these.map_err(|fault| format!("{name}: {fault:?}"))?;
            print(name, &these, ELEVATED, IMMINENT)?;
            // The rules were tuned on the older lists.
            if !data::TUNED_ON.contains(&name.as_str()) {
                outcomes.extend(these);
            }
        }
    }
    for elevated in BORDERS {
        print(&format!("all at {elevated}"), &outcomes, elevated, IMMINENT)?;
    }
    for imminent in [0.3, 0.4, 0.5, 0.6, 0.7] {
        print(
            &format!("all, imminent at {imminent}"),
            &outcomes,
            ELEVATED,
            imminent,
        )?;
    }
    Ok(())
}

/// One list by a model that has learned from the others.
fn left_out(
    corpus: &data::Corpus,
    rules: &Gate,
    (left, lines): &(String, Vec<Line>),
) -> Result<Vec<Outcome>, Fault> {
    let others = corpus.lists.iter().filter(|(other, _)| other != left);
    let others: Vec<&Line> = others.flat_map(|(_, lines)| lines).collect();
    let model = Model::new(&learn::train(&others, &corpus.everyday))?;
    let outcome = |line: &Line| {
        let by_rules = rules.assess(&line.text, &[]).tier;
        (line.tier, by_rules, model.read(&line.text))
    };
    Ok(lines.iter().map(outcome).collect())
}

fn print(name: &str, outcomes: &[Outcome], elevated: f32, imminent: f32) -> Done {
    let by_model = |opinion: &Opinion| {
        if opinion.imminent >= imminent {
            Tier::Imminent
        } else if opinion.elevated >= elevated {
            Tier::Elevated
        } else {
            Tier::None
        }
    };
    let rules: Vec<_> = outcomes.iter().map(|(is, by, _)| (*is, *by)).collect();
    let both: Vec<_> = outcomes
        .iter()
        .map(|(is, by, opinion)| (*is, (*by).max(by_model(opinion))))
        .collect();
    let low = both
        .iter()
        .filter(|(is, by)| *is == Tier::Low && *by >= Tier::Elevated);
    let none = both
        .iter()
        .filter(|(is, by)| *is == Tier::None && *by >= Tier::Elevated);
    let missed = both
        .iter()
        .filter(|(is, by)| *is == Tier::Imminent && *by < Tier::Elevated);
    let (before, after) = (score(&rules), score(&both));
    writeln!(
        stdout(),
        "{name:<24} rules {:.3} {:.3}  both {:.3} {:.3}  imminent {:.3} {:.3}  alarms low {} none {}  imminent missed {}  of {}",
        before.elevated_or_worse.recall,
        before.elevated_or_worse.precision,
        after.elevated_or_worse.recall,
        after.elevated_or_worse.precision,
        after.tiers.imminent.recall,
        after.tiers.imminent.precision,
        low.count(),
        none.count(),
        missed.count(),
        outcomes.len()
    )?;
    Ok(())
}
