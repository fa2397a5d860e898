//! Logging in, staying so, and being logged out.
//!
//! Owns the way to and from the form, and the renewal of a login that can be renewed. Called by the
//! update. Invariants: a token that ends costs nothing: what was refused for it is done again with the
//! next one; being logged out loses nothing: who logs in again as the same person is back where they
//! were; for anybody else nothing of it is left.

use super::super::Login;
use super::super::form::Form;
use super::super::link::{Link, Wait};
use super::super::model::{List, Model, Renewal, Screen};
use super::super::msg::Effect;
use super::{connection, sessions};
use crate::client::ClientError;
use crate::wire::ws::{Auth, ClientFrame};
use std::time::Duration;

/// When a renewal is tried again that got no answer.
const AGAIN: Duration = Duration::from_secs(5);
/// A token that is refused so soon after its renewal will not be accepted after another one.
const TOO_SOON: Duration = Duration::from_secs(20);

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
    model.renewal = Renewal::default();
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

/// Renews the login when its token ends soon.
pub(super) fn look_after(model: &mut Model, fx: &mut Vec<Effect>) {
    let due = |login: &Login| login.renew_at.is_some_and(|at| at <= model.now);
    if model.screen != Screen::Form && model.login.as_ref().is_some_and(due) {
        renew(model, fx);
    }
}

/// Whether the login was renewed a moment ago.
fn just_renewed(model: &Model) -> bool {
    let done = model.renewal.done;
    done.is_some_and(|done| model.now.since(done) < TOO_SOON)
}

/// Asks for a renewal, unless one is asked for; whether there is hope.
fn renew(model: &mut Model, fx: &mut Vec<Effect>) -> bool {
    let login = model.login.as_ref();
    let Some(login) = login.filter(|login| login.refresh.is_some()) else {
        return false;
    };
    if !model.renewal.asked {
        if just_renewed(model) {
            return false;
        }
        model.renewal.asked = true;
        fx.push(Effect::Renew(login.clone()));
    }
    true
}

/// A renewal was answered.
pub(super) fn renewed(model: &mut Model, result: Result<Login, ClientError>, fx: &mut Vec<Effect>) {
    if !std::mem::take(&mut model.renewal.asked) {
        // Somebody has logged in since.
        return;
    }
    match result {
        Ok(login) => {
            let Renewal {
                redo, reconnect, ..
            } = std::mem::take(&mut model.renewal);
            model.renewal.done = Some(model.now);
            fx.push(Effect::Go(login.clone()));
            let access_token = login.token.0.clone();
            model.login = Some(login);
            match model.chat.as_ref().map(|chat| &chat.link) {
                Some(Link::Open(_)) => {
                    fx.push(Effect::Send(ClientFrame::Auth(Auth { access_token })));
                }
                // An attempt that is on its way has the token before.
                Some(Link::Connecting { failed, .. }) => {
                    let failed = *failed;
                    connection::connect(model, Wait::No, failed, fx);
                }
                _ if reconnect => connection::connect(model, Wait::No, 0, fx),
                _ => {}
            }
            fx.extend(redo);
        }
        Err(error) if matches!(error.status(), Some(401 | 403)) => {
            model.renewal = Renewal::default();
            logged_out(model, fx);
        }
        Err(error) => {
            let again = Some(model.now.plus(AGAIN));
            if let Some(login) = &mut model.login {
                login.renew_at = again;
            }
            // Until the token is refused nobody needs to know.
            if model.renewal.reconnect || !model.renewal.redo.is_empty() {
                model.miss(model.texts.call(&error));
            }
        }
    }
}

/// The connection was refused, or closed, because the token does not hold any more.
pub(super) fn cut_off(model: &mut Model, fx: &mut Vec<Effect>) {
    if renew(model, fx) {
        model.renewal.reconnect = true;
        connection::hold(model, fx);
    } else {
        logged_out(model, fx);
    }
}

/// The token does not hold any more, and cannot be renewed.
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
    model.renewal = Renewal::default();
    if model
        .chat
        .as_ref()
        .is_some_and(|chat| chat.link != Link::Off)
    {
        connection::disconnect(model, fx);
    }
}

/// A call did not work: says so; one whose token had ended is made again by `redo` with the next token,
/// or asks for a login when there is none.
pub(super) fn call_failed(
    model: &mut Model,
    error: &ClientError,
    redo: Effect,
    fx: &mut Vec<Effect>,
) {
    if error.status() != Some(401) {
        return model.complain(model.texts.call(error));
    }
    let known = model.renewal.redo.contains(&redo);
    if !model.renewal.asked && just_renewed(model) {
        // It was on its way with the token before, as others may be; if it was not, later calls tell.
        if known {
            return model.complain(model.texts.call(error));
        }
        model.renewal.redo.push(redo.clone());
        fx.push(redo);
    } else if renew(model, fx) {
        if !known {
            model.renewal.redo.push(redo);
        }
    } else {
        logged_out(model, fx);
    }
}
