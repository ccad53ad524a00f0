//! Text and generated sequences as batches; tokenizers. Knows no model.
//!
//! A corpus is a pure function of (key, step): nothing to save, nothing to replay on resume. [`Mix`] packs generated
//! items into rows as it is asked for them; [`TextFiles`] tokenises the user's files once and deals out windows of
//! them, [`Masked`] hides tokens in these.

mod chunks;
mod files;
mod masked;
mod mix;
mod permutation;
mod vocabulary;

pub use files::{TextFiles, TextSource, TokenizerSource};
pub use masked::{HiddenWindows, Masked, Objective};
pub use mix::{Component, Mix};
pub use vocabulary::{ALPHABET, PADDING, Vocabulary};

use std::path::{Path, PathBuf};

/// Target of a position that is not scored (same value as the transformer's `IGNORE`).
pub const IGNORE: u32 = u32::MAX;

/// Rows for one optimiser step: `tokens[r * context + t]` is read, `targets[..]` is to be predicted there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Positions in a row.
    pub context: usize,
    /// rows x context.
    pub tokens: Vec<u32>,
    /// rows x context; [`IGNORE`] where nothing is scored.
    pub targets: Vec<u32>,
}

impl Batch {
    /// `rows` rows of `context` positions: all read `fill`, none is scored.
    fn reset(&mut self, context: usize, rows: usize, fill: u32) {
        self.context = context;
        self.tokens.clear();
        self.tokens.resize(rows * context, fill);
        self.targets.clear();
        self.targets.resize(rows * context, IGNORE);
    }
}

/// A stream of batches that is a pure function of (corpus, key, step).
pub trait Corpus: Send + Sync {
    /// Fills `batch` with `rows` rows of step number `step` (from 0).
    ///
    /// # Panics
    /// If the tokens of a text corpus can no longer be read from the disk.
    fn batch(&self, key: saltus_random::Key, step: u64, rows: usize, batch: &mut Batch);
    /// The tokenizer.
    fn tokenizer(&self) -> std::sync::Arc<dyn saltus_lm::Tokenizer>;
    /// Hash of everything that determines the batches, hex.
    fn identity(&self) -> String;
    /// Distinct tokens, where the corpus is finite.
    fn unique_tokens(&self) -> Option<u64>;
    /// The token that hides what is asked, where the objective is masked: a target is then what stands at its own
    /// position, else what stands at the next.
    fn mask(&self) -> Option<saltus_lm::TokenId> {
        None
    }
}

/// What is wrong with a corpus, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A generated family.
    #[error(transparent)]
    Task(#[from] saltus_task::Error),
    /// Something about the corpus as a whole.
    #[error("{place}: {problem}: {remedy}")]
    Setting {
        /// The setting, for example `mix[2].weight`.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A file.
    #[error("{path}{place}: {problem}: {remedy}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Where in it: empty or `, byte 12`.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl Error {
    fn setting(place: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Setting { place: place.into(), problem: problem.into(), remedy: remedy.into() }
    }

    fn file(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::File { path: path.into(), place: String::new(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A file of the user's that cannot be read.
    fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Error::file(path, format!("cannot read it ({error})"), "check the path and the file's permissions")
    }

    /// A file of ours that cannot be written.
    fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        let remedy = "check the folder's permissions and the free space on its disk";
        Error::file(path, format!("cannot write it ({error})"), remedy)
    }
}
