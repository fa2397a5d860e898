//! `deepme top`.
//!
//! Owns where the figures are looked for. Invariants: it reads them and asks nothing else of a server; with `--url` no
//! configuration is read, so that it needs no right to.

use super::{CliError, Global, Result, say, say_json, wiring};
use crate::client::FiguresAt;
use crate::domain::Error;
use crate::tui::{self, Look, TuiError};
use clap::Args;
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

pub(super) const HELP: &str =
    "It shows what the server tells at GET /metrics: set metrics.listen. q quits, p pauses.

Examples:
  deepme top
  deepme top --interval 5
  deepme top --url http://10.0.0.1:9464
  deepme top --once                             two readings, one interval apart, as text
  deepme top --once --json";

/// Options of `top`.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Where the figures are. Default: the configured metrics.listen.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Seconds between two readings.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Print them once to stdout and exit.
    #[arg(long)]
    once: bool,
    /// Print JSON.
    #[arg(long, requires = "once")]
    json: bool,
}

pub(super) fn run(global: &Global, command: &Top) -> Result {
    let url = match &command.url {
        Some(url) => url.clone(),
        None => configured(global)?,
    };
    let at = FiguresAt::new(&url)?;
    let every = Duration::from_secs(command.interval);
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !command.once && !terminal {
        return Err(CliError::Usage(
            "this is no terminal: use --once for scripts".into(),
        ));
    }
    wiring::block_on(async move {
        if !command.once {
            return tui::run_top(at, every).await.map_err(|error| match error {
                TuiError::Terminal(error) => error.into(),
                TuiError::Defect => CliError::Failed(error.to_string()),
            });
        }
        let look = Look::at(&at, every).await;
        let look = look.map_err(|e| CliError::Failed(format!("{}: {e}", at.url())))?;
        if command.json {
            say_json(&look.json().map_err(Error::internal)?)
        } else {
            say(look.text())
        }
    })
}

/// Where the configuration says that the figures are.
fn configured(global: &Global) -> Result<String> {
    let (config, file) = wiring::located_config(global)?;
    match config.metrics.address() {
        None => Err(CliError::Usage(switched_off(file.as_deref()))),
        Some(address) if address.port() == 0 => Err(CliError::Usage(format!(
            "metrics.listen is {address}, so the system chooses the port: name the one that serve printed with --url"
        ))),
        Some(address) => Ok(format!("http://{}", reached(address))),
    }
}

/// From this machine, an address that stands for all of them is reached at loopback.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What to write, and where.
fn switched_off(file: Option<&Path>) -> String {
    let place = match file {
        Some(file) => file.display().to_string(),
        None => "config.toml or /etc/deepme/config.toml".to_owned(),
    };
    format!(
        "the server tells no figures: metrics.listen is empty. Put this into {place} and restart it:\n\n\
         [metrics]\nlisten = \"127.0.0.1:9464\"\n\n\
         or start it with DEEPME_METRICS__LISTEN=127.0.0.1:9464; the figures of another server are named with --url"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_at_loopback() {
        for (listen, at) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("10.0.0.1:9464", "10.0.0.1:9464"),
        ] {
            assert_eq!(reached(listen.parse().unwrap()).to_string(), at);
        }
    }

    #[test]
    fn what_to_write_is_said_to_the_letter_and_is_right() {
        let says = switched_off(Some(Path::new("/etc/deepme/config.toml")));
        assert!(says.contains("/etc/deepme/config.toml"), "{says}");
        let toml = says.split("\n\n").nth(1).unwrap();
        let config: crate::config::Config = toml::from_str(toml).unwrap();
        assert!(config.metrics.address().is_some());
        assert!(switched_off(None).contains("config.toml or"));
    }
}
