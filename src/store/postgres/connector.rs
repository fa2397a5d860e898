//! How a connection to PostgreSQL is made.
//!
//! Owns [`Connector`]: the parsed `database.url` and what TLS it asks for. Called by the pool and by
//! the one connection that listens. Invariants: without a word about it, nothing crosses a network
//! unencrypted or to a server that did not prove its name; a password shows nowhere.

use super::tls;
use crate::config;
use crate::domain::{Error, ErrorCode, Result};
use futures_util::future::BoxFuture;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where Debian's PostgreSQL has its Unix socket.
const SOCKETS: &str = "/var/run/postgresql";
/// The most milliseconds that PostgreSQL takes for a limit, with room for four times as many.
const LONGEST_LIMIT: u64 = 500_000_000;
/// A peer that says nothing for this long is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Knows where the database is and how to get there.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Connector {
    /// Reads `database.url` and the keys beside it. Fails with `config` when they make no sense.
    pub fn parse(database: &config::Database) -> Result<Self> {
        let (url, parameters) = split(database.url.expose())?;
        let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
            // The library names the part that is wrong, but not what it holds.
            wrong(format!("is no address of PostgreSQL ({e}); special characters of a password must be percent-encoded"))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(SOCKETS);
        }
        if !database.password_file.as_os_str().is_empty() {
            if config.get_password().is_some() {
                return Err(wrong(
                    "has a password already: leave database.password_file empty",
                ));
            }
            config.password(password(&database.password_file)?);
        }
        let mode = parameters.mode.unwrap_or(if near(&config) {
            Mode::Prefer
        } else {
            Mode::VerifyFull
        });
        // A socket on this machine has no TLS, and needs none; libpq does the same.
        let socket = |host: &Host| matches!(host, Host::Unix(_));
        let sockets = config.get_hosts().iter().all(socket) && config.get_hostaddrs().is_empty();
        let mode = if sockets { Mode::Disable } else { mode };
        if parameters.system && mode != Mode::VerifyFull && mode != Mode::Disable {
            return Err(wrong(
                "sslrootcert=system goes with sslmode=verify-full only",
            ));
        }
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyFull => SslMode::Require,
        });
        let roots = parameters.roots.as_deref();
        let tls = match mode {
            Mode::Disable => None,
            Mode::Prefer | Mode::Require => Some(tls::encrypted(roots)?),
            Mode::VerifyFull => Some(tls::verified(roots)?),
        };
        // A statement that nobody waits for any more ends soon. It may still succeed: who needs to know
        // looks again.
        let limit = database
            .answer_seconds
            .saturating_mul(900)
            .min(LONGEST_LIMIT);
        let own = config.get_options().unwrap_or_default();
        let options = format!(
            "{own} -c statement_timeout={limit} -c lock_timeout={limit} -c idle_in_transaction_session_timeout={}",
            limit.saturating_mul(4)
        );
        config
            .options(options.trim())
            .connect_timeout(Duration::from_secs(database.connect_seconds))
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(KEEPALIVE + Duration::from_secs(5));
        if config.get_application_name().is_none() {
            config.application_name("deepme");
        }
        Ok(Self { config, tls })
    }

    /// Where the database is and what it is called, as a part of a file name.
    pub fn file_name(&self) -> String {
        let database = self.config.get_dbname().unwrap_or_default();
        let name = format!("{} {database}", self.place());
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        name.chars().map(plain).collect()
    }

    /// Where the database is, for people: hosts and ports, no user and no password.
    pub(super) fn place(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(n, host)| {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            match host {
                // A password with an @ that nobody escaped is taken for a part of the host.
                Host::Tcp(name) => {
                    format!("{}:{port}", name.rsplit('@').next().unwrap_or_default())
                }
                Host::Unix(path) => format!("{}/.s.PGSQL.{port}", path.display()),
            }
        });
        hosts.collect::<Vec<_>>().join(", ")
    }

    /// What was read.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A connection whose messages the caller polls.
    pub(super) async fn open(&self) -> Result<(Client, Messages), tokio_postgres::Error> {
        match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, Messages::Plain(Box::new(connection))))
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, Messages::Tls(Box::new(connection))))
            }
        }
    }

    /// A connection that takes care of itself until its client is dropped.
    pub(super) async fn open_driven(
        &self,
    ) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (client, messages) = self.open().await?;
        let driving = tokio::spawn(async move {
            // What goes wrong here is what every statement on the connection hears.
            let _ = match messages {
                Messages::Plain(connection) => connection.await,
                Messages::Tls(connection) => connection.await,
            };
        });
        Ok((client, driving))
    }
}

impl deadpool_postgres::Connect for Connector {
    fn connect(
        &self,
        _: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(self.open_driven())
    }
}

/// The other half of a client: what drives it and hears notifications.
pub(super) enum Messages {
    /// Without TLS.
    Plain(Box<Connection<Socket, tokio_postgres::tls::NoTlsStream>>),
    /// With it.
    Tls(Box<Connection<Socket, tls::Stream>>),
}

impl Messages {
    /// The next message; `None` once the connection is closed.
    pub(super) fn poll(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<tokio_postgres::AsyncMessage, tokio_postgres::Error>>> {
        match self {
            Self::Plain(connection) => connection.poll_message(context),
            Self::Tls(connection) => connection.poll_message(context),
        }
    }
}

/// What `sslmode` says, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

/// What the driver does not read itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    mode: Option<Mode>,
    roots: Option<PathBuf>,
    /// Whether the system's list of roots was asked for.
    system: bool,
}

/// The URL without the parameters that are read here.
fn split(url: &str) -> Result<(String, Parameters)> {
    let Some((place, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Parameters::default()));
    };
    let mut found = Parameters::default();
    let mut rest = Vec::new();
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => {
                found.mode = Some(match mode {
                    "disable" => Mode::Disable,
                    "prefer" => Mode::Prefer,
                    "require" => Mode::Require,
                    "verify-full" => Mode::VerifyFull,
                    _ => {
                        return Err(wrong(
                            "sslmode must be disable, prefer, require or verify-full",
                        ));
                    }
                });
            }
            Some(("sslrootcert", "system")) => found.system = true,
            Some(("sslrootcert", path)) => {
                let path = path.replace("%2F", "/").replace("%2f", "/");
                found.roots = Some(PathBuf::from(path));
            }
            _ => rest.push(parameter),
        }
    }
    if rest.is_empty() {
        Ok((place.to_owned(), found))
    } else {
        Ok((format!("{place}?{}", rest.join("&")), found))
    }
}

/// Whether every host is this machine.
fn near(config: &Config) -> bool {
    let loopback = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
    };
    config.get_hosts().iter().all(loopback)
        && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

fn password(file: &Path) -> Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |e: std::io::Error| {
        Error::new(
            ErrorCode::Config,
            format!(
                "database.password_file: cannot read {}: {e}",
                file.display()
            ),
        )
    };
    let mode = std::fs::metadata(file)
        .map_err(cannot)?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorCode::Config,
            format!(
                "database.password_file: {0} can be read by others: run chmod 600 {0}",
                file.display()
            ),
        ));
    }
    let text = std::fs::read_to_string(file).map_err(cannot)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What is wrong with the address, without the address, which may hold a password.
pub(super) fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::Config, format!("database.url {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<Connector> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Connector::parse(&config::Database {
            url: config::DatabaseUrl::new(url),
            ..config::Database::default()
        })
    }

    #[test]
    fn what_stays_on_the_machine_may_be_plain_and_what_leaves_it_may_not() {
        for (url, mode) in [
            ("postgres:///deepme", SslMode::Disable),
            ("postgresql://me@localhost/deepme", SslMode::Prefer),
            ("postgres://me@127.0.0.1:5433/deepme", SslMode::Prefer),
            ("postgres://me@[::1]/deepme", SslMode::Prefer),
            ("postgres:///deepme?host=/run/postgresql", SslMode::Disable),
            (
                "postgres:///deepme?host=/run/postgresql&sslmode=require",
                SslMode::Disable,
            ),
            (
                "postgres://me@db/x?sslmode=verify-full&sslrootcert=system",
                SslMode::Require,
            ),
            (
                "postgres://me@localhost,db.example/deepme",
                SslMode::Require,
            ),
            ("postgres://me@db.example/deepme", SslMode::Require),
            (
                "postgres://me@db.example/deepme?sslmode=prefer",
                SslMode::Prefer,
            ),
            (
                "postgres://me@db.example/deepme?sslmode=disable",
                SslMode::Disable,
            ),
            (
                "postgres://me@db/x?sslmode=require&connect_timeout=1",
                SslMode::Require,
            ),
        ] {
            let connector = parsed(url).unwrap();
            assert_eq!(connector.config().get_ssl_mode(), mode, "{url}");
            assert_eq!(connector.tls.is_none(), mode == SslMode::Disable, "{url}");
        }
    }

    #[test]
    fn without_a_host_it_is_the_socket_of_the_system() {
        let connector = parsed("postgres:///deepme").unwrap();
        assert_eq!(connector.config().get_hosts(), [Host::Unix(SOCKETS.into())]);
    }

    #[test]
    fn what_makes_no_sense_is_named_without_the_password() {
        for (url, named) in [
            ("postgres://me:canary@db/x?sslmode=verify-ca", "verify-full"),
            ("postgres://me:canary@db/x?sslmode=", "sslmode"),
            (
                "postgres://me:canary@db/x?sslmode=require&sslrootcert=system",
                "verify-full",
            ),
            ("postgres://me:canary@db:port/x", "PostgreSQL"),
            ("postgres://me:canary@db/x?nonsense=1", "PostgreSQL"),
            (
                "postgres://me:canary@db/x?sslrootcert=/missing.pem",
                "/missing.pem",
            ),
        ] {
            let error = parsed(url).err().unwrap();
            assert_eq!(error.code(), ErrorCode::Config, "{url}");
            assert!(error.message().contains(named), "{error}");
            assert!(
                !format!("{error} {}", error.causes()).contains("canary"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_may_stand_in_a_private_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "s3cret and more\n").unwrap();
        let database = |url| config::Database {
            url: config::DatabaseUrl::new(url),
            password_file: file.clone(),
            ..config::Database::default()
        };
        let allow = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
        allow(0o644).unwrap();
        let refused = Connector::parse(&database("postgres:///x")).err().unwrap();
        assert!(refused.message().contains("chmod 600"), "{refused}");
        allow(0o600).unwrap();
        let connector = Connector::parse(&database("postgres:///x")).unwrap();
        let password = connector.config().get_password();
        assert_eq!(password, Some(b"s3cret and more".as_slice()));
        assert!(Connector::parse(&database("postgres://me:x@localhost/x")).is_err());
    }
}
