//! Filters and metrics of lm-evaluation-harness 0.4 (as 0.4.13 computes them): pure functions over the evidence for the
//! items of a task.

mod aggregate;
mod filter;
mod from_record;
mod value;

pub use aggregate::{group_score, mean_standard_error};
pub use filter::filtered;
pub(crate) use from_record::from_record;
pub use value::Answer;

use saltus_record::Record;
use saltus_task::lm_eval::{Grading, Item};

/// One number of a task, as lm-evaluation-harness reports it under `metric,filter`.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The metric's name.
    pub metric: &'static str,
    /// The filter's name.
    pub filter: String,
    /// The number over all items.
    pub value: f64,
    /// Its standard error, where it has a closed form: for means alone. (For others lm-evaluation-harness resamples, or
    /// has none.)
    pub standard_error: Option<f64>,
    /// The number of each item, where it is a number of its own: for means, medians and perplexities.
    pub items: Vec<f64>,
}

/// All numbers of a task from its records, as [`scores`] computes them.
///
/// # Errors
/// In words: as [`scores`], and for a record without an answer.
pub fn scores_of_records(grading: &Grading, records: &[&Record]) -> Result<Vec<Score>, String> {
    let pairs = records.iter().map(|record| from_record(record)).collect::<Result<Vec<(Item, Answer)>, String>>()?;
    let (items, answers): (Vec<Item>, Vec<Answer>) = pairs.into_iter().unzip();
    scores(grading, &items, &answers)
}

/// All numbers of a task: every filter with every metric.
///
/// # Errors
/// In words, where there are not as many answers as items, an answer is not of the item's kind or not finite, or a
/// number does not exist (F1 of more than two classes).
pub fn scores(grading: &Grading, items: &[Item], answers: &[Answer]) -> Result<Vec<Score>, String> {
    if items.is_empty() || items.len() != answers.len() {
        return Err(format!("{} answers to {} items: give one for each", answers.len(), items.len()));
    }
    let mut scores = Vec::new();
    for filter in &grading.filters {
        for entry in &grading.metrics {
            let pairs = items.iter().zip(answers);
            let values = pairs.map(|(item, answer)| value::value(&entry.metric, filter, item, answer));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let (value, standard_error) = aggregate::aggregate(entry.aggregation, &values)?;
            let items = values.iter().filter_map(value::Value::number).collect();
            scores.push(Score {
                metric: entry.metric.name(),
                filter: filter.name.clone(),
                value,
                standard_error,
                items,
            });
        }
    }
    Ok(scores)
}
