//! Statements about logins, tickets and revocations.

use super::{failed, optional_time, time, uuid};
use crate::domain::login::{Login, MOST, Standing, Ticket, Worth};
use crate::domain::{LoginId, Result, Timestamp, UserId};
use crate::store::{Rotate, Rotated};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

const COLUMNS: &str = "l.login_id, l.user_id, l.epoch, l.refresh_hash, l.previous_hash, l.rotated_at, \
                       l.created_at, l.expires_at, l.revoked_at";

fn login(row: &Row<'_>) -> rusqlite::Result<Login> {
    Ok(Login {
        login_id: LoginId(uuid(row, 0)?),
        user_id: UserId(uuid(row, 1)?),
        epoch: row.get(2)?,
        refresh_hash: row.get(3)?,
        previous_hash: row.get(4)?,
        rotated_at: optional_time(row, 5)?,
        created_at: time(row, 6)?,
        expires_at: time(row, 7)?,
        revoked_at: optional_time(row, 8)?,
    })
}

/// Says to whoever looks that tokens of this person became void.
pub(super) fn revoke(c: &Connection, user_id: UserId, at: Timestamp) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO revocations (user_id, revoked_at) VALUES (?1, ?2)
         ON CONFLICT (user_id) DO UPDATE SET revoked_at = excluded.revoked_at",
    )
    .and_then(|mut s| s.execute(params![user_id.0.as_bytes(), at.as_micros()]))
    .map_err(failed)?;
    Ok(())
}

/// Runs a statement that raises the epoch of `user_id`, so that all earlier tokens are void, and says so
/// if it did. The new epoch.
pub(super) fn void(
    c: &Connection,
    user_id: UserId,
    sql: &str,
    values: impl Params,
    at: Timestamp,
) -> Result<Option<i64>> {
    let epoch = c
        .prepare_cached(&format!("{sql} RETURNING token_epoch"))
        .and_then(|mut s| s.query_row(values, |row| row.get(0)).optional())
        .map_err(failed)?;
    if epoch.is_some() {
        revoke(c, user_id, at)?;
    }
    Ok(epoch)
}

pub(super) fn add(c: &Connection, login: &Login) -> Result<bool> {
    let added = c
        .prepare_cached(
            "INSERT INTO logins (login_id, user_id, epoch, refresh_hash, previous_hash, rotated_at,
                                 created_at, expires_at, revoked_at)
             SELECT ?1, user_id, token_epoch, ?4, ?5, ?6, ?7, ?8, ?9 FROM users
             WHERE user_id = ?2 AND token_epoch = ?3 AND disabled_at IS NULL",
        )
        .and_then(|mut s| {
            s.execute(params![
                login.login_id.0.as_bytes(),
                login.user_id.0.as_bytes(),
                login.epoch,
                login.refresh_hash,
                login.previous_hash,
                login.rotated_at.map(Timestamp::as_micros),
                login.created_at.as_micros(),
                login.expires_at.as_micros(),
                login.revoked_at.map(Timestamp::as_micros),
            ])
        })
        .map_err(failed)?;
    c.prepare_cached(
        "DELETE FROM logins WHERE login_id IN (
             SELECT login_id FROM logins WHERE user_id = ?1 AND login_id <> ?2
             ORDER BY created_at DESC, login_id DESC LIMIT -1 OFFSET ?3)",
    )
    .and_then(|mut s| {
        s.execute(params![
            login.user_id.0.as_bytes(),
            login.login_id.0.as_bytes(),
            // The new one takes a place, too.
            MOST - 1
        ])
    })
    .map_err(failed)?;
    Ok(added > 0)
}

pub(super) fn standing(
    c: &Connection,
    user_id: UserId,
    login_id: LoginId,
) -> Result<Option<Standing>> {
    c.prepare_cached(
        "SELECT u.token_epoch, l.refresh_hash IS NOT NULL FROM logins l JOIN users u USING (user_id)
         WHERE l.login_id = ?1 AND l.user_id = ?2 AND l.revoked_at IS NULL
           AND u.disabled_at IS NULL",
    )
    .and_then(|mut s| {
        s.query_row(
            params![login_id.0.as_bytes(), user_id.0.as_bytes()],
            |row| {
                Ok(Standing {
                    epoch: row.get(0)?,
                    refreshes: row.get(1)?,
                })
            },
        )
        .optional()
    })
    .map_err(failed)
}

pub(super) fn rotate(c: &Connection, rotate: &Rotate) -> Result<Rotated> {
    let found = c
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM logins l JOIN users u USING (user_id)
             WHERE l.login_id = ?1 AND l.epoch = u.token_epoch AND u.disabled_at IS NULL"
        ))
        .and_then(|mut s| {
            s.query_row([rotate.login_id.0.as_bytes()], login)
                .optional()
        })
        .map_err(failed)?;
    let Some(login) = found else {
        return Ok(Rotated::Nothing);
    };
    let (user_id, epoch) = (login.user_id, login.epoch);
    let current = login.refresh_hash.as_deref() == Some(rotate.presented.as_str());
    if current && login.revoked_at.is_none() && login.expires_at > rotate.at {
        c.prepare_cached(
            "UPDATE logins SET previous_hash = refresh_hash, refresh_hash = ?2, rotated_at = ?3,
                               expires_at = ?4
             WHERE login_id = ?1",
        )
        .and_then(|mut s| {
            s.execute(params![
                rotate.login_id.0.as_bytes(),
                rotate.successor,
                rotate.at.as_micros(),
                rotate.expires_at.as_micros(),
            ])
        })
        .map_err(failed)?;
        return Ok(Rotated::Fresh { user_id, epoch });
    }
    if current {
        return Ok(Rotated::Nothing);
    }
    Ok(
        match login.judge(&rotate.presented, rotate.genuine, rotate.at) {
            Worth::Again => Rotated::Again {
                user_id,
                epoch,
                current: login.refresh_hash.unwrap_or_default(),
            },
            Worth::Stolen => {
                end(c, user_id, rotate.login_id, rotate.at)?;
                Rotated::Stolen { user_id }
            }
            Worth::Nothing => Rotated::Nothing,
        },
    )
}

pub(super) fn end(
    c: &Connection,
    user_id: UserId,
    login_id: LoginId,
    at: Timestamp,
) -> Result<bool> {
    let ended = c
        .prepare_cached(
            "UPDATE logins SET revoked_at = ?3
             WHERE login_id = ?1 AND user_id = ?2 AND revoked_at IS NULL",
        )
        .and_then(|mut s| {
            s.execute(params![
                login_id.0.as_bytes(),
                user_id.0.as_bytes(),
                at.as_micros()
            ])
        })
        .map_err(failed)?;
    if ended > 0 {
        revoke(c, user_id, at)?;
    }
    Ok(ended > 0)
}

pub(super) fn revoked_lately(c: &Connection, limit: u32) -> Result<Vec<(UserId, Timestamp)>> {
    c.prepare_cached(
        "SELECT user_id, revoked_at FROM revocations ORDER BY revoked_at DESC, user_id LIMIT ?1",
    )
    .and_then(|mut s| {
        s.query_map([limit], |row| Ok((UserId(uuid(row, 0)?), time(row, 1)?)))?
            .collect()
    })
    .map_err(failed)
}

pub(super) fn tidy(
    c: &Connection,
    now: Timestamp,
    revoked_before: Timestamp,
    most: u32,
) -> Result<u64> {
    let mut gone = 0;
    for (table, key, time, before) in [
        ("logins", "login_id", "expires_at", now),
        ("tickets", "ticket_hash", "expires_at", now),
        ("recoveries", "user_id", "expires_at", now),
        ("invites", "code_hash", "expires_at", now),
        ("revocations", "user_id", "revoked_at", revoked_before),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN (
                 SELECT {key} FROM {table} WHERE {time} <= ?1 ORDER BY {time} LIMIT ?2)"
        );
        gone += c
            .prepare_cached(&sql)
            .and_then(|mut s| s.execute(params![before.as_micros(), most]))
            .map_err(failed)? as u64;
    }
    Ok(gone)
}

pub(super) fn add_ticket(c: &Connection, ticket: &Ticket) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO tickets (ticket_hash, user_id, login_id, epoch, origin, token_expires_at,
                              expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .and_then(|mut s| {
        s.execute(params![
            ticket.hash,
            ticket.user_id.0.as_bytes(),
            ticket.login_id.0.as_bytes(),
            ticket.epoch,
            ticket.origin,
            ticket.token_expires_at.as_micros(),
            ticket.expires_at.as_micros(),
        ])
    })
    .map_err(failed)?;
    Ok(())
}

pub(super) fn take_ticket(c: &Connection, hash: &str, now: Timestamp) -> Result<Option<Ticket>> {
    let ticket = c
        .prepare_cached(
            "DELETE FROM tickets WHERE ticket_hash = ?1
             RETURNING ticket_hash, user_id, login_id, epoch, origin, token_expires_at, expires_at",
        )
        .and_then(|mut s| {
            s.query_row([hash], |row| {
                Ok(Ticket {
                    hash: row.get(0)?,
                    user_id: UserId(uuid(row, 1)?),
                    login_id: LoginId(uuid(row, 2)?),
                    epoch: row.get(3)?,
                    origin: row.get(4)?,
                    token_expires_at: time(row, 5)?,
                    expires_at: time(row, 6)?,
                })
            })
            .optional()
        })
        .map_err(failed)?;
    Ok(ticket.filter(|ticket| ticket.expires_at > now))
}
