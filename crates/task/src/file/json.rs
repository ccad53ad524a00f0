//! A JSON value that knows where in its file it stands, so that every complaint names the place.

use super::MAX_TEXT_BYTES;
use crate::{Error, read::file_error};
use serde_json::Value;
use std::path::Path;

/// A value in a file.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) file: &'a Path,
    /// The line, in JSONL.
    pub(super) line: Option<usize>,
    pub(super) at: At<'a>,
    pub(super) value: &'a Value,
}

/// A path inside a JSON value, such as `examples[3].target`; borrowed, so that walking costs nothing.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl std::fmt::Display for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            At::Root => Ok(()),
            At::Key(At::Root, key) => write!(f, "{}", shorten(key)),
            At::Key(parent, key) => write!(f, "{parent}.{}", shorten(key)),
            At::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Quoted text in messages stays readable.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'a> Node<'a> {
    pub(super) fn error(&self, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let at = match self.at {
            At::Root => String::new(),
            at => format!(", at `{at}`"),
        };
        file_error(self.file, line + &at, problem, remedy)
    }

    /// The member `key`, if it is there and not null.
    pub(super) fn get<'b>(&'b self, key: &'b str) -> Option<Node<'b>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Node { file: self.file, line: self.line, at: At::Key(&self.at, key), value })
    }

    pub(super) fn elements<'b>(&'b self, remedy: &str) -> Result<impl Iterator<Item = Node<'b>>, Error> {
        let Some(values) = self.value.as_array() else { return Err(self.mistyped("a list", remedy)) };
        let node = |(i, value)| Node { file: self.file, line: self.line, at: At::Index(&self.at, i), value };
        Ok(values.iter().enumerate().map(node))
    }

    pub(super) fn object(&self, remedy: &str) -> Result<&'a serde_json::Map<String, Value>, Error> {
        self.value.as_object().ok_or_else(|| self.mistyped("an object", remedy))
    }

    pub(super) fn members<'b>(&'b self, remedy: &str) -> Result<impl Iterator<Item = (&'b str, Node<'b>)>, Error> {
        let map = self.object(remedy)?;
        let node = |(key, value): (&'b String, &'b Value)| {
            (key.as_str(), Node { file: self.file, line: self.line, at: At::Key(&self.at, key), value })
        };
        Ok(map.iter().map(node))
    }

    pub(super) fn text(&self, remedy: &str) -> Result<&'a str, Error> {
        let Value::String(text) = self.value else { return Err(self.mistyped("a text", remedy)) };
        self.limited(text)
    }

    /// `text`, unless it is too long.
    pub(super) fn limited<'b>(&self, text: &'b str) -> Result<&'b str, Error> {
        if text.len() <= MAX_TEXT_BYTES {
            return Ok(text);
        }
        let problem = format!("a text of {} bytes, over the limit of {MAX_TEXT_BYTES}", text.len());
        Err(self.error(problem, "shorten it: no model here reads so much at once"))
    }

    /// A finite number.
    pub(super) fn number(&self, remedy: &str) -> Result<f64, Error> {
        self.value.as_f64().filter(|x| x.is_finite()).ok_or_else(|| self.mistyped("a number", remedy))
    }

    pub(super) fn mistyped(&self, wanted: &str, remedy: &str) -> Error {
        self.error(format!("expected {wanted}, found {}", kind(self.value)), remedy)
    }
}

pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the text {:?}", shorten(s)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}
