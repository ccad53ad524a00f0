//! Resampling of runs, one weight for each run, stratified by size; and how far the resamples can be trusted.

use rand::RngExt;
use saltus_random::{ChaCha8Rng, Key};
use std::collections::BTreeMap;

/// Resamples of runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resampling {
    /// Runs that may stand in for one another.
    strata: Vec<Vec<usize>>,
    /// For each resample, the weight of each run.
    pub(crate) weights: Vec<Vec<f64>>,
}

impl Resampling {
    /// `resamples` resamples of runs with these sizes.
    pub(crate) fn new(sizes_of_runs: &[f64], resamples: usize, key: Key) -> Self {
        let strata = strata(sizes_of_runs);
        let draw = |i| weights(&strata, sizes_of_runs.len(), &mut key.index(i).rng());
        let weights = (0..resamples as u64).map(draw).collect();
        Resampling { strata, weights }
    }

    /// Degrees of freedom of the spread of a quantity, from its value on each resample: by Satterthwaite's formula in
    /// Welch's form (1947, doi 10.1093/biomet/34.1-2.28), from each stratum's share of its variance. A quantity that hangs
    /// on the three runs of one size has 2, one that all nine sizes determine nearly 18.
    pub(crate) fn degrees_of_freedom(&self, values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let (mut sum, mut squares, mut free) = (0.0, 0.0, 0.0);
        for stratum in self.strata.iter().filter(|stratum| stratum.len() > 1) {
            let m = stratum.len() as f64;
            // To first order a value is sum_j b_j w_j; cov(value, w_j) = b_j m / (m - 1) when the b_j of a stratum sum to
            // zero, and then the stratum's part of the variance is m / (m - 1) sum_j b_j^2.
            let covariance =
                |run: usize| self.weights.iter().zip(values).map(|(w, v)| (v - mean) * (w[run] - 1.0)).sum::<f64>() / n;
            let raw: f64 = stratum.iter().map(|&run| covariance(run).powi(2)).sum();
            // A finite number of resamples adds variance / n to the square of each covariance.
            let part = ((raw - m * variance / n) * (m - 1.0) / m).max(0.0);
            sum += part;
            squares += part * part / (m + 1.0);
            free += m - 1.0;
        }
        let fewest =
            self.strata.iter().map(|s| s.len() as f64 - 1.0).filter(|f| *f > 0.0).fold(f64::INFINITY, f64::min);
        if squares > 0.0 { (sum * sum / squares - 2.0).clamp(fewest, free) } else { free.max(1.0) }
    }
}

/// Runs of one size may stand in for one another. Sizes with a single run have no replicate of their own and
/// form one stratum together.
fn strata(sizes_of_runs: &[f64]) -> Vec<Vec<usize>> {
    let mut by_size: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (run, size) in sizes_of_runs.iter().enumerate() {
        by_size.entry(size.to_bits()).or_default().push(run);
    }
    let (single, mut strata): (Vec<_>, Vec<_>) = by_size.into_values().partition(|runs| runs.len() == 1);
    if !single.is_empty() {
        strata.push(single.concat());
    }
    strata
}

/// Weights of one resample: in a stratum of m runs, m - 1 draws with replacement, each worth m / (m - 1) (Rao & Wu 1988,
/// doi 10.1080/01621459.1988.10478591). Drawing m of m instead would make the variance (m - 1) / m times too small: a
/// third with the three seeds that a ladder can afford. A stratum of one run keeps its weight.
fn weights(strata: &[Vec<usize>], runs: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut weights = vec![0.0; runs];
    for stratum in strata {
        let m = stratum.len();
        if m == 1 {
            weights[stratum[0]] = 1.0;
        }
        for _ in 1..m {
            weights[stratum[rng.random_range(0..m)]] += m as f64 / (m - 1) as f64;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use saltus_random::Key;

    #[test]
    fn single_runs_pool_and_replicated_sizes_do_not() {
        assert_eq!(strata(&[1.0, 1.0, 2.0, 3.0, 1.0, 4.0]), vec![vec![0, 1, 4], vec![2, 3, 5]]);
    }

    /// For a mean, the variance over resamples is the unbiased s^2 / m, for 2, 3 and 8 runs alike.
    #[test]
    fn resampled_means_vary_as_means_do() {
        for m in [2usize, 3, 8] {
            let values: Vec<f64> = (0..m).map(|i| ((i * i) as f64).sin()).collect();
            let mean = values.iter().sum::<f64>() / m as f64;
            let expected = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / ((m - 1) * m) as f64;
            let strata = [(0..m).collect::<Vec<_>>()];
            let draws = 20_000u64;
            let variance = (0..draws)
                .map(|i| {
                    let w = weights(&strata, m, &mut Key::new(1).index(i).rng());
                    (w.iter().zip(&values).map(|(w, v)| w * v).sum::<f64>() / m as f64 - mean).powi(2)
                })
                .sum::<f64>()
                / draws as f64;
            assert!((variance / expected - 1.0).abs() < 0.05, "{m} runs: {variance} against {expected}");
        }
    }

    /// A quantity of one size has that size's degrees of freedom, a mean over sizes nearly all of them.
    #[test]
    fn degrees_of_freedom_follow_what_a_quantity_hangs_on() {
        let sizes: Vec<f64> = (0..27).map(|run| f64::from(run / 3)).collect();
        let resampling = Resampling::new(&sizes, 2000, Key::new(1));
        let noise = |run: usize| ((run * run) as f64 * 1.7).sin();
        let quantity = |used: fn(usize) -> bool| {
            let runs: Vec<usize> = (0..27).filter(|run| used(*run)).collect();
            let value = |w: &Vec<f64>| runs.iter().map(|&run| w[run] * noise(run)).sum::<f64>();
            resampling.degrees_of_freedom(&resampling.weights.iter().map(value).collect::<Vec<_>>())
        };
        let (one, all) = (quantity(|run| run < 3), quantity(|_| true));
        assert!((2.0..2.3).contains(&one) && (9.0..=18.0).contains(&all), "{one} {all}");
    }
}
