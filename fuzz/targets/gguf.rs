//! A GGUF file, with its tokenizer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_checkpoint::Checkpoint;
use saltus_fuzz::{file, only_our_panics, read, speak, within};

fuzz_target!(init: only_our_panics(), |input: &[u8]| {
    let path = file("model.gguf", input);
    let Ok(checkpoint) = within(input, 1 << 16, 32, || Checkpoint::open(&path)) else { return };
    read(&checkpoint);
    // Compiled patterns take megabytes, whatever the input.
    if let Ok(tokenizer) = within(input, 1 << 25, 64, || checkpoint.tokenizer()) {
        speak(&tokenizer);
    }
});
