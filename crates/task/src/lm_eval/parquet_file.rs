//! Parquet files, row by row.

use super::value::{self, Value};
use crate::{Error, MAX_EXAMPLES};
use saltus_file::parquet::{
    self as file,
    parquet::{
        file::reader::FileReader,
        record::{Field, Row},
    },
};
use std::path::Path;

/// Takes a document, or refuses it.
type Push<'p> = dyn FnMut(Vec<(String, Value)>) -> Result<(), Error> + 'p;

/// Gives row after row of a file to `push`, until that refuses one.
pub(super) fn read(path: &Path, bytes: Vec<u8>, push: &mut Push<'_>) -> Result<(), Error> {
    file::read(path, bytes, MAX_EXAMPLES, |reader| {
        for row in reader.get_row_iter(None).map_err(|e| e.to_string())? {
            if let Err(refused) = push(members(&row.map_err(|e| e.to_string())?, 0)?) {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(()))
    })?
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
