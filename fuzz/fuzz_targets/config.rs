//! What may stand in a configuration file: read without a panic, and what is read can be written and read again.
#![no_main]

use deepme::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(config) = Config::parse(text, "the file", []) else {
        return;
    };
    let written = config.to_toml();
    let again = Config::parse(&written, "what was written", []);
    let again = again.unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(again.to_toml(), written);
});
