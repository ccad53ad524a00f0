//! numpy's legacy `RandomState`, draw for draw: the reference's prompts depend on its stream (numpy/random/mtrand.pyx).

const N: usize = 624;
const M: usize = 397;

/// MT19937 (Matsumoto and Nishimura 1998), seeded and drawn from as `numpy.random.RandomState` does.
#[derive(Clone)]
pub struct RandomState {
    words: Box<[u32; N]>,
    next: usize,
}

impl RandomState {
    /// `RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut words = Box::new([seed; N]);
        for i in 1..N {
            let before = words[i - 1];
            words[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        RandomState { words, next: N }
    }

    fn word(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let mut y = self.words[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for i in 0..N {
            let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % N] & 0x7fff_ffff);
            let twist = if y & 1 == 0 { 0 } else { 0x9908_b0df };
            self.words[i] = self.words[(i + M) % N] ^ (y >> 1) ^ twist;
        }
        self.next = 0;
    }

    /// A number from 0 to `most`, by rejection below the smallest mask that covers it; nothing is drawn for 0.
    pub fn up_to(&mut self, most: u32) -> u32 {
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let value = self.word() & mask;
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

    #[test]
    fn the_stream_is_that_of_the_authors() {
        // init_genrand(5489): the 10,000th output, as the C++ standard states for std::mt19937.
        let mut state = RandomState::new(5489);
        assert_eq!((0..10_000).map(|_| state.word()).last(), Some(4_123_659_995));
    }

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
