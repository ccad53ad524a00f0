//! The beta-binomial: successes among items when the models of one size (its seeds) differ in their chance of success.
//!
//! A model's own rate is drawn from Beta(mu (1/rho - 1), (1 - mu)(1/rho - 1)), so its variance is rho mu (1 - mu): at
//! rho = 0 all seeds are alike, at rho = 1 each has the ability entirely or not at all.

use rand::Rng;
use rand_distr::{Beta, Binomial, Distribution};

/// Below this overdispersion the binomial limit is used.
const BINOMIAL: f64 = 1e-9;

/// log P(successes | trials, mu, rho) without the binomial coefficient, which no comparison over `mu` or `rho` needs.
///
/// `mu` in (0, 1), `rho` in [0, 1).
pub fn log_likelihood(successes: u32, trials: u32, mu: f64, rho: f64) -> f64 {
    let (k, m) = (f64::from(successes), f64::from(trials - successes));
    if rho < BINOMIAL {
        return k * mu.ln() + m * (1.0 - mu).ln();
    }
    let total = 1.0 / rho - 1.0;
    let (a, b) = (mu * total, (1.0 - mu) * total);
    crate::ln_beta(k + a, m + b) - crate::ln_beta(a, b)
}

/// Log-likelihoods at one (mu, rho) for any count up to a limit, each a sum of three look-ups: for fits that evaluate
/// thousands of resampled counts.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// sum_(i<k) ln(a + i), ln(b + i), ln(a + b + i) for k = 0..=limit.
    a: Vec<f64>,
    b: Vec<f64>,
    total: Vec<f64>,
}

impl Kernel {
    /// Prepares `mu` in (0, 1) and `rho` in (0, 1) for up to `limit` trials. `rho` below 1e-6 is taken as 1e-6, which no
    /// number of items in use can tell from none.
    pub fn new(mu: f64, rho: f64, limit: u32) -> Self {
        let total = 1.0 / rho.max(1e-6) - 1.0;
        let sums = |start: f64| {
            let mut sum = 0.0;
            let terms = (0..limit).map(|i| (start + f64::from(i)).ln());
            std::iter::once(0.0)
                .chain(terms.map(|t| {
                    sum += t;
                    sum
                }))
                .collect()
        };
        Kernel { a: sums(mu * total), b: sums((1.0 - mu) * total), total: sums(total) }
    }

    /// As [`log_likelihood`].
    pub fn log_likelihood(&self, successes: u32, trials: u32) -> f64 {
        self.a[successes as usize] + self.b[(trials - successes) as usize] - self.total[trials as usize]
    }
}

/// Draws the successes of one model.
pub fn draw(rng: &mut impl Rng, trials: u32, mu: f64, rho: f64) -> u32 {
    let rate = draw_rate(rng, mu, rho);
    Binomial::new(u64::from(trials), rate).map_or(0, |b| b.sample(rng) as u32)
}

/// Draws one model's own rate of success.
pub fn draw_rate(rng: &mut impl Rng, mu: f64, rho: f64) -> f64 {
    let total = 1.0 / rho.max(BINOMIAL) - 1.0;
    let (a, b) = (mu * total, (1.0 - mu) * total);
    if rho < BINOMIAL || a < 1e-6 || b < 1e-6 {
        return mu;
    }
    Beta::new(a, b).map_or(mu, |beta| beta.sample(rng).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mean, variance};
    use saltus_random::Key;

    #[test]
    fn probabilities_sum_to_one_and_the_limit_is_binomial() {
        let n = 12;
        let choose = |k: u32| (1..=k).fold(1.0, |c, i| c * f64::from(n - k + i) / f64::from(i));
        for (mu, rho) in [(0.3, 0.5), (0.02, 0.9), (0.7, 1e-3), (0.4, 0.0)] {
            let total: f64 = (0..=n).map(|k| choose(k) * log_likelihood(k, n, mu, rho).exp()).sum();
            assert!((total - 1.0).abs() < 1e-9, "{mu} {rho}: {total}");
        }
        let kernel = Kernel::new(0.02, 0.9, 50);
        for k in 0..=n {
            assert!((kernel.log_likelihood(k, n) - log_likelihood(k, n, 0.02, 0.9)).abs() < 1e-9);
        }
        assert!((log_likelihood(5, n, 0.4, 1e-6) - log_likelihood(5, n, 0.4, 0.0)).abs() < 1e-3);
    }

    #[test]
    fn draws_have_the_mean_and_the_overdispersion() {
        let mut rng = Key::new(3).rng();
        let (mu, rho, n) = (0.3, 0.4, 100);
        let rates: Vec<f64> = (0..20_000).map(|_| f64::from(draw(&mut rng, n, mu, rho)) / f64::from(n)).collect();
        assert!((mean(&rates) - mu).abs() < 0.01);
        let expected = mu * (1.0 - mu) * (rho + (1.0 - rho) / f64::from(n));
        assert!((variance(&rates) / expected - 1.0).abs() < 0.03);
    }
}
