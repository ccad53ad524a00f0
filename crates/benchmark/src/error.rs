//! What can go wrong between a list of tasks and their scores.

use std::{io, path::Path};

/// Why a benchmark stopped; every message ends with what to do.
#[derive(Debug, miette::Diagnostic, thiserror::Error)]
pub enum Error {
    /// A task file.
    #[error(transparent)]
    Task(#[from] saltus_task::Error),
    /// The model.
    #[error(transparent)]
    Eval(#[from] saltus_eval::Error),
    /// Records on disk.
    #[error(transparent)]
    Record(#[from] saltus_record::Error),
    /// Something that the caller asked for and that is not there.
    #[error("{0}")]
    Asked(String),
    /// The file system refused.
    #[error("cannot {action} {path}: {source}: check that the folder exists, may be written, and has space left")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}
