//! The corpora as samples, and which of them are never trained on.
//!
//! Invariant: one in [`HELD`] of the sentences of a part that is measured is held out by the hash
//! of its text alone, so that neither the order nor the size of a file moves the border.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use deepme::domain::emotion::Emotion;
use deepme::insight::features;
use deepme::insight::model::{LABELS, OUTPUTS};

use crate::learn::Sample;

/// One in so many is held out.
pub(crate) const HELD: u64 = 6;
/// What the second label gets when there are two.
const SECOND: f32 = 0.4;

/// What a sentence written for this project weighs beside a chat sentence labelled for it, and what
/// a comment of KOTE, one that was labelled anew, and a comment of GoEmotions weighs; chosen by cross-validation.
const WRITTEN_KO: f32 = 0.3;
const WRITTEN_EN: f32 = 0.5;
const KOTE_WEIGHT: f32 = 0.05;
const KOTE_ANEW: f32 = 0.1;
const GOEMOTIONS_WEIGHT: f32 = 0.02;

/// Keys below this are no pieces of a text: each says which source a sentence is from, if it is not
/// the chat. They are trained and never exported.
pub(crate) const SOURCES: u32 = 3;

/// All of one language.
pub(crate) struct Corpus {
    /// To train on.
    pub samples: Vec<Sample>,
    /// To measure with, by name.
    pub held: Vec<(&'static str, Vec<Sample>)>,
}

/// The Korean corpus.
pub(crate) fn korean(data: &Path) -> Result<Corpus, Box<dyn Error>> {
    let mut chat = Vec::new();
    for row in rows(&data.join("chat_ko.tsv"), 8)?.iter().skip(1) {
        let mut target = [0.0; OUTPUTS];
        add(&mut target, &row[1], &row[2], &row[3], 0.5)?;
        add(&mut target, &row[4], &row[5], &row[6], 0.5)?;
        let mut sample = sample(&row[7], target, 1.0);
        sample.named = [1, 2, 4, 5]
            .iter()
            .filter_map(|i| place(&row[*i]))
            .collect();
        sample.firsts = [1, 4].iter().filter_map(|i| place(&row[*i])).collect();
        sample.signs = vec![
            row[3].parse::<i8>()?.signum(),
            row[6].parse::<i8>()?.signum(),
        ];
        sample.top = top(&sample.target, sample.firsts[0]);
        chat.push(sample);
    }
    let (held, mut samples) = split(chat);
    let mut comments = Vec::new();
    let anew = labelled_anew()?;
    for part in ["val", "test"] {
        for row in rows(&data.join(format!("kote/{part}.tsv")), 3)? {
            comments.extend(match anew.get(&format!("{}{}", &part[..1], row[0])) {
                Some(target) => {
                    let mut sample = sample(&row[1], *target, KOTE_ANEW);
                    sample.tuned_on = false;
                    Some(sample)
                }
                None => comment(&row[1], &row[2], &KOTE, KOTE_WEIGHT)?,
            });
        }
    }
    let others = [
        written(&data.join("written_ko.tsv"), WRITTEN_KO)?,
        written(&own("ko"), WRITTEN_KO)?,
        comments,
    ];
    for (source, others) in (0..SOURCES).zip(others) {
        // How common a label is differs by source: the piece takes that up, so that chat need not.
        samples.extend(others.into_iter().map(|mut other| {
            other.keys.push(source);
            other
        }));
    }
    keep_out(&mut samples, &held);
    Ok(Corpus {
        samples,
        held: vec![("chat, held out", held)],
    })
}

/// The English corpus.
pub(crate) fn english(data: &Path) -> Result<Corpus, Box<dyn Error>> {
    let mut labelled = written(&data.join("written_en.tsv"), WRITTEN_EN)?;
    for sample in &mut labelled {
        sample.tuned_on = true;
        sample.weight = 1.0;
    }
    let (held, mut samples) = split(labelled);
    samples.extend(written(&own("en"), WRITTEN_EN)?);
    let comments = |part: &str| -> Result<Vec<Sample>, Box<dyn Error>> {
        let rows = rows(&data.join(format!("goemotions/{part}.tsv")), 2)?;
        let samples = rows
            .iter()
            .map(|row| comment(&row[0], &row[1], &GOEMOTIONS, GOEMOTIONS_WEIGHT));
        Ok(samples
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    };
    samples.extend(comments("train")?);
    let test = comments("test")?;
    keep_out(&mut samples, &held);
    keep_out(&mut samples, &test);
    Ok(Corpus {
        samples,
        held: vec![
            ("written, held out", held),
            ("GoEmotions test, 15 labels", test),
        ],
    })
}

/// The rows of a file of tab-separated values, each with at least `columns`.
pub(crate) fn rows(path: &Path, columns: usize) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let row: Vec<String> = line.split('\t').map(str::to_owned).collect();
        if row.len() < columns {
            return Err(format!("{}:{}: too few columns", path.display(), number + 1).into());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The sentences of the repository: short ones in plain words, for what chat is about.
fn own(language: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(format!("examples/train_emotion/own_{language}.tsv"))
}

fn written(path: &Path, weight: f32) -> Result<Vec<Sample>, Box<dyn Error>> {
    let mut samples = Vec::new();
    for row in rows(path, 4)?.iter().skip(1) {
        let mut target = [0.0; OUTPUTS];
        add(&mut target, &row[0], &row[1], &row[2], 1.0)?;
        let mut sample = sample(&row[3], target, weight);
        sample.tuned_on = false;
        sample.named = [0, 1].iter().filter_map(|i| place(&row[*i])).collect();
        sample.firsts = place(&row[0]).into_iter().collect();
        sample.top.clone_from(&sample.named);
        sample.signs = vec![row[2].parse::<i8>()?.signum()];
        samples.push(sample);
    }
    Ok(samples)
}

/// What we say of the shorter comments of KOTE, by the letter of the part and its number there. Their text is not in the repository.
fn labelled_anew() -> Result<BTreeMap<String, [f32; OUTPUTS]>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = rows(&root.join("examples/train_emotion/kote_ko.tsv"), 4)?;
    let mut labels = BTreeMap::new();
    for row in rows.into_iter().skip(1) {
        let mut target = [0.0; OUTPUTS];
        add(&mut target, &row[1], &row[2], &row[3], 1.0)?;
        labels.insert(row[0].clone(), target);
    }
    Ok(labels)
}

fn sample(text: &str, target: [f32; OUTPUTS], weight: f32) -> Sample {
    Sample {
        text: text.to_owned(),
        keys: features::keys(text),
        hash: hash(text),
        tuned_on: true,
        weight,
        target,
        named: Vec::new(),
        firsts: Vec::new(),
        top: Vec::new(),
        signs: Vec::new(),
    }
}

/// FNV-1a and a last mix.
fn hash(text: &str) -> u64 {
    let state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 33)
}

/// Held out, and to train on.
fn split(samples: Vec<Sample>) -> (Vec<Sample>, Vec<Sample>) {
    samples
        .into_iter()
        .partition(|sample| sample.hash.is_multiple_of(HELD))
}

/// What is measured is not trained on, wherever else it may stand too.
fn keep_out(samples: &mut Vec<Sample>, held: &[Sample]) {
    let held: std::collections::BTreeSet<&str> = held.iter().map(|s| s.text.trim()).collect();
    samples.retain(|sample| !held.contains(sample.text.trim()));
}

fn place(name: &str) -> Option<usize> {
    Emotion::parse(name).map(|emotion| emotion as usize)
}

fn add(
    target: &mut [f32; OUTPUTS],
    first: &str,
    second: &str,
    valence: &str,
    share: f32,
) -> Result<(), Box<dyn Error>> {
    let first = place(first).ok_or_else(|| format!("no label {first}"))?;
    match place(second).filter(|second| *second != first) {
        Some(second) => {
            target[first] += share * (1.0 - SECOND);
            target[second] += share * SECOND;
        }
        None => target[first] += share,
    }
    let valence: i8 = valence.parse()?;
    let step = usize::try_from(valence + 2).map_err(|_| format!("no valence {valence}"))?;
    *target.get_mut(LABELS + step).ok_or("no such valence")? += share;
    Ok(())
}

/// The two heaviest labels; `first` wins among equals.
fn top(target: &[f32; OUTPUTS], first: usize) -> Vec<usize> {
    let mut labels: Vec<usize> = (0..LABELS).filter(|i| target[*i] > 0.0).collect();
    labels.sort_by(|a, b| {
        let heavier = target[*b].total_cmp(&target[*a]);
        heavier.then((*b == first).cmp(&(*a == first)))
    });
    labels.truncate(2);
    labels
}

/// A comment with the labels of another list; `None` where none of them can be mapped.
fn comment(
    text: &str,
    labels: &str,
    map: &[(&str, i8)],
    weight: f32,
) -> Result<Option<Sample>, Box<dyn Error>> {
    let mut target = [0.0; OUTPUTS];
    let mut signs = 0i32;
    let mut count = 0i32;
    for label in labels.split(',') {
        let (name, valence) = map.get(label.parse::<usize>()?).ok_or("no such label")?;
        let Some(place) = place(name) else { continue };
        target[place] += 1.0;
        signs += i32::from(*valence);
        count += 1;
    }
    if count == 0 {
        return Ok(None);
    }
    let total: f32 = target.iter().sum();
    for share in &mut target {
        *share /= total;
    }
    let sign = match 3 * signs {
        low if low < -count => -1i8,
        high if high > count => 1,
        _ => 0,
    };
    target[LABELS + usize::try_from(sign + 2)?] = 1.0;
    let mut sample = sample(text, target, weight);
    sample.tuned_on = false;
    sample.named = (0..LABELS).filter(|i| target[*i] > 0.0).collect();
    sample.firsts.clone_from(&sample.named);
    sample.top.clone_from(&sample.named);
    sample.signs = vec![sign];
    Ok(Some(sample))
}

/// The 44 labels of KOTE in its order, each as one of ours and its sign.
const KOTE: [(&str, i8); 44] = [
    ("angry", -1),
    ("moved", 1),
    ("moved", 1),
    ("bored", -1),
    ("moved", 1),
    ("sad", -1),
    ("angry", -1),
    ("moved", 1),
    ("eager", 1),
    ("angry", -1),
    ("frustrated", -1),
    ("eager", 0),
    ("confused", -1),
    ("confident", 1),
    ("calm", 1),
    ("eager", 1),
    ("moved", 1),
    ("shame", -1),
    ("anxious", -1),
    ("frustrated", -1),
    ("angry", -1),
    ("angry", -1),
    ("angry", -1),
    ("angry", -1),
    ("even", 0),
    ("shame", -1),
    ("tired", -1),
    ("tired", -1),
    ("joy", 1),
    ("even", 0),
    ("shame", -1),
    ("angry", -1),
    ("joy", 1),
    ("confused", -1),
    ("confused", -1),
    ("anxious", -1),
    ("sad", -1),
    ("bored", -1),
    ("sad", -1),
    ("confused", 0),
    ("joy", 1),
    ("anxious", -1),
    ("joy", 1),
    ("calm", 1),
];

/// The 28 labels of GoEmotions in its order, each as one of ours and its sign.
const GOEMOTIONS: [(&str, i8); 28] = [
    ("moved", 1),       // admiration
    ("joy", 1),         // amusement
    ("angry", -1),      // anger
    ("angry", -1),      // annoyance
    ("even", 0),        // approval
    ("moved", 1),       // caring
    ("confused", 0),    // confusion
    ("even", 0),        // curiosity
    ("eager", 1),       // desire
    ("frustrated", -1), // disappointment
    ("angry", -1),      // disapproval
    ("angry", -1),      // disgust
    ("shame", -1),      // embarrassment
    ("joy", 1),         // excitement
    ("anxious", -1),    // fear
    ("moved", 1),       // gratitude
    ("sad", -1),        // grief
    ("joy", 1),         // joy
    ("moved", 1),       // love
    ("anxious", -1),    // nervousness
    ("eager", 1),       // optimism
    ("confident", 1),   // pride
    ("even", 0),        // realization
    ("calm", 1),        // relief
    ("shame", -1),      // remorse
    ("sad", -1),        // sadness
    ("confused", 0),    // surprise
    ("even", 0),        // neutral
];
