//! How good readings are.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use deepme::insight::model::{LABELS, Model, OUTPUTS, UNSURE, highest, log_odds, softmax, valence};

use crate::learn::Sample;

/// One reading beside what people said.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one row of the table"
)]
pub(crate) struct Outcome {
    first: usize,
    named: bool,
    top: bool,
    firsts: f32,
    sign: bool,
    either_sign: bool,
    confidence: f32,
    labels: Vec<usize>,
}

impl Outcome {
    /// What the exported model says.
    pub(crate) fn of(model: &Model, sample: &Sample) -> Self {
        let reading = model.read(&sample.text);
        let confidence = f32::from(reading.confidence) / 100.0;
        Self::new(sample, reading.first as usize, reading.valence, confidence)
    }

    /// What raw scores say.
    pub(crate) fn of_scores(
        s: &Sample,
        scores: &[f32; OUTPUTS],
        heat: f32,
        line: [f32; 2],
    ) -> Self {
        let labels = softmax(
            &scores[..LABELS]
                .iter()
                .map(|s| s / heat)
                .collect::<Vec<_>>(),
        );
        let first = highest(&labels);
        let sure = 1.0 / (1.0 + (-(line[0] * log_odds(labels[first]) + line[1])).exp());
        let valence = valence(&labels, &softmax(&scores[LABELS..]));
        Self::new(s, first, valence, sure)
    }

    fn new(sample: &Sample, first: usize, valence: i8, confidence: f32) -> Self {
        let both: i8 = sample.signs.iter().sum();
        let hits = sample
            .firsts
            .iter()
            .filter(|label| **label == first)
            .count();
        Self {
            first,
            named: sample.named.contains(&first),
            top: sample.top.contains(&first),
            firsts: float(hits) / float(sample.firsts.len().max(1)),
            sign: both.signum() == valence.signum(),
            either_sign: sample.signs.contains(&valence.signum()),
            confidence,
            labels: sample.firsts.clone(),
        }
    }
}

/// Prints one block of the table.
pub(crate) fn print(name: &str, outcomes: &[Outcome]) -> std::io::Result<()> {
    let share = |of: &dyn Fn(&Outcome) -> bool| {
        float(outcomes.iter().filter(|o| of(o)).count()) / float(outcomes.len().max(1))
    };
    let sure: Vec<&Outcome> = outcomes
        .iter()
        .filter(|o| o.confidence * 100.0 >= f32::from(UNSURE) - 0.5)
        .collect();
    let right = sure.iter().filter(|o| o.top).count();
    let first = outcomes.iter().map(|o| o.firsts).sum::<f32>() / float(outcomes.len().max(1));
    let mut out = stdout();
    writeln!(out, "{name}, {} sentences", outcomes.len())?;
    writeln!(
        out,
        "  first label among the two heaviest      {:.3}",
        share(&|o| o.top)
    )?;
    writeln!(
        out,
        "  first label named by any annotator      {:.3}",
        share(&|o| o.named)
    )?;
    writeln!(out, "  first label is an annotator's first     {first:.3}")?;
    writeln!(
        out,
        "  sign of the valence, both annotators    {:.3}",
        share(&|o| o.sign)
    )?;
    writeln!(
        out,
        "  sign of the valence, either annotator   {:.3}",
        share(&|o| o.either_sign)
    )?;
    writeln!(
        out,
        "  calibration error of the confidence     {:.3}",
        error(outcomes)
    )?;
    writeln!(
        out,
        "  not unsure: {:.3} of all, of them right  {:.3}",
        float(sure.len()) / float(outcomes.len().max(1)),
        float(right) / float(sure.len().max(1))
    )?;
    let mut recall = String::new();
    for label in 0..LABELS {
        let own = outcomes.iter().filter(|o| o.labels.first() == Some(&label));
        let (mut n, mut hit) = (0, 0);
        for outcome in own {
            n += 1;
            hit += usize::from(outcome.first == label);
        }
        let id = deepme::domain::emotion::Emotion::ALL[label];
        let _ = write!(recall, " {id} {hit}/{n}");
    }
    writeln!(out, "  found of each label:{recall}")
}

/// Expected calibration error in ten bins of equal width.
fn error(outcomes: &[Outcome]) -> f32 {
    let mut bins = [(0.0f32, 0.0f32); 10];
    for outcome in outcomes {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 9"
        )]
        let bin = ((outcome.confidence * 10.0) as usize).min(9);
        bins[bin].0 += outcome.confidence;
        bins[bin].1 += f32::from(u8::from(outcome.top));
    }
    bins.iter()
        .map(|(said, was)| (said - was).abs())
        .sum::<f32>()
        / float(outcomes.len().max(1))
}

#[expect(clippy::cast_precision_loss, reason = "some thousand")]
pub(crate) fn float(n: usize) -> f32 {
    n as f32
}
