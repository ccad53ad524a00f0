//! What can go wrong between rows and disk; every message names the file and ends with what to do.

use std::{io, path::PathBuf};

/// Why a part could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused: a full disk, a missing folder, no permission.
    #[error("cannot {action} {}: {source}: check that the folder exists, may be written, and has space left", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that this program did not write, or not as this kind of part.
    #[error("{} is not a part of {expected} written by Saltus ({found}): move it away, or choose another folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// `records` or `losses`.
        expected: &'static str,
        /// What was found in its place.
        found: String,
    },
    /// A part that was changed, cut short or spoiled after it was written.
    #[error("{} is damaged ({found}): delete it, and the next run computes it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not add up.
        found: String,
    },
    /// A part of another version.
    #[error(
        "{} has schema {found}, and this Saltus reads schema {}: read it with the version that wrote it, or delete it \
         to compute it again",
        path.display(), crate::SCHEMA
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The version it was written with.
        found: String,
    },
    /// A record that contradicts itself.
    #[error("record {row} for {} contradicts itself ({found}): correct the code that made it", path.display())]
    Inconsistent {
        /// The file it was meant for.
        path: PathBuf,
        /// Number of the record in the list given.
        row: usize,
        /// The contradiction.
        found: String,
    },
    /// More than a part may hold.
    #[error("{} has {bytes} bytes, and a part has at most {limit}: split the cell into several parts", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The greatest length.
        limit: u64,
    },
}
