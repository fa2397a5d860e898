//! What the admin does with accounts, and with the keys that sign their tokens.
//!
//! Called by the commands and at a reload. Invariant: whoever loses their tokens here is out on every server of the database
//! within seconds, for the servers look for it ([`super::login`]).

use super::App;
use crate::auth::keys::Keys;
use crate::domain::user::{Role, User};
use crate::domain::{Error, Result, UserId};

impl App {
    /// Replaces a password whatever it was; all earlier tokens are void.
    pub async fn set_password(&self, user: &User, new: &str) -> Result<()> {
        let (user_id, name) = (user.user_id, Some(user.name.as_str()));
        let hash = self
            .new_hash("password", new, name, Some(&user.email))
            .await?;
        let set = self.store.set_password(user_id, hash, self.clock.now());
        self.done(user_id, set.await?)
    }

    /// Disables an account: nobody logs in to it, and all its tokens are void.
    pub async fn disable_user(&self, user_id: UserId) -> Result<()> {
        let disabled = self.store.disable_user(user_id, self.clock.now());
        self.done(user_id, disabled.await?)
    }

    /// Lets an account log in again.
    pub async fn enable_user(&self, user_id: UserId) -> Result<()> {
        let enabled = self.store.enable_user(user_id).await?;
        enabled
            .then_some(())
            .ok_or_else(|| Error::not_found("user"))
    }

    /// Gives an account a role.
    pub async fn set_role(&self, user_id: UserId, role: Role) -> Result<()> {
        let set = self.store.set_role(user_id, role).await?;
        set.then_some(()).ok_or_else(|| Error::not_found("user"))
    }

    /// What tells the keys that sign tokens here from others ([`Keys::fingerprint`]), and which one signs.
    pub fn signing_keys(&self) -> (String, String) {
        let keys = self.keys.now();
        let signing = keys.ids().next().unwrap_or_default().to_owned();
        (keys.fingerprint(), signing)
    }

    /// Signs and verifies with these keys from now on. A token of a key that is not among them is void; a
    /// refresh token stays good.
    pub fn adopt_keys(&self, keys: Keys) {
        self.keys.replace(keys);
    }

    fn done(&self, user_id: UserId, done: bool) -> Result<()> {
        if !done {
            return Err(Error::not_found("user"));
        }
        self.voided(user_id);
        Ok(())
    }
}
