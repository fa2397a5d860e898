//! Statements about accounts.

use super::{failed, optional_time, time, uuid};
use crate::domain::user::{Email, User};
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use crate::store::storable;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str = "user_id, name, email, token_epoch, disabled_at, created_at";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        user_id: UserId(uuid(row, 0)?),
        name: row.get(1)?,
        email: Email::parse(&row.get::<_, String>(2)?).map_err(|_| super::corrupt(2, "e-mail"))?,
        token_epoch: row.get(3)?,
        disabled_at: optional_time(row, 4)?,
        created_at: time(row, 5)?,
    })
}

pub(super) fn add(c: &Connection, user: &User, password_hash: &str) -> Result<()> {
    storable("name", &user.name)?;
    let added = c
        .prepare_cached(
            "INSERT INTO users (user_id, name, email, token_epoch, disabled_at, created_at, password_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (email) DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                user.user_id.0.as_bytes(),
                user.name,
                user.email.as_str(),
                user.token_epoch,
                user.disabled_at.map(Timestamp::as_micros),
                user.created_at.as_micros(),
                password_hash,
            ])
        })
        .map_err(failed)?;
    if added == 0 {
        return Err(Error::new(
            ErrorCode::EmailTaken,
            "this e-mail address has an account already",
        ));
    }
    Ok(())
}

pub(super) fn get(c: &Connection, user_id: UserId) -> Result<Option<User>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE user_id = ?1"))
        .and_then(|mut s| s.query_row([user_id.0.as_bytes()], user).optional())
        .map_err(failed)
}

pub(super) fn by_email(c: &Connection, email: &Email) -> Result<Option<(User, String)>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS}, password_hash FROM users WHERE email = ?1"
    ))
    .and_then(|mut s| {
        s.query_row([email.as_str()], |row| Ok((user(row)?, row.get(6)?)))
            .optional()
    })
    .map_err(failed)
}

pub(super) fn list(
    c: &Connection,
    before: Option<(Timestamp, UserId)>,
    limit: u32,
) -> Result<Vec<User>> {
    let (time, id) = before.map_or((i64::MAX, [0xff; 16]), |(t, id)| {
        (t.as_micros(), id.0.into_bytes())
    });
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM users WHERE (created_at, user_id) < (?1, ?2)
         ORDER BY created_at DESC, user_id DESC LIMIT ?3"
    ))
    .and_then(|mut s| s.query_map(params![time, id, limit], user)?.collect())
    .map_err(failed)
}

pub(super) fn change_password(
    c: &Connection,
    user_id: UserId,
    old: &str,
    new: &str,
) -> Result<Option<i64>> {
    c.prepare_cached(
        "UPDATE users SET password_hash = ?3, token_epoch = token_epoch + 1
         WHERE user_id = ?1 AND password_hash = ?2 RETURNING token_epoch",
    )
    .and_then(|mut s| {
        s.query_row(params![user_id.0.as_bytes(), old, new], |row| row.get(0))
            .optional()
    })
    .map_err(failed)
}
