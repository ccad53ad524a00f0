//! The scores of a leaf from its evidence, and those of a task from its leaves.

use super::{ChoiceEvidence, Error, Response};
use saltus_task::bigbench::{Grading, Kind, Metric, REFERENCE_SEED};
use std::collections::{BTreeMap, BTreeSet};

/// The mean of the leaves' normalised preferred scores.
const AGGREGATE: &str = "normalized_aggregate_score";

/// What a model said to the questions of a leaf; each part as long as there are questions, or empty where no metric of
/// the leaf asks for it.
#[derive(Clone, Debug, Default)]
pub struct Evidence<'a> {
    /// Summed log-probabilities of the choices, as the model gives them, in nats.
    pub choices: Vec<ChoiceEvidence<'a>>,
    /// Texts, after extraction.
    pub responses: Vec<Response<'a>>,
    /// Targets with their summed log-probabilities, in nats.
    pub targets: Vec<(&'a [String], &'a [f64])>,
}

/// The scores of a leaf or a task (`ScoreData` in the reference).
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Name of the leaf or the task.
    pub name: String,
    /// Scores by name.
    pub values: BTreeMap<String, f64>,
    /// The one that counts.
    pub preferred: String,
    /// Its value for poor performance.
    pub low: f64,
    /// Its value for very good performance.
    pub high: f64,
}

impl Scores {
    /// 100 (score - low) / (high - low) of the preferred score; `None` if that is not among the values.
    pub fn normalised(&self) -> Option<f64> {
        Some(100.0 * (self.values.get(&self.preferred)? - self.low) / (self.high - self.low))
    }
}

/// All metrics of a leaf, but BLEURT.
///
/// # Errors
/// [`Error::Unavailable`] if BLEURT is the preferred score, and whatever keeps a metric from being computed.
pub fn measure(grading: &Grading, evidence: &Evidence<'_>) -> Result<Scores, Error> {
    if grading.preferred == Metric::Bleurt.name() {
        return Err(Error::Unavailable(Metric::Bleurt.name()));
    }
    let normalised: Vec<Vec<f64>> = evidence.choices.iter().map(|q| super::normalised(q.log_probs)).collect();
    let graded: Vec<ChoiceEvidence<'_>> = if grading.absolute_normalization {
        evidence.choices.clone()
    } else {
        evidence.choices.iter().zip(&normalised).map(|(q, log_probs)| ChoiceEvidence { log_probs, ..*q }).collect()
    };
    let mut values = BTreeMap::new();
    for &metric in &grading.metrics {
        let of_choices = if graded_as_is(metric) { &evidence.choices } else { &graded };
        values.extend(scores(metric, of_choices, evidence)?);
    }
    let Grading { name, preferred, low, high, .. } = grading.clone();
    Ok(Scores { name, values, preferred, low, high })
}

/// Whether a metric of choices looks at log-probabilities as the model gives them.
fn graded_as_is(metric: Metric) -> bool {
    matches!(metric, Metric::WeightedLogProbabilities | Metric::WeightedProbabilities)
}

fn scores(
    metric: Metric,
    choices: &[ChoiceEvidence<'_>],
    evidence: &Evidence<'_>,
) -> Result<Vec<(String, f64)>, Error> {
    let responses = &evidence.responses;
    let value = match metric {
        Metric::Bleurt => return Ok(Vec::new()),
        Metric::Rouge => {
            let rouge = super::rouge(responses, REFERENCE_SEED)?;
            let named = [("rouge1", rouge.one), ("rouge2", rouge.two), ("rougeLsum", rouge.lsum)];
            return Ok(named.map(|(name, score)| (name.to_owned(), score.middle)).into());
        }
        Metric::LogLikelihood => {
            let likelihood = super::log_likelihood(&evidence.targets)?;
            let mut values = vec![(metric.name().to_owned(), likelihood.total)];
            if let Some((word, character)) = likelihood.per_word_and_character {
                values.push(("log_likelihood_per_word".into(), word));
                values.push(("log_likelihood_per_char".into(), character));
            }
            return Ok(values);
        }
        Metric::Bleu => super::bleu(responses)?,
        Metric::ExactMatch => super::exact_match(responses)?,
        Metric::CaseInsensitiveMatch => super::case_insensitive_match(responses)?,
        Metric::SequenceF1 => super::sequence_f1(responses)?,
        Metric::NumericMatch => super::numeric_match(responses)?,
        Metric::MultipleChoiceGrade => super::multiple_choice_grade(choices)?,
        Metric::Brier => super::brier_score(choices)?,
        Metric::CalibrationError => super::calibration_error(choices)?,
        Metric::WeightedLogProbabilities => super::weighted_log_probabilities(choices)?,
        Metric::WeightedProbabilities => super::weighted_probabilities(choices)?,
        Metric::MacroF1 => super::macro_f1(choices)?,
    };
    debug_assert!(metric.kind() != Kind::Targets);
    Ok(vec![(metric.name().to_owned(), value)])
}

/// The scores of the task `name` from those of its leaves (`add_aggregate_scores` in bigbench/api/results.py): the mean
/// of every score over the leaves that have it, and the mean of their normalised preferred scores, 0 to 100. That counts,
/// unless all leaves prefer `multiple_choice_grade`, or the only leaf is the task itself. `None` if there are no leaves,
/// or a leaf does not have the score that it prefers.
pub fn aggregate(name: &str, leaves: &[Scores]) -> Option<Scores> {
    let normalised: Vec<f64> = leaves.iter().map(Scores::normalised).collect::<Option<_>>()?;
    if leaves.is_empty() {
        return None;
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = values.fold((0.0, 0), |(sum, n), x| (sum + x, n + 1));
        sum / f64::from(n)
    };
    let names: BTreeSet<&String> = leaves.iter().flat_map(|leaf| leaf.values.keys()).collect();
    let of = |score: &String| mean(&mut leaves.iter().filter_map(|leaf| leaf.values.get(score).copied()));
    let mut values: BTreeMap<String, f64> = names.into_iter().map(|score| (score.clone(), of(score))).collect();
    values.insert(AGGREGATE.into(), mean(&mut normalised.into_iter()));
    let grade = Metric::MultipleChoiceGrade.name();
    let (preferred, low, high) = if leaves.iter().all(|leaf| leaf.preferred == grade) {
        (grade.to_owned(), mean(&mut leaves.iter().map(|leaf| leaf.low)), 1.0)
    } else if let [leaf] = leaves
        && leaf.name == name
    {
        (leaf.preferred.clone(), leaf.low, leaf.high)
    } else {
        (AGGREGATE.to_owned(), 0.0, 100.0)
    };
    Some(Scores { name: name.into(), values, preferred, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: &str, preferred: &str, value: f64, low: f64, high: f64) -> Scores {
        let values = BTreeMap::from([(preferred.to_owned(), value)]);
        Scores { name: name.into(), values, preferred: preferred.into(), low, high }
    }

    #[test]
    fn a_task_of_several_leaves() {
        let grade = "multiple_choice_grade";
        let all = aggregate("t", &[leaf("t:a", grade, 0.5, 0.25, 1.0), leaf("t:b", grade, 1.0, 0.5, 1.0)]).unwrap();
        assert_eq!((all.preferred.as_str(), all.low, all.high, all.values[grade]), (grade, 0.375, 1.0, 0.75));
        assert!((all.values[AGGREGATE] - (100.0 / 3.0 + 100.0) / 2.0).abs() < 1e-12);
        let mixed =
            aggregate("t", &[leaf("t:a", grade, 0.5, 0.25, 1.0), leaf("t:b", "bleu", 30.0, 0.0, 100.0)]).unwrap();
        assert_eq!((mixed.preferred.as_str(), mixed.low, mixed.high), (AGGREGATE, 0.0, 100.0));
        let single = aggregate("t", &[leaf("t", "bleu", 30.0, 0.0, 100.0)]).unwrap();
        assert_eq!((single.preferred.as_str(), single.values[AGGREGATE]), ("bleu", 30.0));
        assert!(aggregate("t", &[]).is_none());
        assert!(aggregate("t", &[Scores { values: BTreeMap::new(), ..leaf("t", "bleu", 0.0, 0.0, 1.0) }]).is_none());
    }
}
