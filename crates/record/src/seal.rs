//! The seal of a part: a hash of the whole file, kept in the file, where Parquet readers do not look.
//!
//! A Parquet file is `pages, footer, length of the footer, "PAR1"`, and its readers find everything from the end; the
//! bytes just before the footer belong to nobody. The seal lies there: a mark and the BLAKE3 hash of all other bytes.
//! A reader checks it before it decodes anything, so that a flipped or missing byte is an error with the file's name
//! and never reaches a decoder, where it could ask for any amount of memory.

/// What a seal begins with.
const MARK: &[u8; 8] = b"SALTUS-1";
/// Length of a seal.
const SEAL: usize = MARK.len() + blake3::OUT_LEN;
/// What a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";
/// Footer length and magic.
const TAIL: usize = 8;

/// Why an unsealing failed.
pub(crate) enum Unsealed {
    /// No Parquet file, or one without a seal.
    Foreign(&'static str),
    /// A sealed file whose bytes are not those that were sealed.
    Damaged(&'static str),
}

/// The Parquet file `bytes` with a seal.
pub(crate) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    // A file just made has a footer; without one it would be sealed at its end, and no reader would find the seal.
    let footer = footer_start(&bytes).unwrap_or(bytes.len());
    let hash = blake3::hash(&bytes);
    bytes.splice(footer..footer, MARK.iter().chain(hash.as_bytes()).copied());
    bytes
}

/// Checks the seal of `bytes`.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Unsealed> {
    if !bytes.starts_with(MAGIC) {
        return Err(Unsealed::Foreign("it does not begin as a Parquet file"));
    }
    let Some(footer) = footer_start(bytes) else {
        return Err(Unsealed::Damaged("it does not end as a Parquet file: it may have been cut short"));
    };
    let Some(start) = footer.checked_sub(SEAL).filter(|&s| bytes[s..].starts_with(MARK)) else {
        return Err(Unsealed::Foreign("it has no seal"));
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..start]).update(&bytes[footer..]);
    if hasher.finalize().as_bytes() != &bytes[start + MARK.len()..footer] {
        return Err(Unsealed::Damaged("its bytes do not match its seal"));
    }
    Ok(())
}

/// Where the footer of a Parquet file begins.
fn footer_start(bytes: &[u8]) -> Option<usize> {
    let tail = bytes.len().checked_sub(TAIL)?;
    let (length, magic) = bytes[tail..].split_first_chunk::<4>()?;
    if magic != MAGIC {
        return None;
    }
    tail.checked_sub(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}
