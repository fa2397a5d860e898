//! What the admin does with accounts, and with the keys that sign their tokens.
//!
//! Called by the commands and at a reload. Invariant: whoever loses their tokens here is out on every server of the database
//! within seconds, for the servers look for it ([`super::login`]).

use super::App;
use crate::auth::keys::Keys;
use crate::auth::password::Hasher;
use crate::config::{DeclaredUser, FirstPassword};
use crate::domain::user::{Email, Role, User};
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

    /// Gives the account with this address its declared role; `false` when there is none. Nothing else of it is
    /// touched: the name and the password are the person's.
    pub async fn declared(&self, email: &Email, role: Role) -> Result<bool> {
        let Some((user, _)) = self.store.user_by_email(email.clone()).await? else {
            return Ok(false);
        };
        if user.role != role {
            self.set_role(user.user_id, role).await?;
            tracing::info!(user_id = %user.user_id, role = role.as_str(), "role set as declared");
        }
        Ok(true)
    }

    /// Makes a declared account, with this first password unless its hash is declared; `email_taken` when the address
    /// has one.
    pub async fn declare(&self, declared: &DeclaredUser, password: Option<&str>) -> Result<()> {
        let (name, email) = (&declared.name, declared.email.as_str());
        let (user, hash) = match (declared.password(), password) {
            (FirstPassword::Hash(hash), _) if !Hasher::is_hash(hash) => {
                return Err(Error::invalid("password_hash", "is no hash of argon2id"));
            }
            (FirstPassword::Hash(hash), _) => (self.nobody_yet(name, email)?, hash.to_owned()),
            (FirstPassword::File(_), password) => {
                let password = password.unwrap_or_default();
                self.new_account(name, email, password).await?
            }
        };
        let role = declared.role;
        self.store
            .add_user(
                User {
                    role,
                    ..user.clone()
                },
                hash,
            )
            .await?;
        tracing::info!(user_id = %user.user_id, role = role.as_str(), "account made as declared");
        Ok(())
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
