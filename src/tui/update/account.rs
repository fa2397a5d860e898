//! Logging in, and being logged out.
//!
//! Owns the way to and from the form. Called by the update. Invariant: being logged out loses
//! nothing: who logs in again as the same person is back where they were; for anybody else nothing
//! of it is left.

use super::super::Login;
use super::super::form::Form;
use super::super::link::{Link, Wait};
use super::super::model::{List, Model, Screen};
use super::super::msg::Effect;
use super::{connection, sessions};
use crate::client::ClientError;

/// The form was answered.
pub(super) fn answered(
    model: &mut Model,
    result: Result<Login, ClientError>,
    fx: &mut Vec<Effect>,
) {
    let login = match result {
        Ok(login) => login,
        Err(error) => return model.form.refused(&error, model.texts),
    };
    let same = model
        .login
        .as_ref()
        .is_some_and(|known| known.user_id == login.user_id);
    model.form = Form::new(None);
    model.banner = None;
    fx.push(Effect::Become(login.clone()));
    model.login = Some(login);
    if !same {
        model.chat = None;
        model.list = List::default();
        model.draft.clear();
    }
    let Some(chat) = &model.chat else {
        return sessions::enter(model, fx);
    };
    model.screen = Screen::Chat;
    match chat.session_id {
        Some(session_id) if chat.loading => fx.push(Effect::LoadSteps(session_id)),
        _ if !chat.ended => connection::connect(model, Wait::No, 0, fx),
        _ => {}
    }
}

/// The token does not hold any more.
pub(super) fn logged_out(model: &mut Model, fx: &mut Vec<Effect>) {
    if model.screen == Screen::Form {
        return;
    }
    show(model, fx);
    model.form.why = Some(model.texts.logged_out);
}

/// Goes to the form.
pub(super) fn show(model: &mut Model, fx: &mut Vec<Effect>) {
    model.overlay = None;
    model.banner = None;
    model.screen = Screen::Form;
    model.form = Form::new(None);
    if model
        .chat
        .as_ref()
        .is_some_and(|chat| chat.link != Link::Off)
    {
        connection::disconnect(model, fx);
    }
}

/// A call did not work: says so, or asks for a login when that is what is missing.
pub(super) fn call_failed(model: &mut Model, error: &ClientError, fx: &mut Vec<Effect>) {
    if error.status() == Some(401) {
        logged_out(model, fx);
    } else {
        model.complain(model.texts.call(error));
    }
}
