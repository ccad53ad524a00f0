//! The survey's arithmetic probe a*b+c*d by number range: direct, `A7*8+3*4=68`, and with the intermediate products,
//! `B7*8+3*4=56+12=68`.

use super::{Span, open};
use crate::draw::{Split, ensure, ensure_held_out};
use crate::{Error, QuestionSet, Segment, Style};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

pub(crate) const NAME: &str = "arithmetic";

/// Four numbers of one range: the sum of two products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arithmetic {
    /// Ranges of the numbers, within 0 to 9,999; training draws one uniformly, evaluation makes a task of each.
    pub ranges: Vec<Span>,
    /// The result at once, or the two products first.
    pub style: Style,
    /// Share of the items that is held out by hash, 0 to 0.5 (ranges with fewer than 1,000 items are not split).
    pub held_out: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    ranges: Vec<Span>,
    style: Style,
    split: Split,
}

impl World {
    pub(crate) fn new(spec: &Arithmetic, key: Key) -> Result<Self, Error> {
        let ok = !spec.ranges.is_empty() && spec.ranges.iter().all(|r| r.min <= r.max && r.max <= 9999);
        ensure(ok, NAME, "ranges", &spec.ranges, "write one or more { min = A, max = B } with A <= B <= 9999")?;
        ensure_held_out(NAME, spec.held_out)?;
        Ok(World { ranges: spec.ranges.clone(), style: spec.style, split: Split::new(key, spec.held_out) })
    }

    pub(crate) fn longest(&self) -> usize {
        self.ranges.iter().map(|&r| self.prompt([r.max; 4]).len() + self.longest_answer(r) + 1).max().unwrap_or(0)
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let range = self.ranges[rng.random_range(0..self.ranges.len() as u32) as usize];
        let item = self.split.draw(space(range), rng);
        self.write_prompt(numbers(range, item), &mut out.text);
        let from = out.text.len();
        self.write_answer(numbers(range, item), &mut out.text);
        out.finish(from);
    }

    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        self.ranges.iter().map(|&range| self.question_set(range, items, key)).collect()
    }

    fn question_set(&self, range: Span, items: usize, key: Key) -> QuestionSet {
        let key = key.child(NAME).index(range.min.into()).index(range.max.into());
        let drawn = self.split.sample(space(range), items, key);
        let questions = drawn.into_iter().map(|item| {
            let numbers = numbers(range, item);
            open(self.prompt(numbers), self.answer(numbers))
        });
        let chance = 0.1f64.powi(self.answer([range.min; 4]).len() as i32);
        QuestionSet { style: self.style, ..QuestionSet::direct(NAME, format!("numbers {range}"), chance, questions) }
    }

    fn longest_answer(&self, range: Span) -> usize {
        self.answer([range.max; 4]).len()
    }

    fn prompt(&self, numbers: [u32; 4]) -> String {
        let mut text = String::new();
        self.write_prompt(numbers, &mut text);
        text
    }

    fn answer(&self, numbers: [u32; 4]) -> String {
        let mut text = String::new();
        self.write_answer(numbers, &mut text);
        text
    }

    fn write_prompt(&self, [a, b, c, d]: [u32; 4], out: &mut String) {
        let letter = match self.style {
            Style::Direct => 'A',
            Style::StepByStep => 'B',
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{letter}{a}*{b}+{c}*{d}=");
    }

    fn write_answer(&self, [a, b, c, d]: [u32; 4], out: &mut String) {
        let _ = match self.style {
            Style::Direct => write!(out, "{}", a * b + c * d),
            Style::StepByStep => write!(out, "{}+{}={}", a * b, c * d, a * b + c * d),
        };
    }
}

/// How many different items a range has.
fn space(range: Span) -> u64 {
    u64::from(range.max - range.min + 1).pow(4)
}

/// The four numbers of an item: its digits in base (max - min + 1), plus min.
fn numbers(range: Span, item: u64) -> [u32; 4] {
    let base = u64::from(range.max - range.min + 1);
    [3, 2, 1, 0].map(|place| range.min + (item / base.pow(place) % base) as u32)
}
