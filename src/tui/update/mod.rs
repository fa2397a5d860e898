//! The update: what each message makes of the model, and what is to be done about it.
//!
//! Owns [`update`] and [`start`]. Called by the shell, and by the tests in its place. Invariant:
//! pure; nothing here reads a clock, draws a random number or touches the world.

mod account;
mod connection;
mod conversation;
mod flow;
mod frames;
mod keys;
mod scroll;
mod sessions;

pub(super) use sessions::{name as session_name, title as session_title};

use super::Login;
use super::model::{Model, Screen};
use super::msg::{Effect, Msg};

/// The first effects.
pub(super) fn start(model: &mut Model, login: Option<Login>) -> Vec<Effect> {
    let mut effects = Vec::new();
    if login.is_some() {
        model.login = login;
        sessions::enter(model, &mut effects);
    }
    effects
}

/// What a message makes of the model.
pub(super) fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    let fx = &mut effects;
    match msg {
        Msg::Clock(now) => {
            model.at(now);
            account::look_after(model, fx);
            connection::look_after(model, fx);
        }
        Msg::Resize(width, height) => model.size = (width, height),
        Msg::Key(key) => keys::press(model, key, fx),
        Msg::Paste(text) => keys::paste(model, &text),
        Msg::Wheel(rows) => match model.screen {
            Screen::Chat => scroll::by(model, rows),
            Screen::Sessions => sessions::select(model, rows.signum()),
            Screen::Form => {}
        },
        Msg::Named { words, message_id } => conversation::say(model, words, message_id, fx),
        Msg::LoggedIn(result) => account::answered(model, result, fx),
        Msg::Renewed(result) => account::renewed(model, result, fx),
        Msg::Sessions(result) => sessions::listed(model, result, fx),
        Msg::Steps(session_id, result) => conversation::loaded(model, session_id, result, fx),
        Msg::Flow(session_id, result) => flow::loaded(model, session_id, result, fx),
        Msg::Ended(session_id, result) => sessions::ended(model, session_id, result, fx),
        Msg::Link(link, event) => connection::heard(model, link, event, fx),
        Msg::Terminate => model.quit = true,
    }
    effects
}
