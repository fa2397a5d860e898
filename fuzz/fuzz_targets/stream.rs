//! What a model's server may send: read without a panic, the same however the network cuts it.
#![no_main]

use deepme::llm::completion::read_stream;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (Vec<u8>, &[u8])| {
    let (cuts, stream) = data;
    let whole = read_stream(stream, &[]);
    let cuts: Vec<usize> = cuts.into_iter().map(usize::from).collect();
    assert_eq!(read_stream(stream, &cuts), whole);
});
