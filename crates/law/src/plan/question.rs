//! What a plan is asked for, checked, and its answer by one law.

use super::form::{Form, Repetition};
use super::solve;

/// What is known of a plan. At most two of the first four; `inference` only where the size is free.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Known {
    /// Training FLOPs, 6 N D.
    pub flops: Option<f64>,
    /// Parameters in the law's own convention.
    pub params: Option<f64>,
    /// Training tokens, repeated ones counted again.
    pub tokens: Option<f64>,
    /// Loss to be reached, nats per token of the law's own text.
    pub loss: Option<f64>,
    /// Tokens that the model will read and write in use.
    pub inference: Option<f64>,
    /// Tokens that differ; more are repetitions.
    pub unique: Option<f64>,
}

/// A question that has an answer in principle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    known: Known,
    kind: Kind,
}

/// What is given; the rest is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The best split of a budget.
    Budget(f64),
    /// The budget for which this size is best.
    Params(f64),
    /// The budget for which these tokens are best.
    Tokens(f64),
    /// The least budget that reaches this loss.
    Loss(f64),
    BudgetParams(f64, f64),
    BudgetTokens(f64, f64),
    ParamsTokens(f64, f64),
    ParamsLoss(f64, f64),
    TokensLoss(f64, f64),
}

/// A model and its training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Training FLOPs, 6 N D.
    pub flops: f64,
    /// N, in the law's own convention.
    pub params: f64,
    /// D.
    pub tokens: f64,
    /// L(N, D), nats per token.
    pub loss: f64,
}

/// Why a plan cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A number that cannot be.
    #[error("{what} is {value}: it must be {must}")]
    BadNumber {
        /// As the user knows it: `--flops`.
        what: &'static str,
        /// The number.
        value: f64,
        /// What to write instead.
        must: &'static str,
    },
    /// Too little, too much or contradictory.
    #[error("{0}")]
    Asked(String),
    /// No law has an answer.
    #[error("no law can answer this:\n{0}")]
    NoAnswer(String),
}

/// Why one law has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoAnswer {
    /// The loss is at or below what is left at infinite size and data.
    #[error("a loss of {loss} is out of reach: it never falls below {least:.4}{there}; ask for a higher one")]
    OutOfReach {
        /// Asked for.
        loss: f64,
        /// The limit.
        least: f64,
        /// ` with so many parameters`, or nothing.
        there: &'static str,
    },
    /// The law has no such statement.
    #[error("{0}")]
    Silent(&'static str),
}

impl Question {
    /// Checks what is known.
    ///
    /// # Errors
    /// [`PlanError`]: a number that is not positive and finite, nothing known, or more than can hold together.
    pub fn new(known: Known) -> Result<Self, PlanError> {
        let numbers = [
            ("--flops", known.flops),
            ("--params", known.params),
            ("--tokens", known.tokens),
            ("--loss", known.loss),
            ("--inference-tokens", known.inference),
            ("--unique-tokens", known.unique),
        ];
        for (what, value) in numbers {
            let may_be_zero = what == "--inference-tokens";
            if let Some(value) = value.filter(|v| !(v.is_finite() && (*v > 0.0 || may_be_zero && *v == 0.0))) {
                return Err(PlanError::BadNumber { what, value, must: "a positive finite number, such as 1e21" });
            }
        }
        let kind = match (known.flops, known.params, known.tokens, known.loss) {
            (None, None, None, None) => {
                return Err(PlanError::Asked(
                    "nothing to plan with: give a budget (--flops 1e21; --gpus, --hours, --gpu and --mfu; or --dollars), \
                     a size (--params), tokens (--tokens) or a loss to reach (--loss)"
                        .to_owned(),
                ));
            }
            (Some(c), None, None, None) => Kind::Budget(c),
            (None, Some(n), None, None) => Kind::Params(n),
            (None, None, Some(d), None) => Kind::Tokens(d),
            (None, None, None, Some(l)) => Kind::Loss(l),
            (Some(c), Some(n), None, None) => Kind::BudgetParams(c, n),
            (Some(c), None, Some(d), None) => Kind::BudgetTokens(c, d),
            (None, Some(n), Some(d), None) => Kind::ParamsTokens(n, d),
            (None, Some(n), None, Some(l)) => Kind::ParamsLoss(n, l),
            (None, None, Some(d), Some(l)) => Kind::TokensLoss(d, l),
            (Some(_), None, None, Some(_)) => {
                return Err(PlanError::Asked(
                    "a budget and a loss together leave no question: give --loss alone for the least budget that \
                     reaches it, or --flops alone for the loss that it reaches"
                        .to_owned(),
                ));
            }
            _ => {
                return Err(PlanError::Asked(
                    "the budget, --params, --tokens and --loss: any two of them decide the rest; leave the third out"
                        .to_owned(),
                ));
            }
        };
        if known.inference.is_some() && !matches!(kind, Kind::Budget(_) | Kind::Loss(_)) {
            return Err(PlanError::Asked(
                "--inference-tokens chooses the size, so it goes with a budget or with --loss alone: leave --params \
                 and --tokens out"
                    .to_owned(),
            ));
        }
        Ok(Question { known, kind })
    }

    /// What is known.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Whether the size or the tokens are the law's own choice.
    pub fn is_optimum(&self) -> bool {
        matches!(self.kind, Kind::Budget(_) | Kind::Params(_) | Kind::Tokens(_) | Kind::Loss(_))
    }

    /// The same question of models that nobody will use.
    pub(crate) fn without_inference(&self) -> Self {
        Question { known: Known { inference: None, ..self.known }, ..*self }
    }

    /// The best split of another budget, all else being the same.
    pub(crate) fn of_budget(&self, flops: f64) -> Self {
        Question { kind: Kind::Budget(flops), ..*self }
    }

    /// The same question of another number of parameters, for a law with another convention.
    pub(crate) fn with_params(&self, convert: impl Fn(f64) -> f64) -> Self {
        let kind = match self.kind {
            Kind::Params(n) => Kind::Params(convert(n)),
            Kind::BudgetParams(c, n) => Kind::BudgetParams(c, convert(n)),
            Kind::ParamsTokens(n, d) => Kind::ParamsTokens(convert(n), d),
            Kind::ParamsLoss(n, l) => Kind::ParamsLoss(convert(n), l),
            other => other,
        };
        Question { kind, ..*self }
    }

    /// The answer of one law.
    ///
    /// # Errors
    /// [`NoAnswer`] where the law is silent or the loss out of reach.
    pub fn answer(&self, form: &Form) -> Result<Point, NoAnswer> {
        let law = solve::Surface::new(form, self.known.unique.map(Repetition::published));
        let with_surface = !matches!(form, Form::Frontier(..));
        let has_surface = || {
            if with_surface {
                Ok(())
            } else {
                Err(NoAnswer::Silent("it says how a budget is best split, and nothing about other splits or losses"))
            }
        };
        match self.kind {
            Kind::Budget(c) => {
                let best = law.optimum(c);
                self.in_use(form, &law, best)
            }
            Kind::Params(n) => law.budget_where(|p| p.params, n),
            Kind::Tokens(d) => law.budget_where(|p| p.tokens, d),
            Kind::Loss(l) => {
                has_surface()?;
                let best = law.budget_of_loss(l)?;
                self.in_use(form, &law, best)
            }
            Kind::BudgetParams(c, n) => has_surface().map(|()| law.point(n, c / (6.0 * n))),
            Kind::BudgetTokens(c, d) => has_surface().map(|()| law.point(c / (6.0 * d), d)),
            Kind::ParamsTokens(n, d) => has_surface().map(|()| law.point(n, d)),
            Kind::ParamsLoss(n, l) => has_surface().and_then(|()| law.tokens_of_loss(n, l)).map(|d| law.point(n, d)),
            Kind::TokensLoss(d, l) => has_surface().and_then(|()| law.params_of_loss(d, l)).map(|n| law.point(n, d)),
        }
    }

    /// The cheapest model of the same loss, training and use together.
    fn in_use(&self, form: &Form, law: &solve::Surface, best: Point) -> Result<Point, NoAnswer> {
        match (self.known.inference, form) {
            (None, _) => Ok(best),
            (Some(inference), Form::Surface(_)) => Ok(law.cheapest(&best, inference)),
            (Some(_), _) => Err(NoAnswer::Silent(
                "it has no loss for sizes other than the best, so it cannot weigh training against use",
            )),
        }
    }
}
