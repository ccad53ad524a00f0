//! A task of a user's own in ten lines of TOML over a data file, on the same machinery as lm-evaluation-harness's files.

use super::{
    Task, file_error,
    yaml::{Data, Members, Node},
};
use crate::{Error, read::read_text};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What may be written, and the key of lm-evaluation-harness that it means.
const KEYS: [(&str, &str); 11] = [
    ("name", "task"),
    ("prompt", "doc_to_text"),
    ("target", "doc_to_target"),
    ("choices", "doc_to_choice"),
    ("description", "description"),
    ("delimiter", "target_delimiter"),
    ("separator", "fewshot_delimiter"),
    ("shots", "num_fewshot"),
    ("output", "output_type"),
    ("generate", "generation_kwargs"),
    ("metrics", "metric_list"),
];

/// Reads a task such as
///
/// ```toml
/// data = "questions.jsonl"            # or several files; JSON, JSONL, CSV or Parquet
/// shots_data = "solved.jsonl"         # optional: else shots are other questions of `data`
/// prompt = "Q: {{question}}\nA:"      # a template (Jinja, with the columns of the data), or the name of a column
/// choices = "{{[a, b, c]}}"           # a column, a template, or a list; leave it out for generated answers
/// target = "answer"                   # the number or text of the right choice, or the right answer
/// metrics = ["acc", "acc_norm"]
/// ```
///
/// Further keys: `name`, `description` (before the shots), `delimiter` (between prompt and answer, `" "`), `separator`
/// (between shots, two line breaks), `shots` (their number), `output` (one of lm-evaluation-harness's output types:
/// without it `multiple_choice` where there are choices, `loglikelihood_rolling` where there is no prompt, else
/// `generate_until`), `generate = { until = ["\n"], max_gen_toks = 32 }`, `extract` (a regular expression, in Python's
/// syntax, whose first match is the answer).
///
/// # Errors
/// [`Error::File`] with the line, as for lm-evaluation-harness's files.
pub fn read(path: &Path) -> Result<Task, Error> {
    let text = read_text(path, super::yaml::MAX_YAML_BYTES, "keep the data in files of their own")?;
    Task::new(path, members(path, &text)?)
}

fn members(path: &Path, text: &str) -> Result<Members, Error> {
    let breaks: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |offset: usize| 1 + breaks.partition_point(|&at| at < offset);
    let table = DeTable::parse(text).map_err(|e| {
        let place = format!(", line {}", line(e.span().map_or(0, |span| span.start)));
        file_error(path, place, format!("not valid TOML ({})", e.message()), "mend the file there")
    })?;
    let mut written = Members::new();
    for (key, value) in table.into_inner() {
        let at = line(key.span().start);
        written.push((key.into_inner().into_owned(), node(path, at, value.into_inner(), 0)?));
    }
    translate(path, written)
}

fn node(path: &Path, line: usize, value: DeValue<'_>, depth: usize) -> Result<Node, Error> {
    let wrong =
        |problem: &str| file_error(path, format!(", line {line}"), problem, "write texts, numbers, lists and tables");
    if depth > super::value::MAX_DEPTH {
        return Err(wrong("nested too deep"));
    }
    let data = match value {
        DeValue::String(text) => Data::Text(text.into_owned()),
        DeValue::Integer(i) => {
            Data::Int(i64::from_str_radix(i.as_str(), i.radix()).map_err(|_| wrong("a number that is too large"))?)
        }
        DeValue::Float(x) => Data::Float(x.as_str().parse().map_err(|_| wrong("a number that cannot be read"))?),
        DeValue::Boolean(b) => Data::Bool(b),
        DeValue::Datetime(_) => return Err(wrong("a date")),
        DeValue::Array(values) => {
            let inner = values.into_iter().map(|value| node(path, line, value.into_inner(), depth + 1));
            Data::List(inner.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let member = |(key, value): (toml::Spanned<std::borrow::Cow<'_, str>>, toml::Spanned<DeValue<'_>>)| {
                Ok((key.into_inner().into_owned(), node(path, line, value.into_inner(), depth + 1)?))
            };
            Data::Map(table.into_iter().map(member).collect::<Result<_, Error>>()?)
        }
    };
    Ok(Node { file: path.into(), line, data })
}

/// The keys of lm-evaluation-harness that mean the same.
fn translate(path: &Path, written: Members) -> Result<Members, Error> {
    const DATA: &str = "write `data = \"FILE\"`: a JSON, JSONL, CSV or Parquet file";
    let find = |key: &str| written.iter().find(|(k, _)| k == key).map(|(_, node)| node.clone());
    let Some(data) = find("data") else { return Err(file_error(path, String::new(), "no `data`", DATA)) };
    let first = match &data.data {
        Data::List(list) => list.first().map(|node| &node.data),
        text => Some(text),
    };
    let format = match first {
        Some(Data::Text(name)) => match Path::new(name).extension().and_then(|e| e.to_str()) {
            Some("json" | "jsonl") => "json",
            Some("csv") => "csv",
            Some("parquet") => "parquet",
            _ => return Err(data.error(format!("{name} is no file of a known kind"), DATA)),
        },
        _ => return Err(data.mistyped("data", "the path of a file, or several")),
    };
    let at = |node: &Node, data| Node { file: node.file.clone(), line: node.line, data };
    let word = |node: &Node, text: &str| at(node, Data::Text(text.into()));
    let shots = find("shots_data");
    let mut files = vec![("test".to_owned(), data.clone())];
    files.extend(shots.clone().map(|node| ("shots".to_owned(), node)));
    let arguments = vec![("data_files".to_owned(), at(&data, Data::Map(files)))];
    let mut members = vec![
        ("dataset_path".to_owned(), word(&data, format)),
        ("dataset_kwargs".to_owned(), at(&data, Data::Map(arguments))),
        ("test_split".to_owned(), word(&data, "test")),
        ("fewshot_split".to_owned(), word(&data, if shots.is_some() { "shots" } else { "test" })),
    ];
    let output = match (find("choices"), find("prompt")) {
        (Some(_), _) => "multiple_choice",
        (None, None) => "loglikelihood_rolling",
        (None, Some(_)) => "generate_until",
    };
    if find("output").is_none() {
        members.push(("output_type".into(), word(&data, output)));
    }
    for (key, node) in written {
        let means = KEYS.iter().find(|(own, _)| *own == key).map(|(_, means)| *means);
        let (key, node) = match (key.as_str(), means) {
            ("data" | "shots_data", _) => continue,
            ("extract", _) => ("filter_list", extract(node)),
            ("metrics", Some(means)) => (means, metrics(node)),
            (_, Some(means)) => (means, node),
            (_, None) => {
                let names: Vec<&str> = KEYS.iter().map(|(own, _)| *own).collect();
                let remedy = format!("the keys are data, shots_data, extract, {}", names.join(", "));
                return Err(node.error(format!("the key `{key}` is unknown"), remedy));
            }
        };
        members.push((key.to_owned(), node));
    }
    Ok(members)
}

/// `metrics = ["acc"]`: names alone are enough.
fn metrics(mut node: Node) -> Node {
    if let Data::List(list) = &mut node.data {
        for metric in list.iter_mut().filter(|metric| matches!(metric.data, Data::Text(_))) {
            let name = metric.clone();
            metric.data = Data::Map(vec![("metric".into(), name)]);
        }
    }
    node
}

fn extract(pattern: Node) -> Node {
    let at = |data| Node { file: pattern.file.clone(), line: pattern.line, data };
    let word = |text: &str| at(Data::Text(text.into()));
    let step = vec![("function".to_owned(), word("regex")), ("regex_pattern".to_owned(), pattern.clone())];
    let filter =
        vec![("name".to_owned(), word("extract")), ("filter".to_owned(), at(Data::List(vec![at(Data::Map(step))])))];
    at(Data::List(vec![at(Data::Map(filter))]))
}
