//! The part of the store that is about what conversations show, on a server.

use super::pool::{Again, Done};
use super::{PostgresStore, run, time, usage};
use crate::domain::flow::MarkedStep;
use crate::domain::step::Marks;
use crate::domain::usage::Day;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{Insights, PutCard, StoredCard, storable};
use deadpool_postgres::Object;
use futures_util::future::BoxFuture;
use std::ops::ControlFlow;
use tokio::time::timeout_at;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const COLUMNS: &str =
    "t.step_id, t.session_id, t.step_order, t.created_at, t.emotion, t.correction, t.safety_tier";

impl Insights for PostgresStore {
    fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| correct(
            &c,
            user_id,
            step_id,
            correction.as_deref()
        ))
    }

    fn marks(
        &self,
        user_id: UserId,
        session_id: SessionId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Option<Vec<MarkedStep>>>> {
        run!(self, Again::Always, |c| of_session(
            &c, user_id, session_id, limit
        ))
    }

    fn marks_between(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<MarkedStep>>> {
        run!(self, Again::Always, |c| between(
            &c,
            user_id,
            (from, to),
            limit
        ))
    }

    fn card(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<StoredCard>>> {
        run!(self, Again::Always, |c| card(&c, user_id, session_id))
    }

    fn put_card(&self, put: PutCard) -> BoxFuture<'_, Result<bool>> {
        // Done twice, the second one finds its own body and does nothing.
        run!(self, Again::Always, |c| put_card(&c, &put))
    }
}

fn marked(row: &Row) -> Done<MarkedStep> {
    Ok(MarkedStep {
        step_id: StepId(row.try_get(0)?),
        session_id: SessionId(row.try_get(1)?),
        step_order: row.try_get(2)?,
        created_at: time(row, 3)?,
        marks: Marks {
            emotion: row.try_get(4)?,
            correction: row.try_get(5)?,
            safety_tier: row.try_get(6)?,
        },
    })
}

async fn correct(
    c: &Object,
    user_id: UserId,
    step_id: StepId,
    correction: Option<&str>,
) -> Done<bool> {
    storable("correction", correction.unwrap_or_default())?;
    let statement = c
        .prepare_cached(
            "UPDATE steps SET correction = $3 WHERE step_id = $1
             AND session_id IN (SELECT session_id FROM sessions WHERE user_id = $2)",
        )
        .await?;
    let changed = c
        .execute(&statement, &[&step_id.0, &user_id.0, &correction])
        .await?;
    Ok(changed == 1)
}

async fn of_session(
    c: &Object,
    user_id: UserId,
    session_id: SessionId,
    limit: u32,
) -> Done<Option<Vec<MarkedStep>>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id)
         WHERE t.session_id = $1 AND user_id = $2 ORDER BY t.step_order DESC LIMIT $3"
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 3] = [&session_id.0, &user_id.0, &i64::from(limit)];
    let rows = c.query(&statement, &values).await?;
    if rows.is_empty()
        && super::sessions::get(c, user_id, session_id)
            .await?
            .is_none()
    {
        return Ok(None);
    }
    let oldest_first = rows.iter().rev().map(marked);
    oldest_first.collect::<Done<_>>().map(Some)
}

async fn between(
    c: &Object,
    user_id: UserId,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Done<Vec<MarkedStep>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions s JOIN steps t USING (session_id)
         WHERE s.user_id = $1 AND s.started_at >= $2 AND s.started_at < $3
         ORDER BY s.started_at DESC, s.session_id DESC, t.step_order DESC LIMIT $4"
    );
    let statement = c.prepare_cached(&sql).await?;
    let (from, to) = (from.as_micros(), to.as_micros());
    let values: [&(dyn ToSql + Sync); 4] = [&user_id.0, &from, &to, &i64::from(limit)];
    let rows = c.query(&statement, &values).await?;
    rows.iter().rev().map(marked).collect()
}

async fn card(c: &Object, user_id: UserId, session_id: SessionId) -> Done<Option<StoredCard>> {
    let statement = c
        .prepare_cached(
            "SELECT session_id, body, quotes, made_at FROM cards JOIN sessions USING (session_id)
             WHERE session_id = $1 AND user_id = $2",
        )
        .await?;
    let row = c
        .query_opt(&statement, &[&session_id.0, &user_id.0])
        .await?;
    row.map(|row| {
        Ok(StoredCard {
            session_id: SessionId(row.try_get(0)?),
            body: row.try_get(1)?,
            quotes: row.try_get(2)?,
            made_at: time(&row, 3)?,
        })
    })
    .transpose()
}

async fn put_card(c: &Object, put: &PutCard) -> Done<bool> {
    let PutCard {
        user_id,
        card,
        labels,
        charge,
    } = put;
    storable("body", &card.body)?;
    storable("quotes", card.quotes.as_deref().unwrap_or_default())?;
    let fields = labels.fields();
    let (mut sets, mut bits) = (Vec::new(), Vec::new());
    for (bit, (field, text)) in fields.iter().enumerate() {
        storable(field, text.unwrap_or_default())?;
        let free = format!("(own.{field} IS NULL OR (own.filled >> {bit}) & 1 = 1)");
        let says = format!("${}::text", bit + 10);
        sets.push(format!(
            "{field} = CASE WHEN {free} THEN {says} ELSE own.{field} END"
        ));
        bits.push(format!(
            "CASE WHEN {free} AND {says} IS NOT NULL THEN {}::bigint ELSE 0 END",
            1 << bit
        ));
    }
    let sql = format!(
        "WITH own AS (
             SELECT s.*, coalesce(k.filled, 0) AS filled, k.body IS NOT DISTINCT FROM $3 AS done
             FROM sessions s LEFT JOIN cards k USING (session_id)
             WHERE s.session_id = $1 AND s.user_id = $2 FOR UPDATE OF s
         ), labelled AS (
             UPDATE sessions t SET {sets} FROM own
             WHERE t.session_id = own.session_id AND NOT own.done
         ), put AS (
             INSERT INTO cards (session_id, body, quotes, filled, made_at)
             SELECT session_id, $3, CASE WHEN forgotten_at IS NULL THEN $4::text END, {bits}, $5
             FROM own WHERE NOT done
             ON CONFLICT (session_id) DO UPDATE
             SET body = excluded.body, quotes = excluded.quotes, filled = excluded.filled,
                 made_at = excluded.made_at
         ), due AS (
             SELECT user_id, $6::bigint AS day, $7::bigint AS input_tokens,
                    $8::bigint AS output_tokens
             FROM own WHERE NOT done AND $9
         ), charged AS ({CHARGE})
         SELECT 1 FROM own",
        sets = sets.join(", "),
        bits = bits.join(" + "),
        CHARGE = usage::CHARGE,
    );
    let statement = c.prepare_cached(&sql).await?;
    let texts = fields.map(|(_, text)| text);
    let values: [&(dyn ToSql + Sync); 14] = [
        &card.session_id.0,
        &user_id.0,
        &card.body,
        &card.quotes,
        &card.made_at.as_micros(),
        &Day::of(card.made_at).number(),
        &charge.input,
        &charge.output,
        &(charge.total() > 0),
        &texts[0],
        &texts[1],
        &texts[2],
        &texts[3],
        &texts[4],
    ];
    Ok(c.query_opt(&statement, &values).await?.is_some())
}
