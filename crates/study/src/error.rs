//! What can go wrong with a study, each with its place and its remedy.

use miette::{Diagnostic, NamedSource, SourceSpan};
use std::path::PathBuf;

/// An error of a study. Rendered with the lines of the study file it is about.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The study file says something that makes no sense.
    #[error("{message}")]
    #[diagnostic(code(saltus::study_file))]
    File {
        /// What is wrong.
        message: String,
        /// The file's text.
        #[source_code]
        source_code: std::sync::Arc<NamedSource<String>>,
        /// Where.
        #[label("here")]
        at: Option<SourceSpan>,
        /// What to write instead.
        #[help]
        help: String,
    },
    /// The output folder can't be used.
    #[error("{message}")]
    #[diagnostic(code(saltus::output))]
    Output {
        /// What is wrong.
        message: String,
        /// What to do.
        #[help]
        help: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    #[diagnostic(
        code(saltus::file),
        help(
            "check that the path exists, is writable and that the disk has room; then run the same command again: nothing finished is lost"
        )
    )]
    Io {
        /// `read`, `write`, `create`, ...
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A room's own error, which carries its place and remedy.
    #[error("{0}")]
    #[diagnostic(code(saltus::run))]
    Room(String),
    /// The run was stopped by the user.
    #[error("stopped; what is finished is kept, run the same command to go on")]
    #[diagnostic(code(saltus::stopped))]
    Stopped,
}

impl Error {
    /// Wraps a room's error.
    pub(crate) fn room(error: impl std::fmt::Display) -> Self {
        Error::Room(error.to_string())
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
