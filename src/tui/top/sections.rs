//! The figures in words: blocks of rows that fit side by side.
//!
//! Owns [`Section`] and the header. Called by the screen and by the plain text, so that both say the same. Invariants:
//! pure; what is not known is [`NOTHING`]; what needs a look is told by a colour and by bold letters, and never by
//! colour alone.

use super::super::text::{clean_line, fit, width};
use super::figures::{Delay, Figures, Model, Queues};
use super::history::{Count, Quantile, Spread};

/// What is shown of something that is not known.
pub(super) const NOTHING: &str = "–";
/// Cells of a row.
pub(super) const WIDE: usize = 38;
/// Cells of each of three numbers.
const NUMBER: usize = 8;

/// How a row is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Title,
    Plain,
    /// A remark on the row above.
    Aside,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
}

/// A row, as wide as all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// Rows that belong together; the first is their title.
pub(super) type Section = Vec<Row>;

/// A name and what is said of it at the right.
fn row(tone: Tone, name: &str, value: &str) -> Row {
    let value = fit(value, WIDE - 1);
    let name = fit(&clean_line(name), WIDE - 1 - width(&value));
    let gap = " ".repeat(WIDE - width(&name) - width(&value));
    let text = format!("{name}{gap}{value}");
    Row { text, tone }
}

/// A name and three numbers.
fn numbers(tone: Tone, name: &str, three: [String; 3]) -> Row {
    let [first, second, third] = three;
    let value = format!("{first:>NUMBER$}{second:>NUMBER$}{third:>NUMBER$}");
    row(tone, name, value.trim_start())
}

/// A name and what was counted, in this tone if there was any of it lately.
fn counted(tone: Tone, name: &str, count: Count) -> Row {
    let three = [
        rate(count.per_second),
        whole(count.lately),
        whole(count.total),
    ];
    numbers(if_lately(count, tone), name, three)
}

/// A tone if that happened lately.
fn if_lately(count: Count, tone: Tone) -> Tone {
    if count.lately.is_some_and(|times| times > 0.0) {
        tone
    } else {
        Tone::Plain
    }
}

/// All of them, in the order in which they are looked at.
pub(super) fn sections(figures: &Figures) -> Vec<Section> {
    vec![
        turns(figures),
        network(figures),
        delays(figures),
        models(figures),
        queues(&figures.queues),
        safety(figures),
    ]
}

/// The heading of numbers that are counted.
fn counters(figures: &Figures, name: &str, last: &str) -> Row {
    let lately = figures.lately_seconds.map_or(NOTHING.to_owned(), time);
    numbers(
        Tone::Title,
        name,
        ["/s".to_owned(), lately, last.to_owned()],
    )
}

fn turns(figures: &Figures) -> Section {
    let turns = &figures.turns;
    let full = match (turns.running, turns.places) {
        (Some(running), Some(places)) if running >= places * 0.9 => Tone::Warn,
        _ => Tone::Plain,
    };
    vec![
        counters(figures, "turns", "all"),
        row(full, "running", &of(turns.running, turns.places)),
        counted(Tone::Plain, "started", turns.started),
        counted(Tone::Plain, "complete", turns.complete),
        counted(Tone::Plain, "cancelled", turns.cancelled),
        counted(Tone::Warn, "interrupted", turns.interrupted),
        counted(Tone::Bad, "failed", turns.failed),
        counted(Tone::Warn, "refused", turns.refused),
        counted(Tone::Plain, "tokens read", turns.tokens_read),
        counted(Tone::Plain, "tokens written", turns.tokens_written),
        counted(Tone::Plain, "answer bytes", turns.answer_bytes),
    ]
}

fn network(figures: &Figures) -> Section {
    let requests = &figures.requests;
    vec![
        counters(figures, "network", "all"),
        row(Tone::Plain, "sockets open", &whole(figures.sockets_open)),
        counted(Tone::Plain, "sockets closed", figures.sockets_closed),
        counted(Tone::Plain, "requests", requests.all),
        counted(Tone::Plain, "… refused 4xx", requests.refused),
        counted(Tone::Bad, "… failed 5xx", requests.failed),
    ]
}

fn delays(figures: &Figures) -> Section {
    let heads = ["half", "95 %", "mean"].map(str::to_owned);
    let lately = figures.lately_seconds.map_or(NOTHING.to_owned(), time);
    let rows = |name: &str, delay: &Delay| {
        [
            spread(&format!("{name}, {lately}"), delay.lately),
            spread("… since start", delay.total),
        ]
    };
    let mut section = vec![numbers(Tone::Title, "delays", heads)];
    section.extend(rows("1st token", &figures.first_token));
    section.extend(rows("between", &figures.between_tokens));
    section.extend(rows("turn", &figures.whole_turn));
    section
}

fn spread(name: &str, spread: Option<Spread>) -> Row {
    let three = match spread {
        Some(spread) => [
            quantile(spread.p50),
            quantile(spread.p95),
            delay(spread.mean),
        ],
        None => [NOTHING; 3].map(str::to_owned),
    };
    numbers(Tone::Plain, name, three)
}

fn models(figures: &Figures) -> Section {
    let heads = ["breaker", "answers", "failed"].map(str::to_owned);
    let mut section = vec![numbers(Tone::Title, "models", heads)];
    for model in &figures.models {
        let name = format!("{} {}", model.place, model.name);
        let breaker = model.breaker.clone().unwrap_or(NOTHING.to_owned());
        let three = [
            clean_line(&breaker).replace('_', " "),
            whole(model.answers.total),
            whole(model.failures.total),
        ];
        section.push(numbers(health(model), &name, three));
        if !model.faults.is_empty() {
            let faults = model.faults.iter();
            let faults = faults
                .map(|(fault, times)| format!("{} {}", whole(Some(*times)), clean_line(fault)));
            let faults = faults.collect::<Vec<_>>().join(", ");
            section.push(row(Tone::Aside, "", &faults));
        }
    }
    if figures.models.is_empty() {
        section.push(numbers(
            Tone::Plain,
            NOTHING,
            [NOTHING; 3].map(str::to_owned),
        ));
    }
    section
}

fn health(model: &Model) -> Tone {
    match model.breaker.as_deref() {
        Some("open") => Tone::Bad,
        Some("half_open") => Tone::Warn,
        _ => if_lately(model.failures, Tone::Warn),
    }
}

fn queues(queues: &Queues) -> Section {
    let waiting = match queues.store {
        Some(calls) if calls > 0.0 => Tone::Warn,
        _ => Tone::Plain,
    };
    let mut section = vec![
        row(Tone::Title, "waiting", "now"),
        row(Tone::Plain, "passwords to hash", &whole(queues.passwords)),
        row(waiting, "calls of the store", &whole(queues.store)),
    ];
    if queues.commits.total.is_some() {
        let value = format!(
            "{}/s of {}/s",
            rate(queues.commits.per_second),
            rate(queues.writes.per_second)
        );
        section.push(row(Tone::Plain, "commits of writes", &value));
    }
    if let Some(busy) = queues.connections_busy {
        let open = queues.connections_idle.map(|idle| idle + busy);
        section.push(row(Tone::Plain, "connections busy", &of(Some(busy), open)));
    }
    section
}

fn safety(figures: &Figures) -> Section {
    let safety = &figures.safety;
    vec![
        counters(figures, "safety", "all"),
        counted(Tone::Plain, "none", safety.none),
        counted(Tone::Plain, "low", safety.low),
        counted(Tone::Warn, "elevated", safety.elevated),
        counted(Tone::Bad, "imminent", safety.imminent),
    ]
}

/// What is said of the server as a whole, in two lines.
pub(super) fn header(figures: &Figures) -> [String; 2] {
    let told = |text: &Option<String>| text.as_deref().map_or(NOTHING.to_owned(), clean_line);
    let ago = figures
        .newest_backup_age_seconds
        .map(|age| format!("{} ago", time(age)));
    let megabytes = figures
        .resident_bytes
        .map(|bytes| format!("{:.0} MiB", bytes / 1_048_576.0));
    let or_nothing = |text: Option<String>| text.unwrap_or(NOTHING.to_owned());
    [
        format!(
            "deepme {} · schema {} · up {}",
            told(&figures.version),
            told(&figures.schema),
            or_nothing(figures.uptime_seconds.map(time)),
        ),
        format!(
            "{} · {} descriptors · newest backup {}",
            or_nothing(megabytes),
            of(figures.descriptors, figures.descriptors_most),
            or_nothing(ago),
        ),
    ]
}

/// `3 of 1000`
fn of(some: Option<f64>, all: Option<f64>) -> String {
    match (some, all) {
        (Some(_), Some(_)) => format!("{} of {}", whole(some), whole(all)),
        _ => whole(some),
    }
}

fn whole(number: Option<f64>) -> String {
    match number {
        None => NOTHING.to_owned(),
        Some(number) if number >= 1e9 => format!("{:.2}G", number / 1e9),
        Some(number) if number >= 1e7 => format!("{:.1}M", number / 1e6),
        Some(number) => format!("{number:.0}"),
    }
}

fn rate(number: Option<f64>) -> String {
    match number {
        None => NOTHING.to_owned(),
        Some(number) if number >= 100.0 => whole(Some(number)),
        Some(number) => format!("{number:.1}"),
    }
}

fn quantile(quantile: Quantile) -> String {
    let more = if quantile.more { "> " } else { "" };
    format!("{more}{}", delay(quantile.seconds))
}

/// How long something took.
fn delay(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

/// How long something has been going on.
pub(super) fn time(seconds: f64) -> String {
    let (minutes, hours) = ((seconds / 60.0).floor(), (seconds / 3600.0).floor());
    if seconds < 119.5 {
        format!("{seconds:.0} s")
    } else if hours < 2.0 {
        format!("{minutes:.0} min")
    } else if hours < 48.0 {
        format!("{hours:.0} h {:.0} min", minutes - hours * 60.0)
    } else {
        let days = (hours / 24.0).floor();
        format!("{days:.0} d {:.0} h", hours - days * 24.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_honest() {
        for (number, text) in [
            (None, "–"),
            (Some(0.0), "0"),
            (Some(9_999_999.0), "9999999"),
            (Some(12_345_678.0), "12.3M"),
            (Some(4.567e9), "4.57G"),
        ] {
            assert_eq!(whole(number), text);
        }
        assert_eq!(
            (rate(None), rate(Some(0.0)), rate(Some(1234.5))),
            ("–".to_owned(), "0.0".to_owned(), "1234".to_owned())
        );
        for (seconds, text) in [
            (0.0, "0 ms"),
            (0.0421, "42 ms"),
            (0.9999, "1.0 s"),
            (2.34, "2.3 s"),
            (20.4, "20 s"),
        ] {
            assert_eq!(delay(seconds), text);
        }
        for (seconds, text) in [
            (0.4, "0 s"),
            (60.0, "60 s"),
            (119.6, "1 min"),
            (7199.0, "119 min"),
            (11_520.0, "3 h 12 min"),
            (200_000.0, "2 d 7 h"),
        ] {
            assert_eq!(time(seconds), text);
        }
        assert_eq!(
            quantile(Quantile {
                seconds: 20.0,
                more: true
            }),
            "> 20 s"
        );
        assert_eq!(of(Some(3.0), Some(1000.0)), "3 of 1000");
        assert_eq!(of(Some(3.0), None), "3");
        assert_eq!(of(None, Some(1000.0)), "–");
    }

    #[test]
    fn every_row_is_as_wide_as_all() {
        let mut figures = Figures::default();
        let faults = [
            ("connection".to_owned(), 1e12),
            ("stalled".to_owned(), 1e12),
            ("malformed".to_owned(), 1e12),
        ];
        figures.models.push(Model {
            name: "\u{1b}[31m아주 긴 이름의 모델 a model with a very long name".to_owned(),
            faults: faults.into(),
            ..Model::default()
        });
        for row in sections(&figures).iter().flatten() {
            assert_eq!(width(&row.text), WIDE, "{row:?}");
            assert!(!row.text.contains('\u{1b}'), "{row:?}");
        }
    }
}
