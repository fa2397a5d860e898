//! `deepme keys rotate`: the keys that sign tokens.
//!
//! Invariants: a key signs only when every server that is asked to verify can know it; the file and the
//! fingerprint in a shared database are changed so that a run that was broken off is finished by the next.

use super::super::backend::Backend;
use super::super::keyfiles::other_keys;
use super::super::{CliError, Result, say};
use crate::auth::SystemRandom;
use crate::auth::keys::Keys;
use crate::config::Config;
use crate::domain::{Error, ErrorCode};
use crate::store::Store;
use clap::Args;
use std::path::Path;

/// Options of `keys rotate` without `--master`.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Signing {
    /// Sign with the second key from now on. PostgreSQL only needs it: there a fresh key waits until all
    /// machines have it.
    #[arg(long, conflicts_with = "master")]
    sign: bool,
    /// Keep the key that signs and no other: tokens of the others are void, refresh tokens stay good.
    #[arg(long, conflicts_with_all = ["master", "sign"])]
    drop_old: bool,
}

impl Signing {
    pub(super) async fn rotate(self, config: &Config, backend: &Backend) -> Result {
        let file = backend.key_file(config);
        let keys = Keys::load(&file)?.ok_or_else(|| {
            let message = format!("there are no keys at {}", file.display());
            Error::new(ErrorCode::Config, message)
        })?;
        let shared = backend.shares_keys();
        let next = match self {
            Self { sign: true, .. } => keys.swapped().ok_or_else(|| {
                CliError::Failed("there is no second key: run deepme keys rotate first".to_owned())
            })?,
            Self { drop_old: true, .. } => keys.first_only(),
            _ if shared => keys.staged(&SystemRandom)?,
            _ => keys.rotated(&SystemRandom)?,
        };
        if shared {
            let opened = backend.open_beside(&config.database).await?;
            if replace_shared(&*opened.store, &file, &keys, &next).await? {
                return say(format_args!(
                    "{} has what a run made that was broken off: look with deepme keys show, and \
                     copy the file to every machine that serves this database",
                    file.display()
                ));
            }
        } else {
            next.replace(&file)?;
        }
        let ids: Vec<&str> = next.ids().collect();
        let all = if shared {
            "copy the file to every machine that serves this database, and there: "
        } else {
            ""
        };
        let signing = ids.first().copied().unwrap_or_default();
        say(format_args!(
            "{} (fingerprint {})",
            file.display(),
            next.fingerprint()
        ))?;
        if let (false, false, true) = (self.sign, self.drop_old, shared) {
            let waits = ids.get(1).copied().unwrap_or_default();
            return say(format_args!(
                "the key {waits} is new and signs nothing yet\n{all}systemctl reload deepme; then \
                 deepme keys rotate --sign"
            ));
        }
        say(format_args!(
            "the key {signing} signs\n{all}systemctl reload deepme"
        ))
    }
}

/// Puts other keys into the file and their fingerprint into the database, which is first: what it is to be
/// waits beside the file. Whether that was there already, from a run that was broken off.
async fn replace_shared(store: &dyn Store, file: &Path, keys: &Keys, next: &Keys) -> Result<bool> {
    let waiting = file.with_extension("key.new");
    let claimed = store.claim_keys(keys.fingerprint()).await?;
    if claimed != keys.fingerprint() {
        let left = Keys::load(&waiting)?.filter(|left| left.fingerprint() == claimed);
        let left = left.ok_or_else(|| other_keys(file))?;
        left.replace(file)?;
        std::fs::remove_file(&waiting)?;
        return Ok(true);
    }
    next.replace(&waiting)?;
    let (old, new) = (keys.fingerprint(), next.fingerprint());
    let replaced = old == new || store.replace_keys(old, new).await?;
    if replaced {
        next.replace(file)?;
    }
    std::fs::remove_file(&waiting)?;
    if replaced {
        Ok(false)
    } else {
        Err(other_keys(file))
    }
}
