//! Statements about sessions.

use super::{failed, optional_time, time, usage, uuid};
use crate::domain::session::{EmotionSession, Labels};
use crate::domain::transcript::Summary;
use crate::domain::{Result, SessionId, Timestamp, UserId};
use crate::store::{Fold, storable};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str = "session_id, user_id, emotion_label, topic, trigger_summary, \
                       insight_summary, insight_tag, started_at, ended_at";

fn session(row: &Row<'_>) -> rusqlite::Result<EmotionSession> {
    Ok(EmotionSession {
        session_id: SessionId(uuid(row, 0)?),
        user_id: UserId(uuid(row, 1)?),
        labels: Labels {
            emotion_label: row.get(2)?,
            topic: row.get(3)?,
            trigger_summary: row.get(4)?,
            insight_summary: row.get(5)?,
            insight_tag: row.get(6)?,
        },
        started_at: time(row, 7)?,
        ended_at: optional_time(row, 8)?,
    })
}

pub(super) fn add(c: &Connection, session: &EmotionSession) -> Result<()> {
    for (field, text) in session.labels.fields() {
        storable(field, text.unwrap_or_default())?;
    }
    c.prepare_cached(&format!(
        "INSERT INTO sessions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    ))
    .and_then(|mut s| {
        s.execute(params![
            session.session_id.0.as_bytes(),
            session.user_id.0.as_bytes(),
            session.labels.emotion_label,
            session.labels.topic,
            session.labels.trigger_summary,
            session.labels.insight_summary,
            session.labels.insight_tag,
            session.started_at.as_micros(),
            session.ended_at.map(Timestamp::as_micros),
        ])
    })
    .map_err(failed)?;
    Ok(())
}

pub(super) fn get(
    c: &Connection,
    user_id: UserId,
    session_id: SessionId,
) -> Result<Option<EmotionSession>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM sessions WHERE session_id = ?1 AND user_id = ?2"
    ))
    .and_then(|mut s| {
        s.query_row([session_id.0.as_bytes(), user_id.0.as_bytes()], session)
            .optional()
    })
    .map_err(failed)
}

pub(super) fn list(
    c: &Connection,
    user_id: UserId,
    before: Option<(Timestamp, SessionId)>,
    limit: Option<u32>,
) -> Result<Vec<EmotionSession>> {
    let (time, id) = before.map_or((i64::MAX, [0xff; 16]), |(t, id)| {
        (t.as_micros(), id.0.into_bytes())
    });
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM sessions WHERE user_id = ?1 AND (started_at, session_id) < (?2, ?3)
         ORDER BY started_at DESC, session_id DESC LIMIT ?4"
    ))
    .and_then(|mut s| {
        let limit = limit.map_or(-1, i64::from);
        s.query_map(params![user_id.0.as_bytes(), time, id, limit], session)?
            .collect()
    })
    .map_err(failed)
}

pub(super) fn end(
    c: &Connection,
    user_id: UserId,
    session_id: SessionId,
    at: Timestamp,
) -> Result<Option<EmotionSession>> {
    c.prepare_cached(&format!(
        "UPDATE sessions SET ended_at = coalesce(ended_at, ?3)
         WHERE session_id = ?1 AND user_id = ?2 RETURNING {COLUMNS}"
    ))
    .and_then(|mut s| {
        s.query_row(
            params![
                session_id.0.as_bytes(),
                user_id.0.as_bytes(),
                at.as_micros()
            ],
            session,
        )
        .optional()
    })
    .map_err(failed)
}

/// What stands for the oldest steps of a session.
pub(super) fn summary(c: &Connection, session_id: SessionId) -> Result<Option<Summary>> {
    c.prepare_cached(
        "SELECT summary_until, summary FROM sessions
         WHERE session_id = ?1 AND summary IS NOT NULL",
    )
    .and_then(|mut s| {
        s.query_row([session_id.0.as_bytes()], |row| {
            Ok(Summary {
                until: row.get(0)?,
                text: row.get(1)?,
            })
        })
        .optional()
    })
    .map_err(failed)
}

pub(super) fn fold(c: &Connection, fold: &Fold) -> Result<bool> {
    storable("summary", &fold.summary.text)?;
    let owner: Option<[u8; 16]> = c
        .prepare_cached(
            "UPDATE sessions SET summary = ?3, summary_until = ?4
             WHERE session_id = ?1 AND summary_until = ?2 RETURNING user_id",
        )
        .and_then(|mut s| {
            s.query_row(
                params![
                    fold.session_id.0.as_bytes(),
                    fold.after,
                    fold.summary.text,
                    fold.summary.until,
                ],
                |row| row.get(0),
            )
            .optional()
        })
        .map_err(failed)?;
    let Some(owner) = owner else {
        return Ok(false);
    };
    usage::charge(c, owner, fold.at, fold.charge)?;
    Ok(true)
}
