//! What a saved model computes, for comparison with another implementation.
//! `cargo run --release -p xtask --example agreement -- FOLDER`
//!
//! For each `FOLDER/<case>/{model/, batch.json}` (saltus-train's example `gradient_dump` writes them) this writes
//! - `logprobs.json`, `[row][position][token]`: the natural-log probability of each token of the vocabulary after the
//!   row's tokens up to and including `position`, or, by a model that sees both ways, at `position` of the whole row; the
//!   last position has none, because nothing fits behind it;
//! - `sparse.json`, the batch again, with only the first positions of each row scored: none, 1, 8, 16, 17, all;
//! - `sparse/`, the gradient of the mean loss of that batch, saved as if it were a model.

use saltus_lm::{FillRequest, LanguageModel, NoText, ScoreRequest, TokenId};
use saltus_transformer::{IGNORE, LocalModel, Rows, Weights, Workspace, loss_and_gradient};
use std::{error::Error, fs, path::Path, sync::Arc};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).ok_or("give a folder that gradient_dump wrote")?;
    for entry in fs::read_dir(&folder)? {
        let case = entry?.path();
        let batch: serde_json::Value = serde_json::from_str(&fs::read_to_string(case.join("batch.json"))?)?;
        let rows: Vec<Vec<TokenId>> = serde_json::from_value(batch["tokens"].clone())?;
        let weights = Weights::load(&case.join("model"))?;
        write_sparse(&weights, &rows, &case)?;
        let vocabulary = weights.config.vocabulary;
        let model = LocalModel::new(weights, Arc::new(NoText { vocabulary }));
        let logprobs = rows.iter().map(|row| at_each_position(&model, row)).collect::<Outcome<Vec<_>>>()?;
        write(&case.join("logprobs.json"), &logprobs)?;
    }
    Ok(())
}

/// Scores in each row only the first positions, as packed rows with short answers do.
fn write_sparse(weights: &Weights, rows: &[Vec<TokenId>], case: &Path) -> Outcome<()> {
    let (vocabulary, context) = (weights.config.vocabulary, rows[0].len());
    let first = [0, 1, 8, 16, 17, context];
    let target = |row: usize, at: usize| {
        if at < first[row % first.len()] { (rows[row][at] + 1) % vocabulary as u32 } else { IGNORE }
    };
    let targets: Vec<u32> = (0..rows.len() * context).map(|i| target(i / context, i % context)).collect();
    let batch = Rows { context, tokens: &rows.concat(), targets: &targets };
    let scored = targets.iter().filter(|target| **target != IGNORE).count();
    let mut gradient = Weights { config: weights.config.clone(), values: vec![0.0; weights.values.len()] };
    let mut workspace = Workspace::new(&weights.config, context);
    loss_and_gradient(weights, None, batch, 1.0 / scored as f32, &mut workspace, &mut gradient.values);
    gradient.save(&case.join("sparse"))?;
    let known = |target: &u32| (*target != IGNORE).then_some(*target);
    let targets: Vec<Vec<_>> = targets.chunks(context).map(|row| row.iter().map(known).collect()).collect();
    let json = serde_json::json!({ "context": context, "tokens": rows, "targets": targets });
    Ok(fs::write(case.join("sparse.json"), json.to_string())?)
}

/// `[position][token]`
fn at_each_position(model: &LocalModel, row: &[TokenId]) -> Outcome<Vec<Vec<f32>>> {
    let tokens = 0..u32::try_from(model.tokenizer().vocabulary())?;
    if model.capabilities().fills {
        let position = |at: usize| {
            let targets = tokens.clone().map(|token| (at, token)).collect();
            let request = FillRequest { tokens: row.to_vec(), second: row.len(), targets };
            Ok(model.fill(&[request])?.remove(0).logprobs)
        };
        return (0..row.len() - 1).map(position).collect();
    }
    let position = |end: usize| {
        let request = |token| ScoreRequest { context: row[..end].to_vec(), continuation: vec![token] };
        let scores = model.score(&tokens.clone().map(request).collect::<Vec<_>>())?;
        Ok(scores.iter().map(|score| score.logprobs[0]).collect())
    };
    (1..row.len()).map(position).collect()
}

fn write(path: &Path, logprobs: &[Vec<Vec<f32>>]) -> Outcome<()> {
    Ok(fs::write(path, serde_json::to_string(logprobs)?)?)
}
