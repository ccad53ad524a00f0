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
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
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
