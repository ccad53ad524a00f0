//! From records to the scores of a task, each with an interval: the task's own metrics, or any others.

mod bigbench;
mod lm_eval;
mod view;

pub use view::{Normalisation, View};

use saltus_random::Key;
use saltus_record::{Outcome, Record};
use saltus_stats::{Interval, quantile, resample, score_interval, standard_error};
use serde::{Deserialize, Serialize};

/// Confidence of intervals.
const LEVEL: f64 = 0.95;
/// Resamples of items for scores that are no mean over items.
const RESAMPLES: u64 = 200;

/// How a task's answers become scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grading {
    /// As BIG-bench does it.
    BigBench(saltus_task::bigbench::Grading),
    /// As lm-evaluation-harness does it.
    LmEval(saltus_task::lm_eval::Grading),
    /// By these, whatever the task says.
    Views(Vec<View>),
}

/// One score of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grade {
    /// The metric's name.
    pub metric: String,
    /// The filter's name, where a generated text is filtered first.
    pub filter: Option<String>,
    /// The score.
    pub value: f64,
    /// Its 95% interval over items, those of one cluster drawn together: for means [`score_interval`], else the
    /// bootstrap's. `None` where nothing can be said.
    #[serde(skip)]
    pub interval: Option<Interval>,
    /// Its standard error over items: for lm-evaluation-harness's metrics the one that it reports.
    pub standard_error: Option<f64>,
    /// Which way is better.
    pub higher_is_better: bool,
    /// Whether it is the one that counts.
    pub preferred: bool,
    /// The ends between which the score of an item must lie.
    pub range: Option<(f64, f64)>,
    /// The score of each record, where the score is their mean; else empty.
    #[serde(skip)]
    pub items: Vec<f64>,
}

/// All scores of `records`, which are answers of one model to one set of questions.
///
/// # Errors
/// In words: no record is scored, evidence that no metric can be computed from.
pub fn grade(grading: &Grading, records: &[&Record]) -> Result<Vec<Grade>, String> {
    if records.is_empty() {
        return Err("no question was answered: the records say why".into());
    }
    if let Some(reason) = records.iter().find_map(|record| match &record.outcome {
        Outcome::Unscored(reason) => Some(reason),
        Outcome::Scored { .. } => None,
    }) {
        return Err(reason.clone());
    }
    let clusters: Vec<u32> = records.iter().map(|record| record.question.cluster).collect();
    match grading {
        Grading::BigBench(grading) => bigbench::grade(grading, records, &clusters),
        Grading::LmEval(grading) => lm_eval::grade(grading, records, &clusters),
        Grading::Views(views) => Ok(view::grade(views, records, &clusters)),
    }
}

/// The interval of a mean of bounded or unbounded item scores, with its standard error.
fn of_mean(items: &[f64], clusters: &[u32], range: Option<(f64, f64)>) -> (Option<Interval>, Option<f64>) {
    // Rounding may lead out of the range.
    let items: Vec<f64> = match range {
        Some((low, high)) => items.iter().map(|x| x.clamp(low, high)).collect(),
        None => items.to_vec(),
    };
    if items.iter().any(|x| !x.is_finite()) {
        return (None, None);
    }
    let interval = score_interval(&items, Some(clusters), range, LEVEL);
    (interval, standard_error(&items, Some(clusters)).map(|se| se.value))
}

/// The interval of any statistic of items, given by their places: percentiles over resamples of whole clusters; and the
/// standard deviation over them.
fn resampled(
    clusters: &[u32],
    value: f64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> (Option<Interval>, Option<f64>) {
    let mut names: Vec<u32> = clusters.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for (place, cluster) in clusters.iter().enumerate() {
        if let Ok(at) = names.binary_search(cluster) {
            members[at].push(place);
        }
    }
    if names.len() < 2 {
        return (None, None);
    }
    let draw = |number: u64| {
        let counts = resample(Key::new(0).child("grade").index(number), names.len(), &[]).items;
        let drawn = members.iter().zip(counts).flat_map(|(places, n)| places.repeat(n as usize));
        statistic(&drawn.collect::<Vec<_>>()).filter(|x| x.is_finite())
    };
    let mut values: Vec<f64> = (0..RESAMPLES).filter_map(draw).collect();
    // Where a tenth of the resamples has no score, the rest says little.
    if (values.len() as u64) < RESAMPLES * 9 / 10 {
        return (None, None);
    }
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    let (low, high) = (quantile(&values, tail), quantile(&values, 1.0 - tail));
    let spread = saltus_stats::variance(&values).sqrt();
    (Some(Interval { value, low: low.min(value), high: high.max(value) }), Some(spread))
}
