//! Budgets: published laws and the user's own -> parameters, tokens and loss, with intervals.
//!
//! ```text
//! hardware      GPU-hours, money                       -> FLOPs
//! Question      what is given                          -> what is asked, checked
//! published     Kaplan, Chinchilla 1 to 3, the refit   -> BudgetLaw: a Form and draws of it
//! answer        (law, question)                        -> Answer: numbers with intervals
//! sightings     where abilities have been seen         (arXiv 2206.07682)
//! ```
//!
//! A law keeps its own convention of N and its own text of the loss: numbers of two laws stand side by side, and are
//! converted only where that is said.

mod answer;
mod form;
mod hardware;
mod map;
mod published;
mod question;
mod sightings;
mod solve;
#[cfg(test)]
mod tests;
mod uncertainty;

pub use answer::{Answer, Estimate, Growth, InUse, answer, converted};
pub use form::{Form, KaplanLaw, PF_DAY, PowerFrontier, Repetition, convention, kaplan_budget_loss};
pub use hardware::{GPUS, Gpu, budget, gpu_hours, peak_tflops};
pub use map::{Contour, Map, map};
pub use published::{
    BudgetLaw, CHINCHILLA_3_PRINTED, CHINCHILLA_TABLE, KAPLAN_SPLIT, REFIT, Reading, TableRow, chinchilla_3,
    data_constrained, data_constrained_law, kaplan_readings, published,
};
pub use question::{Known, NoAnswer, PlanError, Point, Question};
pub use sightings::{SIGHTINGS, Sighting, Tested};
pub use uncertainty::{Covariance, ORDER, covariance, draws};
