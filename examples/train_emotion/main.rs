//! Makes the weights of the emotion classifier and prints how good they are.
//!
//!     cargo run --release --example train_emotion -- --data DIR [--out DIR] [--check] [--cv] [--only ko|en|28]
//!
//! `docs/emotion.md` names the data. The same data gives the same bytes: `--check` trains and then
//! compares with what stands in the output directory (by default `src/insight`) instead of writing.
//! `--cv` prints the cross-validation only, which is what choices are made by. The held-out parts
//! are read once, for the table; then the embedded weights are trained with the held-out sentences
//! too, for more sentences are better ones. `--only` does one language, or the comparison on GoEmotions' 28 labels. `--time` needs no data: it measures the embedded weights.

mod data;
mod goemotions;
mod learn;
#[path = "../learn/mod.rs"]
mod learning;
mod report;

use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::time::Instant;

use deepme::insight::{
    self,
    model::{LABELS, Model, OUTPUTS, Weights, highest, log_odds, softmax},
};
use learn::{Sample, export, fit};
use report::Outcome;

type Done = Result<(), Box<dyn Error>>;

/// Parts of the cross-validation.
const FOLDS: u64 = 5;

fn main() -> Done {
    let mut data = None;
    let mut out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/insight"));
    let (mut check, mut cv, mut only) = (false, false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--data" => data = arguments.next().map(PathBuf::from),
            "--out" => out = arguments.next().ok_or("--out needs a directory")?.into(),
            "--check" => check = true,
            "--cv" => cv = true,
            "--only" => only = arguments.next(),
            "--time" => return time(),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let data = data.ok_or("--data DIR is missing: see docs/emotion.md")?;
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    for (name, corpus) in [("ko", data::korean(&data)?), ("en", data::english(&data)?)] {
        if !wanted(name) {
            continue;
        }
        let start = Instant::now();
        let Some(trained) = train(name, &corpus, cv)? else {
            continue;
        };
        let bytes = trained.all.to_bytes();
        let path = out.join(format!("{name}.bin"));
        if check {
            if std::fs::read(&path)? != bytes {
                return Err(format!("{} is not what this data gives", path.display()).into());
            }
            writeln!(stdout(), "{name}: the same bytes as {}", path.display())?;
        } else {
            std::fs::write(&path, &bytes)?;
        }
        let model = Model::new(&trained.measured).map_err(|fault| format!("{fault:?}"))?;
        writeln!(
            stdout(),
            "{name}: {} samples and what was held out, {} pieces, {} bytes, {:.0} s",
            corpus.samples.len(),
            trained.all.keys.len(),
            bytes.len(),
            start.elapsed().as_secs_f32()
        )?;
        for (part, samples) in &corpus.held {
            let outcomes = samples.iter().map(|sample| Outcome::of(&model, sample));
            report::print(&format!("{name} {part}"), &outcomes.collect::<Vec<_>>())?;
        }
    }
    if !cv && wanted("28") {
        goemotions::run(&data)?;
    }
    Ok(())
}

/// How long one message takes.
fn time() -> Done {
    for (name, text) in [
        (
            "Korean, 20 characters",
            "오늘은 정말 아무것도 하기 싫은 날이야".to_owned(),
        ),
        (
            "Korean, 500 characters",
            "오늘은 정말 아무것도 하기 싫은데 회사에 가요. ".repeat(20),
        ),
        (
            "English, 60 characters",
            "I don't know why but I could not sleep at all again tonight.".to_owned(),
        ),
        (
            "64 KiB",
            "오늘은 정말 아무것도 하기 싫은데 회사에 가요. ".repeat(1000),
        ),
    ] {
        insight::read(&text, None);
        let mut times: Vec<_> = (0..20_000)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(insight::read(std::hint::black_box(&text), None));
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        let (p50, p99) = (times[times.len() / 2], times[times.len() / 100 * 99]);
        writeln!(stdout(), "{name}: p50 {p50:.1?}, p99 {p99:.1?}")?;
    }
    Ok(())
}

/// The weights of a language, twice.
struct Trained {
    /// From all but what is held out: what the figures are of.
    measured: Weights,
    /// From the held-out sentences of the chat too, by the same settings: what is embedded.
    all: Weights,
}

/// Trains one language; with `cv` only prints the cross-validation.
fn train(name: &str, corpus: &data::Corpus, cv: bool) -> Result<Option<Trained>, Box<dyn Error>> {
    let plan = learn::plan(name);
    let mut scored: Vec<(&Sample, [f32; OUTPUTS])> = Vec::new();
    for fold in 0..FOLDS {
        let own = |sample: &Sample| sample.tuned_on && sample.hash / data::HELD % FOLDS == fold;
        let (test, rest): (Vec<_>, Vec<_>) = corpus.samples.iter().partition(|s| own(s));
        let learner = fit(&rest, &plan);
        scored.extend(
            test.iter()
                .map(|sample| (*sample, learner.of(&sample.keys))),
        );
    }
    let heat = temperature(&scored);
    let confidence = line(&scored, heat);
    let outcomes = scored
        .iter()
        .map(|(sample, scores)| Outcome::of_scores(sample, scores, heat, confidence));
    report::print(
        &format!("{name} cross-validation"),
        &outcomes.collect::<Vec<_>>(),
    )?;
    writeln!(
        stdout(),
        "{name}: temperature {heat:.2}, confidence {confidence:.3?}"
    )?;
    if cv {
        return Ok(None);
    }
    let weights =
        |samples: &[&Sample]| export(&fit(samples, &plan), learn::kept(name), heat, confidence);
    let mut samples: Vec<&Sample> = corpus.samples.iter().collect();
    let measured = weights(&samples);
    let held = corpus.held.iter().flat_map(|(_, samples)| samples);
    samples.extend(held.filter(|sample| sample.tuned_on));
    let all = weights(&samples);
    Ok(Some(Trained { measured, all }))
}

/// The temperature under which the labels given by people are likeliest.
fn temperature(scored: &[(&Sample, [f32; OUTPUTS])]) -> f32 {
    let loss = |heat: f32| -> f32 {
        let each = scored.iter().map(|(sample, scores)| {
            let shares = softmax(
                &scores[..LABELS]
                    .iter()
                    .map(|s| s / heat)
                    .collect::<Vec<_>>(),
            );
            let pairs = shares.iter().zip(&sample.target[..LABELS]);
            -pairs.map(|(p, t)| t * p.max(1e-9).ln()).sum::<f32>()
        });
        each.sum()
    };
    let candidates: Vec<f32> = (10..80u8).map(|i| f32::from(i) * 0.05).collect();
    let losses: Vec<f32> = candidates.iter().map(|heat| -loss(*heat)).collect();
    candidates[highest(&losses)]
}

/// Slope and offset from the first label's log-odds to how often people name it: logistic
/// regression by gradient descent in two numbers.
fn line(scored: &[(&Sample, [f32; OUTPUTS])], heat: f32) -> [f32; 2] {
    let points: Vec<(f32, f32)> = scored
        .iter()
        .map(|(sample, scores)| {
            let shares = softmax(
                &scores[..LABELS]
                    .iter()
                    .map(|s| s / heat)
                    .collect::<Vec<_>>(),
            );
            let first = highest(&shares);
            let named = sample.top.contains(&first);
            (log_odds(shares[first]), f32::from(u8::from(named)))
        })
        .collect();
    let mut line = [1.0f32, 0.0];
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let n = points.len().max(1) as f32;
    for _ in 0..3000 {
        let mut slope = [0.0f32; 2];
        for (x, named) in &points {
            let miss = 1.0 / (1.0 + (-(line[0] * x + line[1])).exp()) - named;
            slope[0] += miss * x / n;
            slope[1] += miss / n;
        }
        line[0] -= slope[0];
        line[1] -= slope[1];
    }
    line
}
