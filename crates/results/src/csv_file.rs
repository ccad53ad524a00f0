//! Text tables: a header, then rows, separated by commas, semicolons or tabs.

use crate::table::{Column, MAX_COLUMNS, MAX_ROWS, Table, WordsBuilder};
use csv::{ByteRecord, Reader, ReaderBuilder};
use saltus_file::{FileError, length};
use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Bytes that a header may have, and that are looked at for the separator.
const MAX_HEADER: u64 = 1 << 20;
/// Bytes that a row may have.
const MAX_ROW: usize = 1 << 22;
/// Bytes of a file.
const MAX_BYTES: u64 = 16 << 30;

/// What stands for nothing.
const NOTHING: [&str; 6] = ["", "NA", "N/A", "null", "None", "-"];

/// Reads a file twice: once for which columns are of numbers, once for what they hold.
pub(crate) fn read(path: &Path) -> Result<Table, FileError> {
    let size = length(path)?;
    if size > MAX_BYTES {
        let problem = format!("the file is larger than {} GiB", MAX_BYTES >> 30);
        return Err(FileError::new(path, String::new(), problem, "write it as Parquet, or split it"));
    }
    let form = form(path)?;
    let names = names(path, &mut open(path, form)?)?;
    let mut numeric = vec![true; names.len()];
    let mut rows = 0_usize;
    each(path, form, names.len(), |row, _| {
        rows += 1;
        for (cell, numeric) in row.iter().zip(&mut numeric).filter(|(_, numeric)| **numeric) {
            *numeric = number(cell).is_some();
        }
        Ok(())
    })?;
    if rows == 0 {
        return Err(FileError::new(path, String::new(), "has no rows", "write a header and at least one row"));
    }
    let mut builders: Vec<Builder> = numeric.iter().map(|&numeric| Builder::new(numeric, rows)).collect();
    let mut lines = Vec::with_capacity(rows);
    each(path, form, names.len(), |row, line| {
        lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        builders.iter_mut().zip(row.iter()).for_each(|(builder, cell)| builder.push(cell));
        Ok(())
    })?;
    let columns = names.into_iter().zip(builders.into_iter().map(Builder::finish)).collect();
    Ok(Table::new(path, columns, rows, lines))
}

enum Builder {
    Numbers(Vec<f64>, Vec<u32>),
    Words(WordsBuilder),
}

impl Builder {
    fn new(numeric: bool, rows: usize) -> Self {
        if numeric {
            Builder::Numbers(Vec::with_capacity(rows), Vec::new())
        } else {
            Builder::Words(WordsBuilder::default())
        }
    }

    fn push(&mut self, cell: &[u8]) {
        match self {
            Builder::Numbers(values, said_nan) => {
                let value = number(cell).unwrap_or(Cell::Nothing);
                if matches!(value, Cell::Number(v) if v.is_nan()) {
                    said_nan.push(values.len() as u32);
                }
                values.push(if let Cell::Number(v) = value { v } else { f64::NAN });
            }
            Builder::Words(words) => {
                let text = String::from_utf8_lossy(cell);
                let text = text.trim();
                words.push((!NOTHING.contains(&text)).then_some(text));
            }
        }
    }

    fn finish(self) -> Column {
        match self {
            Builder::Numbers(values, said_nan) => Column::Numbers { values, said_nan },
            Builder::Words(words) => words.finish(),
        }
    }
}

#[derive(Clone, Copy)]
enum Cell {
    Nothing,
    Number(f64),
}

/// A cell as a number or as nothing; `None` if it is a word.
fn number(cell: &[u8]) -> Option<Cell> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    if NOTHING.contains(&text) {
        return Some(Cell::Nothing);
    }
    text.parse::<f64>().ok().map(Cell::Number)
}

fn unreadable(path: &Path, e: &std::io::Error) -> FileError {
    FileError::new(path, String::new(), format!("cannot read it ({e})"), "check the path and the file's permissions")
}

/// How a file is written.
#[derive(Clone, Copy)]
struct Form {
    separator: u8,
    /// Whether lines end with CR LF. The reader takes a row to begin before the LF of the row above.
    crlf: bool,
}

/// The separator that the header has most of, and how it ends.
fn form(path: &Path) -> Result<Form, FileError> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let mut header = Vec::new();
    let read = BufReader::new(file.take(MAX_HEADER)).read_until(b'\n', &mut header);
    read.map_err(|e| unreadable(path, &e))?;
    if header.len() as u64 == MAX_HEADER {
        let remedy = "write a header of column names, and then rows";
        return Err(FileError::new(path, ", line 1".into(), "the header is longer than 1 MiB", remedy));
    }
    let count = |separator: u8| header.iter().filter(|&&byte| byte == separator).count();
    let separator = [b',', b'\t', b';'].into_iter().rev().max_by_key(|&s| count(s)).unwrap_or(b',');
    Ok(Form { separator, crlf: header.ends_with(b"\r\n") })
}

fn open(path: &Path, form: Form) -> Result<Reader<File>, FileError> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    Ok(ReaderBuilder::new().delimiter(form.separator).flexible(true).has_headers(true).from_reader(file))
}

fn names(path: &Path, reader: &mut Reader<File>) -> Result<Vec<String>, FileError> {
    let wrong = |problem: String, remedy: &str| Err(FileError::new(path, ", line 1".into(), problem, remedy));
    let header = reader.byte_headers().map_err(|e| broken(path, &e))?.clone();
    if header.len() > MAX_COLUMNS {
        return wrong(format!("{} columns", header.len()), "leave out those that are not needed");
    }
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for (place, name) in header.iter().enumerate() {
        let Ok(name) = std::str::from_utf8(name) else {
            return wrong(format!("the name of column {} is not UTF-8 text", place + 1), "save the file in UTF-8");
        };
        let name = name.trim_start_matches('\u{feff}').trim();
        // Data frames write the number of a row under no name.
        let name = if name.is_empty() { format!("column {}", place + 1) } else { name.to_owned() };
        if !seen.insert(name.clone()) {
            return wrong(format!("two columns are called `{name}`"), "give each its own name");
        }
        names.push(name);
    }
    Ok(names)
}

/// Gives every row with its line to `take`.
fn each(
    path: &Path,
    form: Form,
    columns: usize,
    mut take: impl FnMut(&ByteRecord, u64) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut reader = open(path, form)?;
    let mut row = ByteRecord::new();
    let mut rows = 0_usize;
    while reader.read_byte_record(&mut row).map_err(|e| broken(path, &e))? {
        let line = row.position().map_or(0, csv::Position::line) + u64::from(form.crlf);
        let wrong =
            |problem: String, remedy: &str| Err(FileError::new(path, format!(", line {line}"), problem, remedy));
        if row.len() != columns {
            let problem = format!("{} cells where the header has {columns} columns", row.len());
            return wrong(problem, "write as many, and put texts with separators in them in double quotes");
        }
        rows += 1;
        if rows > MAX_ROWS {
            return wrong(format!("more than {MAX_ROWS} rows"), "split the file, or write means instead of items");
        }
        if row.as_slice().len() > MAX_ROW {
            return wrong("a row of more than 4 MiB".into(), "close the quotes, or leave out long texts");
        }
        take(&row, line)?;
    }
    Ok(())
}

fn broken(path: &Path, e: &csv::Error) -> FileError {
    let place = e.position().map_or_else(String::new, |p| format!(", line {}", p.line()));
    FileError::new(path, place, format!("cannot read it as a table ({e})"), "write comma-separated text with a header")
}
