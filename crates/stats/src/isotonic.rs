//! Isotonic regression by pooling adjacent violators.

/// The non-decreasing sequence closest to `y` in weighted squares (pool adjacent violators; also the maximum-likelihood
/// fit for any one-parameter exponential family, so for proportions weighted by trials).
///
/// # Panics
/// If the lengths differ.
pub fn isotonic(y: &[f64], weights: &[f64]) -> Vec<f64> {
    assert_eq!(y.len(), weights.len(), "one weight for each value");
    // Blocks of (mean, weight, length).
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(y.len());
    for (&value, &weight) in y.iter().zip(weights) {
        let mut block = (value, weight, 1);
        while let Some(&(mean, total, length)) = blocks.last() {
            if mean <= block.0 {
                break;
            }
            blocks.pop();
            let sum = total + block.1;
            block = ((mean * total + block.0 * block.1) / sum, sum, length + block.2);
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(mean, _, length)| std::iter::repeat_n(mean, length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn violators_are_pooled() {
        assert_eq!(isotonic(&[1.0, 3.0, 2.0, 4.0], &[1.0; 4]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(isotonic(&[3.0, 0.0], &[1.0, 2.0]), [1.0, 1.0]);
        assert_eq!(isotonic(&[], &[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn the_fit_rises_keeps_the_mean_and_is_idempotent(y in prop::collection::vec(-5.0..5.0f64, 1..20)) {
            let weights: Vec<f64> = (0..y.len()).map(|i| 1.0 + (i % 3) as f64).collect();
            let fit = isotonic(&y, &weights);
            prop_assert!(fit.windows(2).all(|w| w[0] <= w[1]));
            let total = |v: &[f64]| v.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>();
            prop_assert!((total(&y) - total(&fit)).abs() < 1e-9);
            let again = isotonic(&fit, &weights);
            prop_assert!(fit.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
}
