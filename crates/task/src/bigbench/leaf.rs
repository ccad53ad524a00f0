//! A leaf of BIG-bench: one `task.json` with examples, read as the reference reads it.

use super::examples::Examples;
use super::json::{Malformed, Reader, Text, Value};
use super::metric::{self, Kind, Metric};
use crate::read::{MAX_WRITTEN_BYTES, file_error};
use crate::{Error, MAX_TEXT_BYTES};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Applied where a leaf has neither `output_regex` nor `stop_string`.
pub(super) const DEFAULT_REGEX: &str = r"[^\.\?\!\;\n]+";

/// The keys that the reference reads; it takes no notice of others.
const KNOWN: [&str; 17] = [
    "canary",
    "name",
    "description",
    "keywords",
    "metrics",
    "preferred_score",
    "absolute_normalization",
    "example_input_prefix",
    "example_output_prefix",
    "choice_prefix",
    "append_choices_to_input",
    "few_shot_example_separator",
    "task_prefix",
    "output_regex",
    "stop_string",
    "examples",
    "subtasks",
];

/// What counts of a generated text (`postprocess_output` in the reference).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extract {
    /// The text ends with the first occurrence of this after its beginning; the stop itself is kept.
    pub stop: Option<String>,
    /// Then its first match of this Python expression (its group, if it has one) counts, or nothing.
    pub regex: Option<String>,
}

/// How the answers to a leaf are graded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grading {
    /// The leaf's name with that of the parent: `task` or `task:subtask`. Characters that are not ASCII are `?`, as in the
    /// reference.
    pub name: String,
    /// The metrics to compute, in the order of the file, without repetition; the Brier score and the calibration error
    /// follow `multiple_choice_grade`.
    pub metrics: Vec<Metric>,
    /// The score that counts, such as `multiple_choice_grade` or `rougeLsum`.
    pub preferred: String,
    /// The preferred score's value for poor performance (for `multiple_choice_grade` that of uniform guessing).
    pub low: f64,
    /// Its value for very good performance.
    pub high: f64,
    /// What counts of a generated text.
    pub extract: Extract,
    /// Whether multiple choice is graded on log-probabilities as they are, rather than normalised over the choices (which
    /// changes nothing but how ties are broken).
    pub absolute_normalization: bool,
}

/// One `task.json` with examples.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub(super) path: PathBuf,
    pub(super) template: Template,
    pub(super) grading: Grading,
    pub(super) examples: Vec<Example>,
    pub(super) notes: Notes,
}

/// How prompts are put together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    pub(super) task_prefix: String,
    pub(super) input_prefix: String,
    pub(super) output_prefix: String,
    pub(super) choice_prefix: String,
    pub(super) append_choices: bool,
    pub(super) separator: String,
}

/// One answer to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its text, scored behind the prompt as it stands.
    pub text: String,
    /// 1 right, 0 wrong, or between.
    pub score: f64,
}

/// One example that is no duplicate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Example {
    pub(super) input: String,
    /// In the file's order; `None` without `target_scores`.
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) targets: Vec<String>,
    /// Whether the file names the target; else it is the best choice.
    pub(super) named_target: bool,
    /// Examples that the reference finds equal (`==`) have the same number.
    pub(super) class: u32,
}

/// What was seen while reading, for [`quirks`](Leaf::quirks).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Notes {
    pub(super) duplicate_examples: usize,
    pub(super) duplicate_keys: Vec<String>,
    pub(super) unknown_keys: Vec<String>,
    pub(super) truthy_texts: Vec<(String, String)>,
    pub(super) canary_list: bool,
    pub(super) ascii_name: bool,
    pub(super) empty_extraction: bool,
}

impl Template {
    /// Bytes of an example in a prompt: a long prefix before each of many choices makes a text of any length.
    fn written(&self, example: &Example) -> usize {
        let choices = example.choices.as_deref().filter(|_| self.append_choices).unwrap_or_default();
        let choices: usize = choices.iter().map(|choice| self.choice_prefix.len() + choice.text.len()).sum();
        self.input_prefix.len() + example.input.len() + choices + self.output_prefix.len()
    }
}

impl Leaf {
    /// Reads a `task.json` with examples; `parent` is the name of the task that it is a part of.
    ///
    /// # Errors
    /// [`Error::File`] with the place, for everything that the reference would stop at, and for sizes above
    /// [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES), [`MAX_EXAMPLES`](crate::MAX_EXAMPLES) and [`MAX_TEXT_BYTES`].
    pub fn read(path: &Path, parent: Option<&str>) -> Result<Self, Error> {
        Self::parse(path, &super::library::read_text(path)?, parent)
    }

    /// [`read`](Self::read) from a text; `path` is for messages.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(path: &Path, text: &str, parent: Option<&str>) -> Result<Self, Error> {
        parse(path, text, parent).map_err(|fail| fail.at(path, text))
    }

    /// How its answers are graded.
    pub fn grading(&self) -> &Grading {
        &self.grading
    }

    /// The name, with that of the parent.
    pub fn name(&self) -> &str {
        &self.grading.name
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of different examples.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Never true: a leaf without examples is refused.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Whether a metric asks for this.
    pub fn asks_for(&self, kind: Kind) -> bool {
        self.grading.metrics.iter().any(|metric| metric.kind() == kind)
    }
}

/// What is wrong, before the file's name is put to it.
pub(super) enum Fail {
    Malformed(Malformed),
    Meaning { at: String, problem: String, remedy: String },
}

impl From<Malformed> for Fail {
    fn from(malformed: Malformed) -> Self {
        Fail::Malformed(malformed)
    }
}

impl Fail {
    pub(super) fn at(self, path: &Path, text: &str) -> Error {
        match self {
            Fail::Meaning { at, problem, remedy } => {
                let place = if at.is_empty() { at } else { format!(", at `{at}`") };
                file_error(path, place, problem, remedy)
            }
            Fail::Malformed(Malformed { at, problem }) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes();
                let before = &text[..at.min(text.len())];
                let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
                let column = 1 + before.iter().rev().take_while(|&&b| b != b'\n').count();
                let place = format!(", line {line}, column {column}");
                let remedy = "mend the file there; a JSON checker shows more";
                file_error(path, place, format!("not valid JSON ({problem})"), remedy)
            }
        }
    }
}

pub(super) fn fail<T>(at: impl Into<String>, problem: impl Into<String>, remedy: &str) -> Result<T, Fail> {
    Err(Fail::Meaning { at: at.into(), problem: problem.into(), remedy: remedy.into() })
}

pub(super) const EXAMPLE: &str =
    r#"write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}"#;

/// The name of a file that has no examples, `None` if it has some.
pub(super) fn container(path: &Path, text: &str) -> Result<Option<String>, Error> {
    // Reading ends where examples begin.
    struct Found;
    let mut header = Header::default();
    let mut reader = Reader::new(text);
    let mut found = None;
    let read = reader.object(|reader, key| {
        if key.text == "examples" {
            found = Some(Found);
            return fail("", "", "");
        }
        header.read(reader, key)
    });
    match (found, read) {
        (Some(Found), _) => Ok(None),
        (None, Some(Ok(()))) => header.name().map(Some).map_err(|fail| fail.at(path, text)),
        (None, Some(Err(fail))) => Err(fail.at(path, text)),
        (None, None) => {
            fail("", "no object", r#"write an object with "examples": [...]"#).map_err(|f: Fail| f.at(path, text))
        }
    }
}

fn parse(path: &Path, text: &str, parent: Option<&str>) -> Result<Leaf, Fail> {
    let (mut header, mut examples) = (Header::default(), None);
    let mut reader = Reader::new(text);
    let remedy = r#"write an object with "examples": [...]"#;
    let read = reader.object(|reader, key| {
        if key.text != "examples" {
            return header.read(reader, key);
        }
        let mut list = Examples::default();
        match reader.list(|reader| {
            let value = reader.value()?;
            list.push(value)
        }) {
            Some(read) => read?,
            None => return fail("examples", "not a list", EXAMPLE),
        }
        // Of two lists of the same name Python keeps the last.
        if examples.replace(list).is_some() {
            reader.duplicates.push("examples".into());
        }
        Ok(())
    });
    read.unwrap_or_else(|| fail("", "no object", remedy))?;
    reader.end()?;
    for key in ["canary", "description", "keywords"] {
        if !header.values.contains_key(key) {
            return fail("", format!("no `{key}`"), "add it: the reference asks for it");
        }
    }
    let Some(examples) = examples else { return fail("", "no `examples`", remedy) };
    header.duplicates = reader.duplicates;
    leaf(path, parent, header, examples)
}

fn leaf(path: &Path, parent: Option<&str>, header: Header, list: Examples) -> Result<Leaf, Fail> {
    let own = header.name()?;
    let metrics = header.metrics()?;
    let Examples { examples, duplicates, .. } = list;
    if examples.is_empty() {
        return fail("examples", "an empty list", "give at least one example");
    }
    let preferred = header.required_text("preferred_score")?;
    check_metrics(&metrics, &preferred, &examples)?;
    let Some(mut range) = metric::range(&preferred) else {
        let remedy = "name one score of the metrics; of rouge that is rouge1, rouge2 or rougeLsum";
        return fail("preferred_score", format!("no such score: {preferred:?}"), remedy);
    };
    if preferred == Metric::MultipleChoiceGrade.name() {
        let guess = |e: &Example| e.choices.as_ref().map_or(0.0, |c| super::questions::guess(c));
        range.0 = examples.iter().map(guess).sum::<f64>() / examples.len() as f64;
    }
    if range.1 <= range.0 {
        let problem = format!("guessing scores {}, no less than the best answers ({})", range.0, range.1);
        return fail("examples", problem, "give wrong choices lower scores");
    }
    let (extract, template) = (header.extract()?, header.template()?);
    if let Some(bytes) = examples.iter().map(|e| template.written(e)).find(|&bytes| bytes > MAX_WRITTEN_BYTES) {
        let problem = format!("one takes {bytes} bytes with its prefixes and choices, over {MAX_WRITTEN_BYTES}");
        return fail("examples", problem, "shorten the prefixes, or give fewer choices");
    }
    let (output_regex, stop) = (header.optional_text("output_regex")?, header.optional_text("stop_string")?);
    let notes = Notes {
        duplicate_examples: duplicates,
        ascii_name: own.is_ascii(),
        truthy_texts: header.truthy_texts(),
        canary_list: matches!(header.values.get("canary"), Some(Value::List(_))),
        empty_extraction: output_regex.or(stop).is_some_and(|text| text.is_empty()),
        duplicate_keys: header.duplicates.clone(),
        unknown_keys: header.unknown.clone(),
    };
    let ascii: String = own.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    Ok(Leaf {
        path: path.into(),
        template,
        grading: Grading {
            name: parent.map_or(ascii.clone(), |parent| format!("{parent}:{ascii}")),
            metrics,
            preferred,
            low: range.0,
            high: range.1,
            extract,
            absolute_normalization: header.values.get("absolute_normalization").is_some_and(Value::truthy),
        },
        examples,
        notes,
    })
}

fn check_metrics(metrics: &[Metric], preferred: &str, examples: &[Example]) -> Result<(), Fail> {
    let choices = metrics.iter().find(|m| m.kind() == Kind::Choices).map(|m| m.name());
    let choices = choices.or_else(|| (preferred == "multiple_choice_grade").then_some("multiple_choice_grade"));
    let targets = metrics.iter().find(|m| m.kind() != Kind::Choices).map(|m| m.name());
    for (i, example) in examples.iter().enumerate() {
        if let (Some(metric), None) = (choices, &example.choices) {
            return fail(format!("examples[{i}]"), format!("no `target_scores`, which {metric} is about"), EXAMPLE);
        }
        if let (Some(metric), false) = (targets, example.named_target) {
            return fail(format!("examples[{i}]"), format!("no `target`, which {metric} is about"), EXAMPLE);
        }
    }
    Ok(())
}

/// The keys of a file, but its examples.
#[derive(Default)]
struct Header {
    values: HashMap<&'static str, Value>,
    unknown: Vec<String>,
    duplicates: Vec<String>,
}

impl Header {
    fn read(&mut self, reader: &mut Reader<'_>, key: Text) -> Result<(), Fail> {
        let value = reader.value()?;
        match KNOWN.into_iter().find(|known| *known == key.text) {
            Some(known) => {
                if self.values.insert(known, value).is_some() {
                    reader.duplicates.push(known.into());
                }
            }
            None => self.unknown.push(key.text),
        }
        Ok(())
    }

    fn optional_text(&self, key: &str) -> Result<Option<String>, Fail> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => text(key, value).map(Some),
        }
    }

    fn required_text(&self, key: &str) -> Result<String, Fail> {
        match self.values.get(key) {
            None => fail("", format!("no `{key}`"), "add it: the reference asks for it"),
            Some(value) => text(key, value),
        }
    }

    fn text_or(&self, key: &str, default: &str) -> Result<String, Fail> {
        self.values.get(key).map_or(Ok(default.to_owned()), |value| text(key, value))
    }

    fn name(&self) -> Result<String, Fail> {
        self.required_text("name")
    }

    fn metrics(&self) -> Result<Vec<Metric>, Fail> {
        let remedy = "write a list of names of BIG-bench's metrics";
        let Some(Value::List(names)) = self.values.get("metrics") else {
            return fail("metrics", "no list of metrics", remedy);
        };
        let mut metrics = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let name = text(&format!("metrics[{i}]"), name)?;
            let Some(metric) = Metric::named(&name) else {
                return fail(format!("metrics[{i}]"), format!("no such metric: {name:?}"), remedy);
            };
            metrics.push(metric);
            if metric == Metric::MultipleChoiceGrade {
                metrics.extend([Metric::Brier, Metric::CalibrationError]);
            }
        }
        let mut seen = HashSet::new();
        metrics.retain(|metric| seen.insert(*metric));
        Ok(metrics)
    }

    fn template(&self) -> Result<Template, Fail> {
        Ok(Template {
            task_prefix: self.text_or("task_prefix", "")?,
            input_prefix: self.text_or("example_input_prefix", "\nQ: ")?,
            output_prefix: self.text_or("example_output_prefix", "\nA: ")?,
            choice_prefix: self.text_or("choice_prefix", "\n  choice: ")?,
            append_choices: self.values.get("append_choices_to_input").is_none_or(Value::truthy),
            separator: self.text_or("few_shot_example_separator", "\n")?,
        })
    }

    fn extract(&self) -> Result<Extract, Fail> {
        let (regex, stop) = (self.optional_text("output_regex")?, self.optional_text("stop_string")?);
        let regex = if stop.is_none() { regex.or(Some(DEFAULT_REGEX.into())) } else { regex };
        // An empty text is there, so the default does not apply, and does nothing.
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Extract { stop: some(stop), regex: some(regex) })
    }

    /// Switches that are texts: any but the empty one switches on.
    fn truthy_texts(&self) -> Vec<(String, String)> {
        let switches = ["append_choices_to_input", "absolute_normalization"].into_iter();
        let text = |key| match self.values.get(key) {
            Some(Value::Text(text)) => Some((String::from(key), text.text.clone())),
            _ => None,
        };
        switches.filter_map(text).collect()
    }
}

pub(super) fn text(place: &str, value: &Value) -> Result<String, Fail> {
    match value {
        Value::Text(text) => checked(place, text),
        other => fail(place, format!("expected a text, found {}", other.kind()), "write a text in quotes"),
    }
}

pub(super) fn checked(place: &str, text: &Text) -> Result<String, Fail> {
    if text.broken {
        return fail(place, "half a surrogate pair, which is no character", "write both halves, or neither");
    }
    if text.text.len() > MAX_TEXT_BYTES {
        let problem = format!("a text of {} bytes, over the limit of {MAX_TEXT_BYTES}", text.text.len());
        return fail(place, problem, "shorten it: no model here reads so much at once");
    }
    Ok(text.text.clone())
}
