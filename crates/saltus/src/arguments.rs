//! What the user typed.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A laboratory for how the abilities of language models appear as they grow.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = "Start here:  saltus run pocket")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring a study up to date: train, measure, judge, report; only what is missing or changed
    Run(RunArguments),
    /// Write a commented study file
    New {
        /// Where to write it (`-`: standard output)
        #[arg(default_value = "study.toml")]
        path: PathBuf,
        /// The built-in study to start from: `small` (a minute) or `pocket`
        #[arg(long, default_value = "small")]
        from: String,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// List what is done, stale and missing
    Status {
        /// A study file, or the name of a built-in study
        study: String,
        /// The study's output folder [default: studies/NAME]
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the findings and the page again from the records alone
    Report {
        /// A study file, or the name of a built-in study
        study: String,
        /// The study's output folder [default: studies/NAME]
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Look at models in files: a folder, a GGUF or llama2.c file, or a name on the Hugging Face Hub
    #[command(subcommand)]
    Models(Models),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// Print what a model is: architecture, parameters, context, tokenizer, storage, memory, hash
    Show {
        /// A folder, a file, or a name such as `EleutherAI/pythia-70m@step3000`
        model: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a model continue a prompt
    Ask(AskArguments),
}

#[derive(Debug, Args)]
pub(crate) struct AskArguments {
    /// A folder, a file, or a name such as `EleutherAI/pythia-70m@step3000`
    pub(crate) model: String,
    /// The text to continue; for a model that sees both ways, a text with `[MASK]` where a token is asked for
    pub(crate) prompt: String,
    /// At most so many tokens
    #[arg(long, default_value_t = 64)]
    pub(crate) tokens: usize,
    /// 0: the most probable token each time; higher: more chance
    #[arg(long, default_value_t = 0.0, value_parser = temperature)]
    pub(crate) temperature: f32,
    /// Choose among the so many most probable tokens [0: all]
    #[arg(long, default_value_t = 0)]
    pub(crate) top_k: usize,
    /// Choose among the tokens that together have this share of the probability
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    pub(crate) top_p: f32,
    /// The same seed chooses the same tokens
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Stop before this text; may be given more than once
    #[arg(long)]
    pub(crate) stop: Vec<String>,
    /// Print JSON: text, tokens, log-probabilities
    #[arg(long)]
    pub(crate) json: bool,
}

fn temperature(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|e| format!("{e}"))?;
    if (0.0..=100.0).contains(&value) { Ok(value) } else { Err("give a number from 0 to 100".into()) }
}

fn share(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|e| format!("{e}"))?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("give a number above 0, at most 1".into()) }
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done; 1 failed; 2 mistake in the study file or the arguments; 3 done with gaps \
    (a model diverged or a question could not be asked: see the list printed).")]
pub(crate) struct RunArguments {
    /// A study file, or the name of a built-in study (`pocket`, `small`)
    pub(crate) study: String,
    /// Output folder [default: studies/NAME]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Threads [default: all cores]; the results have the same bits at any number
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Only print rungs, parameters, tokens, FLOPs and the expected time
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the outcome as JSON and no progress
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
