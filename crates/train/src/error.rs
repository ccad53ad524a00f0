//! What can go wrong while a ladder is planned or trained: the facts, then what to do.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A ladder that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ladder `{ladder}`: {problem}: {remedy}")]
pub struct Invalid {
    /// Name of the ladder.
    pub ladder: String,
    /// Which field of [`crate::Ladder`] is wrong, for example `sizes`.
    pub field: &'static str,
    /// What is wrong, with the value.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

/// Why a rung was not trained to its end. Divergence is not among these: it is an [`crate::End`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk did not do what was asked. What was saved before is intact.
    #[error("cannot {action} {}: {source}: {}", path.display(), remedy(source))]
    Io {
        /// `write`, `read`, ...
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A model could not be saved or loaded.
    #[error("{}: {source}", path.display())]
    Model {
        /// Folder of the checkpoint.
        path: PathBuf,
        /// Why.
        source: Arc<saltus_transformer::Error>,
    },
    /// The corpus gave a batch that does not fit the model.
    #[error("step {step}: the corpus gave {problem}: use the corpus and tokenizer that the ladder was made for")]
    Batch {
        /// Optimiser step, from 1.
        step: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The caller asked to stop; the state at this step is saved, and the next run goes on from there.
    #[error("stopped at step {step}; run again to go on from there")]
    Stopped {
        /// Optimiser steps done.
        step: u64,
    },
}

impl Error {
    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Error::Io { action, path: path.to_path_buf(), source: Arc::new(source) }
    }
}

/// What to do about an error of the disk.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run again; training goes on from the last saved state"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to and run again"
        }
        _ => "correct this and run again; training goes on from the last saved state",
    }
}
