//! Why weights were not read or written.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why weights were not read or written: always the file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}: {remedy}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A model's files are broken.
    #[error(transparent)]
    Checkpoint(Box<saltus_checkpoint::Error>),
    /// A file says something that no decoder of this kind can be.
    #[error("{path}: {problem}: {remedy}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the value.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl Error {
    pub(crate) fn malformed(path: &Path, problem: impl Into<String>, remedy: &'static str) -> Self {
        Error::Malformed { path: path.into(), problem: problem.into(), remedy }
    }
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source, remedy: "check that the file exists and can be read" }
    }
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source, remedy: "check that the folder can be written and the disk has room" }
    }
}
