//! A llama2.c checkpoint, and its vocabulary file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_checkpoint::{Checkpoint, FileTokenizer};
use saltus_fuzz::{file, read, speak, within};

fuzz_target!(|input: &[u8]| {
    let path = file("model.bin", input);
    // The names of up to 1000 layers' tensors take more than a small file of them.
    if let Ok(checkpoint) = within(input, 1 << 21, 16, || Checkpoint::open(&path)) {
        read(&checkpoint);
    }
    for tokens in [1, 262, 512] {
        if let Ok(tokenizer) = within(input, 1 << 16, 64, || FileTokenizer::from_llama2c(&path, tokens)) {
            speak(&tokenizer);
        }
    }
});
