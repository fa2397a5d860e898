//! The text format of Prometheus, version 0.0.4.
//!
//! Owns [`Page`]. Called by the figures above. Invariant: whatever a label holds, the page stays
//! well-formed.

use crate::domain::meter::Spread;
use std::fmt::{Display, Write as _};

/// The media type of a page.
pub(super) const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of figures is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How long something took.
    Histogram,
}

/// A page as it is written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// The samples of one name.
pub(super) struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins the samples of a name, which must be another each time.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
        Family {
            page: &mut self.0,
            name,
        }
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// A figure.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// How long something took, in seconds.
    pub(super) fn spread(&mut self, spread: &Spread) {
        for (end, count) in &spread.buckets {
            let end = f64::from(*end) / 1000.0;
            self.line("_bucket", &[("le", &end.to_string())], count);
        }
        self.line("_bucket", &[("le", "+Inf")], spread.count);
        self.line("_sum", &[], spread.sum.as_secs_f64());
        self.line("_count", &[], spread.count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.page, "{}{suffix}", self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.page, "{before}{label}=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.page.push_str("\\\\"),
                    '"' => self.page.push_str("\\\""),
                    '\n' => self.page.push_str("\\n"),
                    c => self.page.push(c),
                }
            }
            self.page.push('"');
        }
        if !labels.is_empty() {
            self.page.push('}');
        }
        let _ = writeln!(self.page, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::meter::Histogram;
    use std::time::Duration;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "How many")
            .sample(&[("x", "1"), ("y", "a\"b\\c\nd")], 3)
            .sample(&[], 4);
        let took = Histogram::new(&[50, 2500]);
        took.observe(Duration::from_millis(50));
        took.observe(Duration::from_secs(3));
        page.family("b_seconds", Kind::Histogram, "How long")
            .spread(&took.spread());
        page.family("c", Kind::Gauge, "Nothing yet");
        assert_eq!(
            page.into_text(),
            "# HELP a_total How many.\n\
             # TYPE a_total counter\n\
             a_total{x=\"1\",y=\"a\\\"b\\\\c\\nd\"} 3\n\
             a_total 4\n\
             # HELP b_seconds How long.\n\
             # TYPE b_seconds histogram\n\
             b_seconds_bucket{le=\"0.05\"} 1\n\
             b_seconds_bucket{le=\"2.5\"} 1\n\
             b_seconds_bucket{le=\"+Inf\"} 2\n\
             b_seconds_sum 3.05\n\
             b_seconds_count 2\n\
             # HELP c Nothing yet.\n\
             # TYPE c gauge\n"
        );
    }
}
