//! `model.safetensors`: what we take, the `safetensors` crate takes too, and finds the same tensors in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_checkpoint::Checkpoint;
use saltus_fuzz::{file, folder, read, within};

fuzz_target!(|input: &[u8]| {
    file("config.json", b"{}");
    file("model.safetensors", input);
    let Ok(checkpoint) = within(input, 1 << 16, 32, || Checkpoint::open(folder())) else { return };
    read(&checkpoint);
    let theirs = safetensors::SafeTensors::deserialize(input).expect("the crate takes what we take");
    for tensor in checkpoint.tensors() {
        let same = theirs.tensor(tensor.name).expect("the crate finds what we find");
        assert_eq!((same.shape(), same.data()), (tensor.shape, tensor.bytes));
    }
});
