//! Statements about the database as a whole.

use super::pool::Done;
use deadpool_postgres::Object;

/// Records `value` under `name` unless something is; what then is.
pub(super) async fn claim(c: &Object, name: &'static str, value: &str) -> Done<String> {
    let statement = c
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = meta.value RETURNING value",
        )
        .await?;
    Ok(c.query_one(&statement, &[&name, &value])
        .await?
        .try_get(0)?)
}

/// Replaces what is recorded under `name`, if it still is `old`. `unknown`: an earlier attempt may have.
pub(super) async fn replace(
    c: &Object,
    name: &'static str,
    (old, new): (&str, &str),
    unknown: bool,
) -> Done<bool> {
    let statement = c
        .prepare_cached("UPDATE meta SET value = $3 WHERE name = $1 AND value = $2")
        .await?;
    if c.execute(&statement, &[&name, &old, &new]).await? == 1 {
        return Ok(true);
    }
    let statement = c
        .prepare_cached("SELECT 1 FROM meta WHERE name = $1 AND value = $2")
        .await?;
    Ok(unknown && c.query_opt(&statement, &[&name, &new]).await?.is_some())
}

/// Records a number under `name`, or the next larger one than what is recorded; the one that then is.
pub(super) async fn later(c: &Object, name: &'static str, number: i64) -> Done<i64> {
    let statement = c
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES ($1, $2::bigint::text)
             ON CONFLICT (name) DO UPDATE
             SET value = greatest(meta.value::bigint + 1, $2::bigint)::text
             RETURNING value::bigint",
        )
        .await?;
    Ok(c.query_one(&statement, &[&name, &number])
        .await?
        .try_get(0)?)
}

/// The schema version by a prepared statement, because whoever asks for the health asks often.
pub(super) async fn schema_version(c: &Object) -> Done<i64> {
    let statement = c
        .prepare_cached("SELECT coalesce(max(version), 0) FROM schema_migrations")
        .await?;
    Ok(c.query_one(&statement, &[]).await?.try_get(0)?)
}
