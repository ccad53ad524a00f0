//! A task as its file says it, checked, before any data is read.

use super::{
    config::{self, Grading, Keys, Metric, Output, Step},
    source::{self, Also, Dataset, Rule},
    template::Templates,
    value::Value,
    yaml::{Data, Members, Node},
};
use crate::Error;
use std::path::{Path, PathBuf};

/// Longer delimiters are refused: they come before every choice, or after every shot.
const MAX_DELIMITER: usize = 4096;

/// A task of lm-evaluation-harness.
#[derive(Clone, Debug)]
pub struct Task {
    pub(super) path: PathBuf,
    pub(super) name: String,
    alias: Option<String>,
    pub(super) output: Output,
    grading: Grading,
    num_fewshot: Option<u32>,
    pub(super) dataset: Dataset,
    pub(super) training_split: Option<String>,
    pub(super) validation_split: Option<String>,
    pub(super) test_split: Option<String>,
    pub(super) description: Option<Rule>,
    pub(super) text: Option<Rule>,
    pub(super) target: Option<Rule>,
    pub(super) choice: Option<Rule>,
    pub(super) prefix: Option<Rule>,
    pub(super) target_delimiter: String,
    pub(super) shots: ShotRules,
    pub(super) templates: Templates,
}

/// How shots are chosen and written, where that differs from the question.
#[derive(Clone, Debug)]
pub(super) struct ShotRules {
    pub(super) first_n: bool,
    pub(super) split: Option<String>,
    pub(super) samples: Option<Vec<Vec<(String, Value)>>>,
    pub(super) text: Option<Rule>,
    pub(super) target: Option<Rule>,
    pub(super) choice: Option<Rule>,
    pub(super) prefix: Option<Rule>,
    pub(super) target_delimiter: String,
    pub(super) delimiter: String,
}

/// Keys that say nothing about prompts or scores.
const IGNORED: [&str; 9] = [
    "tag",
    "group",
    "task_list",
    "metadata",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "dataset_name",
    "group_alias",
    "aggregate_metric_list",
];

/// Keys that need Python, or more than text.
const REFUSED: [(&str, &str); 8] = [
    ("class", "it needs Python: write a declarative task"),
    ("custom_dataset", "it needs Python: save the data as a file"),
    ("process_docs", "it needs Python: prepare the data beforehand"),
    ("process_results", "it needs Python: use the metrics that are built in"),
    ("use_prompt", "it needs promptsource: write the template out"),
    ("doc_to_image", "models here read text alone"),
    ("doc_to_audio", "models here read text alone"),
    ("unsafe_code", "answers are never run as programs"),
];

impl Task {
    /// Checks the keys of a task.
    pub(super) fn new(path: &Path, members: Members) -> Result<Self, Error> {
        let mut keys = Keys::new(members);
        keys.ignore(&IGNORED);
        for (key, remedy) in REFUSED {
            match keys.take(key) {
                Some(node) if matches!(node.data, Data::Function(_)) => return Err(node.mistyped(key, "a value")),
                Some(node) if !matches!(node.data, Data::Bool(false)) => {
                    return Err(node.error(format!("`{key}` is not supported"), remedy));
                }
                _ => {}
            }
        }
        let name = keys.text("task")?;
        let name = name.unwrap_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        if let Some(node) = keys.take("repeats")
            && config::integer(&node, "repeats")? != 1
        {
            return Err(node.error("`repeats` asks for several answers to a question", "write 1: one is generated"));
        }
        let target_delimiter = delimiter(&mut keys, "target_delimiter")?.unwrap_or_else(|| " ".into());
        let delimiter = delimiter(&mut keys, "fewshot_delimiter")?.unwrap_or_else(|| "\n\n".into());
        let output = output(&mut keys, &delimiter)?;
        let metrics = config::metrics(keys.take("metric_list"), &output)?;
        let filters = config::filters(keys.take("filter_list"))?;
        let mut templates = Templates::new();
        let t = &mut templates;
        let description = source::rule(&mut keys, "description", "description", Also::Nothing, t)?;
        let text = source::rule(&mut keys, "doc_to_text", "doc_to_text", Also::Number, t)?;
        let target = source::rule(&mut keys, "doc_to_target", "doc_to_target", Also::NumberOrList, t)?;
        let choice = source::rule(&mut keys, "doc_to_choice", "doc_to_choice", Also::ListOrMapping, t)?;
        let prefix = source::rule(&mut keys, "gen_prefix", "gen_prefix", Also::Nothing, t)?;
        let split = keys.text("fewshot_split")?;
        let shots = ShotRules {
            first_n: false,
            split,
            samples: None,
            text: text.clone(),
            target: target.clone(),
            choice: choice.clone(),
            prefix: prefix.clone(),
            target_delimiter: target_delimiter.clone(),
            delimiter,
        };
        let shots = shots.configured(keys.take("fewshot_config"), t)?;
        let task = Self {
            path: path.into(),
            name,
            alias: keys.text("task_alias")?,
            output,
            grading: Grading { metrics, filters },
            num_fewshot: num_fewshot(&mut keys)?,
            dataset: source::dataset(&mut keys, path)?,
            training_split: keys.text("training_split")?,
            validation_split: keys.text("validation_split")?,
            test_split: keys.text("test_split")?,
            description,
            text,
            target,
            choice,
            prefix,
            target_delimiter,
            shots,
            templates,
        };
        keys.finish("a task")?;
        task.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        let node = &self.dataset.node;
        if self.target.is_none() {
            return Err(node.error(format!("the task `{}` has no `doc_to_target`", self.name), "say what is right"));
        }
        if self.text.is_none() && self.output != Output::Rolling {
            return Err(
                node.error(format!("the task `{}` has no `doc_to_text`", self.name), "say what the model reads")
            );
        }
        if self.choice.is_none() && self.output == Output::MultipleChoice {
            let problem = format!("the task `{}` has no `doc_to_choice`", self.name);
            return Err(node.error(problem, "say what there is to choose from"));
        }
        let splits = [&self.training_split, &self.validation_split, &self.test_split, &self.shots.split];
        if let Some(split) = splits.into_iter().flatten().find(|split| self.dataset.files(split).is_none()) {
            let problem = format!("no `data_files` for the split `{split}` of the task `{}`", self.name);
            return Err(node.error(problem, "name its files, or another split"));
        }
        if self.test_split.is_none() && self.validation_split.is_none() {
            let problem = format!("the task `{}` has neither `test_split` nor `validation_split`", self.name);
            return Err(node.error(problem, "name the split with the questions"));
        }
        Ok(self)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name (`task`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name to show (`task_alias`, else the name).
    pub fn alias(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }

    /// How answers come about.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// How they are graded.
    pub fn grading(&self) -> &Grading {
        &self.grading
    }

    /// Regular expressions compiled for it.
    pub(super) fn patterns(&self) -> usize {
        let steps = self.grading.filters.iter().flat_map(|filter| &filter.steps);
        let ignored = self.grading.metrics.iter().map(|entry| match &entry.metric {
            Metric::ExactMatch(exact) => exact.regexes_to_ignore.len(),
            _ => 0,
        });
        steps.filter(|step| matches!(step, Step::Regex { .. })).count() + ignored.sum::<usize>()
    }

    /// How many shots the file asks for; 0 cannot be overridden, as in lm-evaluation-harness.
    pub fn num_fewshot(&self) -> Option<u32> {
        self.num_fewshot
    }
}

/// The text of a key that stands between others.
fn delimiter(keys: &mut Keys, key: &str) -> Result<Option<String>, Error> {
    let Some(node) = keys.take(key) else { return Ok(None) };
    let text = config::text(node.clone(), key)?;
    if text.len() > MAX_DELIMITER {
        let problem = format!("`{key}` has {} bytes, over the limit of {MAX_DELIMITER}", text.len());
        return Err(node.error(problem, "shorten it"));
    }
    Ok(Some(text))
}

fn output(keys: &mut Keys, delimiter: &str) -> Result<Output, Error> {
    let kind = keys.take("output_type");
    let kwargs = keys.take("generation_kwargs");
    let name = kind.clone().map_or(Ok("generate_until".to_owned()), |node| config::text(node, "output_type"))?;
    match (name.as_str(), kind) {
        ("generate_until", _) => Ok(Output::Generate(config::generation(kwargs, delimiter)?)),
        ("multiple_choice", _) => Ok(Output::MultipleChoice),
        ("loglikelihood", _) => Ok(Output::Loglikelihood),
        ("loglikelihood_rolling", _) => Ok(Output::Rolling),
        (_, Some(node)) => Err(node.error(
            format!("the output `{name}` is unknown"),
            "write multiple_choice, loglikelihood, loglikelihood_rolling or generate_until",
        )),
        (_, None) => Ok(Output::Generate(config::generation(kwargs, delimiter)?)),
    }
}

fn num_fewshot(keys: &mut Keys) -> Result<Option<u32>, Error> {
    let Some(node) = keys.take("num_fewshot") else { return Ok(None) };
    let number = config::integer(&node, "num_fewshot")?;
    match u32::try_from(number) {
        Ok(number) if number <= 10_000 => Ok(Some(number)),
        _ => Err(node.error(format!("`num_fewshot` is {number}"), "write a number from 0 to 10,000")),
    }
}

impl ShotRules {
    /// What `fewshot_config` changes.
    fn configured(mut self, node: Option<Node>, templates: &mut Templates) -> Result<Self, Error> {
        let Some(node) = node else { return Ok(self) };
        let mut keys = Keys::new(config::members(node, "fewshot_config")?);
        if let Some(node) = keys.take("sampler") {
            self.first_n = match config::text(node.clone(), "sampler")?.as_str() {
                "default" => false,
                "first_n" => true,
                other => {
                    return Err(node.error(format!("the sampler `{other}` is unknown"), "write default or first_n"));
                }
            };
        }
        self.split = keys.text("split")?.or(self.split);
        self.samples = keys.take("samples").map(samples).transpose()?;
        let text = source::rule(&mut keys, "doc_to_text", "fewshot_config.doc_to_text", Also::Number, templates)?;
        let key = "fewshot_config.doc_to_target";
        let target = source::rule(&mut keys, "doc_to_target", key, Also::NumberOrList, templates)?;
        let key = "fewshot_config.doc_to_choice";
        let choice = source::rule(&mut keys, "doc_to_choice", key, Also::ListOrMapping, templates)?;
        let prefix = source::rule(&mut keys, "gen_prefix", "fewshot_config.gen_prefix", Also::Nothing, templates)?;
        self.text = text.or(self.text);
        self.target = target.or(self.target);
        self.choice = choice.or(self.choice);
        self.prefix = prefix.or(self.prefix);
        self.target_delimiter = delimiter(&mut keys, "target_delimiter")?.unwrap_or(self.target_delimiter);
        self.delimiter = delimiter(&mut keys, "fewshot_delimiter")?.unwrap_or(self.delimiter);
        if let Some(node) = keys.take("fewshot_indices") {
            return Err(
                node.error("lm-eval 0.4.13 takes no notice of `fewshot_indices`", "remove it, or use `samples`")
            );
        }
        keys.finish("`fewshot_config`")?;
        Ok(self)
    }
}

fn samples(node: Node) -> Result<Vec<Vec<(String, Value)>>, Error> {
    let document = |node: Node| {
        let members = config::members(node, "samples")?;
        members.iter().map(|(key, node)| Ok((key.clone(), source::value(node, "samples")?))).collect()
    };
    config::list(node, "samples")?.into_iter().map(document).collect()
}
