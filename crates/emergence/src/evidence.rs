//! The log-likelihood of a mean at each size, tabulated so that a curve costs one look-up for each size.

use crate::Kind;
use crate::sample::Sample;
use crate::spread::{Seen, UNIFORM, learnt, moderated, most, room};
use rand::Rng;
use rand_distr::{Distribution, Normal};
use saltus_stats::beta_binomial;

/// Proportions are tabulated over logit(mu) from -EDGE to EDGE, in steps of STEP, and interpolated by cubics.
const EDGE: f64 = 9.2;
const STEP: f64 = 0.2;

/// Means are kept this far from 0 and 1 in a proportion's likelihood.
const MARGIN: f64 = 1e-4;

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
    tables: Vec<Table>,
    /// The highest log-likelihood of each size.
    highest: Vec<f64>,
}

enum Table {
    /// Log-likelihood at the nodes of logit(mu).
    Counts(Vec<f64>),
    /// A quadratic: inverse variance of the mean, and the constant.
    Means { precision: f64, constant: f64 },
}

/// The measured outcome of a sample.
pub(crate) fn measured(sample: &Sample) -> Outcome {
    sample.sizes.iter().map(|s| s.models.iter().map(|m| (m.mean, m.items)).collect()).collect()
}

/// Draws an outcome of the sample's design whose true means are `curve`, with the seeds' spread pooled over all sizes.
pub(crate) fn draw(sample: &Sample, curve: &[f64], rng: &mut impl Rng) -> Outcome {
    let spread = pooled(sample);
    let sizes = sample.sizes.iter().enumerate();
    sizes
        .map(|(j, s)| {
            s.models.iter().map(|m| (of_model(sample, j, (curve[j], spread), m.items, rng), m.items)).collect()
        })
        .collect()
}

/// Draws the score of one more model of true mean `mu`, measured as those of size `j` were.
pub(crate) fn draw_one(sample: &Sample, j: usize, mu: f64, rng: &mut impl Rng) -> f64 {
    of_model(sample, j, (mu, pooled(sample)), sample.sizes[j].models[0].items, rng)
}

fn pooled(sample: &Sample) -> f64 {
    if sample.kind == Kind::Unbounded { sample.pooled_spread() } else { sample.pooled_spread().min(UNIFORM) }
}

fn of_model(sample: &Sample, j: usize, (mu, spread): (f64, f64), items: u32, rng: &mut impl Rng) -> f64 {
    let seen = &sample.sizes[j].seen;
    if let Kind::Proportion { .. } = sample.kind {
        let mu = mu.clamp(MARGIN, 1.0 - MARGIN);
        let rho = spread * learnt(sample.kind, mu);
        return f64::from(beta_binomial::draw(rng, items, mu, rho)) / f64::from(items);
    }
    let sd = Seen { room: room(sample.kind, mu), ..*seen }.model_variance(spread).sqrt();
    Normal::new(mu, sd).map_or(mu, |n| n.sample(rng))
}

impl Evidence {
    /// Tabulates an outcome; the seeds' spread is estimated from it.
    pub(crate) fn new(sample: &Sample, outcome: &Outcome) -> Evidence {
        let counts = matches!(sample.kind, Kind::Proportion { .. });
        let see = |(models, size): (&Vec<(f64, u32)>, &crate::sample::Size)| {
            let means: Vec<f64> = models.iter().map(|m| m.0).collect();
            let seen = Seen::new(sample.kind, &means, size.seen.noise);
            // Fresh items and fresh models: the noise of a proportion follows its mean.
            let items = models.iter().map(|m| f64::from(m.1)).sum::<f64>() / means.len() as f64;
            if counts { Seen { noise: seen.mean * (1.0 - seen.mean) / items, ..seen } } else { seen }
        };
        let seen: Vec<Seen> = outcome.iter().zip(&sample.sizes).map(see).collect();
        let spread = moderated(&seen, most(sample.kind));
        let mean: Vec<f64> = seen.iter().map(|s| s.mean).collect();
        let range = mean.iter().fold(0.0f64, |r, v| r.max((v - mean[0]).abs()));
        // A spread of nothing at all would make any curve but the exact one impossible.
        let least = (1e-3 * range).powi(2).max(1e-12);
        let (mut tables, mut weight) = (Vec::new(), Vec::new());
        for (j, models) in outcome.iter().enumerate() {
            let (w, table) = if counts {
                count_table(sample.kind, models, spread[j])
            } else {
                mean_table(models, mean[j], seen[j].model_variance(spread[j]).max(least))
            };
            weight.push(w);
            tables.push(table);
        }
        let models = outcome.iter().map(Vec::len).sum();
        let mut evidence = Evidence { x: sample.xs(), mean, weight, models, tables, highest: Vec::new() };
        let highest = |j: usize| evidence.tables[j].highest(evidence.log_likelihood(j, evidence.mean[j]));
        evidence.highest = (0..evidence.x.len()).map(highest).collect();
        evidence
    }

    /// Log-likelihood of the mean `mu` at size `j`.
    pub(crate) fn log_likelihood(&self, j: usize, mu: f64) -> f64 {
        match &self.tables[j] {
            Table::Means { precision, constant } => constant - 0.5 * precision * (mu - self.mean[j]).powi(2),
            Table::Counts(nodes) => {
                let mu = mu.clamp(MARGIN, 1.0 - MARGIN);
                let place = ((mu / (1.0 - mu)).ln() + EDGE) / STEP;
                cubic(nodes, place.clamp(0.0, (nodes.len() - 1) as f64))
            }
        }
    }

    /// Log-likelihood of a curve given by its mean at each size.
    pub(crate) fn of_curve(&self, mean_at: impl Fn(f64) -> f64) -> f64 {
        self.x.iter().enumerate().map(|(j, &x)| self.log_likelihood(j, mean_at(x))).sum()
    }

    /// Log-likelihood with a free mean at every size: no curve can do better.
    pub(crate) fn saturated(&self) -> f64 {
        self.highest.iter().sum()
    }

    /// Log-likelihood of the means at the sizes, or `None` as soon as it cannot reach `least`.
    pub(crate) fn of_means_if(&self, means: impl Iterator<Item = f64>, least: f64) -> Option<f64> {
        let mut bound = self.saturated();
        for (j, mean) in means.enumerate() {
            bound += self.log_likelihood(j, mean) - self.highest[j];
            if bound < least {
                return None;
            }
        }
        Some(bound)
    }
}

impl Table {
    /// The highest value, `at_mean` being the one at the measured mean: the beta-binomial's maximum is close to it but
    /// not at it.
    fn highest(&self, at_mean: f64) -> f64 {
        match self {
            Table::Means { constant, .. } => *constant,
            Table::Counts(nodes) => nodes.iter().fold(at_mean, |a, &b| a.max(b)),
        }
    }
}

fn mean_table(models: &[(f64, u32)], mean: f64, variance: f64) -> (f64, Table) {
    let squares: f64 = models.iter().map(|m| (m.0 - mean).powi(2)).sum();
    let precision = models.len() as f64 / variance;
    (precision, Table::Means { precision, constant: -0.5 * squares / variance })
}

fn count_table(kind: Kind, models: &[(f64, u32)], spread: f64) -> (f64, Table) {
    let counts: Vec<(u32, u32)> = models.iter().map(|&(m, n)| ((m * f64::from(n)).round() as u32, n)).collect();
    let node = |i: usize| {
        let mu = 1.0 / (1.0 + (EDGE - i as f64 * STEP).exp());
        let rho = spread * learnt(kind, mu);
        beta_binomial::log_likelihood(&counts, mu, rho)
    };
    let nodes = (2.0 * EDGE / STEP).round() as usize + 1;
    let weight = |&(k, n): &(u32, u32)| {
        let n = f64::from(n);
        let mu = (f64::from(k) + 0.5) / (n + 1.0);
        let rho = spread * learnt(kind, mu);
        1.0 / (mu * (1.0 - mu) * (rho + (1.0 - rho) / n))
    };
    (counts.iter().map(weight).sum(), Table::Counts((0..nodes).map(node).collect()))
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
