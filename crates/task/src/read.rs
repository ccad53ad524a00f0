//! Files of bounded size: every file of a task is read here, and what is wrong with one is said here.

use crate::Error;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Characters of what is said to be wrong; the rest is cut off.
const MAX_PROBLEM: usize = 400;

/// An example that takes more in a prompt, with its prefixes and choices, is refused: 4 MiB.
pub(crate) const MAX_WRITTEN_BYTES: usize = 4 << 20;

/// What is wrong with a file; `place` is empty, or `, line 3`, or `, at examples[2]`.
pub(crate) fn file_error(path: &Path, place: String, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    let mut problem = problem.into();
    // It quotes what stands in the file, which may be long.
    if let Some((end, _)) = problem.char_indices().nth(MAX_PROBLEM) {
        problem.replace_range(end.., "...");
    }
    Error::File { path: path.into(), place, problem, remedy: remedy.into() }
}

/// The length of an ordinary file. Others are refused, and before they are opened: opening a named pipe waits for a
/// writer, and a device has no end.
pub(crate) fn length(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    let kind = match metadata.is_dir() {
        true => "a folder",
        false if metadata.is_file() => return Ok(metadata.len()),
        false => "a pipe, a socket or a device",
    };
    Err(file_error(path, String::new(), format!("cannot read it (it is {kind})"), "name an ordinary file"))
}

/// The bytes of a file that has at most `most`; `remedy` says what to do about one that has more.
pub(crate) fn read_bytes(path: &Path, most: u64, remedy: &str) -> Result<Vec<u8>, Error> {
    let expected = length(path)?.min(most) as usize;
    let mut bytes = Vec::with_capacity(expected + 1);
    // One byte more than allowed: a file may have grown, and those of /proc say that they are empty.
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > most {
        let problem = format!("the file is larger than {} MiB", most >> 20);
        return Err(file_error(path, String::new(), problem, remedy));
    }
    Ok(bytes)
}

/// The text of a file, as [`read_bytes`]; where it is no UTF-8, the line and the byte (from 0) are said.
pub(crate) fn read_text(path: &Path, most: u64, remedy: &str) -> Result<String, Error> {
    String::from_utf8(read_bytes(path, most, remedy)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count();
        let problem = format!("not UTF-8 text (byte {at} of the file)");
        file_error(path, format!(", line {line}"), problem, "save the file in UTF-8")
    })
}

fn unreadable(path: &Path, e: &io::Error) -> Error {
    file_error(path, String::new(), format!("cannot read it ({e})"), "check the path and the file's permissions")
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
