//! Simulated scores with a known truth, and how often an interval covers it or a test rejects it.
#![allow(unreachable_pub)]

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use saltus_random::Key;
use saltus_stats::{Paired, beta_binomial, minimum_detectable_effect, paired, score_interval};

/// The level that everything here is asked for.
pub const LEVEL: f64 = 0.95;

/// Ends of a proportion.
pub const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));

/// How items hang together: `size` of them in each cluster, alike by the intra-cluster correlation `rho`.
#[derive(Clone, Copy, Debug)]
pub struct Clustering {
    pub size: usize,
    pub rho: f64,
}

/// The five of the tables.
pub const CLUSTERINGS: [Clustering; 5] = [
    Clustering { size: 1, rho: 0.0 },
    Clustering { size: 5, rho: 0.0 },
    Clustering { size: 5, rho: 0.3 },
    Clustering { size: 20, rho: 0.0 },
    Clustering { size: 20, rho: 0.3 },
];

impl Clustering {
    pub fn labels(self, n: usize) -> Option<Vec<u32>> {
        (self.size > 1).then(|| (0..n).map(|i| (i / self.size) as u32).collect())
    }

    /// One chance of success for each of `n` items, equal within a cluster, of mean `p`.
    fn rates(self, rng: &mut impl Rng, n: usize, p: f64) -> Vec<f64> {
        let mut rates = Vec::with_capacity(n);
        while rates.len() < n {
            let rate = beta_binomial::draw_rate(rng, p, self.rho);
            rates.extend(std::iter::repeat_n(rate, self.size.min(n - rates.len())));
        }
        rates
    }
}

fn toss(rng: &mut impl Rng, p: f64) -> f64 {
    f64::from(rng.random::<f64>() < p)
}

/// Share of `trials` samples of `n` right-or-wrong scores of mean `p` whose interval holds `p`; `None` if such samples
/// have no interval.
pub fn coverage(p: f64, n: usize, clustering: Clustering, trials: u64) -> Option<f64> {
    covered(p, n, clustering, clustering.labels(n).as_deref(), trials)
}

/// The same for intervals that know nothing of the clusters.
pub fn naive_coverage(p: f64, n: usize, clustering: Clustering, trials: u64) -> Option<f64> {
    covered(p, n, clustering, None, trials)
}

fn covered(p: f64, n: usize, clustering: Clustering, labels: Option<&[u32]>, trials: u64) -> Option<f64> {
    let key = Key::new(41).child("coverage").index(n as u64).index(clustering.size as u64);
    let mut held = 0u64;
    for t in 0..trials {
        let mut rng = key.index(t).rng();
        let scores: Vec<f64> = clustering.rates(&mut rng, n, p).into_iter().map(|r| toss(&mut rng, r)).collect();
        held += u64::from(score_interval(&scores, labels, UNIT, LEVEL)?.contains(p));
    }
    Some(held as f64 / trials as f64)
}

/// How two models answer: the second is right where the first is wrong, or wrong where it is right, with the chance
/// `differ`; of these it is right on the share `better`.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub differ: f64,
    pub better: f64,
}

impl Truth {
    /// The mean difference.
    pub fn effect(self) -> f64 {
        self.differ * (2.0 * self.better - 1.0)
    }
}

/// One comparison of two models on `n` items. Within a cluster they differ on like items, to the same side.
pub fn compare(
    rng: &mut impl Rng,
    truth: Truth,
    n: usize,
    clustering: Clustering,
    labels: Option<&[u32]>,
) -> Option<Paired> {
    let differ = clustering.rates(rng, n, truth.differ);
    let better = clustering.rates(rng, n, truth.better);
    let (a, b): (Vec<f64>, Vec<f64>) = differ
        .into_iter()
        .zip(better)
        .map(|(differ, better)| {
            if toss(rng, differ) == 0.0 {
                let both = toss(rng, 0.5);
                (both, both)
            } else {
                let b = toss(rng, better);
                (1.0 - b, b)
            }
        })
        .unzip();
    paired(&a, &b, labels, UNIT, LEVEL)
}

/// Over `trials` comparisons: (share rejected at 1 - [`LEVEL`], share of intervals that hold the true difference);
/// `None` if such samples cannot be compared.
pub fn rejections(truth: Truth, n: usize, clustering: Clustering, trials: u64) -> Option<(f64, f64)> {
    let labels = clustering.labels(n);
    let key = Key::new(42).child("paired").index(n as u64).index(clustering.size as u64);
    let (mut rejected, mut held) = (0u64, 0u64);
    for t in 0..trials {
        let found = compare(&mut key.index(t).rng(), truth, n, clustering, labels.as_deref())?;
        rejected += u64::from(found.p_value < 1.0 - LEVEL);
        held += u64::from(found.difference.contains(truth.effect()));
    }
    Some((rejected as f64 / trials as f64, held as f64 / trials as f64))
}

/// Share of `trials` samples of grades whose interval holds their mean: a share `some` of the items has a grade spread
/// evenly over (0, 1), the others have 0.
pub fn grades_coverage(some: f64, n: usize, range: Option<(f64, f64)>, trials: u64) -> f64 {
    let key = Key::new(43).child("grades").index(n as u64);
    let held = (0..trials).filter(|&t| {
        let mut rng = key.index(t).rng();
        let grades: Vec<f64> = (0..n).map(|_| toss(&mut rng, some) * rng.random::<f64>()).collect();
        score_interval(&grades, None, range, LEVEL).is_some_and(|found| found.contains(some / 2.0))
    });
    held.count() as f64 / trials as f64
}

/// Share of `trials` samples of unbounded scores, in clusters of the given sizes with intra-cluster correlation `rho`,
/// whose interval holds their mean, zero.
pub fn unequal_coverage(sizes: &[usize], rho: f64, trials: u64) -> f64 {
    let labels: Vec<u32> = sizes.iter().zip(0..).flat_map(|(&m, label)| std::iter::repeat_n(label, m)).collect();
    let key = Key::new(44).child("unequal").index(sizes.len() as u64);
    let held = (0..trials).filter(|&t| {
        let mut rng = key.index(t).rng();
        let shared: Vec<f64> = sizes.iter().map(|_| StandardNormal.sample(&mut rng)).collect();
        let own = |label: &u32| -> f64 {
            let noise: f64 = StandardNormal.sample(&mut rng);
            rho.sqrt() * shared[*label as usize] + (1.0 - rho).sqrt() * noise
        };
        let scores: Vec<f64> = labels.iter().map(own).collect();
        score_interval(&scores, Some(&labels), None, LEVEL).is_some_and(|found| found.contains(0.0))
    });
    held.count() as f64 / trials as f64
}

/// Power of the comparison where the true difference is the effect that comparisons of equal models, on average over
/// `trials`, call detectable with probability .8: (that effect, the share of `trials` that find it).
pub fn power_at_the_detectable(differ: f64, n: usize, clustering: Clustering, trials: u64) -> (f64, f64) {
    let labels = clustering.labels(n);
    let key = Key::new(45).child("power").index(n as u64);
    let effects = (0..trials).map(|t| {
        let equal = Truth { differ, better: 0.5 };
        compare(&mut key.index(t).rng(), equal, n, clustering, labels.as_deref())
            .map_or(f64::NAN, |found| minimum_detectable_effect(found.se, LEVEL, 0.8))
    });
    let effect = effects.sum::<f64>() / trials as f64;
    let truth = Truth { differ, better: 0.5 + effect / (2.0 * differ) };
    (effect, rejections(truth, n, clustering, trials).map_or(f64::NAN, |r| r.0))
}
