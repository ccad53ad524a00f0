//! What is typed to judge, forecast and fit tables.

use crate::{fit::LawName, plan::arguments::ParamsConvention};
use clap::{Args, ValueEnum};
use saltus_atlas::Method;
use std::path::PathBuf;

/// How scores are read.
#[derive(Debug, Args)]
pub(crate) struct ScoreArguments {
    /// Files or folders: CSV or Parquet with one row for each model, task and metric (or item); results of
    /// lm-evaluation-harness; score files of BIG-bench; a folder of `saltus eval`
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Other names of columns, such as `params_nominal=params,acc=score`: theirs, then ours (family, model, task, metric,
    /// score, n, stderr, chance, ceiling, higher_is_better, seed, item, step, length, scale, params,
    /// params_non_embedding, flops, tokens, loss)
    #[arg(long, value_name = "THEIRS=OURS", value_delimiter = ',', value_parser = renaming)]
    pub(crate) map: Vec<(String, String)>,
    /// Columns that tell abilities apart besides family, task and metric
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// The scale axis: scale, params, params_non_embedding, flops, tokens, loss [default: the first that all have]
    #[arg(long, value_name = "AXIS")]
    pub(crate) scale: Option<String>,
    /// Score of blind guessing, for all tasks or for one, such as 0.25 or `arc_easy=0.25`
    #[arg(long, value_name = "[TASK=]CHANCE", value_parser = chance)]
    pub(crate) chance: Vec<(Option<String>, f64)>,
    /// Metrics of which less is better, where their names do not tell
    #[arg(long, value_name = "METRICS", value_delimiter = ',')]
    pub(crate) lower_is_better: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Shapes: flat, smooth, emergent, inverse, u-shaped, inverted-u, undetermined (see \
    docs/verdicts.md). Exit codes: 0 done; 1 failed; 2 nothing that can be judged; 3 some abilities could not be judged.")]
pub(crate) struct JudgeArguments {
    #[command(flatten)]
    pub(crate) scores: ScoreArguments,
    /// How far above chance a score must be to count as an ability
    #[arg(long, default_value_t = 0.05, value_parser = open_share)]
    pub(crate) delta: f64,
    /// Level of the tests, and of false discoveries over all abilities
    #[arg(long, default_value_t = 0.05, value_parser = open_share)]
    pub(crate) alpha: f64,
    /// Resamples of each test
    #[arg(long, default_value_t = 999, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(19..=1_000_000))]
    pub(crate) resamples: usize,
    /// Seed of the resamples
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write a page with every ability
    #[arg(long, value_name = "FILE.html")]
    pub(crate) page: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Print JSON and no progress
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed; 2 nothing to foretell from; 3 some forecasts were refused, as the data \
    cannot support them. Examples:\n  saltus forecast scores.csv --to-params 70B --register forecasts.json\n  saltus forecast \
    new-scores.csv --score forecasts.json"
)]
pub(crate) struct ForecastArguments {
    #[command(flatten)]
    pub(crate) scores: ScoreArguments,
    /// Parameters of the larger model, such as 70e9 or 70B
    #[arg(long, value_name = "N", value_parser = size)]
    pub(crate) to_params: Option<f64>,
    /// Tokens that it is trained on
    #[arg(long, value_name = "D", value_parser = size)]
    pub(crate) to_tokens: Option<f64>,
    /// FLOPs of its training [default: 6 N D]
    #[arg(long, value_name = "C", value_parser = size)]
    pub(crate) to_flops: Option<f64>,
    /// How: by the curves of the shapes, by the loss and a sigmoid of it, by a broken power law; several with commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "shape")]
    pub(crate) method: Vec<ForecastMethod>,
    /// Write the forecasts to a file, with the date, so that they can be held against what comes
    #[arg(long, value_name = "FILE")]
    pub(crate) register: Option<PathBuf>,
    /// Hold the forecasts of this file against the scores: was the interval right, how far off, how likely
    #[arg(long, value_name = "FILE", conflicts_with_all = ["register", "to_params", "to_tokens", "to_flops"])]
    pub(crate) score: Option<PathBuf>,
    /// The date to register [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub(crate) date: Option<String>,
    /// How far above chance a score must be to count as an ability
    #[arg(long, default_value_t = 0.05, value_parser = open_share)]
    pub(crate) delta: f64,
    /// Draws of each forecast
    #[arg(long, default_value_t = 999, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(19..=1_000_000))]
    pub(crate) resamples: usize,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Print JSON and no progress
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How a score is foretold.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ForecastMethod {
    /// The curves of the shapes, by their weights
    Shape,
    /// The loss by its law, then the score by a sigmoid of the loss
    TwoStep,
    /// A broken power law of the scale
    Bnsl,
}

impl ForecastMethod {
    pub(crate) fn method(self) -> Method {
        match self {
            ForecastMethod::Shape => Method::Shape,
            ForecastMethod::TwoStep => Method::TwoStep,
            ForecastMethod::Bnsl => Method::Broken,
        }
    }
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Columns: params, tokens, flops (two of them), loss, and run, unique_tokens, x where a law needs them. \
    Examples:\n  saltus fit runs.csv --law chinchilla --drop-worst 5\n  saltus fit curve.csv --law bnsl --map \
    train_examples=x,test_loss=loss --hold-out 3\nExit codes: 0 done; 2 mistake in the arguments or the file."
)]
pub(crate) struct FitArguments {
    /// A table of runs as CSV or Parquet
    pub(crate) file: PathBuf,
    /// The law
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) law: LawName,
    /// Other names of columns: theirs, then ours
    #[arg(long, value_name = "THEIRS=OURS", value_delimiter = ',', value_parser = renaming)]
    pub(crate) map: Vec<(String, String)>,
    /// Huber threshold on log residuals
    #[arg(long, default_value_t = saltus_law::Settings::DELTA, value_parser = size)]
    pub(crate) delta: f64,
    /// Leave out the N runs of the highest losses
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) drop_worst: usize,
    /// Hold out the last N rows and foretell them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) hold_out: usize,
    /// Resamples of the runs for intervals
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=1_000_000))]
    pub(crate) bootstrap: usize,
    /// Seed of the resamples
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Which parameters the file counts
    #[arg(long, value_enum, default_value = "total")]
    pub(crate) params_convention: ParamsConvention,
    /// Write a page: the data with the law, the residuals, the best sizes
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A positive number, as people write sizes.
fn size(text: &str) -> Result<f64, String> {
    let size = saltus_results::size(text).filter(|size| *size > 0.0 && size.is_finite());
    size.ok_or_else(|| "write a positive number, such as 7e9 or 7B".into())
}

/// A day.
fn date(text: &str) -> Result<String, String> {
    let digits = |part: &str, length: usize| part.len() == length && part.chars().all(|c| c.is_ascii_digit());
    match text.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => Ok(text.into()),
        _ => Err("write it as 2026-01-31".into()),
    }
}

/// `theirs=ours`.
fn renaming(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() && !ours.is_empty() => {
            Ok((theirs.trim().into(), ours.trim().into()))
        }
        _ => Err("write THEIRS=OURS, such as `accuracy=score`".into()),
    }
}

/// A chance level, of one task or of all.
fn chance(text: &str) -> Result<(Option<String>, f64), String> {
    let (task, number) = match text.rsplit_once('=') {
        Some((task, number)) => (Some(task.to_owned()), number),
        None => (None, text),
    };
    match number.parse::<f64>() {
        Ok(chance) if (0.0..1.0).contains(&chance) => Ok((task, chance)),
        _ => Err("write a share from 0 up to 1, such as 0.25".into()),
    }
}

/// A share strictly between 0 and 1.
fn open_share(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|v| *v > 0.0 && *v < 1.0).ok_or_else(|| "write a share between 0 and 1".to_owned())
}
