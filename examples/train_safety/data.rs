//! The lists that are learned from, and everyday sentences.
//!
//! Invariant: what is measured as everyday is another part of its corpus than what is learned from.

use deepme::domain::safety::Tier;
use deepme::safety::model::THEMES;
use deepme::safety::{Gate, pieces};
use std::error::Error;
use std::path::Path;

/// The lists that the rules were tuned on: what the rules say of them counts for nothing.
pub(crate) const TUNED_ON: [&str; 3] = ["safety-dev", "safety-own", "safety-probes"];

/// A line of a list.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) tier: Tier,
    /// The place of its theme in [`THEMES`], where the list names one.
    pub(crate) theme: Option<usize>,
    /// The keys of the whole line and of its sentences.
    pub(crate) keys: Vec<Vec<u32>>,
}

/// Everything.
pub(crate) struct Corpus {
    /// By the name of the list, each by another writer.
    pub(crate) lists: Vec<(String, Vec<Line>)>,
    /// Everyday sentences in which the rules find nothing, to learn from.
    pub(crate) everyday: Vec<Vec<u32>>,
    /// Everyday sentences to measure with, by name.
    pub(crate) quiet: Vec<(&'static str, Vec<String>)>,
}

/// Reads it all.
pub(crate) fn corpus(data: &Path, rules: &Gate) -> Result<Corpus, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![
        data.join("safety-dev.tsv"),
        root.join("tests/data/safety-own.tsv"),
        root.join("tests/data/safety-probes.tsv"),
    ];
    let mut own: Vec<_> = std::fs::read_dir(root.join("examples/train_safety"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    own.retain(|path| path.extension().is_some_and(|end| end == "tsv"));
    own.sort();
    paths.extend(own);
    let lists = paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), list(path)?))
        })
        .collect::<Result<_, Box<dyn Error>>>()?;
    let emotion = data.join("emotion");
    let column = |file: &str, column: usize, header: usize| {
        let path = emotion.join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let cells = text
            .lines()
            .skip(header)
            .filter_map(|line| line.split('\t').nth(column));
        Ok::<Vec<String>, String>(cells.map(str::to_owned).collect())
    };
    let (chat, mut learned) = quarter(column("chat_ko.tsv", 7, 1)?);
    let (written_ko, more) = quarter(column("written_ko.tsv", 3, 1)?);
    learned.extend(more);
    let (written_en, more) = quarter(column("written_en.tsv", 3, 1)?);
    learned.extend(more);
    learned.extend(column("kote/val.tsv", 1, 0)?);
    learned.extend(column("goemotions/dev.tsv", 0, 0)?);
    let train = column("goemotions/train.tsv", 0, 0)?;
    learned.extend(train.iter().take(10_000).cloned());
    for file in ["own_ko.tsv", "own_en.tsv"] {
        let path = root.join("examples/train_emotion").join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let cells = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split('\t').nth(3));
        learned.extend(cells.map(str::to_owned));
    }
    learned.retain(|text| rules.assess(text, &[]).tier == Tier::None);
    Ok(Corpus {
        lists,
        everyday: learned
            .iter()
            .flat_map(|text| pieces::sentences(text))
            .collect(),
        quiet: vec![
            ("Korean chat, a quarter", chat),
            ("written Korean, a quarter", written_ko),
            ("written English, a quarter", written_en),
            ("KOTE test", column("kote/test.tsv", 1, 0)?),
            ("GoEmotions test", column("goemotions/test.tsv", 0, 0)?),
            (
                "GoEmotions train, the rest",
                train.into_iter().skip(10_000).collect(),
            ),
        ],
    })
}

/// Every fourth of these, to measure with, and the rest.
fn quarter(texts: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (measured, rest): (Vec<_>, Vec<_>) =
        texts.into_iter().enumerate().partition(|(n, _)| n % 4 == 0);
    let texts = |part: Vec<(usize, String)>| part.into_iter().map(|(_, text)| text).collect();
    (texts(measured), texts(rest))
}

fn list(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut rows = text.lines();
    let header: Vec<&str> = rows.next().unwrap_or_default().split('\t').collect();
    let place = |name: &str| header.iter().position(|column| *column == name);
    let (tier, words) = (
        place("tier").ok_or("no tier")?,
        place("text").ok_or("no text")?,
    );
    let theme = place("theme");
    rows.map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        let text = (*cells
            .get(words)
            .ok_or_else(|| format!("too few columns: {row}"))?)
        .to_owned();
        Ok(Line {
            tier: Tier::parse(cells[tier]).ok_or_else(|| format!("no tier: {row}"))?,
            theme: theme.and_then(|at| THEMES.iter().position(|(name, _)| *name == cells[at])),
            keys: pieces::sentences(&text),
            text,
        })
    })
    .collect()
}
