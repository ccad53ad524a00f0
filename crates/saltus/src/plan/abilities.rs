//! Which abilities have been seen at the size of a plan: the published sightings, and those of the user's own verdicts.

use super::read_json;
use crate::measured::Refused;
use saltus_law::plan::{Answer, SIGHTINGS};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An ability that smaller models lack and larger ones have, and where that has been seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ability {
    /// What was asked.
    pub(crate) ability: String,
    /// How, or by which metric.
    pub(crate) asked: String,
    /// Family of models in which it was seen.
    pub(crate) family: String,
    /// Quantity of the scale.
    pub(crate) axis: Axis,
    /// Largest scale known to be without it.
    pub(crate) absent_at: Option<f64>,
    /// Smallest scale known to be with it.
    pub(crate) seen_at: f64,
    /// Paper or file.
    pub(crate) source: String,
}

/// What a scale measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Axis {
    Params,
    ParamsNonEmbedding,
    Flops,
    Tokens,
    Loss,
}

/// Where a plan stands to an ability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stands {
    /// At or above the smallest scale with it.
    Seen,
    /// Between a scale without and one with it.
    Between,
    /// At or below the largest scale without it, or below the first with it where no smaller one is known.
    NotSeen,
}

impl Stands {
    pub(crate) const ALL: [Stands; 3] = [Stands::Seen, Stands::Between, Stands::NotSeen];

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Stands::Seen => "seen by then",
            Stands::Between => "between a size without and one with it",
            Stands::NotSeen => "not seen by then",
        }
    }
}

impl Ability {
    /// By the value of the plan on the ability's scale.
    pub(crate) fn stands(&self, answer: &Answer) -> Stands {
        let value = match self.axis {
            Axis::Params => answer.params_total.value,
            Axis::ParamsNonEmbedding => answer.params_non_embedding.value,
            Axis::Flops => answer.flops.value,
            Axis::Tokens => answer.tokens.value,
            Axis::Loss => answer.loss.value,
        };
        // A loss falls with scale.
        let (value, seen, absent) = match self.axis {
            Axis::Loss => (-value, -self.seen_at, self.absent_at.map(|a| -a)),
            _ => (value, self.seen_at, self.absent_at),
        };
        match absent {
            _ if value >= seen => Stands::Seen,
            Some(absent) if value > absent => Stands::Between,
            _ => Stands::NotSeen,
        }
    }
}

/// The published sightings and those of the files.
pub(super) fn abilities(judged: &[PathBuf]) -> Result<Vec<Ability>, Refused> {
    let mut all: Vec<Ability> = SIGHTINGS
        .iter()
        .map(|s| Ability {
            ability: s.ability.to_owned(),
            asked: s.asked.to_owned(),
            family: s.family.to_owned(),
            axis: Axis::Flops,
            absent_at: s.below.map(|below| below.flops),
            seen_at: s.seen.flops,
            source: "arXiv 2206.07682, table 1".to_owned(),
        })
        .collect();
    for path in judged {
        all.extend(verdicts(path)?);
    }
    Ok(all)
}

/// What `saltus judge --json` prints, as far as a plan needs it.
#[derive(Debug, Deserialize)]
struct Verdict {
    family: String,
    task: String,
    metric: String,
    shape: String,
    #[serde(default)]
    scale_axis: Option<String>,
    threshold: Option<Threshold>,
}

#[derive(Debug, Deserialize)]
struct Threshold {
    low: f64,
    high: f64,
}

fn verdicts(path: &Path) -> Result<Vec<Ability>, Refused> {
    let all: Vec<Verdict> = read_json(path, "the list that `saltus judge FILE --json` prints")?;
    let place = path.display();
    all.into_iter()
        .filter(|verdict| verdict.shape == "emergent")
        .filter_map(|verdict| verdict.threshold.as_ref().map(|t| (t.low, t.high)).map(|ends| (verdict, ends)))
        .map(|(verdict, (low, high))| {
            let axis = match verdict.scale_axis.as_deref().unwrap_or("scale").replace('-', "_").as_str() {
                "scale" | "params" => Axis::Params,
                "params_non_embedding" => Axis::ParamsNonEmbedding,
                "flops" => Axis::Flops,
                "tokens" => Axis::Tokens,
                "loss" => Axis::Loss,
                other => {
                    return Err(Refused(format!(
                        "{place}: {} has the scale {other:?}: a plan knows params, params_non_embedding, flops, tokens and \
                         loss; judge again with `--scale`",
                        verdict.task
                    )));
                }
            };
            let falls = axis == Axis::Loss;
            Ok(Ability {
                ability: verdict.task,
                asked: verdict.metric,
                family: verdict.family,
                axis,
                absent_at: Some(if falls { high } else { low }),
                seen_at: if falls { low } else { high },
                source: place.to_string(),
            })
        })
        .collect()
}
