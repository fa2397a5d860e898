//! Sealing the words of a database from before there were seals.
//!
//! Owns the two steps of it. Called where a schema is brought up to date, while nobody serves the database.

use super::backend::{Backend, blocking};
use super::terminal::bar;
use super::{Result, note};
use crate::auth::SystemRandom;
use crate::config::Config;
use crate::service::vault;
use crate::store::Unsealed;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;

impl Backend {
    /// Seals words of the time before there were seals, and removes the traces that they left. Goes on
    /// where an earlier try was broken off.
    pub(super) async fn seal(&self, config: &Config) -> Result {
        let database = &config.database;
        if self.state(database).await?.unsealed == Unsealed::Words {
            let masters = self.masters_to_seal(config)?;
            let sealing = match self {
                Self::Sqlite(path) => SqliteStore::sealing(path.clone()).await?,
                Self::Postgres(connector) => {
                    let store = PostgresStore::connect(connector, database).await?;
                    store.sealing().await?
                }
            };
            let bar = bar("sealing");
            let tell = |sealed: vault::Sealed| {
                bar.set_length(sealed.rows);
                bar.set_position(sealed.done);
            };
            let sealed = vault::seal_old(sealing, &masters, &SystemRandom, &tell).await;
            bar.finish_and_clear();
            sealed?;
        }
        if self.state(database).await?.unsealed == Unsealed::Traces {
            match self {
                Self::Sqlite(path) => {
                    let path = path.clone();
                    blocking(move || Ok(SqliteStore::remove_traces(&path)?)).await?;
                }
                Self::Postgres(connector) => {
                    let store = PostgresStore::connect(connector, database).await?;
                    store.remove_traces().await?;
                }
            }
            note(
                "what people said before is sealed now, and its traces in the database are removed",
            )?;
        }
        Ok(())
    }
}
