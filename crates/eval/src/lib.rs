//! Questions put to a language model, evidence kept; and the metrics, which are views over that evidence.
//!
//! [`measure`] asks a model all questions of a set and returns [`Record`](saltus_record::Record)s, which hold every
//! token's log-probability and never a verdict; [`fill`] does so with gaps in texts. [`values`] turns records into the
//! numbers of one [`Metric`], item by item; any metric can be computed long after the model is gone. What could not be
//! measured is [`Value::Unscored`] with its reason, never a zero.

mod ask;
pub mod bigbench;
mod distance;
mod encode;
mod fill;
mod final_answer;
mod grade;
pub mod lm_eval;
mod measure;
mod metric;
mod values;

pub use distance::levenshtein;
pub use encode::{Boundary, Encoding, Overflow};
pub use fill::fill;
pub use final_answer::final_answer;
pub use grade::{Grade, Grading, Normalisation, View, grade};
pub use measure::{Cost, Error, Prepared, measure};
pub use metric::{Kind, Metric};
pub use values::{Value, applicable, chance, values};
