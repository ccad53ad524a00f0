//! Data files as the `datasets` library reads them: JSON, JSONL, CSV and Parquet, to columns and documents.

use super::{file_error, parquet_file, value::Value};
use crate::{
    Error, MAX_EXAMPLES, MAX_FILE_BYTES, MAX_TEXT_BYTES,
    read::{length, read_bytes, read_text},
};
use saltus_file::parquet::MAX_GROWTH;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

/// Values of all documents together; more are refused.
const MAX_VALUES: usize = 50_000_000;
/// Empty places in a table for each value, and however few there are.
const MAX_EMPTY: (usize, usize) = (32, 2 << 20);
/// What to do about a file that is too large.
const TOO_LARGE: &str = "split it into several files";

/// The kinds of data files, by `dataset_path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv { delimiter: u8 },
    Parquet,
}

/// One split: every document has a value for every column.
#[derive(Clone, Debug, Default)]
pub(super) struct Split {
    pub(super) columns: Vec<String>,
    pub(super) documents: Vec<Vec<Value>>,
}

impl Split {
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The columns of a document with their values.
    pub(super) fn named(&self, document: usize) -> impl Iterator<Item = (&str, &Value)> {
        self.columns.iter().map(String::as_str).zip(&self.documents[document])
    }
}

/// Reads the files of a split, one after the other; `field` is the member of a JSON object that holds the documents.
pub(super) fn read(format: Format, paths: &[std::path::PathBuf], field: Option<&str>) -> Result<Split, Error> {
    let mut rows = Rows::default();
    for path in paths {
        rows.limit = rows.bytes + MAX_GROWTH.1 + MAX_GROWTH.0 * length(path)? as usize;
        match format {
            Format::Json => json(path, &text(path)?, field, &mut rows)?,
            Format::Csv { delimiter } => csv(path, &text(path)?, delimiter, &mut rows)?,
            Format::Parquet => {
                let bytes = read_bytes(path, MAX_FILE_BYTES, TOO_LARGE)?;
                parquet_file::read(path, bytes, &mut |document| rows.push(path, document))?;
            }
        }
    }
    let mut split = rows.split;
    for document in &mut split.documents {
        document.resize(split.columns.len(), Value::None);
    }
    if format == Format::Json {
        (0..split.columns.len()).for_each(|column| settle(&mut split.documents, column));
    }
    match (split.documents.is_empty(), paths.first()) {
        (true, Some(path)) => Err(file_error(path, String::new(), "no documents", "write at least one")),
        _ => Ok(split),
    }
}

fn text(path: &Path) -> Result<String, Error> {
    let mut text = read_text(path, MAX_FILE_BYTES, TOO_LARGE)?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// Documents as they come in, with what they must not exceed.
#[derive(Default)]
struct Rows {
    split: Split,
    places: HashMap<String, usize>,
    /// Values that the files hold.
    values: usize,
    /// Bytes that they take, and that they may take.
    bytes: usize,
    limit: usize,
}

/// What is empty in a table of so many places: an error when it is nearly all of it.
fn nearly_empty(path: &Path, columns: usize, documents: usize, values: usize) -> Result<(), Error> {
    if columns.saturating_mul(documents) <= MAX_EMPTY.1 + MAX_EMPTY.0 * values {
        return Ok(());
    }
    let problem = format!("{columns} columns, and nearly all documents have nothing in nearly all of them");
    Err(file_error(path, String::new(), problem, "give documents the same keys"))
}

impl Rows {
    fn column(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        self.split.columns.push(name.to_owned());
        self.places.insert(name.to_owned(), self.split.columns.len() - 1);
        self.split.columns.len() - 1
    }

    fn push(&mut self, path: &Path, members: Vec<(String, Value)>) -> Result<(), Error> {
        let number = self.split.documents.len();
        let wrong = |problem: String, remedy: &str| {
            Err(file_error(path, format!(", at document {}", number + 1), problem, remedy))
        };
        if number == MAX_EXAMPLES {
            return wrong(format!("more than {MAX_EXAMPLES} documents"), "split the task");
        }
        let mut document = Vec::with_capacity(self.split.columns.len().max(members.len()));
        for (name, value) in members {
            let Some((values, bytes)) = size(&value) else {
                return wrong(
                    format!("`{name}` holds a text of more than {MAX_TEXT_BYTES} bytes"),
                    "shorten it: no model here reads so much at once",
                );
            };
            (self.values, self.bytes) = (self.values + values, self.bytes + bytes);
            if self.values > MAX_VALUES || self.bytes > self.limit {
                let problem = format!("{} values that take {} bytes up to here", self.values, self.bytes);
                return wrong(problem, "split the file into several tasks");
            }
            let place = self.column(&name);
            if document.len() <= place {
                document.resize(place + 1, Value::None);
            }
            document[place] = value;
        }
        self.split.documents.push(document);
        nearly_empty(path, self.split.columns.len(), number + 1, self.values)
    }
}

/// Number of values inside `value` and the bytes they take; `None` if a text is too long.
fn size(value: &Value) -> Option<(usize, usize)> {
    let own = size_of::<Value>();
    let sum = |sum: (usize, usize), (values, bytes): (usize, usize)| (sum.0 + values, sum.1 + bytes);
    match value {
        Value::Text(text) => (text.len() <= MAX_TEXT_BYTES).then_some((1, own + text.len())),
        Value::List(list) => list.iter().try_fold((1, own), |total, value| Some(sum(total, size(value)?))),
        Value::Map(members) => members.iter().try_fold((1, own), |total, (key, value)| {
            Some(sum(sum(total, (0, size_of::<String>() + key.len())), size(value)?))
        }),
        _ => Some((1, own)),
    }
}

fn json(path: &Path, text: &str, field: Option<&str>, rows: &mut Rows) -> Result<(), Error> {
    let line_of = |offset: usize| 1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut start = 0;
    while let Some(value) = stream.next() {
        let place = |offset| format!(", line {}", line_of(offset));
        let value = value.map_err(|e| {
            let full = e.to_string();
            let problem = full.split(" at line ").next().unwrap_or_default();
            let place = format!(", line {}, column {}", e.line(), e.column());
            file_error(
                path,
                place,
                format!("not valid JSON ({problem})"),
                "write one object on each line, or a list of objects",
            )
        })?;
        let here = start + text[start..].len() - text[start..].trim_start().len();
        start = stream.byte_offset();
        let documents = match (field, value) {
            (Some(field), Value::Map(members)) => match members.into_iter().find(|(key, _)| key == field) {
                Some((_, value)) => value,
                None => {
                    return Err(file_error(
                        path,
                        place(here),
                        format!("no `{field}`"),
                        "name the member that holds the documents in `field`",
                    ));
                }
            },
            (_, value) => value,
        };
        let documents = match documents {
            Value::List(documents) => documents,
            document => vec![document],
        };
        for document in documents {
            match document {
                Value::Map(members) => rows.push(path, members)?,
                other => {
                    let problem = format!("expected an object, found {}", other.kind());
                    return Err(file_error(
                        path,
                        place(here),
                        problem,
                        "write one object on each line, or a list of objects",
                    ));
                }
            }
        }
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }
    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(Value::Int(i))
    }
    fn visit_u64<E>(self, i: u64) -> Result<Value, E> {
        Ok(i64::try_from(i).map_or(Value::Float(i as f64), Value::Int))
    }
    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(Value::Float(x))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        // The last of equal keys counts; an index keeps this linear for objects of many keys.
        let (mut members, mut places) = (Vec::<(String, Value)>::new(), HashMap::new());
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            match places.get(&key) {
                Some(&place) => members[place] = (key, value),
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
        }
        Ok(Value::Map(members))
    }
}

/// A column of JSON has one type, as in Arrow: whole numbers beside fractions become fractions (also in lists), and
/// texts that are all dates become times, which Python writes out.
fn settle(documents: &mut [Vec<Value>], column: usize) {
    let values = || documents.iter().map(|document| &document[column]);
    let all = |wanted: fn(&Value) -> bool| values().all(|v| matches!(v, Value::None) || wanted(v));
    if all(|v| matches!(v, Value::Int(_) | Value::Float(_))) && values().any(|v| matches!(v, Value::Float(_))) {
        documents.iter_mut().for_each(|document| fraction(&mut document[column]));
    } else if all(is_numbers) && values().any(has_fraction) {
        for document in documents {
            if let Value::List(list) = &mut document[column] {
                list.iter_mut().for_each(fraction);
            }
        }
    } else if all(|v| matches!(v, Value::Text(text) if time(text).is_some())) {
        for document in documents {
            if let Value::Text(text) = &mut document[column] {
                *text = time(text).unwrap_or_default();
            }
        }
    }
}

fn is_numbers(value: &Value) -> bool {
    matches!(value, Value::List(list) if list.iter().all(|v| matches!(v, Value::Int(_) | Value::Float(_) | Value::None)))
}

fn has_fraction(value: &Value) -> bool {
    matches!(value, Value::List(list) if list.iter().any(|v| matches!(v, Value::Float(_))))
}

fn fraction(value: &mut Value) {
    if let Value::Int(i) = value {
        *value = Value::Float(*i as f64);
    }
}

/// `2020-01-31` or `2020-01-31 12:30:00` as Python writes the time that Arrow reads.
fn time(text: &str) -> Option<String> {
    let digits = |pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(c, p)| match p {
                b'0' => c.is_ascii_digit(),
                b'T' => matches!(c, b'T' | b' '),
                p => c == p,
            })
    };
    let within =
        |range: std::ops::Range<usize>, from, to| text[range].parse().is_ok_and(|n: u32| (from..=to).contains(&n));
    let date = || within(5..7, 1, 12) && within(8..10, 1, 31);
    if digits("0000-00-00") && date() {
        return Some(format!("{text} 00:00:00"));
    }
    let clock = || within(11..13, 0, 23) && within(14..16, 0, 59) && within(17..19, 0, 59);
    (digits("0000-00-00T00:00:00") && date() && clock()).then(|| text.replace('T', " "))
}

/// What pandas takes for a missing value.
const MISSING: [&str; 18] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan",
];

fn missing(cell: &str) -> bool {
    cell == "null" || MISSING.contains(&cell)
}

fn csv(path: &Path, text: &str, delimiter: u8, rows: &mut Rows) -> Result<(), Error> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let wrong = |e: csv::Error| file_error(path, String::new(), format!("not valid CSV ({e})"), "mend the file there");
    let header: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let mut seen = HashSet::new();
    if let Some(name) = header.iter().find(|name| !seen.insert(*name)) {
        return Err(file_error(
            path,
            ", line 1".into(),
            format!("two columns `{name}`"),
            "give each a name of its own",
        ));
    }
    let (mut cells, mut count) = (Vec::<Vec<String>>::new(), 0);
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        if record.len() > header.len() {
            let line = record.position().map_or(0, csv::Position::line);
            let problem = format!("{} cells below {} names of columns", record.len(), header.len());
            return Err(file_error(path, format!(", line {line}"), problem, "put cells with commas into quotes"));
        }
        // A line of white space is no document.
        if cells.len() < MAX_EXAMPLES && !(record.len() == 1 && record[0].trim().is_empty()) {
            cells.push(record.iter().map(str::to_owned).collect());
            count += record.len();
        }
    }
    nearly_empty(path, header.len(), cells.len(), count)?;
    let kinds: Vec<Cells> = (0..header.len()).map(|column| Cells::of(&cells, column)).collect();
    for record in cells {
        let mut record = record.into_iter();
        let cell = |kind: &Cells| kind.value(record.next().unwrap_or_default());
        let values: Vec<Value> = kinds.iter().map(cell).collect();
        rows.push(path, header.iter().cloned().zip(values).collect())?;
    }
    Ok(())
}

/// What pandas makes of a column's cells.
enum Cells {
    Ints,
    Floats,
    Bools,
    Texts,
}

impl Cells {
    fn of(cells: &[Vec<String>], column: usize) -> Self {
        let present =
            || cells.iter().filter_map(|row| row.get(column)).filter(|cell| !missing(cell)).map(|cell| cell.trim());
        let whole = cells.iter().all(|row| row.get(column).is_some_and(|cell| !missing(cell)));
        if present().all(|cell| cell.parse::<i64>().is_ok()) {
            if whole { Self::Ints } else { Self::Floats }
        } else if present().all(|cell| cell.parse::<f64>().is_ok()) {
            Self::Floats
        } else if present().all(|cell| truth(cell).is_some()) {
            Self::Bools
        } else {
            Self::Texts
        }
    }

    fn value(&self, cell: String) -> Value {
        if missing(&cell) {
            return Value::None;
        }
        let trimmed = cell.trim();
        match self {
            Self::Ints => trimmed.parse().map_or(Value::None, Value::Int),
            Self::Floats => trimmed.parse().map_or(Value::None, Value::Float),
            Self::Bools => truth(trimmed).map_or(Value::None, Value::Bool),
            Self::Texts => Value::Text(cell),
        }
    }
}

fn truth(cell: &str) -> Option<bool> {
    match cell {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

/// Documents that stand in the task file itself.
pub(super) fn from_samples(path: &Path, samples: &[Vec<(String, Value)>]) -> Result<Split, Error> {
    let mut rows = Rows { limit: MAX_GROWTH.1, ..Rows::default() };
    samples.iter().try_for_each(|members| rows.push(path, members.clone()))?;
    let mut split = rows.split;
    split.documents.iter_mut().for_each(|document| document.resize(split.columns.len(), Value::None));
    Ok(split)
}
