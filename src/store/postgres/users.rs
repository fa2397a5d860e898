//! Statements about accounts, their passwords and the codes for them.

use super::logins::revoke;
use super::pool::{Done, Trouble};
use super::{corrupt, optional_time, time};
use crate::domain::login::MOST;
use crate::domain::user::{Email, NOWHERE, Role, User, UserFilter};
use crate::domain::{Error, ErrorCode, Timestamp, UserId};
use crate::store::{PasswordChange, storable};
use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

const COLUMNS: &str = "user_id, name, email, token_epoch, disabled_at, created_at, role";

/// The beginning of every statement that makes the earlier tokens of an account void.
const RAISE: &str = "UPDATE users SET token_epoch = token_epoch + 1";

fn user(row: &Row) -> Done<User> {
    Ok(User {
        user_id: UserId(row.try_get(0)?),
        name: row.try_get(1)?,
        email: Email::stored(row.try_get(2)?).map_err(|_| corrupt("e-mail"))?,
        token_epoch: row.try_get(3)?,
        disabled_at: optional_time(row, 4)?,
        created_at: time(row, 5)?,
        role: Role::parse(row.try_get(6)?).ok_or_else(|| corrupt("role"))?,
    })
}

fn email_taken() -> Trouble {
    Trouble::Answer(Error::new(
        ErrorCode::EmailTaken,
        "this e-mail address has an account already",
    ))
}

/// `unknown`: an earlier attempt may have added it.
pub(super) async fn add(c: &Object, user: &User, password_hash: &str, unknown: bool) -> Done<()> {
    storable("name", &user.name)?;
    let statement = c
        .prepare_cached(
            "INSERT INTO users (user_id, name, email, token_epoch, disabled_at, created_at, role,
                                password_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (email) DO NOTHING",
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
                &user.role.as_str(),
                &password_hash,
            ],
        )
        .await?;
    // Asked only now, because the server may have been at the earlier attempt until now.
    if added == 0 && !(unknown && get(c, user.user_id).await?.is_some()) {
        return Err(email_taken());
    }
    Ok(())
}

/// `unknown`: an earlier attempt may have added it.
pub(super) async fn add_invited(
    c: &Object,
    user: &User,
    password_hash: &str,
    (invite_hash, now): (&str, Timestamp),
    unknown: bool,
) -> Done<bool> {
    storable("name", &user.name)?;
    // The invitation is held first, so that of two who bring it the second finds it used, and is used up
    // only by an account that was added.
    let statement = c
        .prepare_cached(
            "WITH invite AS (
                 SELECT code_hash FROM invites WHERE code_hash = $9 AND expires_at > $10 FOR UPDATE
             ), added AS (
                 INSERT INTO users (user_id, name, email, token_epoch, disabled_at, created_at, role,
                                    password_hash)
                 SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM invite
                 ON CONFLICT (email) DO NOTHING RETURNING user_id
             ), used AS (
                 DELETE FROM invites WHERE code_hash IN (SELECT code_hash FROM invite)
                                       AND EXISTS (SELECT 1 FROM added)
             )
             SELECT EXISTS (SELECT 1 FROM invite), EXISTS (SELECT 1 FROM added)",
        )
        .await?;
    let row = c
        .query_one(
            &statement,
            &[
                &user.user_id.0,
                &user.name,
                &user.email.as_str(),
                &user.token_epoch,
                &user.disabled_at.map(Timestamp::as_micros),
                &user.created_at.as_micros(),
                &user.role.as_str(),
                &password_hash,
                &invite_hash,
                &now.as_micros(),
            ],
        )
        .await?;
    let (invited, added): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if added || (unknown && get(c, user.user_id).await?.is_some()) {
        return Ok(true);
    }
    if invited {
        Err(email_taken())
    } else {
        Ok(false)
    }
}

pub(super) async fn add_invite(
    c: &Object,
    code_hash: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Done<()> {
    let statement = c
        .prepare_cached(
            "INSERT INTO invites (code_hash, created_at, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (code_hash) DO NOTHING",
        )
        .await?;
    let values: [&(dyn ToSql + Sync); 3] = [&code_hash, &now.as_micros(), &expires_at.as_micros()];
    c.execute(&statement, &values).await?;
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
    row.map(|row| Ok((user(&row)?, row.try_get(7)?)))
        .transpose()
}

pub(super) async fn list(
    c: &Object,
    filter: &UserFilter,
    before: Option<(Timestamp, UserId)>,
    limit: u32,
) -> Done<Vec<User>> {
    let (time, id) = before.map_or((i64::MAX, Uuid::max()), |(t, id)| (t.as_micros(), id.0));
    let text = filter.text.as_deref();
    let sql = format!(
        "SELECT {COLUMNS} FROM users
         WHERE (created_at, user_id) < ($1, $2) AND ($4::text IS NULL OR role = $4)
           AND ($5::boolean IS NULL OR (disabled_at IS NOT NULL) = $5)
           AND ($6::text IS NULL OR position($6 IN name) > 0 OR position($7::text IN email) > 0)
           AND ($8::text IS NULL OR email LIKE '%' || $8)
         ORDER BY created_at DESC, user_id DESC LIMIT $3"
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 8] = [
        &time,
        &id,
        &i64::from(limit),
        &filter.role.map(Role::as_str),
        &filter.disabled,
        &text,
        &text.map(str::to_lowercase),
        &filter.guests.then_some(NOWHERE),
    ];
    let rows = c.query(&statement, &values).await?;
    rows.iter().map(user).collect()
}

/// Runs a statement that begins with [`RAISE`] and says so to whoever looks; `at` is its parameter with
/// the time. Who raised what to which epoch.
async fn void(
    c: &Object,
    raise: &str,
    at: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Done<Option<i64>> {
    let sql = format!(
        "WITH raised AS ({raise} RETURNING user_id, token_epoch), told AS ({})
         SELECT token_epoch FROM raised",
        revoke("raised", at)
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, values).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

pub(super) async fn end_all_logins(
    c: &Object,
    user_id: UserId,
    at: Timestamp,
) -> Done<Option<i64>> {
    let raise = format!("{RAISE} WHERE user_id = $1");
    void(c, &raise, "$2", &[&user_id.0, &at.as_micros()]).await
}

pub(super) async fn change_password(c: &Object, change: &PasswordChange) -> Done<Option<i64>> {
    let login = &change.login;
    let sql = format!(
        "WITH raised AS (
             {RAISE}, password_hash = $3 WHERE user_id = $1 AND password_hash = $2
             RETURNING user_id, token_epoch
         ), told AS ({}), forgotten AS (
             DELETE FROM recoveries r USING raised WHERE r.user_id = raised.user_id
         ), old AS (
             DELETE FROM logins WHERE login_id IN (
                 SELECT l.login_id FROM logins l JOIN raised USING (user_id)
                 ORDER BY l.created_at DESC, l.login_id DESC OFFSET $9)
         ), added AS (
             INSERT INTO logins (login_id, user_id, epoch, refresh_hash, created_at, expires_at)
             SELECT $5, user_id, token_epoch, $6, $7, $8 FROM raised
         )
         SELECT token_epoch FROM raised",
        revoke("raised", "$4")
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c
        .query_opt(
            &statement,
            &[
                &change.user_id.0,
                &change.old_hash,
                &change.new_hash,
                &change.at.as_micros(),
                &login.login_id.0,
                &login.refresh_hash,
                &login.created_at.as_micros(),
                &login.expires_at.as_micros(),
                &i64::from(MOST - 1),
            ],
        )
        .await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// `unknown`: an earlier attempt may have replaced it.
pub(super) async fn rehash(
    c: &Object,
    user_id: UserId,
    old: &str,
    new: &str,
    unknown: bool,
) -> Done<bool> {
    let statement = c
        .prepare_cached(
            "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2",
        )
        .await?;
    Ok(c.execute(&statement, &[&user_id.0, &old, &new]).await? > 0 || unknown)
}

pub(super) async fn set_password(
    c: &Object,
    user_id: UserId,
    new: &str,
    at: Timestamp,
) -> Done<bool> {
    let sql = format!(
        "WITH raised AS (
             {RAISE}, password_hash = $2 WHERE user_id = $1 RETURNING user_id, token_epoch
         ), told AS ({}), forgotten AS (
             DELETE FROM recoveries r USING raised WHERE r.user_id = raised.user_id
         )
         SELECT token_epoch FROM raised",
        revoke("raised", "$3")
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 3] = [&user_id.0, &new, &at.as_micros()];
    Ok(c.query_opt(&statement, &values).await?.is_some())
}

pub(super) async fn add_recovery(
    c: &Object,
    user_id: UserId,
    code_hash: &str,
    expires_at: Timestamp,
) -> Done<bool> {
    let statement = c
        .prepare_cached(
            "INSERT INTO recoveries (user_id, code_hash, expires_at)
             SELECT user_id, $2, $3 FROM users WHERE user_id = $1
             ON CONFLICT (user_id) DO UPDATE
             SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
        )
        .await?;
    let values: [&(dyn ToSql + Sync); 3] = [&user_id.0, &code_hash, &expires_at.as_micros()];
    Ok(c.execute(&statement, &values).await? > 0)
}

pub(super) async fn reset_password(
    c: &Object,
    email: &Email,
    code_hash: &str,
    new: &str,
    at: Timestamp,
) -> Done<Option<UserId>> {
    // The code decides the race of two who bring it.
    let sql = format!(
        "WITH code AS (
             DELETE FROM recoveries r USING users u
             WHERE u.email = $1 AND u.disabled_at IS NULL AND r.user_id = u.user_id
               AND r.code_hash = $2 AND r.expires_at > $4
             RETURNING r.user_id
         ), raised AS (
             {RAISE}, password_hash = $3 FROM code WHERE users.user_id = code.user_id
             RETURNING users.user_id
         ), told AS ({})
         SELECT user_id FROM raised",
        revoke("raised", "$4")
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 4] = [&email.as_str(), &code_hash, &new, &at.as_micros()];
    let row = c.query_opt(&statement, &values).await?;
    row.map(|row| Ok(UserId(row.try_get(0)?))).transpose()
}

pub(super) async fn disable(c: &Object, user_id: UserId, at: Timestamp) -> Done<bool> {
    let raise =
        format!("{RAISE}, disabled_at = coalesce(disabled_at, $2::bigint) WHERE user_id = $1");
    let values: [&(dyn ToSql + Sync); 2] = [&user_id.0, &at.as_micros()];
    Ok(void(c, &raise, "$2", &values).await?.is_some())
}

pub(super) async fn enable(c: &Object, user_id: UserId) -> Done<bool> {
    let statement = c
        .prepare_cached("UPDATE users SET disabled_at = NULL WHERE user_id = $1")
        .await?;
    Ok(c.execute(&statement, &[&user_id.0]).await? > 0)
}

pub(super) async fn set_role(c: &Object, user_id: UserId, role: Role) -> Done<bool> {
    let statement = c
        .prepare_cached("UPDATE users SET role = $2 WHERE user_id = $1")
        .await?;
    let set = c.execute(&statement, &[&user_id.0, &role.as_str()]).await?;
    Ok(set > 0)
}
