//! Parts on disk: rows to sealed Parquet files, and back with every doubt named.

use crate::{
    Error, LossPoint, Record, SCHEMA,
    rows::{consistent, decode_losses, decode_records, loss_columns, record_columns, rows_of},
    seal::{self, Unsealed},
    table::{self, Column, Table},
    write_atomically,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

/// The greatest length of a part in bytes: a bound on what a reader takes into memory.
pub(crate) const LIMIT: u64 = 1 << 30;

/// The rows of one part, and the key of the cell that they belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// The key given when it was written.
    pub key: String,
    /// The rows, in the order in which they were written.
    pub rows: Vec<T>,
}

/// Writes the records of the cell `key` to `path`, whole or not at all. The same records give the same bytes.
///
/// The file's key-value metadata holds `saltus.kind`, `saltus.schema` and `saltus.key`.
///
/// # Errors
/// [`Error::Inconsistent`] for candidates that are not numbered 0, 1, 2... or whose lists differ in length;
/// [`Error::Io`] when the system refuses; [`Error::TooLarge`] above 1 GiB. `path` is then as it was.
pub fn write_records(path: &Path, key: &str, records: &[Record]) -> Result<(), Error> {
    for (row, record) in records.iter().enumerate() {
        consistent(record).map_err(|found| Error::Inconsistent { path: path.to_owned(), row, found })?;
    }
    write(path, encode_records(key, records))
}

/// The bytes of a part of consistent records.
pub(crate) fn encode_records(key: &str, records: &[Record]) -> ParquetResult<Vec<u8>> {
    let rows: Vec<_> = records.iter().flat_map(rows_of).collect();
    encode(key, "records", &SCHEMA.to_string(), &record_columns(), &rows)
}

/// Reads a part written by [`write_records`]. Nothing is decoded before the file's seal (a hash of all of it) holds.
///
/// # Errors
/// [`Error::Io`], [`Error::Foreign`], [`Error::Damaged`], [`Error::Schema`], [`Error::TooLarge`]; each names `path`.
pub fn read_records(path: &Path) -> Result<Part<Record>, Error> {
    parse_records(path, bytes_of(path, "records")?)
}

/// The part of records in `bytes`, which are the content of `path`.
pub(crate) fn parse_records(path: &Path, bytes: Vec<u8>) -> Result<Part<Record>, Error> {
    parse(path, "records", bytes, decode_records)
}

/// Writes the training curve of the cell `key` to `path`, as [`write_records`] does.
///
/// # Errors
/// [`Error::Io`] when the system refuses; [`Error::TooLarge`] above 1 GiB. `path` is then as it was.
pub fn write_losses(path: &Path, key: &str, points: &[LossPoint]) -> Result<(), Error> {
    write(path, encode(key, "losses", &SCHEMA.to_string(), &loss_columns(), points))
}

/// Reads a part written by [`write_losses`].
///
/// # Errors
/// As [`read_records`].
pub fn read_losses(path: &Path) -> Result<Part<LossPoint>, Error> {
    parse(path, "losses", bytes_of(path, "losses")?, decode_losses)
}

/// The bytes of any part.
pub(crate) fn encode<R>(
    key: &str,
    kind: &str,
    schema: &str,
    columns: &[Column<R>],
    rows: &[R],
) -> ParquetResult<Vec<u8>> {
    let metadata = [("saltus.kind", kind), ("saltus.schema", schema), ("saltus.key", key)];
    table::write(columns, rows, &metadata).map(seal::seal)
}

pub(crate) fn write(path: &Path, encoded: ParquetResult<Vec<u8>>) -> Result<(), Error> {
    let refused = |e| Error::Io { action: "write", path: path.to_owned(), source: io::Error::other(e) };
    let bytes = encoded.map_err(refused)?;
    small_enough(path, bytes.len() as u64)?;
    write_atomically(path, |file| file.write_all(&bytes))
}

pub(crate) fn parse<R>(
    path: &Path,
    kind: &'static str,
    bytes: Vec<u8>,
    decode: impl Fn(&Table) -> ParquetResult<Vec<R>>,
) -> Result<Part<R>, Error> {
    let foreign = |found: String| Error::Foreign { path: path.to_owned(), expected: kind, found };
    let damaged = |found: String| Error::Damaged { path: path.to_owned(), found };
    seal::check(&bytes).map_err(|e| match e {
        Unsealed::Foreign(found) => foreign(found.to_owned()),
        Unsealed::Damaged(found) => damaged(found.to_owned()),
    })?;
    let undecodable = |e: ParquetError| damaged(e.to_string());
    let table = Table::open(bytes).map_err(undecodable)?;
    let text = |key| table.metadata(key).unwrap_or("nothing").to_owned();
    if text("saltus.schema") != SCHEMA.to_string() {
        return Err(Error::Schema { path: path.to_owned(), found: text("saltus.schema") });
    }
    if text("saltus.kind") != kind {
        return Err(foreign(format!("it holds {}", text("saltus.kind"))));
    }
    Ok(Part { key: text("saltus.key"), rows: decode(&table).map_err(undecodable)? })
}

/// The content of an ordinary file; a folder or a device is no part.
pub(crate) fn bytes_of(path: &Path, expected: &'static str) -> Result<Vec<u8>, Error> {
    let refused = |source| Error::Io { action: "read", path: path.to_owned(), source };
    // Asked before opening: opening a named pipe waits for a writer.
    let found = path.metadata().map_err(refused)?;
    if !found.is_file() {
        return Err(Error::Foreign { path: path.to_owned(), expected, found: "it is no ordinary file".to_owned() });
    }
    small_enough(path, found.len())?;
    let mut bytes = Vec::new();
    File::open(path).map_err(refused)?.take(LIMIT).read_to_end(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

fn small_enough(path: &Path, bytes: u64) -> Result<(), Error> {
    if bytes > LIMIT { Err(Error::TooLarge { path: path.to_owned(), bytes, limit: LIMIT }) } else { Ok(()) }
}
