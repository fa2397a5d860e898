//! Who commands run as that root runs.

use super::{Machine, PASSWORD};
use std::os::unix::fs::{MetadataExt as _, chown};

/// Nobody in particular.
const OWNER: u32 = 54_321;

/// Every file below a directory, the directory included, belongs to the owner.
fn all_belong_to_owner(machine: &Machine, name: &str) {
    let mut left = vec![machine.path(name)];
    while let Some(path) = left.pop() {
        let meta = path.metadata().unwrap();
        assert_eq!(
            (meta.uid(), meta.gid()),
            (OWNER, OWNER),
            "{}",
            path.display()
        );
        if meta.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// Only root can become somebody else: elsewhere there is nothing to look at.
#[test]
fn what_root_runs_runs_as_the_owner_of_the_data() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    std::fs::create_dir(machine.path("data")).unwrap();
    for path in [machine.path("."), machine.path("data")] {
        chown(path, Some(OWNER), Some(OWNER)).unwrap();
    }
    let add = [
        "user",
        "add",
        "--name",
        "지우",
        "--password-stdin",
        "--email",
        "jiwoo@example.com",
    ];
    machine.run(&add, PASSWORD).ok();
    all_belong_to_owner(&machine, "data");
    let mut server = machine.serve(&[], &[]);
    all_belong_to_owner(&machine, "data");
    machine.run(&["prompt", "list"], "").ok();
    server.kill();
    machine.run(&["user", "list"], "").ok();
    all_belong_to_owner(&machine, "data");
    let doctor = machine.run(&["doctor"], "");
    assert!(doctor.out.contains("ok    database"), "{}", doctor.out);
    all_belong_to_owner(&machine, "data");
    // It cannot become somebody else when it has begun already.
    let chat = ["chat", "--start", "--once", "안녕"];
    machine.run(&chat, "").failed(2, "not as root");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
