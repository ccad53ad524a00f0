//! The log-likelihood of a mean at each size, tabulated so that a curve costs one look-up for each size.

use crate::Kind;
use crate::sample::Sample;
use rand::Rng;
use rand_distr::{Distribution, Normal};
use saltus_stats::beta_binomial::{self, Kernel};

/// Proportions are tabulated over logit(mu) from -EDGE to EDGE, in steps of STEP, and interpolated by cubics.
const EDGE: f64 = 9.2;
const STEP: f64 = 0.1;

/// The likelihood of an ability's kind: what does not change from one resample to the next.
pub(crate) enum Likelihood {
    /// Beta-binomial counts: for each node of the table, the kernel at that mean and its overdispersion.
    Counts(Vec<Kernel>),
    /// Normal means: for each size, the variance of one model's mean.
    Means(Vec<f64>),
}

/// What was measured, or drawn: for each size, each model's (mean, items).
pub(crate) type Outcome = Vec<Vec<(f64, u32)>>;

/// The log-likelihood of each size as a function of its mean.
pub(crate) struct Evidence {
    /// ln(scale) of each size.
    pub(crate) x: Vec<f64>,
    /// Mean of each size.
    pub(crate) mean: Vec<f64>,
    /// Inverse variance of that mean, for starting values.
    pub(crate) weight: Vec<f64>,
    /// Models over all sizes.
    pub(crate) models: usize,
    tables: Tables,
}

enum Tables {
    Counts(Vec<Vec<f64>>),
    /// (mean, inverse variance of the mean, constant of the quadratic).
    Means(Vec<(f64, f64, f64)>),
}

/// Means are kept this far from 0 and 1 in a proportion's likelihood.
pub(crate) const MARGIN: f64 = 1e-4;

impl Likelihood {
    /// The likelihood of a sample, with the spread over seeds estimated from it.
    pub(crate) fn new(sample: &Sample) -> Likelihood {
        if let Kind::Proportion { .. } = sample.kind {
            let limit = sample.sizes.iter().flat_map(|s| &s.models).map(|m| m.items).max().unwrap_or(0);
            let node = |i: usize| {
                let mu = 1.0 / (1.0 + (EDGE - i as f64 * STEP).exp());
                Kernel::new(mu, sample.rho(mu), limit)
            };
            let nodes = (2.0 * EDGE / STEP).round() as usize + 1;
            return Likelihood::Counts((0..nodes).map(node).collect());
        }
        let values: Vec<f64> = sample.sizes.iter().map(|s| s.mean).collect();
        let range = values.iter().fold(0.0f64, |r, v| r.max((v - values[0]).abs()));
        // A spread of nothing at all would make any curve but the exact one impossible.
        let least = (1e-3 * range).powi(2).max(1e-12);
        Likelihood::Means(sample.sizes.iter().map(|s| sample.model_variance(s).max(least)).collect())
    }

    /// Tabulates an outcome.
    pub(crate) fn evidence(&self, sample: &Sample, outcome: &Outcome) -> Evidence {
        let mean: Vec<f64> = outcome.iter().map(|o| o.iter().map(|m| m.0).sum::<f64>() / o.len() as f64).collect();
        let (tables, weight) = match self {
            Likelihood::Counts(kernels) => {
                let counts = |o: &Vec<(f64, u32)>| -> Vec<(u32, u32)> {
                    o.iter().map(|&(mean, n)| ((mean * f64::from(n)).round() as u32, n)).collect()
                };
                let table = |o: &Vec<(f64, u32)>| {
                    let counts = counts(o);
                    kernels.iter().map(|k| counts.iter().map(|&(s, n)| k.log_likelihood(s, n)).sum()).collect()
                };
                let weight = outcome.iter().zip(&mean).map(|(o, mean)| count_weight(sample, o, *mean)).collect();
                (Tables::Counts(outcome.iter().map(table).collect()), weight)
            }
            Likelihood::Means(variances) => {
                let table = |j: usize| {
                    let (models, v) = (&outcome[j], variances[j]);
                    let spread: f64 = models.iter().map(|m| (m.0 - mean[j]).powi(2)).sum();
                    (mean[j], models.len() as f64 / v, -0.5 * spread / v)
                };
                let table: Vec<_> = (0..outcome.len()).map(table).collect();
                let weight = table.iter().map(|t| t.1).collect();
                (Tables::Means(table), weight)
            }
        };
        Evidence { x: sample.xs(), mean, weight, models: outcome.iter().map(Vec::len).sum(), tables }
    }

    /// Draws an outcome of the same design whose true means are `curve`.
    pub(crate) fn draw(&self, sample: &Sample, curve: &[f64], rng: &mut impl Rng) -> Outcome {
        let mut draw_model = |j: usize, items: u32| match self {
            Likelihood::Counts(_) => {
                let mu = curve[j].clamp(MARGIN, 1.0 - MARGIN);
                f64::from(beta_binomial::draw(rng, items, mu, sample.rho(mu))) / f64::from(items)
            }
            Likelihood::Means(variances) => {
                Normal::new(curve[j], variances[j].sqrt()).map_or(curve[j], |n| n.sample(rng))
            }
        };
        let sizes = sample.sizes.iter().enumerate();
        sizes.map(|(j, s)| s.models.iter().map(|m| (draw_model(j, m.items), m.items)).collect()).collect()
    }
}

/// The measured outcome of a sample.
pub(crate) fn measured(sample: &Sample) -> Outcome {
    sample.sizes.iter().map(|s| s.models.iter().map(|m| (m.mean, m.items)).collect()).collect()
}

fn count_weight(sample: &Sample, models: &[(f64, u32)], mean: f64) -> f64 {
    models
        .iter()
        .map(|&(_, n)| {
            let n = f64::from(n);
            let mu = (mean * n + 0.5) / (n + 1.0);
            let rho = sample.rho(mu);
            1.0 / (mu * (1.0 - mu) * (rho + (1.0 - rho) / n))
        })
        .sum()
}

impl Evidence {
    /// Log-likelihood of the mean `mu` at size `j`.
    pub(crate) fn log_likelihood(&self, j: usize, mu: f64) -> f64 {
        match &self.tables {
            Tables::Means(t) => {
                let (mean, precision, constant) = t[j];
                constant - 0.5 * precision * (mu - mean).powi(2)
            }
            Tables::Counts(t) => {
                let mu = mu.clamp(MARGIN, 1.0 - MARGIN);
                let place = ((mu / (1.0 - mu)).ln() + EDGE) / STEP;
                cubic(&t[j], place.clamp(0.0, (t[j].len() - 1) as f64))
            }
        }
    }

    /// Log-likelihood of a curve given by its mean at each size.
    pub(crate) fn of_curve(&self, mean_at: impl Fn(f64) -> f64) -> f64 {
        self.x.iter().enumerate().map(|(j, &x)| self.log_likelihood(j, mean_at(x))).sum()
    }

    /// Log-likelihood with a free mean at every size: no curve can do better.
    pub(crate) fn saturated(&self) -> f64 {
        let best = |j: usize| match &self.tables {
            Tables::Means(t) => t[j].2,
            // The beta-binomial's maximum is close to the mean but not at it.
            Tables::Counts(t) => t[j].iter().fold(self.log_likelihood(j, self.mean[j]), |best, &value| best.max(value)),
        };
        (0..self.x.len()).map(best).sum()
    }
}

/// Catmull-Rom interpolation of `table` at `place` in [0, len - 1].
fn cubic(table: &[f64], place: f64) -> f64 {
    let i = (place as usize).min(table.len() - 2);
    let t = place - i as f64;
    let (p1, p2) = (table[i], table[i + 1]);
    let p0 = if i > 0 { table[i - 1] } else { 2.0 * p1 - p2 };
    let p3 = if i + 2 < table.len() { table[i + 2] } else { 2.0 * p2 - p1 };
    p1 + 0.5 * t * (p2 - p0 + t * (2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3 + t * (3.0 * (p1 - p2) + p3 - p0)))
}
