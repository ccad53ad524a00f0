//! The values of a data file and how Python writes and reads them: `str`, `repr`, `==` and `ast.literal_eval`.

/// A value of a data file.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// In the order of the file.
    Map(Vec<(String, Value)>),
}

/// As Python compares: `True == 1 == 1.0`, mappings whatever their order.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, x)| b.iter().any(|(k, y)| k == key && x == y))
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }
}

impl Value {
    fn number(&self) -> Option<f64> {
        match self {
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Int(i) => Some(*i as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// An integer as Python sees it; truth values are some.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::None => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Python's `str(value)`.
    pub(crate) fn str(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            _ => self.repr(),
        }
    }

    /// Python's `repr(value)`.
    pub(crate) fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(&mut out);
        out
    }

    fn write_repr(&self, out: &mut String) {
        match self {
            Value::None => out.push_str("None"),
            Value::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
            Value::Int(i) => out.push_str(&i.to_string()),
            Value::Float(x) => out.push_str(&float(*x)),
            Value::Text(text) => write_text(text, out),
            Value::List(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { ", " });
                    value.write_repr(out);
                }
                out.push(']');
            }
            Value::Map(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { ", " });
                    write_text(key, out);
                    out.push_str(": ");
                    value.write_repr(out);
                }
                out.push('}');
            }
        }
    }
}

/// Python's `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.into();
    }
    let size = x.abs();
    if x != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |rest| ("-", rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{x:?}")
}

/// Python's `repr` of a text.
pub(crate) fn write_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    out.push(quote);
}

/// Rust's debug output leaves as they are the same characters that Python's `isprintable` does, once it is not the
/// first, where combining characters are escaped.
fn printable(c: char) -> bool {
    matches!(c, '\'' | '"') || ['a', c].iter().collect::<String>().escape_debug().nth(1) == Some(c)
}

/// Whether Python's `str.strip()` takes the character off: Unicode's white space and the four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The most levels that a value may have.
pub(crate) const MAX_DEPTH: usize = 32;

/// Python's `ast.literal_eval`, for texts, numbers, truth values, `None`, lists, tuples (as lists) and mappings.
/// `None` where Python would refuse, and for what is nested too deep.
pub(crate) fn literal(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), depth: 0 };
    let value = reader.value()?;
    reader.space();
    if !reader.rest.starts_with(',') {
        return reader.rest.is_empty().then_some(value);
    }
    // `1, 2` is a tuple too.
    let mut values = vec![value];
    while reader.eat(',') {
        reader.space();
        if reader.rest.is_empty() {
            break;
        }
        values.push(reader.value()?);
        reader.space();
    }
    reader.rest.is_empty().then_some(Value::List(values))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Value> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            '[' => {
                self.eat('[');
                self.items(']').map(|(values, _)| Value::List(values))
            }
            '(' => {
                self.eat('(');
                let (mut values, comma) = self.items(')')?;
                // `(1)` is 1, `(1,)` a tuple.
                if values.len() == 1 && !comma { values.pop() } else { Some(Value::List(values)) }
            }
            '{' => self.mapping(),
            '\'' | '"' => self.texts(),
            c if c.is_ascii_alphabetic() => self.word(),
            _ => self.number(),
        }
    }

    /// The values up to `close`, and whether a comma came last.
    fn items(&mut self, close: char) -> Option<(Vec<Value>, bool)> {
        self.depth += 1;
        let (mut values, mut comma) = (Vec::new(), false);
        loop {
            self.space();
            if self.eat(close) {
                self.depth -= 1;
                return Some((values, comma));
            }
            if !values.is_empty() && !comma {
                return None;
            }
            values.push(self.value()?);
            self.space();
            comma = self.eat(',');
        }
    }

    fn mapping(&mut self) -> Option<Value> {
        self.eat('{');
        self.depth += 1;
        let (mut members, mut comma) = (Vec::<(String, Value)>::new(), true);
        loop {
            self.space();
            if self.eat('}') {
                self.depth -= 1;
                return Some(Value::Map(members));
            }
            if !comma {
                return None;
            }
            let key = self.value()?.str();
            self.space();
            if !self.eat(':') {
                return None;
            }
            let value = self.value()?;
            match members.iter_mut().find(|(k, _)| *k == key) {
                Some(member) => member.1 = value,
                None => members.push((key, value)),
            }
            self.space();
            comma = self.eat(',');
        }
    }

    fn word(&mut self) -> Option<Value> {
        let raw = self.rest.strip_prefix(['r', 'R', 'u', 'U']).filter(|rest| rest.starts_with(['\'', '"']));
        if let Some(rest) = raw {
            let escapes = self.rest.starts_with(['u', 'U']);
            self.rest = rest;
            return self.text(escapes).map(Value::Text);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.char_indices().find(|&(i, c)| {
            let exponent = self.rest[..i].ends_with(['e', 'E']);
            !(c.is_ascii_digit()
                || matches!(c, '.' | '_' | 'e' | 'E')
                || (matches!(c, '+' | '-') && (i == 0 || exponent)))
        });
        let (digits, rest) = self.rest.split_at(end.map_or(self.rest.len(), |(i, _)| i));
        self.rest = rest;
        let plain: String = digits.chars().filter(|&c| c != '_').collect();
        let unsigned = plain.trim_start_matches(['+', '-']);
        if unsigned.bytes().all(|b| b.is_ascii_digit()) {
            // Python reads no integer with leading zeros, but for zero itself.
            let leading = unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().any(|b| b != b'0');
            return if leading { None } else { plain.parse().ok().map(Value::Int) };
        }
        plain.parse().ok().map(Value::Float)
    }

    /// One text, or several beside each other, which Python joins.
    fn texts(&mut self) -> Option<Value> {
        let mut text = self.text(true)?;
        loop {
            self.space();
            if !self.rest.starts_with(['\'', '"']) {
                return Some(Value::Text(text));
            }
            text.push_str(&self.text(true)?);
        }
    }

    fn text(&mut self, escapes: bool) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple: String = [quote; 3].iter().collect();
        let end = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[end.len()..];
        let mut text = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(end.as_str()) {
                self.rest = rest;
                return Some(text);
            }
            let c = self.next()?;
            match c {
                '\n' if end.len() == 1 => return None,
                '\\' if escapes => self.escape(&mut text)?,
                '\\' => text.extend([c, self.next()?]),
                c => text.push(c),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let c = self.next()?;
        let mut code = |digits: usize| {
            let number = u32::from_str_radix(self.rest.get(..digits)?, 16).ok()?;
            self.rest = &self.rest[digits..];
            char::from_u32(number)
        };
        match c {
            '\n' => {}
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'f' => text.push('\x0c'),
            'v' => text.push('\x0b'),
            '\\' | '\'' | '"' => text.push(c),
            'x' => text.push(code(2)?),
            'u' => text.push(code(4)?),
            'U' => text.push(code(8)?),
            'N' => return None,
            '0'..='7' => {
                let mut number = c.to_digit(8)?;
                while let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)).filter(|_| number < 0o40) {
                    number = number * 8 + digit;
                    self.next();
                }
                text.push(char::from_u32(number)?);
            }
            c => text.extend(['\\', c]),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_python_writes_it() {
        let check = |value: Value, expect: &str| assert_eq!(value.repr(), expect);
        check(Value::Float(1.0), "1.0");
        check(Value::Float(1e16), "1e+16");
        check(Value::Float(1.5e-7), "1.5e-07");
        check(Value::Float(0.0001), "0.0001");
        check(Value::Float(123456789012345680.0), "1.2345678901234568e+17");
        check(Value::Text("it's".into()), r#""it's""#);
        check(Value::Text("it's \"so\"\n\u{a0}\u{200b}é\u{301}".into()), r#"'it\'s "so"\n\xa0\u200bé́'"#);
        let list = Value::List(vec![Value::None, Value::Bool(true), Value::Text("a".into())]);
        check(Value::Map(vec![("k".into(), list)]), "{'k': [None, True, 'a']}");
    }

    #[test]
    fn literals_as_python_reads_them() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(literal(text).map(|value| value.repr()).as_deref(), expect, "{text}");
        };
        check("['a', \"b's\", 1, -2.5, True, None]", Some(r#"['a', "b's", 1, -2.5, True, None]"#));
        check("('a',)", Some("['a']"));
        check("(1)", Some("1"));
        check("()", Some("[]"));
        check(" 'a' 'b'", Some("'ab'"));
        check("'a', 'b'", Some("['a', 'b']"));
        check(r"'\x41\u00e9\n\q\101'", Some(r"'AéA'").map(|_| r"'Aé\n\\qA'"));
        check("{'a': [1, 2,], 'b': {}}", Some("{'a': [1, 2], 'b': {}}"));
        check("[1 2]", None);
        check("['a'", None);
        check("[a]", None);
        check("007", None);
        check("00", Some("0"));
        check("__import__('os')", None);
        check("1 + 1", None);
        check(&"[".repeat(100_000), None);
    }

    #[test]
    fn compared_as_python_compares() {
        assert_eq!(Value::Bool(true), Value::Float(1.0));
        assert_ne!(Value::Text("1".into()), Value::Int(1));
        assert_ne!(Value::Float(f64::NAN), Value::Float(f64::NAN));
    }
}
