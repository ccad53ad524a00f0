//! Budgets, sizes, tokens and losses from one another, by closed form where there is one, else by bisection and golden
//! section in logarithms.

use super::form::{Form, Repetition, kaplan_budget_loss};
use super::question::{NoAnswer, Point};
use crate::observation::Flops;

/// A law with the data that it is used on.
pub(crate) struct Surface<'a> {
    form: &'a Form,
    repetition: Option<Repetition>,
}

/// ln of quantities that no plan exceeds: models, tokens and budgets.
const LARGEST: f64 = 160.0;

impl<'a> Surface<'a> {
    /// Repetition acts on laws of the form E + A/N^alpha + B/D^beta, the only one that it was fitted with.
    pub(crate) fn new(form: &'a Form, repetition: Option<Repetition>) -> Self {
        Surface { form, repetition: repetition.filter(|_| matches!(form, Form::Surface(_))) }
    }

    pub(crate) fn loss(&self, params: f64, tokens: f64) -> f64 {
        match (self.form, self.repetition) {
            (Form::Surface(law), Some(repetition)) => repetition.loss(law, params, tokens),
            (form, _) => form.loss(params, tokens),
        }
    }

    pub(crate) fn point(&self, params: f64, tokens: f64) -> Point {
        Point { flops: 6.0 * params * tokens, params, tokens, loss: self.loss(params, tokens) }
    }

    /// The best split of a budget.
    pub(crate) fn optimum(&self, budget: f64) -> Point {
        let fresh = self.form.best_params(budget);
        let params = match self.repetition {
            Some(repetition) if budget / (6.0 * fresh) > repetition.unique => {
                let loss = |x: f64| self.loss(x.exp(), budget / 6.0 / x.exp());
                least(loss, fresh.ln() - 15.0, fresh.ln() + 15.0).exp()
            }
            _ => fresh,
        };
        let point = Point { flops: budget, ..self.point(params, budget / (6.0 * params)) };
        match self.form {
            Form::Kaplan(..) => Point { loss: kaplan_budget_loss(Flops(budget)), ..point },
            _ => point,
        }
    }

    /// The budget whose best split has this value of a quantity that rises with the budget.
    pub(crate) fn budget_where(&self, quantity: impl Fn(&Point) -> f64, value: f64) -> Result<Point, NoAnswer> {
        if self.repetition.is_none() {
            let split = self.form.frontier();
            let [by_params, by_tokens] = [split.budget_of_params(value), split.budget_of_tokens(value)];
            let [a, b] = [by_params, by_tokens].map(|budget| self.optimum(budget));
            let off = |p: &Point| (quantity(p) / value).ln().abs();
            return Ok(if off(&a) <= off(&b) { a } else { b });
        }
        let ln = rising(|x| quantity(&self.optimum(x.exp())), value, 1.0, LARGEST);
        Ok(self.optimum(ln.exp()))
    }

    /// The least budget that reaches a loss.
    pub(crate) fn budget_of_loss(&self, loss: f64) -> Result<Point, NoAnswer> {
        self.reachable(loss, self.loss(LARGEST.exp(), LARGEST.exp()), "")?;
        let ln = rising(|x| -self.optimum(x.exp()).loss, -loss, 1.0, 2.0 * LARGEST);
        Ok(self.optimum(ln.exp()))
    }

    /// Tokens with which a model of this size reaches a loss.
    pub(crate) fn tokens_of_loss(&self, params: f64, loss: f64) -> Result<f64, NoAnswer> {
        self.reachable(loss, self.loss(params, LARGEST.exp()), " at this size, however many the tokens")?;
        if let (Form::Surface(law), None) = (self.form, self.repetition) {
            return Ok((law.b / (loss - law.e - law.a / params.powf(law.alpha))).powf(1.0 / law.beta));
        }
        Ok(rising(|x| -self.loss(params, x.exp()), -loss, 0.0, LARGEST).exp())
    }

    /// Parameters with which a model reaches a loss on so many tokens.
    pub(crate) fn params_of_loss(&self, tokens: f64, loss: f64) -> Result<f64, NoAnswer> {
        self.reachable(loss, self.loss(LARGEST.exp(), tokens), " with so many tokens, however large the model")?;
        if let (Form::Surface(law), None) = (self.form, self.repetition) {
            return Ok((law.a / (loss - law.e - law.b / tokens.powf(law.beta))).powf(1.0 / law.alpha));
        }
        Ok(rising(|x| -self.loss(x.exp(), tokens), -loss, 0.0, LARGEST).exp())
    }

    /// The model of the same loss as `best` with the least 6 N D + 2 N D_inf (arXiv 2401.00448, eq. 2). It is no larger
    /// than `best`: a larger one costs more in training and in use.
    pub(crate) fn cheapest(&self, best: &Point, inference: f64) -> Point {
        let cost = |x: f64| match self.tokens_of_loss(x.exp(), best.loss) {
            Ok(tokens) => 6.0 * x.exp() * tokens + 2.0 * x.exp() * inference,
            Err(_) => f64::INFINITY,
        };
        if inference == 0.0 {
            return *best;
        }
        // The smallest size that reaches the loss at all, as tokens grow without end.
        let high = best.params.ln();
        let enough = |x: f64| if cost(x).is_finite() { 1.0 } else { 0.0 };
        let low = rising(enough, 0.5, high - 30.0, high);
        let params = least(cost, low, high).exp();
        match self.tokens_of_loss(params, best.loss) {
            Ok(tokens) => self.point(params, tokens),
            Err(_) => *best,
        }
    }

    fn reachable(&self, loss: f64, least: f64, there: &'static str) -> Result<(), NoAnswer> {
        if loss > least * (1.0 + 1e-9) { Ok(()) } else { Err(NoAnswer::OutOfReach { loss, least, there }) }
    }
}

/// Where a rising function passes a value, by bisection to the last bits.
fn rising(f: impl Fn(f64) -> f64, value: f64, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if f(middle) < value {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Where a function with one valley is least, by a grid and a golden section in its lowest cell. Near a minimum a
/// function is flat, so the place is known to about half the digits, the value to all.
fn least(f: impl Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    const CELLS: usize = 24;
    const GOLDEN: f64 = 0.618_033_988_749_894_8;
    let at = |i: usize| low + (high - low) * i as f64 / CELLS as f64;
    let lowest = (0..=CELLS).min_by(|&i, &j| f(at(i)).total_cmp(&f(at(j)))).unwrap_or(0);
    let (mut a, mut b) = (at(lowest.saturating_sub(1)), at((lowest + 1).min(CELLS)));
    let (mut x, mut y) = (b - GOLDEN * (b - a), a + GOLDEN * (b - a));
    let (mut fx, mut fy) = (f(x), f(y));
    for _ in 0..44 {
        if fx < fy {
            (b, y, fy) = (y, x, fx);
            x = b - GOLDEN * (b - a);
            fx = f(x);
        } else {
            (a, x, fx) = (x, y, fy);
            y = a + GOLDEN * (b - a);
            fy = f(y);
        }
    }
    0.5 * (a + b)
}
