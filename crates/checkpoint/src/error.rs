//! What is wrong with a model's files, where, and what to do about it.

use std::path::Path;

/// The one kind of failure here: something read can't be used. The three sentences are for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {problem}: {remedy}")]
pub struct Error {
    /// The file or Hub name, and the tensor, key or token where one is at fault.
    pub subject: String,
    /// What was expected and what was found.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// What to do about a file whose own parts contradict each other.
pub(crate) const DAMAGED: &str = "the file is damaged, cut short or made by a faulty program; copy or convert it again";

impl Error {
    pub(crate) fn new(subject: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error { subject: subject.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// Something about a file as a whole.
    pub(crate) fn file(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::new(path.display().to_string(), problem, remedy)
    }

    /// Something about a named part of a file: `tensor x`, `key x`, `token 12`.
    pub(crate) fn part(path: &Path, part: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::new(format!("{}, {part}", path.display()), problem, remedy)
    }

    /// A file whose parts contradict each other.
    pub(crate) fn damaged(path: &Path, part: &str, problem: impl Into<String>) -> Self {
        if part.is_empty() { Error::file(path, problem, DAMAGED) } else { Error::part(path, part, problem, DAMAGED) }
    }

    /// For `map_err`: a file that can't be read.
    pub(crate) fn reading(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |e| Error::file(path, format!("cannot read it ({e})"), "check the path and the file's permissions")
    }
}
