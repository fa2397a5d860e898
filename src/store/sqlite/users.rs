//! Statements about accounts, their passwords and the codes for them.

use super::logins::{self, void};
use super::{corrupt, failed, optional_time, time, uuid};
use crate::domain::user::{Email, NOWHERE, Role, User, UserFilter};
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use crate::store::{PasswordChange, storable};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str = "user_id, name, email, token_epoch, disabled_at, created_at, role";

/// The beginning of every statement that makes the earlier tokens of an account void.
const RAISE: &str = "UPDATE users SET token_epoch = token_epoch + 1";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        user_id: UserId(uuid(row, 0)?),
        name: row.get(1)?,
        email: Email::stored(&row.get::<_, String>(2)?).map_err(|_| corrupt(2, "e-mail"))?,
        token_epoch: row.get(3)?,
        disabled_at: optional_time(row, 4)?,
        created_at: time(row, 5)?,
        role: Role::parse(&row.get::<_, String>(6)?).ok_or_else(|| corrupt(6, "role"))?,
    })
}

fn email_taken() -> Error {
    Error::new(
        ErrorCode::EmailTaken,
        "this e-mail address has an account already",
    )
}

pub(super) fn add(c: &Connection, user: &User, password_hash: &str) -> Result<()> {
    storable("name", &user.name)?;
    let added = c
        .prepare_cached(
            "INSERT INTO users (user_id, name, email, token_epoch, disabled_at, created_at, role,
                                password_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (email) DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                user.user_id.0.as_bytes(),
                user.name,
                user.email.as_str(),
                user.token_epoch,
                user.disabled_at.map(Timestamp::as_micros),
                user.created_at.as_micros(),
                user.role.as_str(),
                password_hash,
            ])
        })
        .map_err(failed)?;
    if added == 0 {
        return Err(email_taken());
    }
    Ok(())
}

pub(super) fn add_invited(
    c: &Connection,
    user: &User,
    password_hash: &str,
    invite_hash: &str,
    now: Timestamp,
) -> Result<bool> {
    let used = c
        .prepare_cached("DELETE FROM invites WHERE code_hash = ?1 AND expires_at > ?2")
        .and_then(|mut s| s.execute(params![invite_hash, now.as_micros()]))
        .map_err(failed)?;
    if used == 0 {
        return Ok(false);
    }
    // What is refused is undone, the use of the invitation included.
    add(c, user, password_hash)?;
    Ok(true)
}

pub(super) fn add_invite(
    c: &Connection,
    code_hash: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    c.prepare_cached("INSERT INTO invites (code_hash, created_at, expires_at) VALUES (?1, ?2, ?3)")
        .and_then(|mut s| s.execute(params![code_hash, now.as_micros(), expires_at.as_micros()]))
        .map_err(failed)?;
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
        s.query_row([email.as_str()], |row| Ok((user(row)?, row.get(7)?)))
            .optional()
    })
    .map_err(failed)
}

pub(super) fn list(
    c: &Connection,
    filter: &UserFilter,
    before: Option<(Timestamp, UserId)>,
    limit: u32,
) -> Result<Vec<User>> {
    let (time, id) = before.map_or((i64::MAX, [0xff; 16]), |(t, id)| {
        (t.as_micros(), id.0.into_bytes())
    });
    let text = filter.text.as_deref();
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM users
         WHERE (created_at, user_id) < (?1, ?2) AND (?4 IS NULL OR role = ?4)
           AND (?5 IS NULL OR (disabled_at IS NOT NULL) = ?5)
           AND (?6 IS NULL OR instr(name, ?6) > 0 OR instr(email, ?7) > 0)
           AND (?8 IS NULL OR email LIKE '%' || ?8)
         ORDER BY created_at DESC, user_id DESC LIMIT ?3"
    ))
    .and_then(|mut s| {
        let values = params![
            time,
            id,
            limit,
            filter.role.map(Role::as_str),
            filter.disabled,
            text,
            text.map(str::to_lowercase),
            filter.guests.then_some(NOWHERE),
        ];
        s.query_map(values, user)?.collect()
    })
    .map_err(failed)
}

pub(super) fn end_all_logins(
    c: &Connection,
    user_id: UserId,
    at: Timestamp,
) -> Result<Option<i64>> {
    let raised = format!("{RAISE} WHERE user_id = ?1");
    void(c, user_id, &raised, [user_id.0.as_bytes()], at)
}

pub(super) fn change_password(c: &Connection, change: &PasswordChange) -> Result<Option<i64>> {
    let PasswordChange {
        user_id,
        old_hash,
        new_hash,
        login,
        at,
    } = change;
    let replaced = format!("{RAISE}, password_hash = ?3 WHERE user_id = ?1 AND password_hash = ?2");
    let values = params![user_id.0.as_bytes(), old_hash, new_hash];
    let epoch = void(c, *user_id, &replaced, values, *at)?;
    if let Some(epoch) = epoch {
        forget_recovery(c, *user_id)?;
        let mut login = login.clone();
        login.epoch = epoch;
        logins::add(c, &login)?;
    }
    Ok(epoch)
}

pub(super) fn rehash(c: &Connection, user_id: UserId, old: &str, new: &str) -> Result<bool> {
    c.prepare_cached(
        "UPDATE users SET password_hash = ?3 WHERE user_id = ?1 AND password_hash = ?2",
    )
    .and_then(|mut s| s.execute(params![user_id.0.as_bytes(), old, new]))
    .map(|replaced| replaced > 0)
    .map_err(failed)
}

pub(super) fn set_password(
    c: &Connection,
    user_id: UserId,
    new: &str,
    at: Timestamp,
) -> Result<bool> {
    forget_recovery(c, user_id)?;
    let replaced = format!("{RAISE}, password_hash = ?2 WHERE user_id = ?1");
    let epoch = void(
        c,
        user_id,
        &replaced,
        params![user_id.0.as_bytes(), new],
        at,
    )?;
    Ok(epoch.is_some())
}

fn forget_recovery(c: &Connection, user_id: UserId) -> Result<()> {
    c.prepare_cached("DELETE FROM recoveries WHERE user_id = ?1")
        .and_then(|mut s| s.execute([user_id.0.as_bytes()]))
        .map_err(failed)?;
    Ok(())
}

pub(super) fn add_recovery(
    c: &Connection,
    user_id: UserId,
    code_hash: &str,
    expires_at: Timestamp,
) -> Result<bool> {
    c.prepare_cached(
        "INSERT INTO recoveries (user_id, code_hash, expires_at)
         SELECT user_id, ?2, ?3 FROM users WHERE user_id = ?1
         ON CONFLICT (user_id) DO UPDATE
         SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
    )
    .and_then(|mut s| {
        s.execute(params![
            user_id.0.as_bytes(),
            code_hash,
            expires_at.as_micros()
        ])
    })
    .map(|added| added > 0)
    .map_err(failed)
}

pub(super) fn reset_password(
    c: &Connection,
    email: &Email,
    code_hash: &str,
    new: &str,
    at: Timestamp,
) -> Result<Option<UserId>> {
    let user_id = c
        .prepare_cached(
            "SELECT u.user_id FROM users u JOIN recoveries r USING (user_id)
             WHERE u.email = ?1 AND r.code_hash = ?2 AND r.expires_at > ?3
               AND u.disabled_at IS NULL",
        )
        .and_then(|mut s| {
            s.query_row(params![email.as_str(), code_hash, at.as_micros()], |row| {
                uuid(row, 0).map(UserId)
            })
            .optional()
        })
        .map_err(failed)?;
    if let Some(user_id) = user_id {
        set_password(c, user_id, new, at)?;
    }
    Ok(user_id)
}

pub(super) fn disable(c: &Connection, user_id: UserId, at: Timestamp) -> Result<bool> {
    let since = format!("{RAISE}, disabled_at = coalesce(disabled_at, ?2) WHERE user_id = ?1");
    let values = params![user_id.0.as_bytes(), at.as_micros()];
    let epoch = void(c, user_id, &since, values, at)?;
    Ok(epoch.is_some())
}

pub(super) fn enable(c: &Connection, user_id: UserId) -> Result<bool> {
    c.prepare_cached("UPDATE users SET disabled_at = NULL WHERE user_id = ?1")
        .and_then(|mut s| s.execute([user_id.0.as_bytes()]))
        .map(|enabled| enabled > 0)
        .map_err(failed)
}

pub(super) fn set_role(c: &Connection, user_id: UserId, role: Role) -> Result<bool> {
    c.prepare_cached("UPDATE users SET role = ?2 WHERE user_id = ?1")
        .and_then(|mut s| s.execute(params![user_id.0.as_bytes(), role.as_str()]))
        .map(|set| set > 0)
        .map_err(failed)
}
