//! Statistics without a subject: intervals, resampling, likelihoods, tests and minimisers. A leaf: it knows no models.
//!
//! Everything that draws at random takes a [`saltus_random::Key`], so equal keys give equal results on any machine and
//! at any thread count.

pub mod beta_binomial;
mod bootstrap;
mod distribution;
mod interval;
mod isotonic;
pub mod minimise;
mod moments;
mod multiple;
mod paired;
mod power;
mod score;
mod two_lines;

pub use bootstrap::{Resample, resample};
pub use distribution::{ln_beta, ln_gamma, normal_quantile, t_quantile, t_two_sided};
pub use interval::{Interval, wilson};
pub use isotonic::isotonic;
pub use moments::{Crossed, StandardError, crossed, largest_gap, mean, quantile, standard_error, variance};
pub use multiple::benjamini_hochberg;
pub use paired::{Paired, mcnemar, paired};
pub use power::{items_needed, minimum_detectable_effect};
pub use score::score_interval;
pub use two_lines::{Slope, TwoLines, slope, two_lines};
