//! Laws of other forms than a sum of powers, fitted by search: Kaplan's, data-constrained, over-trained, broken.

use crate::observation::LawError;
use rand::RngExt;
use rayon::prelude::*;
use saltus_random::Key;
use saltus_stats::minimise::{Minimum, Stop, bfgs, nelder_mead};
use saltus_stats::{Interval, quantile};

/// One measured loss with what a law may depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// N, parameters; for [`Shape::Broken`] whatever the curve is over.
    pub params: f64,
    /// D, training tokens.
    pub tokens: f64,
    /// Different tokens among them; D where nothing is repeated.
    pub unique: f64,
    /// Loss, nats per token.
    pub loss: f64,
    /// Runs that share their noise are resampled together.
    pub cluster: u64,
}

/// The form of a law. All its parameters are positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// L(N) = (Nc/N)^alpha_N (arXiv 2001.08361, equation 1.1).
    KaplanSize,
    /// L(D) = (Dc/D)^alpha_D (arXiv 2001.08361, equation 1.2).
    KaplanTokens,
    /// L(N,D) = ((Nc/N)^(alpha_N/alpha_D) + Dc/D)^alpha_D (arXiv 2001.08361, equation 1.5).
    Kaplan,
    /// E + A/N'^alpha + B/D'^beta with D' = U + U R_D (1 - exp(-(D/U - 1)/R_D)) and N' likewise of the parameters beyond
    /// what U tokens are best for (arXiv 2305.16264, equations 5 and 6); alpha and beta are one exponent, as there.
    DataConstrained,
    /// E + (a M^eta + b M^-eta) C^-eta with M = D/N and C = 6 N D (arXiv 2403.08540, equation 4).
    OverTrained,
    /// a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1) (arXiv 2210.14891, equation 1, one break).
    Broken,
}

impl Shape {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::KaplanSize => "kaplan L(N)",
            Shape::KaplanTokens => "kaplan L(D)",
            Shape::Kaplan => "kaplan",
            Shape::DataConstrained => "data-constrained",
            Shape::OverTrained => "overtraining",
            Shape::Broken => "bnsl",
        }
    }

    /// Its formula in plain text.
    pub fn formula(self) -> &'static str {
        match self {
            Shape::KaplanSize => "L(N) = (Nc/N)^alpha_N",
            Shape::KaplanTokens => "L(D) = (Dc/D)^alpha_D",
            Shape::Kaplan => "L(N,D) = ((Nc/N)^(alpha_N/alpha_D) + Dc/D)^alpha_D",
            Shape::DataConstrained => {
                "L(N,D,U) = E + A / N'^alpha + B / D'^alpha, X' = U_X + U_X R_X (1 - exp(-(X/U_X - 1)/R_X))"
            }
            Shape::OverTrained => "L(C,M) = E + (a M^eta + b M^-eta) C^-eta, M = D/N",
            Shape::Broken => "y(x) = a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1)",
        }
    }

    /// The names of its parameters, in order.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Shape::KaplanSize => &["Nc", "alpha_N"],
            Shape::KaplanTokens => &["Dc", "alpha_D"],
            Shape::Kaplan => &["Nc", "alpha_N", "Dc", "alpha_D"],
            Shape::DataConstrained => &["E", "A", "B", "alpha", "R_D", "R_N"],
            Shape::OverTrained => &["E", "a", "b", "eta"],
            Shape::Broken => &["a", "b", "c0", "c1", "d1", "f1"],
        }
    }

    /// The loss that parameters `p`, by [`names`](Self::names), foretell of a run.
    pub fn loss(self, p: &[f64], run: &Run) -> f64 {
        let (n, d) = (run.params, run.tokens);
        match *p {
            [nc, alpha] if self == Shape::KaplanSize => (alpha * (nc / n).ln()).exp(),
            [dc, alpha] => (alpha * (dc / d).ln()).exp(),
            [nc, alpha_n, dc, alpha_d] if self == Shape::Kaplan => {
                ((nc / n).powf(alpha_n / alpha_d) + dc / d).powf(alpha_d)
            }
            [e, a, b, eta] => {
                let (m, c) = (d / n, 6.0 * n * d);
                e + (a * m.powf(eta) + b * m.powf(-eta)) * c.powf(-eta)
            }
            [e, a, b, alpha, r_d, r_n] if self == Shape::DataConstrained => {
                // The size that U tokens are best for: with equal exponents N = D (A/B)^(1/alpha).
                let unique = run.unique.min(d);
                let base = (unique * (a / b).powf(1.0 / alpha)).min(n);
                let effective =
                    |used: f64, unique: f64, r: f64| unique + unique * r * (1.0 - (-(used / unique - 1.0) / r).exp());
                e + a / effective(n, base, r_n).powf(alpha) + b / effective(d, unique, r_d).powf(alpha)
            }
            [a, b, c0, c1, d1, f1] => {
                // In logarithms: (x/d1)^(1/f1) overflows where the break is sharp.
                let z = (n / d1).ln() / f1;
                let softplus = if z > 30.0 { z } else { z.exp().ln_1p() };
                a + b * (-c0 * n.ln() - c1 * f1 * softplus).exp()
            }
            _ => f64::NAN,
        }
    }

    /// Fewest runs that it is fitted to: one more than it has parameters.
    pub fn needs(self) -> usize {
        self.names().len() + 1
    }

    /// Logarithms of parameters to begin from.
    fn starts(self, runs: &[Run]) -> Vec<Vec<f64>> {
        let least = runs.iter().map(|r| r.loss).fold(f64::INFINITY, f64::min);
        let centre = |of: fn(&Run) -> f64| (runs.iter().map(|r| of(r).ln()).sum::<f64>() / runs.len() as f64).exp();
        let (n, d, y) = (centre(|r| r.params), centre(|r| r.tokens), centre(|r| r.loss));
        let mut starts = Vec::new();
        let mut push = |natural: Vec<f64>| starts.push(natural.iter().map(|v: &f64| v.max(1e-12).ln()).collect());
        match self {
            Shape::KaplanSize => [0.03, 0.1, 0.3].iter().for_each(|a| push(vec![n * y.powf(1.0 / a), *a])),
            Shape::KaplanTokens => [0.03, 0.1, 0.3].iter().for_each(|a| push(vec![d * y.powf(1.0 / a), *a])),
            Shape::Kaplan => {
                for (an, ad) in [(0.05, 0.05), (0.08, 0.1), (0.1, 0.3), (0.3, 0.1), (0.3, 0.3)] {
                    push(vec![n * (y / 2.0).powf(1.0 / an), an, d * (y / 2.0).powf(1.0 / ad), ad]);
                }
            }
            Shape::DataConstrained => {
                for (share, alpha, r) in [(0.5, 0.35, 10.0), (0.8, 0.3, 5.0), (0.3, 0.5, 20.0), (0.7, 0.4, 2.0)] {
                    let rest = 0.5 * (y - share * least).max(0.05);
                    push(vec![share * least, rest * n.powf(alpha), rest * d.powf(alpha), alpha, r, r]);
                }
            }
            Shape::OverTrained => {
                let (m, c) = (d / n, 6.0 * n * d);
                for (share, eta) in [(0.5, 0.1), (0.8, 0.2), (0.3, 0.05), (0.7, 0.3)] {
                    let rest = 0.5 * (y - share * least).max(0.05) * f64::powf(c, eta);
                    push(vec![share * least, rest * m.powf(-eta), rest * m.powf(eta), eta]);
                }
            }
            Shape::Broken => {
                let mut x: Vec<f64> = runs.iter().map(|r| r.params).collect();
                x.sort_by(f64::total_cmp);
                let first = runs.iter().min_by(|a, b| a.params.total_cmp(&b.params)).map_or(y, |r| r.loss);
                for quarter in [0.25, 0.5, 0.75] {
                    let d1 = quantile(&x, quarter);
                    for (share, c0, c1, f1) in
                        [(0.02, 0.05, 0.5, 0.3), (0.02, 0.2, 1.0, 0.1), (0.5, 0.1, 1.0, 0.3), (0.1, 0.02, 2.0, 0.5)]
                    {
                        push(vec![share * least, (first - share * least).max(1e-3) * x[0].powf(c0), c0, c1, d1, f1]);
                    }
                }
            }
        }
        starts
    }
}

/// A law fitted by search.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// Its form.
    pub shape: Shape,
    /// Its parameters, by name.
    pub values: Vec<f64>,
    /// The parameters on each resample of the clusters.
    pub resamples: Vec<Vec<f64>>,
    /// Sum of Huber losses of the log residuals.
    pub objective: f64,
    /// ln foretold - ln measured, by run.
    pub residuals: Vec<f64>,
}

impl Searched {
    /// A quantity of the parameters with its 95% percentile interval.
    pub fn interval(&self, of: impl Fn(&[f64]) -> f64) -> Interval {
        let value = of(&self.values);
        let all: Vec<f64> = self.resamples.iter().map(|p| of(p)).filter(|v| v.is_finite()).collect();
        if all.is_empty() {
            return Interval { value, low: value, high: value };
        }
        Interval { value, low: quantile(&all, 0.025).min(value), high: quantile(&all, 0.975).max(value) }
    }

    /// What one new run would show: the law's interval and the spread of the residuals together, by draws.
    pub fn prediction(&self, run: &Run, key: Key) -> Interval {
        let value = self.shape.loss(&self.values, run);
        let mut rng = key.rng();
        // Degrees of freedom are spent on the parameters.
        let n = self.residuals.len() as f64;
        let widen = (n / (n - self.values.len() as f64).max(1.0)).sqrt();
        let mut noise = || widen * self.residuals[rng.random_range(0..self.residuals.len())];
        let all: Vec<f64> =
            self.resamples.iter().map(|p| self.shape.loss(p, run) * noise().exp()).filter(|v| v.is_finite()).collect();
        if all.is_empty() {
            return Interval { value, low: value, high: value };
        }
        Interval { value, low: quantile(&all, 0.025).min(value), high: quantile(&all, 0.975).max(value) }
    }
}

const CAREFUL: Stop = Stop { relative: 1e-11, absolute: 1e-17, evaluations: 4000 };
const QUICK: Stop = Stop { relative: 1e-7, absolute: 1e-13, evaluations: 800 };

/// Fits a law of form `shape` by the sum of Huber losses (threshold `delta`) of log residuals, from many starts, and again
/// on `resamples` resamples of the clusters.
///
/// # Errors
/// [`LawError::BadDelta`], [`LawError::TooFew`] for no more runs than parameters.
pub fn search(shape: Shape, runs: &[Run], delta: f64, resamples: usize, key: Key) -> Result<Searched, LawError> {
    if !(delta.is_finite() && delta > 0.0) {
        return Err(LawError::BadDelta(delta));
    }
    if runs.len() < shape.needs() {
        let (needed, found) = (shape.needs(), runs.len());
        return Err(LawError::TooFew { law: shape.name(), axis: "runs", needed, found });
    }
    let ones = vec![1.0; runs.len()];
    let polished = shape.starts(runs).into_par_iter().map(|start| polish(shape, runs, &ones, &start, (delta, CAREFUL)));
    let best = polished.collect::<Vec<_>>().into_iter().min_by(|a, b| a.value.total_cmp(&b.value));
    let best = best.unwrap_or_else(|| unreachable!("every shape has starts"));
    let refit = |b: usize| {
        let weights = weights(runs, &mut key.index(b as u64).rng());
        natural(&polish(shape, runs, &weights, &best.x, (delta, QUICK)).x)
    };
    let values = natural(&best.x);
    let residuals = runs.iter().map(|run| shape.loss(&values, run).ln() - run.loss.ln()).collect();
    let resamples = (0..resamples).into_par_iter().map(refit).collect();
    Ok(Searched { shape, values, resamples, objective: best.value, residuals })
}

fn natural(theta: &[f64]) -> Vec<f64> {
    theta.iter().map(|t| t.exp()).collect()
}

/// How often each run counts in a resample of the clusters.
fn weights(runs: &[Run], rng: &mut impl rand::Rng) -> Vec<f64> {
    let mut clusters: Vec<u64> = runs.iter().map(|run| run.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let mut drawn = vec![0.0; clusters.len()];
    (0..clusters.len()).for_each(|_| drawn[rng.random_range(0..clusters.len())] += 1.0);
    runs.iter().map(|run| clusters.binary_search(&run.cluster).map_or(0.0, |place| drawn[place])).collect()
}

/// Down the simplex to the valley, then along it with gradients by differences; again until that gains nothing.
fn polish(shape: Shape, runs: &[Run], weights: &[f64], start: &[f64], (delta, stop): (f64, Stop)) -> Minimum {
    let value = |theta: &[f64]| {
        let p = natural(theta);
        let one = |(run, weight): (&Run, &f64)| {
            let residual = shape.loss(&p, run).ln() - run.loss.ln();
            let clipped = residual.clamp(-delta, delta);
            weight * clipped * (residual - 0.5 * clipped)
        };
        let sum: f64 = runs.iter().zip(weights).filter(|(_, w)| **w > 0.0).map(one).sum();
        if sum.is_finite() { sum } else { f64::INFINITY }
    };
    let with_gradient = |theta: &[f64], gradient: &mut [f64]| {
        const STEP: f64 = 1e-6;
        let mut moved = theta.to_vec();
        for k in 0..theta.len() {
            moved[k] = theta[k] + STEP;
            let above = value(&moved);
            moved[k] = theta[k] - STEP;
            gradient[k] = (above - value(&moved)) / (2.0 * STEP);
            moved[k] = theta[k];
        }
        value(theta)
    };
    let simplex = |from: &[f64]| nelder_mead(value, from, &vec![0.2; from.len()], Stop { absolute: 1e-9, ..stop });
    let mut best = simplex(start);
    for _ in 0..4 {
        let again = simplex(&bfgs(with_gradient, &best.x, None, stop).x);
        let gain = best.value - again.value;
        if again.value <= best.value {
            best = again;
        }
        if gain <= 1e-6 * best.value {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    fn grid(truth: impl Fn(f64, f64, f64) -> f64, noise: f64) -> Vec<Run> {
        let mut rng = Key::new(3).rng();
        let mut runs = Vec::new();
        for i in 0..7 {
            for j in 0..6 {
                let (params, tokens) = (1e7 * 3f64.powi(i), 1e8 * 4f64.powi(j));
                let unique = if j % 2 == 0 { tokens } else { tokens / 8.0 };
                let z: f64 = StandardNormal.sample(&mut rng);
                let loss = truth(params, tokens, unique) * (noise * z).exp();
                runs.push(Run { params, tokens, unique, loss, cluster: runs.len() as u64 });
            }
        }
        runs
    }

    /// Every form finds the parameters that made the data, and its intervals hold them.
    #[test]
    fn known_laws_are_recovered() {
        let check = |shape: Shape, truth: &[f64]| {
            let runs = grid(
                |n, d, u| shape.loss(truth, &Run { params: n, tokens: d, unique: u, loss: 1.0, cluster: 0 }),
                0.003,
            );
            let fit = search(shape, &runs, 1e-3, 40, Key::new(1)).unwrap();
            for (k, name) in shape.names().iter().enumerate() {
                let i = fit.interval(|p| p[k]);
                // 40 resamples of one data set: somewhat beyond the interval is no fault.
                let slack = 1.2 * (i.high - i.low);
                assert!(
                    i.low - slack <= truth[k] && truth[k] <= i.high + slack,
                    "{} {name}: {i:?} {}",
                    shape.name(),
                    truth[k]
                );
                assert!((i.value / truth[k]).ln().abs() < 0.9, "{} {name}: {i:?} {}", shape.name(), truth[k]);
            }
        };
        check(Shape::KaplanSize, &[8.8e13, 0.076]);
        check(Shape::KaplanTokens, &[5.4e13, 0.095]);
        check(Shape::Kaplan, &[6.4e13, 0.076, 1.8e13, 0.103]);
        check(Shape::OverTrained, &[1.8, 60.0, 90.0, 0.12]);
        check(Shape::DataConstrained, &[1.87, 521.0, 1488.0, 0.3527, 15.4, 5.3]);
    }

    #[test]
    fn a_break_is_found_and_foretold() {
        let truth = [0.05, 3.0, 0.05, 1.2, 800.0, 0.15];
        let run = |x: f64| Run { params: x, tokens: 1.0, unique: 1.0, loss: 1.0, cluster: x as u64 };
        let runs: Vec<Run> = (0..20)
            .map(|i| run(100.0 * 1.4f64.powi(i)))
            .map(|r| Run { loss: Shape::Broken.loss(&truth, &r), ..r })
            .collect();
        let fit = search(Shape::Broken, &runs[..15], 1e-3, 0, Key::new(1)).unwrap();
        for r in &runs[15..] {
            let foretold = Shape::Broken.loss(&fit.values, r);
            assert!((foretold / r.loss).ln().abs() < 0.1, "{foretold} {}", r.loss);
        }
    }

    /// The published constants and the check value of arXiv 2305.16264.
    #[test]
    fn data_constrained_reproduces_the_published_value() {
        let p = [0.6254804f64.exp(), 6.255414f64.exp(), 7.3049974f64.exp(), 0.3526596, 15.387756, 5.309743];
        let run = Run { params: 6.34e9, tokens: 242e9, unique: 25e9, loss: 1.0, cluster: 0 };
        assert!((Shape::DataConstrained.loss(&p, &run) - 2.225_644_088_998_447_7).abs() < 1e-9);
    }
}
