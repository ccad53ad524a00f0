//! `findings.json`: everything a study found, as saved; the page is drawn from this and nothing else.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of this schema.
pub const SCHEMA: u32 = 1;

/// A value with a two-sided 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Point estimate.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Everything a study found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Name of the study.
    pub study: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of Saltus that computed this.
    pub saltus: String,
    /// One sentence for each headline finding, most important first. Plain text.
    pub headlines: Vec<Headline>,
    /// The models, smallest first.
    pub models: Vec<Model>,
    /// Every ability by metric.
    pub abilities: Vec<Ability>,
    /// What changes an ability: chain of thought, shots, depth.
    pub effects: Vec<Effect>,
    /// Fitted laws.
    pub laws: Vec<Law>,
    /// Training curves.
    pub curves: Vec<Curve>,
    /// What was found inside the models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<crate::inside::Looked>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

/// A headline finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// `loss`, `emergent`, `artefact`, `chain-of-thought`, `shots`, `u-shape`, `depth`, `undetermined`, ...
    pub kind: String,
    /// The sentence.
    pub text: String,
    /// Anchors (ability ids, law names) that the sentence is about.
    pub about: Vec<String>,
}

/// One trained model (a rung and a seed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Ladder, for example `main`.
    pub ladder: String,
    /// Rung, for example `48x2`.
    pub rung: String,
    /// Parameters without embedding and head.
    pub params_non_embedding: u64,
    /// All parameters.
    pub params_total: u64,
    /// Seed.
    pub seed: u64,
    /// Training tokens.
    pub tokens: u64,
    /// Training FLOPs by 6 N D.
    pub flops_6nd: f64,
    /// Hash of the final weights.
    pub weights: String,
    /// `finished`, or why not.
    pub state: String,
}

/// One ability by one metric over the sizes of one ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ability {
    /// Unique within the findings: `family/task/style/shots/metric`.
    pub id: String,
    /// Task family.
    pub family: String,
    /// Task within the family.
    pub task: String,
    /// `direct` or `step-by-step`.
    pub style: String,
    /// Shots in the prompt.
    pub shots: u32,
    /// `exact_match`, `token_accuracy`, `p_power_l`, `brier`, `edit_similarity`, `nll`, `choice_accuracy`, ...
    pub metric: String,
    /// Name of the scale axis: `params_non_embedding`.
    pub scale: String,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// Score of blind guessing, where the metric has one.
    pub chance: Option<f64>,
    /// One point for each size, by rising scale.
    pub points: Vec<Point>,
    /// `flat`, `smooth`, `emergent`, `inverse`, `u-shaped`, `inverted-u` or `undetermined`.
    pub shape: String,
    /// Weight of each shape, summing to 1.
    pub weights: BTreeMap<String, f64>,
    /// Where the ability emerges, if it does.
    pub threshold: Option<Threshold>,
    /// Whether the metric made the jump, where there is a jump to explain.
    pub artefact: Option<Artefact>,
    /// Fitted curve of the leading shape, for plotting: (scale, value).
    pub fit: Vec<(f64, f64)>,
    /// One sentence on how the verdict came about (tests, p-values, seeds that disagree).
    pub reason: String,
    /// p-value of the test that the leading shape had to pass, where it has one.
    pub p_value: Option<f64>,
    /// The same after Benjamini-Hochberg over all abilities of the study: a named shape has at most .05.
    pub p_adjusted: Option<f64>,
}

/// One point of an ability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Value on the scale axis: non-embedding parameters.
    pub params: f64,
    /// Rung, for example `48x2`.
    pub rung: String,
    /// Number of seeds.
    pub seeds: u32,
    /// Items for each seed.
    pub n: u32,
    /// Mean over seeds.
    pub value: f64,
    /// Lower end of the 95% interval over items and seeds.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The seeds one by one.
    pub by_seed: Vec<SeedValue>,
}

/// The value of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedValue {
    /// Seed.
    pub seed: u64,
    /// Value.
    pub value: f64,
}

/// An emergence scale with its interval, never finer than the tested sizes allow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Estimate on the scale axis.
    pub scale: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Ability {
    /// Whether it was ruled so that the metric made the jump: `yes`, `in part` or `no`.
    pub fn is_ruled(&self, ruling: &str) -> bool {
        self.artefact.as_ref().is_some_and(|artefact| artefact.ruling == ruling)
    }
}

/// A ruling on whether the metric made the jump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artefact {
    /// `yes`, `in part` or `no`.
    pub ruling: String,
    /// What it stands on, in a sentence with its numbers.
    pub evidence: String,
    /// Exact match against measured p^L, one for each (size, seed).
    pub twin: Vec<Twin>,
}

/// Exact match against measured p^L for one model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Twin {
    /// Scale.
    pub params: f64,
    /// Seed.
    pub seed: u64,
    /// Measured exact match.
    pub exact_match: f64,
    /// Per-token accuracy to the power of the answer's length, averaged over items.
    pub p_power_l: f64,
}

/// The effect of a condition by size: the difference of two measurements on the same models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// `chain-of-thought`, `shots` or `depth`.
    pub kind: String,
    /// What is compared, for example `5-number sum: step by step - direct`.
    pub label: String,
    /// The metric.
    pub metric: String,
    /// Difference by size with its interval.
    pub points: Vec<EffectPoint>,
    /// Smallest size from which on the effect is above zero beyond doubt.
    pub switches_on: Option<Threshold>,
    /// One sentence.
    pub summary: String,
}

/// One point of an effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectPoint {
    /// Scale.
    pub params: f64,
    /// Rung.
    pub rung: String,
    /// Value with the condition.
    pub with: f64,
    /// Value without.
    pub without: f64,
    /// Paired difference with its 95% interval.
    pub difference: Interval,
}

/// A fitted law.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Law {
    /// `L(N)`, `L(N,D)` or `frontier`.
    pub law: String,
    /// Its formula, in plain text.
    pub formula: String,
    /// Named parameters with bootstrap intervals.
    pub params: BTreeMap<String, Interval>,
    /// `parameters`, `flops`, `loss`, `log_base`, `tokenizer`: what the numbers mean.
    pub conventions: BTreeMap<String, String>,
    /// Share of the variance explained, on log loss.
    pub r_squared: Option<f64>,
    /// The data: what was fitted.
    pub points: Vec<LawPoint>,
    /// The fitted loss with its band, along the law's own axis (N for L(N), C for the frontier).
    pub curve: Vec<CurvePoint>,
    /// `L(N,D)`: fitted loss against tokens, one curve for each size, for plotting.
    #[serde(default)]
    pub by_size: Vec<SizeCurve>,
    /// `frontier`: how compute is best split, by rising compute.
    #[serde(default)]
    pub allocation: Vec<Allocation>,
    /// Warnings a reader must see (not identified, too few sizes, ...).
    pub warnings: Vec<String>,
}

/// A fitted curve for one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeCurve {
    /// Non-embedding parameters.
    pub params: f64,
    /// (tokens, loss).
    pub points: Vec<(f64, f64)>,
}

/// The best split of a compute budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Training FLOPs, 6 N D.
    pub flops: f64,
    /// Non-embedding parameters.
    pub params: Interval,
    /// Training tokens.
    pub tokens: Interval,
}

/// One measured point of a law.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPoint {
    /// Non-embedding parameters.
    pub params: f64,
    /// Training tokens.
    pub tokens: f64,
    /// Training FLOPs, 6 N D.
    pub flops: f64,
    /// Held-out loss, nats per token.
    pub loss: f64,
    /// Seed.
    pub seed: u64,
}

/// One point of a fitted curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Position.
    pub x: f64,
    /// Fitted value with its band.
    pub y: Interval,
}

/// A training curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Rung.
    pub rung: String,
    /// Ladder.
    pub ladder: String,
    /// Seed.
    pub seed: u64,
    /// Non-embedding parameters.
    pub params: f64,
    /// (tokens, training loss in nats per scored token).
    pub train: Vec<(f64, f64)>,
    /// (tokens, held-out loss in nats per token), at the checkpoints.
    pub held_out: Vec<(f64, f64)>,
}

/// Where the numbers come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The study file, verbatim.
    pub study_file: String,
    /// Hash of every cell's key that went in.
    pub cells: u64,
    /// Hash over all cell keys.
    pub records_hash: String,
    /// Items asked, over all models.
    pub items: u64,
    /// Free facts: `records`, `seeds`, `interval`, ...
    pub facts: BTreeMap<String, String>,
}
