//! `deepme doctor`.
//!
//! Owns what is looked at and how it is shown; [`facts`] and [`outside`] gather, [`findings`], [`database`]
//! and [`door`] decide. Invariants: it changes nothing on this machine; exit code 1 when something failed, 0 when not.

mod database;
mod door;
mod facts;
mod findings;
mod outside;
#[cfg(test)]
mod tests;

use super::backend::{Backend, blocking};
use super::terminal::PasswordFrom;
use super::{CliError, Global, Result, owner, say, say_json, wiring};
use crate::client::Client;
use crate::config::Config;
use crate::domain::Clock as _;
use crate::domain::time::SystemClock;
use clap::Args;
use database::Database;
use findings::{Finding, Severity, fail, ok, warn};
use std::fmt::Write as _;

pub(super) const HELP: &str =
    "Root runs it as the owner of the data. Asking a model costs a few dozen tokens and tells it nothing.

Examples:
  deepme doctor
  deepme doctor --models --json
  deepme doctor --url https://chat.example.com
  deepme doctor --url https://chat.example.com --email tester@example.com    a whole turn, timed";

/// Options of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Ask every model of the chain for a token.
    #[arg(long)]
    models: bool,
    /// Look at a server from outside, too, by the address that its people use.
    #[arg(long, value_name = "URL")]
    url: Option<reqwest::Url>,
    /// Hold one turn at --url as this account; it stays in its history.
    #[arg(long, requires = "url")]
    email: Option<String>,
    #[command(flatten)]
    password: PasswordFrom,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, command: Doctor) -> Result {
    let password = match &command.email {
        Some(email) => Some((email.clone(), command.password.read("password", false)?)),
        None => None,
    };
    let read = wiring::located_config(global);
    if let Ok((config, _)) = &read {
        owner::become_owner(config)?;
    }
    wiring::block_on(async move {
        let mut found = match read {
            Ok((config, file)) => {
                let mut found = findings::settings(&config, file.as_deref());
                match local(&config, command.models).await {
                    Ok(local) => found.extend(local),
                    Err(error) => found.push(misconfigured(&error)),
                }
                found
            }
            Err(error) => vec![misconfigured(&error)],
        };
        if let Some(url) = &command.url {
            found.extend(from_outside(url, password).await);
        }
        if command.json {
            say_json(&as_json(&found))?;
        } else {
            say(as_text(&found).trim_end())?;
        }
        if found
            .iter()
            .any(|finding| finding.severity == Severity::Fail)
        {
            return Err(CliError::Silent);
        }
        Ok(())
    })
}

fn misconfigured(error: &CliError) -> Finding {
    fail(
        "config",
        error.to_string(),
        "deepme config check; config.toml.example has every key",
    )
}

/// This machine.
async fn local(config: &Config, ask_models: bool) -> Result<Vec<Finding>> {
    let backend = Backend::of(&config.database)?;
    let (models, hosts) = wiring::models(config)?;
    let owned = config.clone();
    let mut found = blocking(move || {
        let backend = Backend::of(&owned.database)?;
        let mut found = findings::files(&facts::kept(&backend, &owned));
        found.extend(facts::disks(&backend, &owned).iter().map(findings::disk));
        let seen = backend.witness(&backend.key_file(&owned)).seen()?;
        found.extend(findings::clock_since(seen, SystemClock.now()));
        let (most, running) = facts::descriptors();
        let connections = owned.limits.connections as u64;
        found.push(findings::descriptors(most, running, connections));
        let hours = owned.backup.max_age_hours;
        found.push(findings::backups(
            &facts::backups(&owned),
            hours,
            SystemClock.now(),
        ));
        Ok(found)
    })
    .await?;
    let database = facts::database(&backend, config).await;
    found.extend(database::database(&database));
    if let (Backend::Postgres(_), Database::Open { .. }) = (&backend, &database)
        && let Ok(ahead) = backend.clock_ahead(&config.database).await
    {
        found.push(findings::clock("the database", ahead));
    }
    if ask_models {
        for model in models {
            let outcome = facts::ask(&*model, config).await;
            found.push(findings::model(model.name(), &outcome));
        }
    } else {
        found.push(ok(
            "model",
            format!(
                "{}; not asked (--models asks each for a token)",
                hosts.join(", then ")
            ),
        ));
    }
    Ok(found)
}

/// The server at `url`, by what anybody can ask and, with a login, by a turn.
async fn from_outside(url: &reqwest::Url, login: Option<(String, String)>) -> Vec<Finding> {
    let visitor = match outside::Visitor::new(url) {
        Ok(visitor) => visitor,
        Err(why) => return vec![fail("health", why, "give --url as https://NAME")],
    };
    let health = visitor.health().await;
    let mut found = door::health(url, &health, SystemClock.now());
    if !door::is_there(&health) {
        return found;
    }
    let handshake = door::handshake(url, &visitor.knocks().await);
    let through = handshake
        .iter()
        .all(|found| found.check != "websocket" || found.severity == Severity::Ok);
    found.extend(handshake);
    if !through {
        return found;
    }
    let Some((email, password)) = login else {
        found.push(ok(
            "streaming",
            "not looked at: --email holds a turn and times it",
        ));
        return found;
    };
    let logged_in = async {
        let client = Client::new(url.as_str())?;
        let login = client.login_v1(&email, &password).await?;
        client.with_token(&login.access_token.0)
    };
    match logged_in.await {
        Ok(client) => {
            found.extend(door::conversation(&outside::turn(&client).await));
            // The login was for this only.
            let _ = client.log_out().await;
        }
        Err(error) => found.push(warn(
            "turn",
            error.to_string(),
            "deepme user add, for somebody who tests",
        )),
    }
    found
}

fn as_text(found: &[Finding]) -> String {
    let mut text = String::new();
    for finding in found {
        let Finding {
            severity,
            check,
            says,
            fix,
        } = finding;
        let _ = writeln!(text, "{:<4}  {check:<11}  {says}", severity.as_str());
        if let Some(fix) = fix {
            let _ = writeln!(text, "{:<17}  fix: {fix}", "");
        }
    }
    let [fails, warns] = [Severity::Fail, Severity::Warn].map(|severity| {
        let such = |finding: &&Finding| finding.severity == severity;
        found.iter().filter(such).count()
    });
    let _ = match (fails, warns) {
        (0, 0) => writeln!(text, "all is well"),
        _ => writeln!(text, "failed: {fails}, warnings: {warns}"),
    };
    text
}

fn as_json(found: &[Finding]) -> serde_json::Value {
    let findings: Vec<serde_json::Value> = found
        .iter()
        .map(|finding| {
            serde_json::json!({
                "severity": finding.severity.as_str(),
                "check": finding.check,
                "says": finding.says,
                "fix": finding.fix,
            })
        })
        .collect();
    serde_json::json!({ "findings": findings })
}
