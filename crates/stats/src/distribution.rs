//! Quantiles and tail probabilities of the normal and Student's t distribution, through statrs.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::beta;

/// Quantile of the standard normal distribution; `p` in (0, 1).
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// Quantile of Student's t with `dof` > 0 degrees of freedom (infinite: normal); `p` in (0, 1).
pub fn t_quantile(p: f64, dof: f64) -> f64 {
    if dof > 1e6 {
        return normal_quantile(p);
    }
    StudentsT::new(0.0, 1.0, dof).map_or(f64::NAN, |t| t.inverse_cdf(p))
}

/// Two-sided p-value of `t` under Student's t with `dof` > 0 degrees of freedom.
pub fn t_two_sided(t: f64, dof: f64) -> f64 {
    StudentsT::new(0.0, 1.0, dof).map_or(f64::NAN, |s| 2.0 * s.cdf(-t.abs()))
}

/// Logarithm of the beta function; `a`, `b` > 0.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    beta::ln_beta(a, b)
}
