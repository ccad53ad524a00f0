//! What a larger model will score: from the shapes of the smaller ones, weighted as they were judged.

use crate::curve::{Curve, Fit, Fitter};
use crate::evidence::{Evidence, draw, draw_one, measured};
use crate::judge::{bounds, weigh};
use crate::sample::Sample;
use crate::{Ability, Analysis, Shape, Unjudgeable, reason::scale as readable};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use saltus_stats::{mean, quantile};

/// Sizes that a forecast needs: a curve of two parameters and something to see its error by.
const SIZES: usize = 4;

/// A forecast reaches no further beyond the largest size than that lies above the smallest, on a logarithmic scale, and at
/// most a factor of e^5 (150) of parameters.
const REACH: f64 = 5.0;

/// A forecast of no use: its interval takes more than this share of what a score can be.
const USELESS: f64 = 0.8;

/// What a model of some size will score.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The median of the predictions.
    pub value: f64,
    /// Lower end of the 95% prediction interval: for the score that one new model will be measured to have on as many
    /// items.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard deviation of the predictions, for a log score.
    pub deviation: f64,
    /// The shapes that it stands on with their weights, heaviest first.
    pub shapes: Vec<(Shape, f64)>,
}

/// Why nothing is foretold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The scores cannot be judged at all.
    #[error(transparent)]
    Unjudgeable(#[from] Unjudgeable),
    /// Too few sizes.
    #[error("{0} sizes are too few for a forecast: measure at least {SIZES}")]
    TooFew(usize),
    /// The target is no larger model.
    #[error("{target} lies within the sizes measured (up to {largest}): a forecast is for a larger model")]
    Within {
        /// The size asked for.
        target: String,
        /// The largest size.
        largest: String,
    },
    /// Too far away.
    #[error("{target} is too far from the largest size, {largest}: the sizes measured reach to {reach} at most")]
    TooFar {
        /// The size asked for.
        target: String,
        /// The largest size.
        largest: String,
        /// As far as a forecast goes.
        reach: String,
    },
    /// Nothing has happened yet.
    #[error("every size is at chance: nothing tells whether and when the ability appears")]
    AllAtChance,
    /// The interval says nothing.
    #[error("the interval would reach from {low:.2} to {high:.2}: the sizes do not tell")]
    Useless {
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
}

/// Foretells the score of one new model of size `target`.
///
/// Every draw takes a shape by its weight, draws scores from its fitted curve as the models were measured, fits the shape
/// to them again, and adds to its value at `target` the noise of a new model and of its items. The interval so carries the
/// doubt about the shape, about its curve and about the model; not that all candidate shapes may be wrong.
///
/// # Errors
/// [`Refusal`]: a forecast that the data cannot support is none.
pub fn forecast(ability: &Ability, analysis: &Analysis, target: f64) -> Result<Forecast, Refusal> {
    let mut sample = Sample::read(ability)?;
    let x = sample.xs();
    if x.len() < SIZES {
        return Err(Refusal::TooFew(x.len()));
    }
    let exponent = sample.axis.exponent();
    let (first, last, at) = (x[0], x[x.len() - 1], target.ln() / exponent);
    let (target, largest) = (readable(target), readable((last * exponent).exp()));
    if at.is_nan() || at <= last {
        return Err(Refusal::Within { target, largest });
    }
    let reach = (last - first).min(REACH);
    if at > last + reach {
        return Err(Refusal::TooFar { target, largest, reach: readable(((last + reach) * exponent).exp()) });
    }
    let limits = bounds(&sample, analysis);
    if let Some(chance) = sample.chance()
        && sample
            .sizes
            .iter()
            .enumerate()
            .all(|(j, s)| sample.interval(j).low <= chance + analysis.delta && s.mean <= chance + 2.0 * analysis.delta)
    {
        return Err(Refusal::AllAtChance);
    }
    let evidence = Evidence::new(&sample, &measured(&sample));
    let fitter = Fitter::new(&x, limits);
    let (fits, weights) = weigh(&Shape::CANDIDATES.map(|shape| fitter.fit(shape, &evidence)), &evidence);
    if let Some(fit) = (0..fits.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).and_then(|best| fits[best]) {
        sample.explain(fit.curve.parameters(), |x| fit.curve.at(x));
    }
    let mut forms = predictions(&sample, &fitter, &fits, &weights, (analysis, at));
    forms.iter_mut().flatten().for_each(|v| *v = sample.turn(*v));
    // How a bend goes on has not been seen, so nothing weighs its forms: the interval holds that of each.
    let [low, high] = [(0.025, f64::min as fn(f64, f64) -> f64), (0.975, f64::max)]
        .map(|(p, outermost)| forms.iter().map(|form| quantile(form, p)).reduce(outermost).unwrap_or(f64::NAN));
    let predictions = forms.concat();
    let value = quantile(&predictions, 0.5);
    let (from, to) = sample.range;
    if to.is_finite() && high - low > USELESS * (to - from) {
        return Err(Refusal::Useless { low, high });
    }
    let mut shapes: Vec<(Shape, f64)> =
        Shape::CANDIDATES.into_iter().zip(weights).filter(|(_, w)| *w >= 0.01).collect();
    shapes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let centre = mean(&predictions);
    let deviation = saltus_stats::variance(&predictions).sqrt().max(1e-9 * centre.abs().max(1.0));
    Ok(Forecast { value, low, high, deviation, shapes })
}

fn predictions(
    sample: &Sample,
    fitter: &Fitter,
    fits: &[Option<Fit>; 6],
    weights: &[f64; 6],
    (analysis, at): (&Analysis, f64),
) -> [Vec<f64>; 3] {
    let key = analysis.key.child("forecast");
    let last = sample.sizes.len() - 1;
    let between = sample.between_models();
    let clip = |v: f64| v.clamp(sample.range.0, sample.range.1);
    let one = |b: u64| -> Option<[f64; 3]> {
        let mut rng = key.index(b).rng();
        let chosen = choose(weights, &mut rng);
        let fit = fits[chosen]?;
        let truth: Vec<f64> = sample.xs().iter().map(|&x| fit.curve.at(x)).collect();
        let mut outcome = draw(sample, &truth, &mut rng);
        for model in outcome.iter_mut().flatten() {
            let z: f64 = StandardNormal.sample(&mut rng);
            model.0 = clip(model.0 + z * between.sqrt());
        }
        let evidence = Evidence::new(sample, &outcome);
        let again = fitter.fit(Shape::CANDIDATES[chosen], &evidence);
        let models = evidence.models;
        let best = again.into_iter().min_by(|a, b| a.bic(models, 1.0).total_cmp(&b.bic(models, 1.0))).unwrap_or(fit);
        let seen: Vec<f64> =
            truth.iter().zip(&evidence.mean).zip(&sample.sizes).map(|((t, e), s)| s.mean + e - t).collect();
        let z: f64 = StandardNormal.sample(&mut rng);
        let expected = beyond(&best.curve, at, (sample, &seen), &mut rng).map(|v| clip(clip(v) + z * between.sqrt()));
        // The same luck for each form: forms that are the same stay so.
        let luck = key.index(b).child("model");
        Some(expected.map(|v| clip(draw_one(sample, last, v, &mut luck.rng()))))
    };
    let drawn: Vec<[f64; 3]> = (0..analysis.resamples as u64).filter_map(one).collect();
    [0, 1, 2].map(|form| drawn.iter().map(|d| d[form]).collect())
}

/// The curve's value beyond the largest size, in three forms. Where the sizes end on an arm of a bend, it may level off, go on
/// as a line, or go on bending as the parabola through the sizes from the arm before it on (`seen`: their means as measured,
/// with the noise of this draw). Otherwise the forms are the same; where only the largest size is past the middle of a rise,
/// the rise may go on, in half of the draws, and end anywhere.
fn beyond(curve: &Curve, at: f64, (sample, seen): (&Sample, &[f64]), rng: &mut impl Rng) -> [f64; 3] {
    let (x, value, goes_on) = (sample.xs(), curve.at(at), rng.random::<bool>());
    match *curve {
        Curve::Bend { x0, x1, at: turn, bend, right, .. } if x1 >= x[x.len() - 1] => {
            let line = bend + (right - bend) * (at - turn) / (x1 - turn);
            let first = x.iter().take_while(|x| **x < x0).count();
            [value, line, parabola(&x[first..], &seen[first..]).map_or(line, |p| p(at))]
        }
        Curve::Step { left, right, mid, .. } if goes_on && x.iter().filter(|x| **x > mid).count() <= 1 => {
            let end = if right > left { sample.range.1 } else { sample.range.0 };
            let end = if end.is_finite() { end } else { value + right - left };
            [value + rng.random::<f64>() * (end - value); 3]
        }
        _ => [value; 3],
    }
}

/// The parabola of least squares through points; `None` of three or fewer, which leave nothing to see its error by.
fn parabola(x: &[f64], y: &[f64]) -> Option<impl Fn(f64) -> f64 + use<>> {
    if x.len() < 4 {
        return None;
    }
    let (centre, level) = (mean(x), mean(y));
    // Orthogonal polynomials: 1, x, and x^2 less what those two say of it.
    let u: Vec<f64> = x.iter().map(|x| x - centre).collect();
    let sum = |f: &dyn Fn(f64) -> f64| u.iter().map(|u| f(*u)).sum::<f64>();
    let (squares, width) = (sum(&|u| u * u), sum(&|u| u * u) / u.len() as f64);
    let skew = sum(&|u| u * u * u) / squares;
    let second = move |u: f64| u * u - skew * u - width;
    let slope = u.iter().zip(y).map(|(u, y)| u * y).sum::<f64>() / squares;
    let bend = u.iter().zip(y).map(|(u, y)| second(*u) * y).sum::<f64>() / sum(&|u| second(u).powi(2));
    Some(move |x: f64| level + slope * (x - centre) + bend * second(x - centre))
}

/// A shape by its weight.
fn choose(weights: &[f64; 6], rng: &mut impl Rng) -> usize {
    let mut rest: f64 = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest <= 0.0 {
            return i;
        }
    }
    weights.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_followed_exactly_and_three_points_tell_nothing() {
        let x = [1.0, 2.5, 3.0, 4.0, 7.0];
        let f = |x: f64| 2.0 - 3.0 * x + 0.5 * x * x;
        let found = parabola(&x, &x.map(f)).expect("five points");
        assert!((found(9.0) - f(9.0)).abs() < 1e-9, "{}", found(9.0));
        assert!(parabola(&x[..3], &[0.0; 3]).is_none());
    }
}
