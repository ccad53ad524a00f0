//! The two shape measures of BIG-bench, for comparison with what others report; no verdict rests on them.

/// Linearity and breakthroughness (Srivastava et al. 2022, arXiv 2206.04615, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BigBench {
    /// I / sqrt(mean of squared steps): high for even growth. It grows with the number of sizes, so compare only
    /// series of the same sizes. `None` if all values are equal.
    pub linearity: Option<f64>,
    /// I / sqrt(median of squared steps): high for one sudden step. `None` if the median step is zero (most values are
    /// equal to their neighbours), where the published formula divides by zero.
    pub breakthroughness: Option<f64>,
}

/// The measures of `values` by rising scale, with I = sign(argmax - argmin) (max - min).
///
/// Ties: the first largest and the first smallest value count. `None` in both fields for fewer than two values.
pub fn big_bench(values: &[f64]) -> BigBench {
    let mut squares: Vec<f64> = values.windows(2).map(|w| (w[1] - w[0]).powi(2)).collect();
    if squares.is_empty() {
        return BigBench { linearity: None, breakthroughness: None };
    }
    let first = |better: fn(f64, f64) -> bool| {
        (0..values.len()).fold(0, |best, i| if better(values[i], values[best]) { i } else { best })
    };
    let (top, bottom) = (first(|a, b| a > b), first(|a, b| a < b));
    let improvement = (values[top] - values[bottom]) * if top >= bottom { 1.0 } else { -1.0 };
    let ratio = |square: f64| (square > 0.0).then(|| improvement / square.sqrt());
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    squares.sort_by(f64::total_cmp);
    let (low, high) = (squares[(squares.len() - 1) / 2], squares[squares.len() / 2]);
    BigBench { linearity: ratio(mean), breakthroughness: ratio(0.5 * (low + high)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], linearity: f64, breakthroughness: f64) {
        let found = big_bench(values);
        let near = |found: Option<f64>, expected: f64| found.is_some_and(|f| (f - expected).abs() < 6e-3);
        assert!(near(found.linearity, linearity) && near(found.breakthroughness, breakthroughness), "{found:?}");
    }

    #[test]
    fn the_examples_of_the_paper() {
        check(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0], 5.0, 5.0);
        check(&[0.0, 1.0, 0.0, 1.0, 0.0, 50.0], 2.23, 50.0);
        check(&[50.0, 20.0, 5.0, 20.0, 50.0], -1.90, -1.90);
    }

    #[test]
    fn the_traps_are_no_numbers() {
        let step = big_bench(&[0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(step.linearity.is_some() && step.breakthroughness.is_none());
        assert_eq!(big_bench(&[0.3; 4]), BigBench { linearity: None, breakthroughness: None });
        assert_eq!(big_bench(&[0.3]), BigBench { linearity: None, breakthroughness: None });
        // The same even growth over twice the sizes: linearity grows.
        let short: Vec<f64> = (0..5).map(f64::from).collect();
        let long: Vec<f64> = (0..9).map(|i| 0.5 * f64::from(i)).collect();
        assert!(big_bench(&long).linearity > big_bench(&short).linearity);
    }
}
