//! YAML as PyYAML reads it (1.1: `yes` is true, `1e3` a text), with the place of every value; `include` files merged.

use super::file_error;
use crate::{Error, read::read_text};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Larger YAML files are refused: 4 MiB.
pub(super) const MAX_YAML_BYTES: u64 = 4 << 20;
/// The most values of one file, aliases counted as often as they are used, and long texts as several values.
const MAX_NODES: usize = 200_000;
/// The most levels of a file.
const MAX_DEPTH: usize = 32;
/// The most files that include each other.
const MAX_INCLUDES: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) file: Arc<Path>,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) data: Data,
}

/// What a YAML value is, after PyYAML's resolution.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Members),
    /// `!function module.name`: Python code.
    Function(String),
}

/// Keys and values, in the order of the file, each key once.
pub(super) type Members = Vec<(String, Node)>;

impl Node {
    pub(super) fn error(&self, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
        file_error(&self.file, format!(", line {}", self.line), problem, remedy)
    }

    /// `expected` is, for example, "a text".
    pub(super) fn mistyped(&self, key: &str, expected: &str) -> Error {
        if let Data::Function(name) = &self.data {
            let problem = format!("`{key}` needs the Python function `{name}`");
            return self
                .error(problem, "write it as a Jinja template, or prepare the data beforehand: no Python is run");
        }
        let found = match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a truth value",
            Data::Int(_) | Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
            Data::Function(_) => "a function",
        };
        self.error(format!("`{key}` is {found}, expected {expected}"), format!("write {expected}"))
    }
}

/// Sets keys; one that was there keeps its place.
pub(super) fn set(members: &mut Members, more: impl IntoIterator<Item = (String, Node)>) {
    let mut places: HashMap<String, usize> = members.iter().map(|(key, _)| key.clone()).zip(0..).collect();
    for (key, node) in more {
        match places.get(&key) {
            Some(&place) => members[place].1 = node,
            None => {
                places.insert(key.clone(), members.len());
                members.push((key, node));
            }
        }
    }
}

/// Number of values, texts counted by their length too: what it costs to copy them.
pub(super) fn size(members: &Members) -> usize {
    fn of(node: &Node) -> usize {
        match &node.data {
            Data::Text(text) | Data::Function(text) => weight(text),
            Data::List(list) => 1 + list.iter().map(of).sum::<usize>(),
            Data::Map(members) => 1 + size(members),
            _ => 1,
        }
    }
    members.iter().map(|(key, node)| weight(key) + of(node)).sum()
}

fn weight(text: &str) -> usize {
    1 + text.len() / 64
}

/// Reads a file whose top level is a mapping; what it includes comes first, its own keys win.
///
/// # Errors
/// [`Error::File`] for what is no YAML, too large or too deep, and for includes that are missing or go round in circles.
pub(super) fn read(path: &Path) -> Result<Members, Error> {
    read_including(path, &mut Vec::new())
}

fn read_including(path: &Path, seen: &mut Vec<PathBuf>) -> Result<Members, Error> {
    let mut own = read_alone(path)?;
    seen.push(path.canonicalize().unwrap_or_else(|_| path.into()));
    let Some(at) = own.iter().position(|(key, _)| key == "include") else { return Ok(own) };
    let (_, include) = own.remove(at);
    let includes = match &include.data {
        Data::List(list) => list.iter().collect(),
        _ => vec![&include],
    };
    let mut merged = Members::new();
    for node in includes {
        let Data::Text(name) = &node.data else { return Err(node.mistyped("include", "the path of a file")) };
        let included = path.parent().unwrap_or(Path::new("")).join(name);
        let problem = format!("cannot include {}", included.display());
        let Ok(canonical) = included.canonicalize() else {
            return Err(node.error(problem + ": there is no such file", "write its path, relative to this file"));
        };
        if seen.contains(&canonical) || seen.len() == MAX_INCLUDES {
            return Err(node.error(problem + ": it is included already", "include each file once"));
        }
        set(&mut merged, read_including(&included, seen)?.into_iter().filter(|(key, _)| key != "task_list"));
    }
    set(&mut merged, own);
    Ok(merged)
}

fn read_alone(path: &Path) -> Result<Members, Error> {
    parse(path, &read_text(path, MAX_YAML_BYTES, "keep the data in files of their own")?)
}

/// Parses one document whose top level is a mapping.
pub(super) fn parse(path: &Path, text: &str) -> Result<Members, Error> {
    let parsed = parse_strictly(path, text);
    match &parsed {
        Err(Error::File { problem, .. }) if problem.contains("invalid indentation") => {
            // PyYAML takes lines inside brackets and quotes at any indentation.
            parse_strictly(path, &super::yaml_indent::indented(text)).or(parsed)
        }
        _ => parsed,
    }
}

fn parse_strictly(path: &Path, text: &str) -> Result<Members, Error> {
    let mut composer = Composer { file: path.into(), anchors: HashMap::new(), nodes: 0 };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut document = None;
    while let Some(event) = parser.next_event() {
        let (event, line) = composer.checked(event)?;
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event if document.is_none() => document = Some(composer.node(event, line, &mut parser, 0)?),
            _ => return Err(composer.error(line, "a second document", "keep one task in a file")),
        }
    }
    match document {
        Some(Node { data: Data::Map(members), .. }) => Ok(members),
        Some(node) => Err(node.error("the file is no mapping", "write `task: NAME` and the other keys of a task")),
        None => {
            Err(file_error(path, String::new(), "an empty file", "write `task: NAME` and the other keys of a task"))
        }
    }
}

type Scanned<'t> = Result<(Event<'t>, saphyr_parser::Span), saphyr_parser::ScanError>;

/// What `<<` brings into a mapping.
#[derive(Default)]
struct Merged {
    members: Members,
    keys: HashSet<String>,
}

struct Composer {
    file: Arc<Path>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Composer {
    fn error(&self, line: usize, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
        file_error(&self.file, format!(", line {line}"), problem, remedy)
    }

    fn checked<'t>(&self, event: Scanned<'t>) -> Result<(Event<'t>, usize), Error> {
        match event {
            Ok((event, span)) => Ok((event, span.start.line())),
            Err(e) => {
                let place = format!(", line {}, column {}", e.marker().line(), e.marker().col() + 1);
                Err(file_error(&self.file, place, format!("not valid YAML ({})", e.info()), "mend the file there"))
            }
        }
    }

    fn next<'t>(
        &self,
        line: usize,
        parser: &mut Parser<'t, saphyr_parser::StrInput<'t>>,
    ) -> Result<(Event<'t>, usize), Error> {
        match parser.next_event() {
            Some(event) => self.checked(event),
            None => Err(self.error(line, "the file ends within a value", "mend the file there")),
        }
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(self.error(
                line,
                format!("more than {MAX_NODES} values"),
                "keep the data in files of their own",
            ));
        }
        Ok(())
    }

    fn node<'t>(
        &mut self,
        event: Event<'t>,
        line: usize,
        parser: &mut Parser<'t, saphyr_parser::StrInput<'t>>,
        depth: usize,
    ) -> Result<Node, Error> {
        if depth == MAX_DEPTH {
            return Err(self.error(line, format!("more than {MAX_DEPTH} levels"), "nest less deeply"));
        }
        let before = self.nodes;
        self.count(1, line)?;
        let (anchor, data) = match event {
            Event::Alias(anchor) => {
                let Some(size) = self.anchors.get(&anchor).map(|(_, size)| *size) else {
                    return Err(self.error(line, "an alias of a value that is not complete", "write the value out"));
                };
                self.count(size, line)?;
                return Ok(self.anchors[&anchor].0.clone());
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(weight(&text) - 1, line)?;
                (anchor, self.scalar(&text, style, tag.as_deref(), line)?)
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), line)?;
                let mut list = Vec::new();
                loop {
                    match self.next(line, parser)? {
                        (Event::SequenceEnd, _) => break,
                        (event, line) => list.push(self.node(event, line, parser, depth + 1)?),
                    }
                }
                (anchor, Data::List(list))
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), line)?;
                (anchor, Data::Map(self.members(line, parser, depth)?))
            }
            _ => return Err(self.error(line, "a value is missing", "mend the file there")),
        };
        let node = Node { file: self.file.clone(), line, data };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn members<'t>(
        &mut self,
        line: usize,
        parser: &mut Parser<'t, saphyr_parser::StrInput<'t>>,
        depth: usize,
    ) -> Result<Members, Error> {
        let mut members = HashMap::new();
        let mut order = Vec::new();
        let mut merged = Merged::default();
        loop {
            let (event, line) = match self.next(line, parser)? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let merges = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, line, parser, depth + 1)?;
            let (event, value_line) = self.next(line, parser)?;
            let value = self.node(event, value_line, parser, depth + 1)?;
            if merges {
                self.merge(value, &mut merged)?;
                continue;
            }
            let key = key_text(&key)?;
            if members.insert(key.clone(), value).is_none() {
                order.push(key);
            }
        }
        let mut merged = merged.members;
        merged.retain(|(key, _)| !members.contains_key(key));
        merged.extend(order.into_iter().filter_map(|key| members.remove_entry(&key)));
        Ok(merged)
    }

    /// `<<: *defaults`: the first mapping that has a key gives it.
    fn merge(&self, value: Node, merged: &mut Merged) -> Result<(), Error> {
        match value.data {
            Data::Map(members) => {
                merged.members.extend(members.into_iter().filter(|(key, _)| merged.keys.insert(key.clone())));
                Ok(())
            }
            Data::List(list) => list.into_iter().try_for_each(|node| self.merge(node, merged)),
            _ => Err(value.mistyped("<<", "a mapping or a list of mappings")),
        }
    }

    fn no_tag(&self, tag: Option<&Tag>, line: usize) -> Result<(), Error> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && matches!(&*tag.suffix, "seq" | "map")) => {
                let problem = format!("the tag `{}{}`", tag.handle, tag.suffix);
                Err(self.error(line, problem, "remove it: `!function` alone has a meaning, and no Python is run here"))
            }
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Data, Error> {
        let Some(tag) = tag else {
            return Ok(if style == ScalarStyle::Plain { resolve(text) } else { Data::Text(text.to_owned()) });
        };
        if tag.handle == "!" && tag.suffix == "function" {
            return Ok(Data::Function(text.to_owned()));
        }
        match (tag.is_yaml_core_schema(), &*tag.suffix) {
            (true, "str") => Ok(Data::Text(text.to_owned())),
            (true, "int" | "float" | "bool" | "null") => Ok(resolve(text)),
            _ => self.no_tag(Some(tag), line).map(|()| Data::Text(text.to_owned())),
        }
    }
}

fn key_text(key: &Node) -> Result<String, Error> {
    Ok(match &key.data {
        Data::Text(text) => text.clone(),
        Data::Int(i) => i.to_string(),
        Data::Bool(b) => if *b { "True" } else { "False" }.into(),
        Data::Float(x) => super::value::float(*x),
        Data::Null => "None".into(),
        _ => return Err(key.error("a key that is no text", "write texts as keys")),
    })
}

/// PyYAML's implicit resolvers: what a plain word means.
fn resolve(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Data::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Data::Bool(false),
        _ => {}
    }
    match integer(text) {
        Some(number) => Data::Int(number),
        None => float(text).map_or_else(|| Data::Text(text.to_owned()), Data::Float),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain: String = digits.chars().filter(|&c| c != '_').collect();
    let first = digits.chars().next().filter(char::is_ascii_digit)?;
    let radix =
        |digits: &str, radix| i64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']));
    let number = if let Some(bits) = plain.strip_prefix("0b") {
        radix(bits, 2)
    } else if let Some(hex) = plain.strip_prefix("0x") {
        radix(hex, 16)
    } else if first == '0' && plain.len() > 1 {
        radix(&plain, 8)
    } else if plain.contains(':') {
        // 1:30 is ninety, as times are.
        plain.split(':').enumerate().try_fold(0_i64, |sum, (i, part)| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let value: i64 = part.parse().ok().filter(|&value| digits && (i == 0 || value < 60))?;
            sum.checked_mul(60)?.checked_add(value)
        })
    } else {
        radix(&plain, 10)
    };
    number.map(|number| sign * number)
}

fn float(text: &str) -> Option<f64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1.0, unsigned),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    // A point is needed, and an exponent needs a sign.
    let (whole, rest) = unsigned.split_once('.')?;
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let signed =
        |e: &str| e.strip_prefix(['+', '-']).is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    let starts =
        unsigned.starts_with(|c: char| c.is_ascii_digit()) || fraction.starts_with(|c: char| c.is_ascii_digit());
    if !(digits(whole) && digits(fraction) && starts && exponent.is_none_or(signed)) {
        return None;
    }
    text.chars().filter(|&c| c != '_').collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.data {
            Data::Null => "null".into(),
            Data::Bool(b) => b.to_string(),
            Data::Int(i) => i.to_string(),
            Data::Float(x) => format!("{x:?}"),
            Data::Text(text) => format!("{text:?}"),
            Data::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", ")),
            Data::Map(members) => {
                format!(
                    "{{{}}}",
                    members.iter().map(|(k, v)| format!("{k}: {}", show(v))).collect::<Vec<_>>().join(", ")
                )
            }
            Data::Function(name) => format!("function {name}"),
        }
    }

    fn check(text: &str, expect: &str) {
        let members = parse(Path::new("t.yaml"), text)
            .map(|m| show(&Node { file: Path::new("").into(), line: 0, data: Data::Map(m) }));
        match members {
            Ok(found) => assert_eq!(found, expect, "{text}"),
            Err(e) => assert_eq!(e.to_string(), expect, "{text}"),
        }
    }

    /// What PyYAML 6.0.3 gives.
    #[test]
    fn as_pyyaml_reads_it() {
        check(
            "a: [yes, Off, 'no', y, ~, , null]".replace(", ,", ",").as_str(),
            "{a: [true, false, \"no\", \"y\", null, null]}",
        );
        check("a: [10, 010, 0x1F, 0b11, 1_000, 1:30, -5, +5, 08]", "{a: [10, 8, 31, 3, 1000, 90, -5, 5, \"08\"]}");
        check(
            "a: [1.5, 1e3, 1.0e+3, 1.0e3, .5, -.inf, 1., '1']",
            "{a: [1.5, \"1e3\", 1000.0, \"1.0e3\", 0.5, -inf, 1.0, \"1\"]}",
        );
        check("a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{a: \"x\\ny\\n\", b: \"x y\"}");
        check("a: 1\nb: 2\na: 3", "{a: 3, b: 2}");
        check("x: &x {p: 1, q: 2}\ny:\n  <<: *x\n  q: 3", "{x: {p: 1, q: 2}, y: {p: 1, q: 3}}");
        check("f: !function utils.f\ng: !!str 1", "{f: function utils.f, g: \"1\"}");
        check("a: \"x\\n\\t\"\nb: 'it''s'\nc: \" {{x}}\"", "{a: \"x\\n\\t\", b: \"it's\", c: \" {{x}}\"}");
    }

    /// The scanner alone takes offence at these.
    #[test]
    fn brackets_and_quotes_at_any_indentation() {
        check(
            "a:\n  b: [\n    {\n      \"i\": \"x\",\n      \"t\": \"y # [\"\n    },\n    {\n      \"i\": \"z\"\n    }\n  ]\nc: |\n  [\n  d\n",
            "{a: {b: [{i: \"x\", t: \"y # [\"}, {i: \"z\"}]}, c: \"[\\nd\\n\"}",
        );
        check(
            "a:\n  - b: \"{\n    \\\"k\\\": 1\n}\"\n  - c: |\n      {\n      x\n",
            "{a: [{b: \"{ \\\"k\\\": 1 }\"}, {c: \"{\\nx\\n\"}]}",
        );
    }

    #[test]
    fn what_is_wrong_and_where() {
        check(
            "a: [1",
            "t.yaml, line 2, column 1: not valid YAML (while parsing a flow sequence, expected ',' or ']'): mend the file there",
        );
        check("", "t.yaml: an empty file: write `task: NAME` and the other keys of a task");
        check("- a", "t.yaml, line 1: the file is no mapping: write `task: NAME` and the other keys of a task");
        check(
            "a: !!python/object:os.system x",
            "t.yaml, line 1: the tag `tag:yaml.org,2002:python/object:os.system`: remove it: `!function` alone has a meaning, and no Python is run here",
        );
    }

    #[test]
    fn what_grows_is_stopped() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let alias = vec![format!("*a{}", i - 1); 10].join(", ");
            laughs += &format!("a{i}: &a{i} [{alias}]\n");
        }
        assert!(parse(Path::new("t.yaml"), &laughs).unwrap_err().to_string().contains("more than 200000 values"));
        let deep = format!("a: {}", "[".repeat(5000));
        assert!(parse(Path::new("t.yaml"), &deep).is_err());
        let deep: String = (0..500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(parse(Path::new("t.yaml"), &deep).unwrap_err().to_string().contains("levels"));
    }
}
