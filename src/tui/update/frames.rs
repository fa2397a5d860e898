//! What the server's frames mean.
//!
//! Owns the handling of [`ServerFrame`]s. Called by the connection with frames of the newest link
//! only. Invariant: whatever order, repetition or loss the network makes of them, the transcript is
//! right as soon as the server has been heard to the end.

use super::super::chat::{Chat, Scroll, Stats};
use super::super::link::Asked;
use super::super::model::Model;
use super::super::msg::Effect;
use super::super::transcript::Rest;
use super::{account, connection, conversation, sessions};
use crate::domain::StepId;
use crate::domain::step::StepStatus;
use crate::wire::ws::{
    Accepted, Done, ErrorFrame, NOTICE_DRAINING, Notice, Resumed, Safety, ServerFrame, SessionFrame,
};
use std::time::Duration;

/// A refused message is sent again by itself when the server asks for no more patience than this.
const PATIENCE: u32 = 10;
/// When to look again at a turn that runs somewhere where this connection cannot follow it.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Takes a frame.
pub(super) fn take(model: &mut Model, frame: ServerFrame, fx: &mut Vec<Effect>) {
    if let ServerFrame::Session(frame) = &frame {
        return session(model, frame, fx);
    }
    let now = model.now;
    let Some(chat) = &mut model.chat else { return };
    let Some(attached) = chat.open().map(|open| open.attached) else {
        return;
    };
    match frame {
        ServerFrame::Accepted { accepted } => self::accepted(model, &accepted),
        ServerFrame::Resumed { resumed } => self::resumed(model, &resumed),
        ServerFrame::Token { token } => {
            if let Some(step_id) = attached {
                chat.transcript.token(step_id, &token, now);
                chat.unseen |= chat.scroll != Scroll::Follow;
            }
        }
        ServerFrame::Notice { notice } => self::notice(model, attached, notice),
        ServerFrame::Safety { safety } => self::safety(chat, attached, safety),
        ServerFrame::Done(done) => self::done(model, &done, fx),
        ServerFrame::Error { error } => match error.step_id {
            Some(step_id) => failed(model, step_id, &error, fx),
            None => refused(model, &error, fx),
        },
        ServerFrame::Ended { ended } => sessions::has_ended(model, ended.session_id, fx),
        ServerFrame::Session(_) | ServerFrame::Pong { .. } | ServerFrame::Auth { .. } => {}
    }
}

/// The connection stands. What was said between the last look and now is read again.
fn session(model: &mut Model, frame: &SessionFrame, fx: &mut Vec<Effect>) {
    connection::opened(model);
    let Some(chat) = &mut model.chat else { return };
    chat.session_id = Some(frame.session_id);
    if let Some(turn) = &frame.turn {
        chat.transcript.found(turn, model.now);
    }
    if frame.resumed {
        fx.push(Effect::LoadSteps(frame.session_id));
    }
    model.found();
    connection::pump(model, fx);
}

fn accepted(model: &mut Model, accepted: &Accepted) {
    model.moved_on();
    let Some(chat) = &mut model.chat else { return };
    chat.transcript.accepted(accepted, model.now);
    // While another turn is told, this can only answer a message that was sent again: its text comes
    // after `resumed`, if it comes.
    let step_id = accepted.step_id;
    let attached = chat.open().and_then(|open| open.attached);
    if attached.is_none_or(|attached| attached == step_id) {
        attach(chat, step_id);
    }
    let key = chat
        .transcript
        .step(accepted.step_id)
        .map(|entry| entry.key);
    // More is said, perhaps on another device: the help stands with its own words from now on.
    if chat
        .safety
        .as_ref()
        .is_some_and(|(_, of)| of.is_some() && *of != key)
    {
        chat.safety = None;
    }
    chat.unseen |= chat.scroll != Scroll::Follow;
}

fn resumed(model: &mut Model, resumed: &Resumed) {
    let Some(chat) = &mut model.chat else { return };
    chat.transcript.resumed(resumed, model.now);
    attach(chat, resumed.step_id);
}

/// From here on tokens belong to this turn; what was asked about it is answered.
fn attach(chat: &mut Chat, step_id: StepId) {
    answered(chat, step_id);
    if let Some(open) = chat.open() {
        open.attached = Some(step_id);
    }
}

/// What was asked about a turn is answered.
fn answered(chat: &mut Chat, step_id: StepId) {
    let message_id = chat
        .transcript
        .step(step_id)
        .and_then(|entry| entry.message_id.clone());
    let Some(open) = chat.open() else { return };
    let answered = match &open.asked {
        Some(Asked::Resume(asked)) => *asked == step_id,
        Some(Asked::Say(asked)) => Some(asked) == message_id.as_ref(),
        None => false,
    };
    if answered {
        open.asked = None;
    }
}

/// Tokens do not belong to this turn any more.
fn detach(chat: &mut Chat, step_id: StepId) {
    answered(chat, step_id);
    if let Some(open) = chat.open()
        && open.attached == Some(step_id)
    {
        open.attached = None;
    }
}

fn notice(model: &mut Model, attached: Option<StepId>, notice: Notice) {
    match (attached, &mut model.chat) {
        (Some(step_id), Some(chat)) if notice.code != NOTICE_DRAINING => {
            chat.transcript.notice(step_id, notice);
        }
        _ => model.tell(model.texts.notice(&notice)),
    }
}

/// Help belongs to the turn that runs, or to the words that are about to be taken or refused.
fn safety(chat: &mut Chat, attached: Option<StepId>, safety: Safety) {
    let entry = attached
        .and_then(|step_id| chat.transcript.step(step_id))
        .or_else(|| chat.transcript.waiting());
    let key = entry.map(|entry| entry.key);
    if let Some(key) = key {
        chat.transcript.safety(key, safety.clone());
    }
    chat.safety = Some((safety, key));
}

fn done(model: &mut Model, done: &Done, fx: &mut Vec<Effect>) {
    let now = model.now;
    let Some(chat) = &mut model.chat else { return };
    let rest = chat.transcript.done(done, now);
    detach(chat, done.step_id);
    if done.status == StepStatus::Pending {
        chat.reload_at = Some(now.plus(ELSEWHERE));
    }
    if let Some(entry) = chat.transcript.step(done.step_id)
        && entry.first.is_some()
    {
        chat.last = Some(Stats::of(entry, now));
    }
    over(model, rest, fx);
}

fn failed(model: &mut Model, step_id: StepId, error: &ErrorFrame, fx: &mut Vec<Effect>) {
    let Some(chat) = &mut model.chat else { return };
    let rest = chat.transcript.failed(step_id, error, model.now);
    detach(chat, step_id);
    over(model, rest, fx);
}

fn over(model: &mut Model, rest: Rest, fx: &mut Vec<Effect>) {
    model.moved_on();
    let Some(chat) = &mut model.chat else { return };
    chat.unseen |= chat.scroll != Scroll::Follow;
    if let (Rest::Missing, Some(session_id)) = (rest, chat.session_id) {
        fx.push(Effect::LoadSteps(session_id));
    }
    if chat.ended && !chat.answering() {
        return connection::disconnect(model, fx);
    }
    connection::pump(model, fx);
}

/// Something that was asked is not done.
fn refused(model: &mut Model, error: &ErrorFrame, fx: &mut Vec<Effect>) {
    // Words are never refused so: this is about the token that the socket was to go on with.
    if error.code == "unauthorized" {
        return account::cut_off(model, fx);
    }
    let said = model
        .texts
        .error(&error.code, error.field.as_deref(), &error.message);
    let now = model.now;
    let Some(chat) = &mut model.chat else { return };
    let session_id = chat.session_id;
    let Some(open) = chat.open() else { return };
    match &open.asked {
        Some(Asked::Resume(step_id)) => {
            // Another turn runs: this one is asked for again when that one is over.
            if error.code == "turn_in_progress" {
                let step_id = *step_id;
                open.resumed.retain(|asked| *asked != step_id);
            }
            open.asked = None;
            fx.extend(session_id.map(Effect::LoadSteps));
        }
        // Without a word about the words it is no answer to them, but to a stop that came late.
        Some(Asked::Say(message_id)) if error.stored.is_some() || error.code != "not_found" => {
            let message_id = message_id.clone();
            open.asked = None;
            if error.stored == Some(true) {
                fx.extend(session_id.map(Effect::LoadSteps));
                model.complain(said);
            } else if sent_again(error) {
                let wait = Duration::from_secs(error.retry_after.unwrap_or(2).max(1).into());
                chat.hold_until = Some(now.plus(wait));
                if error.code != "turn_in_progress" {
                    model.complain(format!("{said} · {}", model.texts.try_again_soon));
                }
            } else {
                chat.ended |= error.code == "session_ended";
                let ended = chat.ended;
                conversation::give_back(model, &message_id, &said);
                if ended {
                    connection::disconnect(model, fx);
                }
            }
        }
        // A stop that came after the end.
        _ if error.code == "not_found" => {}
        _ => model.complain(said),
    }
}

/// Whether words that were refused are to be sent again under the same name.
fn sent_again(error: &ErrorFrame) -> bool {
    match error.code.as_str() {
        "turn_in_progress" => true,
        "too_many" | "overloaded" => error.retry_after.is_some_and(|wait| wait <= PATIENCE),
        // It is not known whether they are stored.
        "unavailable" | "internal" => error.stored.is_none(),
        _ => false,
    }
}
