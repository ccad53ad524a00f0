//! Writes small valid files of each format into a folder for each fuzz target: what `cargo xtask fuzz` starts from.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Gguf, Meta};
use std::{fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    let tensors: [common::Tensor; 3] =
        [("a.weight", "F32", &[2, 3], 24), ("b", "BF16", &[4], 8), ("mask", "U8", &[1, 2, 2], 4)];
    let every_kind = Gguf::new()
        .entry("general.alignment", Meta::U32(32))
        .entry("float", Meta::F32(0.5))
        .entry("array", Meta::Ints(vec![1, 2, 3]))
        .tensor("a", &[2, 32], 2, 36)
        .tensor("b", &[256], 12, 144);
    let config = r#"{"architectures":["LlamaForCausalLM"],"rope_scaling":null,"eos_token_id":[1,2],"bos_token_id":0}"#;
    let settings = r#"{"add_bos_token":true,"bos_token":"<|begin|>","eos_token":{"content":"<|end|>"}}"#;
    let index = r#"{"metadata":{"total_size":8},"weight_map":{"a":"model.safetensors"}}"#;
    // The first byte says which file the rest is.
    let folder_file = |choice: u8, text: &str| [&[choice], text.as_bytes()].concat();
    let seeds: [(&str, Vec<u8>); 12] = [
        ("safetensors/0", common::safetensors(&tensors)),
        ("gguf/0", every_kind.build()),
        ("gguf/1", common::byte_level_gguf().build()),
        ("gguf/2", common::scored_gguf(true).build()),
        ("config/0", folder_file(0, config)),
        ("config/1", folder_file(1, settings)),
        ("config/2", folder_file(2, r#"{"eos_token_id":7}"#)),
        ("config/3", folder_file(3, index)),
        ("tokenizer/0", common::tokenizer_json().into()),
        ("llama2c/0", common::llama2c([8, 4, 2, 2, 1, 10, 4])),
        ("llama2c/1", common::llama2c([4, 4, 1, 2, 2, -3, 4])),
        ("llama2c/2", common::llama2c_vocabulary(&[("he", -1.0), ("h", -2.0), ("e", -3.0)])),
    ];
    for (name, bytes) in seeds {
        let path = Path::new(&folder).join(name);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, bytes)?;
    }
    Ok(())
}
