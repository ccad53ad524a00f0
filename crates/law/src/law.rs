//! The laws themselves: named parameters, the loss they predict, and the optimum that follows.

use crate::observation::{Flops, Observation, Params, Tokens};

/// A law of the loss.
pub trait Law: Copy + Send + Sync {
    /// Its name: `L(N)`, `L(N,D)`, ...
    const NAME: &'static str;
    /// Its formula in plain text.
    const FORMULA: &'static str;

    /// Loss at this size after this many tokens, nats per token.
    fn loss(&self, params: Params, tokens: Tokens) -> f64;

    /// The parameters by the names of the papers.
    fn named(&self) -> Vec<(&'static str, f64)>;
}

/// L(N) = E + A / N^alpha (arXiv 2001.08361, eq. 1.1, with an irreducible loss).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeLaw {
    /// E: irreducible loss, nats per token.
    pub e: f64,
    /// A, in nats x parameters^alpha.
    pub a: f64,
    /// alpha: exponent of the parameters.
    pub alpha: f64,
}

/// L(N, D) = E + A / N^alpha + B / D^beta (arXiv 2203.15556, eq. 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeTokenLaw {
    /// E: irreducible loss, nats per token.
    pub e: f64,
    /// A, in nats x parameters^alpha.
    pub a: f64,
    /// alpha: exponent of the parameters.
    pub alpha: f64,
    /// B, in nats x tokens^beta.
    pub b: f64,
    /// beta: exponent of the tokens.
    pub beta: f64,
}

impl Law for SizeLaw {
    const NAME: &'static str = "L(N)";
    const FORMULA: &'static str = "L(N) = E + A / N^alpha";

    fn loss(&self, params: Params, _: Tokens) -> f64 {
        self.e + self.a / params.0.powf(self.alpha)
    }

    fn named(&self) -> Vec<(&'static str, f64)> {
        vec![("E", self.e), ("A", self.a), ("alpha", self.alpha)]
    }
}

impl Law for SizeTokenLaw {
    const NAME: &'static str = "L(N,D)";
    const FORMULA: &'static str = "L(N,D) = E + A / N^alpha + B / D^beta";

    fn loss(&self, params: Params, tokens: Tokens) -> f64 {
        self.e + self.a / params.0.powf(self.alpha) + self.b / tokens.0.powf(self.beta)
    }

    fn named(&self) -> Vec<(&'static str, f64)> {
        vec![("E", self.e), ("A", self.a), ("alpha", self.alpha), ("B", self.b), ("beta", self.beta)]
    }
}

/// The best use of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// N*.
    pub params: Params,
    /// D* = C / (6 N*).
    pub tokens: Tokens,
    /// L(N*, D*), nats per token.
    pub loss: f64,
}

impl SizeTokenLaw {
    /// a = beta / (alpha + beta), the exponent of N* ~ C^a; that of D* ~ C^b is b = 1 - a (arXiv 2203.15556, eq. 4).
    pub fn params_exponent(&self) -> f64 {
        self.beta / (self.alpha + self.beta)
    }

    /// G = (alpha A / (beta B))^(1 / (alpha + beta)) of arXiv 2203.15556, eq. 4, by logarithms.
    pub fn balance(&self) -> f64 {
        let ratio = self.alpha.ln() + self.a.ln() - self.beta.ln() - self.b.ln();
        (ratio / (self.alpha + self.beta)).exp()
    }

    /// The least loss for a budget C = 6 N D: N* = G (C/6)^a and D* = (C/6)^b / G (arXiv 2203.15556, eq. 4).
    pub fn optimum(&self, budget: Flops) -> Optimum {
        let params = Params(self.balance() * (budget.0 / 6.0).powf(self.params_exponent()));
        let tokens = Tokens(budget.0 / 6.0 / params.0);
        Optimum { params, tokens, loss: self.loss(params, tokens) }
    }
}

/// One power term of a law: coefficient / x^exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) coefficient: f64,
    pub(crate) exponent: f64,
}

/// A law of the form E + sum over K power terms, each of one positive quantity of an observation.
pub(crate) trait PowerSum<const K: usize>: Law {
    /// Names of the exponents, in order.
    const EXPONENTS: [&'static str; K];
    /// The quantities whose powers are summed.
    fn quantities(observation: &Observation) -> [f64; K];
    fn from_terms(e: f64, terms: [Term; K]) -> Self;
    fn exponents(&self) -> [f64; K];
    fn irreducible(&self) -> f64;
}

impl PowerSum<1> for SizeLaw {
    const EXPONENTS: [&'static str; 1] = ["alpha"];

    fn quantities(o: &Observation) -> [f64; 1] {
        [o.params.0]
    }

    fn from_terms(e: f64, [size]: [Term; 1]) -> Self {
        SizeLaw { e, a: size.coefficient, alpha: size.exponent }
    }

    fn exponents(&self) -> [f64; 1] {
        [self.alpha]
    }

    fn irreducible(&self) -> f64 {
        self.e
    }
}

impl PowerSum<2> for SizeTokenLaw {
    const EXPONENTS: [&'static str; 2] = ["alpha", "beta"];

    fn quantities(o: &Observation) -> [f64; 2] {
        [o.params.0, o.tokens.0]
    }

    fn from_terms(e: f64, [size, data]: [Term; 2]) -> Self {
        SizeTokenLaw { e, a: size.coefficient, alpha: size.exponent, b: data.coefficient, beta: data.exponent }
    }

    fn exponents(&self) -> [f64; 2] {
        [self.alpha, self.beta]
    }

    fn irreducible(&self) -> f64 {
        self.e
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// arXiv 2203.15556 at the compute of Gopher, with the constants as printed and as fitted.
    #[test]
    fn chinchillas_closed_form() {
        let rounded = SizeTokenLaw { e: 1.69, a: 406.4, alpha: 0.34, b: 410.7, beta: 0.28 };
        let unrounded = SizeTokenLaw {
            e: 0.5267228f64.exp(),
            a: 6.0073404f64.exp(),
            alpha: 0.33917084,
            b: 6.0179186f64.exp(),
            beta: 0.2849083,
        };
        for (law, billions, ratio) in [(rounded, "32.2", "93"), (unrounded, "40.4", "59")] {
            let best = law.optimum(Flops(5.76e23));
            assert_eq!(format!("{:.1}", best.params.0 / 1e9), billions);
            assert_eq!(format!("{:.0}", best.tokens.0 / best.params.0), ratio);
        }
        assert_eq!(format!("{:.2}", unrounded.params_exponent()), "0.46");
    }

    proptest! {
        /// The closed form is the least loss along C = 6 N D.
        #[test]
        fn nothing_on_the_budget_beats_the_optimum(
            e in 0.0..3.0f64, a in 1.0..1e4f64, alpha in 0.05..1.0f64, b in 1.0..1e4f64, beta in 0.05..1.0f64,
            budget in 10.0..26.0f64, shift in -3.0..3.0f64,
        ) {
            let law = SizeTokenLaw { e, a, alpha, b, beta };
            let best = law.optimum(Flops(10f64.powf(budget)));
            let other = Params(best.params.0 * shift.exp());
            let tokens = Tokens(10f64.powf(budget) / 6.0 / other.0);
            prop_assert!(law.loss(other, tokens) >= best.loss * (1.0 - 1e-12));
            let spent = Flops::six_nd(best.params, best.tokens).0;
            prop_assert!((spent / 10f64.powf(budget) - 1.0).abs() < 1e-12);
        }
    }
}
