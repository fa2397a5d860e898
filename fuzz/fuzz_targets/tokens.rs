//! What somebody may bring for a credential: read without a panic, and accepted only if it was given out.
#![no_main]

use deepme::auth::SystemRandom;
use deepme::auth::keys::Keys;
use deepme::auth::refresh::RefreshToken;
use deepme::auth::token::Tokens;
use deepme::domain::{LoginId, Timestamp, UserId};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_micros(1_795_416_374_000_000);

static KEYS: LazyLock<Arc<Keys>> =
    LazyLock::new(|| Arc::new(Keys::generate(&SystemRandom).expect("randomness")));
static TOKENS: LazyLock<(Tokens, String)> = LazyLock::new(|| {
    let tokens = Tokens::new(Arc::clone(&KEYS));
    let user_id = UserId("01a20794-16a8-702d-b857-47047a1f3b74".parse().expect("an id"));
    let login_id = LoginId::generate(NOW, &SystemRandom).expect("an id");
    let good = tokens.issue(user_id, login_id, 7, NOW, Duration::from_secs(900));
    (tokens, good.expect("a token"))
});

fuzz_target!(|data: (&str, usize, u8)| {
    let (text, place, byte) = data;
    let (tokens, good) = &*TOKENS;
    assert!(tokens.verify(text, NOW).is_err(), "a token that nobody gave out");
    // One byte of a good one changed.
    let mut bytes = good.clone().into_bytes();
    let place = place % bytes.len();
    if bytes[place] != byte {
        bytes[place] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(tokens.verify(&changed, NOW).is_err(), "a changed token");
        }
    }
    if let Some(token) = RefreshToken::parse(text) {
        assert!(!token.is_genuine(&KEYS), "a refresh token that nobody gave out");
        assert_eq!(token.reveal(), text);
        let _ = token.successors(&KEYS);
    }
});
