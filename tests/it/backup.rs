//! Backups: what was said comes back whole, on either database, and who was erased does not.

mod older;
mod refused;

use crate::cluster::cluster;
use crate::contract::at;
use crate::support::{PASSWORD, PATIENCE, Person, Server, postgres};
use deepme::auth::SystemRandom;
use deepme::auth::seal::MasterKeys;
use deepme::auth::witness::Witness;
use deepme::domain::time::ManualClock;
use deepme::domain::{Result, UserId};
use deepme::llm::scripted::answer;
use deepme::service::backup::{Examined, Made, Place, Tools, create_as_of};
use deepme::service::restored::settle;
use deepme::store::copy::{Sink, Snapshots, copy_of};
use deepme::store::postgres::PostgresStore;
use deepme::store::sqlite::SqliteStore;
use deepme::store::{SCHEMA_VERSION, Store};
use deepme::wire::rest::GenerateRequest;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    File,
    Server,
}

const KINDS: [Kind; 2] = [Kind::File, Kind::Server];

/// A database without a server: a directory that has the file, or the address.
async fn database(kind: Kind, dir: &TempDir) -> Arc<SqliteOrPostgres> {
    let path = dir.path().join("data/t.db");
    Arc::new(match kind {
        Kind::File => {
            SqliteOrPostgres::File(SqliteStore::open(&path, &ManualClock::new(at(0))).unwrap())
        }
        Kind::Server => {
            deepme::store::sqlite::prepare(&path).unwrap();
            let mut url = std::fs::read_to_string(&path).unwrap();
            if url.is_empty() {
                url = cluster().database().await;
                std::fs::write(&path, &url).unwrap();
            }
            SqliteOrPostgres::Server(Box::new(postgres(&url).await.0))
        }
    })
}

enum SqliteOrPostgres {
    File(SqliteStore),
    Server(Box<PostgresStore>),
}

impl SqliteOrPostgres {
    fn snapshots(&self) -> &dyn Snapshots {
        match self {
            Self::File(store) => store,
            Self::Server(store) => &**store,
        }
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::File(store) => store,
            Self::Server(store) => &**store,
        }
    }
}

/// An empty database at a schema version, to be filled.
async fn empty(kind: Kind, dir: &TempDir, schema: i64) -> Box<dyn Sink> {
    let path = dir.path().join("data/t.db");
    let sink = match kind {
        Kind::File => {
            SqliteStore::make_at(&path, schema).unwrap();
            SqliteStore::sink(path, schema).await
        }
        Kind::Server => {
            let url = cluster().database().await;
            std::fs::write(&path, &url).unwrap();
            let store = crate::postgres::store(&url).await;
            store.make_at(at(0), schema).await.unwrap();
            store.sink(schema).await
        }
    };
    sink.unwrap()
}

/// A server on such a directory.
async fn serve(kind: Kind, dir: &Arc<TempDir>) -> Server {
    match kind {
        Kind::File => Server::embedded_on(Arc::clone(dir)).await,
        Kind::Server => {
            database(kind, dir).await;
            let url = std::fs::read_to_string(dir.path().join("data/t.db")).unwrap();
            Server::one_of_several(&url, dir).await
        }
    }
}

fn masters(dir: &TempDir) -> Arc<MasterKeys> {
    let path = dir.path().join("data/master.key");
    Arc::new(MasterKeys::load_or_create(&path, &SystemRandom).unwrap())
}

fn place(dir: &TempDir) -> Place {
    Place::new(dir.path().join("backups"))
}

/// As `deepme backup create` beside the server.
async fn back_up(kind: Kind, server: &Server) -> Made {
    back_up_as_of(SCHEMA_VERSION, kind, server).await
}

/// As the program of that schema version did it.
async fn back_up_as_of(schema: i64, kind: Kind, server: &Server) -> Made {
    let database = database(kind, &server.dir).await;
    let tools = Tools {
        snapshots: database.snapshots(),
        masters: masters(&server.dir),
        witness: Some(Witness::beside(&server.dir.path().join("witness"))),
        clock: &*server.clock,
        random: Arc::new(SystemRandom),
    };
    let stop = CancellationToken::new();
    create_as_of(schema, &place(&server.dir), 3, &tools, &stop, &|_| ())
        .await
        .unwrap()
}

async fn examine(file: &Path, masters: &Arc<MasterKeys>) -> Result<Examined> {
    let keyring = deepme::service::backup::beside(file);
    let stop = CancellationToken::new();
    Examined::read(file, &keyring, Arc::clone(masters), &stop, &|_| ()).await
}

/// A machine that has nothing but a backup, its keyring and the master key, and puts it back.
async fn put_back(kind: Kind, from: &TempDir, backup: &Path) -> Arc<TempDir> {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::copy(
        from.path().join("data/master.key"),
        dir.path().join("data/master.key"),
    )
    .unwrap();
    let examined = examine(backup, &masters(&dir)).await.unwrap();
    assert!(examined.unread().is_empty());
    let witness = Witness::beside(&dir.path().join("witness"));
    for user_id in examined.erased() {
        witness.add_erased(user_id, examined.keyring_at).unwrap();
    }
    let mut source = examined.source().await.unwrap();
    let sink = empty(kind, &dir, examined.schema).await;
    let (tables, stop) = (examined.tables(), CancellationToken::new());
    copy_of(&tables, &mut *source, sink, &stop, &|_| ())
        .await
        .unwrap();
    // Which brings it up to date.
    let database = database(kind, &dir).await;
    settle(database.store(), &witness.erased().unwrap(), at(0))
        .await
        .unwrap();
    dir
}

async fn said(server: &Server, person: &Person, words: &str) {
    server.script(answer(&["그랬군요, ", words]));
    let request = GenerateRequest {
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    person.client.generate(&request).await.unwrap();
}

/// The digest at the end of somebody's export, which is that of the bytes before it.
async fn digest(server: &Server, user_id: UserId) -> String {
    let mut export = server.app.export(user_id).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = export.next().await.unwrap() {
        text.push_str(&piece);
    }
    let (_, data) = text.split_once("\"data\":").unwrap();
    let (data, rest) = data.split_once(",\"counts\":").unwrap();
    let told = rest.split_once("\"sha256\":\"").unwrap().1[..64].to_owned();
    let mut found = String::new();
    for byte in Sha256::digest(data) {
        let _ = write!(found, "{byte:02x}");
    }
    assert_eq!(told, found);
    told
}

/// Somebody of every kind, on a server.
async fn lived_in(server: &Server) -> Vec<Person> {
    let mut people = Vec::new();
    for name in ["jiwoo", "minsu", "haneul"] {
        people.push(server.person(name).await);
    }
    for words in ["요즘 잠이 안 와 👩‍👩‍👧", "second", "셋째 말\n\t\"'\\"] {
        said(server, &people[0], words).await;
    }
    said(server, &people[1], "나도 그래").await;
    people[0].client.set_prompt("반말로").await.unwrap();
    let by = server
        .app
        .note_access(people[0].user_id, None, "yuna", "본인이 도움을 요청함");
    by.await.unwrap();
    people
}

/// The proof of the whole: backed up, destroyed, put back, on both databases and between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybodys_export_is_the_same_on_either_database_after_it_was_put_back() {
    for from in KINDS {
        let server = serve(from, &Arc::new(tempfile::tempdir().unwrap())).await;
        let people = lived_in(&server).await;
        let mut before = Vec::new();
        for person in &people {
            before.push(digest(&server, person.user_id).await);
        }
        let made = back_up(from, &server).await;
        // What comes later is not in it.
        said(&server, &people[2], "나중에").await;
        let dir = Arc::clone(&server.dir);
        server.shut_down().await;
        for to in KINDS {
            let restored = put_back(to, &dir, &made.file).await;
            let server = serve(to, &restored).await;
            let mut after = Vec::new();
            for person in &people {
                after.push(digest(&server, person.user_id).await);
            }
            assert_eq!(before, after, "from {from:?} to {to:?}");
            // Nobody is logged in, and everybody can log in.
            let jiwoo = server.stranger().with_token(&people[0].token).unwrap();
            assert_eq!(jiwoo.me().await.unwrap_err().status(), Some(401));
            let login = server.stranger().login(&people[0].email, PASSWORD).await;
            login.unwrap();
            server.shut_down().await;
        }
    }
}

/// Nothing of what anybody is called or said is in the files, and nobody else can read them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_say_nothing_and_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = serve(Kind::File, &Arc::new(tempfile::tempdir().unwrap())).await;
    let people = lived_in(&server).await;
    let made = back_up(Kind::File, &server).await;
    let directory = made.file.parent().unwrap();
    let bytes = crate::sealing::bytes_under(directory);
    for text in [
        "jiwoo",
        "example.com",
        "argon2",
        "잠이",
        &people[0].user_id.to_string(),
    ] {
        assert!(!crate::sealing::holds(&bytes, text), "{text}");
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    let name = "deepme-20261123T064614Z.backup";
    assert_eq!(
        names,
        [
            ".deepme.backup.lock",
            ".deepme.keyring.lock",
            name,
            "deepme.keyring"
        ]
    );
    // What is in the backup has no key in it, for it is not in the tables.
    assert!(made.tables.iter().all(|copied| copied.table != "keyring"));
}

/// Who was erased is in an old backup with a name, but the words are out of reach, and putting it back does not
/// bring them back: neither on this machine nor on a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_erased_cannot_be_read_from_an_older_backup() {
    for kind in KINDS {
        let server = serve(kind, &Arc::new(tempfile::tempdir().unwrap())).await;
        let people = lived_in(&server).await;
        let (jiwoo, minsu) = (&people[0], &people[1]);
        // Without a backup there is nothing to take anybody out of.
        let nobody = server.person("nobody").await;
        assert_eq!(nobody.client.erase().await.unwrap().backups, None);
        let made = back_up(kind, &server).await;
        let keyring = made.file.with_file_name("deepme.keyring");
        let before = std::fs::File::open(&keyring).unwrap();
        let receipt = jiwoo.client.erase().await.unwrap();
        assert_eq!(receipt.backups, Some(true));
        // The bytes of the keyring before are overwritten, not only unlinked.
        let mut old = Vec::new();
        std::io::Read::read_to_end(&mut &before, &mut old).unwrap();
        assert!(old.len() > 200 && old.iter().all(|byte| *byte == 0));
        let examined = examine(&made.file, &masters(&server.dir)).await.unwrap();
        assert_eq!(examined.erased(), [jiwoo.user_id]);
        assert_eq!(examined.people(), 3);
        let kept = digest(&server, minsu.user_id).await;
        let dir = Arc::clone(&server.dir);
        server.shut_down().await;

        let restored = put_back(kind, &dir, &made.file).await;
        let database = database(kind, &restored).await;
        let store = database.store();
        assert_eq!(store.user(jiwoo.user_id).await.unwrap(), None);
        assert_eq!(store.data_key(jiwoo.user_id).await.unwrap(), None);
        drop(database);
        let server = serve(kind, &restored).await;
        let login = server.stranger().login(&jiwoo.email, PASSWORD).await;
        assert_eq!(login.unwrap_err().status(), Some(401));
        assert_eq!(digest(&server, minsu.user_id).await, kept);
        server.shut_down().await;
    }
}

/// A keyring that cannot be written is said, and tried again by the sweep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyring_that_cannot_be_written_is_followed_up() {
    let server = serve(Kind::File, &Arc::new(tempfile::tempdir().unwrap())).await;
    let people = lived_in(&server).await;
    let made = back_up(Kind::File, &server).await;
    let keyring = made.file.with_file_name("deepme.keyring");
    let (good, aside) = (
        std::fs::read(&keyring).unwrap(),
        keyring.with_extension("x"),
    );
    // As root no mode keeps anybody from writing: what stands there is no keyring.
    std::fs::rename(&keyring, &aside).unwrap();
    std::fs::write(&keyring, "other").unwrap();
    let receipt = people[0].client.erase().await.unwrap();
    assert_eq!(receipt.backups, Some(false));
    assert_eq!(std::fs::read(&keyring).unwrap(), b"other", "not touched");
    server.app.tidy().await.unwrap();
    std::fs::write(&keyring, good).unwrap();
    server.app.tidy().await.unwrap();
    let examined = examine(&made.file, &masters(&server.dir)).await.unwrap();
    assert_eq!(examined.erased(), [people[0].user_id]);
}

/// The database is lost, the next start makes an empty one, and the timer backs that up: the older backups are as
/// good as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_that_took_the_place_of_a_lost_one_spoils_no_backup() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = serve(Kind::File, &dir).await;
    let people = lived_in(&server).await;
    let before = digest(&server, people[0].user_id).await;
    let made = back_up(Kind::File, &server).await;
    server.shut_down().await;
    // The last connection takes the log away when it closes, and would take that of the next database.
    let log = dir.path().join("data/t.db-wal");
    let closing = async {
        while log.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, closing)
        .await
        .expect("the database is closed");
    for end in ["", "-shm"] {
        let _ = std::fs::remove_file(dir.path().join(format!("data/t.db{end}")));
    }
    let server = serve(Kind::File, &dir).await;
    server.app.tidy().await.unwrap();
    let newcomer = server.person("newcomer").await;
    said(&server, &newcomer, "처음이에요").await;
    server.clock.advance(std::time::Duration::from_mins(1));
    back_up(Kind::File, &server).await;
    newcomer.client.erase().await.unwrap();
    server.shut_down().await;
    let restored = put_back(Kind::File, &dir, &made.file).await;
    let server = serve(Kind::File, &restored).await;
    assert_eq!(digest(&server, people[0].user_id).await, before);
}
