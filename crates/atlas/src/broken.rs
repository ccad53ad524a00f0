//! Forecasts by a broken power law of the scale.

use crate::{abilities::Ability, forecast::Prediction, metric::Form};
use saltus_emergence::{Analysis, Scores};
use saltus_law::{Run, Shape, search};
use saltus_random::Key;
use saltus_stats::mean;

/// Refits of the law at most: it has six parameters and is slow to fit.
const REFITS: usize = 99;
/// Huber threshold on logarithmic residuals, that of the laws.
const DELTA: f64 = 1e-3;

/// Fits y = a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1) (arXiv 2210.14891, equation 1, one break) to what is missing to a
/// perfect score, or to the loss itself, and follows it to `scale`. The interval holds refits on resampled models and the
/// scatter about the law.
pub(crate) fn forecast(ability: &Ability, analysis: &Analysis, scale: f64) -> Result<(Prediction, String), String> {
    let e = &ability.ability;
    let bounded = !matches!(ability.form.form, Form::Unbounded | Form::Perplexity);
    if !bounded && e.higher_is_better {
        return Err("a score without an upper end that is better higher has no broken law: it is of losses".into());
    }
    let missing = |score: f64| if bounded && e.higher_is_better { 1.0 - score } else { score };
    let mut runs = Vec::with_capacity(e.measurements.len());
    for (i, m) in e.measurements.iter().enumerate() {
        let (score, items) = match &m.scores {
            Scores::Mean { value, items, .. } => (*value, f64::from(*items)),
            Scores::Items(all) => {
                let scored: Vec<f64> = all.iter().copied().filter(|v| v.is_finite()).collect();
                (mean(&scored), scored.len() as f64)
            }
        };
        // Nothing missing in n items is not nothing missing.
        let floor = if bounded { 0.5 / items.max(1.0) } else { 0.0 };
        let loss = missing(score).max(floor);
        if loss.is_finite() && loss > 0.0 {
            runs.push(Run { params: m.scale, tokens: m.scale, unique: m.scale, loss, cluster: i as u64 });
        }
    }
    let largest = runs.iter().map(|run| run.params).fold(0.0, f64::max);
    let smallest = runs.iter().map(|run| run.params).fold(f64::INFINITY, f64::min);
    let mut scales: Vec<f64> = runs.iter().map(|run| run.params).collect();
    scales.sort_by(f64::total_cmp);
    scales.dedup();
    if scales.len() < Shape::Broken.needs() {
        let (needed, found) = (Shape::Broken.needs(), scales.len());
        return Err(format!("a broken law has six parameters and needs {needed} sizes, there are {found}"));
    }
    if scale <= largest || scale / largest > largest / smallest {
        return Err(format!(
            "it reaches from the largest size, {largest:.3e}, as far as the sizes measured, not {scale:.3e}"
        ));
    }
    let refits = analysis.resamples.min(REFITS);
    let fit = search(Shape::Broken, &runs, DELTA, refits, analysis.key.child("bnsl")).map_err(|e| e.to_string())?;
    let at = Run { params: scale, tokens: scale, unique: scale, loss: f64::NAN, cluster: 0 };
    let draws = draws(&fit, &at, analysis.key.child("bnsl noise"), analysis.resamples);
    let back: Vec<f64> = draws.into_iter().map(|y| if bounded { missing(y.clamp(0.0, 1.0)) } else { y }).collect();
    let [a, _, c0, c1, d1, _] = fit.values[..] else { return Err("the law has other parameters".into()) };
    let grounds = format!("limit {a:.3}, exponent {c0:.3} and {:.3} beyond {d1:.2e}", c0 + c1);
    Ok((Prediction::of_draws(&back, bounded)?, grounds))
}

/// Losses at `run` by the refits, each with the scatter of a residual, widened for the parameters that were fitted.
fn draws(fit: &saltus_law::Searched, run: &Run, key: Key, count: usize) -> Vec<f64> {
    use rand::RngExt;
    let mut rng = key.rng();
    let n = fit.residuals.len();
    let widen = (n as f64 / (n as f64 - fit.values.len() as f64).max(1.0)).sqrt();
    let one = |_| {
        let values = &fit.resamples[rng.random_range(0..fit.resamples.len())];
        fit.shape.loss(values, run) * (widen * fit.residuals[rng.random_range(0..n)]).exp()
    };
    (0..count).map(one).filter(|y| y.is_finite()).collect()
}
