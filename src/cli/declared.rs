//! `[[users]]` at a start.
//!
//! Called by `serve` before it takes requests. Invariants: a first password is read only when its account is made;
//! an error tells the entry by its number.

use super::{CliError, Result, terminal};
use crate::config::{DeclaredUser, FirstPassword};
use crate::domain::{Error, ErrorCode};
use crate::service::App;

/// Makes the accounts that are missing, and gives every declared one its role.
pub(super) async fn declare(app: &App, users: &[DeclaredUser]) -> Result {
    for (n, user) in (1..).zip(users) {
        if app.declared(&user.email, user.role).await? {
            continue;
        }
        let told = |error: &dyn std::fmt::Display| {
            let message = format!("users: the account of number {n} cannot be made: {error}");
            CliError::Domain(Error::new(ErrorCode::Config, message))
        };
        let made = match user.password() {
            FirstPassword::File(file) => {
                let password = terminal::first_line(file).map_err(|e| told(&e))?;
                app.declare(user, Some(&password)).await
            }
            FirstPassword::Hash(_) => app.declare(user, None).await,
        };
        match made {
            // Another instance has just made it.
            Err(error) if error.code() == ErrorCode::EmailTaken => {}
            made => made.map_err(|e| told(&e))?,
        }
    }
    Ok(())
}
