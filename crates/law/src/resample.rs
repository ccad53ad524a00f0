//! Resampling of runs: one weight for each run, stratified by size.

use rand::RngExt;
use saltus_random::ChaCha8Rng;
use std::collections::BTreeMap;

/// Runs that may stand in for one another: those of one size. Sizes with a single run have no replicate of their own and
/// form one stratum together.
pub(crate) fn strata(sizes_of_runs: &[f64]) -> Vec<Vec<usize>> {
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
pub(crate) fn weights(strata: &[Vec<usize>], runs: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
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
}
