//! `saltus look`: what is inside models.
//!
//! Every look at a model leaves two files in its folder, named by a key of all that determines them: the observations
//! (`KEY.parquet`) and what the page shows beside them (`KEY.json`). What is there is not computed again.

mod causal;
mod each;
mod facts;
mod heads;
mod knowledge;
mod memories;
mod page;
mod paint;
mod prompt;

use crate::print;
use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, Result};
use saltus_record::Observation;
use saltus_report::inside::Detail;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What is looked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Look {
    /// Ask facts behind every layer: where they are known, and what the last layer does not say
    Knowledge(knowledge::KnowledgeArguments),
    /// Feed-forward memories: what triggers each key, what its value votes for, where predictions come from
    Memories(memories::MemoriesArguments),
    /// Score every head as a previous-token, duplicate-token and induction head, and say what context is worth
    Heads(heads::HeadsArguments),
    /// Take one prediction apart: what each layer says, which memories and heads make the next word
    Prompt(prompt::PromptArguments),
    /// Restore and remove parts of a model where it is asked for facts: which of them make the answer
    Causal(causal::CausalArguments),
}

/// Takes the look, and makes the page of all that its folder holds.
pub(crate) fn dispatch(look: &Look) -> Result<ExitCode> {
    let (common, done) = match look {
        Look::Knowledge(arguments) => (&arguments.common, knowledge::run(arguments)?),
        Look::Memories(arguments) => (&arguments.common, memories::run(arguments)?),
        Look::Heads(arguments) => (&arguments.common, heads::run(arguments)?),
        Look::Prompt(arguments) => (&arguments.common, prompt::run(arguments)?),
        Look::Causal(arguments) => (&arguments.common, causal::run(arguments)?),
    };
    let (page, damaged) = page::write(&common.out)?;
    for file in damaged {
        eprintln!("! {} cannot be read and is not on the page: take that look again", file.display());
    }
    if !common.json {
        print(false, &(), || format!("page: {}\n", page.display()))?;
    }
    Ok(done)
}

/// What every look is told.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// A folder, a file, or a name such as `EleutherAI/pythia-70m@step3000`; may be given more than once
    #[arg(long = "model", value_name = "MODEL", required = true)]
    pub(crate) models: Vec<String>,
    /// Folder of what is found
    #[arg(long, value_name = "FOLDER", default_value = "looks")]
    pub(crate) out: PathBuf,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What one look found, as it is saved.
#[derive(Debug)]
pub(crate) struct Found {
    /// The numbers.
    pub(crate) observations: Vec<Observation>,
    /// What the page shows beside them.
    pub(crate) details: Vec<Detail>,
}

/// A folder of looks.
pub(crate) struct Folder<'a>(pub(crate) &'a Path);

impl Folder<'_> {
    /// The key of a look: all that determines what it finds.
    pub(crate) fn key(parts: &[&str]) -> String {
        let schema = saltus_record::SCHEMA.to_string();
        let mut all = vec!["look", env!("CARGO_PKG_VERSION"), schema.as_str()];
        all.extend(parts);
        blake3::hash(all.join("\n").as_bytes()).to_hex()[..32].to_owned()
    }

    /// What was found before, if it is there and whole.
    pub(crate) fn read(&self, key: &str) -> Option<Found> {
        let observations = saltus_record::read_observations(&self.path(key, "parquet")).ok()?;
        let details = std::fs::read(self.path(key, "json")).ok()?;
        let details = serde_json::from_slice(&details).ok()?;
        (observations.key == key).then_some(Found { observations: observations.rows, details })
    }

    /// Saves what was found: the observations last, since they say that the look is done.
    pub(crate) fn write(&self, key: &str, found: &Found) -> Result<()> {
        std::fs::create_dir_all(self.0).into_diagnostic()?;
        let details = serde_json::to_vec(&found.details).into_diagnostic()?;
        let put = |file: &mut std::fs::File| std::io::Write::write_all(file, &details);
        saltus_record::write_atomically(&self.path(key, "json"), put).into_diagnostic()?;
        saltus_record::write_observations(&self.path(key, "parquet"), key, &found.observations).into_diagnostic()
    }

    fn path(&self, key: &str, extension: &str) -> PathBuf {
        self.0.join(format!("{key}.{extension}"))
    }
}
