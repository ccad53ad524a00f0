//! Speed and memory of a model in files: `cargo run --release -p saltus-transformer --example speed -- MODEL WORK ROUNDS`.
//!
//! WORK is `load` (open and describe), `score` (log-probabilities of every token of 8 x 512), `generate` (64 tokens for
//! each of 32 prompts of 32), `single` (64 tokens for one), `choices` (100 questions of 60 tokens with 4 choices of 5 behind
//! the same 600 tokens of solved examples; the rate counts what a program that shares nothing would compute). Prints one line of JSON for each round: seconds, tokens (those
//! scored or generated) per second, the largest resident memory so far in bytes.

use saltus_checkpoint::Checkpoint;
use saltus_lm::{GenerateRequest, LanguageModel, NoText, Sampling, ScoreRequest, TokenId};
use saltus_transformer::{LocalModel, Model, Overflow};
use std::{error::Error, path::Path, sync::Arc, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, work, rounds] = &arguments[..] else { return Err("give MODEL WORK ROUNDS".into()) };
    let rounds: usize = rounds.parse()?;
    let open = || -> Result<LocalModel, Box<dyn Error>> {
        let model = Model::open(Arc::new(Checkpoint::open(Path::new(path))?))?;
        let vocabulary = model.config().vocabulary;
        Ok(LocalModel::of(model, Arc::new(NoText { vocabulary }), Overflow::Refuse))
    };
    let model = open()?;
    for _ in 0..rounds {
        let begun = Instant::now();
        let tokens = match work.as_str() {
            "load" => open().map(|model| usize::from(model.capabilities().scores))?,
            "score" => score(&model, 8, 512)?,
            "generate" => generate(&model, 32)?,
            "single" => generate(&model, 1)?,
            "choices" => choices(&model, 100)?,
            _ => return Err("WORK is load, score, generate, single or choices".into()),
        };
        let seconds = begun.elapsed().as_secs_f64();
        let (rate, threads, memory) = (tokens as f64 / seconds, rayon::current_num_threads(), resident());
        println!(
            "{{\"seconds\": {seconds}, \"tokens_per_s\": {rate}, \"threads\": {threads}, \"resident\": {memory}}}"
        );
    }
    Ok(())
}

/// Tokens that look random and are the same every time.
fn tokens(model: &LocalModel, row: usize, count: usize) -> Vec<TokenId> {
    let vocabulary = model.model().config().vocabulary;
    (0..count).map(|i| ((row * 7919 + i * 104_729 + i * i * 31) % vocabulary) as TokenId).collect()
}

fn score(model: &LocalModel, rows: usize, length: usize) -> Result<usize, Box<dyn Error>> {
    let request = |row| {
        let mut context = tokens(model, row, length);
        let continuation = context.split_off(1);
        ScoreRequest { context, continuation }
    };
    let scores = model.score(&(0..rows).map(request).collect::<Vec<_>>())?;
    Ok(scores.iter().map(|score| score.logprobs.len() + 1).sum())
}

fn choices(model: &LocalModel, questions: usize) -> Result<usize, Box<dyn Error>> {
    let shots = tokens(model, 0, 600);
    let request = |number: usize| {
        let context = [&shots[..], &tokens(model, 1 + number / 4, 60)].concat();
        ScoreRequest { context, continuation: tokens(model, 1 + questions + number, 5) }
    };
    let requests: Vec<ScoreRequest> = (0..4 * questions).map(request).collect();
    model.score(&requests)?;
    Ok(requests.iter().map(|request| request.context.len() + request.continuation.len()).sum())
}

fn generate(model: &LocalModel, rows: usize) -> Result<usize, Box<dyn Error>> {
    let request = |row| GenerateRequest {
        context: tokens(model, row, 32),
        max_tokens: 64,
        stop: Vec::new(),
        stop_text: Vec::new(),
        sampling: Sampling::Greedy,
    };
    let answers = model.generate(&(0..rows).map(request).collect::<Vec<_>>())?;
    Ok(answers.iter().map(|answer| answer.tokens.len()).sum())
}

/// The largest resident memory of this process so far, in bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
