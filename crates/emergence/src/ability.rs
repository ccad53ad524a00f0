//! What goes in and what comes out: an ability as measured, and the verdict on it.

use saltus_random::Key;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The scores of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The model's size on the scale axis, for example non-embedding parameters; positive.
    pub scale: f64,
    /// The model's seed. Equal seeds at different scales are different models.
    pub seed: u64,
    /// Its scores.
    pub scores: Scores,
}

/// What is known of a model's scores. All measurements of an ability are of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Scores {
    /// One score for each item; item i is the same item in every measurement of the ability. NaN: not scored.
    Items(Vec<f64>),
    /// Their mean alone, as tables of results have it.
    Mean {
        /// The mean.
        value: f64,
        /// Items that it is the mean of.
        items: u32,
        /// Its standard error over items; NaN if it is not known. A proportion has its own.
        standard_error: f64,
    },
}

impl Scores {
    /// The items' scores; none if only their mean is known.
    pub fn items(&self) -> &[f64] {
        match self {
            Scores::Items(scores) => scores,
            Scores::Mean { .. } => &[],
        }
    }
}

/// What a score is, and so what its noise can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Each item is right (1) or wrong (0): exact match, multiple choice. `chance` is the score of blind guessing.
    Proportion {
        /// Expected score of blind guessing, in [0, 1).
        chance: f64,
    },
    /// Each item scores within [0, 1]: token accuracy, edit similarity. `chance` is the score of blind guessing, or 0.
    Bounded {
        /// Expected score of blind guessing, in [0, 1).
        chance: f64,
    },
    /// Any number: log-likelihoods. There is no chance level; the smallest sizes are the floor.
    Unbounded,
}

/// What the scale of an ability is, as a power of the number of parameters: what counts as a steep rise depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// Parameters, or training tokens: the loss falls with either by similar exponents (arXiv 2203.15556).
    Params,
    /// Training FLOPs, which grow with the square of the parameters where tokens grow with them (arXiv 2203.15556).
    Flops,
    /// The model's loss: N^-0.076 (arXiv 2001.08361, equation 1.1). The lower, the larger.
    Loss,
}

impl Axis {
    /// Its power of the number of parameters.
    pub fn exponent(self) -> f64 {
        match self {
            Axis::Params => 1.0,
            Axis::Flops => 2.0,
            Axis::Loss => -0.076,
        }
    }
}

/// One ability by one metric over the sizes of one ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Ability {
    /// What the scales of the measurements are.
    pub axis: Axis,
    /// The highest mean that a model can reach, 1 if that is not known to be less; no matter for unbounded metrics.
    pub ceiling: f64,
    /// What a score is.
    pub kind: Kind,
    /// Whether a higher score is the better one.
    pub higher_is_better: bool,
    /// All models, in any order.
    pub measurements: Vec<Measurement>,
}

/// What was fixed before looking at the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    /// All resampling hangs on this.
    pub key: Key,
    /// Resamples for tests and thresholds; 199 resolves a p-value of .005.
    pub resamples: usize,
    /// How far above chance a score must be to count as an ability; .05 is usual.
    pub delta: f64,
    /// Level of the tests; .05 is usual.
    pub alpha: f64,
}

/// How an ability grows with scale. Directions are of performance: a loss that falls is "smooth", not "inverse".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// No change with scale.
    Flat,
    /// Growth no steeper than a power law of the loss explains, or growth that is under way at the smallest sizes.
    Smooth,
    /// At chance at the smallest sizes, then above it, faster than smooth growth.
    Emergent,
    /// Worse with scale.
    Inverse,
    /// Worse, then better.
    #[serde(rename = "u-shaped")]
    UShaped,
    /// Better, then worse.
    #[serde(rename = "inverted-u")]
    InvertedU,
    /// The measurements do not decide.
    Undetermined,
}

impl Ability {
    /// An ability over parameters, without a ceiling below 1.
    pub fn over_params(kind: Kind, higher_is_better: bool, measurements: Vec<Measurement>) -> Ability {
        Ability { axis: Axis::Params, ceiling: 1.0, kind, higher_is_better, measurements }
    }
}

impl Shape {
    /// The shapes that carry a weight: all but undetermined.
    pub const CANDIDATES: [Shape; 6] =
        [Shape::Flat, Shape::Smooth, Shape::Emergent, Shape::Inverse, Shape::UShaped, Shape::InvertedU];

    /// The name used in findings.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Flat => "flat",
            Shape::Smooth => "smooth",
            Shape::Emergent => "emergent",
            Shape::Inverse => "inverse",
            Shape::UShaped => "u-shaped",
            Shape::InvertedU => "inverted-u",
            Shape::Undetermined => "undetermined",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// All models of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Scale.
    pub scale: f64,
    /// Items scored, for each seed (the mean, where seeds differ).
    pub items: f64,
    /// Mean over seeds.
    pub value: f64,
    /// Lower end of the 95% interval over items and seeds (over items alone if no size has two seeds).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// (seed, mean score), by seed.
    pub by_seed: Vec<(u64, f64)>,
}

/// Where an ability appears, known no finer than the tested sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The smallest tested scale from which on the ability is above chance + delta beyond doubt; above its own floor, where
    /// no chance level is told.
    pub scale: f64,
    /// On an axis that falls as models get better, as the loss does, `low` is the greater number.
    /// Largest tested scale up to which the ability is below chance + delta beyond doubt; the smallest tested scale if
    /// there is none.
    pub low: f64,
    /// Tested scale by which the crossing has happened beyond doubt.
    pub high: f64,
}

/// What the measurements say about one ability.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One point for each size, by rising scale, in the metric's own direction.
    pub points: Vec<Point>,
    /// The verdict.
    pub shape: Shape,
    /// Weight of each of [`Shape::CANDIDATES`], in that order, summing to 1.
    pub weights: [f64; 6],
    /// Where it emerges, if the shape is emergent.
    pub threshold: Option<Threshold>,
    /// The curve of the leading shape: (scale, value), by rising scale.
    pub curve: Vec<(f64, f64)>,
    /// p-value of the test that the leading shape had to pass, where it has one.
    pub p_value: Option<f64>,
    /// The same among all abilities of a study; nothing before [`crate::judge_together`].
    pub p_adjusted: Option<f64>,
    /// Scales at which seeds disagree: some have the ability, some do not, none lies between.
    pub disagreement: Vec<f64>,
    /// How the verdict came about, in a sentence.
    pub reason: String,
}

impl Verdict {
    /// Weight of a shape; 0 for undetermined.
    pub fn weight(&self, shape: Shape) -> f64 {
        Shape::CANDIDATES.iter().zip(self.weights).find(|(s, _)| **s == shape).map_or(0.0, |(_, w)| w)
    }

    /// The candidate with the largest weight.
    pub fn leading(&self) -> Shape {
        let best = Shape::CANDIDATES.iter().zip(self.weights).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(Shape::Undetermined, |(shape, _)| *shape)
    }
}

/// Scores that cannot be judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unjudgeable {
    /// No model.
    #[error("the ability has no measurement; measure at least one model or leave the ability out")]
    Empty,
    /// Two models answered different numbers of items.
    #[error(
        "scale {scale}, seed {seed}: {found} scores where another model has {expected}; score the same items, in the same order, with every model (NaN for an item that could not be scored)"
    )]
    Ragged {
        /// Scale of the model.
        scale: f64,
        /// Seed of the model.
        seed: u64,
        /// Its number of scores.
        found: usize,
        /// The number of scores of the first model.
        expected: usize,
    },
    /// Items of one model and the mean of another.
    #[error(
        "scale {scale}, seed {seed}: the scores of items where another model has their mean alone, or the other way; give \
         items for all models, or means for all"
    )]
    Mixed {
        /// Scale of the model.
        scale: f64,
        /// Seed of the model.
        seed: u64,
    },
    /// A model without a single score.
    #[error("scale {scale}, seed {seed}: no item was scored; leave this model out")]
    Unscored {
        /// Scale of the model.
        scale: f64,
        /// Seed of the model.
        seed: u64,
    },
    /// A score that its kind does not allow.
    #[error(
        "scale {scale}, seed {seed}, item {item}: score {score} is outside [0, 1]; declare the metric unbounded or rescale it"
    )]
    OutOfRange {
        /// Scale of the model.
        scale: f64,
        /// Seed of the model.
        seed: u64,
        /// Index of the item.
        item: usize,
        /// The score.
        score: f64,
    },
    /// A scale without a logarithm.
    #[error("seed {seed}: scale {scale} is not a positive number; give sizes such as parameters or FLOPs")]
    BadScale {
        /// The scale.
        scale: f64,
        /// Seed of the model.
        seed: u64,
    },
    /// Two measurements of one model.
    #[error("scale {scale}, seed {seed} occurs twice; measure each model once, or tell equal sizes apart by scale")]
    Twice {
        /// The scale.
        scale: f64,
        /// The seed.
        seed: u64,
    },
}
