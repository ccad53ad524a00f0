//! Jinja templates as lm-evaluation-harness renders them: strict about what is undefined, Python's way of writing
//! values, Python's methods, and a budget of work that no template can exceed.

use super::{
    python_regex::PythonRegex,
    template_depth,
    value::{self, Value},
};
use crate::MAX_TEXT_BYTES;
use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, Value as Jinja, syntax::SyntaxConfig, value::ValueKind,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Work that one rendering may do: an instruction costs one, and so do 64 bytes of text that are made or read.
const FUEL: u64 = 500_000;
/// Longer templates are refused: 256 KiB.
const MAX_TEMPLATE: usize = 256 << 10;
/// What a call of a regular expression costs: a search may take a million steps, and is paid for as if it took a
/// hundredth of these; compiling costs more.
const SEARCH_FUEL: u64 = 10_000;
const COMPILE_FUEL: u64 = 100_000;
/// Compiled patterns that are kept.
const MAX_PATTERNS: usize = 64;

/// The templates of one task, by name.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        environment.set_formatter(|out, state, value| write(out, state, value));
        environment.set_unknown_method_callback(method);
        environment.add_filter("string", text);
        environment.add_filter("join", join);
        environment.add_filter("int", int);
        environment.add_filter("float", float);
        let patterns = Patterns::default();
        let replace = move |state: &State<'_, '_>, text: &str, pattern: &str, with: &str, count: Option<usize>| {
            let replaced = patterns.get(state, pattern)?.replace(text, with, count.unwrap_or(0));
            replaced.map_err(|e| Error::new(ErrorKind::InvalidOperation, e))
        };
        // lm-evaluation-harness's own filter: `re.sub`.
        environment.add_filter("regex_replace", replace);
        environment.remove_global("debug");
        environment.remove_filter("pprint");
        Self { environment }
    }

    /// Adds a template; what is wrong with it, in words, with its line inside the template.
    pub(super) fn add(&mut self, name: &str, source: &str) -> Result<(), String> {
        if source.len() > MAX_TEMPLATE {
            return Err(format!("a template of {} bytes, over the limit of {MAX_TEMPLATE}", source.len()));
        }
        template_depth::check(source)?;
        // Jinja's own reading of line breaks.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        self.environment.add_template_owned(name.to_owned(), source).map_err(|e| explain(&e))
    }

    /// Renders a template with the columns of a document as its variables.
    pub(super) fn render(&self, name: &str, document: &Jinja) -> Result<String, String> {
        let template = self.environment.get_template(name).map_err(|e| explain(&e))?;
        let text = template.render(document).map_err(|e| explain(&e))?;
        if text.len() > MAX_TEXT_BYTES {
            let length = text.len();
            return Err(format!("the template makes a text of {length} bytes, over the limit of {MAX_TEXT_BYTES}"));
        }
        Ok(text)
    }
}

/// An error of the engine in one line.
fn explain(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "the template does too much work: it would run for ever or make a huge text".into();
    }
    let what = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    match error.line().filter(|&line| line > 1) {
        Some(line) => format!("{what} (line {line} of the template)"),
        None => what,
    }
}

/// The columns of a document as variables.
pub(super) fn variables<'a>(columns: impl Iterator<Item = (&'a str, &'a Value)>) -> Jinja {
    Jinja::from_pairs(columns.map(|(name, value)| (name, jinja(value))))
}

fn jinja(value: &Value) -> Jinja {
    match value {
        Value::None => Jinja::from(()),
        Value::Bool(b) => Jinja::from(*b),
        Value::Int(i) => Jinja::from(*i),
        Value::Float(x) => Jinja::from(*x),
        Value::Text(text) => Jinja::from(text.as_str()),
        Value::List(values) => Jinja::from(values.iter().map(jinja).collect::<Vec<_>>()),
        Value::Map(members) => variables(members.iter().map(|(key, value)| (key.as_str(), value))),
    }
}

/// A value of the engine as Python's, paid for item by item: the engine's lists may be longer than what they take.
fn python(state: &State<'_, '_>, value: &Jinja, depth: usize) -> Result<Value, Error> {
    if depth > value::MAX_DEPTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "a value with too many levels"));
    }
    let inner = |value: &Jinja| python(state, value, depth + 1);
    state.consume_fuel(1 + value.as_str().map_or(0, str::len) as u64 / 64)?;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(Error::new(ErrorKind::UndefinedError, "there is nothing of that name")),
        ValueKind::None => Value::None,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => {
            value.as_i64().map_or_else(|| Value::Text(value.to_string()), Value::Int)
        }
        ValueKind::Number => Value::Float(f64::try_from(value.clone())?),
        ValueKind::Map => {
            let member = |key: Jinja| Ok((inner(&key)?.str(), inner(&value.get_item(&key)?)?));
            Value::Map(value.try_iter()?.map(member).collect::<Result<_, Error>>()?)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            Value::List(value.try_iter()?.map(|v| inner(&v)).collect::<Result<_, Error>>()?)
        }
        _ => Value::Text(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    })
}

fn text(state: &State<'_, '_>, value: &Jinja) -> Result<String, Error> {
    Ok(python(state, value, 0)?.str())
}

fn write(out: &mut minijinja::Output<'_>, state: &State<'_, '_>, value: &Jinja) -> Result<(), Error> {
    let written = match value.as_str() {
        Some(text) => out.write_str(text),
        None => out.write_str(&text(state, value)?),
    };
    written.map_err(|_| Error::from(ErrorKind::OutOfFuel))
}

fn join(state: &State<'_, '_>, values: &Jinja, separator: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (i, value) in values.try_iter()?.enumerate() {
        let before = out.len();
        out.push_str(if i == 0 { "" } else { separator.unwrap_or("") });
        match value.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&text(state, &value)?),
        }
        state.consume_fuel(1 + (out.len() - before) as u64 / 64)?;
    }
    Ok(out)
}

/// Jinja's `int`: 0, or what is given, where a text is no number.
fn int(state: &State<'_, '_>, value: &Jinja, default: Option<i64>) -> Result<i64, Error> {
    let default = default.unwrap_or(0);
    Ok(match python(state, value, 0)? {
        Value::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|x| x as i64)).unwrap_or(default)
        }
        Value::Float(x) => x as i64,
        other => other.integer().unwrap_or(default),
    })
}

/// Jinja's `float`: 0, or what is given, where a text is no number.
fn float(state: &State<'_, '_>, value: &Jinja, default: Option<f64>) -> Result<f64, Error> {
    let default = default.unwrap_or(0.0);
    Ok(match python(state, value, 0)? {
        Value::Text(text) => text.trim().parse().unwrap_or(default),
        Value::Float(x) => x,
        other => other.integer().map_or(default, |i| i as f64),
    })
}

/// Patterns that were compiled for `regex_replace`.
#[derive(Clone, Debug, Default)]
struct Patterns(Arc<Mutex<HashMap<String, PythonRegex>>>);

impl Patterns {
    fn get(&self, state: &State<'_, '_>, pattern: &str) -> Result<PythonRegex, Error> {
        state.consume_fuel(SEARCH_FUEL)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = known.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = PythonRegex::new(pattern).map_err(|e| Error::new(ErrorKind::InvalidOperation, e))?;
        if known.len() < MAX_PATTERNS {
            known.insert(pattern.to_owned(), regex.clone());
        } else {
            // So many patterns are made from data, and there is no end of them.
            state.consume_fuel(COMPILE_FUEL)?;
        }
        Ok(regex)
    }
}

/// Python's methods: some here, the others by the engine's own collection.
fn method(state: &mut State<'_, '_>, value: &Jinja, name: &str, args: &[Jinja]) -> Result<Jinja, Error> {
    let missing = || Error::new(ErrorKind::InvalidOperation, format!("`{name}`: it is not there"));
    match (name, value.as_str(), args) {
        ("index", None, [item]) => {
            for (i, candidate) in value.try_iter()?.enumerate() {
                state.consume_fuel(1)?;
                if candidate == *item {
                    return Ok(Jinja::from(i));
                }
            }
            Err(missing())
        }
        ("index", Some(text), [part]) => {
            let at = part.as_str().and_then(|part| text.find(part)).ok_or_else(missing)?;
            Ok(Jinja::from(text[..at].chars().count()))
        }
        ("removeprefix", Some(text), [part]) => {
            Ok(part.as_str().and_then(|p| text.strip_prefix(p)).unwrap_or(text).into())
        }
        ("removesuffix", Some(text), [part]) => {
            Ok(part.as_str().and_then(|p| text.strip_suffix(p)).unwrap_or(text).into())
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let text = |text: &str| Value::Text(text.into());
        let document = [
            ("q", text("It's 2+2?")),
            ("n", Value::None),
            ("b", Value::Bool(true)),
            ("x", Value::Float(2.0)),
            ("choices", Value::List(vec![text("a"), text("it's")])),
            (
                "m",
                Value::Map(vec![("text".into(), Value::List(vec![text("u"), text("v")])), ("k".into(), Value::Int(3))]),
            ),
        ];
        let mut templates = Templates::new();
        templates.add("t", source)?;
        templates.render("t", &variables(document.iter().map(|(name, value)| (*name, value))))
    }

    /// What Jinja2 3.1.6 gives.
    #[test]
    fn as_in_python() {
        let check = |source: &str, expect: &str| assert_eq!(render(source).as_deref(), Ok(expect), "{source}");
        check("{{q}}\n", "It's 2+2?\n");
        check("{{n}} {{b}} {{x}} {{choices}} {{m}}", "None True 2.0 ['a', \"it's\"] {'text': ['u', 'v'], 'k': 3}");
        check("{{m.text[1]}} {{m['k'] + 1}} {{choices | length}} {{choices[-1]}}", "v 4 2 it's");
        check("{{choices.index('a')}} {{['A', 'B'].index('B')}} {{q.split('?')[0]}} {{q[:4]}}", "0 1 It's 2+2 It's");
        check("{% for c in choices %}{{loop.index}}. {{c}}\n{% endfor %}", "1. a\n2. it's\n");
        check("{% set a = q.lower() %}{{a|replace('2', 'two')}}", "it's two+two?");
        check("{{ 'yes' if b else 'no' }}{{ '' if x == 2 }}", "yes");
        check("{{ choices | join(', ') }} {{ [1, none, 2.5] | join('-') }}", "a, it's 1-None-2.5");
        check("{{ '3.7' | int }} {{ 'x' | int }} {{ '2' | float }}", "3 0 2.0");
        check("{{ q | regex_replace('[0-9]', 'N') }}", "It's N+N?");
        check("{{ 'abc'.removesuffix('c').upper() }} {{ ' x '.strip() }}|", "AB x|");
        check("{{ 7 // 2 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 7 % 3 }}", "3 3.5 8 1");
        check("{{ m.get('z', 'none') }} {{ 'a' in choices }}", "none True");
    }

    #[test]
    fn what_is_undefined_is_an_error() {
        for source in ["{{z}}", "{{m.z}}", "{{m.z.y}}", "{{choices[5]}}", "{{z + 'a'}}"] {
            assert!(render(source).is_err(), "{source}");
        }
    }

    #[test]
    fn no_template_runs_for_ever() {
        let doubling = "{% set a = a ~ a %}".repeat(60);
        for source in [
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}".to_owned(),
            format!("{{% set a = 'xxxxxxxx' %}}{doubling}{{{{a}}}}"),
            "{{ 'x' * 1000000000 }}".to_owned(),
            "{{ [1] * 100000000 }}".to_owned(),
            "{{ 'x'.join(range(100000)) * 1000 }}".to_owned(),
            format!("{{{{ 'a'{} }}}}", "|replace('a', 'aaaaaaaaaaaaaaaa')".repeat(12)),
            "{% macro f(s) %}{{ f(s ~ s) }}{% endmacro %}{{ f('xx') }}".to_owned(),
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
            format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000)),
            "{{ '%1000000000d' | format(1) }}".to_owned(),
        ] {
            let shown: String = source.chars().take(80).collect();
            let length = render(&source).map(|text| text.len());
            assert!(length.is_err(), "{shown}: {length:?}");
        }
    }
}
