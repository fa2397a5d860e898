//! A server on port 0 with a scripted model and a clock that stands still, and people who talk to it.

mod people;

pub use people::{Person, Talk};

use crate::cluster::cluster;
use crate::contract::settings;
use deepme::auth::SystemRandom;
use deepme::auth::keys::Keys;
use deepme::auth::masters::Masters;
use deepme::auth::seal::MasterKeys;
use deepme::auth::witness::Witness;
use deepme::client::Client;
use deepme::config::Config;
use deepme::domain::Timestamp;
use deepme::domain::step::FinishReason;
use deepme::domain::time::ManualClock;
use deepme::llm::ChatModel;
use deepme::llm::scripted::{Act, Gate, Scripted};
use deepme::service::backup::{Backups, Place};
use deepme::service::{App, Parts};
use deepme::store::copy::Snapshots;
use deepme::store::postgres::{Connector, PostgresBulletin, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{Bulletin, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-11-23T06:46:14Z
pub const START: Timestamp = Timestamp::from_micros(1_795_416_374_000_000);
/// Nothing in these tests takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "correct horse battery";

pub struct Server {
    pub app: Arc<App>,
    pub model: Arc<Scripted>,
    pub clock: Arc<ManualClock>,
    pub address: SocketAddr,
    pub dir: Arc<TempDir>,
    pub stop: CancellationToken,
    pub serving: JoinHandle<std::io::Result<()>>,
}

/// The script of an answer that is held in the middle until `gate` is opened.
pub fn held(before: &str, gate: &Gate, after: &str) -> Vec<Act> {
    vec![
        Act::Say(before.to_owned()),
        Act::Wait(gate.clone()),
        Act::Say(after.to_owned()),
        Act::End(FinishReason::Stop),
    ]
}

/// What a server stands on.
struct Opened {
    store: Arc<dyn Store>,
    snapshots: Arc<dyn Snapshots>,
    bulletin: Option<Arc<dyn Bulletin>>,
    /// Whether nobody else works on it.
    alone: bool,
}

/// Whether these tests run on PostgreSQL: `tests/run` runs them once on each.
pub fn on_postgres() -> bool {
    std::env::var("DEEPME_TEST_BACKEND").is_ok_and(|backend| backend == "postgres")
}

/// The database of a directory, made when there is none.
async fn open(dir: &TempDir, clock: &ManualClock, on_postgres: bool) -> Opened {
    let file = dir.path().join("data/t.db");
    if !on_postgres {
        let store = Arc::new(SqliteStore::open(&file, clock).unwrap());
        return Opened {
            snapshots: Arc::<SqliteStore>::clone(&store),
            store,
            bulletin: None,
            alone: true,
        };
    }
    deepme::store::sqlite::prepare(&file).unwrap();
    let mut url = std::fs::read_to_string(&file).unwrap();
    if url.is_empty() {
        url = cluster().database().await;
        std::fs::write(&file, &url).unwrap();
    }
    let (store, connector) = postgres(&url).await;
    let store = Arc::new(store);
    Opened {
        snapshots: Arc::<PostgresStore>::clone(&store),
        store,
        bulletin: Some(PostgresBulletin::start(connector)),
        alone: true,
    }
}

/// A store on the database at `url`, of which the schema is up to date.
pub async fn postgres(url: &str) -> (PostgresStore, Connector) {
    let settings = settings(url);
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate(START).await.unwrap();
    (store, connector)
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A server whose configuration is changed first.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::on(Arc::new(tempfile::tempdir().unwrap()), config, None).await
    }

    /// A server on a directory that may have a database, with these models or the scripted one.
    pub async fn on(
        dir: Arc<TempDir>,
        config: Config,
        models: Option<Vec<Arc<dyn ChatModel>>>,
    ) -> Self {
        Self::over(dir, config, models, |store| store).await
    }

    /// The same with something between the server and its store.
    pub async fn over(
        dir: Arc<TempDir>,
        config: Config,
        models: Option<Vec<Arc<dyn ChatModel>>>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let mut opened = open(&dir, &clock, on_postgres()).await;
        opened.store = wrap(opened.store);
        Self::of(dir, config, models, opened, clock).await
    }

    /// The same that hears these news from other instances.
    pub async fn over_hearing(
        bulletin: Arc<dyn Bulletin>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock::new(START));
        let mut opened = open(&dir, &clock, on_postgres()).await;
        opened.store = wrap(opened.store);
        opened.bulletin = Some(bulletin);
        Self::of(dir, Config::default(), None, opened, clock).await
    }

    /// A server on embedded SQLite, whatever the others run on.
    pub async fn embedded() -> Self {
        Self::embedded_on(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// The same on a directory that may have a database.
    pub async fn embedded_on(dir: Arc<TempDir>) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let opened = open(&dir, &clock, false).await;
        Self::of(dir, Config::default(), None, opened, clock).await
    }

    /// One of several servers on the PostgreSQL database at `url`.
    pub async fn one_of_several(url: &str, keys: &Arc<TempDir>) -> Self {
        Self::one_of_several_over(url, keys, |store| store).await
    }

    /// The same with something between the server and its store.
    pub async fn one_of_several_over(
        url: &str,
        keys: &Arc<TempDir>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let (store, connector) = postgres(url).await;
        let store = Arc::new(store);
        let opened = Opened {
            snapshots: Arc::<PostgresStore>::clone(&store),
            store: wrap(store),
            bulletin: Some(PostgresBulletin::start(connector)),
            alone: false,
        };
        std::fs::create_dir_all(keys.path().join("data")).unwrap();
        Self::of(Arc::clone(keys), Config::default(), None, opened, clock).await
    }

    async fn of(
        dir: Arc<TempDir>,
        config: Config,
        models: Option<Vec<Arc<dyn ChatModel>>>,
        opened: Opened,
        clock: Arc<ManualClock>,
    ) -> Self {
        let Opened {
            store,
            snapshots,
            bulletin,
            alone,
        } = opened;
        let mut config = config;
        // The scripts of most tests are for turns; who wants cards brings a model for them.
        config.llm.cards &= models.is_some();
        let model = Arc::new(Scripted::default());
        let keys = Keys::load_or_create(&dir.path().join("data/token.key"), &SystemRandom).unwrap();
        let master_file = dir.path().join("data/master.key");
        let masters = MasterKeys::load_or_create(&master_file, &SystemRandom).unwrap();
        let app = App::new(Parts {
            config,
            store,
            bulletin,
            models: models.unwrap_or_else(|| vec![Arc::clone(&model) as Arc<dyn ChatModel>]),
            keys,
            masters: Masters::of_file(masters, master_file),
            backups: Some(Backups {
                place: Place::new(dir.path().join("backups")),
                snapshots,
            }),
            witness: Some(Witness::beside(&dir.path().join("witness"))),
            clock: Arc::<ManualClock>::clone(&clock),
            random: Arc::new(SystemRandom),
        })
        .unwrap();
        if alone {
            app.close_all_orphans().await.unwrap();
        }
        app.recognise_an_old_copy().await.unwrap();
        let heeding = Arc::clone(&app);
        tokio::spawn(async move { heeding.heed().await });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(deepme::http::serve(
            Arc::clone(&app),
            listener,
            stop.clone(),
        ));
        Self {
            app,
            model,
            clock,
            address,
            dir,
            stop,
            serving,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Somebody who is not logged in.
    pub fn stranger(&self) -> Client {
        Client::new(&self.url()).unwrap()
    }

    /// Somebody with an account, through the front door.
    pub async fn person(&self, name: &str) -> Person {
        self.person_called(name, &format!("{name}@example.com"))
            .await
    }

    /// The same with an address that is not made of the name.
    pub async fn person_called(&self, name: &str, email: &str) -> Person {
        let stranger = self.stranger();
        let user = stranger.register(name, email, PASSWORD).await.unwrap();
        let login = stranger.login(email, PASSWORD).await.unwrap();
        let token = login.access_token.0;
        Person {
            client: stranger.with_token(&token).unwrap(),
            user_id: user.user_id,
            token,
            email: email.to_owned(),
        }
    }

    /// Adds the script of the next answer.
    pub fn script(&self, script: Vec<Act>) {
        self.model.add(script);
    }

    /// The same database by another way, as a command beside the server has it.
    pub async fn beside(&self) -> Arc<dyn Store> {
        open(&self.dir, &self.clock, on_postgres()).await.store
    }

    pub fn database(&self) -> PathBuf {
        self.dir.path().join("data/t.db")
    }

    /// SIGTERM, as it were.
    pub async fn shut_down(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .expect("the drain ends")
            .unwrap()
            .unwrap();
    }
}
