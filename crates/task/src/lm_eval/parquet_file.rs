//! Parquet files, row by row.

use super::{
    data::MAX_GROWTH,
    file_error,
    thrift::Outline,
    value::{self, Value},
};
use crate::{Error, MAX_EXAMPLES};
use parquet::{
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData},
        reader::{FileReader, SerializedFileReader},
    },
    record::{Field, Row},
};
use std::{panic::AssertUnwindSafe, path::Path};

/// Elements of all lists for each byte of a file, and whatever its length: a few bytes can stand for any number of equal
/// ones, and the library makes a list whole before it shows it.
const MAX_ELEMENTS: (usize, usize) = (4, 1 << 20);

/// Takes a document, or refuses it.
type Push<'p> = dyn FnMut(Vec<(String, Value)>) -> Result<(), Error> + 'p;

/// Gives row after row of a file to `push`, until that refuses one.
pub(super) fn read(path: &Path, bytes: Vec<u8>, push: &mut Push<'_>) -> Result<(), Error> {
    let wrong = |what: String| {
        let remedy = "write it again, uncompressed or with Snappy, with columns of texts, numbers, lists and structs";
        file_error(path, String::new(), format!("cannot read it as Parquet ({what})"), remedy)
    };
    // The library is not written for broken files alone: what panics in it is a broken file too.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| rows(bytes.into(), push)));
    read.map_err(|_| wrong("broken".into()))?.map_err(wrong)?
}

fn rows(bytes: bytes::Bytes, push: &mut Push<'_>) -> Result<Result<(), Error>, String> {
    let error = |e: parquet::errors::ParquetError| e.to_string();
    footer(&bytes).ok_or("its end is broken")?;
    let reader = SerializedFileReader::new(bytes.clone()).map_err(error)?;
    let metadata = reader.metadata();
    if metadata.file_metadata().num_rows() > MAX_EXAMPLES as i64 {
        return Err(format!("{} rows", metadata.file_metadata().num_rows()));
    }
    pages(&bytes, metadata)?;
    for row in reader.get_row_iter(None).map_err(error)? {
        if let Err(refused) = push(members(&row.map_err(error)?, 0)?) {
            return Ok(Err(refused));
        }
    }
    Ok(Ok(()))
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

fn members(row: &Row, depth: usize) -> Result<Vec<(String, Value)>, String> {
    row.get_column_iter().map(|(name, field)| Ok((name.clone(), cell(field, depth)?))).collect()
}

fn cell(field: &Field, depth: usize) -> Result<Value, String> {
    if depth == value::MAX_DEPTH {
        return Err("nested too deep".into());
    }
    Ok(match field {
        Field::Null => Value::None,
        Field::Bool(b) => Value::Bool(*b),
        Field::Byte(i) => Value::Int(i64::from(*i)),
        Field::Short(i) => Value::Int(i64::from(*i)),
        Field::Int(i) => Value::Int(i64::from(*i)),
        Field::Long(i) => Value::Int(*i),
        Field::UByte(i) => Value::Int(i64::from(*i)),
        Field::UShort(i) => Value::Int(i64::from(*i)),
        Field::UInt(i) => Value::Int(i64::from(*i)),
        Field::ULong(i) => i64::try_from(*i).map_or(Value::Float(*i as f64), Value::Int),
        Field::Float16(x) => Value::Float(f64::from(*x)),
        Field::Float(x) => Value::Float(f64::from(*x)),
        Field::Double(x) => Value::Float(*x),
        Field::Str(text) => Value::Text(text.clone()),
        Field::Group(row) => Value::Map(members(row, depth + 1)?),
        Field::ListInternal(list) => {
            Value::List(list.elements().iter().map(|field| cell(field, depth + 1)).collect::<Result<_, _>>()?)
        }
        other => return Err(format!("a column of dates, times, decimals, bytes or maps: {other}")),
    })
}
