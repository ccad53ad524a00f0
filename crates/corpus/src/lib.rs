//! Text and generated sequences as batches; tokenizers. Knows no model.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]

/// Target of a position that is not scored (same value as the transformer's `IGNORE`).
pub const IGNORE: u32 = u32::MAX;

/// Rows for one optimiser step: `tokens[r * context + t]` is read, `targets[..]` is to be predicted there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub context: usize,
    pub tokens: Vec<u32>,
    pub targets: Vec<u32>,
}

/// A stream of batches that is a pure function of (corpus, key, step): nothing to save, nothing to replay on resume.
pub trait Corpus: Send + Sync {
    /// Fills `batch` with `rows` rows of step number `step` (from 0).
    fn batch(&self, key: saltus_random::Key, step: u64, rows: usize, batch: &mut Batch);
    /// The tokenizer.
    fn tokenizer(&self) -> std::sync::Arc<dyn saltus_lm::Tokenizer>;
    /// Hash of everything that determines the batches, hex.
    fn identity(&self) -> String;
    /// Distinct tokens, where the corpus is finite.
    fn unique_tokens(&self) -> Option<u64>;
}
