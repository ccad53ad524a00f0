//! Files that appear whole or not at all: written beside, flushed to the disk, renamed.

use crate::Error;
use std::{fs::File, io, path::Path};

/// How the names of unfinished files begin; a process that was killed may leave some, and they may be deleted
/// whenever no other process writes into the folder.
pub const TEMPORARY_PREFIX: &str = ".saltus-unfinished-";

/// Writes the file at `path` through `fill`, so that `path` holds either what it held before or all that is new.
///
/// The content goes to a file in the same folder, is flushed to the disk (`fsync`), and is renamed over `path`.
///
/// # Errors
/// [`Error::Io`] when the system refuses at any stage; the unfinished file is removed and `path` is as it was.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
    let attempt = || {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        // The default of a temporary file is readable by its owner alone; a result is an ordinary file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        fill(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(|source| Error::Io { action: "write", path: path.to_owned(), source })
}
