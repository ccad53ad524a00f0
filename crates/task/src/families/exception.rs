//! A rule against its exceptions: `Qa7c3f9?c3`, the digit of the asked name; but for some memorised pairs of (asked name,
//! name after it) it is the *next* name's digit. Learning the rule makes the exceptions worse before they get better.

use super::among_digits;
use crate::draw::{digit, ensure, letter, shuffle_front};
use crate::{Error, QuestionSet, Segment};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) const NAME: &str = "exception";

/// Pairs of distinct names and distinct digits, and a question about one of them that is not the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Names, 2 to 26: letters from `a` on.
    pub names: u32,
    /// Pairs in an item, 2 to 10 and at most `names`.
    pub pairs: u32,
    /// How many of the names * (names - 1) ordered pairs of names are exceptions; at least 1, at most half of them.
    pub exceptions: u32,
    /// Share of training items that are exceptions, between 0 and 1.
    pub rate: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    names: usize,
    pairs: usize,
    /// Ordered pairs of names whose answer is the second one's digit.
    exceptions: Vec<(u8, u8)>,
    /// The other ordered pairs.
    ruled: Vec<(u8, u8)>,
    rate: f64,
}

impl World {
    pub(crate) fn new(spec: &Exception, key: Key) -> Result<Self, Error> {
        ensure((2..=26).contains(&spec.names), NAME, "names", spec.names, "write a number from 2 to 26")?;
        let ok = (2..=spec.names.min(10)).contains(&spec.pairs);
        ensure(ok, NAME, "pairs", spec.pairs, "write a number from 2 to 10, at most that of `names`")?;
        let ordered = spec.names * (spec.names - 1);
        let ok = (1..=ordered / 2).contains(&spec.exceptions);
        let remedy = format!("write a number from 1 to {} (half of the {ordered} ordered pairs)", ordered / 2);
        ensure(ok, NAME, "exceptions", spec.exceptions, &remedy)?;
        ensure((0.0..=1.0).contains(&spec.rate), NAME, "rate", spec.rate, "write a share from 0 to 1, such as 0.03")?;
        let names = 0..spec.names as u8;
        let mut all: Vec<(u8, u8)> =
            names.clone().flat_map(|a| names.clone().filter(move |&b| a != b).map(move |b| (a, b))).collect();
        shuffle_front(&mut all, spec.exceptions as usize, &mut key.child("pairs").rng());
        let ruled = all.split_off(spec.exceptions as usize);
        let (names, pairs) = (spec.names as usize, spec.pairs as usize);
        Ok(World { names, pairs, exceptions: all, ruled, rate: spec.rate })
    }

    pub(crate) fn longest(&self) -> usize {
        2 * self.pairs + 5
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let exception = rng.random_bool(self.rate);
        let answer = self.prompt(exception, rng, &mut out.text);
        let from = out.text.len();
        out.text.push(digit(answer.into()));
        out.finish(from);
    }

    /// As many exceptions as ruled items, each a set of its own.
    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        [("rule", false), ("exception", true)]
            .map(|(task, exception)| {
                let mut rng = key.child(NAME).child(task).rng();
                let question = |_| {
                    let mut prompt = String::new();
                    let answer = self.prompt(exception, &mut rng, &mut prompt);
                    among_digits(prompt, answer.into(), 10)
                };
                QuestionSet::direct(NAME, task, 0.1, (0..items).map(question))
            })
            .into()
    }

    /// Writes the text up to the asked name and returns the answer. Ruled items and exceptions look alike: only the
    /// two names tell them apart.
    fn prompt(&self, exception: bool, rng: &mut impl Rng, out: &mut String) -> u8 {
        let from = if exception { &self.exceptions } else { &self.ruled };
        let (asked, next) = from[rng.random_range(0..from.len() as u32) as usize];
        let place = rng.random_range(0..self.pairs as u32 - 1) as usize;
        let names = self.fill(asked, next, place, rng);
        let mut digits: [u8; 10] = std::array::from_fn(|i| i as u8);
        shuffle_front(&mut digits, self.pairs, rng);
        out.push('Q');
        for (&name, &d) in names[..self.pairs].iter().zip(&digits) {
            out.extend([letter(name.into()), digit(d.into())]);
        }
        out.extend(['?', letter(asked.into())]);
        digits[place + usize::from(exception)]
    }

    /// Distinct names with `asked` and `next` at `place` and after it.
    fn fill(&self, asked: u8, next: u8, place: usize, rng: &mut impl Rng) -> [u8; 10] {
        let (mut others, mut n) = ([0; 26], 0);
        for name in (0..self.names as u8).filter(|&name| name != asked && name != next) {
            others[n] = name;
            n += 1;
        }
        shuffle_front(&mut others[..n], self.pairs - 2, rng);
        let mut names = [0; 10];
        names[..place].copy_from_slice(&others[..place]);
        names[place..place + 2].copy_from_slice(&[asked, next]);
        names[place + 2..self.pairs].copy_from_slice(&others[place..self.pairs - 2]);
        names
    }
}
