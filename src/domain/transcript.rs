//! What the model gets to read: the session so far, within a token budget.
//!
//! Owns the pure decision which steps fit. Called by the turn. Invariant: the system prompt and the
//! newest words are always in; steps are left out whole and oldest first, so the model never reads
//! an answer without its question.

use super::id::StepId;
use serde::Serialize;

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What.
    pub content: String,
}

/// A finished step as far as the transcript needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Names the step.
    pub step_id: StepId,
    /// Its place in the session.
    pub step_order: i64,
    /// The person's words.
    pub user_input: String,
    /// The answer; may be empty.
    pub gpt_response: String,
    /// Tokens of the answer, where the provider counted them at the time.
    pub output_tokens: Option<i64>,
}

/// What stands for the steps that no longer fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The last step that it covers.
    pub until: i64,
    /// What a model wrote of them.
    pub text: String,
}

/// A transcript that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// System prompt, the exchanges that fit oldest first, and the newest words.
    pub messages: Vec<Message>,
    /// How many of the oldest exchanges were left out.
    pub left_out: usize,
    /// When less than a quarter of the budget is left: how many of the oldest exchanges to fold, so that
    /// the rest takes half of what they all may take. Whatever was left out is among them.
    pub to_fold: usize,
}

/// Tokens that a chat format spends on each message besides its text (`OpenAI`'s cookbook counts 3
/// and a role; 4 is on the safe side).
pub const MESSAGE_OVERHEAD: usize = 4;

/// Picks the newest exchanges that fit into `budget` tokens beside the system prompt and the
/// newest words. `count` gives the tokens of a text.
pub fn assemble(
    system: String,
    history: Vec<Exchange>,
    user_input: &str,
    budget: usize,
    count: &dyn Fn(&str) -> usize,
) -> Transcript {
    let (left_out, to_fold) = if surely_fits(&system, &history, user_input, budget) {
        (0, 0)
    } else {
        let frame = count(&system) + count(user_input) + 2 * MESSAGE_OVERHEAD;
        let sizes: Vec<usize> = history.iter().map(|e| size(e, count)).collect();
        let room = budget.saturating_sub(frame);
        let (first, left) = newest_that_fit(&sizes, room);
        let crowded = first > 0 || left < budget / 4;
        // The newest one stays as it was said, if it can be shown at all.
        let most = sizes.len().saturating_sub(1).max(first);
        let fold = newest_that_fit(&sizes, room / 2).0.min(most);
        (first, if crowded { fold } else { 0 })
    };
    let mut messages = Vec::with_capacity(2 + 2 * (history.len() - left_out));
    messages.push(Message {
        role: Role::System,
        content: system,
    });
    for exchange in history.into_iter().skip(left_out) {
        messages.push(Message {
            role: Role::User,
            content: exchange.user_input,
        });
        if !exchange.gpt_response.is_empty() {
            messages.push(Message {
                role: Role::Assistant,
                content: exchange.gpt_response,
            });
        }
    }
    messages.push(Message {
        role: Role::User,
        content: user_input.to_owned(),
    });
    Transcript {
        messages,
        left_out,
        to_fold,
    }
}

/// Whether everything fits without counting: a token is at least one byte.
pub fn surely_fits(system: &str, history: &[Exchange], user_input: &str, budget: usize) -> bool {
    let exchange = |e: &Exchange| {
        let answer = e
            .output_tokens
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(e.gpt_response.len());
        e.user_input.len() + answer + 2 * MESSAGE_OVERHEAD
    };
    let most = history.iter().map(exchange).sum::<usize>()
        + system.len()
        + user_input.len()
        + 2 * MESSAGE_OVERHEAD;
    most <= budget
}

/// Tokens of an exchange: of the answer those that the provider counted, if it did.
fn size(exchange: &Exchange, count: &dyn Fn(&str) -> usize) -> usize {
    let answer = exchange.output_tokens.and_then(|n| usize::try_from(n).ok());
    let answer = answer.unwrap_or_else(|| count(&exchange.gpt_response));
    count(&exchange.user_input) + answer + 2 * MESSAGE_OVERHEAD
}

/// The index of the oldest of these sizes that fits into `room` with all that are newer, and what is
/// left of it then.
fn newest_that_fit(sizes: &[usize], room: usize) -> (usize, usize) {
    let mut left = room;
    for (index, size) in sizes.iter().enumerate().rev() {
        match left.checked_sub(*size) {
            Some(rest) => left = rest,
            None => return (index + 1, left),
        }
    }
    (0, left)
}

/// How many of these sizes, from the first, fit into `most`; one in any case.
pub fn as_many_as_fit(sizes: &[usize], most: usize) -> usize {
    let mut sum = 0usize;
    let fitting = sizes.iter().take_while(|size| {
        sum = sum.saturating_add(**size);
        sum <= most
    });
    fitting.count().max(1).min(sizes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(n: usize, output_tokens: Option<i64>) -> Exchange {
        Exchange {
            step_id: StepId(uuid::Uuid::from_u128(n as u128)),
            step_order: i64::try_from(n).unwrap(),
            user_input: format!("u{n}"),
            gpt_response: format!("a{n}"),
            output_tokens,
        }
    }

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn everything_that_surely_fits_is_not_even_counted() {
        let count = |_: &str| -> usize { panic!("not needed") };
        let t = assemble("sys".into(), vec![exchange(1, None)], "hi", 1000, &count);
        assert_eq!((t.messages.len(), t.left_out), (4, 0));
    }

    #[test]
    fn the_oldest_go_first_and_whole() {
        let history = (1..=5).map(|n| exchange(n, Some(10))).collect();
        // 1 + 1 + 8 for the frame, 1 + 10 + 8 for each exchange: two fit into 48.
        let t = assemble("s ".to_owned(), history, &"x".repeat(100), 48, &|t| {
            words(t)
        });
        // Half of the room of 38 holds one exchange of 19; what was left out is folded, too.
        assert_eq!((t.left_out, t.to_fold), (3, 4));
        assert_eq!(t.messages[1].content, "u4");
        assert_eq!(t.messages.last().unwrap().content.len(), 100);
    }

    #[test]
    fn the_prompt_and_the_newest_words_stay_even_when_nothing_fits() {
        let t = assemble(
            "long prompt".into(),
            vec![exchange(1, None)],
            "now",
            0,
            &|t| words(t),
        );
        assert_eq!(t.left_out, 1);
        assert_eq!(
            t.messages.iter().map(|m| m.role).collect::<Vec<_>>(),
            [Role::System, Role::User]
        );
    }

    #[test]
    fn a_step_without_an_answer_leaves_no_empty_message() {
        let history = vec![Exchange {
            step_id: StepId(uuid::Uuid::from_u128(1)),
            step_order: 1,
            user_input: "u".into(),
            gpt_response: String::new(),
            output_tokens: None,
        }];
        let t = assemble("s".into(), history, "n", 1000, &|t| words(t));
        assert_eq!(t.messages.len(), 3);
    }

    #[test]
    fn it_is_folded_when_a_quarter_of_the_budget_is_not_left() {
        let assembled = |budget| {
            let long = "x".repeat(100);
            let history = (1..=2).map(|n| exchange(n, Some(1))).collect();
            assemble("s".into(), history, &long, budget, &|t| words(t))
        };
        // 1 + 1 + 8 for the frame, 1 + 1 + 8 for each exchange: 30.
        let (crowded, airy) = (assembled(38), assembled(39));
        assert_eq!((crowded.left_out, crowded.to_fold), (0, 1));
        assert_eq!((airy.left_out, airy.to_fold), (0, 0));
    }

    /// Nothing falls between what is shown and what is folded, whatever the sizes are.
    #[test]
    fn what_is_left_out_is_folded() {
        for budget in 0..80 {
            for hidden in [0, 5, 40] {
                let history = (1..=5).map(|n| exchange(n, Some(hidden))).collect();
                let t = assemble("s ".repeat(9), history, &"x".repeat(200), budget, &|t| {
                    words(t)
                });
                assert!(t.to_fold >= t.left_out, "{budget} {hidden}");
                assert!(t.to_fold < 5 || t.left_out == 5, "{budget} {hidden}");
            }
        }
    }

    #[test]
    fn as_many_are_folded_at_a_time_as_can_be_read_at_a_time() {
        assert_eq!(as_many_as_fit(&[10, 10, 10], 25), 2);
        assert_eq!(as_many_as_fit(&[90, 10], 5), 1);
        assert_eq!(as_many_as_fit(&[], 5), 0);
        assert_eq!(as_many_as_fit(&[1, 1], 5), 2);
    }
}
