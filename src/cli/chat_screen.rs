//! The terminal client of `deepme chat`, wired up.

use super::Result;
use super::logins::{Logins, Remembered};
use crate::client::Client;

pub(super) async fn run(
    client: Client,
    login: Option<Remembered>,
    own: bool,
    logins: Logins,
    server: String,
) -> Result {
    let _ = (client, login, own, logins, server);
    Err(super::CliError::Usage(
        "the screen is not built yet: use --once".into(),
    ))
}
