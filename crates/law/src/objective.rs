//! The objective of all fits: the sum of Huber losses of log residuals, its gradient, and its local minimum.

use crate::law::{PowerSum, Term};
use crate::observation::Observations;
use saltus_stats::minimise::{Minimum, Stop, bfgs};

/// A fit to solve. Its variables are theta = [ln E, c_1, ln g_1, .., c_K, ln g_K]: term k is exp(c_k - g_k x_k), where
/// x_k is the *centred* logarithm of the quantity. Centring removes most of the correlation between a coefficient and its
/// exponent, and the logarithms keep E, the coefficients and the exponents positive.
pub(crate) struct Problem<const K: usize> {
    /// Mean of the logarithm of each quantity.
    pub(crate) centre: [f64; K],
    /// Centred logarithm of each quantity, one for each observation.
    pub(crate) x: [Vec<f64>; K],
    /// Logarithm of the loss.
    pub(crate) y: Vec<f64>,
    /// Huber threshold, in log loss.
    pub(crate) delta: f64,
}

impl<const K: usize> Problem<K> {
    pub(crate) fn new<L: PowerSum<K>>(data: &Observations, delta: f64) -> Self {
        let n = data.all().len() as f64;
        let mut x: [Vec<f64>; K] =
            std::array::from_fn(|k| data.all().iter().map(|o| L::quantities(o)[k].ln()).collect());
        let centre: [f64; K] = std::array::from_fn(|k| x[k].iter().sum::<f64>() / n);
        for (column, mean) in x.iter_mut().zip(centre) {
            column.iter_mut().for_each(|x| *x -= mean);
        }
        Problem { centre, x, y: data.all().iter().map(|o| o.loss.ln()).collect(), delta }
    }

    /// Sum over observations of weight x Huber(ln prediction - ln loss), and its gradient.
    pub(crate) fn value(&self, weights: &[f64], theta: &[f64], gradient: &mut [f64]) -> f64 {
        let e = theta[0].exp();
        let exponent: [f64; K] = std::array::from_fn(|k| theta[2 + 2 * k].exp());
        let (mut sum, mut by_e) = (0.0, 0.0);
        let (mut by_c, mut by_g) = ([0.0; K], [0.0; K]);
        for (i, (&w, &y)) in weights.iter().zip(&self.y).enumerate() {
            if w == 0.0 {
                continue;
            }
            let term: [f64; K] = std::array::from_fn(|k| (theta[1 + 2 * k] - exponent[k] * self.x[k][i]).exp());
            let prediction = e + term.iter().sum::<f64>();
            let residual = prediction.ln() - y;
            let clipped = residual.clamp(-self.delta, self.delta);
            sum += w * clipped * (residual - 0.5 * clipped);
            let slope = w * clipped / prediction;
            by_e += slope;
            for k in 0..K {
                by_c[k] += slope * term[k];
                by_g[k] -= slope * term[k] * self.x[k][i];
            }
        }
        gradient[0] = by_e * e;
        for k in 0..K {
            gradient[1 + 2 * k] = by_c[k];
            gradient[2 + 2 * k] = by_g[k] * exponent[k];
        }
        sum
    }

    /// ln prediction - ln loss of each observation.
    pub(crate) fn residuals(&self, theta: &[f64]) -> Vec<f64> {
        (0..self.y.len()).map(|i| self.row(theta, i).0).collect()
    }

    /// The residual of observation `i` and its derivatives by theta.
    fn row(&self, theta: &[f64], i: usize) -> (f64, Vec<f64>) {
        let e = theta[0].exp();
        let exponent: [f64; K] = std::array::from_fn(|k| theta[2 + 2 * k].exp());
        let term: [f64; K] = std::array::from_fn(|k| (theta[1 + 2 * k] - exponent[k] * self.x[k][i]).exp());
        let prediction = e + term.iter().sum::<f64>();
        let mut row = vec![e / prediction];
        for k in 0..K {
            row.push(term[k] / prediction);
            row.push(-term[k] / prediction * exponent[k] * self.x[k][i]);
        }
        (prediction.ln() - self.y[i], row)
    }

    /// Inverse of J'WJ with the weights of iteratively reweighted least squares, min(1, delta / |r|): the first guess
    /// that makes BFGS blind to how the variables are scaled. The ridge keeps it finite where E or a term has vanished.
    fn inverse_hessian(&self, weights: &[f64], theta: &[f64]) -> Vec<f64> {
        let n = 1 + 2 * K;
        let mut hessian = vec![0.0; n * n];
        for (i, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            let (residual, row) = self.row(theta, i);
            let w = weight * (self.delta / residual.abs()).min(1.0);
            for (j, a) in row.iter().enumerate() {
                for (k, b) in row.iter().enumerate() {
                    hessian[j * n + k] += w * a * b;
                }
            }
        }
        let ridge = 1e-9 * (0..n).map(|j| hessian[j * (n + 1)]).fold(f64::MIN_POSITIVE, f64::max);
        (0..n).for_each(|j| hessian[j * (n + 1)] += ridge);
        let mut inverse = vec![0.0; n * n];
        for j in 0..n {
            let mut unit = vec![0.0; n];
            unit[j] = 1.0;
            let column = solve(hessian.clone(), unit);
            (0..n).for_each(|k| inverse[k * n + j] = column[k]);
        }
        inverse
    }

    /// The local minimum near `start`. BFGS begins again with a fresh matrix until that gains nothing: near the corners
    /// of the Huber loss one pass may stop early, and a fit stopped early is what made the original Chinchilla intervals
    /// too tight (arXiv 2404.10102, section 3).
    pub(crate) fn polish(&self, weights: &[f64], start: &[f64], stop: Stop) -> Minimum {
        let pass = |from: &[f64]| {
            let inverse = self.inverse_hessian(weights, from);
            bfgs(|theta, gradient| self.value(weights, theta, gradient), from, Some(&inverse), stop)
        };
        let mut best = pass(start);
        for _ in 0..20 {
            let again = pass(&best.x);
            let gain = best.value - again.value;
            best = Minimum { evaluations: best.evaluations + again.evaluations, ..again };
            if gain <= 10.0 * stop.relative * best.value + stop.absolute {
                best.converged = true;
                break;
            }
        }
        best
    }

    /// The law that `theta` means.
    pub(crate) fn law<L: PowerSum<K>>(&self, theta: &[f64]) -> L {
        let term = |k: usize| {
            let exponent = theta[2 + 2 * k].exp();
            Term { coefficient: (theta[1 + 2 * k] + exponent * self.centre[k]).exp(), exponent }
        };
        L::from_terms(theta[0].exp(), std::array::from_fn(term))
    }
}

/// Solves the symmetric positive definite n x n system `matrix` x = `rhs` by elimination. A pivot that has vanished
/// gives infinities or NaN, which the callers treat as "no solution".
pub(crate) fn solve(mut matrix: Vec<f64>, mut rhs: Vec<f64>) -> Vec<f64> {
    let n = rhs.len();
    for i in 0..n {
        for j in i + 1..n {
            let factor = matrix[j * n + i] / matrix[i * n + i];
            for k in i..n {
                matrix[j * n + k] -= factor * matrix[i * n + k];
            }
            rhs[j] -= factor * rhs[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| matrix[i * n + k] * rhs[k]).sum();
        rhs[i] = (rhs[i] - known) / matrix[i * n + i];
    }
    rhs
}
