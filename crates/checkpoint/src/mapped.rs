//! Files as bytes: large ones mapped into memory, small ones read with a limit.

use crate::Error;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// A file mapped into memory: opening costs nothing, pages come as they are read and belong to the system's cache.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) path: PathBuf,
    map: memmap2::Mmap,
}

impl Mapped {
    /// Maps a file for reading.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::reading(path))?;
        let metadata = file.metadata().map_err(Error::reading(path))?;
        if !metadata.is_file() {
            return Err(Error::file(path, "expected a file, found something else", "give the path of a model's file"));
        }
        if metadata.len() == 0 {
            return Err(Error::damaged(path, "", "expected a model's file, found 0 bytes"));
        }
        // SAFETY: the mapping is read-only, of a regular file that is not empty. What Rust asks for besides, that the
        // bytes never change while they are borrowed, no system can promise for a file: see the crate's documentation
        // ("Files that change"). Nothing here relies on it for memory safety: offsets are checked once against
        // the length of the mapping, which is fixed, headers and strings are copied out before they are judged, and
        // tensors are bytes in which any value is valid.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::reading(path))?;
        // Weights that come from disk then lie in pages of 2 MiB, where the file system has them (ext4 from Linux 6.16 on,
        // XFS): finding 4 KiB pages takes as long as reading them. A hint: where it cannot be followed, nothing changes.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Mapped { path: path.into(), map })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }
}

/// Reads a small file whole; one longer than `limit` is refused before anything is read.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::reading(path))?;
    let metadata = file.metadata().map_err(Error::reading(path))?;
    if !metadata.is_file() || metadata.len() > limit {
        let found = if metadata.is_file() { format!("{} bytes", metadata.len()) } else { "no file".into() };
        return Err(Error::damaged(path, "", format!("expected a file of at most {limit} bytes, found {found}")));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(limit).read_to_end(&mut bytes).map_err(Error::reading(path))?;
    Ok(bytes)
}

/// A copy of `bytes` as text.
pub(crate) fn utf8(path: &Path, what: &str, bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|e| {
        let begin: Vec<u8> = e.as_bytes().iter().take(60).copied().collect();
        let problem = format!("expected UTF-8, found \"{}\"", begin.escape_ascii());
        Error::damaged(path, what, problem)
    })
}
