//! What a rung will take: parameters, tokens, FLOPs, memory. No clock.

use crate::{error::Invalid, rung::Rung, step::SHARDS};

/// What a rung will take, each number with its convention.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Parameters without embedding and head (norms counted).
    pub params_non_embedding: u64,
    /// All parameters.
    pub params_total: u64,
    /// Training positions, without early stopping.
    pub tokens: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Training compute by 6 N D, N without embeddings (arXiv 2001.08361, section 2.1).
    pub flops_6nd: f64,
    /// Training compute counted over matrix products and attention, embeddings' head included.
    pub flops_counted: f64,
    /// Main memory while it trains, in bytes.
    pub memory: u64,
    /// Expected time on one core in arbitrary units; see [`Plan::of`].
    pub work: f64,
}

impl Plan {
    /// The plan of one rung. `work` counts a FLOP as one unit and adds, for each position, an overhead for what is not
    /// matrix products: it makes small models dearer than their FLOPs say, as they are.
    pub fn of(rung: &Rung) -> Self {
        let config = &rung.config;
        let tokens = rung.tokens();
        let flops_counted = tokens as f64 * config.train_flops_per_token();
        Plan {
            params_non_embedding: config.params_non_embedding(),
            params_total: config.params_total(),
            tokens,
            steps: rung.steps,
            flops_6nd: 6.0 * config.params_non_embedding() as f64 * tokens as f64,
            flops_counted,
            memory: memory_needed(rung),
            work: flops_counted + tokens as f64 * OVERHEAD_PER_LAYER * config.layers as f64,
        }
    }
}

/// The plans of `rungs`, in order.
pub fn plan(rungs: &[Rung]) -> Vec<Plan> {
    rungs.iter().map(Plan::of).collect()
}

/// What a position costs in each layer besides its matrix products, in FLOPs of the same time. Measured on one core of an
/// AVX-512 server from width 8 to 256: 20 to 35 thousand for two layers.
const OVERHEAD_PER_LAYER: f64 = 10_000.0;

/// Main memory that training `rung` takes, in bytes: weights, two moments and a gradient for each shard, and about 20
/// activations for each position and channel of a micro-batch in each layer.
pub fn memory_needed(rung: &Rung) -> u64 {
    let config = &rung.config;
    let parameters = config.params_total() * (3 + SHARDS as u64);
    let channels = config.layers * (16 * config.width + 4 * config.mlp_hidden) + 3 * config.vocabulary;
    let activations = (SHARDS * config.context * channels) as u64;
    4 * (parameters + activations)
}

/// Refuses a rung that takes more than `available` bytes of main memory.
pub fn check_memory(rung: &Rung, available: u64) -> Result<(), Invalid> {
    let needed = memory_needed(rung);
    if needed <= available {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Invalid {
        ladder: rung.ladder.clone(),
        field: "sizes",
        problem: format!(
            "{} ({} parameters) takes {:.1} GiB to train and {:.1} GiB are free",
            rung.name,
            rung.config.params_total(),
            gib(needed),
            gib(available)
        ),
        remedy: "leave it out, or train it on a machine with more memory".into(),
    })
}

/// Memory that this machine can give, in bytes, where that is known (Linux).
pub fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
