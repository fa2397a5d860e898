//! The list of sessions, and what is done from it.
//!
//! Owns choosing, beginning and ending sessions. Called by the update. Invariant: the conversation
//! that one comes from stays as it is until another one is chosen.

use super::super::chat::Chat;
use super::super::link::{Link, Wait};
use super::super::model::{Model, Overlay, Screen, short};
use super::super::msg::Effect;
use super::super::text::clean_line;
use super::super::texts::Texts;
use super::{account, connection};
use crate::client::ClientError;
use crate::domain::SessionId;
use crate::wire::rest::SessionBody;
use crate::wire::ws::ClientFrame;

/// Goes where the person wanted to go when they came: to a session, else to the list.
pub(super) fn enter(model: &mut Model, fx: &mut Vec<Effect>) {
    match model.wanted.take() {
        Some(session_id) => go_to(model, Chat::new(Some(session_id), ""), session_id, fx),
        None => show(model, fx),
    }
}

/// Shows a stored conversation, as soon as it is here.
fn go_to(model: &mut Model, mut chat: Chat, session_id: SessionId, fx: &mut Vec<Effect>) {
    chat.loading = true;
    model.chat = Some(chat);
    model.screen = Screen::Chat;
    fx.push(Effect::LoadSteps(session_id));
}

/// Goes to the list and asks for it.
pub(super) fn show(model: &mut Model, fx: &mut Vec<Effect>) {
    let Some(login) = &model.login else {
        return account::show(model, fx);
    };
    fx.push(Effect::ListSessions(login.user_id));
    model.overlay = None;
    model.screen = Screen::Sessions;
}

/// Moves the choice.
pub(super) fn select(model: &mut Model, by: i32) {
    let last = model.list.len() - 1;
    let by = isize::try_from(by).unwrap_or_default();
    model.list.selected = model.list.selected.saturating_add_signed(by).min(last);
}

/// The list was answered.
pub(super) fn listed(
    model: &mut Model,
    result: Result<Vec<SessionBody>, ClientError>,
    fx: &mut Vec<Effect>,
) {
    match result {
        Ok(mut sessions) => {
            let chosen = model.list.chosen().map(|session| session.session_id);
            sessions.sort_by_key(|session| std::cmp::Reverse(session.started_at));
            let place = |id| {
                sessions
                    .iter()
                    .position(|session| Some(session.session_id) == id)
            };
            model.list.selected = place(chosen).map_or(0, |at| at + 1);
            model.list.sessions = Some(sessions);
        }
        Err(error) => {
            let Some(login) = &model.login else { return };
            let redo = Effect::ListSessions(login.user_id);
            account::call_failed(model, &error, redo, fx);
        }
    }
}

/// Opens what is chosen.
pub(super) fn open(model: &mut Model, fx: &mut Vec<Effect>) {
    let Some(session) = model.list.chosen() else {
        return begin(model, fx);
    };
    let session_id = session.session_id;
    if model
        .chat
        .as_ref()
        .is_some_and(|chat| chat.session_id == Some(session_id))
    {
        model.screen = Screen::Chat;
        return;
    }
    let title = title(session);
    let ended = session.ended_at.is_some();
    leave(model, fx);
    let draft = if ended {
        ""
    } else {
        &std::mem::take(&mut model.draft)
    };
    let mut chat = Chat::new(Some(session_id), draft);
    chat.title = title;
    chat.ended = ended;
    go_to(model, chat, session_id, fx);
}

/// Begins a new session.
pub(super) fn begin(model: &mut Model, fx: &mut Vec<Effect>) {
    // One that nothing was said in is as good as new.
    let fresh = |chat: &Chat| chat.transcript.is_empty() && !chat.loading && !chat.ended;
    model.screen = Screen::Chat;
    if !model.chat.as_ref().is_some_and(fresh) {
        leave(model, fx);
        let draft = std::mem::take(&mut model.draft);
        model.chat = Some(Chat::new(None, &draft));
    }
    if model
        .chat
        .as_ref()
        .is_some_and(|chat| chat.link == Link::Off)
    {
        connection::connect(model, Wait::No, 0, fx);
    }
}

/// Leaves the conversation; what was not said yet is kept for the next one.
fn leave(model: &mut Model, fx: &mut Vec<Effect>) {
    if let Some(chat) = &model.chat
        && chat.link != Link::Off
    {
        connection::disconnect(model, fx);
    }
    if let Some(chat) = model.chat.take() {
        let draft = chat.into_draft();
        if !draft.is_empty() {
            model.draft = draft;
        }
    }
    model.banner = None;
}

/// The conversation does not exist on the server.
pub(super) fn gone(model: &mut Model, fx: &mut Vec<Effect>) {
    leave(model, fx);
    show(model, fx);
    model.complain(model.texts.session_gone);
}

/// Asks whether to end a session.
pub(super) fn ask_end(model: &mut Model) {
    let session_id = match model.screen {
        Screen::Sessions => {
            let open = model
                .list
                .chosen()
                .filter(|session| session.ended_at.is_none());
            open.map(|session| session.session_id)
        }
        Screen::Chat => match &model.chat {
            Some(chat) if chat.ended => None,
            Some(chat) if !chat.transcript.is_empty() || chat.loading => chat.session_id,
            _ => return model.tell(model.texts.not_begun),
        },
        Screen::Form => None,
    };
    model.overlay = session_id.map(Overlay::End);
}

/// Ends a session.
pub(super) fn end(model: &mut Model, session_id: SessionId, fx: &mut Vec<Effect>) {
    let chat = model
        .chat
        .as_mut()
        .filter(|chat| chat.session_id == Some(session_id));
    let open = chat.is_some_and(|chat| chat.open().is_some());
    fx.push(if open {
        Effect::Send(ClientFrame::End)
    } else {
        Effect::EndSession(session_id)
    });
}

/// The end of a session was answered.
pub(super) fn ended(
    model: &mut Model,
    session_id: SessionId,
    result: Result<SessionBody, ClientError>,
    fx: &mut Vec<Effect>,
) {
    match result {
        Ok(_) => has_ended(model, session_id, fx),
        Err(error) => {
            account::call_failed(model, &error, Effect::EndSession(session_id), fx);
        }
    }
}

/// A session has ended.
pub(super) fn has_ended(model: &mut Model, session_id: SessionId, fx: &mut Vec<Effect>) {
    if let Some(chat) = &mut model.chat
        && chat.session_id == Some(session_id)
    {
        chat.ended = true;
        // An answer that is on its way may still come.
        if !chat.answering() {
            connection::disconnect(model, fx);
        }
    }
    model.tell(model.texts.ended_now);
    if model.screen == Screen::Sessions {
        show(model, fx);
    }
}

/// What a session is about, in its own words.
pub(in super::super) fn title(session: &SessionBody) -> Option<String> {
    let labels = [&session.topic, &session.emotion_label];
    let mut labels = labels.into_iter().flatten().map(|label| clean_line(label));
    labels.find(|label| !label.is_empty())
}

/// How a session is called in the list.
pub(in super::super) fn name(session: &SessionBody, texts: &Texts) -> (String, &'static str) {
    let name = title(session).unwrap_or_else(|| short(session.session_id));
    let state = if session.ended_at.is_some() {
        texts.session_ended
    } else {
        texts.session_open
    };
    (name, state)
}
