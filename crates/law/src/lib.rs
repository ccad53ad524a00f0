//! Scaling laws of the loss: (parameters, tokens, loss) -> fitted laws with bootstrap intervals, and the compute frontier.
//!
//! ```text
//! L(N)    = E + A / N^alpha                 on the last checkpoint of each run     fit_size
//! L(N, D) = E + A / N^alpha + B / D^beta    on all checkpoints                     fit_size_tokens
//! C -> N*, D*, L*                           closed form from L(N, D)               frontier
//! lower envelope of loss against C          from the data alone                    Observations::envelope
//! a budget -> N, D, L by published laws                                            plan
//! ```
//!
//! The objective is that of Chinchilla's approach 3 (arXiv 2203.15556, appendix D.3): the *sum* of Huber losses of log
//! residuals. Starts come from variable projection: for each pair of exponents on a grid, E, A and B are a non-negative
//! linear least-squares problem; the best are polished on the Huber objective itself. Intervals resample *runs*, because
//! the checkpoints of one run share their noise (see [`Fit`]).
//!
//! This room knows nothing of tasks, models or disk. Another law is another type that says how its loss comes about:
//! [`Observations`], the resampling and [`Fit`] stay as they are.

mod check;
mod fit;
mod frontier;
mod isoflop;
mod law;
mod objective;
mod observation;
pub mod plan;
mod resample;
mod search;
mod start;

pub use check::{Residuals, Test, Warning};
pub use fit::{Fit, Settings, fit_size, fit_size_tokens};
pub use frontier::{Frontier, FrontierPoint, frontier};
pub use isoflop::{BestSizes, Minimum, envelope_law, isoflop};
pub use law::{Law, Optimum, SizeLaw, SizeTokenLaw};
pub use observation::{
    Conventions, EnvelopePoint, Flops, LawError, Observation, Observations, Parameters, Params, Tokens,
};
pub use saltus_stats::Interval;
pub use search::{Run, Searched, Shape, search};
