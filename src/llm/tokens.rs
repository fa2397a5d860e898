//! Counting tokens with a real tokenizer.
//!
//! Owns the tokenizer (`o200k_base`, that of `OpenAI`'s models since 2024; others come close) and a
//! small memory of long texts that are counted again and again, the system prompts. It takes 140 ms
//! and 46 MB at first use, so it is loaded only when a session outgrows what the cheap bound
//! settles. Invariant: never called on a runtime worker.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Texts from this size on are remembered, in bytes: by their hash, so that no words stay here.
const LONG: usize = 1024;
/// How many of them.
const REMEMBERED: usize = 256;

static LONG_TEXTS: LazyLock<Mutex<HashMap<u64, usize>>> = LazyLock::new(Mutex::default);
static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The number of tokens of `text`. Blocks for as long as that takes.
pub fn count(text: &str) -> usize {
    let encode = || {
        tiktoken_rs::o200k_base_singleton()
            .encode_ordinary(text)
            .len()
    };
    if text.len() < LONG {
        return encode();
    }
    let key = HASH.hash_one(text);
    let known = LONG_TEXTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
        .copied();
    known.unwrap_or_else(|| {
        let tokens = encode();
        let mut texts = LONG_TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() >= REMEMBERED {
            texts.clear();
        }
        texts.insert(key, tokens);
        tokens
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_tokenizer_counts() {
        assert_eq!(count("hello world"), 2);
        let long = "요즘 기분이 별로야. ".repeat(100);
        assert_eq!(count(&long), count(&long));
        assert!(count(&long) < long.len());
    }
}
