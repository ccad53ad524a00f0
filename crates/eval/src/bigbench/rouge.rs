//! ROUGE as the reference uses `rouge_score`: tokens of lower-case ASCII, no stemming, the median of a bootstrap.

use super::response::Response;
use super::{Error, undefined};
use saltus_task::bigbench::RandomState;
use std::collections::HashMap;

const METRIC: &str = "rouge";
/// Samples of the bootstrap.
const SAMPLES: usize = 1000;
/// Kinds of ROUGE: 1, 2 and Lsum.
const KINDS: usize = 3;

/// One kind of ROUGE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RougeScore {
    /// The median over bootstrap samples of the mean F, 0 to 100. The reference draws from a generator that nobody
    /// seeded, so two runs of it differ.
    pub middle: f64,
    /// The mean F itself, 0 to 100, which depends on no draw.
    pub mean: f64,
    /// Standard deviation of `middle` from one seed to another: that of the median of 1000 normal draws, 1.2533 times
    /// the standard error of the mean over the root of 1000.
    pub spread: f64,
    /// Standard error of the mean F over questions.
    pub standard_error: f64,
}

/// `rouge1`, `rouge2` and `rougeLsum`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rouge {
    /// Single words.
    pub one: RougeScore,
    /// Pairs of words.
    pub two: RougeScore,
    /// Longest common subsequences, sentence by sentence.
    pub lsum: RougeScore,
}

/// `rouge` with each question's best target, which may be another one for each kind (Lin 2004; rouge_score 0.1.2). The
/// draws are numpy's after `numpy.random.seed(seed)`.
///
/// # Errors
/// [`Error`] without questions, or where one has no target.
pub fn rouge(responses: &[Response<'_>], seed: u32) -> Result<Rouge, Error> {
    if responses.is_empty() {
        return Err(Error::Empty(METRIC));
    }
    let mut scores: [Vec<f64>; KINDS] = Default::default();
    for (i, response) in responses.iter().enumerate() {
        if response.targets.is_empty() {
            return undefined(METRIC, i, "no target: give one");
        }
        let text = Summary::new(response.text);
        let each: Vec<[f64; KINDS]> = response.targets.iter().map(|t| f_measures(&Summary::new(t), &text)).collect();
        for (kind, scores) in scores.iter_mut().enumerate() {
            scores.push(each.iter().map(|f| f[kind]).fold(0.0, f64::max));
        }
    }
    let mut state = RandomState::new(seed);
    let mut middle = [0.0; KINDS];
    // For each kind the reference scores its best targets by all kinds, and draws for all of them.
    for kind in 0..KINDS {
        for drawn in 0..KINDS {
            if drawn == kind {
                middle[kind] = bootstrap(&scores[kind], &mut state);
            } else {
                let most = responses.len() as u32 - 1;
                for _ in 0..SAMPLES * responses.len() {
                    state.up_to(most);
                }
            }
        }
    }
    let score = |kind: usize| summary(&scores[kind], middle[kind]);
    Ok(Rouge { one: score(0), two: score(1), lsum: score(2) })
}

fn summary(scores: &[f64], middle: f64) -> RougeScore {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let spread = (std::f64::consts::FRAC_PI_2 * variance / n / SAMPLES as f64).sqrt();
    let standard_error = 100.0 * (variance / n).sqrt();
    RougeScore { middle: 100.0 * middle, mean: 100.0 * mean, spread: 100.0 * spread, standard_error }
}

/// The median of the means of samples with replacement.
fn bootstrap(scores: &[f64], state: &mut RandomState) -> f64 {
    let (n, most) = (scores.len() as f64, scores.len() as u32 - 1);
    let mut mean = || (0..scores.len()).map(|_| scores[state.up_to(most) as usize]).sum::<f64>() / n;
    let mut means: Vec<f64> = (0..SAMPLES).map(|_| mean()).collect();
    means.sort_unstable_by(f64::total_cmp);
    let (low, high) = (means[SAMPLES / 2 - 1], means[SAMPLES / 2]);
    low + (high - low) * 0.5
}

/// A text as its words, and its sentences as theirs.
struct Summary {
    words: Vec<String>,
    sentences: Vec<Vec<String>>,
}

impl Summary {
    fn new(text: &str) -> Self {
        // t5.evaluation.metrics puts sentences on lines of their own in this way.
        let text = text.replace(" . ", " .\n");
        let sentences = text.split('\n').filter(|line| !line.is_empty()).map(tokens).collect();
        Summary { words: tokens(&text), sentences }
    }
}

/// Runs of lower-case ASCII letters and digits.
fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let runs = lower.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()));
    runs.filter(|run| !run.is_empty()).map(str::to_owned).collect()
}

/// F of ROUGE-1, ROUGE-2 and ROUGE-Lsum.
fn f_measures(target: &Summary, text: &Summary) -> [f64; KINDS] {
    [ngrams(&target.words, &text.words, 1), ngrams(&target.words, &text.words, 2), lsum(target, text)]
}

fn f(hits: usize, text: usize, target: usize) -> f64 {
    let (precision, recall) = (hits as f64 / text.max(1) as f64, hits as f64 / target.max(1) as f64);
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

fn ngrams(target: &[String], text: &[String], n: usize) -> f64 {
    let (of_target, of_text) = (count(target.windows(n)), count(text.windows(n)));
    let hits = of_target.iter().map(|(ngram, count)| *count.min(of_text.get(ngram).unwrap_or(&0))).sum();
    f(hits, (text.len() + 1).saturating_sub(n), (target.len() + 1).saturating_sub(n))
}

fn count<T: Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

/// For each sentence of the target, the words that are part of a longest common subsequence with some sentence of the
/// text; a word counts as often as both have it.
fn lsum(target: &Summary, text: &Summary) -> f64 {
    let mut left = count(target.sentences.iter().flatten());
    let mut left_of_text = count(text.sentences.iter().flatten());
    let (target_words, text_words) = (left.values().sum(), left_of_text.values().sum());
    let mut hits = 0;
    for sentence in &target.sentences {
        let mut common = vec![false; sentence.len()];
        text.sentences.iter().for_each(|other| mark_common(sentence, other, &mut common));
        for (word, _) in sentence.iter().zip(&common).filter(|(_, common)| **common) {
            if let (Some(a), Some(b)) = (left.get_mut(word), left_of_text.get_mut(word))
                && *a > 0
                && *b > 0
            {
                (*a, *b, hits) = (*a - 1, *b - 1, hits + 1);
            }
        }
    }
    f(hits, text_words, target_words)
}

/// Marks the places of `sentence` that one longest common subsequence with `other` goes through; which one is
/// rouge_score's choice.
fn mark_common(sentence: &[String], other: &[String], common: &mut [bool]) {
    let width = other.len() + 1;
    let mut table = vec![0u32; (sentence.len() + 1) * width];
    for (i, a) in (1..).zip(sentence) {
        for (j, b) in (1..).zip(other) {
            table[i * width + j] = if a == b {
                table[(i - 1) * width + j - 1] + 1
            } else {
                table[(i - 1) * width + j].max(table[i * width + j - 1])
            };
        }
    }
    let (mut i, mut j) = (sentence.len(), other.len());
    while i > 0 && j > 0 {
        if sentence[i - 1] == other[j - 1] {
            common[i - 1] = true;
            (i, j) = (i - 1, j - 1);
        } else if table[i * width + j - 1] > table[(i - 1) * width + j] {
            j -= 1;
        } else {
            i -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rouge_score 0.1.2 gives for one question, where every bootstrap sample is the same.
    #[test]
    fn what_rouge_score_says() {
        let check = |text, target: &str, expect: [f64; KINDS]| {
            let targets = [target.to_owned()];
            let Rouge { one, two, lsum } = rouge(&[Response { targets: &targets, text }], 42).unwrap();
            for (score, expect) in [one, two, lsum].iter().zip(expect) {
                assert!((score.middle - expect).abs() < 1e-9, "{text} / {target}: {score:?}, {expect}");
            }
        };
        check("The cat, sat.", "the cat sat", [100.0, 100.0, 100.0]);
        check("a b", "a b c d", [200.0 / 3.0, 50.0, 200.0 / 3.0]);
        check("b a", "a b", [100.0, 0.0, 50.0]);
        check("", "a", [0.0, 0.0, 0.0]);
        // Two sentences in the other order lose nothing in Lsum.
        check("c d . a b", "a b . c d", [100.0, 200.0 / 3.0, 100.0]);
        check("ж", "ж", [0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_best_target_counts_for_each_kind() {
        let targets = ["b a x".to_owned(), "a b".to_owned()];
        let score = rouge(&[Response { targets: &targets, text: "a b" }], 1).unwrap();
        assert_eq!((score.one.middle, score.two.middle, score.one.spread), (100.0, 100.0, 0.0));
    }
}
