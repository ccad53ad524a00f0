//! Laws that are as likely as a covariance says: draws that respect how the parameters of a fit hang together.

use crate::law::SizeTokenLaw;
use rand::RngExt;
use saltus_random::Key;
use saltus_stats::normal_quantile;

/// Order of the parameters in a covariance: E, ln A, alpha, ln B, beta.
pub const ORDER: [&str; 5] = ["E", "ln A", "alpha", "ln B", "beta"];

/// Covariance of (E, ln A, alpha, ln B, beta).
pub type Covariance = [[f64; 5]; 5];

/// Standard errors and correlations of (E, ln A, alpha, ln B, beta).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Correlated {
    pub(crate) errors: [f64; 5],
    pub(crate) correlations: [[f64; 5]; 5],
}

impl Correlated {
    pub(crate) fn covariance(&self) -> Covariance {
        std::array::from_fn(|i| std::array::from_fn(|j| self.correlations[i][j] * self.errors[i] * self.errors[j]))
    }
}

/// The covariance of laws, such as the resamples of a fit. `None` below ten.
pub fn covariance(laws: &[SizeTokenLaw]) -> Option<Covariance> {
    if laws.len() < 10 {
        return None;
    }
    let all: Vec<[f64; 5]> = laws.iter().map(theta).collect();
    let count = all.len() as f64;
    let mean: [f64; 5] = std::array::from_fn(|i| all.iter().map(|t| t[i]).sum::<f64>() / count);
    let product = |i: usize, j: usize| all.iter().map(|t| (t[i] - mean[i]) * (t[j] - mean[j])).sum::<f64>();
    Some(std::array::from_fn(|i| std::array::from_fn(|j| product(i, j) / (count - 1.0))))
}

fn theta(law: &SizeTokenLaw) -> [f64; 5] {
    [law.e, law.a.ln(), law.alpha, law.b.ln(), law.beta]
}

/// Normal draws of (E, ln A, alpha, ln B, beta) about a law. Draws without positive exponents are no laws and are left
/// out. `None` where the matrix is no covariance.
pub fn draws(law: &SizeTokenLaw, covariance: &Covariance, count: usize, key: Key) -> Option<Vec<SizeTokenLaw>> {
    let root = cholesky(covariance)?;
    let middle = theta(law);
    let mut rng = key.rng();
    let mut draw = || {
        let z: [f64; 5] = std::array::from_fn(|_| normal_quantile(rng.random_range(1e-12..1.0)));
        let [e, ln_a, alpha, ln_b, beta] =
            std::array::from_fn(|i| middle[i] + (0..=i).map(|j| root[i][j] * z[j]).sum::<f64>());
        SizeTokenLaw { e, a: ln_a.exp(), alpha, b: ln_b.exp(), beta }
    };
    let all = (0..count).map(|_| draw());
    Some(all.filter(|law| law.alpha > 0.0 && law.beta > 0.0).collect())
}

/// The lower triangle whose product with its transpose is the matrix. A pivot that rounding has made slightly negative
/// is zero: a parameter that does not vary on its own.
fn cholesky(matrix: &Covariance) -> Option<Covariance> {
    let mut root = [[0.0; 5]; 5];
    for i in 0..5 {
        for j in 0..=i {
            if !matrix[i][j].is_finite() || (matrix[i][j] - matrix[j][i]).abs() > 1e-9 * matrix[i][i].abs() {
                return None;
            }
            let rest = matrix[i][j] - (0..j).map(|k| root[i][k] * root[j][k]).sum::<f64>();
            root[i][j] = match i == j {
                true if rest < -1e-6 * matrix[i][i].abs() => return None,
                true => rest.max(0.0).sqrt(),
                false if root[j][j] == 0.0 => 0.0,
                false => rest / root[j][j],
            };
        }
    }
    Some(root)
}
