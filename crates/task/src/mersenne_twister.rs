//! The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998): the words that numpy and CPython draw from.

const N: usize = 624;
const M: usize = 397;

/// The generator's state.
#[derive(Clone, Debug)]
pub(crate) struct MersenneTwister {
    words: Box<[u32; N]>,
    next: usize,
}

impl MersenneTwister {
    /// `init_genrand`.
    pub(crate) fn from_number(seed: u32) -> Self {
        let mut words = Box::new([seed; N]);
        for i in 1..N {
            let before = words[i - 1];
            words[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { words, next: N }
    }

    /// `init_by_array`; `key` is not empty.
    pub(crate) fn from_array(key: &[u32]) -> Self {
        let mut twister = Self::from_number(19_650_218);
        let words = &mut twister.words;
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let mixed = (words[i - 1] ^ (words[i - 1] >> 30)).wrapping_mul(1_664_525);
            words[i] = (words[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
            j = (j + 1) % key.len();
            i += 1;
            if i == N {
                words[0] = words[N - 1];
                i = 1;
            }
        }
        for _ in 1..N {
            let mixed = (words[i - 1] ^ (words[i - 1] >> 30)).wrapping_mul(1_566_083_941);
            words[i] = (words[i] ^ mixed).wrapping_sub(i as u32);
            i += 1;
            if i == N {
                words[0] = words[N - 1];
                i = 1;
            }
        }
        words[0] = 1 << 31;
        twister
    }

    /// `genrand_int32`.
    pub(crate) fn next_u32(&mut self) -> u32 {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_authors() {
        let mut twister = MersenneTwister::from_number(5489);
        let words: Vec<u32> = (0..10_000).map(|_| twister.next_u32()).collect();
        // The 10,000th output, as the C++ standard states for std::mt19937.
        assert_eq!(words.last(), Some(&4_123_659_995));
        // The authors' mt19937ar.out.
        let mut twister = MersenneTwister::from_array(&[0x123, 0x234, 0x345, 0x456]);
        assert_eq!([(); 3].map(|()| twister.next_u32()), [1_067_595_299, 955_945_823, 477_289_528]);
    }
}
