//! What the person says, and what is stored of the conversation.
//!
//! Owns sending, taking back and loading. Called by the update. Invariant: words leave the editor
//! only into the transcript, and the transcript only into the editor.

use super::super::chat::Scroll;
use super::super::link::Link;
use super::super::link::Wait;
use super::super::model::Model;
use super::super::msg::Effect;
use super::{account, connection, sessions};
use crate::client::ClientError;
use crate::domain::SessionId;
use crate::wire::rest::StepBody;
use crate::wire::ws::ClientFrame;
use std::time::Duration;

/// How soon the stored steps are asked for again when that did not work.
const RELOAD: Duration = Duration::from_secs(4);

/// Sends what is typed, or says why not.
pub(super) fn submit(model: &mut Model, fx: &mut Vec<Effect>) {
    let texts = model.texts;
    let Some(chat) = &mut model.chat else { return };
    if chat.editor.text().trim().is_empty() {
        return;
    }
    let open = matches!(chat.link, Link::Open(_));
    if chat.ended {
        model.tell(texts.read_only);
    } else if chat.transcript.waiting().is_some() && !open {
        model.tell(texts.unsent);
    } else if chat.transcript.waiting().is_some() || chat.answering() {
        model.tell(texts.busy);
    } else {
        fx.push(Effect::Name(chat.editor.take()));
    }
}

/// Says words that have a name now.
pub(super) fn say(model: &mut Model, words: String, message_id: String, fx: &mut Vec<Effect>) {
    let Some(chat) = &mut model.chat else {
        model.draft = words;
        return;
    };
    chat.transcript.say(message_id, words, model.now);
    chat.sent = false;
    chat.hold_until = None;
    chat.safety = None;
    chat.scroll = Scroll::Follow;
    chat.unseen = false;
    model.banner = None;
    if chat.link == Link::Off && !chat.loading {
        connection::connect(model, Wait::No, 0, fx);
    }
    connection::pump(model, fx);
}

/// Ends the answer, or takes back what was never sent.
pub(super) fn stop(model: &mut Model, fx: &mut Vec<Effect>) {
    let Some(chat) = &mut model.chat else { return };
    if let Some(open) = chat.open()
        && open.attached.is_some()
    {
        fx.push(Effect::Send(ClientFrame::Stop));
        return model.tell(model.texts.stopping);
    }
    if chat.sent {
        return;
    }
    let message_id = chat
        .transcript
        .waiting()
        .and_then(|entry| entry.message_id.clone());
    if let Some(words) = message_id.and_then(|id| chat.transcript.withdraw(&id)) {
        chat.give_back(&words);
    }
}

/// Puts the words of a message that the server does not take back into the editor.
pub(super) fn give_back(model: &mut Model, message_id: &str, why: &str) {
    let Some(chat) = &mut model.chat else { return };
    if let Some(words) = chat.transcript.withdraw(message_id) {
        chat.give_back(&words);
        model.complain(format!("{} ({why})", model.texts.given_back));
    }
}

/// The stored steps were answered.
pub(super) fn loaded(
    model: &mut Model,
    session_id: SessionId,
    result: Result<Vec<StepBody>, ClientError>,
    fx: &mut Vec<Effect>,
) {
    let Some(chat) = model
        .chat
        .as_mut()
        .filter(|chat| chat.session_id == Some(session_id))
    else {
        return;
    };
    let first = chat.loading;
    match result {
        Ok(steps) => {
            chat.loading = false;
            chat.transcript.merge(steps, model.now);
            if first && !chat.ended && chat.link == Link::Off {
                connection::connect(model, Wait::No, 0, fx);
            }
            connection::pump(model, fx);
        }
        Err(error) if error.status() == Some(404) && first => sessions::gone(model, fx),
        Err(error) => {
            chat.reload_at = Some(model.now.plus(RELOAD));
            account::call_failed(model, &error, Effect::LoadSteps(session_id), fx);
        }
    }
}
