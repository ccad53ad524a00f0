//! Scaling laws of the held-out loss as findings.

use crate::{findings::Book, plan::Study};
use saltus_corpus::Vocabulary;
use saltus_law::{
    self as law, Conventions, Fit, Flops, Observation, Observations, Parameters, Params, Settings, Tokens,
};
use saltus_lm::Tokenizer;
use saltus_report::findings::{Allocation, CurvePoint, Interval, Law, LawPoint, SizeCurve};

/// Points of a fitted curve.
const CURVE: usize = 40;

/// L(N), L(N,D) and the compute frontier, as far as the study supports them.
pub(crate) fn laws(book: &Book<'_>) -> Vec<Law> {
    let Some(data) = observations(book) else { return Vec::new() };
    let settings = Settings {
        delta: Settings::DELTA,
        resamples: book.study.resamples,
        key: book.study.key.child("analysis").child("laws"),
    };
    let mut laws = Vec::new();
    if let Ok(fit) = law::fit_size(&data, &settings) {
        let curve = fit.size_curve(CURVE).into_iter().map(|(Params(x), y)| CurvePoint { x, y: interval(y) }).collect();
        laws.push(finding(&fit, curve));
    }
    if let Ok(fit) = law::fit_size_tokens(&data, &settings) {
        let curve = fit.size_curve(CURVE).into_iter().map(|(Params(x), y)| CurvePoint { x, y: interval(y) }).collect();
        laws.push(Law { by_size: by_size(&fit), ..finding(&fit, curve) });
        laws.push(frontier(&fit, &data));
    }
    laws
}

/// The held-out loss of every checkpoint of the ladders that are no controls, after the warm-up of the learning rate.
fn observations(book: &Book<'_>) -> Option<Observations> {
    let warmup = |rung: &str, seed: u64, ladder: &str| {
        let rungs = book.study.models.iter().map(|m| &m.rung);
        let mut found = rungs.filter(|r| r.name == rung && r.seed == seed && r.ladder == ladder);
        found.next().map_or(0, |r| r.warmup_steps)
    };
    let losses = book.losses().into_iter().filter(|(m, _)| !m.cell.control);
    let run = |ladder: &str, rung: &str, seed: u64| {
        let is = |m: &crate::plan::ModelPlan| m.rung.ladder == ladder && m.rung.name == rung && m.rung.seed == seed;
        book.study.models.iter().position(is).unwrap_or_default() as u64
    };
    let all: Vec<Observation> = losses
        .filter(|(m, _)| {
            let made = &m.cell.made;
            m.cell.last || made.step > warmup(&m.cell.model.name, made.seed, &made.ladder)
        })
        .map(|(m, loss)| {
            let (key, made) = (&m.cell.model, &m.cell.made);
            let (params, tokens) = (Params(key.params_non_embedding as f64), Tokens(made.tokens as f64));
            let run = run(&made.ladder, &key.name, made.seed);
            Observation { params, tokens, flops: Flops::six_nd(params, tokens), loss, run, seed: made.seed }
        })
        .collect();
    let conventions = Conventions {
        parameters: Parameters::NonEmbedding,
        loss: "mean over the tokens of held-out text".into(),
        tokenizer: tokenizer(book.study),
    };
    Observations::new(all, conventions).ok().filter(|data| !data.all().is_empty())
}

/// What a token is.
fn tokenizer(study: &Study) -> String {
    let tokens = study.vocabulary.vocabulary();
    match study.vocabulary.as_ref() {
        Vocabulary::Char => format!("characters, {tokens} of them"),
        Vocabulary::Byte => "bytes".into(),
        Vocabulary::Trained(_) => format!("subwords, {tokens} of them"),
    }
}

fn finding<L: law::Law>(fit: &Fit<L>, curve: Vec<CurvePoint>) -> Law {
    Law {
        law: L::NAME.into(),
        formula: L::FORMULA.into(),
        params: fit.parameters().into_iter().map(|(name, value)| (name.to_string(), interval(value))).collect(),
        conventions: fit.data.conventions().facts(),
        r_squared: Some(fit.r_squared),
        points: fit.data.all().iter().map(point).collect(),
        curve,
        by_size: Vec::new(),
        allocation: Vec::new(),
        warnings: fit.warnings.iter().map(ToString::to_string).collect(),
    }
}

/// The fitted loss against tokens, one curve for each size.
fn by_size(fit: &Fit<law::SizeTokenLaw>) -> Vec<SizeCurve> {
    let mut sizes: Vec<f64> = fit.data.all().iter().map(|o| o.params.0).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let (Tokens(low), Tokens(high)) = fit.tokens;
    let tokens = |i: usize| (low.ln() + (high / low).ln() * i as f64 / (CURVE - 1) as f64).exp();
    let loss = |params: f64, tokens: f64| law::Law::loss(&fit.law, Params(params), Tokens(tokens));
    let curve = |params: f64| (0..CURVE).map(|i| (tokens(i), loss(params, tokens(i)))).collect();
    sizes.into_iter().map(|params| SizeCurve { params, points: curve(params) }).collect()
}

/// The frontier over the compute that was measured, and a decade more.
fn frontier(fit: &Fit<law::SizeTokenLaw>, data: &Observations) -> Law {
    let flops = data.all().iter().map(|o| o.flops.0);
    let (low, high) = flops.fold((f64::INFINITY, 0.0f64), |(low, high), c| (low.min(c), high.max(c)));
    let budget = |i: usize| Flops((low.ln() + (10.0 * high / low).ln() * i as f64 / (CURVE - 1) as f64).exp());
    let budgets: Vec<Flops> = (0..CURVE).map(budget).collect();
    let frontier = law::frontier(fit, &budgets);
    let params = [("a", frontier.params_exponent), ("b", frontier.tokens_exponent), ("G", frontier.balance)];
    let envelope = data.envelope();
    Law {
        law: "frontier".into(),
        formula: "N*(C) = G (C/6)^a, D*(C) = (C/6)^b / G, b = 1 - a".into(),
        params: params.into_iter().map(|(name, value)| (name.to_string(), interval(value))).collect(),
        conventions: data.conventions().facts(),
        r_squared: None,
        points: envelope
            .iter()
            .map(|p| LawPoint { params: p.params.0, tokens: p.tokens.0, flops: p.flops.0, loss: p.loss, seed: 0 })
            .collect(),
        curve: frontier.points.iter().map(|p| CurvePoint { x: p.flops.0, y: interval(p.loss) }).collect(),
        by_size: Vec::new(),
        allocation: frontier
            .points
            .iter()
            .map(|p| Allocation { flops: p.flops.0, params: interval(p.params), tokens: interval(p.tokens) })
            .collect(),
        warnings: fit.warnings.iter().map(ToString::to_string).collect(),
    }
}

fn point(o: &Observation) -> LawPoint {
    LawPoint { params: o.params.0, tokens: o.tokens.0, flops: o.flops.0, loss: o.loss, seed: o.seed }
}

fn interval(i: law::Interval) -> Interval {
    Interval { value: i.value, low: i.low, high: i.high }
}
