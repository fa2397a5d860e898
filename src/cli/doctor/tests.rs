//! What is found, by facts that are made up: every finding appears, and reads well.

use super::database::{Database, database};
use super::door::{conversation, handshake, health, is_there};
use super::findings::{
    Backups, Disk, Finding, Kept, backups, clock, clock_since, descriptors, disk, files, model,
    settings,
};
use super::outside::{Answer, Knocks, Turn, Validity, WORDS};
use super::{as_json, as_text};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::llm::Fault;
use crate::store::{SchemaState, Unsealed};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HOUR: i64 = 3600 * 1_000_000;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(hour * HOUR)
}

fn config(text: &str) -> Config {
    Config::parse(text, "config.toml", []).unwrap()
}

fn kept(name: &str, mode: u32, uid: u32) -> Kept {
    Kept {
        path: PathBuf::from(format!("data/{name}")),
        mode: 0o100_000 | mode,
        uid,
        owner: 998,
    }
}

fn room(free: u64, total: u64) -> Finding {
    disk(&Disk {
        path: PathBuf::from("data"),
        free: free << 20,
        total: total << 20,
    })
}

fn open(embedded: bool, current: i64, unsealed: Unsealed) -> Vec<Finding> {
    let state = SchemaState {
        current,
        wanted: 6,
        unsealed,
    };
    database(&Database::Open {
        embedded,
        state,
        keys: None,
    })
}

fn keys(keys: Result<(), String>) -> Vec<Finding> {
    let state = SchemaState {
        current: 6,
        wanted: 6,
        unsealed: Unsealed::Nothing,
    };
    database(&Database::Open {
        embedded: false,
        state,
        keys: Some(keys),
    })
}

fn backed_up(newest: Option<i64>, keyring: bool, max_age_hours: u32) -> Finding {
    let there = Backups {
        directory: PathBuf::from("backups"),
        newest: newest.map(at),
        keyring,
    };
    backups(&there, max_age_hours, at(100))
}

/// As what stands in a line: severity and sentence.
fn lines(found: &[Finding]) -> String {
    as_text(found)
}

#[test]
fn a_machine_on_which_all_is_well() {
    let mut found = settings(
        &Config::default(),
        Some(Path::new("/etc/deepme/config.toml")),
    );
    found.extend(files(&[
        kept("deepme.db", 0o600, 998),
        kept("master.key", 0o600, 998),
    ]));
    found.push(room(20_000, 40_000));
    found.extend(clock_since(Some(at(0)), at(1)));
    found.push(descriptors(65_536, true, 20_000));
    found.push(backed_up(Some(90), true, 36));
    found.extend(open(true, 6, Unsealed::Nothing));
    found.push(model("openai", &Ok(Duration::from_millis(412))));
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn everything_that_can_be_wrong_on_a_machine_comes_with_a_way_out() {
    let wide = config(
        "[server]\nlisten = \"0.0.0.0:8000\"\n[auth]\nquery_token = true\n[metrics]\nlisten = \"0.0.0.0:9464\"",
    );
    let mut found = settings(&wide, None);
    found.extend(files(&[
        kept("token.key", 0o640, 998),
        kept("master.key", 0o600, 0),
    ]));
    found.push(room(99, 40_000));
    found.push(room(1000, 4000));
    found.push(room(1500, 40_000));
    found.push(clock("the database", -7_000_000));
    found.push(clock("the server", 65_000_000));
    found.extend(clock_since(Some(at(2)), at(1)));
    found.push(descriptors(1024, true, 20_000));
    found.push(descriptors(1024, false, 20_000));
    found.push(backed_up(None, false, 36));
    found.push(backed_up(Some(90), false, 36));
    found.push(backed_up(Some(50), true, 36));
    found.extend(database(&Database::Foreign(
        PathBuf::from("data/deepme.db"),
        998,
    )));
    found.extend(database(&Database::Closed(
        "the database at db:5432 does not let us in".to_owned(),
    )));
    found.extend(database(&Database::Damaged(
        "row 3 missing from index steps_by_session".to_owned(),
    )));
    found.extend(open(true, 5, Unsealed::Nothing));
    found.extend(open(false, 5, Unsealed::Nothing));
    found.extend(open(false, 7, Unsealed::Nothing));
    found.extend(open(false, 6, Unsealed::Words));
    found.extend(keys(Err("data/master.key lacks the master key 7f1c02b1d4a0e0d3, with which people's words are sealed".to_owned())));
    for fault in [
        Fault::Refused { status: 401 },
        Fault::Refused { status: 404 },
        Fault::Busy { retry_after: None },
        Fault::Status { status: 500 },
        Fault::Connection,
        Fault::Stalled,
        Fault::Malformed,
    ] {
        found.push(model("openai", &Err(fault)));
    }
    found.retain(|one| one.fix.is_some());
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn what_does_not_matter_is_not_alarming() {
    let quiet = |found: Finding| found.fix.is_none();
    assert!(quiet(backed_up(Some(1), true, 0)), "switched off");
    assert!(quiet(backed_up(Some(100), true, 36)), "just now");
    assert!(quiet(clock("the server", 900_000)));
    assert!(clock_since(None, at(1)).is_none());
    assert!(quiet(room(2000, 40_000)));
    assert!(quiet(descriptors(u64::MAX, false, 20_000)));
    assert!(
        database(&Database::None(PathBuf::from("x")))
            .into_iter()
            .all(quiet)
    );
    let behind = config(
        "[server]\nlisten = \"0.0.0.0:8000\"\nbehind_tls = true\ntrusted_proxies = [\"10.0.0.2\"]",
    );
    assert!(settings(&behind, None).into_iter().all(quiet));
}

/// One with as many hours left of so many.
#[expect(clippy::unnecessary_wraps, reason = "a server without TLS shows none")]
fn certificate(left: i64, whole: i64) -> Option<Validity> {
    Some(Validity {
        from: at(1 + left - whole),
        until: at(1 + left),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what was gathered may be an error"
)]
fn answer(status: u16, ours: bool) -> Result<Answer, String> {
    Ok(Answer {
        status,
        date: Some(at(1)),
        certificate: certificate(60 * 24, 90 * 24),
        elsewhere: None,
        took: Duration::from_millis(31),
        ours,
    })
}

/// As deepme answers handshakes without a page, of its own page and of a stranger.
fn knocks(nobody: u16, own: u16, stranger: u16) -> Knocks {
    let answer = |status| answer(status, true);
    Knocks {
        nobody: answer(nobody),
        own: answer(own),
        stranger: answer(stranger),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what was gathered may be an error"
)]
fn turn(pieces: &[u64]) -> Result<Turn, String> {
    Ok(Turn {
        heard: WORDS.to_owned(),
        pieces: pieces.iter().copied().map(Duration::from_millis).collect(),
    })
}

#[test]
fn a_server_on_which_all_is_well_from_outside() {
    let base = "https://chat.example.com".parse().unwrap();
    let mut found = health(&base, &answer(200, true), at(1));
    found.extend(handshake(&base, &knocks(401, 401, 403)));
    found.extend(conversation(&turn(&[400, 700, 1000, 1300, 1600, 1900])));
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn everything_that_can_be_wrong_from_outside_comes_with_a_way_out() {
    let base = "https://chat.example.com".parse().unwrap();
    let plain = "http://chat.example.com".parse().unwrap();
    let refused = |why: &str| Err(format!("invalid peer certificate: {why}"));
    let mut found = Vec::new();
    for why in [
        refused(
            "certificate not valid for name \"chat.example.com\"; certificate is only valid for DnsName(\"other.example.com\")",
        ),
        refused("Expired"),
        refused("UnknownIssuer"),
        refused("BadEncoding"),
        Err(
            "dns error: failed to lookup address information: Name or service not known".to_owned(),
        ),
        Err("tcp connect error: Connection refused (os error 111)".to_owned()),
    ] {
        found.extend(health(&base, &why, at(1)));
    }
    let here = "http://localhost:8000".parse().unwrap();
    found.extend(health(&here, &Err("connection refused".to_owned()), at(1)));
    let sent_on = answer(301, false).map(|answer| Answer {
        elsewhere: Some("https://chat.example.com/health".parse().unwrap()),
        ..answer
    });
    found.extend(health(&plain, &sent_on, at(1)));
    found.extend(health(&plain, &answer(404, false), at(1)));
    found.extend(health(&base, &answer(502, false), at(1)));
    let soon = answer(503, true).map(|answer| Answer {
        certificate: certificate(13 * 24, 90 * 24),
        date: Some(at(2)),
        ..answer
    });
    found.extend(health(&base, &soon, at(1)));
    let mut without = knocks(401, 401, 403);
    without.nobody = Err("connection reset".to_owned());
    found.extend(handshake(&base, &without));
    for nobody in [400, 426, 101, 404, 503] {
        found.extend(handshake(&base, &knocks(nobody, nobody, nobody)));
    }
    found.extend(handshake(&base, &knocks(401, 403, 403)).pop());
    found.extend(handshake(&base, &knocks(401, 401, 401)).pop());
    found.extend(conversation(&Err("the model does not answer".to_owned())));
    let garbled = turn(&[9000, 9001, 9001, 9002, 9003]).map(|turn| Turn {
        heard: "????".to_owned(),
        ..turn
    });
    found.extend(conversation(&garbled));
    assert!(
        found
            .iter()
            .all(|one| one.fix.is_some() || one.check == "tls" || one.check == "clock"),
        "{found:?}"
    );
    insta::assert_snapshot!(lines(&found));
    assert_eq!(
        as_json(&found)["findings"].as_array().unwrap().len(),
        found.len()
    );
}

#[test]
fn a_certificate_of_hours_is_not_suspected_until_its_last_part() {
    let base = "https://chat.example.com".parse().unwrap();
    for (left, whole, well) in [
        (6, 12, true),
        (2, 12, false),
        (48, 160, true),
        (30, 160, false),
        (15 * 24, 90 * 24, true),
        (0, 12, false),
    ] {
        let held = answer(200, true).map(|answer| Answer {
            certificate: certificate(left, whole),
            ..answer
        });
        let found = health(&base, &held, at(1));
        assert_eq!(found[0].fix.is_none(), well, "{:?}", found[0]);
    }
}

#[test]
fn what_follows_from_a_finding_is_not_another_one() {
    let base = "https://chat.example.com".parse().unwrap();
    assert_eq!(handshake(&base, &knocks(400, 400, 400)).len(), 1);
    assert_eq!(handshake(&base, &knocks(429, 429, 429)).len(), 1);
    assert_eq!(handshake(&base, &knocks(401, 429, 403)).len(), 1);
    assert!(is_there(&answer(503, true)));
    assert!(!is_there(&answer(502, false)));
    assert!(!is_there(&Err(String::new())));
}

#[test]
fn an_answer_that_is_short_or_quick_is_not_suspected() {
    for pieces in [&[][..], &[9000, 9001], &[300, 301, 302, 303, 304, 305]] {
        let found = conversation(&turn(pieces));
        assert!(found.iter().all(|one| one.fix.is_none()), "{found:?}");
    }
    let here = "http://127.0.0.1:8000".parse().unwrap();
    assert!(
        health(&here, &answer(200, true), at(1))
            .iter()
            .all(|one| one.fix.is_none())
    );
}
