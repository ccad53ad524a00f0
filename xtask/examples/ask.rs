//! What a model answers, for comparison with another implementation.
//! `cargo run --release -p xtask --example ask -- MODEL LOGITS < requests.json > answers.json`
//!
//! Reads [`Requests`], each of them optional, and writes `{"tokens": [[..], ..], "greedy": [[..], ..],
//! "greedy_texts": [..], "logprobs": [[..], ..], "seconds": s}`, the seconds being those of `logprobs`. The logits go
//! to the file LOGITS: little-endian f32, `[row][position][token]`.

use saltus_checkpoint::Checkpoint;
use saltus_lm::{FillRequest, GenerateRequest, LanguageModel, NoText, Sampling, ScoreRequest, TokenId};
use saltus_transformer::{Cache, Chunk, LocalModel, Model, NoTaps, Overflow};
use serde::Deserialize;
use std::{
    error::Error,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
    time::Instant,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requests {
    /// To be made into tokens.
    #[serde(default)]
    texts: Vec<String>,
    /// Rows whose logits are wanted at every position.
    #[serde(default)]
    logits: Vec<Vec<TokenId>>,
    /// For each of `logits` the first token of its second sentence; none: there is one sentence.
    #[serde(default)]
    seconds: Vec<usize>,
    /// `logits` are computed in one pass, not in one for each row.
    #[serde(default)]
    together: bool,
    /// Contexts to be continued by the most probable tokens.
    #[serde(default)]
    greedy: Vec<Greedy>,
    /// Rows whose log-probabilities are wanted, from their second token on.
    #[serde(default)]
    score: Vec<Vec<TokenId>>,
    /// Gaps to be filled.
    #[serde(default)]
    fill: Vec<Gaps>,
}

/// Tokens, the first of the second sentence, places with the tokens asked for.
type Gaps = (Vec<TokenId>, usize, Vec<(usize, TokenId)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Greedy {
    context: Vec<TokenId>,
    max_tokens: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("give MODEL and LOGITS".into());
    };
    let requests: Requests = serde_json::from_reader(io::stdin())?;
    let checkpoint = Arc::new(Checkpoint::open(Path::new(&path))?);
    let model = Model::open(Arc::clone(&checkpoint))?;
    write_logits(&model, &requests, File::create(to)?)?;
    let answers = if !requests.fill.is_empty() {
        fill(model, requests)?
    } else if requests.texts.is_empty() && requests.greedy.is_empty() && requests.score.is_empty() {
        serde_json::json!({})
    } else {
        let tokenizer = checkpoint.tokenizer()?;
        tokenizer.fits(model.config().vocabulary)?;
        say(&LocalModel::of(model, Arc::new(tokenizer), Overflow::Refuse), requests)?
    };
    Ok(serde_json::to_writer(io::stdout(), &answers)?)
}

/// Log-probabilities at gaps.
fn fill(model: Model, requests: Requests) -> Result<serde_json::Value, Box<dyn Error>> {
    let vocabulary = model.config().vocabulary;
    let model = LocalModel::of(model, Arc::new(NoText { vocabulary }), Overflow::Refuse);
    let request = |(tokens, second, targets)| FillRequest { tokens, second, targets };
    let asked: Vec<_> = requests.fill.into_iter().map(request).collect();
    let logprobs: Vec<_> = model.fill(&asked)?.into_iter().map(|score| score.logprobs).collect();
    Ok(serde_json::json!({ "filled": logprobs }))
}

/// What a model with a tokenizer answers.
fn say(model: &LocalModel, requests: Requests) -> Result<serde_json::Value, Box<dyn Error>> {
    let tokens = requests.texts.iter().map(|text| model.tokenizer().encode(text)).collect::<Result<Vec<_>, _>>()?;
    let generate = |greedy: Greedy| GenerateRequest {
        context: greedy.context,
        max_tokens: greedy.max_tokens,
        stop: Vec::new(),
        stop_text: Vec::new(),
        sampling: Sampling::Greedy,
    };
    let asked: Vec<_> = requests.greedy.into_iter().map(generate).collect();
    let (greedy, texts): (Vec<_>, Vec<_>) = model.generate(&asked)?.into_iter().map(|a| (a.tokens, a.text)).unzip();
    let score = |row: Vec<TokenId>| ScoreRequest { context: row[..1].to_vec(), continuation: row[1..].to_vec() };
    let asked: Vec<_> = requests.score.into_iter().map(score).collect();
    let begin = Instant::now();
    let logprobs: Vec<_> = model.score(&asked)?.into_iter().map(|score| score.logprobs).collect();
    let seconds = begin.elapsed().as_secs_f64();
    Ok(serde_json::json!({
        "tokens": tokens, "greedy": greedy, "greedy_texts": texts, "logprobs": logprobs, "seconds": seconds
    }))
}

fn write_logits(model: &Model, requests: &Requests, file: File) -> Result<(), Box<dyn Error>> {
    let rows: Vec<(&[TokenId], usize)> = (0..)
        .zip(&requests.logits)
        .map(|(i, row)| (&row[..], requests.seconds.get(i).copied().unwrap_or(row.len())))
        .collect();
    let mut file = BufWriter::new(file);
    for rows in rows.chunks(if requests.together { rows.len().max(1) } else { 1 }) {
        let pages = rows.iter().map(|(tokens, _)| Cache::pages_of(tokens.len())).sum();
        let mut cache = Cache::new(model.config(), pages);
        let mut sequences: Vec<_> = rows.iter().map(|_| cache.begin()).collect();
        let chunk = |((tokens, second), sequence)| {
            let (tokens, second): (&[TokenId], usize) = (tokens, second);
            Chunk { sequence, tokens, wanted: 0..tokens.len(), second }
        };
        let mut chunks: Vec<_> = rows.iter().copied().zip(&mut sequences).map(chunk).collect();
        let hidden = model.forward(&mut chunks, &mut cache, &mut NoTaps).ok_or("the cache has no room")?;
        let columns = hidden.wanted().next_multiple_of(16);
        let logits = model.logits(&hidden, 0..hidden.wanted());
        for position in 0..hidden.wanted() {
            for logit in logits.iter().skip(position).step_by(columns) {
                file.write_all(&logit.to_le_bytes())?;
            }
        }
    }
    Ok(file.flush()?)
}
