//! Sums of digits modulo 10: direct, `D3725=7`, and with the running sums written out, `G3725=3027`.

use super::{Span, among_digits, open};
use crate::draw::{Split, digit, ensure, ensure_held_out};
use crate::{Error, QuestionSet, Segment, Style};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) const NAME: &str = "sum";

/// The sum modulo 10 of some digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// How many digits are added, 2 to 15; drawn uniformly in training, one task each in evaluation.
    pub numbers: Span,
    /// The sum at once, or the running sums (of one digit, of two, ...) up to it.
    pub style: Style,
    /// Share of the items that is held out by hash, 0 to 0.5 (sums of 2 digits are too few and are not split).
    pub held_out: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    numbers: Span,
    style: Style,
    split: Split,
}

impl World {
    pub(crate) fn new(spec: &Sum, key: Key) -> Result<Self, Error> {
        let Span { min, max } = spec.numbers;
        let ok = 2 <= min && min <= max && max <= 15;
        ensure(ok, NAME, "numbers", spec.numbers, "write { min = A, max = B } with 2 <= A <= B <= 15")?;
        ensure_held_out(NAME, spec.held_out)?;
        Ok(World { numbers: spec.numbers, style: spec.style, split: Split::new(key, spec.held_out) })
    }

    pub(crate) fn longest(&self) -> usize {
        let n = self.numbers.max as usize;
        match self.style {
            Style::Direct => n + 4,
            Style::StepByStep => 2 * n + 3,
        }
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let n = rng.random_range(self.numbers.min..=self.numbers.max);
        let item = self.split.draw(10u64.pow(n), rng);
        self.prompt(n, item, &mut out.text);
        let from = out.text.len();
        self.answer(n, item, &mut out.text);
        out.finish(from);
    }

    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        (self.numbers.min..=self.numbers.max).map(|n| self.question_set(n, items, key)).collect()
    }

    fn question_set(&self, n: u32, items: usize, key: Key) -> QuestionSet {
        let drawn = self.split.sample(10u64.pow(n), items, key.child(NAME).index(n.into()));
        let questions = drawn.into_iter().map(|item| {
            let mut prompt = String::new();
            self.prompt(n, item, &mut prompt);
            match self.style {
                Style::Direct => among_digits(prompt, running_sums(n, item).last().unwrap_or(0), 10),
                Style::StepByStep => {
                    let mut answer = String::new();
                    self.answer(n, item, &mut answer);
                    open(prompt, answer)
                }
            }
        });
        let chance = match self.style {
            Style::Direct => 0.1,
            Style::StepByStep => 0.1f64.powi(n as i32),
        };
        QuestionSet { style: self.style, ..QuestionSet::direct(NAME, format!("{n} numbers"), chance, questions) }
    }

    fn prompt(&self, n: u32, item: u64, out: &mut String) {
        out.push(match self.style {
            Style::Direct => 'D',
            Style::StepByStep => 'G',
        });
        out.extend(digits(n, item).map(digit));
        out.push('=');
    }

    fn answer(&self, n: u32, item: u64, out: &mut String) {
        match self.style {
            Style::Direct => out.extend(running_sums(n, item).last().map(digit)),
            Style::StepByStep => out.extend(running_sums(n, item).map(digit)),
        }
    }
}

/// The digits of an item: those of the number `item`, most significant first.
fn digits(n: u32, item: u64) -> impl Iterator<Item = u64> {
    (0..n).rev().map(move |place| item / 10u64.pow(place) % 10)
}

fn running_sums(n: u32, item: u64) -> impl Iterator<Item = u64> {
    digits(n, item).scan(0, |sum, d| {
        *sum = (*sum + d) % 10;
        Some(*sum)
    })
}
