//! What is on disk before what is said: row 16, by the system calls of the real binary.

use super::{on, person_at};
use crate::command_line::Machine;
use crate::support::PATIENCE;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// What a line of the trace tells.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    /// Something was written to the log of the database.
    Written,
    /// The log is on the disk.
    Synced,
    /// The words were acknowledged.
    Accepted,
    /// The answer was.
    Done,
}

/// A tracer that is attached to a process.
fn trace(process: u32, file: &str) -> Child {
    let calls = "trace=fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg";
    let mut tracer = Command::new("strace")
        .args(["-f", "-y", "-s", "4096", "-e", calls, "-o", file, "-p"])
        .arg(process.to_string())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need strace: see tests/run");
    let mut said = BufReader::new(tracer.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("attached"), "{line}");
    // Nothing more comes; what did would end the tracer if nobody held the pipe.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    tracer
}

/// The calls in their order: a write and a send where they begin, a sync where it has succeeded.
fn calls(trace: &str) -> Vec<Call> {
    let mut syncing = HashSet::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let thread = line.split(' ').next().unwrap_or_default();
        let sync = line.contains("fsync(") || line.contains("fdatasync(");
        let resumed = line.contains("fsync resumed") || line.contains("fdatasync resumed");
        let succeeded = line.ends_with("= 0");
        if sync && line.contains("-wal>") && line.contains("unfinished") {
            syncing.insert(thread);
        } else if (sync && line.contains("-wal>") || resumed && syncing.remove(thread)) && succeeded
        {
            calls.push(Call::Synced);
        } else if line.contains("pwrite64(") && line.contains("-wal>") {
            calls.push(Call::Written);
        } else if line.contains(r#"{\"accepted\":"#) {
            calls.push(Call::Accepted);
        } else if line.contains(r#"\"done\":true"#) {
            calls.push(Call::Done);
        }
    }
    calls
}

/// Whether what was written since the last saying was synced before this one.
fn synced_before(calls: &[Call], said: Call) -> bool {
    let before = calls.iter().take_while(|call| **call != said);
    let before: Vec<Call> = before.copied().collect();
    let begun = before
        .iter()
        .rposition(|call| matches!(call, Call::Accepted));
    let since = &before[begun.map_or(0, |at| at + 1)..];
    let last = |wanted: Call| since.iter().rposition(|call| *call == wanted);
    last(Call::Written).is_some() && last(Call::Written) < last(Call::Synced)
}

#[test]
fn the_order_is_told_right() {
    use Call::{Accepted, Done, Synced, Written};
    let good = [Written, Written, Synced, Accepted, Written, Synced, Done];
    assert!(synced_before(&good, Accepted) && synced_before(&good, Done));
    let early = [Written, Synced, Written, Accepted, Written, Done, Synced];
    assert!(!synced_before(&early, Accepted) && !synced_before(&early, Done));
    assert!(!synced_before(&[Written, Synced, Accepted, Done], Done));
    let lines = "1 pwrite64(5</d/x.db-wal>, \"x\", 1, 0) = 1\n\
                 1 fsync(5</d/x.db-wal> <unfinished ...>\n\
                 2 sendto(9<socket:[1]>, \"\\\"done\\\":true\", 9, 0, NULL, 0) = 9\n\
                 1 <... fsync resumed>) = 0\n";
    assert_eq!(calls(lines), [Written, Done, Synced]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_16_the_log_is_synced_before_anything_is_acknowledged() {
    let machine = Machine::new();
    let server = machine.serve(&[], &[]);
    // What is written beside the turns, seconds after the start and then once a minute, would be taken for theirs.
    let database = rusqlite::Connection::open(machine.path("data/deepme.db")).unwrap();
    let beat = || -> String {
        let sql = "SELECT value FROM meta WHERE name = 'beat'";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let first = beat();
    let tidied = async {
        while beat() == first {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, tidied).await.unwrap();
    drop(database);
    let jiwoo = person_at(server.address, "jiwoo").await;
    let (mut talk, _) = on(&jiwoo, None).await;
    // The rules of safety are compiled by then.
    talk.input("first").await;
    talk.turn().await.done();
    let file = machine.path("trace");
    let mut tracer = trace(server.id(), file.to_str().unwrap());
    talk.input("second").await;
    talk.turn().await.done();
    let id = tracer.id().to_string();
    let told = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(told.success());
    tracer.wait().unwrap();
    let trace = std::fs::read_to_string(file).unwrap();
    let calls = calls(&trace);
    for said in [Call::Accepted, Call::Done] {
        assert_eq!(
            calls.iter().filter(|call| **call == said).count(),
            1,
            "{trace}"
        );
        assert!(synced_before(&calls, said), "{said:?} {calls:?}");
    }
}
