//! The part of the store that is about prompts, on a server.

use super::pool::{Again, Done, raced};
use super::{PostgresStore, corrupt, run, time};
use crate::domain::prompt::ab::Tally;
use crate::domain::prompt::{PERSONAL_KEPT, Prompt, PromptName};
use crate::domain::{Result, Timestamp};
use crate::store::{Prompts, storable};
use deadpool_postgres::Object;
use futures_util::future::BoxFuture;
use std::ops::ControlFlow;
use tokio::time::timeout_at;
use tokio_postgres::Row;

impl Prompts for PostgresStore {
    fn add_prompt(
        &self,
        name: PromptName,
        body: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Prompt>> {
        // Done twice, it would be two versions.
        run!(self, Again::IfUndone, |c| add(&c, name, &body, at))
    }

    fn prompt(
        &self,
        name: PromptName,
        version: Option<i64>,
    ) -> BoxFuture<'_, Result<Option<Prompt>>> {
        run!(self, Again::Always, |c| get(&c, name, version))
    }

    fn prompt_history(&self, name: PromptName) -> BoxFuture<'_, Result<Vec<Prompt>>> {
        run!(self, Again::Always, |c| history(&c, name))
    }

    fn prompts(&self) -> BoxFuture<'_, Result<Vec<Prompt>>> {
        run!(self, Again::Always, |c| list(&c))
    }

    fn tally_prompts(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<Tally>>> {
        run!(self, Again::Always, |c| tally(&c, since))
    }

    fn delete_prompt(&self, name: PromptName) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| delete(&c, name, unknown))
    }
}

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

pub(super) async fn tally(c: &Object, since: Timestamp) -> Done<Vec<Tally>> {
    let statement = c
        .prepare_cached(
            "SELECT split_part(prompt_version, '+', 1) COLLATE \"C\" AS own, count(DISTINCT user_id), count(*),
                    count(*) FILTER (WHERE status = 'complete'), count(*) FILTER (WHERE status = 'cancelled'),
                    count(*) FILTER (WHERE EXISTS (
                        SELECT 1 FROM steps n WHERE n.session_id = t.session_id AND n.step_order = t.step_order + 1
                    )),
                    round(avg(output_tokens))::bigint
             FROM steps t JOIN sessions USING (session_id)
             WHERE prompt_version IS NOT NULL AND status <> 'pending' AND created_at >= $1
             GROUP BY own ORDER BY own",
        )
        .await?;
    let rows = c.query(&statement, &[&since.as_micros()]).await?;
    let tally = |row: &Row| {
        Ok(Tally {
            prompt_version: row.try_get(0)?,
            people: row.try_get(1)?,
            turns: row.try_get(2)?,
            complete: row.try_get(3)?,
            cancelled: row.try_get(4)?,
            went_on: row.try_get(5)?,
            output_tokens: row.try_get(6)?,
        })
    };
    rows.iter().map(tally).collect()
}
