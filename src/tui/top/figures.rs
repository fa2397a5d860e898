//! What there is to say of a server at a moment.
//!
//! Owns [`Figures`], made of the readings; shown on the screen, as text and as JSON. Invariant: pure; each of them is
//! `None` when the page does not tell it.

use super::history::{Count, History, Spread};
use crate::domain::Timestamp;
use crate::wire::exposition::{Exposition, Sample};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) version: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) uptime_seconds: Option<f64>,
    pub(super) newest_backup_age_seconds: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) descriptors: Option<f64>,
    pub(super) descriptors_most: Option<f64>,
    /// What every `per_second` is of.
    pub(super) last_seconds: Option<f64>,
    /// What every `lately` is of.
    pub(super) lately_seconds: Option<f64>,
    pub(super) turns: Turns,
    pub(super) first_token: Delay,
    pub(super) between_tokens: Delay,
    pub(super) whole_turn: Delay,
    pub(super) models: Vec<Model>,
    pub(super) queues: Queues,
    pub(super) sockets_open: Option<f64>,
    pub(super) sockets_closed: Count,
    pub(super) requests: Requests,
    pub(super) safety: Safety,
}

/// Turns and their tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Turns {
    pub(super) running: Option<f64>,
    pub(super) places: Option<f64>,
    pub(super) started: Count,
    pub(super) complete: Count,
    pub(super) cancelled: Count,
    pub(super) interrupted: Count,
    pub(super) failed: Count,
    pub(super) refused: Count,
    pub(super) tokens_read: Count,
    pub(super) tokens_written: Count,
    pub(super) answer_bytes: Count,
}

/// A delay in the last minute and since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Delay {
    pub(super) lately: Option<Spread>,
    pub(super) total: Option<Spread>,
}

/// A model of the chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Model {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) breaker: Option<String>,
    pub(super) answers: Count,
    pub(super) failures: Count,
    /// What went wrong since the start, and how often.
    pub(super) faults: BTreeMap<String, f64>,
}

/// What waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Queues {
    pub(super) passwords: Option<f64>,
    pub(super) store: Option<f64>,
    pub(super) connections_busy: Option<f64>,
    pub(super) connections_idle: Option<f64>,
    pub(super) commits: Count,
    pub(super) writes: Count,
}

/// HTTP.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Requests {
    pub(super) all: Count,
    pub(super) refused: Count,
    pub(super) failed: Count,
}

/// What the safety gate said of turns.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Safety {
    pub(super) none: Count,
    pub(super) low: Count,
    pub(super) elevated: Count,
    pub(super) imminent: Count,
}

impl Figures {
    /// What the readings say `now`.
    pub(super) fn of(history: &History, now: Timestamp) -> Self {
        let Some(page) = history.page() else {
            return Self::default();
        };
        let gauge = |name: &str| page.get(name, &[]);
        let build = page.of("deepme_build_info").next();
        let build = |label| {
            build
                .and_then(|sample| sample.label(label))
                .map(str::to_owned)
        };
        let age = |name: &str| seconds_since(gauge(name)?, now);
        let answers = |class: Option<&'static str>| {
            history.count("deepme_http_requests_total", move |sample| {
                class.is_none() || sample.label("status") == class
            })
        };
        let tier = |tier| history.count("deepme_safety_turns_total", labelled("tier", tier));
        Self {
            version: build("version"),
            schema: build("schema"),
            uptime_seconds: age("process_start_time_seconds"),
            newest_backup_age_seconds: age("deepme_backup_time_seconds"),
            resident_bytes: gauge("process_resident_memory_bytes"),
            descriptors: gauge("process_open_fds"),
            descriptors_most: gauge("process_max_fds"),
            last_seconds: history.last(),
            lately_seconds: history.lately(),
            turns: turns(history, page),
            first_token: delay(history, "deepme_first_token_seconds"),
            between_tokens: delay(history, "deepme_between_tokens_seconds"),
            whole_turn: delay(history, "deepme_turn_seconds"),
            models: models(history, page),
            queues: Queues {
                passwords: gauge("deepme_passwords_hashing"),
                store: gauge("deepme_store_waiting"),
                connections_busy: page.get("deepme_store_connections", &[("state", "busy")]),
                connections_idle: page.get("deepme_store_connections", &[("state", "idle")]),
                commits: history.count("deepme_store_commits_total", any),
                writes: history.count("deepme_store_writes_total", any),
            },
            sockets_open: gauge("deepme_sockets_open"),
            sockets_closed: history.count("deepme_sockets_closed_total", any),
            requests: Requests {
                all: answers(None),
                refused: answers(Some("4xx")),
                failed: answers(Some("5xx")),
            },
            safety: Safety {
                none: tier("none"),
                low: tier("low"),
                elevated: tier("elevated"),
                imminent: tier("imminent"),
            },
        }
    }
}

const fn any(_: &Sample) -> bool {
    true
}

fn labelled(label: &'static str, text: &str) -> impl Fn(&Sample) -> bool {
    move |sample| sample.label(label) == Some(text)
}

fn turns(history: &History, page: &Exposition) -> Turns {
    let ended = |status| history.count("deepme_turns_ended_total", labelled("status", status));
    let tokens = |way| history.count("deepme_tokens_total", labelled("direction", way));
    Turns {
        running: page.get("deepme_turns_running", &[]),
        places: page.get("deepme_turns_places", &[]),
        started: history.count("deepme_turns_started_total", any),
        complete: ended("complete"),
        cancelled: ended("cancelled"),
        interrupted: ended("interrupted"),
        failed: ended("failed"),
        refused: history.count("deepme_turns_refused_total", any),
        tokens_read: tokens("in"),
        tokens_written: tokens("out"),
        answer_bytes: history.count("deepme_answer_bytes_total", any),
    }
}

fn delay(history: &History, name: &str) -> Delay {
    Delay {
        lately: history.spread_lately(name),
        total: history.spread(name),
    }
}

/// In the order in which they are asked. A model can stand in the chain twice.
fn models(history: &History, page: &Exposition) -> Vec<Model> {
    let mut models: BTreeMap<(u32, String), Model> = BTreeMap::new();
    for sample in page.of("deepme_model_breaker") {
        let label = |name| sample.label(name).unwrap_or_default().to_owned();
        let (place, name) = (label("place"), label("model"));
        let order = (place.parse().unwrap_or(u32::MAX), name.clone());
        let model = models.entry(order).or_insert_with(|| {
            let its = |sample: &Sample| {
                sample.label("place") == Some(&place) && sample.label("model") == Some(&name)
            };
            let failures = page.of("deepme_model_failures_total");
            let faults = failures.filter(|sample| its(sample) && sample.value > 0.0);
            let faults = faults.filter_map(|sample| {
                let fault = sample.label("fault")?;
                Some((fault.to_owned(), sample.value))
            });
            Model {
                answers: history.count("deepme_model_answers_total", its),
                failures: history.count("deepme_model_failures_total", its),
                faults: faults.collect(),
                breaker: None,
                place: place.clone(),
                name: name.clone(),
            }
        });
        if sample.value > 0.0 {
            model.breaker = sample.label("state").map(str::to_owned);
        }
    }
    models.into_values().collect()
}

/// How long something is ago that happened at `seconds` since 1970; `None` when it is yet to come, as between two
/// machines whose clocks differ.
fn seconds_since(seconds: f64, now: Timestamp) -> Option<f64> {
    let micros = now.as_micros();
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact to a microsecond until the year 2255, and shown in seconds"
    )]
    let age = micros as f64 / 1e6 - seconds;
    (age >= 0.0).then_some(age)
}
