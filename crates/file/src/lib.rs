//! Files by others, which are never trusted: read up to a bound, and refused with the place and what to do.
//!
//! [`read_bytes`] and [`read_text`] read ordinary files of bounded size, no pipes and no devices. [`parquet`] looks at a
//! Parquet file before the library that reads it believes what it says about itself. A leaf: it knows nothing of what
//! the files are about.

pub mod parquet;
mod thrift;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Characters of what is said to be wrong; the rest is cut off.
const MAX_PROBLEM: usize = 400;

/// What is wrong with a file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}{place}: {problem}: {remedy}", path = path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Where in it: empty, or `, line 3, column 7`, or `, at examples[2].target`.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl FileError {
    /// `place` is empty, or begins with a comma. A long `problem` is cut off: it quotes what stands in the file.
    pub fn new(path: &Path, place: String, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let mut problem = problem.into();
        if let Some((end, _)) = problem.char_indices().nth(MAX_PROBLEM) {
            problem.replace_range(end.., "...");
        }
        FileError { path: path.into(), place, problem, remedy: remedy.into() }
    }
}

/// The length of an ordinary file, in bytes. Others are refused, and before they are opened: opening a named pipe waits
/// for a writer, and a device has no end.
///
/// # Errors
/// For what is missing, or no ordinary file.
pub fn length(path: &Path) -> Result<u64, FileError> {
    let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    let kind = match metadata.is_dir() {
        true => "a folder",
        false if metadata.is_file() => return Ok(metadata.len()),
        false => "a pipe, a socket or a device",
    };
    Err(FileError::new(path, String::new(), format!("cannot read it (it is {kind})"), "name an ordinary file"))
}

/// The bytes of a file that has at most `most`; `remedy` says what to do about one that has more.
///
/// # Errors
/// For what cannot be read, is no ordinary file, or is larger.
pub fn read_bytes(path: &Path, most: u64, remedy: &str) -> Result<Vec<u8>, FileError> {
    let expected = length(path)?.min(most) as usize;
    let mut bytes = Vec::with_capacity(expected + 1);
    // One byte more than allowed: a file may have grown, and those of /proc say that they are empty.
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > most {
        let problem = format!("the file is larger than {} MiB", most >> 20);
        return Err(FileError::new(path, String::new(), problem, remedy));
    }
    Ok(bytes)
}

/// The text of a file, as [`read_bytes`]; where it is no UTF-8, the line and the byte (from 0) are said.
///
/// # Errors
/// As for [`read_bytes`], and for what is no UTF-8.
pub fn read_text(path: &Path, most: u64, remedy: &str) -> Result<String, FileError> {
    String::from_utf8(read_bytes(path, most, remedy)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count();
        let problem = format!("not UTF-8 text (byte {at} of the file)");
        FileError::new(path, format!(", line {line}"), problem, "save the file in UTF-8")
    })
}

fn unreadable(path: &Path, e: &io::Error) -> FileError {
    FileError::new(path, String::new(), format!("cannot read it ({e})"), "check the path and the file's permissions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(read_bytes(&path, 1 << 20, "cut it").unwrap().len(), 1 << 20);
        fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
        let refused = |path: &Path| read_text(path, 1 << 20, "cut it").unwrap_err().to_string();
        assert!(refused(&path).ends_with("f: the file is larger than 1 MiB: cut it"), "{}", refused(&path));
        assert!(refused(folder.path()).ends_with("cannot read it (it is a folder): name an ordinary file"));
    }
}
