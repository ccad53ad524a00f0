//! Many abilities at once: rows of scores, from whatever files, become abilities; these are judged together.
//!
//! ```text
//! results::Scores ── abilities ──▶ [Ability], what could not be made one ── judge ──▶ [Judged]
//! ```
//!
//! What a score means is decided here: the metric's direction and kind ([`metric`]), the scale axis ([`AxisName`]), the
//! chance level, how many items a mean stands for. Every assumption is a note on the ability it concerns.

mod abilities;
mod axis;
mod broken;
mod chance;
mod forecast;
mod judge;
pub mod metric;
mod one_class;
mod pool;
mod two_step;

pub use abilities::{Ability, Asked, Left, abilities};
pub use axis::AxisName;
pub use forecast::{Foretold, Method, Prediction, Target, forecasts};
pub use judge::{Judged, judge};
pub use pool::pool;
pub use two_step::Checkpoint;
