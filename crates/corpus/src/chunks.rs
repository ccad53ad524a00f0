//! Text files in chunks of a few kilobytes: what a held-out split deals with, and no more in memory than one at a time.

use crate::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Chunks have at most so many bytes; they end after a line where one ends, else before a space, else anywhere.
pub(crate) const CHUNK: usize = 4096;

/// The chunks of a file in order; together they are the file.
pub(crate) struct Chunks {
    path: PathBuf,
    file: File,
    /// Read, not yet handed out.
    buffer: Vec<u8>,
    /// Where in the file `buffer` begins.
    offset: u64,
    ended: bool,
}

impl Chunks {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            return Err(Error::file(path, "a folder", "list the text files in it"));
        }
        Ok(Chunks { path: path.into(), file, buffer: Vec::with_capacity(CHUNK), offset: 0, ended: false })
    }

    fn next_chunk(&mut self) -> Result<Option<String>, Error> {
        let wanted = (CHUNK - self.buffer.len()) as u64;
        let read = self.file.by_ref().take(wanted).read_to_end(&mut self.buffer);
        self.ended |= read.map_err(|e| Error::unreadable(&self.path, &e))? < wanted as usize;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let valid = self.valid()?;
        let end = if self.ended { valid.len() } else { cut(valid) };
        let chunk = valid[..end].to_owned();
        self.buffer.drain(..end);
        self.offset += end as u64;
        Ok(Some(chunk))
    }

    /// The text in the buffer, without a character that is cut by its end.
    fn valid(&self) -> Result<&str, Error> {
        let fault = |at: usize, problem: &str, remedy: &str| Error::File {
            path: self.path.clone(),
            place: format!(", byte {}", self.offset + at as u64),
            problem: problem.into(),
            remedy: remedy.into(),
        };
        if let Some(at) = self.buffer.iter().position(|&b| b == 0) {
            return Err(fault(at, "a zero byte: this is a binary file", "give text files (unpack archives first)"));
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => Ok(text),
            Err(e) if e.error_len().is_none() && !self.ended => {
                Ok(std::str::from_utf8(&self.buffer[..e.valid_up_to()]).unwrap_or_default())
            }
            Err(e) => {
                Err(fault(e.valid_up_to(), "not UTF-8 text", "convert the file to UTF-8, with `iconv` for example"))
            }
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}

fn cut(text: &str) -> usize {
    let line = text.rfind('\n').map(|at| at + 1);
    line.or_else(|| text.rfind(' ').filter(|&at| at > 0)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunks(text: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Chunks::open(file.path()).unwrap().collect::<Result<_, _>>().unwrap()
    }

    proptest! {
        /// Characters of one to four bytes, with and without places to cut, over several chunks.
        #[test]
        fn chunks_together_are_the_file(pieces in prop::collection::vec("[a-é語🦀]{0,60}[ \n]?", 0..200), repeat in 1usize..6) {
            let text = pieces.concat().repeat(repeat);
            let chunks = chunks(&text);
            prop_assert!(chunks.iter().all(|c| (1..=CHUNK).contains(&c.len())));
            prop_assert_eq!(chunks.concat(), text);
        }
    }

    #[test]
    fn cuts_after_lines_then_before_spaces_then_anywhere() {
        let long = "word ".repeat(1000);
        assert_eq!(chunks(&format!("line\n{long}"))[0], "line\n");
        assert!(chunks(&long).iter().skip(1).all(|c| c.starts_with(' ')));
        assert_eq!(chunks(&"語".repeat(2000)).iter().map(String::len).collect::<Vec<_>>(), [4095, 1905]);
    }
}
