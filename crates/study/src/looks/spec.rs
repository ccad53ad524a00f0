//! `[[look]]`: what the user wants to see inside the models.

use super::questions;
use crate::{error::Error, file::Source, plan::SetPlan};
use saltus_corpus::Corpus;
use saltus_lens::causal;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A `[[look]]` as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum LookSpec {
    /// The questions of a task at every layer, through the logit lens.
    Knowledge {
        /// Family of the task: a generated one, or the name of a file's task.
        family: String,
    },
    /// Feed-forward memories, over the questions of all tasks with their answers.
    Memories {
        /// Triggers of each key.
        triggers: usize,
        /// Places whose predictions are taken apart.
        sample: usize,
    },
    /// What heads attend to on repeated random characters, at every checkpoint.
    Heads {
        /// Sequences.
        sequences: usize,
        /// Tokens of a copy.
        length: usize,
        /// Characters to draw from, each a token.
        tokens: String,
        /// What stands before a sequence.
        #[serde(default)]
        beginning: String,
    },
    /// One prediction taken apart.
    Prompt {
        /// What is read; of masked models with one gap.
        text: String,
        /// The token that is explained; none: the model's first choice.
        target: Option<String>,
    },
    /// The questions of a task with parts restored and removed.
    Causal {
        /// Family of the task.
        family: String,
        /// How subjects are corrupted.
        corrupt: Corrupt,
        /// Draws of the noise, or other subjects at most.
        draws: usize,
        /// What stands where a part is removed.
        remove: Remove,
    },
}

/// How subjects are corrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Corrupt {
    /// Noise on the embeddings.
    Noise,
    /// The subject of another question of the task.
    Swap,
}

/// What stands where a part is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Remove {
    /// Nothing.
    Zero,
    /// The mean over the questions.
    Mean,
}

/// Size of the noise, in standard deviations of the subjects' embeddings; as in the paper.
const SIGMAS: f64 = 3.0;

/// How causes are traced.
pub(crate) fn causal_options(corrupt: Corrupt, draws: usize, remove: Remove) -> causal::Options {
    let corruption = match corrupt {
        Corrupt::Noise => causal::Corruption::Noise { sigmas: SIGMAS },
        Corrupt::Swap => causal::Corruption::Swap,
    };
    let removal = match remove {
        Remove::Zero => causal::Removal::Zero,
        Remove::Mean => causal::Removal::Mean,
    };
    causal::Options { corruption, draws, removal, window: 1 }
}

/// A validated look.
#[derive(Clone, Debug)]
pub(crate) struct LookPlan {
    pub(crate) spec: LookSpec,
    /// All that determines what it finds, but for the model.
    pub(crate) identity: String,
}

impl LookPlan {
    /// Whether it is taken at every checkpoint.
    pub(crate) fn along_training(&self) -> bool {
        matches!(self.spec, LookSpec::Heads { .. })
    }
}

/// What looks are about: the questions that models are asked, what they learn from, and how much they read at once.
pub(crate) struct Subject<'a> {
    pub(crate) sets: &'a [SetPlan],
    pub(crate) corpus: &'a dyn Corpus,
    pub(crate) context: usize,
}

/// Validates the looks of a study.
pub(crate) fn plan(
    source: &Source,
    tables: &[Spanned<toml::Table>],
    subject: &Subject<'_>,
) -> Result<Vec<LookPlan>, Error> {
    tables.iter().map(|table| one(source, table, subject)).collect()
}

fn one(source: &Source, table: &Spanned<toml::Table>, subject: &Subject<'_>) -> Result<LookPlan, Error> {
    let wrong = |message: &str| source.table_error(message, table.span(), &[]);
    let spec: LookSpec = table.get_ref().clone().try_into().map_err(|e: toml::de::Error| wrong(e.message()))?;
    spec.check(subject).map_err(|problem| wrong(&problem))?;
    // What a look reads of the tasks is part of what it finds.
    let sets = subject.sets;
    let read: Vec<&str> = match &spec {
        LookSpec::Knowledge { family } | LookSpec::Causal { family, .. } => {
            sets.iter().filter(|s| s.set.family == *family).map(|s| s.identity.as_str()).collect()
        }
        LookSpec::Memories { .. } => sets.iter().map(|s| s.identity.as_str()).collect(),
        LookSpec::Heads { .. } | LookSpec::Prompt { .. } => Vec::new(),
    };
    let written = serde_json::to_string(&spec).map_err(Error::room)?;
    Ok(LookPlan { identity: format!("{written}\n{}", read.join("\n")), spec })
}

impl LookSpec {
    /// What is wrong with it, and what to write instead.
    fn check(&self, subject: &Subject<'_>) -> Result<(), String> {
        let Subject { sets, corpus, context } = *subject;
        match self {
            LookSpec::Knowledge { family } => known(family, sets),
            LookSpec::Memories { .. } if corpus.mask().is_some() => {
                Err("models that see both ways have no prefixes that could call a memory: take the look out".into())
            }
            LookSpec::Memories { triggers, sample } => {
                among("triggers", *triggers, 1..=100)?;
                among("sample", *sample, 1..=100_000)
            }
            LookSpec::Heads { sequences, length, .. } => {
                among("sequences", *sequences, 2..=10_000)?;
                among("length", *length, 2..=10_000)
            }
            LookSpec::Prompt { text, target } => {
                let asked = (text.as_str(), target.as_deref());
                questions::prompt(asked, corpus.tokenizer().as_ref(), corpus.mask(), context).map(drop)
            }
            LookSpec::Causal { family, draws, .. } => {
                known(family, sets)?;
                among("draws", *draws, 1..=1000)?;
                let (cases, left_out) =
                    questions::cases(sets, family, corpus.tokenizer().as_ref()).map_err(|e| e.to_string())?;
                let reasons: Vec<String> = left_out.iter().map(|(reason, n)| format!("{n}: {reason}")).collect();
                match cases.is_empty() {
                    true => Err(format!("no question of \"{family}\" can be traced ({})", reasons.join("; "))),
                    false => Ok(()),
                }
            }
        }
    }
}

fn among(key: &str, value: usize, range: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(format!("`{key}` is {value}: write {} to {}", range.start(), range.end())),
    }
}

/// Whether a task with items is of this family.
fn known(family: &str, sets: &[SetPlan]) -> Result<(), String> {
    let mut families: Vec<&str> = sets.iter().map(|s| s.set.family.as_str()).collect();
    families.dedup();
    if families.contains(&family) {
        return Ok(());
    }
    let known = families.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ");
    Err(format!("`family` is \"{family}\", which no task with items is: write one of {known}"))
}
