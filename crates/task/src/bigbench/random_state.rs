//! numpy's legacy `RandomState`, draw for draw: the reference's prompts depend on its stream (numpy/random/mtrand.pyx).

use crate::mersenne_twister::MersenneTwister;

/// The Mersenne Twister, seeded and drawn from as `numpy.random.RandomState` does.
#[derive(Clone)]
pub struct RandomState(MersenneTwister);

impl RandomState {
    /// `RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        RandomState(MersenneTwister::from_number(seed))
    }

    /// A number from 0 to `most`, by rejection below the smallest mask that covers it; nothing is drawn for 0.
    pub fn up_to(&mut self, most: u32) -> u32 {
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let value = self.0.next_u32() & mask;
            if value <= most {
                return value;
            }
        }
    }

    /// `shuffle`: Fisher and Yates from the end. Lists have fewer than 2^32 elements here.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            let j = self.up_to(i as u32) as usize;
            values.swap(i, j);
        }
    }

    /// `permutation(n)`.
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut values: Vec<u32> = (0..n as u32).collect();
        self.shuffle(&mut values);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What numpy says.
    #[test]
    fn permutations_are_numpys() {
        let check = |n, expect: &[u32]| assert_eq!(RandomState::new(42).permutation(n), expect);
        check(0, &[]);
        check(1, &[0]);
        check(2, &[1, 0]);
        check(3, &[0, 1, 2]);
        check(4, &[1, 3, 0, 2]);
        check(10, &[8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
    }
}
