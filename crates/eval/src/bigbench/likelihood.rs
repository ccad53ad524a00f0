//! Log-likelihood of targets, and sums of probabilities.

use super::sum::pairwise;
use super::{Error, undefined};

/// `log_likelihood` with what comes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogLikelihood {
    /// Mean over questions of the log of the probability of any of the targets, in nats.
    pub total: f64,
    /// Mean over questions of the log-probability for each word and for each code point of the target; only where no
    /// question has several targets.
    pub per_word_and_character: Option<(f64, f64)>,
}

/// ln of the sum of the exponentials.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return most;
    }
    // As scipy does (since 1.15): the largest apart from the rest, so that a last bit that breaks a tie is the same.
    let rest: Vec<f64> = values.iter().map(|&x| if x == most { 0.0 } else { (x - most).exp() }).collect();
    let largest = values.iter().filter(|&&x| x == most).count() as f64;
    (pairwise(&rest) / largest).ln_1p() + largest.ln() + most
}

/// Log-probabilities normalised over the choices; what multiple choice is graded on unless the task has
/// `absolute_normalization`.
pub fn normalised(log_probs: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(log_probs);
    log_probs.iter().map(|x| x - total).collect()
}

/// `log_likelihood` of questions, each given by its targets and their summed log-probabilities in nats.
///
/// # Errors
/// [`Error`] without questions, where a question has no targets or a log-probability is no number, or an only target
/// has no word.
pub fn log_likelihood(questions: &[(&[String], &[f64])]) -> Result<LogLikelihood, Error> {
    const METRIC: &str = "log_likelihood";
    if questions.is_empty() {
        return Err(Error::Empty(METRIC));
    }
    for (i, (targets, log_probs)) in questions.iter().enumerate() {
        if targets.is_empty() || targets.len() != log_probs.len() || log_probs.iter().any(|x| x.is_nan()) {
            return undefined(METRIC, i, "not one log-probability for each target: measure it again");
        }
    }
    let n = questions.len() as f64;
    if questions.iter().any(|(targets, _)| targets.len() > 1) {
        let each: Vec<f64> = questions.iter().map(|(_, log_probs)| log_sum_exp(log_probs)).collect();
        return Ok(LogLikelihood { total: pairwise(&each) / n, per_word_and_character: None });
    }
    let (mut total, mut word, mut character) = (0.0, 0.0, 0.0);
    for (i, (targets, log_probs)) in questions.iter().enumerate() {
        let words = super::response::words(&targets[0]).count();
        if words == 0 {
            return undefined(METRIC, i, "the target has no words: leave the question out");
        }
        total += log_probs[0];
        word += log_probs[0] / words as f64;
        character += log_probs[0] / targets[0].chars().count() as f64;
    }
    Ok(LogLikelihood { total: total / n, per_word_and_character: Some((word / n, character / n)) })
}
