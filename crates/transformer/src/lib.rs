//! One decoder described by its configuration: logits, gradients, generation, weights on disk.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// Target of a position that is not scored.
pub const IGNORE: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub vocabulary: usize,
    pub context: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub mlp_hidden: usize,
    pub rope_base: f64,
    pub norm_eps: f64,
    pub tied_embedding: bool,
}
impl Config {
    /// Parameters without embedding and head (norms counted).
    pub fn params_non_embedding(&self) -> u64 {
        todo!()
    }
    pub fn params_total(&self) -> u64 {
        todo!()
    }
    /// Counted matmul + attention FLOPs of forward and backward for one token at full context.
    pub fn train_flops_per_token(&self) -> f64 {
        todo!()
    }
}

/// All parameters in one flat vector; where each tensor lies is derived from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights<T = f32> {
    pub config: Config,
    pub values: Vec<T>,
}
impl Weights<f32> {
    pub fn init(config: &Config, key: saltus_random::Key) -> Self {
        todo!()
    }
    /// One flag for each value: does weight decay apply (matrices yes; norms and embedding no)?
    pub fn decayed(config: &Config) -> Vec<std::ops::Range<usize>> {
        todo!()
    }
    /// `config.json` + `model.safetensors`, readable by `transformers` as a LlamaForCausalLM.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        todo!()
    }
    pub fn load(folder: &Path) -> Result<Self, Error> {
        todo!()
    }
}

/// Rows of equal length: `tokens[r * context + t]` is read, `targets[..]` is predicted there ([`IGNORE`]: not scored).
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub context: usize,
    pub tokens: &'a [u32],
    pub targets: &'a [u32],
}

/// Activations and scratch of one shard, allocated once.
pub struct Workspace<T>(Vec<T>);
impl Workspace<f32> {
    /// For rows of `context` positions.
    pub fn new(config: &Config, context: usize) -> Self {
        todo!()
    }
}

/// Summed (not mean) loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    pub nats: f64,
    pub scored: u64,
}

/// Adds the gradient of `scale * summed loss` over `rows` to `gradient`; single-threaded; returns the summed loss.
pub fn loss_and_gradient(
    weights: &Weights<f32>,
    rows: Rows<'_>,
    scale: f32,
    workspace: &mut Workspace<f32>,
    gradient: &mut [f32],
) -> LossSum {
    todo!()
}

/// A model in memory with its tokenizer; implements [`saltus_lm::LanguageModel`] on one thread.
pub struct LocalModel {
    weights: Weights<f32>,
    tokenizer: Arc<dyn saltus_lm::Tokenizer>,
}
impl LocalModel {
    pub fn new(weights: Weights<f32>, tokenizer: Arc<dyn saltus_lm::Tokenizer>) -> Self {
        todo!()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Other(String),
}
