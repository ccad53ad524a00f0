//! Copying: `Ceywnb|eywnb`. The length varies, or positions alone would solve it.

use super::{Span, open};
use crate::draw::{ensure, letter, shuffle_front};
use crate::{Error, QuestionSet, Segment};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) const NAME: &str = "copy";

/// Distinct random letters, to be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// How many letters, 1 to 26, drawn uniformly.
    pub letters: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    letters: Span,
}

impl World {
    pub(crate) fn new(spec: &Copy) -> Result<Self, Error> {
        let Span { min, max } = spec.letters;
        let ok = 1 <= min && min <= max && max <= 26;
        ensure(ok, NAME, "letters", spec.letters, "write { min = A, max = B } with 1 <= A <= B <= 26")?;
        Ok(World { letters: spec.letters })
    }

    pub(crate) fn longest(&self) -> usize {
        2 * self.letters.max as usize + 3
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let mut alphabet: [u8; 26] = std::array::from_fn(|i| i as u8);
        let n = rng.random_range(self.letters.min..=self.letters.max) as usize;
        shuffle_front(&mut alphabet, n, rng);
        let letters = || alphabet[..n].iter().map(|&l| letter(l.into()));
        out.text.push('C');
        out.text.extend(letters());
        out.text.push('|');
        let from = out.text.len();
        out.text.extend(letters());
        out.finish(from);
    }

    /// Fresh draws: there are so many different items (7.9 million of 5 letters) that nearly all are new to the model.
    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        let (mut rng, mut segment) = (key.child(NAME).rng(), Segment::default());
        let questions = (0..items).map(|_| {
            segment.clear();
            self.write(&mut rng, &mut segment);
            let answer = segment.scored[0].clone();
            open(segment.text[..answer.start].into(), segment.text[answer].into())
        });
        let lengths = self.letters.min..=self.letters.max;
        let chance = lengths.clone().map(|n| 26f64.powi(-(n as i32))).sum::<f64>() / lengths.count() as f64;
        vec![QuestionSet::direct(NAME, format!("{} letters", self.letters), chance, questions)]
    }
}
