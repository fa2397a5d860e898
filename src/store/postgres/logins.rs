//! Statements about logins, tickets and revocations.

use super::pool::Done;
use super::{optional_time, time};
use crate::domain::login::{Login, MOST, Standing, Ticket, Worth};
use crate::domain::{LoginId, Timestamp, UserId};
use crate::store::{Rotate, Rotated};
use deadpool_postgres::Object;
use tokio_postgres::Row;

const COLUMNS: &str = "l.login_id, l.user_id, l.epoch, l.refresh_hash, l.previous_hash, l.rotated_at, \
                       l.created_at, l.expires_at, l.revoked_at";

fn login(row: &Row) -> Done<Login> {
    Ok(Login {
        login_id: LoginId(row.try_get(0)?),
        user_id: UserId(row.try_get(1)?),
        epoch: row.try_get(2)?,
        refresh_hash: row.try_get(3)?,
        previous_hash: row.try_get(4)?,
        rotated_at: optional_time(row, 5)?,
        created_at: time(row, 6)?,
        expires_at: time(row, 7)?,
        revoked_at: optional_time(row, 8)?,
    })
}

/// The part of a statement that says, to whoever looks, that tokens of the people in `voided` (`user_id`)
/// became void at the time `at`, which is a parameter.
pub(super) fn revoke(voided: &str, at: &str) -> String {
    format!(
        "INSERT INTO revocations (user_id, revoked_at) SELECT user_id, {at}::bigint FROM {voided}
         ON CONFLICT (user_id) DO UPDATE SET revoked_at = excluded.revoked_at"
    )
}

/// `unknown`: an earlier attempt may have added it.
pub(super) async fn add(c: &Object, login: &Login, unknown: bool) -> Done<bool> {
    let statement = c
        .prepare_cached(
            "WITH old AS (
                 DELETE FROM logins WHERE login_id IN (
                     SELECT login_id FROM logins WHERE user_id = $2 AND login_id <> $1
                     ORDER BY created_at DESC, login_id DESC OFFSET $10)
             )
             INSERT INTO logins (login_id, user_id, epoch, refresh_hash, previous_hash, rotated_at,
                                 created_at, expires_at, revoked_at)
             SELECT $1, user_id, token_epoch, $4, $5, $6, $7, $8, $9 FROM users
             WHERE user_id = $2 AND token_epoch = $3 AND disabled_at IS NULL
             ON CONFLICT (login_id) DO NOTHING",
        )
        .await?;
    let added = c
        .execute(
            &statement,
            &[
                &login.login_id.0,
                &login.user_id.0,
                &login.epoch,
                &login.refresh_hash,
                &login.previous_hash,
                &login.rotated_at.map(Timestamp::as_micros),
                &login.created_at.as_micros(),
                &login.expires_at.as_micros(),
                &login.revoked_at.map(Timestamp::as_micros),
                // The new one takes a place, too.
                &i64::from(MOST - 1),
            ],
        )
        .await?;
    // Asked only now, because the server may have been at the earlier attempt until now.
    Ok(added > 0 || (unknown && get(c, login.login_id).await?.is_some()))
}

async fn get(c: &Object, login_id: LoginId) -> Done<Option<Login>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM logins l JOIN users u USING (user_id)
         WHERE l.login_id = $1 AND l.epoch = u.token_epoch AND u.disabled_at IS NULL"
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, &[&login_id.0]).await?;
    row.as_ref().map(login).transpose()
}

pub(super) async fn standing(
    c: &Object,
    user_id: UserId,
    login_id: LoginId,
) -> Done<Option<Standing>> {
    let statement = c
        .prepare_cached(
            "SELECT u.token_epoch, l.refresh_hash IS NOT NULL
             FROM logins l JOIN users u USING (user_id)
             WHERE l.login_id = $1 AND l.user_id = $2 AND l.revoked_at IS NULL
               AND u.disabled_at IS NULL",
        )
        .await?;
    let row = c.query_opt(&statement, &[&login_id.0, &user_id.0]).await?;
    row.map(|row| {
        Ok(Standing {
            epoch: row.try_get(0)?,
            refreshes: row.try_get(1)?,
        })
    })
    .transpose()
}

/// Either the first statement writes or the last: a token that is not the current one never becomes it
/// again, so nothing can change in between that would make the last one wrong.
pub(super) async fn rotate(c: &Object, rotate: &Rotate) -> Done<Rotated> {
    let statement = c
        .prepare_cached(
            "UPDATE logins l SET previous_hash = refresh_hash, refresh_hash = $3, rotated_at = $4,
                                 expires_at = $5
             FROM users u
             WHERE l.login_id = $1 AND l.refresh_hash = $2 AND l.revoked_at IS NULL
               AND l.expires_at > $4 AND u.user_id = l.user_id AND u.token_epoch = l.epoch
               AND u.disabled_at IS NULL
             RETURNING l.user_id, l.epoch",
        )
        .await?;
    let row = c
        .query_opt(
            &statement,
            &[
                &rotate.login_id.0,
                &rotate.presented,
                &rotate.successor,
                &rotate.at.as_micros(),
                &rotate.expires_at.as_micros(),
            ],
        )
        .await?;
    if let Some(row) = row {
        return Ok(Rotated::Fresh {
            user_id: UserId(row.try_get(0)?),
            epoch: row.try_get(1)?,
        });
    }
    let Some(login) = get(c, rotate.login_id).await? else {
        return Ok(Rotated::Nothing);
    };
    if login.refresh_hash.as_deref() == Some(rotate.presented.as_str()) {
        return Ok(Rotated::Nothing);
    }
    let (user_id, epoch) = (login.user_id, login.epoch);
    Ok(
        match login.judge(&rotate.presented, rotate.genuine, rotate.at) {
            Worth::Again => Rotated::Again {
                user_id,
                epoch,
                current: login.refresh_hash.unwrap_or_default(),
            },
            Worth::Stolen => {
                end(c, user_id, rotate.login_id, rotate.at, false).await?;
                Rotated::Stolen { user_id }
            }
            Worth::Nothing => Rotated::Nothing,
        },
    )
}

/// `unknown`: an earlier attempt may have ended it.
pub(super) async fn end(
    c: &Object,
    user_id: UserId,
    login_id: LoginId,
    at: Timestamp,
    unknown: bool,
) -> Done<bool> {
    let sql = format!(
        "WITH ended AS (
             UPDATE logins SET revoked_at = $3
             WHERE login_id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING user_id
         )
         {}",
        revoke("ended", "$3")
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&login_id.0, &user_id.0, &at.as_micros()];
    Ok(c.execute(&statement, &values).await? > 0 || unknown)
}

pub(super) async fn revoked_lately(c: &Object, limit: u32) -> Done<Vec<(UserId, Timestamp)>> {
    let statement = c
        .prepare_cached(
            "SELECT user_id, revoked_at FROM revocations
             ORDER BY revoked_at DESC, user_id LIMIT $1",
        )
        .await?;
    let rows = c.query(&statement, &[&i64::from(limit)]).await?;
    rows.iter()
        .map(|row| Ok((UserId(row.try_get(0)?), time(row, 1)?)))
        .collect()
}

pub(super) async fn tidy(
    c: &Object,
    now: Timestamp,
    revoked_before: Timestamp,
    most: u32,
) -> Done<u64> {
    let parts: Vec<String> = [
        ("logins", "login_id", "expires_at", "$1"),
        ("tickets", "ticket_hash", "expires_at", "$1"),
        ("recoveries", "user_id", "expires_at", "$1"),
        ("invites", "code_hash", "expires_at", "$1"),
        ("revocations", "user_id", "revoked_at", "$2"),
    ]
    .map(|(table, key, time, before)| {
        // What somebody else is at is left for the next time.
        format!(
            "{table}_gone AS (
                 DELETE FROM {table} WHERE {key} IN (
                     SELECT {key} FROM {table} WHERE {time} <= {before}::bigint
                     ORDER BY {time} LIMIT $3 FOR UPDATE SKIP LOCKED)
                 RETURNING 1)"
        )
    })
    .into();
    let sql = format!(
        "WITH {}
         SELECT (SELECT count(*) FROM logins_gone) + (SELECT count(*) FROM tickets_gone)
              + (SELECT count(*) FROM recoveries_gone) + (SELECT count(*) FROM invites_gone)
              + (SELECT count(*) FROM revocations_gone)",
        parts.join(", ")
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c
        .query_one(
            &statement,
            &[
                &now.as_micros(),
                &revoked_before.as_micros(),
                &i64::from(most),
            ],
        )
        .await?;
    Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
}

pub(super) async fn add_ticket(c: &Object, ticket: &Ticket) -> Done<()> {
    let statement = c
        .prepare_cached(
            "INSERT INTO tickets (ticket_hash, user_id, login_id, epoch, origin, token_expires_at,
                                  expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (ticket_hash) DO NOTHING",
        )
        .await?;
    c.execute(
        &statement,
        &[
            &ticket.hash,
            &ticket.user_id.0,
            &ticket.login_id.0,
            &ticket.epoch,
            &ticket.origin,
            &ticket.token_expires_at.as_micros(),
            &ticket.expires_at.as_micros(),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn take_ticket(c: &Object, hash: &str, now: Timestamp) -> Done<Option<Ticket>> {
    let statement = c
        .prepare_cached(
            "DELETE FROM tickets WHERE ticket_hash = $1
             RETURNING ticket_hash, user_id, login_id, epoch, origin, token_expires_at, expires_at",
        )
        .await?;
    let Some(row) = c.query_opt(&statement, &[&hash]).await? else {
        return Ok(None);
    };
    let ticket = Ticket {
        hash: row.try_get(0)?,
        user_id: UserId(row.try_get(1)?),
        login_id: LoginId(row.try_get(2)?),
        epoch: row.try_get(3)?,
        origin: row.try_get(4)?,
        token_expires_at: time(&row, 5)?,
        expires_at: time(&row, 6)?,
    };
    Ok(Some(ticket).filter(|ticket| ticket.expires_at > now))
}
