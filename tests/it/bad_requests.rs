//! Bad input over REST: each gets a problem that says what is wrong and does not repeat it.

mod accounts;
mod bodies;
mod paths;

use crate::raw::Answer;

/// What must never come back.
pub const CANARY: &str = "canary-비밀";

/// The answer is this problem, without a word of what was sent.
pub fn assert_problem(answer: &Answer, status: u16, code: &str, field: Option<&str>, what: &str) {
    let problem = answer.problem();
    assert_eq!(
        (
            answer.status,
            problem.code.as_str(),
            problem.field.as_deref()
        ),
        (status, code, field),
        "{what}: {}",
        answer.text()
    );
    assert!(
        !answer.text().contains("canary") && !answer.text().contains("비밀"),
        "{what} came back: {}",
        answer.text()
    );
    assert!(answer.header("x-request-id").is_some(), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
}
