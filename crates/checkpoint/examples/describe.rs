//! What a model's files hold: the description's kind, tensors, files, tokenizer, and how long each took to read.

use saltus_checkpoint::{Checkpoint, Description, Hub, resolve};
use saltus_lm::Tokenizer;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = std::env::args().nth(1).ok_or("usage: describe MODEL")?;
    let progress = |p: saltus_checkpoint::Progress| eprintln!("{} {} of {}", p.file, p.done, p.total);
    let path = resolve(&source, &Hub::from_environment(&progress))?;
    let begun = Instant::now();
    let checkpoint = Checkpoint::open(&path)?;
    println!("opened in {:?}", begun.elapsed());
    match checkpoint.description() {
        Description::HuggingFace(config) => println!("{config:#}"),
        Description::Gguf(metadata) => metadata.iter().for_each(|(key, value)| println!("{key} = {value}")),
        Description::Llama2c(header) => println!("{header:?}"),
    }
    for tensor in checkpoint.tensors() {
        println!("{} {} {:?} {} bytes", tensor.name, tensor.dtype.name(), tensor.shape, tensor.bytes.len());
    }
    for (file, bytes) in checkpoint.files() {
        println!("{} {bytes} bytes", file.display());
    }
    let begun = Instant::now();
    match checkpoint.tokenizer() {
        Err(error) => println!("{error}"),
        Ok(tokenizer) => {
            println!("tokenizer in {:?}: {} tokens", begun.elapsed(), tokenizer.vocabulary());
            println!("beginning {:?}, end {:?}", tokenizer.beginning(), tokenizer.end());
        }
    }
    let begun = Instant::now();
    println!("identity {} in {:?}", checkpoint.identity(), begun.elapsed());
    Ok(())
}
