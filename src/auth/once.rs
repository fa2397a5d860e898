//! What is good for one use: tickets for a socket, and codes that an admin hands over.
//!
//! Owns their making, their reading and what is kept of them. Invariants: a ticket has 256 random bits,
//! a code 100, so that a plain hash is enough to keep; a code can be read out on the telephone.

use super::hex::hex;
use crate::domain::{Random, Result};
use sha2::{Digest as _, Sha256};

/// Digits of a code: Crockford's, without I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits in a group, and groups in a code.
const GROUP: usize = 5;
const GROUPS: usize = 4;

/// A fresh ticket.
pub fn ticket(random: &dyn Random) -> Result<String> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// A ticket as it is kept.
pub fn ticket_hash(ticket: &str) -> String {
    kept(b"deepme ticket\0", ticket.as_bytes())
}

/// A fresh code, such as `7KQ2M-0XJ4P-B9D8T-WZ5RC`.
pub fn code(random: &dyn Random) -> Result<String> {
    let mut bytes = [0; GROUP * GROUPS];
    random.fill(&mut bytes)?;
    let digits: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(DIGITS[usize::from(byte % 32)]))
        .collect();
    let groups: Vec<String> = digits.chunks(GROUP).map(|c| c.iter().collect()).collect();
    Ok(groups.join("-"))
}

/// A code as it is kept, however it was typed: without regard to case, spaces and hyphens, and with
/// the letters that look like digits taken for them.
pub fn code_hash(code: &str) -> String {
    let digits: String = code
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect();
    kept(b"deepme code\0", digits.as_bytes())
}

fn kept(purpose: &[u8], secret: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update(secret);
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;

    #[test]
    fn a_code_is_known_however_it_is_typed() {
        let code = code(&SystemRandom).unwrap();
        assert_eq!(code.len(), 23);
        let typed = code.to_lowercase().replace('-', " ").replace('0', "o");
        assert_eq!(code_hash(&typed), code_hash(&code));
        assert_eq!(
            code_hash(&code.replace('-', "").replace('1', "l")),
            code_hash(&code)
        );
        assert_ne!(
            code_hash(&code),
            code_hash(&super::code(&SystemRandom).unwrap())
        );
    }

    #[test]
    fn what_is_kept_is_not_what_was_given() {
        let ticket = ticket(&SystemRandom).unwrap();
        assert_eq!(ticket.len(), 64);
        assert_ne!(ticket_hash(&ticket), ticket);
        assert_ne!(ticket_hash("a"), code_hash("a"), "each for its purpose");
    }
}
