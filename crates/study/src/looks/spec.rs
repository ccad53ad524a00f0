//! `[[look]]`: what the user wants to see inside the models.

use crate::{error::Error, file::Source, plan::SetPlan};
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

/// Validates the looks of a study whose models are asked `sets`.
pub(crate) fn plan(source: &Source, tables: &[Spanned<toml::Table>], sets: &[SetPlan]) -> Result<Vec<LookPlan>, Error> {
    tables.iter().map(|table| one(source, table, sets)).collect()
}

fn one(source: &Source, table: &Spanned<toml::Table>, sets: &[SetPlan]) -> Result<LookPlan, Error> {
    let wrong = |message: &str| source.table_error(message, table.span(), &[]);
    let spec: LookSpec = table.get_ref().clone().try_into().map_err(|e: toml::de::Error| wrong(e.message()))?;
    let among = |key: &str, value: usize, range: std::ops::RangeInclusive<usize>| match range.contains(&value) {
        true => Ok(()),
        false => Err(wrong(&format!("`{key}` is {value}: write {} to {}", range.start(), range.end()))),
    };
    match &spec {
        LookSpec::Knowledge { family } => {
            let mut families: Vec<&str> = sets.iter().map(|s| s.set.family.as_str()).collect();
            families.dedup();
            if !families.contains(&family.as_str()) {
                let known = families.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ");
                return Err(wrong(&format!(
                    "`family` is \"{family}\", which no task with items is: write one of {known}"
                )));
            }
        }
        LookSpec::Memories { triggers, sample } => {
            among("triggers", *triggers, 1..=100)?;
            among("sample", *sample, 1..=100_000)?;
        }
        LookSpec::Heads { sequences, length, .. } => {
            among("sequences", *sequences, 2..=10_000)?;
            among("length", *length, 2..=10_000)?;
        }
    }
    // What a look reads of the tasks is part of what it finds.
    let read: Vec<&str> = match &spec {
        LookSpec::Knowledge { family } => {
            sets.iter().filter(|s| s.set.family == *family).map(|s| s.identity.as_str()).collect()
        }
        LookSpec::Memories { .. } => sets.iter().map(|s| s.identity.as_str()).collect(),
        LookSpec::Heads { .. } => Vec::new(),
    };
    let written = serde_json::to_string(&spec).map_err(Error::room)?;
    Ok(LookPlan { identity: format!("{written}\n{}", read.join("\n")), spec })
}
