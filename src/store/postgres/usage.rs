//! Statements about the tokens that people have used.

use super::pool::Done;
use crate::domain::UserId;
use crate::domain::usage::{Day, Tokens, Usage};
use deadpool_postgres::Object;
use tokio_postgres::Row;

/// The parts of a statement that charge what the rows of `due` say (`user_id`, `day`, `input_tokens`,
/// `output_tokens`; at most one) to the person; gives what they have used of the day then.
pub(super) const CHARGE: &str = "
    INSERT INTO usage AS u (user_id, day, input_tokens, output_tokens)
    SELECT user_id, day, input_tokens, output_tokens FROM due
    ON CONFLICT (user_id, day) DO UPDATE
    SET input_tokens = u.input_tokens + excluded.input_tokens,
        output_tokens = u.output_tokens + excluded.output_tokens
    RETURNING input_tokens, output_tokens";

/// Reads the `index`th column and the one after as tokens; none where they are NULL.
pub(super) fn tokens(row: &Row, index: usize) -> Done<Tokens> {
    Ok(Tokens {
        input: row.try_get::<_, Option<i64>>(index)?.unwrap_or(0),
        output: row.try_get::<_, Option<i64>>(index + 1)?.unwrap_or(0),
    })
}

pub(super) async fn of(c: &Object, user_id: UserId, day: Day) -> Done<Usage> {
    let statement = c
        .prepare_cached(
            "SELECT input_tokens, output_tokens FROM usage WHERE user_id = $1 AND day = $2",
        )
        .await?;
    let row = c
        .query_opt(&statement, &[&user_id.0, &day.number()])
        .await?;
    let tokens = row.map(|row| tokens(&row, 0)).transpose()?;
    Ok(Usage {
        day,
        tokens: tokens.unwrap_or_default(),
    })
}

pub(super) async fn days(c: &Object, user_id: UserId) -> Done<Vec<Usage>> {
    let statement = c
        .prepare_cached(
            "SELECT day, input_tokens, output_tokens FROM usage WHERE user_id = $1 ORDER BY day",
        )
        .await?;
    let rows = c.query(&statement, &[&user_id.0]).await?;
    rows.iter()
        .map(|row| {
            Ok(Usage {
                day: Day::from_number(row.try_get(0)?),
                tokens: tokens(row, 1)?,
            })
        })
        .collect()
}

pub(super) async fn forget(c: &Object, day: Day) -> Done<u64> {
    let statement = c.prepare_cached("DELETE FROM usage WHERE day < $1").await?;
    Ok(c.execute(&statement, &[&day.number()]).await?)
}
