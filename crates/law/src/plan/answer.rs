//! One law's answer to a question, every number with its interval.

use super::form::{Form, convention};
use super::published::{BudgetLaw, Reading, kaplan_readings};
use super::question::{NoAnswer, Point, Question};
use crate::observation::Parameters;
use saltus_stats::quantile;

/// A value, and its 95% interval where the law's uncertainty is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Point estimate.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// What use after training costs, and what the plan saves there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InUse {
    /// Tokens read and written in use.
    pub tokens: f64,
    /// Training and use: 6 N D + 2 N D_inf.
    pub total_flops: f64,
    /// The best split of the budget, which has the same loss: its size.
    pub unaware_params: f64,
    /// Its tokens.
    pub unaware_tokens: f64,
    /// Its training and use.
    pub unaware_flops: f64,
}

/// How a budget k times as large is split.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// k.
    pub factor: f64,
    /// N* grows by so much.
    pub params: Estimate,
    /// D* grows by so much.
    pub tokens: Estimate,
    /// The loss then.
    pub loss: Estimate,
    /// For Kaplan, (parameters, tokens, source) by each reading of the advice.
    pub readings: Vec<(f64, f64, &'static str)>,
}

/// A law's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answer itself, without its intervals.
    pub point: Point,
    /// Training FLOPs, 6 N D.
    pub flops: Estimate,
    /// N in the law's own convention.
    pub params: Estimate,
    /// N with embeddings.
    pub params_total: Estimate,
    /// N without embeddings.
    pub params_non_embedding: Estimate,
    /// D, repeated tokens counted again.
    pub tokens: Estimate,
    /// Nats per token of the law's own text.
    pub loss: Estimate,
    /// D / N, N in the law's own convention.
    pub tokens_per_param: Estimate,
    /// D over the tokens that differ, where these are given.
    pub epochs: Option<Estimate>,
    /// Where the model's use is part of the question.
    pub in_use: Option<InUse>,
    /// Where growth is asked for.
    pub growth: Option<Growth>,
    /// What a reader must know of this answer.
    pub notes: Vec<String>,
}

/// The answer of `law`. `convention` is that of the parameters in the question; `times` asks how a budget so many times
/// as large is split.
///
/// # Errors
/// [`NoAnswer`] where the law is silent or the loss out of reach.
pub fn answer(
    law: &BudgetLaw,
    question: &Question,
    convention: Parameters,
    times: Option<f64>,
) -> Result<Answer, NoAnswer> {
    let question = &question.with_params(|n| converted(n, convention, law.parameters));
    let best = question.answer(&law.form)?;
    let draws: Vec<Option<Point>> = law.draws.iter().map(|form| question.answer(form).ok()).collect();
    let estimate = |quantity: &dyn Fn(&Point) -> f64| {
        estimate(quantity(&best), draws.iter().map(|draw| draw.as_ref().map(quantity)).collect())
    };
    let loss = match law.form {
        Form::Frontier(..) => Estimate { value: best.loss, low: None, high: None },
        _ => estimate(&|p| p.loss),
    };
    let known = question.known();
    Ok(Answer {
        point: best,
        flops: estimate(&|p| p.flops),
        params: estimate(&|p| p.params),
        params_total: estimate(&|p| converted(p.params, law.parameters, Parameters::Total)),
        params_non_embedding: estimate(&|p| converted(p.params, law.parameters, Parameters::NonEmbedding)),
        tokens: estimate(&|p| p.tokens),
        loss,
        tokens_per_param: estimate(&|p| p.tokens / p.params),
        epochs: known.unique.map(|unique| estimate(&|p| p.tokens / unique)),
        in_use: known.inference.and_then(|tokens| in_use(&law.form, question, &best, tokens)),
        growth: times.map(|factor| growth(law, question, &best, &draws, factor)).transpose()?,
        notes: notes(law, question, &best),
    })
}

/// Parameters of one convention in another (arXiv 2406.12907).
pub fn converted(params: f64, from: Parameters, to: Parameters) -> f64 {
    match (from, to) {
        (Parameters::NonEmbedding, Parameters::Total) => convention::total(params),
        (Parameters::Total, Parameters::NonEmbedding) => convention::non_embedding(params),
        _ => params,
    }
}

/// The 2.5th and 97.5th percentiles. A draw without an answer counts as infinitely large, and an infinite end is none.
fn estimate(value: f64, draws: Vec<Option<f64>>) -> Estimate {
    if draws.is_empty() || draws.iter().flatten().count() == 0 {
        return Estimate { value, low: None, high: None };
    }
    let all: Vec<f64> = draws.iter().map(|draw| draw.unwrap_or(f64::MAX)).collect();
    // Half the largest number: what a quantile between an answer and none at all exceeds.
    let end = |p| Some(quantile(&all, p)).filter(|end| *end < f64::MAX * 1e-6);
    Estimate { value, low: end(0.025), high: end(0.975) }
}

fn in_use(form: &Form, question: &Question, best: &Point, tokens: f64) -> Option<InUse> {
    let unaware = question.without_inference().answer(form).ok()?;
    let total = |p: &Point| p.flops + 2.0 * p.params * tokens;
    Some(InUse {
        tokens,
        total_flops: total(best),
        unaware_params: unaware.params,
        unaware_tokens: unaware.tokens,
        unaware_flops: total(&unaware),
    })
}

fn growth(
    law: &BudgetLaw,
    question: &Question,
    best: &Point,
    draws: &[Option<Point>],
    factor: f64,
) -> Result<Growth, NoAnswer> {
    // The budget that grows is that of training alone, also where use has a say in how it is spent.
    let then_of = |form: &Form| {
        let budget = question.without_inference().answer(form)?.flops;
        question.of_budget(budget * factor).answer(form)
    };
    let then = then_of(&law.form)?;
    let pairs: Vec<Option<(Point, Point)>> =
        law.draws.iter().zip(draws).map(|(form, now)| Some(((*now)?, then_of(form).ok()?))).collect();
    let of = |quantity: &dyn Fn(&Point, &Point) -> f64| {
        estimate(
            quantity(best, &then),
            pairs.iter().map(|p| p.as_ref().map(|(now, then)| quantity(now, then))).collect(),
        )
    };
    let loss = match law.form {
        Form::Frontier(..) => Estimate { value: then.loss, low: None, high: None },
        _ => of(&|_, then| then.loss),
    };
    let readings = match law.form {
        Form::Kaplan(..) => kaplan_readings().iter().map(|reading| grown(reading, factor)).collect(),
        _ => Vec::new(),
    };
    Ok(Growth {
        factor,
        params: of(&|now, then| then.params / now.params),
        tokens: of(&|now, then| then.tokens / now.tokens),
        loss,
        readings,
    })
}

fn grown(reading: &Reading, factor: f64) -> (f64, f64, &'static str) {
    (factor.powf(reading.params_exponent), factor.powf(reading.tokens_exponent), reading.source)
}

fn notes(law: &BudgetLaw, question: &Question, best: &Point) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(largest) = law.largest_budget.filter(|largest| best.flops > 2.0 * largest) {
        notes.push(format!(
            "extrapolated: it was fitted to budgets up to about {largest:.1e} FLOPs, {:.0} times less",
            best.flops / largest
        ));
    }
    if matches!(law.form, Form::Kaplan(..)) && !question.is_optimum() {
        notes.push(
            "its L(N, D) is the loss when training on D tokens no longer helps; the best split stops some 10% above"
                .to_owned(),
        );
    }
    if let Some(unique) = question.known().unique.filter(|unique| best.tokens > *unique) {
        match law.form {
            Form::Surface(_) if best.tokens > 16.0 * unique => notes.push(format!(
                "{:.0} passes over the data: beyond about 16 a further pass is worth almost nothing (arXiv 2305.16264)",
                best.tokens / unique
            )),
            Form::Surface(_) => {}
            _ => notes.push(format!(
                "it knows no repetition: its {:.1} passes over the data are counted as new tokens",
                best.tokens / unique
            )),
        }
    }
    notes
}
