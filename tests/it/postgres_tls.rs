//! The way to PostgreSQL: what is encrypted, who is believed, with which password, and what a person
//! reads when it does not work.

use crate::cluster::{Cluster, connect};
use crate::contract::settings;
use crate::postgres::all_of;
use deepme::config;
use deepme::domain::{Error, ErrorCode};
use deepme::store::postgres::{Connector, PostgresStore};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::os::unix::fs::PermissionsExt as _;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The password of jiwoo, as it is and as it stands in a URL. It shows nowhere.
const PASSWORD: &str = "kanari p@ss/w%rd";
const IN_A_URL: &str = "kanari%20p%40ss%2Fw%25rd";
const CANARY: &str = "kanari";

/// A server whose certificate is for `localhost` and `db.example`. Beside its data are the certificates
/// of who signed it and of somebody else, which go when it goes.
struct Secure(Cluster);

/// The one that these tests share.
async fn secure() -> &'static Secure {
    static SHARED: OnceCell<Secure> = OnceCell::const_new();
    SHARED.get_or_init(Secure::start).await
}

/// Somebody who signs certificates, and their own.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::default()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

impl Secure {
    async fn start() -> Self {
        let names = vec!["localhost".to_owned(), "db.example".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let (right, issuer) = authority("right");
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let cluster = Cluster::with_tls(&certificate.pem(), &key.serialize_pem());
        let (wrong, _) = authority("wrong");
        for (name, text) in [
            ("right.pem", right),
            ("wrong.pem", wrong),
            ("empty.pem", String::new()),
        ] {
            std::fs::write(cluster.directory().join(name), text).unwrap();
        }
        let secure = Self(cluster);
        let role = format!("CREATE ROLE jiwoo LOGIN PASSWORD '{PASSWORD}'");
        let admin = connect(&secure.socket()).await;
        admin.batch_execute(&role).await.unwrap();
        secure
    }

    /// The URL of its Unix socket, for the admin.
    fn socket(&self) -> String {
        let directory = self.0.directory().display();
        let port = self.0.port();
        format!("postgres:///postgres?host={directory}&port={port}&user=postgres")
    }

    /// A URL over TCP.
    fn url(&self, login: &str, host: &str, parameters: &str) -> String {
        let port = self.0.port();
        let roots = self.0.directory().display();
        let parameters = parameters.replace("PEM", &roots.to_string());
        format!("postgres://{login}@{host}:{port}/postgres?{parameters}")
    }

    /// What comes of a URL: whether the connection is encrypted.
    async fn encrypted(&self, url: &str) -> Result<bool, Error> {
        let name = Uuid::new_v4().to_string();
        let url = format!("{url}&application_name={name}");
        let _store = open(&settings(&url)).await?;
        let admin = connect(&self.socket()).await;
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE application_name = $1";
        Ok(admin.query_one(sql, &[&name]).await.unwrap().get(0))
    }
}

async fn open(settings: &config::Database) -> Result<PostgresStore, Error> {
    let connector = Connector::parse(settings)?;
    PostgresStore::connect(&connector, settings).await
}

/// What a person reads, without the directory.
fn said(error: &Error, secure: &Secure) -> String {
    assert!(!all_of(error).contains(CANARY), "{}", all_of(error));
    let directory = secure.0.directory().display().to_string();
    let causes = error.causes();
    let all = if causes.is_empty() {
        error.to_string()
    } else {
        let text = error.to_string();
        assert!(text.starts_with("the database at "), "{text}");
        assert!(text.ends_with(" does not let us in"), "{text}");
        causes
    };
    all.replace(&directory, "PEM")
}

#[tokio::test]
async fn each_sslmode_believes_as_much_as_it_says() {
    const OTHER_NAME: &str = "error performing TLS handshake: invalid peer certificate: certificate not valid for \
                              name \"HOST\"; certificate is only valid for DnsName(\"localhost\") or DnsName(\"db.example\")";
    const UNKNOWN: &str = "error performing TLS handshake: invalid peer certificate: UnknownIssuer";
    let secure = secure().await;
    let login = format!("jiwoo:{IN_A_URL}");
    for (host, parameters, expected) in [
        ("localhost", "sslmode=disable", Ok(false)),
        (
            "localhost",
            "sslmode=disable&sslrootcert=PEM/wrong.pem",
            Ok(false),
        ),
        // Nobody listens on the way; who answers is not asked for a name.
        ("localhost", "sslmode=prefer", Ok(true)),
        ("localhost", "sslmode=require", Ok(true)),
        ("127.0.0.1", "sslmode=require", Ok(true)),
        ("localhost", "connect_timeout=5", Ok(true)),
        // With a file, the chain is proved, but not the name.
        (
            "localhost",
            "sslmode=prefer&sslrootcert=PEM/right.pem",
            Ok(true),
        ),
        (
            "127.0.0.1",
            "sslmode=require&sslrootcert=PEM/right.pem",
            Ok(true),
        ),
        (
            "localhost",
            "sslmode=prefer&sslrootcert=PEM/wrong.pem",
            Err(UNKNOWN),
        ),
        (
            "localhost",
            "sslmode=require&sslrootcert=PEM/wrong.pem",
            Err(UNKNOWN),
        ),
        // Both.
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=PEM/right.pem",
            Ok(true),
        ),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=PEM/wrong.pem",
            Err(UNKNOWN),
        ),
        (
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=PEM/right.pem",
            Err(OTHER_NAME),
        ),
        // Without a word about it, another machine must prove who it is.
        (
            "db.example",
            "hostaddr=127.0.0.1&sslrootcert=PEM/right.pem",
            Ok(true),
        ),
        (
            "db.example",
            "hostaddr=127.0.0.1&sslrootcert=PEM/wrong.pem",
            Err(UNKNOWN),
        ),
        (
            "other.example",
            "hostaddr=127.0.0.1&sslrootcert=PEM/right.pem",
            Err(OTHER_NAME),
        ),
        (
            "other.example",
            "hostaddr=127.0.0.1&sslmode=require",
            Ok(true),
        ),
        (
            "db.example",
            "hostaddr=127.0.0.1&sslmode=disable",
            Ok(false),
        ),
    ] {
        let outcome = secure
            .encrypted(&secure.url(&login, host, parameters))
            .await;
        let outcome = outcome.map_err(|error| said(&error, secure).replace(host, "HOST"));
        assert_eq!(
            outcome,
            expected.map_err(str::to_owned),
            "{host} {parameters}"
        );
    }
    // The system's own authorities, if it has any, know neither.
    for parameters in [
        "hostaddr=127.0.0.1",
        "hostaddr=127.0.0.1&sslrootcert=system",
    ] {
        let url = secure.url(&login, "db.example", parameters);
        secure.encrypted(&url).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_password_is_proved_and_never_shown() {
    let secure = secure().await;
    let right = format!("jiwoo:{IN_A_URL}");
    for parameters in [
        "sslmode=disable",
        "sslmode=require",
        "sslmode=require&channel_binding=require",
    ] {
        let url = secure.url(&right, "127.0.0.1", parameters);
        let asked = secure.encrypted(&url).await;
        assert_eq!(
            asked.unwrap(),
            parameters != "sslmode=disable",
            "{parameters}"
        );
    }
    let url = secure.url(
        "jiwoo",
        "127.0.0.1",
        &format!("sslmode=require&password={IN_A_URL}"),
    );
    assert!(secure.encrypted(&url).await.unwrap());

    for (login, parameters, expected) in [
        (
            "jiwoo:kanari",
            "sslmode=require",
            "PostgreSQL says 28P01 password authentication failed for user \"jiwoo\"",
        ),
        (
            "jiwoo",
            "sslmode=require",
            "invalid configuration: password missing",
        ),
        (
            "somebody:kanari",
            "sslmode=require",
            "PostgreSQL says 28P01 password authentication failed for user \"somebody\"",
        ),
        (
            "jiwoo:kanari",
            "sslmode=disable&channel_binding=require",
            "authentication error: server did not use channel binding",
        ),
    ] {
        let url = secure.url(login, "127.0.0.1", parameters);
        let error = secure.encrypted(&url).await.unwrap_err();
        assert_eq!(said(&error, secure), expected, "{login} {parameters}");
    }
    // An @ that nobody escaped makes the rest of the password a part of the host.
    let url = secure.url("jiwoo:p@kanari", "127.0.0.1", "sslmode=disable");
    let error = secure.encrypted(&url).await.unwrap_err();
    let sentence = said(&error, secure);
    let start = "error connecting to server: failed to lookup address information: ";
    assert!(sentence.starts_with(start), "{sentence}");

    let elsewhere = secure
        .url(&right, "127.0.0.1", "sslmode=require")
        .replace("/postgres?", "/nowhere?");
    let error = secure.encrypted(&elsewhere).await.unwrap_err();
    assert_eq!(
        said(&error, secure),
        "PostgreSQL says 3D000 database \"nowhere\" does not exist"
    );
}

#[tokio::test]
async fn a_password_may_come_from_a_private_file() {
    let secure = secure().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let path = file.display().to_string();
    let said = |error: &Error| said(error, secure).replace(&path, "FILE");
    let mut settings = settings(&secure.url("jiwoo", "127.0.0.1", "sslmode=require"));
    settings.password_file.clone_from(&file);
    let missing = open(&settings).await.err().unwrap();
    assert_eq!(missing.code(), ErrorCode::Config);
    assert_eq!(
        said(&missing),
        "database.password_file: cannot read FILE: No such file or directory (os error 2)"
    );
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let allow = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(0o640);
    let open_to_all = open(&settings).await.err().unwrap();
    assert_eq!(
        said(&open_to_all),
        "database.password_file: FILE can be read by others: run chmod 600 FILE"
    );
    allow(0o600);
    open(&settings).await.unwrap();
    std::fs::write(&file, format!("{CANARY}\n")).unwrap();
    let wrong = open(&settings).await.err().unwrap();
    assert_eq!(
        said(&wrong),
        "PostgreSQL says 28P01 password authentication failed for user \"jiwoo\""
    );
}

#[tokio::test]
async fn a_unix_socket_needs_neither_and_takes_no_tls() {
    let secure = secure().await;
    let socket = secure.socket();
    for parameters in ["", "&sslmode=prefer", "&sslmode=disable"] {
        let url = format!("{socket}{parameters}");
        let asked = secure.encrypted(&url).await;
        assert!(!asked.unwrap(), "{parameters}");
    }
    // What libpq does not ask of a socket is not asked of it here.
    for parameters in ["&sslmode=require", "&sslmode=verify-full"] {
        let asked = secure.encrypted(&format!("{socket}{parameters}")).await;
        assert!(!asked.unwrap(), "{parameters}");
    }
    let port = format!("port={}", secure.0.port());
    let url = socket.replace(&port, "port=1") + "&sslmode=disable";
    let error = secure.encrypted(&url).await.unwrap_err();
    assert_eq!(
        said(&error, secure),
        "error connecting to server: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_named() {
    let secure = secure().await;
    for (parameters, expected) in [
        (
            "sslmode=verify-full&sslrootcert=PEM/empty.pem",
            "database.url names the sslrootcert PEM/empty.pem, which is not usable: it holds no certificate",
        ),
        (
            "sslmode=require&sslrootcert=PEM/missing.pem",
            "database.url names the sslrootcert PEM/missing.pem, which is not usable: \
             I/O error: No such file or directory (os error 2)",
        ),
    ] {
        let url = secure.url("jiwoo:kanari", "localhost", parameters);
        let error = secure.encrypted(&url).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config);
        assert_eq!(said(&error, secure), expected, "{parameters}");
    }
}
