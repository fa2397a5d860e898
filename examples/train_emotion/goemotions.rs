//! The same machine on the 28 labels of GoEmotions, to compare it with what is published.
//!
//! Each label is a question of its own. Thresholds are chosen on the dev part, the score is that of
//! the test part. This model is only measured, never embedded.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::Path;

use deepme::insight::features;

use crate::data::rows;
use crate::learning::{Learner, Plan, Task};
use crate::report::float;

const N: usize = 28;
type Comment = (Vec<u32>, [f32; N]);

/// Trains, and prints macro-F1.
pub(crate) fn run(data: &Path) -> Result<(), Box<dyn Error>> {
    let read = |part: &str| -> Result<Vec<Comment>, Box<dyn Error>> {
        let mut comments = Vec::new();
        for row in rows(&data.join(format!("goemotions/{part}.tsv")), 2)? {
            let mut target = [0.0; N];
            for label in row[1].split(',') {
                *target
                    .get_mut(label.parse::<usize>()?)
                    .ok_or("no such label")? = 1.0;
            }
            comments.push((features::keys(&row[0]), target));
        }
        Ok(comments)
    };
    let (train, dev, test) = (read("train")?, read("dev")?, read("test")?);
    let tasks: Vec<Task<'_, N>> = train
        .iter()
        .map(|(keys, target)| Task {
            keys,
            target: *target,
            weight: 1.0,
        })
        .collect();
    let plan = Plan {
        rounds: 10,
        step: 0.05,
        parts: &[],
        telling: Some(1.0),
        once: f32::INFINITY,
    };
    let learner = Learner::<N>::learn(&tasks, &plan);
    let scores = |part: &[Comment]| -> Vec<[f32; N]> {
        part.iter().map(|(keys, _)| learner.of(keys)).collect()
    };
    let (dev_scores, test_scores) = (scores(&dev), scores(&test));
    let (mut on_dev, mut on_test) = (0.0, 0.0);
    let mut each = String::new();
    let names = rows(&data.join("goemotions/labels.txt"), 1)?;
    for label in 0..N {
        let f1 = |part: &[Comment], scores: &[[f32; N]], border: f32| {
            let (mut hit, mut said, mut is) = (0, 0, 0);
            for ((_, target), scores) in part.iter().zip(scores) {
                let (yes, truth) = (scores[label] > border, target[label] > 0.5);
                hit += usize::from(yes && truth);
                said += usize::from(yes);
                is += usize::from(truth);
            }
            2.0 * float(hit) / float((said + is).max(1))
        };
        let borders = (-60..20i8).map(|i| f32::from(i) * 0.1);
        let best = borders.fold((0.0, 0.0), |best: (f32, f32), border| {
            let f1 = f1(&dev, &dev_scores, border);
            if f1 > best.0 { (f1, border) } else { best }
        });
        let got = f1(&test, &test_scores, best.1);
        on_dev += best.0 / float(N);
        on_test += got / float(N);
        write!(each, " {} {got:.2}", names[label][0])?;
    }
    let mut out = stdout();
    writeln!(
        out,
        "GoEmotions, 28 labels: macro-F1 {on_dev:.3} on dev (thresholds), {on_test:.3} on test"
    )?;
    writeln!(out, "  F1 on test:{each}")?;
    Ok(())
}
