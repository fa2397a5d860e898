//! Statements about prompts.

use super::pool::{Done, raced};
use super::{corrupt, time};
use crate::domain::Timestamp;
use crate::domain::prompt::{PERSONAL_KEPT, Prompt, PromptName};
use crate::store::storable;
use deadpool_postgres::Object;
use tokio_postgres::Row;

const COLUMNS: &str = "name, version, body, created_at";

fn prompt(row: &Row) -> Done<Prompt> {
    let name: &str = row.try_get(0)?;
    Ok(Prompt {
        name: PromptName::parse(name).ok_or_else(|| corrupt("prompt name"))?,
        version: row.try_get(1)?,
        body: row.try_get(2)?,
        created_at: Some(time(row, 3)?),
    })
}

pub(super) async fn add(c: &Object, name: PromptName, body: &str, at: Timestamp) -> Done<Prompt> {
    storable("body", body)?;
    let owner = match name {
        PromptName::Personal(user_id) => Some(user_id.0),
        PromptName::System(_) => None,
    };
    let sql = format!(
        "WITH added AS (
             INSERT INTO prompts (name, version, user_id, body, created_at)
             VALUES ($1, (SELECT coalesce(max(version), 0) + 1 FROM prompts WHERE name = $1), $2, $3, $4)
             RETURNING {COLUMNS}
         ), gone AS (
             DELETE FROM prompts WHERE name = $1 AND $2::uuid IS NOT NULL
                                   AND version <= (SELECT version FROM added) - {PERSONAL_KEPT}
         )
         SELECT {COLUMNS} FROM added"
    );
    let statement = c.prepare_cached(&sql).await?;
    // Two at once take the same number; the second one is told so and takes the next.
    let row = c
        .query_one(&statement, &[&name.key(), &owner, &body, &at.as_micros()])
        .await
        .map_err(raced)?;
    prompt(&row)
}

pub(super) async fn get(
    c: &Object,
    name: PromptName,
    version: Option<i64>,
) -> Done<Option<Prompt>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM prompts
         WHERE name = $1 AND ($2::bigint IS NULL OR version = $2) ORDER BY version DESC LIMIT 1"
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, &[&name.key(), &version]).await?;
    row.as_ref().map(prompt).transpose()
}

pub(super) async fn history(c: &Object, name: PromptName) -> Done<Vec<Prompt>> {
    let sql = format!("SELECT {COLUMNS} FROM prompts WHERE name = $1 ORDER BY version DESC");
    let statement = c.prepare_cached(&sql).await?;
    let rows = c.query(&statement, &[&name.key()]).await?;
    rows.iter().map(prompt).collect()
}

/// The newest version of each of these.
pub(super) async fn newest(c: &Object, names: &[PromptName]) -> Done<Vec<Prompt>> {
    let names: Vec<String> = names.iter().map(|name| name.key()).collect();
    let sql = format!(
        "SELECT DISTINCT ON (name) {COLUMNS} FROM prompts
         WHERE name = ANY($1) ORDER BY name, version DESC"
    );
    let statement = c.prepare_cached(&sql).await?;
    let rows = c.query(&statement, &[&names]).await?;
    rows.iter().map(prompt).collect()
}

pub(super) async fn list(c: &Object) -> Done<Vec<Prompt>> {
    let sql =
        format!("SELECT DISTINCT ON (name) {COLUMNS} FROM prompts ORDER BY name, version DESC");
    let statement = c.prepare_cached(&sql).await?;
    let rows = c.query(&statement, &[]).await?;
    rows.iter().map(prompt).collect()
}

/// `unknown`: an earlier attempt may have deleted it, and then it is the one who asked that did.
pub(super) async fn delete(c: &Object, name: PromptName, unknown: bool) -> Done<bool> {
    let statement = c
        .prepare_cached("DELETE FROM prompts WHERE name = $1")
        .await?;
    Ok(c.execute(&statement, &[&name.key()]).await? > 0 || unknown)
}
