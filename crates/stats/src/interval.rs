//! Intervals: a value with its bounds, and Wilson's interval for a proportion.

/// A value with a two-sided interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Point estimate.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// Whether `x` lies within the bounds, both included.
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}

/// Wilson's score interval (1927) for a proportion `p` seen in `n` trials, at the critical value `z` (1.96 for 95%).
///
/// `n` need not be whole: an effective number of trials carries overdispersion. `z` may be a t quantile when the spread
/// was itself estimated. 0 of 100 is [0, .037], not zero.
///
/// # Panics
/// If `p` is outside [0, 1] or `n` is not positive.
pub fn wilson(p: f64, n: f64, z: f64) -> Interval {
    assert!((0.0..=1.0).contains(&p) && n > 0.0, "a proportion in [0, 1] of n > 0 trials, not {p} of {n}");
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // The clamps keep rounding from pushing a bound past the estimate at p = 0 and p = 1.
    Interval { value: p, low: (centre - half).clamp(0.0, p), high: (centre + half).clamp(p, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(successes: f64, trials: f64, low: f64, high: f64) {
        let found = wilson(successes / trials, trials, 1.959_964);
        assert!((found.low - low).abs() < 5e-4 && (found.high - high).abs() < 5e-4, "{found:?}");
    }

    #[test]
    fn wilson_gives_the_published_intervals() {
        check(0.0, 100.0, 0.0, 0.037);
        check(58.0, 100.0, 0.4821, 0.672); // 48-67%: the survey's 58 of 100 samples
        check(100.0, 100.0, 0.963, 1.0);
    }

    proptest! {
        #[test]
        fn wilson_contains_the_estimate_and_narrows(p in 0.0..=1.0f64, n in 1.0..1e4f64) {
            let (wide, narrow) = (wilson(p, n, 1.96), wilson(p, 2.0 * n, 1.96));
            prop_assert!(wide.contains(p) && 0.0 <= wide.low && wide.high <= 1.0);
            prop_assert!(narrow.high - narrow.low < wide.high - wide.low);
            let mirrored = wilson(1.0 - p, n, 1.96);
            prop_assert!((mirrored.low - (1.0 - wide.high)).abs() < 1e-12);
        }
    }
}
