//! What the user wrote: the study file as TOML, with the place of every mistake and what to write instead.

use crate::error::Error;
use miette::{NamedSource, SourceSpan};
use saltus_corpus::{Objective, TokenizerSource};
use serde::Deserialize;
use std::{ops::Range, path::PathBuf};
use toml::Spanned;

/// The study file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyFile {
    /// Name of the study; names its output folder.
    pub name: Spanned<String>,
    /// Seed of the world: generated tasks, held-out splits, resampling. Training seeds belong to the ladders.
    pub seed: u64,
    /// What all models share.
    pub model: Spanned<ModelSpec>,
    /// How models are trained.
    pub train: Spanned<TrainSpec>,
    /// Text to train on; absent: the mix of the tasks that have a `weight`.
    pub corpus: Option<Spanned<CorpusSpec>>,
    /// Families of models that differ in size.
    #[serde(rename = "ladder", default)]
    pub ladders: Vec<Spanned<LadderSpec>>,
    /// What the models are trained on and asked.
    #[serde(rename = "task", default)]
    pub tasks: Vec<Spanned<toml::Table>>,
    /// What is looked at inside the models.
    #[serde(rename = "look", default)]
    pub looks: Vec<Spanned<toml::Table>>,
    /// How verdicts are reached.
    pub analysis: AnalysisSpec,
}

/// `[model]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Width / layers aimed at by sizes that are given as a number of parameters.
    pub aspect: f64,
    /// Largest width of an attention head; small models use half their width.
    pub head_dim: usize,
    /// Query heads that share one key-value head; 1 is multi-head attention.
    #[serde(default = "one")]
    pub queries_per_kv: usize,
    /// Base of the rotary position embedding.
    pub rope_base: f64,
    /// Whether the head is the embedding.
    pub tied_embedding: bool,
}

/// `[train]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Tokens of training for every model.
    pub tokens: Option<u64>,
    /// Tokens of training for each non-embedding parameter, instead of `tokens`.
    pub tokens_per_parameter: Option<f64>,
    /// Positions in a row.
    pub context: usize,
    /// Rows in a step.
    pub rows: Rows,
    /// Peak learning rate.
    pub learning_rate: Rate,
    /// Share of the steps with a rising learning rate.
    pub warmup: f64,
    /// Last learning rate as a share of the peak, at the end of a cosine.
    pub final_rate: f64,
    /// AdamW's decay of the two moments.
    pub betas: [f32; 2],
    /// AdamW's weight decay (matrices only).
    pub weight_decay: f32,
    /// Largest gradient norm.
    pub clip: f32,
    /// Checkpoints along the way, spaced evenly in the logarithm of the step.
    pub checkpoints: usize,
    /// Stop training when the loss falls less than this share over the last tenth of the run; absent: never.
    pub early_stop: Option<f64>,
}

/// `rows` as written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number of rows or `{ rows = 16, flops = 1e12 }`")]
pub enum Rows {
    /// The same for every size.
    Fixed(usize),
    /// Growing with the training compute.
    Compute {
        /// Rows at `flops`.
        rows: usize,
        /// Training FLOPs (6ND) that `rows` is right for.
        flops: f64,
    },
}

/// `learning_rate` as written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a rate at width 64, or `{ fixed = 0.003 }`")]
pub enum Rate {
    /// At width 64; times sqrt(64 / width) elsewhere.
    AtWidth64(f64),
    /// The same for every size.
    Fixed {
        /// The rate.
        fixed: f64,
    },
}

/// `[corpus]`: the user's own text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSpec {
    /// Text files, relative to the study file.
    pub files: Vec<PathBuf>,
    /// `"byte"`, `{ bpe = 4096 }` (trained on the files) or `{ file = "tokenizer.json" }`.
    pub tokenizer: TokenizerSource,
    /// What models learn to tell: `"next-token"`, or `"masked"`, which gives models that see both ways and fill gaps.
    #[serde(default)]
    pub objective: Objective,
    /// Share of the text held out for measuring the loss.
    pub held_out: f64,
    /// Held-out windows asked of each checkpoint.
    pub items: usize,
}

/// `[[ladder]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderSpec {
    /// Its name.
    pub name: String,
    /// `"WIDTHxLAYERS"`, or a number of non-embedding parameters.
    pub sizes: Vec<Spanned<Size>>,
    /// Training seeds.
    pub seeds: Vec<u64>,
    /// Compared with the other ladders, but not part of their curves.
    #[serde(default)]
    pub control: bool,
}

/// A size as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a size such as \"48x2\" or a number of non-embedding parameters")]
pub enum Size {
    /// Target number of non-embedding parameters.
    Params(u64),
    /// `"48x2"`.
    Shape(String),
}

/// `[analysis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalysisSpec {
    /// How far above chance an ability must be to have emerged.
    pub delta: f64,
    /// Bootstrap resamples.
    pub resamples: usize,
}

fn one() -> usize {
    1
}

/// The text of a study file with its name, for messages.
#[derive(Clone, Debug)]
pub struct Source {
    /// How the file is called in messages.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Folder that relative paths start from.
    pub folder: PathBuf,
}

impl Source {
    /// An error at `span` (a byte range of the text).
    pub fn error(&self, message: impl Into<String>, at: Option<Range<usize>>, help: impl Into<String>) -> Error {
        Error::File {
            message: message.into(),
            source_code: std::sync::Arc::new(NamedSource::new(&self.name, self.text.clone()).with_language("toml")),
            at: at.map(|r| SourceSpan::new(r.start.into(), r.end.saturating_sub(r.start).max(1))),
            help: help.into(),
        }
    }

    /// Reads the text as a study file.
    pub fn parse(&self) -> Result<StudyFile, Error> {
        toml::from_str(&self.text).map_err(|e| {
            let message = e.message().lines().next().unwrap_or("not a study file").to_string();
            self.error(message, e.span(), advice(e.message()))
        })
    }

    /// An error about one table (for example a `[[task]]`), placed at the key that the message names if it is found.
    pub fn table_error(&self, message: &str, table: Range<usize>, keys: &[&str]) -> Error {
        let first = message.lines().next().unwrap_or(message).trim().to_string();
        let message = list_more(&first, keys);
        let at = quoted(&first).and_then(|key| self.key_in(key, table.clone())).unwrap_or(table);
        self.error(message.clone(), Some(at), advice(&message))
    }

    /// Where `key` is written at the start of a line within `table`, or as its value.
    pub(crate) fn key_in(&self, key: &str, table: Range<usize>) -> Option<Range<usize>> {
        // A table's span may be that of its header alone: it goes on up to the next one.
        let rest = self.text.get(table.start..)?;
        let body = &rest[..rest.find("\n[").unwrap_or(rest.len())];
        let mut offset = table.start;
        for line in body.split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            let rest = &line[indent..];
            if rest.starts_with(key) && rest[key.len()..].trim_start().starts_with('=') {
                return Some(offset + indent..offset + indent + key.len());
            }
            offset += line.len();
        }
        body.find(&format!("\"{key}\"")).map(|at| table.start + at..table.start + at + key.len() + 2)
    }
}

/// Adds the keys that every table of its kind may have to an `expected one of` list.
fn list_more(message: &str, keys: &[&str]) -> String {
    match message.contains("unknown field") {
        true => keys.iter().fold(message.to_string(), |text, key| text + &format!(", `{key}`")),
        false => message.to_string(),
    }
}

/// The first word in backquotes.
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// What to do about a message of the TOML reader: for an unknown key or variant, the nearest known one.
fn advice(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field ").and_then(quoted) {
        return format!(
            "add `{field} = ...`; `saltus new --from pocket` shows a whole study file with every key explained"
        );
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = message.contains("unknown field") || message.contains("unknown variant");
    match (unknown, words.next()) {
        (true, Some(wrong)) => match nearest(wrong, words) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "`saltus new --from pocket` shows a whole study file with every key explained".into(),
        },
        _ => "`saltus new --from pocket` shows a whole study file with every key explained".into(),
    }
}

/// The known word most like `wrong`, if any is like it.
fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::jaro_winkler(wrong, word), word))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
