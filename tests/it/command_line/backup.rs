//! `deepme backup`.

use super::{Machine, Outcome, PASSWORD};
use crate::cluster::cluster;
use deepme::auth::SystemRandom;
use deepme::auth::seal::MasterKeys;
use deepme::domain::time::SystemClock;
use deepme::service::backup::{Place, Tools, create_as_of};
use deepme::store::SCHEMA_VERSION;
use deepme::store::copy::earlier::OLDEST;
use deepme::store::sqlite::SqliteStore;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A machine on which two people have talked, and a backup of it.
fn backed_up() -> (Machine, PathBuf) {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    machine.add_user("minsu");
    let server = machine.serve(&[], &[]);
    let url = server.url();
    for email in ["jiwoo@example.com", "minsu@example.com"] {
        let args = ["chat", "--server", &url, "--email", email];
        let more = ["--password-stdin", "--once", "요즘 기분이 별로야. 👩‍👩‍👧"];
        machine.run(&[&args[..], &more].concat(), PASSWORD).ok();
    }
    // Beside the server.
    let made = machine.run(&["backup", "create", "--json"], "").ok().json();
    assert_eq!(server.stop().code, 0);
    assert_eq!(made["accounts"], 2);
    let file = PathBuf::from(made["file"].as_str().unwrap());
    (machine, file)
}

fn on(machine: &Machine, action: &str, file: &Path, more: &[&str]) -> Outcome {
    let args = ["backup", action, file.to_str().unwrap()];
    machine.run(&[&args[..], more].concat(), "")
}

/// What somebody said, as it is now.
fn words(machine: &Machine, url: &str, who: &str) -> Vec<Value> {
    let env = [("DEEPME_DATABASE__URL", url)];
    let args = ["user", "export", who, "--reason", "a test looks at it"];
    let export = machine.run_with(&args, "", &env).ok().json();
    export["data"]["sessions"].as_array().unwrap().clone()
}

const HOME: &str = "sqlite://data/deepme.db";

#[test]
fn a_backup_is_verified_put_back_and_refuses_to_overwrite() {
    let (machine, file) = backed_up();
    let said = words(&machine, HOME, "jiwoo@example.com");
    let verified = on(&machine, "verify", &file, &[]).ok();
    assert!(
        verified.out.ends_with("everybody's key opens\n"),
        "{verified:?}"
    );
    let report = on(&machine, "verify", &file, &["--json"]).ok().json();
    assert_eq!(report["people"], 2);
    assert_eq!(report["unreadable"], serde_json::json!([]));

    on(&machine, "restore", &file, &["--yes"]).failed(2, "mv data/deepme.db data/deepme.db.before");
    let server = machine.serve(&[], &[]);
    on(&machine, "restore", &file, &["--yes"]).failed(2, "stop it first");
    assert_eq!(server.stop().code, 0);
    std::fs::rename(machine.path("data/deepme.db"), machine.path("away")).unwrap();
    on(&machine, "restore", &file, &[]).failed(2, "say --yes");
    let restored = on(&machine, "restore", &file, &["--yes"]).ok();
    assert!(
        restored.out.contains("everybody has to log in again"),
        "{restored:?}"
    );
    assert_eq!(words(&machine, HOME, "jiwoo@example.com"), said);
    // The files beside the database say that it is an old one; it is served all the same.
    let server = machine.serve(&[], &[]);
    assert_eq!(server.stop().code, 0);
}

#[test]
fn without_the_right_keys_it_says_what_is_missing() {
    let (machine, file) = backed_up();
    let (master, aside) = (machine.path("data/master.key"), machine.path("aside"));
    std::fs::rename(&master, &aside).unwrap();
    on(&machine, "verify", &file, &[]).failed(2, "no master key at data/master.key");
    let other = Machine::new();
    other.run(&["keys", "init"], "").ok();
    std::fs::copy(other.path("data/master.key"), &master).unwrap();
    on(&machine, "verify", &file, &[]).failed(2, "put a copy of the file that has it in its place");
    assert!(!machine.path("data/deepme.db.new").exists());
    std::fs::rename(&aside, &master).unwrap();
    let keyring = machine.path("backups/deepme.keyring");
    std::fs::rename(&keyring, machine.path("kept.keyring")).unwrap();
    on(&machine, "verify", &file, &[]).failed(1, "there is no keyring at backups/deepme.keyring");
    let named = ["--keyring", "kept.keyring"];
    on(&machine, "verify", &file, &named).ok();

    let path = machine.path(file.to_str().unwrap());
    let whole = std::fs::read(&path).unwrap();
    let end = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let header = String::from_utf8(whole[..end].to_vec()).unwrap();
    let schema = SCHEMA_VERSION;
    for (to, says) in [
        (schema + 1, "install the newer deepme"),
        (schema - 1, "the backup is damaged"),
        (OLDEST - 1, "no deepme made such a backup"),
    ] {
        let header = header.replace(&format!("\"schema\":{schema}"), &format!("\"schema\":{to}"));
        std::fs::write(&path, [header.as_bytes(), &whole[end..]].concat()).unwrap();
        // A header that somebody changed yields another key.
        let code = if says.contains("damaged") { 1 } else { 2 };
        on(&machine, "verify", &file, &named).failed(code, says);
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    on(&machine, "verify", &file, &named)
        .failed(1, "the backup is damaged: it was cut off or changed");
    let args = ["backup", "create", "--config", "/dev/null"];
    let nothing = [("DEEPME_DATABASE__URL", "sqlite://nowhere/x.db")];
    machine
        .run_with(&args, "", &nothing)
        .failed(2, "no database at nowhere/x.db");
}

/// Who was erased by a command, while nobody served, is in the backup but does not come back.
#[test]
fn who_was_erased_by_a_command_does_not_come_back() {
    let (machine, file) = backed_up();
    let receipt = machine.run(
        &["user", "delete", "jiwoo@example.com", "--yes", "--json"],
        "",
    );
    assert_eq!(receipt.ok().json()["backups"], true);
    let report = on(&machine, "verify", &file, &["--json"]).ok().json();
    assert_eq!(
        (&report["people"], &report["erased_since"]),
        (&2.into(), &1.into())
    );
    // A new machine, which has nothing but the three files.
    let new = Machine::new();
    std::fs::create_dir(new.path("data")).unwrap();
    for name in [
        file.to_str().unwrap(),
        "backups/deepme.keyring",
        "data/master.key",
    ] {
        let to = new.path(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(machine.path(name), to).unwrap();
    }
    let restored = on(&new, "restore", &file, &["--yes", "--json"]).ok().json();
    assert_eq!(
        (&restored["people"], &restored["erased_since"]),
        (&1.into(), &1.into())
    );
    let users = new.run(&["user", "list", "--json"], "").ok().json();
    let emails: Vec<&str> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["email"].as_str().unwrap())
        .collect();
    assert_eq!(emails, ["minsu@example.com"]);
    assert_eq!(
        words(&new, HOME, "minsu@example.com"),
        words(&machine, HOME, "minsu@example.com")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_file_goes_into_a_server_and_back() {
    let (machine, file) = backed_up();
    let there = cluster().database().await;
    let env = [("DEEPME_DATABASE__URL", &*there)];
    let restore = |file: &str| ["backup", "restore", file, "--yes"].map(str::to_owned);
    let run = |args: &[String]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        machine.run_with(&args, "", &env)
    };
    run(&restore(file.to_str().unwrap())).ok();
    run(&restore(file.to_str().unwrap())).failed(2, "createdb");
    let back = ["backup", "create", "--to", "other"].map(str::to_owned);
    run(&back).ok();
    let made = std::fs::read_dir(machine.path("other"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "backup"))
        .unwrap();
    let url = "sqlite://back/deepme.db";
    let master = machine.path("data/master.key");
    let env = [
        ("DEEPME_DATABASE__URL", url),
        ("DEEPME_AUTH__MASTER_KEY_FILE", master.to_str().unwrap()),
    ];
    let args = ["backup", "restore", made.to_str().unwrap(), "--yes"];
    machine.run_with(&args, "", &env).ok();
    let args = [
        "user",
        "export",
        "jiwoo@example.com",
        "--reason",
        "a test looks at it",
    ];
    let export = machine.run_with(&args, "", &env).ok().json();
    assert_eq!(
        export["data"]["sessions"].as_array().unwrap(),
        &words(&machine, HOME, "jiwoo@example.com")
    );
}

/// A backup of what the machine has, as the program of an earlier schema made it.
async fn as_of(schema: i64, machine: &Machine) -> PathBuf {
    let store = SqliteStore::open(&machine.path("data/deepme.db"), &SystemClock).unwrap();
    let master = machine.path("data/master.key");
    let tools = Tools {
        snapshots: &store,
        masters: Arc::new(MasterKeys::load_or_create(&master, &SystemRandom).unwrap()),
        witness: None,
        clock: &SystemClock,
        random: Arc::new(SystemRandom),
    };
    let (place, stop) = (
        Place::new(machine.path("backups")),
        CancellationToken::new(),
    );
    let made = create_as_of(schema, &place, 9, &tools, &stop, &|_| ()).await;
    made.unwrap().file
}

/// Words and answers alone: what a backup of before schema 7 has of a step.
fn spoken(machine: &Machine, url: &str, who: &str) -> Vec<(Value, Value)> {
    let sessions = words(machine, url, who);
    let steps = sessions
        .iter()
        .flat_map(|one| one["steps"].as_array().unwrap());
    steps
        .map(|step| (step["user_input"].clone(), step["gpt_response"].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_backup_is_verified_put_back_and_brought_up() {
    let (machine, newer) = backed_up();
    std::fs::remove_file(machine.path(newer.to_str().unwrap())).unwrap();
    let who = "jiwoo@example.com";
    let said = spoken(&machine, HOME, who);
    assert_eq!(said.len(), 1);
    let file = as_of(OLDEST, &machine).await;
    let verified = on(&machine, "verify", &file, &[]).ok();
    assert!(
        verified.out.ends_with("everybody's key opens\n")
            && verified.out.contains(&format!("schema {OLDEST}, ")),
        "{verified:?}"
    );
    // One of this schema takes nothing of an earlier one, not even while it is empty.
    let there = cluster().database().await;
    let env = [("DEEPME_DATABASE__URL", &*there)];
    machine.run_with(&["migrate", "up"], "", &env).ok();
    let args = ["backup", "restore", file.to_str().unwrap(), "--yes"];
    machine
        .run_with(&args, "", &env)
        .failed(2, "what is to be put into it has 6: make an empty database");
    let there = cluster().database().await;
    let brought = format!("compared, then brought from schema {OLDEST} to {SCHEMA_VERSION}");
    for url in ["sqlite://data/new.db", &there] {
        let env = [("DEEPME_DATABASE__URL", url)];
        let restored = machine.run_with(&args, "", &env).ok();
        assert!(restored.out.contains(&brought), "{restored:?}");
        assert_eq!(spoken(&machine, url, who), said, "{url}");
        let state = machine.run_with(&["migrate", "status", "--json"], "", &env);
        assert_eq!(state.ok().json()["current"], SCHEMA_VERSION);
    }
    // There is no copy of the older schema beside it: that would be one more with everybody in it.
    let beside: Vec<PathBuf> = std::fs::read_dir(machine.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let copy = |path: &&PathBuf| path.extension().is_some_and(|end| end == "bak");
    let copies = beside.iter().filter(copy).count();
    assert_eq!(copies, 0, "{beside:?}");
}
