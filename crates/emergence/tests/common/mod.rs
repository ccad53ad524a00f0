//! Shared by the tests: abilities made from means, and simulated ones.
#![allow(dead_code, reason = "each test file uses its own part")]

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use saltus_emergence::{Ability, Analysis, Kind, Measurement, Scores};
use saltus_random::Key;

/// Non-embedding parameters of the pocket ladder.
pub(crate) const PARAMS: [f64; 8] = [1.7e3, 3.5e3, 5.9e3, 14e3, 25e3, 55e3, 97e3, 146e3];

pub(crate) fn analysis() -> Analysis {
    Analysis { key: Key::new(7), resamples: 199, delta: 0.05, alpha: 0.05 }
}

fn build(kind: Kind, higher: bool, means: &[&[f64]], scores: impl Fn(usize, usize, f64) -> Vec<f64>) -> Ability {
    let mut measurements = Vec::new();
    for (j, seeds) in means.iter().enumerate() {
        for (r, &m) in seeds.iter().enumerate() {
            measurements.push(Measurement { scale: PARAMS[j], seed: r as u64, scores: Scores::Items(scores(j, r, m)) });
        }
    }
    Ability::over_params(kind, higher, measurements)
}

/// Right and wrong items with the given means by size and seed, which items being right differing by model.
pub(crate) fn proportion(chance: f64, n: usize, means: &[&[f64]]) -> Ability {
    build(Kind::Proportion { chance }, true, means, |j, r, m| {
        let right = (m * n as f64).round() as usize;
        let order = shuffled(n, (j * 31 + r) as u64);
        let mut scores = vec![0.0; n];
        order[..right].iter().for_each(|&i| scores[i] = 1.0);
        scores
    })
}

pub(crate) fn bounded(chance: f64, n: usize, means: &[&[f64]]) -> Ability {
    build(Kind::Bounded { chance }, true, means, |j, r, m| {
        let order = shuffled(4 * n, (j * 31 + r) as u64);
        let right = (m * 4.0 * n as f64).round() as usize;
        let mut scores = vec![0.0; n];
        order[..right].iter().for_each(|&i| scores[i / 4] += 0.25);
        scores
    })
}

pub(crate) fn unbounded(higher: bool, n: usize, sd: f64, means: &[&[f64]]) -> Ability {
    build(Kind::Unbounded, higher, means, |j, r, m| {
        let order = shuffled(n, (j * 31 + r) as u64);
        let mut scores = vec![m; n];
        for (rank, &i) in order.iter().enumerate() {
            scores[i] += sd * 1.73 * (2.0 * rank as f64 / (n - 1) as f64 - 1.0);
        }
        scores
    })
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut rng = Key::new(99).index(seed).rng();
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}

/// A known truth to draw ladders from.
pub(crate) struct Truth {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Standard deviation of a seed's luck, in units of ln(scale): a lucky model does as well as a larger one.
    pub(crate) luck: f64,
    /// Spread of seeds beyond that: overdispersion for scores within [0, 1], standard deviation else.
    pub(crate) rho: f64,
    pub(crate) items: usize,
    /// Mean performance at a scale.
    pub(crate) mean: fn(f64) -> f64,
}

/// A truth for a metric of right and wrong items; `spread` is (luck, rho).
pub(crate) fn proportion_truth(name: &'static str, chance: f64, spread: (f64, f64), mean: fn(f64) -> f64) -> Truth {
    Truth { name, kind: Kind::Proportion { chance }, luck: spread.0, rho: spread.1, items: 200, mean }
}

/// A ladder of 8 sizes x 3 seeds.
pub(crate) fn simulate(truth: &Truth, trial: u64) -> Ability {
    let mut rng = Key::new(2026).child(truth.name).index(trial).rng();
    let mut measurements = Vec::new();
    for scale in PARAMS {
        for seed in 0..3 {
            let z: f64 = StandardNormal.sample(&mut rng);
            let mu = (truth.mean)(scale * (truth.luck * z).exp());
            let scores = match truth.kind {
                Kind::Unbounded => {
                    let own: f64 = StandardNormal.sample(&mut rng);
                    let noise = |_| {
                        mu + truth.rho * own + {
                            let e: f64 = StandardNormal.sample(&mut rng);
                            e
                        }
                    };
                    (0..truth.items).map(noise).collect()
                }
                Kind::Bounded { .. } => {
                    let rate = saltus_stats::beta_binomial::draw_rate(&mut rng, mu, truth.rho);
                    (0..truth.items).map(|_| (0..4).filter(|_| rng.random_bool(rate)).count() as f64 / 4.0).collect()
                }
                Kind::Proportion { .. } => {
                    let rate = saltus_stats::beta_binomial::draw_rate(&mut rng, mu, truth.rho);
                    (0..truth.items).map(|_| f64::from(rng.random_bool(rate))).collect()
                }
            };
            measurements.push(Measurement { scale, seed, scores: Scores::Items(scores) });
        }
    }
    Ability::over_params(truth.kind, true, measurements)
}

pub(crate) fn simulation_analysis(trial: u64) -> Analysis {
    Analysis { key: Key::new(5).index(trial), resamples: 99, delta: 0.05, alpha: 0.05 }
}
