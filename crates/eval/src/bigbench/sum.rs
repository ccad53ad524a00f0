//! Sums as numpy makes them, so that ties that hang on the last bit fall as they do there.

/// `numpy.sum` of a contiguous array: pairwise, with eight running sums in blocks of at most 128 (`pairwise_sum` in
/// numpy/_core/src/umath/loops_utils.h.src).
pub(super) fn pairwise(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 8 {
        return values.iter().fold(0.0, |sum, x| sum + x);
    }
    if n <= 128 {
        let mut r = [0.0; 8];
        r.copy_from_slice(&values[..8]);
        let mut blocks = values[8..].chunks_exact(8);
        for block in &mut blocks {
            r.iter_mut().zip(block).for_each(|(r, x)| *r += x);
        }
        let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
        return blocks.remainder().iter().fold(sum, |sum, x| sum + x);
    }
    let half = n / 2 - n / 2 % 8;
    pairwise(&values[..half]) + pairwise(&values[half..])
}

/// `numpy.mean`.
pub(super) fn mean(values: &[f64]) -> f64 {
    pairwise(values) / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_every_length_are_whole() {
        for n in [0, 1, 7, 8, 9, 127, 128, 129, 1000, 4097] {
            let values: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(pairwise(&values), f64::from(n) * f64::from(n - 1) / 2.0, "{n}");
        }
        // The order matters: one after the other gives 0.
        let mut values = vec![0.0; 16];
        (values[0], values[1], values[8]) = (1e16, 1.0, -1e16);
        assert_eq!(pairwise(&values), 1.0);
    }
}
