//! Statements about data keys.

use super::pool::Done;
use crate::domain::UserId;
use crate::domain::keyring::WrappedKey;
use deadpool_postgres::Object;
use tokio_postgres::Row;

const COLUMNS: &str = "user_id, master, wrapped";

fn key(row: &Row) -> Done<WrappedKey> {
    Ok(WrappedKey {
        user_id: UserId(row.try_get(0)?),
        master: row.try_get(1)?,
        wrapped: row.try_get(2)?,
    })
}

pub(super) async fn masters(c: &Object) -> Done<Vec<String>> {
    let statement = c
        .prepare_cached("SELECT DISTINCT master FROM keyring ORDER BY master")
        .await?;
    let rows = c.query(&statement, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(super) async fn get(c: &Object, user_id: UserId) -> Done<Option<WrappedKey>> {
    let sql = format!("SELECT {COLUMNS} FROM keyring WHERE user_id = $1");
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, &[&user_id.0]).await?;
    row.as_ref().map(key).transpose()
}

pub(super) async fn add(c: &Object, new: &WrappedKey) -> Done<Option<WrappedKey>> {
    let sql = format!(
        "INSERT INTO keyring ({COLUMNS}) SELECT user_id, $2, $3 FROM users WHERE user_id = $1
         ON CONFLICT DO NOTHING"
    );
    let statement = c.prepare_cached(&sql).await?;
    c.execute(&statement, &[&new.user_id.0, &new.master, &new.wrapped])
        .await?;
    get(c, new.user_id).await
}

/// `unknown`: an earlier attempt may have done it.
pub(super) async fn rewrap(
    c: &Object,
    old: &WrappedKey,
    new: &WrappedKey,
    unknown: bool,
) -> Done<bool> {
    let statement = c
        .prepare_cached(
            "UPDATE keyring SET master = $4, wrapped = $5
             WHERE user_id = $1 AND master = $2 AND wrapped = $3",
        )
        .await?;
    let changed = c
        .execute(
            &statement,
            &[
                &old.user_id.0,
                &old.master,
                &old.wrapped,
                &new.master,
                &new.wrapped,
            ],
        )
        .await?;
    Ok(changed == 1 || (unknown && get(c, new.user_id).await?.as_ref() == Some(new)))
}

pub(super) async fn besides(
    c: &Object,
    master: &str,
    after: Option<UserId>,
    limit: u32,
) -> Done<Vec<WrappedKey>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM keyring WHERE master <> $1 AND ($2::uuid IS NULL OR user_id > $2)
         ORDER BY user_id LIMIT $3"
    );
    let statement = c.prepare_cached(&sql).await?;
    let after = after.map(|user_id| user_id.0);
    let rows = c
        .query(&statement, &[&master, &after, &i64::from(limit)])
        .await?;
    rows.iter().map(key).collect()
}
