//! What a GGUF file says about its model: values by key.

use super::reader::Reader;
use crate::{
    Error,
    mapped::{Mapped, utf8},
};
use std::{collections::BTreeMap, fmt, ops::Range, path::Path, sync::Arc};

/// One value. Integers and floats are widened without loss.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An unsigned integer of 8 to 64 bits.
    Unsigned(u64),
    /// A signed integer of 8 to 64 bits.
    Signed(i64),
    /// A float of 32 or 64 bits.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// Values of one type, left in the file: read them with [`Metadata::integers`], [`Metadata::floats`],
    /// [`Metadata::texts`].
    Array(Array),
}

/// Where in the file the elements of an array are; their number has been checked against the file's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    kind: u32,
    length: usize,
    range: Range<usize>,
}

impl Array {
    /// Elements.
    pub fn len(&self) -> usize {
        self.length
    }

    /// No elements.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Value {
    /// An integer that is not negative, however it is stored.
    pub fn unsigned(&self) -> Option<u64> {
        match *self {
            Value::Unsigned(value) => Some(value),
            Value::Signed(value) => value.try_into().ok(),
            _ => None,
        }
    }
}

/// Short: arrays by their length, long text cut.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Unsigned(value) => write!(f, "{value}"),
            Value::Signed(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Text(text) if text.chars().count() > 60 => {
                write!(f, "{:?}...", text.chars().take(60).collect::<String>())
            }
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Array(array) => write!(f, "an array of {}", array.length),
        }
    }
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Bytes of a value of this type; of text, what its length takes.
fn size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        TEXT | 10..=12 => Some(8),
        _ => None,
    }
}

/// Reads one key and its value.
pub(super) fn entry(reader: &mut Reader, index: u64) -> Result<(String, Value), Error> {
    let key = reader.text(&format!("key of metadata entry {index}"))?;
    let part = format!("metadata `{key}`");
    let kind = reader.u32(&part)?;
    let value = match kind {
        TEXT => Value::Text(utf8(reader.path(), &part, reader.bytes(&part)?)?),
        ARRAY => Value::Array(array(reader, &part)?),
        _ => {
            let size = size(kind).ok_or_else(|| unknown(reader.path(), &part, kind))?;
            number(kind, reader.skip(&part, size)?)
        }
    };
    Ok((key, value))
}

fn unknown(path: &Path, part: &str, kind: u32) -> Error {
    Error::damaged(path, part, format!("expected a type from 0 to 12, found {kind}"))
}

/// Passes over an array, so that all of it is known to be there.
fn array(reader: &mut Reader, part: &str) -> Result<Array, Error> {
    let kind = reader.u32(part)?;
    if kind == ARRAY {
        return Err(Error::damaged(reader.path(), part, "expected an array of plain values, found one of arrays"));
    }
    let size = size(kind).ok_or_else(|| unknown(reader.path(), part, kind))?;
    let length = reader.count(part, size)?;
    let begin = reader.at();
    if kind == TEXT {
        for _ in 0..length {
            reader.bytes(part)?;
        }
    } else {
        // No overflow: `count` found room for so many.
        reader.skip(part, length * size)?;
    }
    Ok(Array { kind, length: length as usize, range: begin..reader.at() })
}

/// A value that is neither text nor array, of as many bytes as its type has.
fn number(kind: u32, bytes: &[u8]) -> Value {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unsigned = u64::from_le_bytes(wide);
    match kind {
        1 => Value::Signed((unsigned as i8).into()),
        3 => Value::Signed((unsigned as i16).into()),
        5 => Value::Signed((unsigned as i32).into()),
        6 => Value::Float(f32::from_bits(unsigned as u32).into()),
        7 => Value::Bool(unsigned != 0),
        11 => Value::Signed(unsigned as i64),
        12 => Value::Float(f64::from_bits(unsigned)),
        _ => Value::Unsigned(unsigned),
    }
}

/// All metadata of a file. Arrays stay in the file until they are asked for.
#[derive(Clone, Debug)]
pub struct Metadata {
    file: Arc<Mapped>,
    values: BTreeMap<String, Value>,
}

impl Metadata {
    pub(super) fn new(file: Arc<Mapped>, values: BTreeMap<String, Value>) -> Self {
        Metadata { file, values }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Every key with its value, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// An integer that is not negative; `None` where there is no such key. Errors: another type.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>, Error> {
        self.typed(key, "an integer that is not negative", Value::unsigned)
    }

    /// A number; `None` where there is no such key. Errors: another type.
    pub fn float(&self, key: &str) -> Result<Option<f64>, Error> {
        self.typed(key, "a number", |value| match *value {
            Value::Float(value) => Some(value),
            _ => value.unsigned().map(|value| value as f64),
        })
    }

    /// True or false; `None` where there is no such key. Errors: another type.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "true or false", |value| match *value {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    /// Text; `None` where there is no such key. Errors: another type.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        let value = self.values.get(key);
        self.typed(key, "text", |value| matches!(value, Value::Text(_)).then_some(()))?;
        Ok(value.and_then(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None }))
    }

    /// An array of integers (or of true and false, as 1 and 0); `None` where there is no such key. Errors: another type,
    /// a value beyond `i64`.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, Error> {
        self.array(key, "an array of integers", |value| match *value {
            Value::Signed(value) => Some(value),
            Value::Unsigned(value) => i64::try_from(value).ok(),
            Value::Bool(value) => Some(value.into()),
            _ => None,
        })
    }

    /// An array of floats; `None` where there is no such key. Errors: another type.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f64>>, Error> {
        self.array(key, "an array of floats", |value| match *value {
            Value::Float(value) => Some(value),
            _ => None,
        })
    }

    /// An array of texts, each as its bytes in the file; `None` where there is no such key. Errors: another type.
    pub fn texts(&self, key: &str) -> Result<Option<impl Iterator<Item = &[u8]>>, Error> {
        let Some(array) = self.typed(key, "an array of texts", |value| match value {
            Value::Array(array) if array.kind == TEXT => Some(array.clone()),
            _ => None,
        })?
        else {
            return Ok(None);
        };
        let mut reader = Reader::new(&self.file.path, &self.file.bytes()[array.range]);
        Ok(Some((0..array.length).map_while(move |_| reader.bytes("").ok())))
    }

    /// The bytes of an array in the file.
    pub(crate) fn raw(&self, array: &Array) -> &[u8] {
        &self.file.bytes()[array.range.clone()]
    }

    /// The metadata's own file, for errors.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.mistyped(key, expected, value))
    }

    fn array<T>(&self, key: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<Vec<T>>, Error> {
        let Some(array) = self.typed(key, expected, |value| match value {
            Value::Array(array) if array.kind != TEXT => Some(array.clone()),
            _ => None,
        })?
        else {
            return Ok(None);
        };
        let size = size(array.kind).unwrap_or(1) as usize;
        let elements = self.file.bytes()[array.range].chunks_exact(size).map(|bytes| number(array.kind, bytes));
        let read = |value| read(&value).ok_or_else(|| self.mistyped(key, expected, &value));
        elements.map(read).collect::<Result<_, _>>().map(Some)
    }

    fn mistyped(&self, key: &str, expected: &str, found: &Value) -> Error {
        Error::damaged(&self.file.path, &format!("metadata `{key}`"), format!("expected {expected}, found {found}"))
    }
}
