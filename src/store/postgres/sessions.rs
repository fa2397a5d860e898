//! Statements about sessions.

use super::pool::Done;
use super::{optional_time, time, usage};
use crate::domain::session::{EmotionSession, Labels};
use crate::domain::transcript::Summary;
use crate::domain::usage::Day;
use crate::domain::{SessionId, Timestamp, UserId};
use crate::store::{Fold, storable};
use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

const COLUMNS: &str = "session_id, user_id, emotion_label, topic, trigger_summary, \
                       insight_summary, insight_tag, started_at, ended_at";

fn session(row: &Row) -> Done<EmotionSession> {
    Ok(EmotionSession {
        session_id: SessionId(row.try_get(0)?),
        user_id: UserId(row.try_get(1)?),
        labels: Labels {
            emotion_label: row.try_get(2)?,
            topic: row.try_get(3)?,
            trigger_summary: row.try_get(4)?,
            insight_summary: row.try_get(5)?,
            insight_tag: row.try_get(6)?,
        },
        started_at: time(row, 7)?,
        ended_at: optional_time(row, 8)?,
    })
}

/// `unknown`: an earlier attempt may have added it.
pub(super) async fn add(c: &Object, session: &EmotionSession, unknown: bool) -> Done<()> {
    for (field, text) in session.labels.fields() {
        storable(field, text.unwrap_or_default())?;
    }
    let sql =
        format!("INSERT INTO sessions ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let statement = c.prepare_cached(&sql).await?;
    let labels = &session.labels;
    let added = c
        .execute(
            &statement,
            &[
                &session.session_id.0,
                &session.user_id.0,
                &labels.emotion_label,
                &labels.topic,
                &labels.trigger_summary,
                &labels.insight_summary,
                &labels.insight_tag,
                &session.started_at.as_micros(),
                &session.ended_at.map(Timestamp::as_micros),
            ],
        )
        .await;
    let Err(error) = added else {
        return Ok(());
    };
    // Asked only now, because the server may have been at the earlier attempt until now.
    let taken = unknown && error.code() == Some(&SqlState::UNIQUE_VIOLATION);
    if taken && get(c, session.user_id, session.session_id).await?.is_some() {
        return Ok(());
    }
    Err(error.into())
}

pub(super) async fn get(
    c: &Object,
    user_id: UserId,
    session_id: SessionId,
) -> Done<Option<EmotionSession>> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE session_id = $1 AND user_id = $2");
    let statement = c.prepare_cached(&sql).await?;
    let row = c
        .query_opt(&statement, &[&session_id.0, &user_id.0])
        .await?;
    row.as_ref().map(session).transpose()
}

pub(super) async fn list(
    c: &Object,
    user_id: UserId,
    before: Option<(Timestamp, SessionId)>,
    limit: Option<u32>,
) -> Done<Vec<EmotionSession>> {
    let (time, id) = before.map_or((i64::MAX, Uuid::max()), |(t, id)| (t.as_micros(), id.0));
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions WHERE user_id = $1 AND (started_at, session_id) < ($2, $3)
         ORDER BY started_at DESC, session_id DESC LIMIT $4"
    );
    let statement = c.prepare_cached(&sql).await?;
    let limit = limit.map(i64::from);
    let rows = c
        .query(&statement, &[&user_id.0, &time, &id, &limit])
        .await?;
    rows.iter().map(session).collect()
}

pub(super) async fn end(
    c: &Object,
    user_id: UserId,
    session_id: SessionId,
    at: Timestamp,
) -> Done<Option<EmotionSession>> {
    let sql = format!(
        "UPDATE sessions SET ended_at = coalesce(ended_at, $3)
         WHERE session_id = $1 AND user_id = $2 RETURNING {COLUMNS}"
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c
        .query_opt(&statement, &[&session_id.0, &user_id.0, &at.as_micros()])
        .await?;
    row.as_ref().map(session).transpose()
}

/// What stands for the oldest steps of a session.
pub(super) async fn summary(c: &Object, session_id: SessionId) -> Done<Option<Summary>> {
    let statement = c
        .prepare_cached(
            "SELECT summary_until, summary FROM sessions
             WHERE session_id = $1 AND summary IS NOT NULL",
        )
        .await?;
    let row = c.query_opt(&statement, &[&session_id.0]).await?;
    row.map(|row| {
        Ok(Summary {
            until: row.try_get(0)?,
            text: row.try_get(1)?,
        })
    })
    .transpose()
}

pub(super) async fn fold(c: &Object, fold: &Fold) -> Done<bool> {
    storable("summary", &fold.summary.text)?;
    let sql = format!(
        "WITH folded AS (
             UPDATE sessions SET summary = $3, summary_until = $4
             WHERE session_id = $1 AND summary_until = $2 RETURNING user_id
         ), due AS (
             SELECT user_id, $5::bigint AS day, $6::bigint AS input_tokens,
                    $7::bigint AS output_tokens
             FROM folded
         ), charged AS ({CHARGE})
         SELECT 1 FROM folded",
        CHARGE = usage::CHARGE,
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 7] = [
        &fold.session_id.0,
        &fold.after,
        &fold.summary.text,
        &fold.summary.until,
        &Day::of(fold.at).number(),
        &fold.charge.input,
        &fold.charge.output,
    ];
    Ok(c.query_opt(&statement, &values).await?.is_some())
}
