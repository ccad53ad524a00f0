//! A keyed permutation of 0..n that costs no memory: shuffles windows that are too many to list.

use rand::Rng;
use saltus_random::Key;

/// Four Feistel rounds over the smallest even number of bits that covers `n`; values outside 0..n are sent through again
/// (cycle walking; Black and Rogaway 2002).
pub(crate) struct Permutation {
    n: u64,
    half: u32,
    rounds: [u64; 4],
}

impl Permutation {
    /// A permutation of 0..`n`, `n` > 0.
    pub(crate) fn new(n: u64, key: Key) -> Self {
        let bits = u64::BITS - (n - 1).leading_zeros();
        let mut rng = key.rng();
        Permutation { n, half: bits.div_ceil(2).max(1), rounds: std::array::from_fn(|_| rng.next_u64()) }
    }

    /// Where `i` < n goes.
    pub(crate) fn apply(&self, i: u64) -> u64 {
        let mut x = self.encrypt(i);
        while x >= self.n {
            x = self.encrypt(x);
        }
        x
    }

    fn encrypt(&self, x: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (x >> self.half, x & mask);
        for key in self.rounds {
            let mut mixed = (right ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (left, right) = (right, left ^ ((mixed >> 32) & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_permutation(n in 1u64..3000, seed: u64) {
            let permutation = Permutation::new(n, Key::new(seed));
            let mut images: Vec<u64> = (0..n).map(|i| permutation.apply(i)).collect();
            images.sort_unstable();
            prop_assert!(images.into_iter().eq(0..n));
        }
    }

    #[test]
    fn leaves_little_in_place_and_depends_on_the_key() {
        let [a, b] = [1, 2].map(|seed| Permutation::new(100_000, Key::new(seed)));
        let fixed = (0..100_000).filter(|&i| a.apply(i) == i).count();
        let same = (0..100_000).filter(|&i| a.apply(i) == b.apply(i)).count();
        // A random permutation has one fixed point in the mean, and two agree in one place: Poisson(1).
        assert!(fixed < 10 && same < 10, "{fixed} {same}");
        // Neighbours are torn apart: the mean distance of two random windows is n / 3.
        let distance: u64 = (1..100_000).map(|i| a.apply(i).abs_diff(a.apply(i - 1))).sum::<u64>() / 99_999;
        assert!((32_000..35_000).contains(&distance), "{distance}");
    }
}
