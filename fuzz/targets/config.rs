//! `config.json`, and with it the other JSON files of a folder: the index, the tokenizer's and the generation's settings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_checkpoint::Checkpoint;
use saltus_fuzz::{file, folder, only_our_panics, read, speak, within};
use std::sync::Once;

#[path = "../../crates/checkpoint/tests/common/mod.rs"]
mod common;

fuzz_target!(init: only_our_panics(), |input: &[u8]| {
    static FIXED: Once = Once::new();
    FIXED.call_once(|| {
        file("model.safetensors", &common::safetensors(&[("a", "F32", &[2], 8)]));
        file("tokenizer.json", common::tokenizer_json().as_bytes());
    });
    // The first byte says which file the rest is.
    let Some((choice, text)) = input.split_first() else { return };
    let files = ["config.json", "tokenizer_config.json", "generation_config.json", "model.safetensors.index.json"];
    let chosen = files[usize::from(choice % 4)];
    for name in files {
        let _ = std::fs::remove_file(folder().join(name));
    }
    file("config.json", b"{}");
    file(chosen, text);
    // A number in a JSON array takes two bytes in the file and 32 in memory, and the arrays grow by doubling.
    let Ok(checkpoint) = within(input, 1 << 16, 128, || Checkpoint::open(folder())) else { return };
    read(&checkpoint);
    if choice % 4 < 3
        && let Ok(tokenizer) = checkpoint.tokenizer()
    {
        speak(&tokenizer);
    }
});
