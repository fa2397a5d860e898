//! The part of the store that is about accounts, on the embedded backend.

use super::{SqliteStore, logins, meta, users};
use crate::domain::login::{Login, Standing, Ticket};
use crate::domain::user::{Email, Role, User};
use crate::domain::{LoginId, Result, Timestamp, UserId};
use crate::store::{Accounts, PasswordChange, Rotate, Rotated};
use futures_util::future::BoxFuture;

impl Accounts for SqliteStore {
    fn add_login(&self, login: Login) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| logins::add(c, &login)))
    }

    fn standing(
        &self,
        user_id: UserId,
        login_id: LoginId,
    ) -> BoxFuture<'_, Result<Option<Standing>>> {
        Box::pin(
            self.workers
                .read(move |c| logins::standing(c, user_id, login_id)),
        )
    }

    fn rotate_login(&self, rotate: Rotate) -> BoxFuture<'_, Result<Rotated>> {
        Box::pin(self.workers.write(move |c| logins::rotate(c, &rotate)))
    }

    fn end_login(
        &self,
        user_id: UserId,
        login_id: LoginId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| logins::end(c, user_id, login_id, at)),
        )
    }

    fn end_all_logins(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<Option<i64>>> {
        Box::pin(
            self.workers
                .write(move |c| users::end_all_logins(c, user_id, at)),
        )
    }

    fn change_password(&self, change: PasswordChange) -> BoxFuture<'_, Result<Option<i64>>> {
        Box::pin(
            self.workers
                .write(move |c| users::change_password(c, &change)),
        )
    }

    fn revoked_lately(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>>> {
        Box::pin(self.workers.read(move |c| logins::revoked_lately(c, limit)))
    }

    fn tidy(
        &self,
        now: Timestamp,
        revoked_before: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        Box::pin(
            self.workers
                .write(move |c| logins::tidy(c, now, revoked_before, most)),
        )
    }

    fn add_ticket(&self, ticket: Ticket) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.workers.write(move |c| logins::add_ticket(c, &ticket)))
    }

    fn take_ticket(&self, hash: String, now: Timestamp) -> BoxFuture<'_, Result<Option<Ticket>>> {
        // A ticket that came too late is taken away like any other.
        Box::pin(
            self.workers
                .write(move |c| logins::take_ticket(c, &hash, now)),
        )
    }

    fn add_invited_user(
        &self,
        user: User,
        password_hash: String,
        invite_hash: String,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| users::add_invited(c, &user, &password_hash, &invite_hash, now)),
        )
    }

    fn add_invite(
        &self,
        code_hash: String,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            self.workers
                .write(move |c| users::add_invite(c, &code_hash, now, expires_at)),
        )
    }

    fn rehash(
        &self,
        user_id: UserId,
        old_hash: String,
        new_hash: String,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| users::rehash(c, user_id, &old_hash, &new_hash)),
        )
    }

    fn set_password(
        &self,
        user_id: UserId,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| users::set_password(c, user_id, &new_hash, at)),
        )
    }

    fn add_recovery(
        &self,
        user_id: UserId,
        code_hash: String,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| users::add_recovery(c, user_id, &code_hash, expires_at)),
        )
    }

    fn reset_password(
        &self,
        email: Email,
        code_hash: String,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<UserId>>> {
        Box::pin(
            self.workers
                .write(move |c| users::reset_password(c, &email, &code_hash, &new_hash, at)),
        )
    }

    fn disable_user(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| users::disable(c, user_id, at)))
    }

    fn enable_user(&self, user_id: UserId) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| users::enable(c, user_id)))
    }

    fn set_role(&self, user_id: UserId, role: Role) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| users::set_role(c, user_id, role)),
        )
    }

    fn replace_keys(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| meta::replace(c, "keys", &old, &new)),
        )
    }
}
