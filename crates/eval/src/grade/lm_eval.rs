//! lm-evaluation-harness's scores of records.

use super::{Grade, of_mean, resampled};
use crate::lm_eval::{Answer, Score, from_record, scores};
use saltus_record::Record;
use saltus_stats::Interval;
use saltus_task::lm_eval::{Aggregation, Grading, Item};

pub(super) fn grade(grading: &Grading, records: &[&Record], clusters: &[u32]) -> Result<Vec<Grade>, String> {
    let pairs = records.iter().map(|record| from_record(record)).collect::<Result<Vec<(Item, Answer)>, String>>()?;
    let (items, answers): (Vec<Item>, Vec<Answer>) = pairs.into_iter().unzip();
    let found = scores(grading, &items, &answers)?;
    // In the order of `scores`: every filter with every metric.
    let uses = grading.filters.iter().flat_map(|_| &grading.metrics);
    let graded = found.into_iter().zip(uses).enumerate().map(|(number, (score, entry))| {
        let Score { metric, filter, value, standard_error, items: each } = score;
        let bounded = !matches!(metric, "perplexity" | "brier_score");
        let range = bounded.then_some((0.0, 1.0));
        let again = |places: &[usize]| {
            let items: Vec<Item> = places.iter().map(|place| items[*place].clone()).collect();
            let answers: Vec<Answer> = places.iter().map(|place| answers[*place].clone()).collect();
            scores(grading, &items, &answers).ok().map(|scores| scores[number].value)
        };
        let (interval, spread) = match entry.aggregation {
            Aggregation::Mean => (of_mean(&each, clusters, range).0, None),
            Aggregation::Perplexity => {
                // Monotonous in the mean log-probability.
                let of = |x: f64| (-x).exp();
                let of_logs = of_mean(&each, clusters, None).0;
                (of_logs.map(|i| Interval { value, low: of(i.high), high: of(i.low) }), None)
            }
            _ => resampled(clusters, value, again),
        };
        let is_mean = entry.aggregation == Aggregation::Mean;
        Grade {
            metric: metric.to_owned(),
            filter: Some(filter),
            value,
            interval,
            standard_error: standard_error.or(spread),
            higher_is_better: entry.higher_is_better,
            preferred: number == 0,
            range: range.filter(|_| is_mean),
            items: if is_mean { each } else { Vec::new() },
        }
    });
    Ok(graded.collect())
}
