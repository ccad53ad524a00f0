//! BIG-bench's metrics over evidence, as its package `bigbench` 1.0.0 computes them (bigbench/api/task_metrics.py).
//!
//! Everything here is a function of log-probabilities and texts; no model is asked. [`measure`] computes the metrics of
//! a leaf, [`aggregate`] those of a task from its leaves. BLEURT is a learned model and is refused by name.

mod bleu;
mod choices;
mod likelihood;
mod response;
mod rouge;
mod scores;
mod sum;

pub use bleu::bleu;
pub use choices::{
    ChoiceEvidence, argmax, brier_score, calibration_error, macro_f1, multiple_choice_grade,
    weighted_log_probabilities, weighted_probabilities,
};
pub use likelihood::{LogLikelihood, log_likelihood, log_sum_exp, normalised};
pub use response::{Extraction, Response, case_insensitive_match, exact_match, numeric_match, sequence_f1};
pub use rouge::{Rouge, RougeScore, rouge};
pub use scores::{Evidence, Scores, aggregate, measure};

/// Why there is no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The metric is not one that can be computed here.
    #[error("{0} is not computed here: take another metric of the task")]
    Unavailable(&'static str),
    /// The metric says nothing about this evidence; the reference would stop.
    #[error("{metric} of question {question}: {problem}")]
    Undefined {
        /// The metric.
        metric: &'static str,
        /// The question, counted from 0.
        question: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// There are no questions.
    #[error("{0} of no questions: measure some")]
    Empty(&'static str),
    /// An `output_regex` that cannot be used.
    #[error("output_regex {pattern:?}: {problem}: mend the expression in task.json")]
    Regex {
        /// The expression.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
}

/// An error for a question.
fn undefined<T>(metric: &'static str, question: usize, problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Undefined { metric, question, problem: problem.into() })
}
