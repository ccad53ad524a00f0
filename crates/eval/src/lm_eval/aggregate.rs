//! From the values of items to the number of a task, and from tasks to a group.

use super::value::Value;
use saltus_task::lm_eval::Aggregation;

pub(super) fn aggregate(how: Aggregation, values: &[Value]) -> Result<(f64, Option<f64>), String> {
    let numbers =
        || values.iter().map(|v| v.number().ok_or("a value that is no number")).collect::<Result<Vec<f64>, _>>();
    let value = match how {
        Aggregation::Mean => {
            let numbers = numbers()?;
            return Ok((mean(&numbers), mean_standard_error(&numbers)));
        }
        Aggregation::Brier => mean(&numbers()?),
        Aggregation::Median => {
            let mut numbers = numbers()?;
            numbers.sort_by(f64::total_cmp);
            numbers[numbers.len() / 2]
        }
        Aggregation::Perplexity => (-mean(&numbers()?)).exp(),
        Aggregation::WeightedPerplexity => (-weighted(values)?).exp(),
        Aggregation::BitsPerByte => -weighted(values)? / std::f64::consts::LN_2,
        Aggregation::F1 => f1(values)?,
        Aggregation::Matthews => matthews(values)?,
    };
    Ok((value, None))
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The standard error of a mean, from the sample's standard deviation; `None` for a single number.
pub fn mean_standard_error(numbers: &[f64]) -> Option<f64> {
    let (n, mean) = (numbers.len() as f64, mean(numbers));
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (numbers.len() > 1).then(|| (squares / (n - 1.0)).sqrt() / n.sqrt())
}

/// Summed log-probabilities over summed weights.
fn weighted(values: &[Value]) -> Result<f64, String> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for value in values {
        let Value::Weighted { logprob, weight } = value else { return Err("a value without a weight".into()) };
        sum += logprob;
        weights += weight;
    }
    if weights > 0.0 { Ok(sum / weights) } else { Err("all texts are empty: nothing was scored".into()) }
}

fn classes(values: &[Value]) -> Result<Vec<(Option<usize>, usize)>, String> {
    let class = |value: &Value| match value {
        Value::Classes(right, predicted) => Ok((*right, *predicted)),
        _ => Err("a value that is no class".into()),
    };
    values.iter().map(class).collect()
}

/// F1 of class 1; 0 where nothing is or is taken for it.
fn f1(values: &[Value]) -> Result<f64, String> {
    let classes = classes(values)?;
    if classes.iter().any(|(right, predicted)| right.is_none_or(|right| right > 1) || *predicted > 1) {
        return Err("`f1` is for two choices, and every item needs a right one: use acc or mcc".into());
    }
    let count = |wanted: (bool, bool)| {
        classes.iter().filter(|(right, predicted)| (*right == Some(1), *predicted == 1) == wanted).count() as f64
    };
    let (hits, misses) = (count((true, true)), count((true, false)) + count((false, true)));
    Ok(if hits + misses > 0.0 { 2.0 * hits / (2.0 * hits + misses) } else { 0.0 })
}

/// Matthews's correlation coefficient for any number of classes (Gorodkin 2004); 0 where it is not defined.
fn matthews(values: &[Value]) -> Result<f64, String> {
    let classes = classes(values)?;
    let n = classes.len() as f64;
    let hits = classes.iter().filter(|(right, predicted)| *right == Some(*predicted)).count() as f64;
    let mut counts = std::collections::BTreeMap::<Option<usize>, (f64, f64)>::new();
    for (right, predicted) in classes {
        counts.entry(right).or_default().0 += 1.0;
        counts.entry(Some(predicted)).or_default().1 += 1.0;
    }
    let sum = |term: fn(&(f64, f64)) -> f64| counts.values().map(term).sum::<f64>();
    let covariance = hits * n - sum(|(right, predicted)| right * predicted);
    let spread = (n * n - sum(|(right, _)| right * right)) * (n * n - sum(|(_, predicted)| predicted * predicted));
    Ok(if spread > 0.0 { covariance / spread.sqrt() } else { 0.0 })
}

/// The number of a group from its tasks' (value, standard error, items), and its standard error where all have one:
/// pooled where tasks count by their items, else of the plain mean.
pub fn group_score(tasks: &[(f64, Option<f64>, usize)], weight_by_size: bool) -> Option<(f64, Option<f64>)> {
    let weight = |size: usize| if weight_by_size { size as f64 } else { 1.0 };
    let weights: f64 = tasks.iter().map(|&(_, _, size)| weight(size)).sum();
    if tasks.is_empty() || weights == 0.0 {
        return None;
    }
    let value = tasks.iter().map(|&(value, _, size)| value * weight(size)).sum::<f64>() / weights;
    let errors: Option<Vec<(f64, f64)>> = tasks.iter().map(|&(_, error, size)| Some((error?, size as f64))).collect();
    let error = errors.map(|errors| {
        let items: f64 = errors.iter().map(|(_, size)| size).sum();
        if weight_by_size {
            let squares: f64 = errors.iter().map(|(error, size)| (size - 1.0) * error.powi(2) * size).sum();
            (squares / (items - errors.len() as f64) / items).sqrt()
        } else {
            errors.iter().map(|(error, _)| error.powi(2)).sum::<f64>().sqrt() / errors.len() as f64
        }
    });
    Some((value, error))
}
