//! Benchmarks of many parts, such as the 57 of MMLU: their mean is an ability too, known better than any part.

use saltus_results::{Name, Score, Scores};
use std::collections::{BTreeMap, BTreeSet};

/// Parts from which on their mean is judged as well.
const PARTS: usize = 10;

/// What a mean is taken within: family, prefix of the task, metric, what tells it apart besides.
type Whole = (Name, String, Name, Name);
/// One model at one step.
type Model = (Option<Name>, u64, [u64; 6], u64);

/// Adds to `scores` the mean over the parts of every benchmark that has ten or more, called `PREFIX (mean of N)`, where a
/// model has all of them. A part is a task whose name goes on after the prefix with `-`, `:` or `_`; of nested prefixes
/// the one counts that ends first and has at least ten. Names that are numbers are no parts: `task_1`, `task_2` are a list.
pub fn pool(scores: &mut Scores) {
    let mut wholes: BTreeMap<Whole, BTreeMap<Model, Vec<Score>>> = BTreeMap::new();
    for row in scores.rows.iter().filter(|row| row.item.is_none()) {
        let task = scores.name(row.task);
        let Some(end) = task.find(['-', ':', '_']) else { continue };
        if task[end + 1..].chars().all(|c| c.is_ascii_digit()) {
            continue;
        }
        let s = &row.scales;
        let scales = [s.scale, s.params, s.params_non_embedding, s.flops, s.tokens, s.loss].map(f64::to_bits);
        let whole = (row.family, task[..end].to_owned(), row.metric, row.by);
        wholes
            .entry(whole)
            .or_default()
            .entry((row.model, row.seed, scales, row.step.to_bits()))
            .or_default()
            .push(*row);
    }
    for ((_, prefix, ..), models) in wholes {
        let parts: BTreeSet<Name> = models.values().flatten().map(|row| row.task).collect();
        if parts.len() < PARTS {
            continue;
        }
        let name = scores.intern(&format!("{prefix} (mean of {})", parts.len()));
        for rows in models.values().filter(|rows| rows.len() == parts.len()) {
            let (k, first) = (rows.len() as f64, rows[0]);
            let mean = |of: fn(&Score) -> f64| rows.iter().map(of).sum::<f64>() / k;
            let score = mean(|row| row.score);
            let variance = |row: &Score| match row.standard_error {
                error if error.is_nan() => row.score * (1.0 - row.score) / row.items,
                error => error * error,
            };
            let error = rows.iter().map(variance).sum::<f64>().sqrt() / k;
            let mut pooled = first;
            pooled.task = name;
            pooled.score = score;
            // As many items as would give this error, so that a mean of shares is judged as a share.
            pooled.items = f64::NAN;
            pooled.standard_error = error;
            pooled.chance = mean(|row| row.chance);
            scores.rows.push(pooled);
        }
    }
}
