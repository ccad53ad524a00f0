//! Files of bounded size: every file of a task is read here, and what is wrong with one is said here.

use crate::Error;
use saltus_file::FileError;
use std::path::Path;

/// An example that takes more in a prompt, with its prefixes and choices, is refused: 4 MiB.
pub(crate) const MAX_WRITTEN_BYTES: usize = 4 << 20;

impl From<FileError> for Error {
    fn from(FileError { path, place, problem, remedy }: FileError) -> Self {
        Error::File { path, place, problem, remedy }
    }
}

/// What is wrong with a file; `place` is empty, or `, line 3`, or `, at examples[2]`.
pub(crate) fn file_error(path: &Path, place: String, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    FileError::new(path, place, problem, remedy).into()
}

/// See [`saltus_file::length`].
pub(crate) fn length(path: &Path) -> Result<u64, Error> {
    Ok(saltus_file::length(path)?)
}

/// See [`saltus_file::read_bytes`].
pub(crate) fn read_bytes(path: &Path, most: u64, remedy: &str) -> Result<Vec<u8>, Error> {
    Ok(saltus_file::read_bytes(path, most, remedy)?)
}

/// See [`saltus_file::read_text`].
pub(crate) fn read_text(path: &Path, most: u64, remedy: &str) -> Result<String, Error> {
    Ok(saltus_file::read_text(path, most, remedy)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody writes to the pipe: a reader that opened it would wait for ever.
    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.json");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let refused = |error: Error| {
            let text = error.to_string();
            assert!(text.ends_with("it is a pipe, a socket or a device): name an ordinary file"), "{text}");
        };
        refused(crate::TaskFile::read(&path).unwrap_err());
        refused(crate::bigbench::Leaf::read(&path, None).unwrap_err());
        refused(crate::bigbench::Library::open(&path, folder.path()).unwrap_err());
        refused(crate::lm_eval::read(&path).unwrap_err());
        refused(crate::lm_eval::read_own(&path).unwrap_err());
    }
}
