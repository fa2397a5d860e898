//! What a client may send on a socket: read without a panic, and what is read is written back as the same.
#![no_main]

use deepme::wire::ws::{ClientFrame, ServerFrame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(frame) = ClientFrame::parse(text) {
        let again = ClientFrame::parse(&frame.to_json());
        assert_eq!(again.ok().as_ref(), Some(&frame));
    }
    if let Some(frame) = ServerFrame::parse(text) {
        assert_eq!(ServerFrame::parse(&frame.to_json()), Some(frame));
    }
});
