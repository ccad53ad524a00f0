//! BLEU as sacrebleu computes it over a corpus: tokens of mteval's international rules, exponential smoothing.

use super::response::{Response, words};
use super::{Error, undefined};
use regex::Regex;
use std::borrow::Cow;
use std::collections::HashMap;

const METRIC: &str = "bleu";
/// The longest n-grams.
const ORDER: usize = 4;

/// `bleu`, 0 to 100 (Papineni et al., ACL 2002; sacrebleu's `corpus_bleu` with `tokenize="intl"` and
/// `smooth_method="exp"`): geometric mean of the n-gram precisions of the corpus for n from 1 to 4, times the brevity
/// penalty. An order without a hit counts as 1/2, 1/4, ... of a hit, but a corpus without any hit gets 0.
///
/// # Errors
/// [`Error`] without questions, or where one has no target.
pub fn bleu(responses: &[Response<'_>]) -> Result<f64, Error> {
    if responses.is_empty() {
        return Err(Error::Empty(METRIC));
    }
    let tokenizer = Tokenizer::new();
    let mut corpus = Counts::default();
    for (i, response) in responses.iter().enumerate() {
        if response.targets.is_empty() {
            return undefined(METRIC, i, "no target: give one");
        }
        let text = tokenizer.tokens(response.text);
        let targets: Vec<Vec<String>> = response.targets.iter().map(|target| tokenizer.tokens(target)).collect();
        corpus.add(&text, &targets);
    }
    Ok(corpus.score())
}

/// What is counted over the corpus.
#[derive(Default)]
struct Counts {
    hits: [usize; ORDER],
    ngrams: [usize; ORDER],
    length: usize,
    /// Sum of the lengths of the targets that are nearest in length.
    target_length: usize,
}

impl Counts {
    fn add(&mut self, text: &[String], targets: &[Vec<String>]) {
        let nearest = targets.iter().map(Vec::len).min_by_key(|&n| (n.abs_diff(text.len()), n));
        self.length += text.len();
        self.target_length += nearest.unwrap_or(0);
        for n in 1..=ORDER {
            let mut most: HashMap<&[String], usize> = HashMap::new();
            for target in targets {
                for (ngram, count) in count(target, n) {
                    let entry = most.entry(ngram).or_default();
                    *entry = count.max(*entry);
                }
            }
            self.ngrams[n - 1] += (text.len() + 1).saturating_sub(n);
            let hits = count(text, n).into_iter().map(|(ngram, count)| count.min(*most.get(ngram).unwrap_or(&0)));
            self.hits[n - 1] += hits.sum::<usize>();
        }
    }

    fn score(&self) -> f64 {
        // Without an n-gram of an order its precision is 0, and the mean with it.
        if self.hits == [0; ORDER] || self.ngrams.contains(&0) {
            return 0.0;
        }
        let mut smoothing = 1.0;
        let mut sum = 0.0;
        for (&hits, &ngrams) in self.hits.iter().zip(&self.ngrams) {
            let precision = if hits == 0 {
                smoothing *= 2.0;
                100.0 / (smoothing * ngrams as f64)
            } else {
                100.0 * hits as f64 / ngrams as f64
            };
            sum += precision.ln();
        }
        let short = self.length < self.target_length;
        let penalty = if short { (1.0 - self.target_length as f64 / self.length as f64).exp() } else { 1.0 };
        penalty * (sum / ORDER as f64).exp()
    }
}

/// How often each n-gram occurs.
fn count(tokens: &[String], n: usize) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    tokens.windows(n).for_each(|ngram| *counts.entry(ngram).or_default() += 1);
    counts
}

/// `tokenizer_intl` of sacrebleu: punctuation apart unless between digits, symbols apart.
struct Tokenizer {
    after_no_digit: Regex,
    before_no_digit: Regex,
    symbol: Regex,
}

impl Tokenizer {
    fn new() -> Self {
        // Fixed expressions: that they compile is tested.
        #[expect(clippy::unwrap_used)]
        let regex = |pattern| Regex::new(pattern).unwrap();
        Tokenizer {
            after_no_digit: regex(r"(\P{N})(\p{P})"),
            before_no_digit: regex(r"(\p{P})(\P{N})"),
            symbol: regex(r"(\p{S})"),
        }
    }

    fn tokens(&self, text: &str) -> Vec<String> {
        let text = text.trim_end_matches(saltus_task::lm_eval::is_space);
        let text = self.after_no_digit.replace_all(text, "$1 $2 ");
        let text: Cow<'_, str> = self.before_no_digit.replace_all(&text, " $1 $2").into_owned().into();
        words(&self.symbol.replace_all(&text, " $1 ")).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(text: &str, targets: &[&str]) -> f64 {
        let targets: Vec<String> = targets.iter().map(|&t| t.into()).collect();
        bleu(&[Response { targets: &targets, text }]).unwrap()
    }

    #[test]
    fn tokens_are_those_of_mteval() {
        let check = |text, expect: &str| assert_eq!(Tokenizer::new().tokens(text).join("|"), expect, "{text}");
        check("It's 3.14, not 5.", "It|'|s|3.14|,|not|5.");
        check("a+b=c €5", "a|+|b|=|c|€|5");
        check("1,000 (x)\n", "1,000|(|x|)");
        check("", "");
    }

    #[test]
    fn what_sacrebleu_says() {
        assert_eq!(score("the cat sat on the mat", &["the cat sat on the mat"]).round(), 100.0);
        assert_eq!(score("a b", &["c d"]), 0.0);
        // Fewer than four tokens have no 4-gram.
        assert_eq!(score("a b c", &["a b c"]), 0.0);
        assert_eq!(score("", &["a"]), 0.0);
        // Precisions 4/5, 2/4, 0 -> 1/2 of 3, 0 -> 1/4 of 2.
        let precisions: f64 = 4.0 / 5.0 * 2.0 / 4.0 / (2.0 * 3.0) / (4.0 * 2.0);
        let expect = 100.0 * precisions.powf(0.25);
        assert!((score("a b x c d", &["a b y c d"]) - expect).abs() < 1e-12);
    }
}
