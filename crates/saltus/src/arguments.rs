//! What the user typed.

mod tables;

pub(crate) use tables::{FitArguments, ForecastArguments, JudgeArguments, ScoreArguments};

use crate::{look::Look, plan::arguments::PlanArguments};
use clap::{Args, Parser, Subcommand, ValueEnum};
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
    /// Ask models the questions of benchmark tasks; only what is missing or changed
    Eval(EvalArguments),
    /// List, show and check tasks: BIG-bench's, lm-evaluation-harness's, one's own
    #[command(subcommand)]
    Tasks(Tasks),
    /// Score saved answers again, by other metrics, normalisations or extractions: no model is needed
    Rescore(RescoreArguments),
    /// Compare two models, or two ways to ask, on the same items
    Compare(CompareArguments),
    /// Write scores and answers as the files of lm-evaluation-harness or BIG-bench
    Export(ExportArguments),
    /// Say how abilities grow with scale, from tables of scores, results of other harnesses, or one's own measurements
    Judge(JudgeArguments),
    /// Fit a law of the loss to a table of runs: Kaplan's, Chinchilla's, isoFLOP, data-constrained, broken ...
    Fit(FitArguments),
    /// Say what a larger model will score, from the sizes measured; or see what came of earlier forecasts
    Forecast(ForecastArguments),
    /// Turn a budget into parameters, tokens and loss by published laws and your own fit
    Plan(PlanArguments),
    /// Look inside models: where knowledge sits, what memories and heads do, how a prediction is made and by which parts
    #[command(subcommand)]
    Look(Look),
    /// Look at models in files: a folder, a GGUF or llama2.c file, or a name on the Hugging Face Hub
    #[command(subcommand)]
    Models(Models),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where tasks are.
#[derive(Debug, Args)]
pub(crate) struct PlaceArguments {
    /// BIG-bench's tasks: the archive bigbench-1.0.0.tar.gz, or the folder of an unpacked one
    #[arg(long, value_name = "PATH", env = "SALTUS_BIGBENCH")]
    pub(crate) bigbench: Option<PathBuf>,
    /// Folder that keeps what is unpacked of the archive [default: saltus in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "SALTUS_CACHE")]
    pub(crate) cache: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ShotModeArgument {
    /// New solved examples for each question
    Fresh,
    /// One set for the task
    Fixed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BoundaryArgument {
    /// Prompt and answer are encoded apart
    Bigbench,
    /// Encoded together, white space at the prompt's end going over to the answer
    LmEval,
    /// Encoded together; the answer begins where the encoding first differs from the prompt's
    Joint,
}

#[derive(Debug, Args)]
#[command(after_help = "Tasks: a file (.yaml of lm-evaluation-harness, .toml, task.json, .jsonl), `bigbench-lite`, \
    `bigbench`, or the name of a BIG-bench task. Exit codes: 0 done; 1 failed; 3 done with gaps (questions that could \
    not be asked: see the list printed).")]
pub(crate) struct EvalArguments {
    /// A folder, a file, or a name such as `EleutherAI/pythia-70m@step3000`; may be given more than once
    #[arg(long = "model", value_name = "MODEL", required = true)]
    pub(crate) models: Vec<String>,
    /// A task by name or file; may be given more than once
    #[arg(long = "task", value_name = "TASK", required = true)]
    pub(crate) tasks: Vec<String>,
    /// Numbers of solved examples, such as 0,1,3 [default: what each task says, else 0]
    #[arg(long, value_delimiter = ',')]
    pub(crate) shots: Vec<u32>,
    /// Where the solved examples come from [default: as BIG-bench and lm-evaluation-harness do it: fresh, unless a task
    /// says `first_n`]
    #[arg(long, value_enum)]
    pub(crate) shot_mode: Option<ShotModeArgument>,
    /// Seeds of their draw, such as 1,2,3 [default: 42 for BIG-bench, 1234 for lm-evaluation-harness, as they have it]
    #[arg(long = "seed", value_delimiter = ',')]
    pub(crate) seeds: Vec<u64>,
    /// Where a prompt ends and an answer begins, in tokens [default: as the task's source has it]
    #[arg(long, value_enum)]
    pub(crate) boundary: Option<BoundaryArgument>,
    /// Cut the beginning off prompts that are too long, instead of leaving the question out
    #[arg(long)]
    pub(crate) truncate: bool,
    /// Ask for every choice without its question too, for the normalisation `unconditional`
    #[arg(long)]
    pub(crate) unconditional: bool,
    /// At most so many questions of each task or subtask
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Folder of the measurements
    #[arg(long, value_name = "FOLDER", default_value = "evaluations")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) places: PlaceArguments,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Only print what would be asked, and the tokens that it takes
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the scores of subtasks too
    #[arg(long)]
    pub(crate) subtasks: bool,
    /// Print JSON and no progress
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tasks {
    /// List tasks
    List {
        /// Tasks by name or file [default: all of BIG-bench]
        tasks: Vec<String>,
        #[command(flatten)]
        places: PlaceArguments,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a task is, and prompts of it as a model reads them
    Show {
        /// A task by name or file
        task: String,
        /// Solved examples in the prompts
        #[arg(long, default_value_t = 0)]
        shots: u32,
        /// So many prompts
        #[arg(long, value_name = "N", default_value_t = 1)]
        items: usize,
        #[command(flatten)]
        places: PlaceArguments,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read tasks whole and list what is odd in them
    Check {
        /// Tasks by name or file
        #[arg(required = true)]
        tasks: Vec<String>,
        #[command(flatten)]
        places: PlaceArguments,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ViewArguments {
    /// Metrics by name: exact_match, final_answer, token_accuracy, p_power_l, nll, probability, edit_similarity,
    /// choice_accuracy, choice_probability, brier
    #[arg(long = "view", value_name = "METRIC", value_delimiter = ',')]
    pub(crate) metrics: Vec<String>,
    /// Accuracy of choices, their log-probabilities normalised: sum, token, code-point, byte, unconditional
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) normalise: Vec<String>,
    /// Exact match of what this regular expression finds first in the generated text (its group, if it has one)
    #[arg(long, value_name = "REGEX")]
    pub(crate) extract: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RescoreArguments {
    /// Folder of the measurements
    #[arg(default_value = "evaluations")]
    pub(crate) folder: PathBuf,
    /// Only this task; may be given more than once
    #[arg(long = "task", value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) views: ViewArguments,
    /// Print the scores of subtasks too
    #[arg(long)]
    pub(crate) subtasks: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A selection is words such as \"model=pythia-160m shots=3\" (model, task, shots, shot-mode, seed, \
    boundary), or the name of a model alone. Two cells are compared where they agree in all that neither selection \
    names. Examples:\n  saltus compare pythia-70m pythia-160m\n  saltus compare shots=0 shots=3"
)]
pub(crate) struct CompareArguments {
    /// What is compared with
    pub(crate) a: String,
    /// What is compared: differences are this less the other
    pub(crate) b: String,
    /// Folder of the measurements
    #[arg(long, value_name = "FOLDER", default_value = "evaluations")]
    pub(crate) folder: PathBuf,
    /// Which score [default: the one that counts]
    #[arg(long)]
    pub(crate) metric: Option<String>,
    #[command(flatten)]
    pub(crate) views: ViewArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose files.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// lm-evaluation-harness: MODEL/results_DATE.json and MODEL/samples_TASK_DATE.jsonl
    LmEval,
    /// BIG-bench: TASK/results/scores_FAMILY_MODEL.json
    Bigbench,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Folder of the measurements
    #[arg(default_value = "evaluations")]
    pub(crate) folder: PathBuf,
    /// Whose files
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to: ExportFormat,
    /// Folder that the files go to
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Only this task; may be given more than once
    #[arg(long = "task", value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
    /// Only this model; may be given more than once
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Date in the names of lm-evaluation-harness's files, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", value_parser = clap::value_parser!(u64).range(..LAST_DATE))]
    pub(crate) date: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The year 10000 begins.
const LAST_DATE: u64 = 253_402_300_800;

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
