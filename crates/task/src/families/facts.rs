//! Facts known by heart: `Kab=x`, a random letter for each key, common keys and rare ones.

use super::open;
use crate::draw::{ensure, letter, shuffle_front, weighted, zipf};
use crate::{Error, QuestionSet, Segment};
use rand::distr::{Distribution, weighted::WeightedIndex};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) const NAME: &str = "facts";

/// Two-letter keys with one random letter each; nothing is held out, since a fact not seen cannot be known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Number of keys, 4 to 676.
    pub keys: u32,
    /// Training draws the key of rank r with weight 1 / r^zipf, 0 to 4; evaluation asks all alike.
    pub zipf: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    /// (key, answer) by rank: a key's number is 26 * first letter + second letter.
    facts: Vec<(u16, u8)>,
    ranks: WeightedIndex<f64>,
}

impl World {
    pub(crate) fn new(spec: &Facts, key: Key) -> Result<Self, Error> {
        ensure((4..=676).contains(&spec.keys), NAME, "keys", spec.keys, "write a number from 4 to 676")?;
        ensure((0.0..=4.0).contains(&spec.zipf), NAME, "zipf", spec.zipf, "write an exponent from 0 to 4, such as 1")?;
        let mut rng = key.child("table").rng();
        let mut keys: Vec<u16> = (0..676).collect();
        shuffle_front(&mut keys, spec.keys as usize, &mut rng);
        keys.truncate(spec.keys as usize);
        let facts = keys.into_iter().map(|key| (key, rng.random_range(0..26u32) as u8)).collect();
        Ok(World { facts, ranks: weighted(NAME, "zipf", &zipf(spec.keys as usize, spec.zipf))? })
    }

    pub(crate) fn longest(&self) -> usize {
        6
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let (key, answer) = self.facts[self.ranks.sample(rng)];
        prompt(key, &mut out.text);
        let from = out.text.len();
        out.text.push(letter(answer.into()));
        out.finish(from);
    }

    /// Equally many keys of each frequency quartile; the whole is the four together.
    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        let quarter = |q: usize| {
            let mut ranks: Vec<usize> = (q * self.facts.len() / 4..(q + 1) * self.facts.len() / 4).collect();
            shuffle_front(&mut ranks, items.div_ceil(4), &mut key.child(NAME).index(q as u64).rng());
            ranks.truncate(items.div_ceil(4));
            let questions = ranks.into_iter().map(|rank| {
                let (key, answer) = self.facts[rank];
                let mut text = String::new();
                prompt(key, &mut text);
                open(text, letter(answer.into()).into())
            });
            questions.collect::<Vec<_>>()
        };
        let quarters: Vec<_> = (0..4).map(quarter).collect();
        let mut sets = vec![QuestionSet::direct(NAME, "all", 1.0 / 26.0, quarters.concat())];
        let names = ["most frequent quarter", "second quarter", "third quarter", "rarest quarter"];
        sets.extend(
            names
                .into_iter()
                .zip(quarters)
                .map(|(name, questions)| QuestionSet::direct(NAME, name, 1.0 / 26.0, questions)),
        );
        sets
    }
}

fn prompt(key: u16, out: &mut String) {
    out.extend(['K', letter(usize::from(key / 26)), letter(usize::from(key % 26)), '=']);
}
