//! The forms that laws of budgets have, and the loss that each gives to a model of N parameters and D tokens.

use crate::law::{Law, SizeTokenLaw};
use crate::observation::{Flops, Params, Tokens};

/// FLOPs of a petaflop/s-day, the unit of arXiv 2001.08361.
pub const PF_DAY: f64 = 8.64e19;

/// L(N, D) = [(Nc/N)^(aN/aD) + Dc/D]^aD (arXiv 2001.08361, eq. 1.5), N without embeddings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KaplanLaw {
    /// Nc, in parameters without embeddings.
    pub params: f64,
    /// aN.
    pub params_exponent: f64,
    /// Dc, in tokens.
    pub tokens: f64,
    /// aD.
    pub tokens_exponent: f64,
}

impl KaplanLaw {
    /// The joint fit (arXiv 2001.08361, table 2), not the fits of L(N) and L(D) alone.
    pub const PUBLISHED: KaplanLaw =
        KaplanLaw { params: 6.4e13, params_exponent: 0.076, tokens: 1.8e13, tokens_exponent: 0.103 };

    /// Loss in nats per token of WebText2.
    pub fn loss(&self, params: f64, tokens: f64) -> f64 {
        let size = (self.params / params).powf(self.params_exponent / self.tokens_exponent);
        (size + self.tokens / tokens).powf(self.tokens_exponent)
    }
}

/// L(C) = (3.1e8 PF-days / C)^0.050, the published loss of the best split of a budget (arXiv 2001.08361, eq. 1.3).
pub fn kaplan_budget_loss(budget: Flops) -> f64 {
    (3.1e8 * PF_DAY / budget.0).powf(0.050)
}

/// N* = params (C / flops)^exponent: a law that says how a budget is split, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerFrontier {
    /// The budget at which the exponents of different readings agree.
    pub flops: f64,
    /// N* there.
    pub params: f64,
    /// a in N* ~ C^a.
    pub exponent: f64,
}

impl PowerFrontier {
    /// N* at this budget.
    pub fn params(&self, budget: f64) -> f64 {
        self.params * (budget / self.flops).powf(self.exponent)
    }

    /// The budget whose N* this is.
    pub(crate) fn budget_of_params(&self, params: f64) -> f64 {
        self.flops * (params / self.params).powf(1.0 / self.exponent)
    }

    /// The budget whose D* = C / (6 N*) this is.
    pub(crate) fn budget_of_tokens(&self, tokens: f64) -> f64 {
        let at = self.flops / (6.0 * self.params);
        self.flops * (tokens / at).powf(1.0 / (1.0 - self.exponent))
    }
}

/// How a law of budgets is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// By L(N, D), whose least value along C = 6 N D is the best split.
    Surface(SizeTokenLaw),
    /// By the best split alone. Its loss is read from the surface of another law of the same paper.
    Frontier(PowerFrontier, SizeTokenLaw),
    /// By the best split with its loss L(C), and by L(N, D) for other splits. They are two statements: L(N, D) is the loss
    /// when training on D tokens no longer helps, and the best split stops training some 10% above that.
    Kaplan(PowerFrontier, KaplanLaw),
}

impl Form {
    /// Loss in nats per token of the law's own text.
    pub fn loss(&self, params: f64, tokens: f64) -> f64 {
        match self {
            Form::Surface(law) | Form::Frontier(_, law) => law.loss(Params(params), Tokens(tokens)),
            Form::Kaplan(_, law) => law.loss(params, tokens),
        }
    }

    /// N* at this budget, all tokens being new.
    pub(crate) fn best_params(&self, budget: f64) -> f64 {
        match self {
            Form::Surface(law) => law.optimum(Flops(budget)).params.0,
            Form::Frontier(split, _) | Form::Kaplan(split, _) => split.params(budget),
        }
    }

    /// a in N* ~ C^a.
    pub fn params_exponent(&self) -> f64 {
        match self {
            Form::Surface(law) => law.params_exponent(),
            Form::Frontier(split, _) | Form::Kaplan(split, _) => split.exponent,
        }
    }

    /// The split as a power law, which it is for every form.
    pub(crate) fn frontier(&self) -> PowerFrontier {
        match self {
            Form::Surface(law) => {
                let flops = 1e21;
                PowerFrontier { flops, params: law.optimum(Flops(flops)).params.0, exponent: law.params_exponent() }
            }
            Form::Frontier(split, _) | Form::Kaplan(split, _) => *split,
        }
    }
}

/// What tokens and parameters are still worth when data are repeated (arXiv 2305.16264, eqs. 5 to 7):
/// D' = U + U R (1 - exp(-(D/U - 1) / R)), and N' likewise with the size that suits U for U.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repetition {
    /// U: tokens that differ.
    pub unique: f64,
    /// R*_D: after about so many repetitions they are worth little more.
    pub tokens_decay: f64,
    /// R*_N: likewise for parameters beyond those that suit U.
    pub params_decay: f64,
}

impl Repetition {
    /// With the published decay constants (arXiv 2305.16264, section 6).
    pub fn published(unique: f64) -> Self {
        Repetition { unique, tokens_decay: 15.387756, params_decay: 5.309743 }
    }

    /// Loss of N parameters after D tokens of which U differ, by this law's surface.
    pub fn loss(&self, law: &SizeTokenLaw, params: f64, tokens: f64) -> f64 {
        let worth = |all: f64, first: f64, decay: f64| {
            let new = all.min(first);
            new + new * decay * -(-(all / new - 1.0) / decay).exp_m1()
        };
        let unique = tokens.min(self.unique);
        // The size that suits U: N* of the budget whose D* is U.
        let suits = Form::Surface(*law).frontier().budget_of_tokens(unique) / (6.0 * unique);
        law.loss(Params(worth(params, suits, self.params_decay)), Tokens(worth(tokens, self.unique, self.tokens_decay)))
    }
}

/// Parameters with and without embeddings: N_total = N + 47491 N^(1/3) (arXiv 2406.12907, eq. 4).
pub mod convention {
    /// arXiv 2406.12907, table 1: the embeddings of models whose width follows their size.
    const EMBEDDING: f64 = 47_491.0;

    /// All parameters of a model that has so many without embeddings.
    pub fn total(non_embedding: f64) -> f64 {
        non_embedding + EMBEDDING * non_embedding.cbrt()
    }

    /// Parameters without embeddings of a model that has so many in all: with x = N^(1/3), the root of
    /// x^3 + 47491 x = N_total, by Newton from above.
    pub fn non_embedding(total: f64) -> f64 {
        let mut x = total.cbrt();
        for _ in 0..60 {
            let next = x - (x * x * x + EMBEDDING * x - total) / (3.0 * x * x + EMBEDDING);
            if (next - x).abs() <= 1e-15 * x {
                break;
            }
            x = next;
        }
        x * x * x
    }
}
