//! What is copied is what the schemas have.

use crate::cluster::{cluster, connect};
use crate::support::START;
use deepme::store::SCHEMA_VERSION;
use deepme::store::copy::earlier::{OLDEST, at};
use deepme::store::copy::tables::Kind;
use deepme::store::sqlite::SqliteStore;
use std::collections::BTreeSet;

/// Table, column, kind, place in the primary key (0: none).
type Found = BTreeSet<(String, String, Kind, i64)>;

fn kind(name: &str) -> Kind {
    match name {
        "BLOB" | "uuid" => Kind::Id,
        "INTEGER" | "int8" => Kind::Integer,
        "TEXT" | "text" => Kind::Text,
        other => panic!("a column of type {other}: teach it to store::copy"),
    }
}

/// A later migration cannot forget the copy, nor what backups of before it have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_columns_is_what_both_schemas_have_and_had() {
    for schema in OLDEST..=SCHEMA_VERSION {
        the_list_is_right(schema).await;
    }
}

async fn the_list_is_right(schema: i64) {
    let tables = at(schema);
    let mut told = Found::new();
    for table in &tables {
        for (n, column) in (1..).zip(table.columns) {
            let place = if n <= table.key {
                i64::try_from(n).unwrap()
            } else {
                0
            };
            told.insert((
                table.name.to_owned(),
                column.name.to_owned(),
                column.kind,
                place,
            ));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.db");
    SqliteStore::make_at(&file, schema).unwrap();
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m, pragma_table_xinfo(m.name) c
             WHERE m.type = 'table'",
        )
        .unwrap();
    let found: Found = statement
        .query_map([], |row| {
            let name: String = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, kind(&name), row.get(3)?))
        })
        .unwrap()
        .map(rusqlite::Result::unwrap)
        .collect();
    assert_eq!(found, told, "SQLite, schema {schema}");

    let url = cluster().database().await;
    let server = crate::postgres::store(&url).await;
    server.make_at(START, schema).await.unwrap();
    let client = connect(&url).await;
    let rows = client
        .query(
            "SELECT c.relname::text, a.attname::text, t.typname::text,
                    coalesce(array_position(i.indkey::int2[], a.attnum), -1)::bigint + 1,
                    l.collname::text
             FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             JOIN pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
             LEFT JOIN pg_collation l ON l.oid = a.attcollation
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
               AND c.relname <> 'schema_migrations'",
            &[],
        )
        .await
        .unwrap();
    let found: Found = rows
        .iter()
        .map(|row| {
            let (place, collation): (i64, Option<&str>) = (row.get(3), row.get(4));
            // The same order as in SQLite.
            assert!(
                place == 0 || collation.is_none_or(|name| name == "C"),
                "{row:?}"
            );
            (row.get(0), row.get(1), kind(row.get(2)), place)
        })
        .collect();
    assert_eq!(found, told, "PostgreSQL, schema {schema}");

    // A table stands after those it refers to.
    let rows = client
        .query(
            "SELECT r.relname::text, f.relname::text FROM pg_constraint k
             JOIN pg_class r ON r.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
             WHERE k.contype = 'f'",
            &[],
        )
        .await
        .unwrap();
    let place = |name: &str| tables.iter().position(|table| table.name == name).unwrap();
    assert!(rows.len() >= 3);
    for row in rows {
        assert!(place(row.get(1)) < place(row.get(0)), "{row:?}");
    }
}
