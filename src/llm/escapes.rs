//! JSON that is not quite JSON.
//!
//! Owns one repair: a `\u` escape of half a surrogate pair, as servers send it that cut an emoji in two,
//! becomes U+FFFD, so that the text around it is not lost. Called by the reader of [`super::openai`]
//! for events that cannot be read otherwise. Invariant: nothing else is changed.

/// The mended event; `None` when there is nothing to mend.
pub(super) fn mend(event: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(event.len());
    let mut changed = false;
    let mut rest = event;
    while let Some(backslash) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(backslash);
        mended.extend_from_slice(before);
        let (length, half) = match unit(escape) {
            Some(0xd800..=0xdbff) => match escape.get(6..).and_then(unit) {
                Some(0xdc00..=0xdfff) => (12, false),
                _ => (6, true),
            },
            Some(0xdc00..=0xdfff) => (6, true),
            Some(_) => (6, false),
            // Another escape, such as an escaped backslash, which escapes nothing itself.
            None => (2, false),
        };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        mended.extend_from_slice(if half { br"\ufffd" } else { escape });
        changed |= half;
        rest = after;
    }
    mended.extend_from_slice(rest);
    changed.then_some(mended)
}

/// The UTF-16 unit of an escape `\uXXXX` at the start.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_nothing_else() {
        for (event, mended) in [
            (r#"{"a":"x\ud83d y"}"#, Some(r#"{"a":"x\ufffd y"}"#)),
            (r#"{"a":"\ude00"}"#, Some(r#"{"a":"\ufffd"}"#)),
            (
                r#"{"a":"\ud83d\ud83d\ude00"}"#,
                Some(r#"{"a":"\ufffd\ud83d\ude00"}"#),
            ),
            (r#"{"a":"\ud83d\ude00 \uac00 \n"}"#, None),
            (r#"{"a":"\\ud83d"}"#, None),
            (r#"{"a":"\\\ud83d"}"#, Some(r#"{"a":"\\\ufffd"}"#)),
            (r#"{"a":"\ud83"#, None),
            (r"\", None),
            ("", None),
        ] {
            let found = mend(event.as_bytes());
            assert_eq!(found.as_deref(), mended.map(str::as_bytes), "{event}");
        }
    }
}
