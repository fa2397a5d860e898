//! What is found where the database should be, and what that means.
//!
//! Owns [`Database`]. Called by `deepme doctor`. Pure. Invariants: those of [`super::findings`].

use super::findings::{Finding, fail, ok, warn};
use crate::store::{SchemaState, Unsealed};
use std::path::PathBuf;

/// What was found where the database should be.
#[derive(Debug)]
pub(super) enum Database {
    /// No file yet.
    None(PathBuf),
    /// A file of somebody else, which this user must not open.
    Foreign(PathBuf, u32),
    /// It cannot be opened or reached.
    Closed(String),
    /// A file that is not whole, and what is wrong with it.
    Damaged(String),
    /// It answers.
    Open {
        /// Whether it is a file.
        embedded: bool,
        state: SchemaState,
        /// Whether the keys are the right ones, or why not; `None` where nothing depends on them yet.
        keys: Option<Result<(), String>>,
    },
}

pub(super) fn database(database: &Database) -> Vec<Finding> {
    const CHECK: &str = "database";
    let (embedded, state, keys) = match database {
        Database::None(path) => {
            return vec![ok(
                CHECK,
                format!(
                    "there is none at {} yet: the first start makes it",
                    path.display()
                ),
            )];
        }
        Database::Damaged(damage) => {
            return vec![fail(
                CHECK,
                format!("the file is damaged: {damage}"),
                "stop the server, move the file away, deepme backup restore the newest backup",
            )];
        }
        Database::Foreign(path, uid) => {
            return vec![fail(
                CHECK,
                format!(
                    "{} belongs to user {uid}: opened by another user it would be left with files that its server cannot open",
                    path.display()
                ),
                format!("sudo -u '#{uid}' deepme doctor"),
            )];
        }
        Database::Closed(why) => {
            return vec![fail(
                CHECK,
                why.clone(),
                "look at database.url, and whether it runs: systemctl status postgresql",
            )];
        }
        Database::Open {
            embedded,
            state,
            keys,
        } => (*embedded, *state, keys),
    };
    let answers = if embedded {
        "the file is whole (quick_check)"
    } else {
        "it answers"
    };
    let mut found = vec![ok(CHECK, answers), schema(state, embedded)];
    match keys {
        Some(Err(why)) => found.push(fail(
            "keys",
            why.clone(),
            "put the copy of the key file there that you kept (chmod 600)",
        )),
        Some(Ok(())) => found.push(ok(
            "keys",
            "the keys are those that the database is served and sealed with",
        )),
        None => {}
    }
    found
}

fn schema(state: SchemaState, embedded: bool) -> Finding {
    const CHECK: &str = "schema";
    let SchemaState {
        current,
        wanted,
        unsealed,
    } = state;
    let says = format!("schema {current}, this program needs {wanted}");
    if current > wanted {
        fail(
            CHECK,
            says,
            "run the newer deepme, or put an older backup back",
        )
    } else if current < wanted && embedded {
        warn(
            CHECK,
            format!("{says}: the next start brings it up to date"),
            "systemctl restart deepme",
        )
    } else if current < wanted {
        fail(CHECK, says, "stop every server, then: deepme migrate up")
    } else if unsealed != Unsealed::Nothing {
        fail(
            CHECK,
            "words of the time before they were sealed are still readable in the database",
            "deepme migrate up",
        )
    } else {
        ok(CHECK, format!("schema {current} is up to date"))
    }
}
