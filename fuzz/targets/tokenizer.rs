//! `tokenizer.json`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_checkpoint::FileTokenizer;
use saltus_fuzz::{file, only_our_panics, speak, within};

fuzz_target!(init: only_our_panics(), |input: &[u8]| {
    let path = file("tokenizer.json", input);
    if let Ok(tokenizer) = within(input, 1 << 26, 256, || FileTokenizer::from_json(&path)) {
        speak(&tokenizer);
    }
});
