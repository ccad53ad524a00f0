//! Learning in context: `Fd6b3c2h7a0g5`, pairs of a letter and its digit under one of a few fixed permutations; which
//! one, only the pairs before can tell.

use super::among_digits;
use crate::draw::{digit, ensure, letter, shuffle_front};
use crate::{Error, QuestionSet, Segment, ShotMode};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) const NAME: &str = "mapping";

/// Distinct letters, each followed by its image under one permutation drawn for the item. Every digit is scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Symbols that are permuted, 2 to 10: letters from `a` on map to digits from 0 on.
    pub symbols: u32,
    /// Fixed permutations, 1 to 1,000.
    pub permutations: u32,
    /// Pairs in an item, 1 to `symbols`; evaluated with 0 to `pairs` - 1 solved pairs (shots) before the asked one.
    pub pairs: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    symbols: usize,
    pairs: usize,
    permutations: Vec<Vec<u8>>,
}

impl World {
    pub(crate) fn new(spec: &Mapping, key: Key) -> Result<Self, Error> {
        ensure((2..=10).contains(&spec.symbols), NAME, "symbols", spec.symbols, "write a number from 2 to 10")?;
        let ok = (1..=1000).contains(&spec.permutations);
        ensure(ok, NAME, "permutations", spec.permutations, "write a number from 1 to 1000")?;
        let ok = (1..=spec.symbols).contains(&spec.pairs);
        ensure(ok, NAME, "pairs", spec.pairs, "write a number from 1 to that of `symbols`")?;
        let permutation = |i| {
            let mut images: Vec<u8> = (0..spec.symbols as u8).collect();
            shuffle_front(&mut images, spec.symbols as usize, &mut key.child("permutation").index(i).rng());
            images
        };
        let permutations = (0..spec.permutations.into()).map(permutation).collect();
        Ok(World { symbols: spec.symbols as usize, pairs: spec.pairs as usize, permutations })
    }

    pub(crate) fn longest(&self) -> usize {
        2 * self.pairs + 2
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let (permutation, letters) = self.draw(rng);
        out.text.push('F');
        for &l in &letters[..self.pairs] {
            out.text.push(letter(l.into()));
            let at = out.text.len();
            out.text.push(digit(permutation[l as usize].into()));
            out.scored.push(at..at + 1);
        }
        out.text.push(crate::END);
    }

    /// Every number of shots asks about the same letters under the same permutations, so that the effect of the shots
    /// is paired.
    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        let mut rng = key.child(NAME).rng();
        let drawn: Vec<_> = (0..items).map(|_| self.draw(&mut rng)).collect();
        let set = |shots: usize| {
            let questions = drawn.iter().map(|(permutation, letters)| {
                let image = |l: u8| permutation[l as usize];
                let mut prompt = String::from("F");
                for &l in &letters[..shots] {
                    prompt.extend([letter(l.into()), digit(image(l).into())]);
                }
                let asked = letters[self.pairs - 1];
                prompt.push(letter(asked.into()));
                among_digits(prompt, image(asked).into(), self.symbols as u64)
            });
            let task = format!("{} permutations of {}", self.permutations.len(), self.symbols);
            // The pairs before the asked one are drawn for each question.
            let (shots, shot_mode) = (shots as u32, ShotMode::Fresh);
            QuestionSet { shots, shot_mode, ..QuestionSet::direct(NAME, task, 1.0 / self.symbols as f64, questions) }
        };
        (0..self.pairs).map(set).collect()
    }

    fn draw(&self, rng: &mut impl Rng) -> (&[u8], [u8; 10]) {
        let permutation = &self.permutations[rng.random_range(0..self.permutations.len() as u32) as usize];
        let mut letters: [u8; 10] = std::array::from_fn(|i| i as u8);
        shuffle_front(&mut letters[..self.symbols], self.pairs, rng);
        (permutation, letters)
    }
}
