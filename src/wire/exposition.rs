//! The text format of Prometheus, as it is read.
//!
//! Owns [`Exposition`]: a page of `GET /metrics`, version 0.0.4. Used by who shows the figures of a server.
//! Invariants: a page is read as a whole or refused with the number of the line that is wrong; nothing is made up: what
//! is not on the page is `None`, which is another thing than 0.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a page says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    /// Every name that the page announces, and its kind.
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels, in their order.
    pub labels: Vec<(String, String)>,
    /// How much it is.
    pub value: f64,
}

impl Sample {
    /// What a label says.
    pub fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(label, _)| label == name)
            .map(|(_, text)| text.as_str())
    }
}

/// Why a page cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The number of the line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Malformed {}

impl Exposition {
    /// Reads a page.
    pub fn parse(page: &str) -> Result<Self, Malformed> {
        let mut read = Self::default();
        let mut seen = BTreeSet::new();
        if !page.is_empty() && !page.ends_with('\n') {
            let line = page.lines().count();
            let what = "the page is cut off";
            return Err(Malformed { line, what });
        }
        for (at, line) in page.lines().enumerate() {
            let malformed = |what| Malformed { line: at + 1, what };
            let line = line.trim_matches([' ', '\t']);
            if let Some(comment) = line.strip_prefix('#') {
                read.comment(comment).map_err(malformed)?;
            } else if !line.is_empty() {
                let sample = sample(line).map_err(malformed)?;
                if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                    return Err(malformed("a series that was there already"));
                }
                read.samples.push(sample);
            }
        }
        Ok(read)
    }

    /// Only what a `# TYPE` says matters.
    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let mut words = comment.split_whitespace();
        if words.next() != Some("TYPE") {
            return Ok(());
        }
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err("a TYPE that is no name and kind");
        };
        if !is_name(name) || !KINDS.contains(&kind) {
            return Err("a TYPE that is no name and kind");
        }
        match self.kinds.insert(name.to_owned(), kind.to_owned()) {
            None => Ok(()),
            Some(_) => Err("a second TYPE of a name"),
        }
    }

    /// Whether the page announces this name, with figures or without.
    pub fn has(&self, family: &str) -> bool {
        self.kinds.contains_key(family) || self.of(family).next().is_some()
    }

    /// The figures of this name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }

    /// The one figure that has these labels and no others.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.of(name).filter(|sample| {
            sample.labels.len() == labels.len()
                && labels
                    .iter()
                    .all(|(label, text)| sample.label(label) == Some(*text))
        });
        found.next().map(|sample| sample.value)
    }
}

const KINDS: [&str; 5] = ["counter", "gauge", "histogram", "summary", "untyped"];

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// `name{label="text",…} value timestamp`, of which all but name and value may be missing.
fn sample(line: &str) -> Result<Sample, &'static str> {
    let end = line
        .find(['{', ' ', '\t'])
        .ok_or("a name without a value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name) {
        return Err("what is no name");
    }
    let mut labels = Vec::new();
    rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = in_braces(inside)?;
    }
    let mut words = rest.split_whitespace();
    let value = words.next().ok_or("a name without a value")?;
    let value = number(value).ok_or("a value that is no number")?;
    let timestamp = words.next().is_none_or(|word| word.parse::<i64>().is_ok());
    if !timestamp || words.next().is_some() {
        return Err("something after the value");
    }
    let name = name.to_owned();
    Ok(Sample {
        name,
        labels,
        value,
    })
}

/// What Go reads as a number, but for hexadecimal ones.
fn number(word: &str) -> Option<f64> {
    let known = word
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    let special = matches!(word, "NaN" | "+Inf" | "-Inf" | "Inf");
    (known || special).then(|| word.parse().ok()).flatten()
}

type Labels = Vec<(String, String)>;

/// The labels up to the brace that closes them, and what follows it.
fn in_braces(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (label, after) = rest.split_once('=').ok_or("a label without a text")?;
        let label = label.trim_end();
        if !is_name(label) || label.contains(':') {
            return Err("a label that is no name");
        }
        if labels.iter().any(|(known, _)| known == label) {
            return Err("a label that is there twice");
        }
        let after = after.trim_start();
        let quoted = after.strip_prefix('"').ok_or("a label without a text")?;
        let (text, after) = in_quotes(quoted)?;
        labels.push((label.to_owned(), text));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("labels that do not end"),
        }
    }
}

/// The text up to the quote that closes it, and what follows that.
fn in_quotes(rest: &str) -> Result<(String, &str), &'static str> {
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((text, chars.as_str())),
            '\\' => text.push(match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                _ => return Err("an escape that there is not"),
            }),
            c => text.push(c),
        }
    }
    Err("a text that does not end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_read() {
        let page = "# HELP a_total How many.\n# TYPE a_total counter\na_total{x=\"1\",y=\"a\\\"b\\\\c\\nd\"} 3\n\
                    a_total 4 1700000000000\n\n# TYPE b histogram\nb_bucket{le=\"+Inf\"} 2\nb_sum 3.05\n\
                    # TYPE c gauge\nd { z = \"}\" , } -1e3\ne NaN\nf +Inf\n";
        let read = Exposition::parse(page).unwrap();
        assert_eq!(
            read.get("a_total", &[("y", "a\"b\\c\nd"), ("x", "1")]),
            Some(3.0)
        );
        assert_eq!(read.get("a_total", &[]), Some(4.0));
        assert_eq!(read.get("a_total", &[("x", "1")]), None, "not all labels");
        assert_eq!(read.get("b_bucket", &[("le", "+Inf")]), Some(2.0));
        assert_eq!(read.get("d", &[("z", "}")]), Some(-1000.0));
        assert!(read.get("e", &[]).unwrap().is_nan());
        assert_eq!(read.get("f", &[]), Some(f64::INFINITY));
        assert!(read.has("c") && read.has("d") && !read.has("g"));
        assert_eq!(read.get("c", &[]), None);
        assert_eq!(read.of("a_total").count(), 2);
    }

    #[test]
    fn a_page_that_is_wrong_is_refused_as_a_whole() {
        for (page, line, what) in [
            ("a 1\nb", 2, "the page is cut off"),
            ("a 1\nb\n", 2, "a name without a value"),
            ("9 1\n", 1, "what is no name"),
            ("a{x=\"1\"}\n", 1, "a name without a value"),
            ("a one\n", 1, "a value that is no number"),
            ("a infinity\n", 1, "a value that is no number"),
            ("a 1 2 3\n", 1, "something after the value"),
            ("a 1 x\n", 1, "something after the value"),
            ("a{x} 1\n", 1, "a label without a text"),
            ("a{x=1} 1\n", 1, "a label without a text"),
            ("a{x=\"1} 1\n", 1, "a text that does not end"),
            ("a{x=\"1\" y=\"2\"} 1\n", 1, "labels that do not end"),
            ("a{x=\"\\t\"} 1\n", 1, "an escape that there is not"),
            ("a{x=\"1\",x=\"2\"} 1\n", 1, "a label that is there twice"),
            ("a{1x=\"1\"} 1\n", 1, "a label that is no name"),
            ("a 1\na 2\n", 2, "a series that was there already"),
            ("# TYPE a\n", 1, "a TYPE that is no name and kind"),
            ("# TYPE a clock\n", 1, "a TYPE that is no name and kind"),
            (
                "# TYPE a gauge\n# TYPE a gauge\n",
                2,
                "a second TYPE of a name",
            ),
            ("<html>\n", 1, "a name without a value"),
        ] {
            let wrong = Exposition::parse(page).unwrap_err();
            assert_eq!(wrong, Malformed { line, what }, "{page:?}");
        }
        assert_eq!(Exposition::parse("").unwrap(), Exposition::default());
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(page in "([a-z_]{0,3}[{}=,\"\\\\ 0-9.#\\n]{0,4}){0,30}\n?") {
            let _ = Exposition::parse(&page);
        }

        #[test]
        fn what_a_label_says_comes_out(text in "\\PC{0,12}[\"\\\\\n]{0,4}") {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let page = format!("a{{x=\"{escaped}\"}} 1\n");
            let read = Exposition::parse(&page).unwrap();
            prop_assert_eq!(read.get("a", &[("x", &text)]), Some(1.0));
        }
    }
}
