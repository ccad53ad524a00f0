//! Addition: `P438+253=0691`, and reversed, least significant digit first, `R834+352=1960`.

use super::open;
use crate::draw::{Split, digit, ensure, ensure_held_out};
use crate::{Error, QuestionSet, Segment};
use rand::Rng;
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) const NAME: &str = "addition";

/// Two numbers of a fixed number of digits (leading zeros written) and their sum with one digit more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// Digits of each number, 1 to 9.
    pub digits: u32,
    /// Order of the digits.
    pub order: Order,
    /// Share of the pairs that is held out by hash, 0 to 0.5 (1-digit addition has too few pairs and is not split).
    pub held_out: f64,
}

/// Order of the digits of operands and sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Most significant digit first.
    Plain,
    /// Least significant digit first: carries go the way that the text is written.
    Reversed,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    digits: u32,
    order: Order,
    /// Operands are below this.
    base: u64,
    split: Split,
}

impl World {
    pub(crate) fn new(spec: &Addition, key: Key) -> Result<Self, Error> {
        ensure((1..=9).contains(&spec.digits), NAME, "digits", spec.digits, "write a number from 1 to 9")?;
        ensure_held_out(NAME, spec.held_out)?;
        let split = Split::new(key, spec.held_out);
        Ok(World { digits: spec.digits, order: spec.order, base: 10u64.pow(spec.digits), split })
    }

    pub(crate) fn longest(&self) -> usize {
        3 * self.digits as usize + 5
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        let item = self.split.draw(self.base * self.base, rng);
        self.prompt(item, &mut out.text);
        let from = out.text.len();
        self.answer(item, &mut out.text);
        out.finish(from);
    }

    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        let length = self.digits as usize + 1;
        let questions = self.split.sample(self.base * self.base, items, key.child(NAME)).into_iter().map(|item| {
            let (mut prompt, mut answer) = (String::new(), String::new());
            self.prompt(item, &mut prompt);
            self.answer(item, &mut answer);
            open(prompt, answer)
        });
        let order = match self.order {
            Order::Plain => "plain",
            Order::Reversed => "reversed",
        };
        let task = format!("{}-digit {order}", self.digits);
        // The leading digit of a sum is 0 or 1, but blind guessing does not know that.
        vec![QuestionSet::direct(NAME, task, 0.1f64.powi(length as i32), questions)]
    }

    /// An item is the pair (a, b) as a * base + b.
    fn prompt(&self, item: u64, out: &mut String) {
        out.push(match self.order {
            Order::Plain => 'P',
            Order::Reversed => 'R',
        });
        self.number(item / self.base, self.digits, out);
        out.push('+');
        self.number(item % self.base, self.digits, out);
        out.push('=');
    }

    fn answer(&self, item: u64, out: &mut String) {
        self.number(item / self.base + item % self.base, self.digits + 1, out);
    }

    fn number(&self, number: u64, digits: u32, out: &mut String) {
        for place in 0..digits {
            let power = match self.order {
                Order::Plain => digits - 1 - place,
                Order::Reversed => place,
            };
            out.push(digit(number / 10u64.pow(power) % 10));
        }
    }
}
