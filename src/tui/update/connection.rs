//! The life of the connection: made, watched, lost, made again; and what is asked on it.
//!
//! Owns the decisions on [`Link`]. Called by the update. Invariants: while a conversation is open
//! and not ended there is a connection or an attempt at one, unless the server closed it as done;
//! what the server has not answered is asked again on the next connection.

use super::super::link::{Asked, Link, LinkId, Open, Wait};
use super::super::model::{Model, Screen};
use super::super::msg::{Effect, LinkEvent};
use super::{account, conversation, frames, sessions};
use crate::client::{ABNORMAL, ClientError};
use crate::domain::StepId;
use crate::wire::ws::{ClientFrame, Resume, UserMessage, close};
use std::time::Duration;

/// After this silence the server is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(25);
/// After this time without one the connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a connection for the conversation.
pub(super) fn connect(model: &mut Model, wait: Wait, failed: u32, fx: &mut Vec<Effect>) {
    let Some(chat) = &mut model.chat else { return };
    let again = match &chat.link {
        Link::Off => false,
        Link::Connecting { again, .. } => *again || failed > 0,
        Link::Open(_) => true,
    };
    model.link_id = LinkId(model.link_id.0 + 1);
    chat.link = Link::Connecting { failed, again };
    let (link, session_id) = (model.link_id, chat.session_id);
    fx.push(Effect::Connect {
        link,
        session_id,
        wait,
    });
}

/// Closes the connection; nothing more is heard from it.
pub(super) fn disconnect(model: &mut Model, fx: &mut Vec<Effect>) {
    model.link_id = LinkId(model.link_id.0 + 1);
    if let Some(chat) = &mut model.chat {
        chat.link = Link::Off;
    }
    fx.push(Effect::Disconnect);
}

/// Gives the connection up until there is a token to make another one with.
pub(super) fn hold(model: &mut Model, fx: &mut Vec<Effect>) {
    model.link_id = LinkId(model.link_id.0 + 1);
    if let Some(chat) = &mut model.chat {
        chat.link = Link::Connecting {
            failed: 0,
            again: true,
        };
    }
    fx.push(Effect::Disconnect);
}

/// Something came of a connection.
pub(super) fn heard(model: &mut Model, link: LinkId, event: LinkEvent, fx: &mut Vec<Effect>) {
    if link != model.link_id {
        return;
    }
    if let Some(open) = model.chat.as_mut().and_then(|chat| chat.open()) {
        open.heard = model.now;
        open.pinged = None;
    }
    match event {
        LinkEvent::Frame(frame) => frames::take(model, frame, fx),
        LinkEvent::Noise => {}
        LinkEvent::Closed(code) => closed(model, code, fx),
        LinkEvent::Refused(error) => refused(model, &error, fx),
    }
}

/// The connection is closed.
fn closed(model: &mut Model, code: u16, fx: &mut Vec<Effect>) {
    let Some(chat) = &mut model.chat else { return };
    let failed = match &chat.link {
        Link::Connecting { failed, .. } => failed.saturating_add(1),
        Link::Open(_) | Link::Off => 0,
    };
    // Sent again these words would only be refused again.
    if code == close::TOO_BIG
        && let Some(Asked::Say(message_id)) = chat.open().and_then(|open| open.asked.take())
    {
        conversation::give_back(model, &message_id, model.texts.too_long);
    }
    let over = model
        .chat
        .as_ref()
        .is_some_and(|chat| chat.ended && chat.transcript.running().next().is_none());
    match (code, Wait::after(code, failed)) {
        (close::UNAUTHENTICATED, _) | (_, Some(_)) if over => disconnect(model, fx),
        (_, Some(wait)) => connect(model, wait, failed, fx),
        (close::UNAUTHENTICATED, None) => account::cut_off(model, fx),
        (close::UNKNOWN_SESSION, None) => sessions::gone(model, fx),
        (_, None) => disconnect(model, fx),
    }
}

/// The connection could not be made.
fn refused(model: &mut Model, error: &ClientError, fx: &mut Vec<Effect>) {
    let failed = match model.chat.as_ref().map(|chat| &chat.link) {
        Some(Link::Connecting { failed, .. }) => failed.saturating_add(1),
        _ => return,
    };
    match error.status() {
        Some(401) => account::cut_off(model, fx),
        Some(403) => account::logged_out(model, fx),
        Some(429 | 503) => {
            model.miss(model.texts.call(error));
            connect(model, Wait::Later(failed - 1), failed, fx);
        }
        _ => {
            model.miss(model.texts.call(error));
            connect(model, Wait::Backoff(failed), failed, fx);
        }
    }
}

/// What time brings: signs of life asked for or missed, waits that are over.
pub(super) fn look_after(model: &mut Model, fx: &mut Vec<Effect>) {
    let now = model.now;
    let Some(chat) = &mut model.chat else { return };
    if model.screen != Screen::Form
        && let (Some(at), Some(session_id)) = (chat.reload_at, chat.session_id)
        && at <= now
    {
        chat.reload_at = None;
        fx.push(Effect::LoadSteps(session_id));
    }
    let held = chat.hold_until.is_some();
    if chat.hold_until.is_some_and(|until| until <= now) {
        chat.hold_until = None;
    }
    let free = held && chat.hold_until.is_none();
    if let Some(open) = chat.open() {
        match open.pinged {
            Some(at) if now.since(at) >= PATIENCE => return closed(model, ABNORMAL, fx),
            None if now.since(open.heard) >= SILENCE => {
                open.pinged = Some(now);
                fx.push(Effect::Send(ClientFrame::Ping(now.as_millis().into())));
            }
            _ => {}
        }
    }
    if free {
        pump(model, fx);
    }
}

/// Asks the next thing that is to be asked, one at a time: first the turns whose end is not known,
/// then to take what the person said.
pub(super) fn pump(model: &mut Model, fx: &mut Vec<Effect>) {
    let Some(chat) = &mut model.chat else { return };
    let Link::Open(open) = &mut chat.link else {
        return;
    };
    if open.asked.is_some() || open.attached.is_some() {
        return;
    }
    let unasked = |id: &StepId| !open.resumed.contains(id);
    if let Some((step_id, entry)) = chat.transcript.running().find(|(id, _)| unasked(id)) {
        open.asked = Some(Asked::Resume(step_id));
        open.resumed.push(step_id);
        let resume = Resume {
            step_id: Some(step_id),
            received: entry.received,
        };
        fx.push(Effect::Send(ClientFrame::Resume(resume)));
        return;
    }
    if chat.hold_until.is_some() {
        return;
    }
    if let Some(entry) = chat.transcript.waiting()
        && let (Some(words), Some(message_id)) = (&entry.words, &entry.message_id)
    {
        open.asked = Some(Asked::Say(message_id.clone()));
        chat.sent = true;
        fx.push(Effect::Send(ClientFrame::UserInput(UserMessage {
            user_input: words.clone(),
            message_id: Some(message_id.clone()),
            received: Some(entry.received),
            ..UserMessage::default()
        })));
    }
}

/// The first frame of a connection.
pub(super) fn opened(model: &mut Model) {
    if let Some(chat) = &mut model.chat {
        chat.link = Link::Open(Open::new(model.now));
    }
}
