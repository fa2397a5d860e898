//! Everything that is proved through the front door: the real client against a server on port 0.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::similar_names,
    reason = "what a store is asked is a begin, what comes of it a begun"
)]
#![expect(clippy::too_many_lines, reason = "a table of cases is long")]
#![expect(
    unreachable_pub,
    reason = "one binary, many modules: what they share is pub"
)]

mod cluster;
mod proxy;
mod raw;
mod support;
mod talkers;

mod backup;
mod bad_frames;
mod bad_requests;
mod beside;
mod cards;
mod chain;
mod command_line;
mod contract;
mod conversation;
mod copy;
mod cuts;
mod documented;
mod doors;
mod elsewhere;
mod faults;
mod house;
mod insight;
mod limits;
mod lists;
mod long_talks;
mod looking_back;
mod metrics;
mod never_silence;
mod openapi;
mod page;

mod postgres;
mod postgres_news;
mod postgres_tls;
mod races;
mod readme;
mod sealing;
mod search;
mod security;
mod settings;
mod several;
mod sqlite;
mod unsure;
mod upstream;
mod variables;
mod webhook;
