//! JSON as Python's `json` module takes it: `NaN` and `Infinity`, keys that come twice, halves of surrogate pairs.
//!
//! The reader pulls one value after another, so that a file of a hundred megabytes is never one tree in memory. Depth is
//! bounded, and every complaint names its place in the file.

use super::MAX_DEPTH;
use std::collections::HashMap;

/// A value. An object keeps its keys in the order of their first coming and their last value, as a `dict` does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// An integer, as its digits stand: Python's have no bound.
    Int(String),
    Float(f64),
    Text(Text),
    List(Vec<Value>),
    Object(Vec<(Text, Value)>),
}

/// A text; `broken` if it has half a surrogate pair, which no UTF-8 holds (its escape stands in `text`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) broken: bool,
}

/// What is wrong, at which byte.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) at: usize,
    pub(super) problem: String,
}

type Result<T, E = Malformed> = std::result::Result<T, E>;

/// Reads values from the text of a file.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Keys that came twice in one object.
    pub(super) duplicates: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Reader { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, depth: 0, duplicates: Vec::new() }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(Malformed { at: self.at, problem: problem.into() })
    }

    /// The next byte after white space, not taken.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes().get(self.at) {
            self.at += 1;
        }
        self.bytes().get(self.at).copied()
    }

    /// Takes `byte` after white space, if it is there.
    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if there { word.len() } else { 0 };
        there
    }

    /// Nothing but white space may be left.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.peek().is_some() { self.fail("more text after the end of the value") } else { Ok(()) }
    }

    /// One level deeper.
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.fail(format!("more than {MAX_DEPTH} levels of nesting")) } else { Ok(()) }
    }

    /// Reads an object, calling `member` where the value of each key begins; `None` if here is none.
    pub(super) fn object<E: From<Malformed>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Text) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        self.take(b'{').then(|| {
            self.enter()?;
            if !self.take(b'}') {
                loop {
                    if self.peek() != Some(b'"') {
                        return Ok(self.fail("expected a key in double quotes")?);
                    }
                    let key = self.text()?;
                    if !self.take(b':') {
                        return Ok(self.fail("expected `:` after a key")?);
                    }
                    member(self, key)?;
                    if self.take(b'}') {
                        break;
                    }
                    if !self.take(b',') {
                        return Ok(self.fail("expected `,` or `}`")?);
                    }
                }
            }
            self.depth -= 1;
            Ok(())
        })
    }

    /// Reads a list, calling `element` where each element begins; `None` if here is none.
    pub(super) fn list<E: From<Malformed>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        self.take(b'[').then(|| {
            self.enter()?;
            if !self.take(b']') {
                loop {
                    element(self)?;
                    if self.take(b']') {
                        break;
                    }
                    if !self.take(b',') {
                        return Ok(self.fail("expected `,` or `]`")?);
                    }
                }
            }
            self.depth -= 1;
            Ok(())
        })
    }

    /// Reads any value.
    pub(super) fn value(&mut self) -> Result<Value> {
        let mut members = Vec::new();
        if let Some(read) = self.object(|reader, key| {
            members.push((key, reader.value()?));
            Ok::<(), Malformed>(())
        }) {
            read?;
            return Ok(Value::Object(self.without_duplicates(members)));
        }
        let mut elements = Vec::new();
        if let Some(read) = self.list(|reader| {
            elements.push(reader.value()?);
            Ok::<(), Malformed>(())
        }) {
            read?;
            return Ok(Value::List(elements));
        }
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.text()?)),
            Some(_) => self.scalar(),
            None => self.fail("the text ends where a value should be"),
        }
    }

    fn without_duplicates(&mut self, members: Vec<(Text, Value)>) -> Vec<(Text, Value)> {
        let mut places: HashMap<String, usize> = HashMap::with_capacity(members.len());
        let mut kept: Vec<(Text, Value)> = Vec::with_capacity(members.len());
        for (key, value) in members {
            match places.get(&key.text) {
                Some(&place) if kept[place].0.broken == key.broken => {
                    kept[place].1 = value;
                    self.duplicates.push(key.text);
                }
                _ => {
                    places.insert(key.text.clone(), kept.len());
                    kept.push((key, value));
                }
            }
        }
        kept
    }

    fn scalar(&mut self) -> Result<Value> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        for (word, value) in words {
            if self.take_word(word) {
                return Ok(value);
            }
        }
        let from = self.at;
        let digits = |at: usize| self.bytes()[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = from + usize::from(self.bytes()[from] == b'-');
        let whole = digits(end);
        if whole == 0 {
            return self.fail("expected a value");
        }
        // A number has no leading zeros: what follows a zero is no part of it.
        end += if self.bytes()[end] == b'0' { 1 } else { whole };
        let mut float = false;
        if self.bytes().get(end) == Some(&b'.') && digits(end + 1) > 0 {
            (end, float) = (end + 1 + digits(end + 1), true);
        }
        if let Some(b'e' | b'E') = self.bytes().get(end) {
            let sign = usize::from(matches!(self.bytes().get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(self.bytes().len().min(end + 1 + sign));
            if exponent > 0 {
                (end, float) = (end + 1 + sign + exponent, true);
            }
        }
        let literal = &self.text[from..end];
        self.at = end;
        Ok(if float { Value::Float(literal.parse().unwrap_or(f64::NAN)) } else { Value::Int(literal.to_owned()) })
    }

    /// Reads a text; its opening quote is here.
    fn text(&mut self) -> Result<Text> {
        self.at += 1;
        let mut out = Text { text: String::new(), broken: false };
        loop {
            let rest = &self.bytes()[self.at..];
            let Some(plain) = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < b' ') else {
                self.at = self.bytes().len();
                return self.fail("a text without its closing quote");
            };
            out.text.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => self.escape(&mut out)?,
                _ => return self.fail("a control character inside a text: write it as an escape, such as \\n"),
            }
        }
    }

    fn escape(&mut self, out: &mut Text) -> Result<()> {
        let c = match self.bytes().get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(out),
            _ => return self.fail("an unknown escape in a text"),
        };
        out.text.push(c);
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self, out: &mut Text) -> Result<()> {
        let unit = |at: usize| {
            let digits = self.bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
            let hex = |value: u32, byte: &u8| Some(value * 16 + char::from(*byte).to_digit(16)?);
            digits.iter().try_fold(0, hex)
        };
        let Some(first) = unit(self.at) else { return self.fail("expected four hexadecimal digits after \\u") };
        if let Some(c) = char::from_u32(first) {
            out.text.push(c);
            self.at += 6;
            return Ok(());
        }
        let second = unit(self.at + 6).filter(|second| first < 0xdc00 && (0xdc00..0xe000).contains(second));
        let pair = second.and_then(|second| char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
        match pair {
            Some(c) => {
                out.text.push(c);
                self.at += 12;
            }
            None => {
                out.text.push_str(&format!("\\u{first:04x}"));
                out.broken = true;
                self.at += 6;
            }
        }
        Ok(())
    }
}

impl Value {
    /// Whether Python takes the value for true: the text "false" is.
    pub(super) fn truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Int(digits) => digits.bytes().any(|b| (b'1'..=b'9').contains(&b)),
            Value::Float(x) => *x != 0.0,
            Value::Text(text) => !text.text.is_empty(),
            Value::List(elements) => !elements.is_empty(),
            Value::Object(members) => !members.is_empty(),
        }
    }

    /// The number, where this is one; a boolean is 0 or 1.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            Value::Int(digits) => digits.parse().ok(),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// What the value is, for a message.
    pub(super) fn kind(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(_) | Value::Float(_) => "a number".into(),
            Value::Text(text) if text.broken => "a text with half a surrogate pair".into(),
            Value::Text(_) => "a text".into(),
            Value::List(_) => "a list".into(),
            Value::Object(_) => "an object".into(),
        }
    }

    /// Feeds `hasher` so that values have equal hashes where `json.dumps` writes the same of them (`exact`), or where
    /// Python's `==` holds (1 == 1.0 == True; a NaN equals none, so `nan` is fed for it).
    pub(super) fn hash(&self, exact: bool, nan: u64, hasher: &mut blake3::Hasher) {
        match self {
            Value::Null => feed(hasher, b'n', &[]),
            Value::Bool(value) if exact => feed(hasher, b'b', &[u8::from(*value)]),
            Value::Bool(value) => feed(hasher, b'i', if *value { b"1" } else { b"0" }),
            Value::Int(digits) if digits == "-0" => feed(hasher, b'i', b"0"),
            Value::Int(digits) => feed(hasher, b'i', digits.as_bytes()),
            Value::Float(x) if x.is_nan() => feed(hasher, b'x', &if exact { 0 } else { nan }.to_le_bytes()),
            Value::Float(x) if !exact && x.is_finite() && x.trunc() == *x => {
                feed(hasher, b'i', format!("{:.0}", x + 0.0).as_bytes());
            }
            Value::Float(x) => feed(hasher, b'f', &x.to_bits().to_le_bytes()),
            Value::Text(text) => hash_text(text, hasher),
            Value::List(elements) => {
                feed(hasher, b'l', &(elements.len() as u64).to_le_bytes());
                elements.iter().for_each(|element| element.hash(exact, nan, hasher));
            }
            Value::Object(members) => {
                feed(hasher, b'o', &(members.len() as u64).to_le_bytes());
                for (key, value) in members {
                    hash_text(key, hasher);
                    value.hash(exact, nan, hasher);
                }
            }
        }
    }
}

pub(super) fn hash_text(text: &Text, hasher: &mut blake3::Hasher) {
    feed(hasher, if text.broken { b'B' } else { b's' }, text.text.as_bytes());
}

/// Lengths come first, so that no two sequences run together.
fn feed(hasher: &mut blake3::Hasher, kind: u8, bytes: &[u8]) {
    hasher.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        reader.end().map(|()| value)
    }

    fn text(text: &str, broken: bool) -> Value {
        Value::Text(Text { text: text.into(), broken })
    }

    #[test]
    fn what_python_reads() {
        let check = |json: &str, expect: Value| assert_eq!(read(json).unwrap(), expect, "{json}");
        check(r#"  "a\u00e9\n\ud83d\ude00\/" "#, text("aé\n😀/", false));
        check(r#""\ud83dx""#, text("\\ud83dx", true));
        check(r#""\ude00\ud83d""#, text("\\ude00\\ud83d", true));
        check("[1, -0, 1.50e1, Infinity, 1E400]", {
            let infinity = || Value::Float(f64::INFINITY);
            Value::List(vec![
                Value::Int("1".into()),
                Value::Int("-0".into()),
                Value::Float(15.0),
                infinity(),
                infinity(),
            ])
        });
        assert!(matches!(read("NaN"), Ok(Value::Float(x)) if x.is_nan()));
        let key = |key: &str| Text { text: key.into(), broken: false };
        // The first place and the last value, as in a dict.
        check(r#"{"a": 1, "b": 2, "a": 3}"#, {
            Value::Object(vec![(key("a"), Value::Int("3".into())), (key("b"), Value::Int("2".into()))])
        });
        check("\u{feff}{}", Value::Object(vec![]));
    }

    #[test]
    fn what_python_refuses() {
        for json in [
            "",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "01",
            "1.",
            "-",
            "+1",
            ".5",
            "nan",
            "\"a",
            "\"\\x\"",
            "\"\n\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "[1] 2",
            "tru",
            "[1 2]",
            "1e",
            "\"\\",
        ] {
            assert!(read(json).is_err(), "{json:?}");
        }
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(read(&deep(MAX_DEPTH)).is_ok());
        assert!(read(&deep(MAX_DEPTH + 1)).is_err());
        assert!(read(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn hashes_follow_dumps_and_equality() {
        let hash = |json: &str, exact| {
            let mut hasher = blake3::Hasher::new();
            read(json).unwrap().hash(exact, 7, &mut hasher);
            hasher.finalize()
        };
        let check = |a: &str, b: &str, dumps, equal| {
            assert_eq!(hash(a, true) == hash(b, true), dumps, "dumps {a} {b}");
            assert_eq!(hash(a, false) == hash(b, false), equal, "== {a} {b}");
        };
        check("1", "1.0", false, true);
        check("true", "1", false, true);
        check("0.0", "-0.0", false, true);
        check("0.1", "0.10", true, true);
        check("9007199254740993", "9007199254740992.0", false, false);
        check(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, false, false);
        check(r#"["ab","c"]"#, r#"["a","bc"]"#, false, false);
        check(r#"[[],[1]]"#, r#"[[1],[]]"#, false, false);
    }
}
