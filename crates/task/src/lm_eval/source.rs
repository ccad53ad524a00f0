//! Where a task's texts and documents come from: columns, templates, fixed values; files of each split.

use super::{
    config::{Keys, members, text, texts},
    data::Format,
    template::Templates,
    value::Value,
    yaml::{Data, Node},
};
use crate::Error;
use std::path::{Path, PathBuf};

/// What gives a text, a target or choices for a document.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The key; also the name of its template.
    pub(super) key: &'static str,
    /// Where it stands, for messages.
    pub(super) node: Node,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Fixed(Value),
    /// The name of a column if there is one of this name, else a template.
    Text(String),
}

/// What else than a text a rule may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Also {
    Nothing,
    Number,
    NumberOrList,
    ListOrMapping,
}

/// Takes the rule `key` of `keys` and adds its template under the name `named`.
pub(super) fn rule(
    keys: &mut Keys,
    key: &str,
    named: &'static str,
    also: Also,
    templates: &mut Templates,
) -> Result<Option<Rule>, Error> {
    let Some(node) = keys.take(key) else { return Ok(None) };
    let what = match (&node.data, also) {
        (Data::Text(text), _) => {
            let remedy = "mend the template; it is Jinja, with the columns of the data as variables";
            templates.add(named, text).map_err(|e| node.error(format!("the template of `{named}`: {e}"), remedy))?;
            What::Text(text.clone())
        }
        (Data::Int(_) | Data::Bool(_), Also::Number | Also::NumberOrList)
        | (Data::List(_), Also::NumberOrList | Also::ListOrMapping) => What::Fixed(value(&node, named)?),
        (Data::Map(members), Also::ListOrMapping) => {
            What::Fixed(Value::List(members.iter().map(|(_, node)| value(node, named)).collect::<Result<_, _>>()?))
        }
        _ => return Err(node.mistyped(named, "the name of a column or a template")),
    };
    Ok(Some(Rule { key: named, node, what }))
}

/// A value of YAML as a value of a document.
pub(super) fn value(node: &Node, key: &str) -> Result<Value, Error> {
    Ok(match &node.data {
        Data::Null => Value::None,
        Data::Bool(b) => Value::Bool(*b),
        Data::Int(i) => Value::Int(*i),
        Data::Float(x) => Value::Float(*x),
        Data::Text(text) => Value::Text(text.clone()),
        Data::List(list) => Value::List(list.iter().map(|node| value(node, key)).collect::<Result<_, _>>()?),
        Data::Map(members) => {
            let member = |(name, node): &(String, Node)| Ok((name.clone(), value(node, key)?));
            Value::Map(members.iter().map(member).collect::<Result<_, Error>>()?)
        }
        Data::Function(_) => return Err(node.mistyped(key, "a value")),
    })
}

/// The data of a task: files by split.
#[derive(Clone, Debug)]
pub(super) struct Dataset {
    pub(super) format: Format,
    /// The member of a JSON object that holds the documents.
    pub(super) field: Option<String>,
    pub(super) splits: Vec<(String, Vec<PathBuf>)>,
    /// Where the files are named, for messages.
    pub(super) node: Node,
}

impl Dataset {
    pub(super) fn files(&self, split: &str) -> Option<&[PathBuf]> {
        self.splits.iter().find(|(name, _)| name == split).map(|(_, files)| files.as_slice())
    }
}

/// `dataset_path` and `dataset_kwargs`.
pub(super) fn dataset(keys: &mut Keys, file: &Path) -> Result<Dataset, Error> {
    const REMEDY: &str = "save the data as a file and write `dataset_path: json` (or csv, parquet) and \
                          `dataset_kwargs: {data_files: {test: FILE}}`";
    let Some(path) = keys.take("dataset_path") else {
        return Err(super::file_error(file, String::new(), "no `dataset_path`", REMEDY));
    };
    let mut format = match text(path.clone(), "dataset_path")?.as_str() {
        "json" => Format::Json,
        "csv" => Format::Csv { delimiter: b',' },
        "parquet" => Format::Parquet,
        other => {
            return Err(path.error(format!("`{other}` is a dataset of the Hub, and nothing is downloaded"), REMEDY));
        }
    };
    let Some(arguments) = keys.take("dataset_kwargs") else { return Err(path.error("no `dataset_kwargs`", REMEDY)) };
    let mut arguments = Keys::new(members(arguments, "dataset_kwargs")?);
    arguments.ignore(&["trust_remote_code"]);
    let Some(files) = arguments.take("data_files") else { return Err(path.error("no `data_files`", REMEDY)) };
    let folder = arguments.text("data_dir")?.map(PathBuf::from).unwrap_or_default();
    for key in ["sep", "delimiter"] {
        let Some(node) = arguments.take(key) else { continue };
        match (&mut format, text(node.clone(), key)?.as_bytes()) {
            (Format::Csv { delimiter }, &[byte]) => *delimiter = byte,
            _ => return Err(node.error(format!("`{key}` is for CSV, and one character"), "remove it")),
        }
    }
    let field = if format == Format::Json { arguments.text("field")? } else { None };
    arguments.finish("`dataset_kwargs`")?;
    let named = match files.data {
        Data::Map(members) => members,
        _ => vec![("train".to_owned(), files.clone())],
    };
    let mut splits = Vec::new();
    for (split, node) in named {
        let paths = texts(node.clone(), "data_files")?.into_iter().map(|name| locate(&folder.join(name), file, &node));
        splits.push((split, paths.collect::<Result<_, _>>()?));
    }
    Ok(Dataset { format, field, splits, node: path })
}

/// A file named in a task: from the working directory, as for lm-evaluation-harness, else from the task's folder.
fn locate(path: &Path, task: &Path, node: &Node) -> Result<PathBuf, Error> {
    let beside = task.parent().unwrap_or(Path::new("")).join(path);
    if let Some(found) = [path, &beside].into_iter().find(|path| path.is_file()) {
        return Ok(found.into());
    }
    let problem = format!("there is no file {}", path.display());
    Err(node.error(problem, "name a file on this machine, from the working directory or from the task's folder"))
}
