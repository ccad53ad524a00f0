//! The compute frontier: how a budget is best split between parameters and tokens, with its bands.

use crate::fit::Fit;
use crate::law::SizeTokenLaw;
use crate::observation::{Flops, Params, Tokens};
use saltus_stats::Interval;

/// The compute frontier of a fitted L(N, D).
#[derive(Clone, Debug, PartialEq)]
pub struct Frontier {
    /// a in N* ~ C^a; about 1/2 for Chinchilla.
    pub params_exponent: Interval,
    /// b = 1 - a in D* ~ C^b.
    pub tokens_exponent: Interval,
    /// G in N* = G (C/6)^a.
    pub balance: Interval,
    /// One point for each budget asked for.
    pub points: Vec<FrontierPoint>,
}

/// The best split of one budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontierPoint {
    /// The budget C.
    pub flops: Flops,
    /// N*.
    pub params: Interval,
    /// D*.
    pub tokens: Interval,
    /// L(N*, D*), nats per token.
    pub loss: Interval,
    /// Whether N* and D* lie within the sizes and tokens that were fitted; the rest is extrapolation.
    pub measured: bool,
}

/// The frontier at these budgets, by the closed form of [`SizeTokenLaw::optimum`] on the law and on each resample.
pub fn frontier(fit: &Fit<SizeTokenLaw>, budgets: &[Flops]) -> Frontier {
    let point = |&flops: &Flops| {
        let best = fit.law.optimum(flops);
        let inside = |value: f64, (low, high): (f64, f64)| (low..=high).contains(&value);
        FrontierPoint {
            flops,
            params: fit.interval(|law| law.optimum(flops).params.0),
            tokens: fit.interval(|law| law.optimum(flops).tokens.0),
            loss: fit.interval(|law| law.optimum(flops).loss),
            measured: inside(best.params.0, range(&fit.params, |Params(n)| *n))
                && inside(best.tokens.0, range(&fit.tokens, |Tokens(d)| *d)),
        }
    };
    Frontier {
        params_exponent: fit.interval(SizeTokenLaw::params_exponent),
        tokens_exponent: fit.interval(|law| 1.0 - law.params_exponent()),
        balance: fit.interval(SizeTokenLaw::balance),
        points: budgets.iter().map(point).collect(),
    }
}

fn range<T>((low, high): &(T, T), number: impl Fn(&T) -> f64) -> (f64, f64) {
    (number(low), number(high))
}
