//! What sealing costs a turn: `cargo bench --bench seal`.
//!
//! Seals and opens what a turn seals and opens, with the key of one person, on one thread, and prints microseconds. What
//! a whole turn costs the server is what `cargo bench --bench relay` prints.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring program: it prints, and it stops when something is wrong"
)]

use deepme::auth::SystemRandom;
use deepme::auth::seal::{MasterKeys, Place};
use deepme::domain::{StepId, UserId};
use std::hint::black_box;
use std::time::Instant;
use uuid::Uuid;

const ROUNDS: u32 = 20_000;

fn main() {
    let masters = MasterKeys::generate(&SystemRandom).unwrap();
    let user_id = UserId(Uuid::from_u128(1));
    let (key, _) = masters.fresh(user_id, &SystemRandom).unwrap();
    let words = "요즘 회사 일이 너무 힘들어서 잠을 잘 못 자겠어. ".repeat(2);
    // 200 tokens of Korean are about 800 bytes.
    let answer = "많이 지치셨겠어요. 어떤 하루였는지 들려주세요. ".repeat(13);
    let step = StepId(Uuid::from_u128(2));
    let (said, told) = (Place::UserInput(step), Place::GptResponse(step));
    let (sealed_words, sealed_answer) = (
        key.seal(said, &words, &SystemRandom).unwrap(),
        key.seal(told, &answer, &SystemRandom).unwrap(),
    );
    let timed = |what: &str, work: &dyn Fn()| {
        for _ in 0..ROUNDS / 10 {
            work();
        }
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        println!("{what:<44} {each:>8.2} us");
        each
    };
    let words_in = timed(&format!("seal {} bytes of words", words.len()), &|| {
        black_box(key.seal(said, black_box(&words), &SystemRandom).unwrap());
    });
    let answer_in = timed(
        &format!("seal {} bytes of an answer", answer.len()),
        &|| {
            black_box(key.seal(told, black_box(&answer), &SystemRandom).unwrap());
        },
    );
    let exchange_out = timed("open both", &|| {
        black_box(key.open(said, black_box(&sealed_words)).unwrap());
        black_box(key.open(told, black_box(&sealed_answer)).unwrap());
    });
    for history in [0, 4, 20] {
        // The words, the answer, and one checkpoint of half of it.
        let turn = words_in + answer_in * 1.5 + exchange_out * f64::from(history);
        println!("a turn with {history} exchanges before it            {turn:>8.2} us");
    }
}
