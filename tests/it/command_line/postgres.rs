//! The commands on PostgreSQL: schema, keys, refusals, and a conversation.

use super::{Machine, Outcome, PASSWORD};
use crate::cluster::{cluster, connect};
use deepme::store::SCHEMA_VERSION;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

/// A machine whose database is on a server.
struct Connected {
    machine: Machine,
    url: String,
}

impl Connected {
    /// On an empty database.
    async fn new() -> Self {
        Self::on(cluster().database().await)
    }

    fn on(url: String) -> Self {
        let machine = Machine::new();
        Self { machine, url }
    }

    /// With its schema and its keys.
    async fn ready() -> Self {
        let connected = Self::new().await;
        connected.run("migrate up").ok();
        connected.run("keys init").ok();
        connected
    }

    fn run(&self, args: &str) -> Outcome {
        let args: Vec<&str> = args.split(' ').collect();
        self.run_args(&args, "")
    }

    fn run_args(&self, args: &[&str], stdin: &str) -> Outcome {
        let env = [("DEEPME_DATABASE__URL", self.url.as_str())];
        self.machine.run_with(args, stdin, &env)
    }

    fn add_user(&self, name: &str) -> Outcome {
        let email = format!("{name}@example.com");
        let args = ["user", "add", "--name", name, "--email", &email];
        self.run_args(
            &[&args[..], &["--password-stdin", "--json"]].concat(),
            PASSWORD,
        )
    }

    /// What it says, without what is another each time.
    fn shown(&self, outcome: &Outcome) -> String {
        let shown = format!("{}{}", outcome.out, outcome.err).replace(&self.url, "URL");
        let mut newest = shown.clone();
        for before in ["needs ", "-> ", "schema "] {
            newest = newest.replace(&format!("{before}{SCHEMA_VERSION}"), &format!("{before}N"));
        }
        newest
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_is_shown_and_brought_up() {
    let connected = Connected::new().await;
    let status = connected.run("migrate status").ok();
    insta::assert_snapshot!(connected.shown(&status), @r"
    URL: schema 0, this program needs N
    run deepme migrate up
    ");
    let status = connected.run("migrate status --json").ok().json();
    assert_eq!(status, json!({"current": 0, "wanted": SCHEMA_VERSION}));
    let up = connected.run("migrate up").ok();
    insta::assert_snapshot!(connected.shown(&up), @"schema 0 -> N");
    let again = connected.run("migrate up").ok();
    insta::assert_snapshot!(connected.shown(&again), @"schema N is up to date");
    let again = connected.run("migrate up --json").ok().json();
    let wanted =
        json!({"before": SCHEMA_VERSION, "current": SCHEMA_VERSION, "wanted": SCHEMA_VERSION});
    assert_eq!(again, wanted);
    assert!(
        !connected.machine.path("data").exists(),
        "nothing of this is here"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_machines_bring_one_database_up_at_once() {
    let url = cluster().database().await;
    let running: Vec<_> = (0..10)
        .map(|_| {
            let url = url.clone();
            tokio::task::spawn_blocking(move || Connected::on(url).run("migrate up --json"))
        })
        .collect();
    for outcome in running {
        let told = outcome.await.unwrap().ok().json();
        assert_eq!(told["current"], SCHEMA_VERSION);
    }
    let rows = connect(&url)
        .await
        .query(
            "SELECT version FROM schema_migrations ORDER BY version",
            &[],
        )
        .await
        .unwrap();
    let versions: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(versions, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_not_this_programs_is_refused() {
    let connected = Connected::ready().await;
    let client = connect(&connected.url).await;
    let everything = ["serve --listen 127.0.0.1:0", "user list", "prompt list"];
    client
        .batch_execute("DELETE FROM schema_migrations WHERE version > 1")
        .await
        .unwrap();
    for args in everything {
        let refused = connected.run(args).failed(2, "run deepme migrate up");
        insta::allow_duplicates! {
            insta::assert_snapshot!(connected.shown(&refused), @"deepme: the database has schema version 1, this program needs N: run deepme migrate up");
        }
    }
    client
        .batch_execute("INSERT INTO schema_migrations VALUES (99, 'later', 0)")
        .await
        .unwrap();
    for args in everything.into_iter().chain(["migrate up"]) {
        connected.run(args).failed(2, "run the newer deepme");
    }
    let status = connected.run("migrate status --json").ok().json();
    assert_eq!(status, json!({"current": 99, "wanted": SCHEMA_VERSION}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_once_and_never_shown() {
    let connected = Connected::new().await;
    connected.run("keys show").failed(2, "data/token.key");
    // The database need not be there for it.
    let connected = Connected::on("postgres://nobody@127.0.0.1:1/nothing".to_owned());
    connected.run("keys init").ok();
    let file = connected.machine.path("data/token.key");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    connected.run("keys init").failed(2, "there are keys");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        text,
        "not overwritten"
    );
    let (id, secret) = text.trim().split_once(' ').unwrap();
    let master = connected.machine.path("data/master.key");
    assert_eq!(
        master.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let master = std::fs::read_to_string(master).unwrap();
    let (master, master_secret) = master.trim().split_once(' ').unwrap();
    let shown = connected.run("keys show").ok();
    let json = connected.run("keys show --json").ok();
    assert_eq!(json.json()["keys"], json!([id]));
    let fingerprint = json.json()["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(fingerprint.len(), 32);
    assert_eq!(
        shown.out,
        format!(
            "data/token.key\nfingerprint {fingerprint}\nkey {id}\ndata/master.key\nmaster key {master}\n"
        )
    );
    for told in [shown, json] {
        assert!(!format!("{told:?}").contains(secret));
        assert!(!format!("{told:?}").contains(master_secret));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_right_keys_is_refused() {
    let first = Connected::new().await;
    first.run("migrate up").ok();
    let refused = first.run("serve --listen 127.0.0.1:0").failed(2, "keys");
    insta::assert_snapshot!(first.shown(&refused), @"deepme: there are no keys at data/token.key: run deepme keys init on the first machine, and copy its data/token.key to the others");
    assert!(!first.machine.path("data").exists(), "none were made");
    first.run("keys init").ok();
    first.add_user("jiwoo").ok();

    let second = Connected::on(first.url.clone());
    second.run("keys init").ok();
    for args in ["serve --listen 127.0.0.1:0", "user list"] {
        let refused = second.run(args).failed(2, "keys");
        insta::allow_duplicates! {
            insta::assert_snapshot!(second.shown(&refused), @"deepme: the keys at data/token.key are not the ones that this database is served with: copy the file from another machine that serves it");
        }
    }
    let hand_over = |file| {
        std::fs::copy(first.machine.path(file), second.machine.path(file)).unwrap();
    };
    hand_over("data/token.key");
    let refused = second.run("user list").failed(2, "master key");
    let shown = second.shown(&refused);
    let (before, after) = shown.split_once(" (").unwrap();
    insta::assert_snapshot!(before, @"deepme: the master key at data/master.key is not the one that this database is served with");
    assert!(after.ends_with("copy the file from another machine that serves it\n"));
    hand_over("data/master.key");
    let list = second.run("user list --json").ok().json();
    assert_eq!(list[0]["email"], "jiwoo@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_prompts_and_words_are_kept_there() {
    let connected = Connected::ready().await;
    let jiwoo = connected.add_user("jiwoo").ok().json();
    let list = connected.run("user list --json").ok().json();
    assert_eq!(list, json!([jiwoo]));
    connected.add_user("jiwoo").failed(1, "has an account");
    let saved = connected.run_args(&["prompt", "set", "ko"], "천천히 들어 주세요 👩‍👩‍👧");
    assert_eq!(saved.ok().out, "saved as ko@1\n");
    assert_eq!(
        connected.run("prompt show ko").ok().out,
        "천천히 들어 주세요 👩‍👩‍👧\n"
    );

    let env = [("DEEPME_DATABASE__URL", connected.url.as_str())];
    let server = connected.machine.serve(&[], &env);
    // A second one on the same database is no intruder.
    let other = connected.machine.serve(&[], &env);
    let mut answers = Vec::new();
    for address in [server.url(), other.url()] {
        let args = ["chat", "--server", &address, "--email", "jiwoo@example.com"];
        let args = [
            &args[..],
            &["--password-stdin", "--once", "요즘 기분이 별로야. 😢"],
        ]
        .concat();
        answers.push(connected.run_args(&args, PASSWORD).ok().out);
    }
    let shown = connected.run("user show jiwoo@example.com --json").ok();
    assert_eq!(shown.json()["sessions"], 2);
    for stopped in [server.stop(), other.stop()] {
        assert_eq!(stopped.code, 0, "{stopped:?}");
        let schema = format!("(schema {SCHEMA_VERSION})");
        assert!(stopped.err.contains(&schema), "{stopped:?}");
    }
    let rows = connect(&connected.url)
        .await
        .query(
            "SELECT user_input, gpt_response, status, prompt_version FROM steps ORDER BY created_at",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for (row, answer) in rows.iter().zip(answers) {
        // Sealed: longer than it was said, and nothing of it to be seen.
        assert!(row.get::<_, &str>(0).len() > "요즘 기분이 별로야. 😢".len());
        assert!(row.get::<_, &str>(1).len() > answer.len() && row.get::<_, &str>(1).is_ascii());
        assert_eq!((row.get(2), row.get(3)), ("complete", "ko@1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    for url in [
        "postgres://me:canary@127.0.0.1:1/deepme",
        "postgresql://me:canary@127.0.0.1:1/deepme?sslmode=disable",
    ] {
        let connected = Connected::on(url.to_owned());
        connected.run("keys init").ok();
        for args in [
            "migrate status",
            "migrate up",
            "user list",
            "serve --listen 127.0.0.1:0",
            "db copy --from postgres://me:canary@127.0.0.1:1/x --to sqlite://x.db",
        ] {
            let failed = connected.run(args).failed(1, "database");
            assert!(!format!("{failed:?}").contains("canary"), "{failed:?}");
        }
        assert!(!connected.machine.path("x.db").exists());
    }
    let odd = Connected::on("mysql://me:canary@127.0.0.1/x".to_owned());
    let failed = odd.run("migrate status").failed(2, "postgres://");
    assert!(failed.err.contains("sqlite://") && !failed.err.contains("canary"));
}

/// Of two machines the second is told what to do, and a rotation that was broken off is finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_06_a_fresh_key_waits_until_every_machine_has_it() {
    let one = Connected::ready().await;
    one.add_user("jiwoo").ok();
    let two = Connected::on(one.url.clone());
    let copy = || {
        std::fs::create_dir_all(two.machine.path("data")).unwrap();
        for name in ["data/token.key", "data/master.key"] {
            std::fs::copy(one.machine.path(name), two.machine.path(name)).unwrap();
        }
    };
    let ids = || {
        let shown = one.run("keys show --json").ok().json();
        let keys = shown["keys"].as_array().unwrap().iter();
        keys.map(|id| id.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    copy();
    let first = ids();
    let staged = one.run("keys rotate").ok();
    assert!(staged.out.contains("signs nothing yet") && staged.out.contains("--sign"));
    let waiting = ids();
    assert!(waiting.len() == 2 && waiting[0] == first[0]);
    one.run("user list").ok();
    two.run("user list")
        .failed(2, "copy the file from another machine");
    two.run("keys rotate")
        .failed(2, "copy the file from another machine");
    copy();
    two.run("user list").ok();
    one.run("keys rotate --sign").ok();
    assert_eq!(ids(), [waiting[1].clone(), waiting[0].clone()]);
    // Whatever their order, they are the same keys.
    two.run("user list").ok();
    // Killed after the database, before the file.
    let old = std::fs::read(one.machine.path("data/token.key")).unwrap();
    one.run("keys rotate --drop-old").ok();
    let new = std::fs::read(one.machine.path("data/token.key")).unwrap();
    one.machine
        .write("data/token.key", std::str::from_utf8(&old).unwrap());
    let left = one
        .machine
        .write("data/token.key.new", std::str::from_utf8(&new).unwrap());
    std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o600)).unwrap();
    one.run("user list").failed(2, "not the ones");
    let finished = one.run("keys rotate").ok();
    assert!(finished.out.contains("broken off"), "{finished:?}");
    assert_eq!(
        std::fs::read(one.machine.path("data/token.key")).unwrap(),
        new
    );
    assert!(!left.exists());
    assert_eq!(ids(), [waiting[1].clone()]);
    one.run("user list").ok();
}
