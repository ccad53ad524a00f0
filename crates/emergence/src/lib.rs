//! How an ability grows with scale: its shape with weights, where it emerges, whether the metric made the jump, and what
//! a condition such as chain of thought changes. Scores in, verdicts out; it knows no task, prompt or file.
//!
//! # What the shapes mean
//!
//! Performance is a mean score over x = ln(scale), in the unit of parameters: on an axis of FLOPs half of it (see [`Axis`]).
//! Seeds are part of every likelihood and interval.
//!
//! * **flat**: a constant; the change over all sizes lies within 2 delta of zero.
//! * **smooth**: growth that is under way at the smallest sizes (above chance there), however steep; or growth out of
//!   chance that is no steeper than a power law of the loss can make it. If the surprise of a right answer falls as N^-a,
//!   its probability is exp(-(N0/N)^a), which goes from 10% to 90% within a factor of 22^(1/a) of scale (PassUntil, arXiv
//!   2310.03262, calls this predictable). Published laws of the loss have a between .05 and .4; a = 1, a factor of 22
//!   ([`STEEPEST_SMOOTH_RISE`]), is steeper than any of them, and smooth ends there. So exact match may bend upwards, as
//!   p^L does (Schaeffer et al. 2023, arXiv 2304.15004), and still be smooth. Models of one size must not be divided into
//!   those that have the ability and those that have not.
//! * **emergent**: "not present in smaller models, present in larger ones" (Wei et al. 2022, arXiv 2206.07682): at chance
//!   (within delta) at the two smallest sizes at least, above chance + delta beyond doubt from some size on, by a rise
//!   steeper than smooth. The floor and the steepness stand on a sup-LR test against the best smooth rise, by parametric
//!   bootstrap; the presence on the points' intervals. A metric without a chance level (a log-likelihood) has its own
//!   first values for a floor.
//! * **inverse**: worse with scale.
//! * **u-shaped**, **inverted-u**: worse then better, or the other way, by Simonsohn's two-lines test; it may be level
//!   at either end, as a model can be too small for what makes the score fall, or have learnt what there is.
//! * **undetermined**: no shape has a weight of at least [`DECISIVE`], the leading one fails its test, or seeds still
//!   disagree at the largest size. A good answer: with three seeds a growth at the edge of smooth mostly gets it.
//!
//! # How
//!
//! Proportions have a beta-binomial likelihood whose overdispersion acts on the part of the score that is not chance;
//! other scores are normal. Three seeds say little about their own spread, so each size borrows from its neighbours.
//! Candidates: a level; a line, a line that ends in a plateau, or a sigmoid of three links, gentle or steep; two joined
//! lines. Growth and decline must amount to 2 delta. Weights are BIC weights, tempered by the misfit of the best
//! candidate. Items are the same for all models, so points and effects carry the items' own variance as well; the shape's
//! likelihood does not, as shared items move a curve as a whole.
//!
//! # What was measured
//!
//! Simulated ladders of 8 sizes x 3 seeds x 200 items, delta and alpha .05, 60 to 80 ladders for each truth
//! (`tests/calibration.rs` and `tests/coverage.rs` print the tables). Over 18 flat and smooth truths, 2% are named
//! emergent (at the edge of smooth, where the test should have its level, 2 to 12% by truth) and .1% bent. A jump within a factor
//! of 2 of scale is named emergent in all, one within a factor of 5 in 58%, never anything else but undetermined; a U of
//! proportions in 98%, of a loss in all. The 95% intervals of points hold the truth in 93 to 97%, but in 86% (at one size
//! 56%) if seeds are all-or-none over a wide stretch of scale: where one model in twenty fails, three seeds do not show
//! it. Threshold intervals hold the true crossing in all, and in two thirds of those all-or-none cases.

mod ability;
mod artefact;
mod curve;
mod effect;
mod evidence;
mod forecast;
mod judge;
mod measures;
mod pass_rate;
mod reason;
mod ruling;
mod sample;
mod spread;
mod threshold;
mod together;

pub use ability::{Ability, Analysis, Axis, Kind, Measurement, Point, Scores, Shape, Threshold, Unjudgeable, Verdict};
pub use artefact::{ArtefactRuling, Ruling, TokenScores, Twin, p_power_l, rule_artefact};
pub use curve::STEEPEST_SMOOTH_RISE;
pub use effect::{Effect, EffectPoint, effect, effect_between_ladders};
pub use forecast::{Forecast, Refusal, forecast};
pub use judge::{DECISIVE, judge};
pub use measures::{BigBench, big_bench};
pub use pass_rate::{Growth, PassGrowth, Passes, pass_growth};
pub use ruling::{Companion, Parts, rule_from_means};
pub use saltus_stats::Interval;
pub use together::judge_together;
