//! Models that give one answer whatever the question: their scores tell of the labels, not of an ability.

use crate::abilities::{Placed, readable};
use saltus_results::{Name, Scores};
use std::collections::{BTreeMap, HashMap};

/// Answers from which on one class can be told, and the share of them that makes it one.
const CLASS_ITEMS: usize = 20;
const ONE_CLASS: f64 = 0.95;

/// Whether at least half of the models, of [`CLASS_ITEMS`] answers or more, give one answer nearly always.
pub(crate) fn one_class(scores: &Scores, placed: &[Placed<'_>]) -> Option<String> {
    let mut models: BTreeMap<(u64, u64), HashMap<Name, usize>> = BTreeMap::new();
    for (scale, seed, row) in placed {
        if let Some(answer) = row.predicted {
            *models.entry((scale.to_bits(), *seed)).or_default().entry(answer).or_default() += 1;
        }
    }
    models.retain(|_, answers| answers.values().sum::<usize>() >= CLASS_ITEMS);
    let most = |answers: &HashMap<Name, usize>| {
        // Of equals the first by name, so that the sentence is always the same.
        let (name, count) = answers.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name)))?;
        let share = *count as f64 / answers.values().sum::<usize>() as f64;
        (share >= ONE_CLASS).then_some((*name, share))
    };
    let biased: Vec<(f64, Name, f64)> = models
        .iter()
        .filter_map(|((scale, _), answers)| most(answers).map(|(n, share)| (f64::from_bits(*scale), n, share)))
        .collect();
    let (scale, name, share) = *biased.first()?;
    (2 * biased.len() >= models.len()).then(|| {
        format!(
            "{} of {} models give one answer to at least {:.0}% of the questions; at {} it is `{}` ({:.0}%).",
            biased.len(),
            models.len(),
            100.0 * ONE_CLASS,
            readable(scale),
            scores.name(name),
            100.0 * share
        )
    })
}
