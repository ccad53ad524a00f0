//! A corpus that can be learnt in a few steps, and a rung that does so.

use saltus_corpus::{Batch, Corpus, IGNORE};
use saltus_lm::Tokenizer;
use saltus_random::Key;
use saltus_train::{Optimiser, Rung, checkpoint_steps};
use saltus_transformer::{Architecture, Config};
use std::sync::Arc;

/// Tokens `0..11`; each is followed by three times itself plus one (mod 11). One position in three is not scored.
pub(crate) struct Toy;

pub(crate) const VOCABULARY: usize = 11;

impl Corpus for Toy {
    fn batch(&self, _: Key, step: u64, rows: usize, batch: &mut Batch) {
        batch.context = 8;
        batch.tokens.clear();
        batch.targets.clear();
        for row in 0..rows as u64 {
            let mut token = ((step * rows as u64 + row).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u32 % 11;
            for t in 0..8 {
                batch.tokens.push(token);
                token = (3 * token + 1) % 11;
                batch.targets.push(if (row + t) % 3 == 0 { IGNORE } else { token });
            }
        }
    }
    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        unreachable!("training asks for no tokenizer")
    }
    fn identity(&self) -> String {
        "toy".into()
    }
    fn unique_tokens(&self) -> Option<u64> {
        None
    }
}

/// A small rung with rows that do not divide evenly into shards.
pub(crate) fn rung(steps: u64) -> Rung {
    Rung {
        ladder: "toy".into(),
        name: "16x2".into(),
        seed: 1,
        config: Config {
            vocabulary: VOCABULARY,
            context: 8,
            width: 16,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 8,
            mlp_hidden: 40,
            tied_embedding: false,
            architecture: Architecture::llama(8, 1000.0, 1e-5),
        },
        rows: 6,
        steps,
        peak_learning_rate: 0.01,
        warmup_steps: steps / 10,
        final_rate: 0.02,
        optimiser: Optimiser { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.1, clip: 1.0 },
        early_stop: None,
        checkpoints: checkpoint_steps(steps, 3, true),
    }
}
