//! Python's `random.Random(seed).sample`, number for number: the few-shot draws of lm-evaluation-harness.

use crate::mersenne_twister::MersenneTwister;

/// The Mersenne Twister, seeded and read as CPython's `random.Random` does.
#[derive(Clone, Debug)]
pub(crate) struct PythonRandom(MersenneTwister);

impl PythonRandom {
    /// `random.Random(seed)` for an integer: its 32-bit words, lowest first, go through `init_by_array`.
    pub(crate) fn new(seed: u64) -> Self {
        let words = [seed as u32, (seed >> 32) as u32];
        Self(MersenneTwister::from_array(&words[..if words[1] == 0 { 1 } else { 2 }]))
    }

    /// A number below `n` (1 to 2^32 - 1), by `_randbelow_with_getrandbits`.
    fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let drawn = (self.0.next_u32() >> (32 - bits)) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// The places that `sample(range(n), k)` gives, in its order.
    ///
    /// # Panics
    /// If `k` is more than `n`, or `n` does not fit 32 bits.
    pub(crate) fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        assert!(k <= n && n <= u32::MAX as usize, "{k} of {n}");
        if n <= list_is_smaller(k) {
            let mut pool: Vec<usize> = (0..n).collect();
            let draw = |i| {
                let j = self.below(n - i);
                let drawn = pool[j];
                pool[j] = pool[n - i - 1];
                drawn
            };
            return (0..k).map(draw).collect();
        }
        let mut drawn: Vec<usize> = Vec::with_capacity(k);
        let mut seen = std::collections::HashSet::with_capacity(k);
        while drawn.len() < k {
            let j = self.below(n);
            if seen.insert(j) {
                drawn.push(j);
            }
        }
        drawn
    }
}

/// Up to which population CPython draws from a list instead of remembering a set of what was drawn: 21, and for more
/// than 5 draws 21 and the first power of 4 that is not below three times as many.
fn list_is_smaller(k: usize) -> usize {
    let powers = std::iter::successors(Some(4_usize), |power| power.checked_mul(4));
    let above = |k: usize| powers.into_iter().find(|&power| power >= k.saturating_mul(3)).unwrap_or(usize::MAX);
    if k > 5 { above(k).saturating_add(21) } else { 21 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython 3.11 gives.
    #[test]
    fn as_in_python() {
        let words = |seed, expect: [u32; 3]| {
            let mut random = PythonRandom::new(seed);
            assert_eq!([(); 3].map(|()| random.0.next_u32()), expect, "seed {seed}");
        };
        words(0, [3_626_764_237, 1_654_615_998, 3_255_389_356]);
        words(1234, [4_150_886_329, 3_342_196_574, 1_892_932_127]);
        words((1 << 40) + 7, [2_635_837_658, 3_209_733_218, 3_500_038_837]);
        let mut random = PythonRandom::new(1234);
        assert_eq!(random.sample(10, 3), [7, 1, 0]);
        assert_eq!(random.sample(100, 5), [11, 74, 4, 85, 88]);
        assert_eq!(random.sample(1000, 6), [85, 100, 784, 363, 242, 17]);
        assert_eq!(random.sample(86, 6), [3, 2, 44, 82, 79, 61]);
        assert_eq!(random.sample(30, 30)[..8], [19, 14, 4, 2, 5, 22, 3, 0]);
        assert_eq!(random.sample(100_000, 64)[61..], [16_236, 24_329, 54_568]);
    }
}
