//! What a model answers, for comparison with another implementation.
//! `cargo run --release -p xtask --example ask -- MODEL < requests.json > answers.json`
//!
//! Reads `{"texts": [..], "logits": [[token, ..], ..], "segments": [..], "greedy": [{"context": [..], "max_tokens": n}]}`,
//! each of them optional, and writes `{"tokens": [[..], ..], "logits": [[[..] each position], ..], "greedy": [[..], ..]}`.

use saltus_checkpoint::Checkpoint;
use saltus_lm::{GenerateRequest, LanguageModel, Sampling, TokenId, Tokenizer};
use saltus_transformer::{Cache, Chunk, LocalModel, Model, NoTaps, Overflow};
use serde::Deserialize;
use std::{error::Error, io, path::Path, sync::Arc};

#[derive(Deserialize)]
struct Requests {
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    logits: Vec<Vec<TokenId>>,
    /// For each of `logits` the segment of its tokens.
    #[serde(default)]
    segments: Vec<usize>,
    #[serde(default)]
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Greedy {
    context: Vec<TokenId>,
    max_tokens: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("give a model")?;
    let requests: Requests = serde_json::from_reader(io::stdin())?;
    let checkpoint = Arc::new(Checkpoint::open(Path::new(&path))?);
    let model = Model::open(Arc::clone(&checkpoint))?;
    let segment = |i: usize| requests.segments.get(i).copied().unwrap_or(0);
    let logits: Vec<_> =
        requests.logits.iter().enumerate().map(|(i, row)| all_logits(&model, row, segment(i))).collect();
    let mut tokens = Vec::new();
    let mut greedy = Vec::new();
    if !requests.texts.is_empty() || !requests.greedy.is_empty() {
        let tokenizer = Arc::new(checkpoint.tokenizer()?);
        tokens = requests.texts.iter().map(|text| tokenizer.encode(text)).collect::<Result<Vec<_>, _>>()?;
        let model = LocalModel::of(model, tokenizer, Overflow::Refuse);
        let ask = |greedy: &Greedy| GenerateRequest {
            context: greedy.context.clone(),
            max_tokens: greedy.max_tokens,
            stop: Vec::new(),
            stop_text: Vec::new(),
            sampling: Sampling::Greedy,
        };
        let asked: Vec<_> = requests.greedy.iter().map(ask).collect();
        greedy = model.generate(&asked)?.into_iter().map(|answer| answer.tokens).collect();
    }
    let answers = serde_json::json!({ "tokens": tokens, "logits": logits, "greedy": greedy });
    Ok(serde_json::to_writer(io::stdout(), &answers)?)
}

/// `[position][token]`
fn all_logits(model: &Model, tokens: &[TokenId], segment: usize) -> Vec<Vec<f32>> {
    let mut cache = Cache::new(model.config(), Cache::pages_of(tokens.len()));
    let mut sequence = cache.begin();
    let mut chunk = [Chunk { sequence: &mut sequence, tokens, wanted: 0..tokens.len(), segment }];
    let Some(hidden) = model.forward(&mut chunk, &mut cache, &mut NoTaps) else { return Vec::new() };
    let logits = model.logits(&hidden, 0..tokens.len());
    let columns = tokens.len().next_multiple_of(16);
    (0..tokens.len()).map(|t| logits.iter().skip(t).step_by(columns).copied().collect()).collect()
}
