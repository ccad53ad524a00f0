//! The beta-binomial: successes among items when the models of one size (its seeds) differ in their chance of success.
//!
//! A model's own rate is drawn from Beta(mu (1/rho - 1), (1 - mu)(1/rho - 1)), so its variance is rho mu (1 - mu): at
//! rho = 0 all seeds are alike, at rho = 1 each has the ability entirely or not at all.

use crate::{ln_beta, ln_gamma};
use rand::Rng;
use rand_distr::{Beta, Binomial, Distribution};

/// Below this overdispersion the binomial limit is used.
const BINOMIAL: f64 = 1e-9;

/// Sum over models of log P(successes | trials, mu, rho), without the binomial coefficients, which no comparison over
/// `mu` or `rho` needs.
///
/// `models` holds (successes, trials); `mu` in (0, 1), `rho` in [0, 1).
pub fn log_likelihood(models: &[(u32, u32)], mu: f64, rho: f64) -> f64 {
    if rho < BINOMIAL {
        let (k, n) = models.iter().fold((0.0, 0.0), |(k, n), m| (k + f64::from(m.0), n + f64::from(m.1)));
        return k * mu.ln() + (n - k) * (1.0 - mu).ln();
    }
    let total = 1.0 / rho - 1.0;
    let (a, b) = (mu * total, (1.0 - mu) * total);
    let (none, mut last) = (ln_beta(a, b), (u32::MAX, 0.0));
    let mut sum = 0.0;
    for &(k, n) in models {
        // Models mostly answer the same number of items, so that term is kept.
        if n != last.0 {
            last = (n, ln_gamma(f64::from(n) + total));
        }
        sum += ln_gamma(f64::from(k) + a) + ln_gamma(f64::from(n - k) + b) - last.1 - none;
    }
    sum
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
            let total: f64 = (0..=n).map(|k| choose(k) * log_likelihood(&[(k, n)], mu, rho).exp()).sum();
            assert!((total - 1.0).abs() < 1e-9, "{mu} {rho}: {total}");
        }
        let apart = log_likelihood(&[(5, 12)], 0.2, 0.3) + log_likelihood(&[(9, 20)], 0.2, 0.3);
        assert!((log_likelihood(&[(5, 12), (9, 20)], 0.2, 0.3) - apart).abs() < 1e-9);
        assert!((log_likelihood(&[(5, n)], 0.4, 1e-6) - log_likelihood(&[(5, n)], 0.4, 0.0)).abs() < 1e-3);
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
