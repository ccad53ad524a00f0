//! Parquet files by others: their footers and pages are looked at before the library that reads them believes them.

use crate::{FileError, thrift::Outline};
use ::parquet::file::{
    metadata::{ColumnChunkMetaData, ParquetMetaData},
    reader::{FileReader, SerializedFileReader},
};
use std::{panic::AssertUnwindSafe, path::Path};

pub use ::parquet;

/// Bytes that a file may take in memory for each byte of its length, and whatever its length: it may be compressed, but
/// what unpacks to a thousand times its length says nothing new.
pub const MAX_GROWTH: (usize, usize) = (64, 256 << 20);

/// Elements of all lists for each byte of a file, and whatever its length: a few bytes can stand for any number of equal
/// ones, and the library makes a list whole before it shows it.
const MAX_ELEMENTS: (usize, usize) = (4, 1 << 20);

/// Hands a file of at most `most_rows` to `read`, if it is as it says it is. What `read` says is wrong is wrong with the
/// file, and so is what panics in the library.
///
/// # Errors
/// For a file that is broken or too large, with what `read` says.
pub fn read<T>(
    path: &Path,
    bytes: Vec<u8>,
    most_rows: usize,
    read: impl FnOnce(&SerializedFileReader<bytes::Bytes>) -> Result<T, String>,
) -> Result<T, FileError> {
    let wrong = |what: String| {
        let remedy = "write it again, uncompressed or with Snappy, with columns of texts, numbers, lists and structs";
        FileError::new(path, String::new(), format!("cannot read it as Parquet ({what})"), remedy)
    };
    // The library is not written for broken files alone: what panics in it is a broken file too.
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| read(&open(bytes.into(), most_rows)?)));
    result.map_err(|_| wrong("broken".into()))?.map_err(wrong)
}

fn open(bytes: bytes::Bytes, most_rows: usize) -> Result<SerializedFileReader<bytes::Bytes>, String> {
    footer(&bytes).ok_or("its end is broken")?;
    let reader = SerializedFileReader::new(bytes.clone()).map_err(|e| e.to_string())?;
    let rows = reader.metadata().file_metadata().num_rows();
    if rows > i64::try_from(most_rows).unwrap_or(i64::MAX) {
        return Err(format!("{rows} rows"));
    }
    pages(&bytes, reader.metadata())?;
    Ok(reader)
}

/// The record at the end of a file, which says where everything is; then come its length and `PAR1`.
fn footer(bytes: &[u8]) -> Option<()> {
    let (rest, [length @ .., _, _, _, _]) = bytes.split_last_chunk::<8>()?;
    let length = u32::from_le_bytes(*length) as usize;
    Outline::of(rest.get(rest.len().checked_sub(length)?..)?).map(drop)
}

/// The sizes that pages say they have: they are believed when memory is set aside.
fn pages(bytes: &[u8], metadata: &ParquetMetaData) -> Result<(), String> {
    let (mut unpacked, mut elements) = (0, 0);
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let sizes = column_pages(bytes, column).ok_or("a page is broken")?;
        unpacked += sizes.0;
        elements += if column.column_descr().max_rep_level() > 0 { sizes.1 } else { 0 };
        let beyond = |number: usize, (factor, base): (usize, usize)| number > base + factor * bytes.len();
        if beyond(unpacked, MAX_GROWTH) || beyond(elements, MAX_ELEMENTS) {
            return Err(format!("{unpacked} bytes when uncompressed, {elements} elements of lists up to here"));
        }
    }
    Ok(())
}

/// The bytes of a column when uncompressed, and its values; `None` if they are not where they should be.
fn column_pages(bytes: &[u8], column: &ColumnChunkMetaData) -> Option<(usize, usize)> {
    let (start, length) = column.byte_range();
    let end = usize::try_from(start.checked_add(length)?).ok()?;
    let mut rest = bytes.get(usize::try_from(start).ok()?..end)?;
    let (mut unpacked, mut values) = (0_usize, 0_usize);
    while !rest.is_empty() {
        let header = Outline::of(rest)?;
        let size = |field| usize::try_from(header.number([0, field])?).ok();
        unpacked = unpacked.saturating_add(size(2)?);
        // Those of a page with levels before the data, or in a part of their own.
        let inside = [5, 8].into_iter().find_map(|kind| header.number([kind, 1])).unwrap_or(0);
        values = values.saturating_add(usize::try_from(inside).ok()?);
        rest = rest.get(header.length.checked_add(size(3)?)?..)?;
    }
    Some((unpacked, values))
}
