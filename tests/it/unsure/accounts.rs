//! The part of an unsure store that is about accounts: all of it goes on to the real one.

use super::Unsure;
use deepme::domain::login::{Login, Standing, Ticket};
use deepme::domain::user::{Email, Role, User};
use deepme::domain::{LoginId, Result, Timestamp, UserId};
use deepme::store::{Accounts, PasswordChange, Rotate, Rotated};
use futures_util::future::BoxFuture;

impl Accounts for Unsure {
    fn add_login(&self, login: Login) -> BoxFuture<'_, Result<bool>> {
        self.inner.add_login(login)
    }

    fn standing(
        &self,
        user_id: UserId,
        login_id: LoginId,
    ) -> BoxFuture<'_, Result<Option<Standing>>> {
        self.inner.standing(user_id, login_id)
    }

    fn rotate_login(&self, rotate: Rotate) -> BoxFuture<'_, Result<Rotated>> {
        self.inner.rotate_login(rotate)
    }

    fn end_login(
        &self,
        user_id: UserId,
        login_id: LoginId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner.end_login(user_id, login_id, at)
    }

    fn end_all_logins(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<Option<i64>>> {
        self.inner.end_all_logins(user_id, at)
    }

    fn change_password(&self, change: PasswordChange) -> BoxFuture<'_, Result<Option<i64>>> {
        self.inner.change_password(change)
    }

    fn revoked_lately(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>>> {
        self.inner.revoked_lately(limit)
    }

    fn tidy(
        &self,
        now: Timestamp,
        revoked_before: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.inner.tidy(now, revoked_before, most)
    }

    fn add_ticket(&self, ticket: Ticket) -> BoxFuture<'_, Result<()>> {
        self.inner.add_ticket(ticket)
    }

    fn take_ticket(&self, hash: String, now: Timestamp) -> BoxFuture<'_, Result<Option<Ticket>>> {
        self.inner.take_ticket(hash, now)
    }

    fn add_invited_user(
        &self,
        user: User,
        password_hash: String,
        invite_hash: String,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner
            .add_invited_user(user, password_hash, invite_hash, now)
    }

    fn add_invite(
        &self,
        code_hash: String,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.inner.add_invite(code_hash, now, expires_at)
    }

    fn rehash(
        &self,
        user_id: UserId,
        old_hash: String,
        new_hash: String,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner.rehash(user_id, old_hash, new_hash)
    }

    fn set_password(
        &self,
        user_id: UserId,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner.set_password(user_id, new_hash, at)
    }

    fn add_recovery(
        &self,
        user_id: UserId,
        code_hash: String,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner.add_recovery(user_id, code_hash, expires_at)
    }

    fn reset_password(
        &self,
        email: Email,
        code_hash: String,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<UserId>>> {
        self.inner.reset_password(email, code_hash, new_hash, at)
    }

    fn disable_user(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        self.inner.disable_user(user_id, at)
    }

    fn enable_user(&self, user_id: UserId) -> BoxFuture<'_, Result<bool>> {
        self.inner.enable_user(user_id)
    }

    fn set_role(&self, user_id: UserId, role: Role) -> BoxFuture<'_, Result<bool>> {
        self.inner.set_role(user_id, role)
    }

    fn replace_keys(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>> {
        self.inner.replace_keys(old, new)
    }
}
