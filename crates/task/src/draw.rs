//! What the generated families draw with: the held-out split, Zipf weights, distinct symbols, digits.

use crate::Error;
use rand::{Rng, RngExt, distr::weighted::WeightedIndex};
use saltus_random::Key;
use std::collections::HashSet;

/// Tasks with fewer different items than this are not split: what is left of them would teach nothing.
pub(crate) const SMALLEST_SPLIT: u64 = 1000;

/// A held-out split by hash: whether an item may be trained on depends on nothing but the key and the item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    salt: u64,
    /// Hashes below this are held out.
    below: u64,
}

impl Split {
    /// Holds out `fraction` of all items, `fraction` in [0, 1).
    pub(crate) fn new(key: Key, fraction: f64) -> Self {
        Split { salt: key.child("held-out").rng().next_u64(), below: (fraction * 2f64.powi(64)) as u64 }
    }

    /// Whether item number `item` of a task with `space` items is held out.
    pub(crate) fn holds_out(self, item: u64, space: u64) -> bool {
        space >= SMALLEST_SPLIT && mix(mix(item ^ self.salt) ^ space) < self.below
    }

    /// Draws a trainable item number below `space`.
    pub(crate) fn draw(self, space: u64, rng: &mut impl Rng) -> u64 {
        loop {
            let item = rng.random_range(0..space);
            if !self.holds_out(item, space) {
                return item;
            }
        }
    }

    /// At most `items` different item numbers below `space` in random order: held-out ones, or any where the task is
    /// too small to be split or nothing is held out.
    pub(crate) fn sample(self, space: u64, items: usize, key: Key) -> Vec<u64> {
        let split = space >= SMALLEST_SPLIT && self.below > 0;
        let eligible = |&item: &u64| !split || self.holds_out(item, space);
        let expected = if split { space as f64 * (self.below as f64 / 2f64.powi(64)) } else { space as f64 };
        let mut rng = key.rng();
        if items as f64 * 4.0 > expected {
            let mut all: Vec<u64> = (0..space).filter(eligible).collect();
            shuffle_front(&mut all, items, &mut rng);
            all.truncate(items);
            return all;
        }
        let (mut seen, mut drawn) = (HashSet::with_capacity(items), Vec::with_capacity(items));
        while drawn.len() < items {
            let item = rng.random_range(0..space);
            if eligible(&item) && seen.insert(item) {
                drawn.push(item);
            }
        }
        drawn
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input changes half of the output's.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Moves `n` (or all) uniformly drawn elements to the front, in random order: a partial Fisher-Yates shuffle.
pub(crate) fn shuffle_front<T>(values: &mut [T], n: usize, rng: &mut impl Rng) {
    for i in 0..n.min(values.len()) {
        let j = rng.random_range(i as u32..values.len() as u32) as usize;
        values.swap(i, j);
    }
}

/// The `n`-th lower-case letter, `n` < 26.
pub(crate) fn letter(n: usize) -> char {
    char::from(b'a' + n as u8)
}

/// The digit `n` < 10 as a character.
pub(crate) fn digit(n: u64) -> char {
    char::from(b'0' + n as u8)
}

/// Weights 1 / rank^`exponent` for ranks 1 to `n`.
pub(crate) fn zipf(n: usize, exponent: f64) -> Vec<f64> {
    (1..=n).map(|rank| (rank as f64).powf(-exponent)).collect()
}

/// A distribution over the indices of `weights`, which the caller has validated.
pub(crate) fn weighted(
    family: &'static str,
    field: &'static str,
    weights: &[f64],
) -> Result<WeightedIndex<f64>, Error> {
    WeightedIndex::new(weights).map_err(|e| Error::Parameter {
        family,
        field,
        value: format!("{weights:?} ({e})"),
        remedy: "give weights that are finite, not negative and not all zero".into(),
    })
}

/// An error unless `ok`.
pub(crate) fn ensure(
    ok: bool,
    family: &'static str,
    field: &'static str,
    value: impl std::fmt::Debug,
    remedy: &str,
) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    Err(Error::Parameter { family, field, value: format!("{value:?}"), remedy: remedy.to_owned() })
}

/// An error unless `fraction` can be held out.
pub(crate) fn ensure_held_out(family: &'static str, fraction: f64) -> Result<(), Error> {
    ensure((0.0..=0.5).contains(&fraction), family, "held_out", fraction, "write a share from 0 to 0.5, such as 0.125")
}
