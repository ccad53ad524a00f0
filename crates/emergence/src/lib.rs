//! How an ability grows with scale: its shape with weights, where it emerges, whether the metric made the jump, and what
//! a condition such as chain of thought changes. Scores in, verdicts out; it knows no task, prompt or file.
//!
//! # What the shapes mean
//!
//! Performance is a mean score over x = ln(scale). The spread between seeds is part of every likelihood and interval.
//!
//! * **flat**: a constant; the change over all sizes must lie within 2 delta of zero.
//! * **smooth**: growth that is under way at the smallest sizes, or that is no steeper than a power law of the loss can
//!   make it. If the surprise of a right answer falls as N^-a, its probability is exp(-(N0/N)^a), which goes from 10%
//!   to 90% within a factor of 22^(1/a). Published laws of the loss have a between .05 and .4; a = 1, a factor of 22
//!   ([`STEEPEST_SMOOTH_RISE`]), is more than any of them, and is where smooth ends here. So exact match may bend
//!   sharply upwards, as p^L does, and still be smooth.
//! * **emergent**: at chance at the two smallest sizes at least, above chance + delta beyond doubt from some size on
//!   (Wei et al. 2022, arXiv 2206.07682: "not present in smaller models, present in larger ones"), by a rise steeper
//!   than smooth. All three must hold: the floor and the steepness by a sup-LR test against the best smooth curve, the
//!   presence by intervals. A metric without a chance level (a log-likelihood) has its own first values for a floor.
//! * **inverse**: worse with scale.
//! * **u-shaped**, **inverted-u**: worse then better, or the other way; by Simonsohn's two-lines test.
//! * **undetermined**: no shape has a weight of at least [`DECISIVE`], the leading one fails its test, or seeds still
//!   disagree at the largest size.
//!
//! # How
//!
//! Proportions have a beta-binomial likelihood: seeds differ in their rate by one overdispersion, estimated over all
//! sizes, which acts on the part of the score that is above chance. Other scores are normal with a variance for each
//! size, moderated by the pooled one. Candidates: a level; a line or a sigmoid of three links, gentle or steep; two
//! joined lines. Weights are BIC weights, tempered by the misfit of the best candidate.
mod ability;
mod artefact;
mod curve;
mod effect;
mod evidence;
mod judge;
mod measures;
mod reason;
mod sample;
mod spread;
mod threshold;

pub use ability::{Ability, Analysis, Kind, Measurement, Point, Shape, Threshold, Unjudgeable, Verdict};
pub use artefact::{ArtefactRuling, Ruling, TokenScores, Twin, p_power_l, rule_artefact};
pub use curve::STEEPEST_SMOOTH_RISE;
pub use effect::{Effect, EffectPoint, effect, effect_between_ladders};
pub use judge::{DECISIVE, judge};
pub use measures::{BigBench, big_bench};
pub use saltus_stats::Interval;
