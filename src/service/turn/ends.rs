//! How the end of a turn is told.
//!
//! Owns the frames for it. Called by the turn that runs, by its copies on other instances, and by whoever
//! tells a stored turn again. Invariant: a turn has the same end however often it is told.

use crate::domain::step::{EmotionStep, FinishReason, StepStatus};
use crate::domain::{Error, ErrorCode, StepId};
use crate::wire::ws::{Done, ErrorFrame, NOTICE_INCOMPLETE, Notice, ServerFrame};

/// The frames that end the turn of a stored step.
pub fn terminal(step: &EmotionStep) -> (Option<ServerFrame>, ServerFrame) {
    let message_id = step.message_id.as_ref().map(|id| id.as_str().to_owned());
    if step.status == StepStatus::Failed || step.gpt_response.is_empty() {
        return (None, failed(step.step_id, &ended_empty(step.status)));
    }
    let done = ServerFrame::Done(Done {
        done: true,
        step_id: step.step_id,
        created_at: step.created_at,
        step_order: step.step_order,
        status: step.status,
        finish_reason: step.finish_reason,
        message_id,
        model: step.model.clone(),
        tokens: step.output_tokens,
        quota: None,
        emotion: step.marks.feeling().map(Into::into),
    });
    (incomplete(step.status, step.finish_reason), done)
}

/// Why a turn that is over has no text.
fn ended_empty(status: StepStatus) -> Error {
    match status {
        StepStatus::Failed | StepStatus::Complete => Error::new(
            ErrorCode::ModelUnavailable,
            "no answer could be given at the moment: send the message again",
        )
        .retry_after(5),
        _ => Error::new(
            ErrorCode::Interrupted,
            "the turn ended before the answer began: send the message again",
        ),
    }
}

/// The frame that ends a turn without text.
pub(super) fn failed(step_id: StepId, error: &Error) -> ServerFrame {
    let frame = ErrorFrame {
        step_id: Some(step_id),
        status: Some(StepStatus::Failed),
        stored: Some(true),
        ..ErrorFrame::from(error)
    };
    ServerFrame::Error { error: frame }
}

/// The notice before the end of an answer that is not whole.
pub(super) fn incomplete(status: StepStatus, reason: Option<FinishReason>) -> Option<ServerFrame> {
    let message = match (status, reason) {
        (StepStatus::Cancelled, _) => "the answer was stopped",
        (StepStatus::Interrupted, _) => "the answer was cut off; what there is of it is kept",
        (_, Some(FinishReason::Length)) => "the answer reached its longest length",
        (_, Some(FinishReason::ContentFilter)) => "a filter cut the answer",
        _ => return None,
    };
    Some(ServerFrame::Notice {
        notice: Notice {
            code: NOTICE_INCOMPLETE.to_owned(),
            message: message.to_owned(),
        },
    })
}
