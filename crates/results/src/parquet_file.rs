//! Tables as Parquet: columns of numbers, truth values and texts; others are left out.

use crate::table::{Column, MAX_COLUMNS, MAX_ROWS, Table, WordsBuilder};
use saltus_file::{
    FileError, length,
    parquet::{
        self as file,
        parquet::{
            file::reader::{FileReader, SerializedFileReader},
            record::Field,
        },
    },
    read_bytes,
};
use std::{fs::File, io::Read, path::Path};

/// Bytes of a file.
const MAX_BYTES: u64 = 4 << 30;

/// Whether a file begins as Parquet does.
pub(crate) fn is_one(path: &Path) -> Result<bool, FileError> {
    length(path)?;
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    Ok(read.is_ok() && magic == *b"PAR1")
}

pub(crate) fn read(path: &Path) -> Result<Table, FileError> {
    let bytes = read_bytes(path, MAX_BYTES, "split it into several files")?;
    let table = file::read(path, bytes, MAX_ROWS, columns)?;
    let rows = table.1;
    if rows == 0 {
        return Err(FileError::new(path, String::new(), "has no rows", "write at least one row"));
    }
    Ok(Table::new(path, table.0, rows, Vec::new()))
}

enum Builder {
    /// Nothing but empty cells so far.
    Empty(usize),
    Numbers(Vec<f64>, Vec<u32>),
    Words(WordsBuilder),
    /// Lists, structs, dates: nothing that a table of scores needs.
    Other,
}

fn columns<R: file::parquet::file::reader::ChunkReader + 'static>(
    reader: &SerializedFileReader<R>,
) -> Result<(Vec<(String, Column)>, usize), String> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<String> = schema.root_schema().get_fields().iter().map(|f| f.name().to_owned()).collect();
    if names.len() > MAX_COLUMNS {
        return Err(format!("{} columns", names.len()));
    }
    let mut builders: Vec<Builder> = names.iter().map(|_| Builder::Empty(0)).collect();
    let mut rows = 0;
    for row in reader.get_row_iter(None).map_err(|e| e.to_string())? {
        let row = row.map_err(|e| e.to_string())?;
        for ((_, field), builder) in row.get_column_iter().zip(&mut builders) {
            builder.push(field);
        }
        rows += 1;
    }
    let finished = names.into_iter().zip(builders).filter_map(|(name, builder)| Some((name, builder.finish()?)));
    Ok((finished.collect(), rows))
}

impl Builder {
    fn push(&mut self, field: &Field) {
        let number = number(field);
        if let Builder::Empty(before) = self {
            *self = match (field, number) {
                (Field::Null, _) => return *before += 1,
                (Field::Str(_), _) => {
                    let mut words = WordsBuilder::default();
                    (0..*before).for_each(|_| words.push(None));
                    Builder::Words(words)
                }
                (_, Some(_)) => Builder::Numbers(vec![f64::NAN; *before], Vec::new()),
                _ => Builder::Other,
            };
        }
        match self {
            Builder::Numbers(values, said_nan) => {
                if number.is_some_and(f64::is_nan) {
                    said_nan.push(values.len() as u32);
                }
                values.push(number.unwrap_or(f64::NAN));
            }
            Builder::Words(words) => words.push(if let Field::Str(text) = field { Some(text) } else { None }),
            Builder::Empty(_) | Builder::Other => {}
        }
    }

    fn finish(self) -> Option<Column> {
        match self {
            Builder::Empty(rows) => Some(Column::Numbers { values: vec![f64::NAN; rows], said_nan: Vec::new() }),
            Builder::Numbers(values, said_nan) => Some(Column::Numbers { values, said_nan }),
            Builder::Words(words) => Some(words.finish()),
            Builder::Other => None,
        }
    }
}

fn number(field: &Field) -> Option<f64> {
    Some(match field {
        Field::Bool(b) => f64::from(u8::from(*b)),
        Field::Byte(i) => f64::from(*i),
        Field::Short(i) => f64::from(*i),
        Field::Int(i) => f64::from(*i),
        Field::Long(i) => *i as f64,
        Field::UByte(i) => f64::from(*i),
        Field::UShort(i) => f64::from(*i),
        Field::UInt(i) => f64::from(*i),
        Field::ULong(i) => *i as f64,
        Field::Float16(x) => f64::from(*x),
        Field::Float(x) => f64::from(*x),
        Field::Double(x) => *x,
        _ => return None,
    })
}
