//! A backup that an earlier program made is put back: into its own schema first, compared there, then brought up.

use super::{KINDS, Kind, back_up_as_of, digest, examine, lived_in, masters, put_back, serve};
use crate::cluster::connect;
use crate::support::{PASSWORD, Server};
use deepme::store::SCHEMA_VERSION;
use deepme::store::copy::earlier::{OLDEST, at};
use std::sync::Arc;

/// What no program before schema 7 knew of a step: in a database that came up from it, it is none.
const NOT_YET: &str = "UPDATE steps SET emotion = NULL, correction = NULL, safety_tier = NULL";

/// Runs this beside the server.
async fn execute(kind: Kind, server: &Server, sql: &str) {
    let path = server.dir.path().join("data/t.db");
    match kind {
        Kind::File => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(sql).unwrap();
        }
        Kind::Server => {
            let url = std::fs::read_to_string(path).unwrap();
            connect(&url).await.batch_execute(sql).await.unwrap();
        }
    }
}

/// Whoever kept a backup for a year has what they would have who upgraded meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_every_earlier_schema_comes_back_whole_on_either_database() {
    for (schema, from) in (OLDEST..SCHEMA_VERSION).flat_map(|n| KINDS.map(|kind| (n, kind))) {
        let server = serve(from, &Arc::new(tempfile::tempdir().unwrap())).await;
        let people = lived_in(&server).await;
        execute(from, &server, NOT_YET).await;
        let mut before = Vec::new();
        for person in &people {
            before.push(digest(&server, person.user_id).await);
        }
        let made = back_up_as_of(schema, from, &server).await;
        let (dir, gone) = (Arc::clone(&server.dir), &people[1]);
        let examined = examine(&made.file, &masters(&dir)).await.unwrap();
        assert_eq!((examined.schema, examined.people()), (schema, 3));
        // Also here who was erased meanwhile stays erased.
        gone.client.erase().await.unwrap();
        server.shut_down().await;
        for to in KINDS {
            let restored = put_back(to, &dir, &made.file).await;
            let server = serve(to, &restored).await;
            for (n, person) in people.iter().enumerate().filter(|(n, _)| *n != 1) {
                let after = digest(&server, person.user_id).await;
                assert_eq!(after, before[n], "schema {schema}, from {from:?} to {to:?}");
            }
            let jiwoo = server.stranger().login(&people[0].email, PASSWORD).await;
            jiwoo.unwrap();
            let store = super::database(to, &restored).await;
            assert_eq!(store.store().user(gone.user_id).await.unwrap(), None);
            assert_eq!(store.store().data_key(gone.user_id).await.unwrap(), None);
            server.shut_down().await;
        }
    }
}

/// What stands in an archive of that schema: a change here means that backups that people have are refused.
#[test]
fn the_tables_of_the_first_backups_are_what_they_were() {
    let steps = "step_id session_id step_order step_type user_input gpt_response status finish_reason message_id \
                 model prompt_version output_tokens lease_until created_at finished_at input_tokens";
    let six = [
        ("meta", "name value"),
        (
            "users",
            "user_id name email password_hash token_epoch disabled_at created_at role",
        ),
        ("keyring", "user_id master wrapped"),
        (
            "logins",
            "login_id user_id epoch refresh_hash previous_hash rotated_at created_at expires_at revoked_at",
        ),
        (
            "tickets",
            "ticket_hash user_id login_id epoch origin token_expires_at expires_at",
        ),
        ("recoveries", "user_id code_hash expires_at"),
        ("invites", "code_hash created_at expires_at"),
        ("revocations", "user_id revoked_at"),
        (
            "sessions",
            "session_id user_id emotion_label topic trigger_summary insight_summary insight_tag started_at ended_at \
             summary summary_until forgotten_at",
        ),
        ("steps", steps),
        ("usage", "user_id day input_tokens output_tokens"),
        ("accesses", "access_id user_id session_id read_by reason at"),
        ("prompts", "name version user_id body created_at"),
    ];
    let told: Vec<(&str, String)> = at(6)
        .iter()
        .map(|table| (table.name, table.names().replace(',', "")))
        .collect();
    let six: Vec<(&str, String)> = six.map(|(name, columns)| (name, columns.to_owned())).into();
    assert_eq!(told, six);
}
