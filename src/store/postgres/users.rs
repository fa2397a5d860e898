//! Statements about accounts.

use super::pool::{Done, Trouble};
use super::{corrupt, optional_time, time};
use crate::domain::user::{Email, User};
use crate::domain::{Error, ErrorCode, Timestamp, UserId};
use crate::store::storable;
use deadpool_postgres::Object;
use tokio_postgres::Row;
use uuid::Uuid;

const COLUMNS: &str = "user_id, name, email, token_epoch, disabled_at, created_at";

fn user(row: &Row) -> Done<User> {
    Ok(User {
        user_id: UserId(row.try_get(0)?),
        name: row.try_get(1)?,
        email: Email::parse(row.try_get(2)?).map_err(|_| corrupt("e-mail"))?,
        token_epoch: row.try_get(3)?,
        disabled_at: optional_time(row, 4)?,
        created_at: time(row, 5)?,
    })
}

/// `unknown`: an earlier attempt may have added it.
pub(super) async fn add(c: &Object, user: &User, password_hash: &str, unknown: bool) -> Done<()> {
    storable("name", &user.name)?;
    let statement = c
        .prepare_cached(
            "INSERT INTO users (user_id, name, email, token_epoch, disabled_at, created_at, password_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING",
        )
        .await?;
    let added = c
        .execute(
            &statement,
            &[
                &user.user_id.0,
                &user.name,
                &user.email.as_str(),
                &user.token_epoch,
                &user.disabled_at.map(Timestamp::as_micros),
                &user.created_at.as_micros(),
                &password_hash,
            ],
        )
        .await?;
    if added == 0 {
        // Asked only now, because the server may have been at the earlier attempt until now.
        if unknown && get(c, user.user_id).await?.is_some() {
            return Ok(());
        }
        return Err(Trouble::Answer(Error::new(
            ErrorCode::EmailTaken,
            "this e-mail address has an account already",
        )));
    }
    Ok(())
}

pub(super) async fn get(c: &Object, user_id: UserId) -> Done<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE user_id = $1");
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, &[&user_id.0]).await?;
    row.as_ref().map(user).transpose()
}

pub(super) async fn by_email(c: &Object, email: &Email) -> Done<Option<(User, String)>> {
    let sql = format!("SELECT {COLUMNS}, password_hash FROM users WHERE email = $1");
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, &[&email.as_str()]).await?;
    row.map(|row| Ok((user(&row)?, row.try_get(6)?)))
        .transpose()
}

pub(super) async fn list(
    c: &Object,
    before: Option<(Timestamp, UserId)>,
    limit: u32,
) -> Done<Vec<User>> {
    let (time, id) = before.map_or((i64::MAX, Uuid::max()), |(t, id)| (t.as_micros(), id.0));
    let sql = format!(
        "SELECT {COLUMNS} FROM users WHERE (created_at, user_id) < ($1, $2)
         ORDER BY created_at DESC, user_id DESC LIMIT $3"
    );
    let statement = c.prepare_cached(&sql).await?;
    let rows = c
        .query(&statement, &[&time, &id, &i64::from(limit)])
        .await?;
    rows.iter().map(user).collect()
}

pub(super) async fn change_password(
    c: &Object,
    user_id: UserId,
    old: &str,
    new: &str,
) -> Done<Option<i64>> {
    let statement = c
        .prepare_cached(
            "UPDATE users SET password_hash = $3, token_epoch = token_epoch + 1
             WHERE user_id = $1 AND password_hash = $2 RETURNING token_epoch",
        )
        .await?;
    let row = c.query_opt(&statement, &[&user_id.0, &old, &new]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}
