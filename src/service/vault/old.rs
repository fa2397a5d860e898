//! Sealing the words of the time before there were seals.
//!
//! Owns [`seal_old`]. Called by whoever brings a database up to date, which nobody serves meanwhile.
//! Invariants: all of it or nothing; what is sealed here opens like what is sealed since.

use crate::auth::seal::{DataKey, MasterKeys, Place};
use crate::domain::{Error, Random, Result, SessionId, StepId, Timestamp, UserId};
use crate::store::copy::tables::{self, Table};
use crate::store::copy::{Cell, PAGE, Row};
use crate::store::sealing::Sealing;
use std::collections::HashMap;
use uuid::Uuid;

/// How far [`seal_old`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Rows that are done.
    pub done: u64,
    /// Rows that there are.
    pub rows: u64,
}

/// Seals all words of a database whose words are as they were said.
pub async fn seal_old(
    mut database: Box<dyn Sealing>,
    masters: &MasterKeys,
    random: &dyn Random,
    tell: &(dyn Fn(Sealed) + Sync),
) -> Result<()> {
    let mut sealer = Sealer {
        masters,
        random,
        keys: HashMap::new(),
        owners: HashMap::new(),
    };
    let mut told = Sealed::default();
    let named = |name| tables::named(name).ok_or_else(|| Error::internal("no such table"));
    // Sessions first: they say whose a step is.
    let order = [named("sessions")?, named("steps")?, named("prompts")?];
    for table in order {
        told.rows += database.count(table).await?;
    }
    let keyring = named("keyring")?;
    for table in order {
        let mut after = None;
        loop {
            let page = database.page(table, after).await?;
            let full = page.len() >= PAGE as usize;
            told.done += page.len() as u64;
            let mut fresh = Vec::new();
            let mut sealed = Vec::with_capacity(page.len());
            after = page
                .last()
                .map(|row| row.iter().take(table.key).cloned().collect());
            for row in page {
                sealed.extend(sealer.row(table, row, &mut fresh)?);
            }
            if !fresh.is_empty() {
                database.add(keyring, fresh).await?;
            }
            if !sealed.is_empty() {
                database.replace(table, sealed).await?;
            }
            tell(told);
            if !full {
                break;
            }
        }
    }
    database.finish().await
}

struct Sealer<'a> {
    masters: &'a MasterKeys,
    random: &'a dyn Random,
    keys: HashMap<UserId, DataKey>,
    owners: HashMap<Uuid, UserId>,
}

impl Sealer<'_> {
    /// The row with its words sealed; `None` when it has none. New keys go into `fresh`.
    fn row(&mut self, table: &Table, mut row: Row, fresh: &mut Vec<Row>) -> Result<Option<Row>> {
        let (owner, places) = match table.name {
            "sessions" => {
                let session_id = id(table, &row, "session_id")?;
                let owner = UserId(id(table, &row, "user_id")?);
                self.owners.insert(session_id, owner);
                let session_id = SessionId(session_id);
                let labels = [
                    "emotion_label",
                    "topic",
                    "trigger_summary",
                    "insight_summary",
                    "insight_tag",
                ];
                let mut places = labels
                    .map(|field| (field, Place::Label(session_id, field)))
                    .to_vec();
                places.push(("summary", Place::Summary(session_id)));
                (owner, places)
            }
            "steps" => {
                let step_id = StepId(id(table, &row, "step_id")?);
                let session_id = id(table, &row, "session_id")?;
                let owner = self.owners.get(&session_id).copied();
                let owner = owner.ok_or_else(|| Error::internal("a step without a session"))?;
                let places = vec![
                    ("user_input", Place::UserInput(step_id)),
                    ("gpt_response", Place::GptResponse(step_id)),
                ];
                (owner, places)
            }
            _ => {
                let Some(Cell::Id(owner)) = cell(table, &row, "user_id") else {
                    // The server's own.
                    return Ok(None);
                };
                let Some(Cell::Integer(at)) = cell(table, &row, "created_at") else {
                    return Err(Error::internal("a prompt without a time"));
                };
                let place = Place::Prompt(Timestamp::from_micros(*at));
                (UserId(*owner), vec![("body", place)])
            }
        };
        let mut changed = false;
        for (column, place) in places {
            let Some(index) = table.index(column) else {
                return Err(Error::internal("no such column"));
            };
            let Some(Cell::Text(text)) = row.get(index) else {
                continue;
            };
            let random = self.random;
            let sealed = self.key(owner, fresh)?.seal(place, text, random)?;
            changed = true;
            if let Some(cell) = row.get_mut(index) {
                *cell = Cell::Text(sealed);
            }
        }
        Ok(changed.then_some(row))
    }

    fn key(&mut self, owner: UserId, fresh: &mut Vec<Row>) -> Result<&DataKey> {
        use std::collections::hash_map::Entry;
        match self.keys.entry(owner) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let (key, wrapped) = self.masters.fresh(owner, self.random)?;
                fresh.push(vec![
                    Cell::Id(owner.0),
                    Cell::Text(wrapped.master),
                    Cell::Text(wrapped.wrapped),
                ]);
                Ok(place.insert(key))
            }
        }
    }
}

fn cell<'a>(table: &Table, row: &'a Row, name: &str) -> Option<&'a Cell> {
    row.get(table.index(name)?)
}

fn id(table: &Table, row: &Row, name: &str) -> Result<Uuid> {
    match cell(table, row, name) {
        Some(Cell::Id(id)) => Ok(*id),
        _ => Err(Error::internal("a row without its id")),
    }
}
