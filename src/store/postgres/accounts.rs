//! The part of the store that is about accounts, on PostgreSQL.

use super::pool::Again;
use super::{PostgresStore, logins, meta, run, users};
use crate::domain::login::{Login, Standing, Ticket};
use crate::domain::user::{Email, Role, User};
use crate::domain::{LoginId, Result, Timestamp, UserId};
use crate::store::{Accounts, PasswordChange, Rotate, Rotated};
use futures_util::future::BoxFuture;
use std::ops::ControlFlow;
use tokio::time::timeout_at;

impl Accounts for PostgresStore {
    fn add_login(&self, login: Login) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| logins::add(
            &c, &login, unknown
        ))
    }

    fn standing(
        &self,
        user_id: UserId,
        login_id: LoginId,
    ) -> BoxFuture<'_, Result<Option<Standing>>> {
        run!(self, Again::Always, |c| logins::standing(
            &c, user_id, login_id
        ))
    }

    fn rotate_login(&self, rotate: Rotate) -> BoxFuture<'_, Result<Rotated>> {
        // Done twice, the second one finds its token replaced a moment ago by the same successor.
        run!(self, Again::Always, |c| logins::rotate(&c, &rotate))
    }

    fn end_login(
        &self,
        user_id: UserId,
        login_id: LoginId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| logins::end(
            &c, user_id, login_id, at, unknown
        ))
    }

    fn end_all_logins(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<Option<i64>>> {
        // Done twice, it is one epoch more, which is as void.
        run!(self, Again::Always, |c| users::end_all_logins(
            &c, user_id, at
        ))
    }

    fn change_password(&self, change: PasswordChange) -> BoxFuture<'_, Result<Option<i64>>> {
        // Done twice, the second time would not find the old hash.
        run!(self, Again::IfUndone, |c| users::change_password(
            &c, &change
        ))
    }

    fn revoked_lately(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>>> {
        run!(self, Again::Always, |c| logins::revoked_lately(&c, limit))
    }

    fn tidy(
        &self,
        now: Timestamp,
        revoked_before: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        run!(self, Again::Always, |c| logins::tidy(
            &c,
            now,
            revoked_before,
            most
        ))
    }

    fn add_ticket(&self, ticket: Ticket) -> BoxFuture<'_, Result<()>> {
        run!(self, Again::Always, |c| logins::add_ticket(&c, &ticket))
    }

    fn take_ticket(&self, hash: String, now: Timestamp) -> BoxFuture<'_, Result<Option<Ticket>>> {
        // Done twice, the second time would not find it.
        run!(self, Again::IfUndone, |c| logins::take_ticket(
            &c, &hash, now
        ))
    }

    fn add_invited_user(
        &self,
        user: User,
        password_hash: String,
        invite_hash: String,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| users::add_invited(
            &c,
            &user,
            &password_hash,
            (&invite_hash, now),
            unknown
        ))
    }

    fn add_invite(
        &self,
        code_hash: String,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        run!(self, Again::Always, |c| users::add_invite(
            &c, &code_hash, now, expires_at
        ))
    }

    fn rehash(
        &self,
        user_id: UserId,
        old_hash: String,
        new_hash: String,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| users::rehash(
            &c, user_id, &old_hash, &new_hash, unknown
        ))
    }

    fn set_password(
        &self,
        user_id: UserId,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| users::set_password(
            &c, user_id, &new_hash, at
        ))
    }

    fn add_recovery(
        &self,
        user_id: UserId,
        code_hash: String,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| users::add_recovery(
            &c, user_id, &code_hash, expires_at
        ))
    }

    fn reset_password(
        &self,
        email: Email,
        code_hash: String,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<UserId>>> {
        // Done twice, the second time would not find the code.
        run!(self, Again::IfUndone, |c| users::reset_password(
            &c, &email, &code_hash, &new_hash, at
        ))
    }

    fn disable_user(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| users::disable(&c, user_id, at))
    }

    fn enable_user(&self, user_id: UserId) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| users::enable(&c, user_id))
    }

    fn set_role(&self, user_id: UserId, role: Role) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| users::set_role(&c, user_id, role))
    }

    fn replace_keys(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| meta::replace(
            &c,
            "keys",
            (&old, &new),
            unknown
        ))
    }
}
