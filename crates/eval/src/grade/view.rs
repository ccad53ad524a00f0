//! Scores that need nothing but records: any metric, any normalisation of choices, any extraction.

use super::{Grade, of_mean};
use crate::{Kind, Metric, applicable, values};
use saltus_record::{Candidate, Outcome, Record, Role};
use saltus_stats::Interval;
use saltus_task::lm_eval::PythonRegex;
use serde::{Deserialize, Serialize};

/// What the log-probability of a choice is set against before the greatest is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Nothing: the summed log-probability, as BIG-bench and lm-evaluation-harness's `acc`.
    Sum,
    /// Its tokens.
    Token,
    /// The code points of the answer, as lm-evaluation-harness's `acc_norm`.
    CodePoint,
    /// The bytes of the answer, as lm-evaluation-harness's `acc_bytes`.
    Byte,
    /// Its log-probability without the question, as lm-evaluation-harness's `acc_mutual_info`.
    Unconditional,
}

impl Normalisation {
    /// All of them.
    pub const ALL: [Normalisation; 5] = [
        Normalisation::Sum,
        Normalisation::Token,
        Normalisation::CodePoint,
        Normalisation::Byte,
        Normalisation::Unconditional,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Normalisation::Sum => "sum",
            Normalisation::Token => "token",
            Normalisation::CodePoint => "code-point",
            Normalisation::Byte => "byte",
            Normalisation::Unconditional => "unconditional",
        }
    }
}

/// A way to look at records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// A metric by its name.
    Metric(String),
    /// The target score of the greatest choice after a normalisation; tied choices share equally.
    Choice(Normalisation),
    /// Whether the first match of an expression in the generated text (its first group that is not empty, if it has
    /// groups), without white space around, is a right answer without white space around.
    Extracted(PythonRegex),
}

impl View {
    /// The views that say something about `records`, where nobody asked for particular ones.
    pub fn usual(records: &[Record]) -> Vec<View> {
        applicable(records).into_iter().map(|metric| View::Metric(metric.name().into())).collect()
    }

    fn name(&self) -> String {
        match self {
            View::Metric(name) => name.clone(),
            View::Choice(normalisation) => format!("choice_accuracy/{}", normalisation.name()),
            View::Extracted(regex) => format!("exact_match/{}", regex.pattern()),
        }
    }

    fn higher_is_better(&self) -> bool {
        !matches!(self, View::Metric(name) if Metric::from_name(name).is_some_and(|m| !m.higher_is_better()))
    }

    fn range(&self) -> Option<(f64, f64)> {
        match self {
            View::Metric(name) if Metric::from_name(name).is_none_or(|m| m.kind() == Kind::Unbounded) => None,
            _ => Some((0.0, 1.0)),
        }
    }

    /// The score of each record; nothing where one of them has none.
    fn items(&self, records: &[&Record]) -> Option<Vec<f64>> {
        match self {
            View::Metric(name) => {
                let records: Vec<Record> = records.iter().map(|record| (*record).clone()).collect();
                values(Metric::from_name(name)?, &records).iter().map(|value| value.scored()).collect()
            }
            View::Choice(normalisation) => records.iter().map(|record| chosen(record, *normalisation)).collect(),
            View::Extracted(regex) => records.iter().map(|record| extracted(record, regex)).collect(),
        }
    }
}

pub(super) fn grade(views: &[View], records: &[&Record], clusters: &[u32]) -> Vec<Grade> {
    let graded = views.iter().filter_map(|view| {
        let items = view.items(records)?;
        let (interval, standard_error) = of_mean(&items, clusters, view.range());
        // A log-likelihood has one end: none is better than certain.
        let interval = interval.map(|i| Interval { low: if i.value >= 0.0 { i.low.max(0.0) } else { i.low }, ..i });
        Some(Grade {
            metric: view.name(),
            filter: None,
            value: saltus_stats::mean(&items),
            interval,
            standard_error,
            higher_is_better: view.higher_is_better(),
            preferred: false,
            range: view.range(),
            items,
        })
    });
    let mut graded: Vec<Grade> = graded.collect();
    if let Some(first) = graded.first_mut() {
        first.preferred = true;
    }
    graded
}

fn candidates(record: &Record, role: Role) -> Vec<&Candidate> {
    match &record.outcome {
        Outcome::Scored { candidates, .. } => candidates.iter().filter(|c| c.role == role).collect(),
        Outcome::Unscored(_) => Vec::new(),
    }
}

fn chosen(record: &Record, normalisation: Normalisation) -> Option<f64> {
    let choices = candidates(record, Role::Choice);
    let alone = candidates(record, Role::Unconditional);
    let normal = |(place, choice): (usize, &&Candidate)| {
        let total = choice.total();
        Some(match normalisation {
            Normalisation::Sum => total,
            Normalisation::Token => total / choice.tokens.len().max(1) as f64,
            Normalisation::CodePoint => total / choice.answer().chars().count().max(1) as f64,
            Normalisation::Byte => total / choice.answer().len().max(1) as f64,
            Normalisation::Unconditional => total - alone.get(place)?.total(),
        })
    };
    let normal: Vec<f64> = choices.iter().enumerate().map(normal).collect::<Option<_>>()?;
    let best = normal.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scores: Vec<f64> =
        choices.iter().zip(&normal).filter(|(_, x)| **x == best).map(|(c, _)| c.target_score).collect();
    (choices.len() > 1).then(|| saltus_stats::mean(&scores))
}

fn extracted(record: &Record, regex: &PythonRegex) -> Option<f64> {
    let Outcome::Scored { generated: Some(generated), .. } = &record.outcome else { return None };
    let found = regex.find_all(&generated.text).ok()?;
    let answer = found.first().and_then(|groups| groups.iter().find(|g| !g.is_empty()).or(groups.first()));
    let answer = answer.map_or("", |answer| answer.trim());
    let right = candidates(record, Role::Target).iter().any(|c| c.answer().trim() == answer);
    Some(f64::from(u8::from(right)))
}
