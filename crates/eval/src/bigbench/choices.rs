//! Metrics of multiple choice: the grade, calibration, weighted probabilities, macro F1.

use super::sum::{mean, pairwise};
use super::{Error, undefined};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What a model says about the choices of one question. All three have the same length.
#[derive(Clone, Copy, Debug)]
pub struct ChoiceEvidence<'a> {
    /// Texts of the choices, in the order of the file.
    pub texts: &'a [&'a str],
    /// Their target scores.
    pub scores: &'a [f64],
    /// Their summed log-probabilities, in nats.
    pub log_probs: &'a [f64],
}

/// Bins of the calibration error.
const BINS: usize = 15;

/// The place of the largest value. Among equals a hash of all values decides, so that nothing depends on the order of
/// the choices: SHA-256 of the little-endian float64 bytes, as a number, modulo the count of equals. `None` if there is
/// nothing, or something that is no number.
pub fn argmax(values: &[f64]) -> Option<usize> {
    if values.is_empty() || values.iter().any(|x| x.is_nan()) {
        return None;
    }
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ties: Vec<usize> = (0..values.len()).filter(|&i| values[i] == most).collect();
    let mut hasher = Sha256::new();
    values.iter().for_each(|x| hasher.update(x.to_le_bytes()));
    let remainder = hasher.finalize().iter().fold(0, |r, &byte| (r * 256 + usize::from(byte)) % ties.len());
    Some(ties[remainder])
}

/// `multiple_choice_grade`: the mean target score of the most probable choice, without any normalisation by length.
///
/// # Errors
/// [`Error`] without questions, or where log-probabilities are no numbers.
pub fn multiple_choice_grade(questions: &[ChoiceEvidence<'_>]) -> Result<f64, Error> {
    average("multiple_choice_grade", questions, |q, best, _| Ok(q.scores[best]))
}

/// `calibration_multiple_choice_brier_score`: t (p - 1)^2 + (1 - t) p^2 over all choices of all questions, where target
/// scores t and probabilities p of a question sum to 1; divided by the number of all choices.
///
/// # Errors
/// As for [`multiple_choice_grade`].
pub fn brier_score(questions: &[ChoiceEvidence<'_>]) -> Result<f64, Error> {
    let (mut sum, mut count) = (0.0, 0);
    checked("calibration_multiple_choice_brier_score", questions, |q, _, _| {
        let terms = targets(q.scores).into_iter().zip(probabilities(q.log_probs));
        sum += terms.map(|(t, p)| t * (p - 1.0).powi(2) + (1.0 - t) * p.powi(2)).fold(0.0, |sum, x| sum + x);
        count += q.scores.len();
        Ok(())
    })?;
    Ok(sum / count as f64)
}

/// `expected_calibration_error`: over 15 equal bins of the highest probability of a question, the mean difference of
/// that probability and of how often the first most probable choice is the first best one (Naeini et al., AAAI 2015).
///
/// # Errors
/// As for [`multiple_choice_grade`].
pub fn calibration_error(questions: &[ChoiceEvidence<'_>]) -> Result<f64, Error> {
    let mut bins: [(Vec<f64>, Vec<f64>); BINS] = Default::default();
    checked("expected_calibration_error", questions, |q, _, _| {
        let probabilities = probabilities(q.log_probs);
        let predicted = first_largest(&probabilities);
        let confidence = probabilities[predicted];
        let bin = (0..BINS).find(|bin| confidence < (bin + 1) as f64 / BINS as f64).unwrap_or(BINS - 1);
        bins[bin].0.push(confidence);
        bins[bin].1.push(f64::from(u8::from(first_largest(&targets(q.scores)) == predicted)));
        Ok(())
    })?;
    let filled = bins.iter().filter(|(confidences, _)| !confidences.is_empty());
    let n = questions.len() as f64;
    Ok(filled.map(|(c, right)| c.len() as f64 / n * (mean(right) - mean(c)).abs()).sum())
}

/// `weighted_log_probabilities`: the mean over questions of the sum of target score times log-probability. The
/// log-probabilities must be those of the model, not normalised over the choices.
///
/// # Errors
/// As for [`multiple_choice_grade`].
pub fn weighted_log_probabilities(questions: &[ChoiceEvidence<'_>]) -> Result<f64, Error> {
    weighted("weighted_log_probabilities", questions, |log_prob| log_prob)
}

/// `weighted_probabilities`: the mean over questions of the sum of target score times probability, as above.
///
/// # Errors
/// As for [`multiple_choice_grade`].
pub fn weighted_probabilities(questions: &[ChoiceEvidence<'_>]) -> Result<f64, Error> {
    weighted("weighted_probabilities", questions, f64::exp)
}

fn weighted(metric: &'static str, questions: &[ChoiceEvidence<'_>], value: fn(f64) -> f64) -> Result<f64, Error> {
    average(metric, questions, |q, _, i| {
        let terms: Vec<f64> = q.scores.iter().zip(q.log_probs).map(|(t, l)| t * value(*l)).collect();
        match pairwise(&terms) {
            sum if sum.is_nan() => undefined(metric, i, "0 times an infinite log-probability: measure it again"),
            sum => Ok(sum),
        }
    })
}

/// `macro_f1`: the mean over all texts that are right or chosen of F1 for that text.
///
/// # Errors
/// As for [`multiple_choice_grade`], and where a question has not exactly one choice of score 1 and others of 0.
pub fn macro_f1(questions: &[ChoiceEvidence<'_>]) -> Result<f64, Error> {
    const METRIC: &str = "macro_f1";
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(questions.len());
    checked(METRIC, questions, |q, best, i| {
        let mut right = (0..q.scores.len()).filter(|&c| q.scores[c] == 1.0);
        match (right.next(), right.next(), q.scores.iter().sum::<f64>()) {
            (Some(right), None, 1.0) => pairs.push((q.texts[right], q.texts[best])),
            _ => return undefined(METRIC, i, "it needs one choice of score 1 and others of 0: take another metric"),
        }
        Ok(())
    })?;
    let labels: BTreeSet<&str> = pairs.iter().flat_map(|&(right, chosen)| [right, chosen]).collect();
    let f1 = |label: &&str| {
        let count = |of: &dyn Fn(&(&str, &str)) -> bool| pairs.iter().filter(|pair| of(pair)).count() as f64;
        let hits = count(&|(right, chosen)| right == label && chosen == label);
        2.0 * hits / (count(&|(right, _)| right == label) + count(&|(_, chosen)| chosen == label))
    };
    Ok(labels.iter().map(f1).sum::<f64>() / labels.len() as f64)
}

/// The mean of a value for each question, given its most probable choice.
fn average(
    metric: &'static str,
    questions: &[ChoiceEvidence<'_>],
    mut value: impl FnMut(&ChoiceEvidence<'_>, usize, usize) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let mut sum = 0.0;
    checked(metric, questions, |q, best, i| {
        sum += value(q, best, i)?;
        Ok(())
    })?;
    Ok(sum / questions.len() as f64)
}

/// Visits each question with its most probable choice and its number, after checking its evidence.
fn checked<'q>(
    metric: &'static str,
    questions: &[ChoiceEvidence<'q>],
    mut visit: impl FnMut(&ChoiceEvidence<'q>, usize, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    if questions.is_empty() {
        return Err(Error::Empty(metric));
    }
    for (i, question) in questions.iter().enumerate() {
        let n = question.texts.len();
        if question.scores.len() != n || question.log_probs.len() != n {
            return undefined(metric, i, "choices, scores and log-probabilities of different number: report it");
        }
        let best = argmax(question.log_probs).filter(|&best| question.log_probs[best].is_finite());
        let Some(best) = best else {
            return undefined(metric, i, "a log-probability is no number, or all are infinite: measure it again");
        };
        visit(question, best, i)?;
    }
    Ok(())
}

/// Target scores that sum to 1; as they are where they sum to 0.
fn targets(scores: &[f64]) -> Vec<f64> {
    let sum: f64 = scores.iter().sum();
    scores.iter().map(|score| if sum == 0.0 { 0.0 } else { score / sum }).collect()
}

/// The softmax.
fn probabilities(log_probs: &[f64]) -> Vec<f64> {
    let most = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_probs.iter().map(|l| (l - most).exp()).collect();
    let sum = pairwise(&weights);
    weights.into_iter().map(|w| w / sum).collect()
}

fn first_largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence<'a>(scores: &'a [f64], log_probs: &'a [f64]) -> ChoiceEvidence<'a> {
        ChoiceEvidence { texts: &["a", "b", "c"][..scores.len()], scores, log_probs }
    }

    /// As CPython's hashlib has it.
    #[test]
    fn a_hash_breaks_ties() {
        let check = |values: &[f64], expect| assert_eq!(argmax(values), expect, "{values:?}");
        check(&[-3.0, -1.0, -2.0], Some(1));
        check(&[-1.0, -1.0], Some(0));
        check(&[-2.0, -2.0, -2.0], Some(0));
        check(&[-3.0, -1.0, -1.0, -1.0], Some(3));
        check(&[0.0, -0.0], Some(1));
        check(&[f64::NAN, 0.0], None);
        check(&[], None);
    }

    #[test]
    fn known_scores() {
        let half = 0.5f64.ln();
        let questions = [evidence(&[1.0, 0.0], &[-1.0, -9.0]), evidence(&[0.0, 0.5], &[-9.0, -1.0])];
        assert_eq!(multiple_choice_grade(&questions), Ok(0.75));
        // Soft scores are normalised; equal probabilities have an error of 1/4 for each choice.
        let brier = brier_score(&[evidence(&[0.0, 0.5], &[half, half])]).unwrap();
        assert!((brier - 0.25).abs() < 1e-15);
        // Sure of the wrong choice.
        let error = calibration_error(&[evidence(&[1.0, 0.0], &[-900.0, 0.0])]).unwrap();
        assert_eq!(error, 1.0);
        assert_eq!(weighted_probabilities(&[evidence(&[1.0, -1.0], &[half, 0.0])]), Ok(-0.5));
        // Right once, wrong once: F1 of "a" is 2/3, of "b" 0.
        let f1 = macro_f1(&[evidence(&[1.0, 0.0], &[0.0, -1.0]), evidence(&[0.0, 1.0], &[0.0, -1.0])]).unwrap();
        assert!((f1 - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert_eq!(multiple_choice_grade(&[]), Err(Error::Empty("multiple_choice_grade")));
        assert!(multiple_choice_grade(&[evidence(&[1.0, 0.0], &[f64::NAN, 0.0])]).is_err());
        assert!(brier_score(&[evidence(&[1.0, 0.0], &[f64::NEG_INFINITY; 2])]).is_err());
        assert!(multiple_choice_grade(&[evidence(&[1.0, 0.0], &[0.0])]).is_err());
        assert!(macro_f1(&[evidence(&[0.5, 0.5], &[0.0, 0.0])]).is_err());
    }
}
