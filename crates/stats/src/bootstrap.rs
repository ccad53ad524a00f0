//! Bootstrap draws with explicit keys: items jointly over all models, seeds within each model size.

use rand::RngExt;
use saltus_random::Key;

/// One bootstrap draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Resample {
    /// How often each item was drawn; the same draw holds for every model, as they all answered the same items.
    pub items: Vec<u32>,
    /// For each size, the indices of the drawn seeds.
    pub seeds: Vec<Vec<usize>>,
}

/// Draws `items` items with replacement, and independently at each size as many seeds as it has (`seeds[size]`).
///
/// With r seeds, the variance of a bootstrapped mean over seeds is (r-1)/r of what it should be: a caller that uses it
/// widens by sqrt(r/(r-1)).
pub fn resample(key: Key, items: usize, seeds: &[usize]) -> Resample {
    let mut rng = key.rng();
    let mut counts = vec![0; items];
    for _ in 0..items {
        counts[rng.random_range(0..items)] += 1;
    }
    let seeds = seeds.iter().map(|&n| (0..n).map(|_| rng.random_range(0..n)).collect()).collect();
    Resample { items: counts, seeds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mean, variance};

    #[test]
    fn draws_have_the_shape_and_the_spread_of_a_bootstrap() {
        let scores: Vec<f64> = (0..50).map(|i| f64::from(i % 2)).collect();
        let means: Vec<f64> = (0..2000)
            .map(|b| {
                let draw = resample(Key::new(1).index(b), 50, &[3, 2]);
                assert_eq!(draw.items.iter().sum::<u32>(), 50);
                assert!(draw.seeds[0].len() == 3 && draw.seeds[1].iter().all(|s| *s < 2));
                scores.iter().zip(&draw.items).map(|(s, n)| s * f64::from(*n)).sum::<f64>() / 50.0
            })
            .collect();
        assert!((mean(&means) - 0.5).abs() < 0.01);
        assert!((variance(&means) / (0.25 / 50.0) - 1.0).abs() < 0.1);
        assert_eq!(resample(Key::new(1), 9, &[3]), resample(Key::new(1), 9, &[3]));
    }
}
