//! The value of a metric for one item (`ConfigurableTask.process_results`).

use super::filter::filtered;
use saltus_task::lm_eval::{Ask, ExactMatch, Filter, Gold, Item, Metric, is_space};

/// What came back for one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// For each choice.
    Choices {
        /// Summed log-probabilities, in nats.
        logprobs: Vec<f64>,
        /// Whether each token of the continuation was the most probable one.
        greedy: Vec<bool>,
        /// Summed log-probabilities after an empty context; empty unless the item asks for them.
        unconditional: Vec<f64>,
    },
    /// For one continuation.
    Loglikelihood {
        /// Summed log-probability, in nats.
        logprob: f64,
        /// Whether each token was the most probable one.
        greedy: bool,
    },
    /// Summed log-probability of a whole text, in nats.
    Rolling(f64),
    /// The generated text, without its stop.
    Text(String),
}

/// What a metric keeps of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Weighted {
        logprob: f64,
        weight: f64,
    },
    /// The right class, if the data name one, and the predicted one.
    Classes(Option<usize>, usize),
}

impl Value {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Number(x) => Some(*x),
            _ => None,
        }
    }
}

pub(super) fn value(metric: &Metric, filter: &Filter, item: &Item, answer: &Answer) -> Result<Value, String> {
    match (&item.ask, answer) {
        (
            Ask::Choices { requests, choices, unconditional },
            Answer::Choices { logprobs, greedy, unconditional: alone },
        ) => {
            let (wanted, found) = ((requests.len(), unconditional.len()), (logprobs.len(), alone.len()));
            if wanted != found || greedy.len() != logprobs.len() || requests.len() != choices.len() {
                return Err(format!("document {}: {found:?} scores where {wanted:?} were asked for", item.document));
            }
            logprobs.iter().chain(alone).try_for_each(|&x| finite(x, item))?;
            chosen(metric, item, &Scored { choices, logprobs, greedy, alone })
        }
        (Ask::Loglikelihood(_), Answer::Loglikelihood { logprob, greedy }) => {
            finite(*logprob, item)?;
            Ok(Value::Number(if *metric == Metric::Perplexity { *logprob } else { f64::from(u8::from(*greedy)) }))
        }
        (Ask::Rolling(text), Answer::Rolling(logprob)) => {
            finite(*logprob, item)?;
            let weight = if *metric == Metric::WordPerplexity { words(text) } else { text.len() };
            Ok(Value::Weighted { logprob: *logprob, weight: weight as f64 })
        }
        (Ask::Generate(_), Answer::Text(text)) => {
            let Metric::ExactMatch(options) = metric else { return Err(unfit(metric)) };
            let predicted = normal(options, &filtered(filter, text)?)?;
            let equal = |target: &String| Ok::<_, String>(normal(options, target)? == predicted);
            let right = match &item.gold {
                Gold::Text(target) => equal(target)?,
                Gold::Texts(targets) => targets.iter().map(equal).collect::<Result<Vec<_>, _>>()?.contains(&true),
                _ => return Err(format!("document {} has no text as its target", item.document)),
            };
            Ok(Value::Number(f64::from(u8::from(right))))
        }
        _ => Err(format!("the answer to document {} is of another kind than the question", item.document)),
    }
}

fn finite(x: f64, item: &Item) -> Result<(), String> {
    if x.is_finite() {
        Ok(())
    } else {
        Err(format!("document {}: a log-probability is {x}: measure it again", item.document))
    }
}

fn unfit(metric: &Metric) -> String {
    format!("`{}` says nothing about this kind of answer: remove it", metric.name())
}

struct Scored<'a> {
    choices: &'a [String],
    logprobs: &'a [f64],
    greedy: &'a [bool],
    alone: &'a [f64],
}

fn chosen(metric: &Metric, item: &Item, scored: &Scored<'_>) -> Result<Value, String> {
    let Scored { choices, logprobs, greedy, alone } = *scored;
    let per = |length: fn(&String) -> usize| {
        argmax(logprobs.iter().zip(choices).map(|(x, choice)| x / length(choice) as f64))
    };
    let hit = |predicted: usize| match &item.gold {
        Gold::Choice(right) => *right == Some(predicted),
        Gold::Choices(right) => right.contains(&Some(predicted)),
        _ => false,
    };
    let number = |right: bool| Ok(Value::Number(f64::from(u8::from(right))));
    let single = || match &item.gold {
        Gold::Choice(right) => Ok(*right),
        _ => Err(format!("`{}` needs one right choice; document {} has several", metric.name(), item.document)),
    };
    match metric {
        Metric::Acc => number(hit(argmax(logprobs.iter().copied()))),
        Metric::AccNorm => number(hit(per(|choice| choice.chars().count()))),
        Metric::AccBytes => number(hit(per(String::len))),
        Metric::AccMutualInfo => {
            let predicted = argmax(logprobs.iter().zip(alone).map(|(x, y)| x - y));
            number(single()? == Some(predicted))
        }
        Metric::ExactMatch(_) => number((0..greedy.len()).any(|i| greedy[i] && hit(i))),
        Metric::F1 | Metric::Mcc => Ok(Value::Classes(single()?, argmax(logprobs.iter().copied()))),
        Metric::Brier => {
            let right =
                single()?.ok_or_else(|| format!("document {} names no choice as the right one", item.document))?;
            let highest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = logprobs.iter().map(|x| (x - highest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let term = |(i, w): (usize, &f64)| (w / sum - if i == right { 1.0 } else { 0.0 }).powi(2);
            Ok(Value::Number(weights.iter().enumerate().map(term).sum()))
        }
        _ => Err(unfit(metric)),
    }
}

/// The place of the greatest number, the first of equals; as numpy, the first that is no number if there is one.
fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, x) in values.enumerate() {
        if x.is_nan() {
            return i;
        }
        if x > best.1 {
            best = (i, x);
        }
    }
    best.0
}

/// Python's `len(re.split(r"\s+", text))`: white space at an end leaves an empty part.
fn words(text: &str) -> usize {
    let mut after_space = false;
    let gaps = text.chars().filter(|&c| {
        let begins = is_space(c) && !after_space;
        after_space = is_space(c);
        begins
    });
    1 + gaps.count()
}

fn normal(options: &ExactMatch, text: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for regex in &options.regexes_to_ignore {
        text = regex.replace(&text, "", 0)?;
    }
    if options.ignore_case {
        text = text.to_lowercase();
    }
    text.retain(|c| {
        !(options.ignore_punctuation && c.is_ascii_punctuation() || options.ignore_numbers && c.is_ascii_digit())
    });
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_python_splits_them() {
        for (text, expect) in [("a b", 2), ("", 1), (" a  b\n", 4), ("ab", 1), ("a\u{a0}\tb", 2), (" ", 2)] {
            assert_eq!(words(text), expect, "{text:?}");
        }
    }

    #[test]
    fn the_first_of_equals() {
        assert_eq!(argmax([1.0, 3.0, 3.0].into_iter()), 1);
        assert_eq!(argmax([f64::NEG_INFINITY; 2].into_iter()), 0);
        assert_eq!(argmax([1.0, f64::NAN, 3.0].into_iter()), 1);
    }
}
