//! Reading a GGUF file from front to back; every length is checked against the bytes that are left.

use crate::{Error, mapped::utf8};
use std::path::Path;

/// The longest key or name: far beyond any that is written, far below what would hurt.
const LONGEST_NAME: u64 = 1 << 16;

/// A place in a file.
pub(crate) struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Reader { path, bytes, at: 0 }
    }

    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// Bytes read so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes over `length` bytes of what is called `what`.
    pub(crate) fn skip(&mut self, what: &str, length: u64) -> Result<&'a [u8], Error> {
        let left = self.bytes.len() - self.at;
        if length > left as u64 {
            let problem = format!("expected {length} bytes at byte {}, found {left} to the file's end", self.at);
            return Err(Error::damaged(self.path, what, problem));
        }
        let begin = self.at;
        self.at += length as usize;
        Ok(&self.bytes[begin..self.at])
    }

    pub(crate) fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.skip(what, N as u64)?);
        Ok(array)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        self.take(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        self.take(what).map(u64::from_le_bytes)
    }

    /// A number of things that take at least `each` bytes: no more than the bytes left can hold.
    pub(crate) fn count(&mut self, what: &str, each: u64) -> Result<u64, Error> {
        let count = self.u64(what)?;
        let most = (self.bytes.len() - self.at) as u64 / each;
        if count > most {
            let problem = format!("expected at most {most} (what the rest of the file can hold), found {count}");
            return Err(Error::damaged(self.path, what, problem));
        }
        Ok(count)
    }

    /// A string of any length that is there.
    pub(crate) fn bytes(&mut self, what: &str) -> Result<&'a [u8], Error> {
        let length = self.u64(what)?;
        self.skip(what, length)
    }

    /// A name or key.
    pub(crate) fn text(&mut self, what: &str) -> Result<String, Error> {
        let bytes = self.bytes(what)?;
        if bytes.len() as u64 > LONGEST_NAME {
            let problem = format!("expected at most {LONGEST_NAME} bytes, found {}", bytes.len());
            return Err(Error::damaged(self.path, what, problem));
        }
        utf8(self.path, what, bytes)
    }
}
