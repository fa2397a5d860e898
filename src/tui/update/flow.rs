//! The flow of a conversation.
//!
//! Owns asking for it. Called by the update. Invariant: what is shown is of the conversation that was asked for, and
//! as it was stored when it was asked for.

use super::super::model::{Model, Overlay, Screen};
use super::super::msg::Effect;
use super::account;
use crate::client::ClientError;
use crate::domain::SessionId;
use crate::wire::insight::FlowBody;

/// Shows how a conversation felt: the open one, or the one under the cursor.
pub(super) fn show(model: &mut Model, fx: &mut Vec<Effect>) {
    let session_id = match model.screen {
        Screen::Sessions => match model.list.chosen() {
            Some(session) => Some(session.session_id),
            None => return,
        },
        Screen::Chat => match &model.chat {
            Some(chat) if !chat.transcript.is_empty() || chat.loading => chat.session_id,
            _ => None,
        },
        Screen::Form => None,
    };
    let Some(session_id) = session_id else {
        return model.tell(model.texts.not_begun);
    };
    model.flow = None;
    model.overlay = Some(Overlay::Flow(session_id));
    fx.push(Effect::LoadFlow(session_id));
}

/// The flow was answered.
pub(super) fn loaded(
    model: &mut Model,
    session_id: SessionId,
    result: Result<FlowBody, ClientError>,
    fx: &mut Vec<Effect>,
) {
    if model.overlay != Some(Overlay::Flow(session_id)) {
        return;
    }
    match result {
        Ok(flow) => model.flow = Some(flow),
        // The token may be renewed while the box is open.
        Err(error) => {
            if error.status() != Some(401) {
                model.overlay = None;
            }
            account::call_failed(model, &error, Effect::LoadFlow(session_id), fx);
        }
    }
}
