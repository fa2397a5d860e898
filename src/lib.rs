//! deepme: a self-hosted emotion-chat backend.
//!
//! The house has floors; a file imports only from floors below its own, and siblings on a floor do
//! not know each other (`tests/it/house.rs` enforces this table).
//!
//! | floor | modules | what they are |
//! |---|---|---|
//! | 5 | [`cli`] | one file a subcommand; wiring, signals, reload, systemd |
//! | 4 | [`http`], [`tui`] | surfaces: thin handlers, the terminal client |
//! | 3 | [`service`] | use-cases: accounts, sessions, turns, prompts |
//! | 2 | [`store::sqlite`], [`store::postgres`], [`llm`]'s models, [`auth`], [`safety`], [`insight`], [`webhook`], [`client`] | what acts |
//! | 1 | [`wire`], [`config`], [`store`], [`llm`] | contracts |
//! | 0 | [`domain`], [`linear`] | pure values and decisions |

pub mod auth;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod http;
pub mod insight;
pub mod linear;
pub mod llm;
pub mod safety;
pub mod service;
pub mod store;
pub mod tui;
pub mod webhook;
pub mod wire;
