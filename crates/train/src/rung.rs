//! One model to be trained: everything that determines its weights, and its key.

use saltus_random::Key;
use saltus_transformer::Config;
use serde::{Deserialize, Serialize};

/// Version of the training code: raised whenever the same rung would give other weights.
pub const TRAINING_VERSION: u32 = 1;

/// Early stopping compares the mean training losses of consecutive windows; there are this many in a full training.
pub const EARLY_STOP_WINDOWS: u64 = 10;

/// AdamW (arXiv 1711.05101) and gradient clipping.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Optimiser {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay, of matrices only (not of norms and embedding).
    pub weight_decay: f32,
    /// The gradient is scaled down to this norm when it is larger.
    pub clip: f32,
}

/// One model to be trained. All but `ladder` and `name` determines its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// The ladder it belongs to.
    pub ladder: String,
    /// Its name within the ladder, for example `48x2`.
    pub name: String,
    /// Training seed: initial weights and order of the data.
    pub seed: u64,
    /// The model.
    pub config: Config,
    /// Rows of `config.context` positions in a step.
    pub rows: usize,
    /// Optimiser steps.
    pub steps: u64,
    /// Largest learning rate.
    pub peak_learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Learning rate of the last step as a share of the peak.
    pub final_rate: f64,
    /// AdamW and clipping.
    pub optimiser: Optimiser,
    /// Training stops at the end of a window (a tenth of the steps, see [`EARLY_STOP_WINDOWS`]) in which the mean
    /// training loss was not lower than in the window before by at least this share of it. The first window, which
    /// holds the warm-up, is only compared against. Large models are compute-efficient when stopped well short of
    /// convergence (arXiv 2001.08361, section 6), so a share of a few thousandths saves compute at little loss.
    pub early_stop: Option<f64>,
    /// Steps at which checkpoints are kept, ascending; ends with `steps`.
    pub checkpoints: Vec<u64>,
}

impl Rung {
    /// Positions in one step.
    pub fn tokens_per_step(&self) -> u64 {
        (self.rows * self.config.context) as u64
    }

    /// Positions in the whole training (without early stopping).
    pub fn tokens(&self) -> u64 {
        self.steps * self.tokens_per_step()
    }

    /// Steps in a window of early stopping.
    pub fn window(&self) -> u64 {
        self.steps.div_ceil(EARLY_STOP_WINDOWS).max(1)
    }

    /// Randomness of the initial weights.
    pub fn init_key(&self) -> Key {
        Key::new(self.seed).child("train").child("init")
    }

    /// Randomness of the data: the same rows in the same order for all sizes of one seed.
    pub fn data_key(&self) -> Key {
        Key::new(self.seed).child("train").child("data")
    }

    /// The name of the result: blake3, in hex, of the canonical JSON of everything that determines the weights and
    /// the checkpoints kept, with the corpus's identity and [`TRAINING_VERSION`]. The names of ladder and rung are not
    /// part of it, so that two ladders with a common model share it.
    pub fn key(&self, corpus_identity: &str) -> String {
        let anonymous = Rung { ladder: String::new(), name: String::new(), ..self.clone() };
        let identity = (TRAINING_VERSION, crate::SHARDS, corpus_identity, anonymous);
        blake3::hash(canonical_json(&identity).as_bytes()).to_hex().to_string()
    }
}

/// JSON with the fields in the order of their declaration: equal values give equal text.
pub(crate) fn canonical_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("structs of numbers, texts and lists always have JSON")
}
