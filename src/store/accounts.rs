//! What is kept of accounts beside the people themselves: logins, tickets, codes, and who lost their
//! tokens lately.
//!
//! Owns [`Accounts`], a part of the [`Store`](super::Store), with the same rules: each method is one
//! sentence, and each has a case in the contract suite. Invariants: of no token, ticket or code there is
//! more than its hash; whoever makes tokens void says so in the same breath to whoever looks
//! ([`Accounts::revoked_lately`]).

use crate::domain::login::{Login, Standing, Ticket};
use crate::domain::user::{Email, Role, User};
use crate::domain::{LoginId, Result, Timestamp, UserId};
use futures_util::future::BoxFuture;

/// The part of the store that is about accounts.
pub trait Accounts: Send + Sync + 'static {
    /// Adds a login, if its epoch is still its account's and that may log in; takes away the oldest ones
    /// of the account beyond [`MOST`](crate::domain::login::MOST). `false` when it was not added.
    fn add_login(&self, login: Login) -> BoxFuture<'_, Result<bool>>;

    /// Whose tokens the account accepts by this login; `None` when it accepts none: the account is gone
    /// or disabled, or the login is over or not its own.
    fn standing(
        &self,
        user_id: UserId,
        login_id: LoginId,
    ) -> BoxFuture<'_, Result<Option<Standing>>>;

    /// Replaces the refresh token of a login by its successor, if the presented one is the current one;
    /// if it betrays a thief, ends the login.
    fn rotate_login(&self, rotate: Rotate) -> BoxFuture<'_, Result<Rotated>>;

    /// Ends a login of this account; `false` when there is none that is not over.
    fn end_login(
        &self,
        user_id: UserId,
        login_id: LoginId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;

    /// Makes all earlier tokens of an account void; its new epoch, or `None` when there is no such
    /// account.
    fn end_all_logins(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<Option<i64>>>;

    /// Replaces the password hash, if it still is the old one, makes all earlier tokens void, forgets a
    /// code for a new password and adds a login of the new epoch, which is returned; `None` when it was
    /// not replaced.
    fn change_password(&self, change: PasswordChange) -> BoxFuture<'_, Result<Option<i64>>>;

    /// Whose tokens became void lately, and when: at most `limit`, the newest first.
    fn revoked_lately(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>>>;

    /// Forgets what has had its time at `now`, and revocations from before `revoked_before`: at most
    /// `most` of each kind; how much that was.
    fn tidy(
        &self,
        now: Timestamp,
        revoked_before: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>>;

    /// Adds a ticket.
    fn add_ticket(&self, ticket: Ticket) -> BoxFuture<'_, Result<()>>;

    /// Takes the ticket with this hash away, whatever becomes of it; the ticket, if it holds at `now`.
    fn take_ticket(&self, hash: String, now: Timestamp) -> BoxFuture<'_, Result<Option<Ticket>>>;

    /// Adds an account by an invitation that holds at `now`, which is used up by it; `false` when there
    /// is none, and `email_taken`, which uses nothing up, when the address has an account.
    fn add_invited_user(
        &self,
        user: User,
        password_hash: String,
        invite_hash: String,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;

    /// Adds an invitation.
    fn add_invite(
        &self,
        code_hash: String,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;

    /// Replaces the password hash by one of the same password, if it still is the old one; `false` when
    /// it is not.
    fn rehash(
        &self,
        user_id: UserId,
        old_hash: String,
        new_hash: String,
    ) -> BoxFuture<'_, Result<bool>>;

    /// Replaces the password hash whatever it was, makes all earlier tokens void and forgets a code for a
    /// new password; `false` when there is no such account.
    fn set_password(
        &self,
        user_id: UserId,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;

    /// Remembers a code for a new password in place of an earlier one; `false` when there is no such
    /// account.
    fn add_recovery(
        &self,
        user_id: UserId,
        code_hash: String,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;

    /// Replaces the password hash of the account with this address and this code, if the code holds at
    /// `at` and the account may log in; uses the code up and makes all earlier tokens void. Whose it was,
    /// or `None` when nothing was done.
    fn reset_password(
        &self,
        email: Email,
        code_hash: String,
        new_hash: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<UserId>>>;

    /// Disables an account, unless it is, and makes all earlier tokens void; `false` when there is none.
    fn disable_user(&self, user_id: UserId, at: Timestamp) -> BoxFuture<'_, Result<bool>>;

    /// Lets an account log in again; `false` when there is none.
    fn enable_user(&self, user_id: UserId) -> BoxFuture<'_, Result<bool>>;

    /// Gives an account a role; `false` when there is none.
    fn set_role(&self, user_id: UserId, role: Role) -> BoxFuture<'_, Result<bool>>;

    /// Replaces the fingerprint of the servers' keys, if it still is the old one; `false` when it is not.
    fn replace_keys(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>>;
}

/// What replaces a password.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// Whose.
    pub user_id: UserId,
    /// The hash as it is.
    pub old_hash: String,
    /// The hash as it shall be.
    pub new_hash: String,
    /// The login that holds afterwards; its epoch is the one that the change leads to.
    pub login: Login,
    /// Now.
    pub at: Timestamp,
}

/// What refreshes a login.
#[derive(Debug, Clone)]
pub struct Rotate {
    /// The login that the token names.
    pub login_id: LoginId,
    /// The hash of the token that was presented.
    pub presented: String,
    /// Whether this server made that token.
    pub genuine: bool,
    /// The hash of its successor.
    pub successor: String,
    /// Now.
    pub at: Timestamp,
    /// When the login ends if it is refreshed.
    pub expires_at: Timestamp,
}

/// What came of [`Accounts::rotate_login`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The successor is the refresh token from now on.
    Fresh {
        /// Whose login it is.
        user_id: UserId,
        /// The epoch that its tokens have.
        epoch: i64,
    },
    /// The presented token was replaced a moment ago. Nothing was written.
    Again {
        /// Whose login it is.
        user_id: UserId,
        /// The epoch that its tokens have.
        epoch: i64,
        /// The hash of the token that replaced it.
        current: String,
    },
    /// It betrayed a thief: the login has been ended.
    Stolen {
        /// Whose login it was.
        user_id: UserId,
    },
    /// It is worth nothing. Nothing was written.
    Nothing,
}
