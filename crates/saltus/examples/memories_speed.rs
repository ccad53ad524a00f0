//! What reading triggers costs beside the plain forward pass over the same sentences: `cargo run --release -p
//! saltus-saltus --example memories_speed -- MODEL TEXT TOKENS WORK`.
//!
//! WORK is `both` (every 8192 tokens are read both ways, in turn, so that a busy machine is as busy for either),
//! `triggers` or `plain`. Both go through the same passes; neither computes logits. Prints one line of JSON: tokens per
//! second, the largest resident memory in bytes, and the model's bytes as stored.

use saltus_checkpoint::Checkpoint;
use saltus_lens::{
    memories::{Corpus, PASS, Triggers},
    read,
};
use saltus_transformer::{Model, NoTaps};
use std::{error::Error, path::Path, sync::Arc, time::Instant};

const STEP: usize = 8 * PASS;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, tokens, work] = &arguments[..] else { return Err("give MODEL TEXT TOKENS WORK".into()) };
    let checkpoint = Arc::new(Checkpoint::open(Path::new(model))?);
    let tokenizer = checkpoint.tokenizer()?;
    let model = Model::open(checkpoint)?;
    let text = std::fs::read_to_string(text)?;
    let corpus = Corpus::new(&[&text], &tokenizer, model.config().context, Some(tokens.parse()?))?;
    let layers: Vec<usize> = (0..model.config().layers).collect();
    let mut triggers = Triggers::new(&model, &layers, 25)?;
    let (mut first, mut seconds) = (0, [0.0; 2]);
    while first < corpus.sentences() {
        let end = corpus.after(first, STEP);
        if work != "triggers" {
            let begun = Instant::now();
            plain(&model, &corpus, first, end)?;
            seconds[0] += begun.elapsed().as_secs_f64();
        }
        if work != "plain" {
            let begun = Instant::now();
            triggers.read(&model, &corpus, end, PASS)?;
            seconds[1] += begun.elapsed().as_secs_f64();
        }
        first = end;
    }
    let rate =
        |seconds: f64| if seconds > 0.0 { (corpus.tokens() as f64 / seconds).to_string() } else { "null".into() };
    println!(
        "{{\"tokens\": {}, \"plain_tokens_per_s\": {}, \"triggers_tokens_per_s\": {}, \"resident\": {}, \"model\": {}, \
         \"threads\": {}}}",
        corpus.tokens(),
        rate(seconds[0]),
        rate(seconds[1]),
        resident(),
        model.stored_bytes(),
        rayon::current_num_threads()
    );
    Ok(())
}

/// Reads sentences in the passes that the triggers are read in.
fn plain(model: &Model, corpus: &Corpus, mut first: usize, end: usize) -> Result<(), Box<dyn Error>> {
    while first < end {
        let until = corpus.after(first, PASS).min(end);
        let sentences: Vec<_> = (first..until).map(|s| (corpus.sentence(s), corpus.sentence(s).len())).collect();
        read(model, &sentences, &mut NoTaps)?;
        first = until;
    }
    Ok(())
}

/// The largest resident memory of this process so far, in bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
