//! Statements about the tokens that people have used.

use super::failed;
use crate::domain::usage::{Day, Tokens, Usage};
use crate::domain::{Result, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) fn of(c: &Connection, user_id: UserId, day: Day) -> Result<Usage> {
    let tokens = c
        .prepare_cached(
            "SELECT input_tokens, output_tokens FROM usage WHERE user_id = ?1 AND day = ?2",
        )
        .and_then(|mut s| {
            s.query_row(params![user_id.0.as_bytes(), day.number()], |row| {
                Ok(Tokens {
                    input: row.get(0)?,
                    output: row.get(1)?,
                })
            })
            .optional()
        })
        .map_err(failed)?;
    Ok(Usage {
        day,
        tokens: tokens.unwrap_or_default(),
    })
}

pub(super) fn days(c: &Connection, user_id: UserId) -> Result<Vec<Usage>> {
    c.prepare_cached(
        "SELECT day, input_tokens, output_tokens FROM usage WHERE user_id = ?1 ORDER BY day",
    )
    .and_then(|mut s| {
        s.query_map([user_id.0.as_bytes()], |row| {
            Ok(Usage {
                day: Day::from_number(row.get(0)?),
                tokens: Tokens {
                    input: row.get(1)?,
                    output: row.get(2)?,
                },
            })
        })?
        .collect()
    })
    .map_err(failed)
}

/// Adds to what the person has used of the day of `at`.
pub(super) fn charge(c: &Connection, owner: [u8; 16], at: Timestamp, tokens: Tokens) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO usage (user_id, day, input_tokens, output_tokens) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user_id, day) DO UPDATE
         SET input_tokens = input_tokens + excluded.input_tokens,
             output_tokens = output_tokens + excluded.output_tokens",
    )
    .and_then(|mut s| {
        s.execute(params![
            owner,
            Day::of(at).number(),
            tokens.input,
            tokens.output
        ])
    })
    .map_err(failed)?;
    Ok(())
}

pub(super) fn forget(c: &Connection, day: Day) -> Result<u64> {
    c.prepare_cached("DELETE FROM usage WHERE day < ?1")
        .and_then(|mut s| s.execute([day.number()]))
        .map(|gone| gone as u64)
        .map_err(failed)
}
