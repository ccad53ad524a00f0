//! From measurements to a verdict: weights for the shapes, then the test that the leading one must pass.

use crate::curve::{Bounds, Fit, Fitter};
use crate::evidence::{Evidence, draw, measured};
use crate::sample::Sample;
use crate::threshold::threshold;
use crate::{Ability, Analysis, Kind, Shape, Unjudgeable, Verdict, reason};
use saltus_stats::{Slope, largest_gap, t_quantile};

/// A shape is named only if it carries at least this weight: twice that of all the others together.
pub const DECISIVE: f64 = 2.0 / 3.0;

/// Points on the reported curve.
const CURVE_POINTS: usize = 65;

/// Resampling for the break stops when this many resamples were as extreme as the data: p is then known well enough not
/// to be small (Besag & Clifford 1991).
const ENOUGH_EXCEEDANCES: usize = 20;

/// How the leading shape fared in its test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// Too few sizes to test anything.
    TooFew,
    /// Slope of a line over ln(scale): p-value.
    Slope(f64),
    /// The 95% interval of the change over the tested range, which flatness must keep near zero.
    Change(f64, f64),
    /// Sup-LR of a break against smooth growth: p-value.
    Break(f64),
    /// Two-lines: p-values before and after, opposite slopes of the right signs or not.
    TwoLines(f64, f64, bool),
}

/// What `judge` found, for the sentence.
pub(crate) struct Findings<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) analysis: &'a Analysis,
    pub(crate) leading: Shape,
    pub(crate) weights: [f64; 6],
    pub(crate) test: Test,
    pub(crate) disagreement: Vec<usize>,
    pub(crate) certified: Option<usize>,
}

/// Judges one ability: points with intervals, the weight of each shape, the verdict and how it came about.
///
/// The definitions of the shapes are in the crate's documentation. Deterministic: all resampling hangs on
/// `analysis.key`, so give each ability its own child.
pub fn judge(ability: &Ability, analysis: &Analysis) -> Result<Verdict, Unjudgeable> {
    let mut sample = Sample::read(ability)?;
    let x = sample.xs();
    if x.len() < 3 {
        return Ok(too_few(&sample, analysis));
    }
    let evidence = Evidence::new(&sample, &measured(&sample));
    let fitter = Fitter::new(&x, bounds(&sample, analysis));
    let (fits, weights) = weigh(&Shape::CANDIDATES.map(|shape| fitter.fit(shape, &evidence)), &evidence);
    let best = (0..fits.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
    let leading = Shape::CANDIDATES[best];
    if let Some(fit) = fits[best] {
        sample.explain(fit.curve.parameters(), |x| fit.curve.at(x));
    }
    let test = match leading {
        Shape::Flat => change(&sample),
        Shape::Emergent if weights[best] >= DECISIVE => {
            Test::Break(break_p_value(&sample, &fitter, &evidence, analysis))
        }
        Shape::Emergent => Test::Break(f64::NAN),
        Shape::UShaped | Shape::InvertedU => bend_test(&sample, leading),
        _ => slope_test(&sample),
    };
    let disagreement = disagreement(&sample, analysis);
    let found = Findings {
        sample: &sample,
        analysis,
        leading,
        weights,
        test,
        disagreement,
        certified: sample.certified(analysis),
    };
    let shape = decide(&found);
    let curve = fits[best].map_or(Vec::new(), |f| trace(&sample, &f));
    let floor = fits[best].map(|f| f.curve.at(sample.sizes[0].x));
    Ok(Verdict {
        points: sample.points(),
        shape,
        weights,
        threshold: (shape == Shape::Emergent).then(|| threshold(&sample, analysis, floor)).flatten(),
        curve,
        p_value: p_value(&found.test),
        p_adjusted: None,
        disagreement: found.disagreement.iter().map(|&j| sample.sizes[j].scale).collect(),
        reason: reason::sentence(&found, shape),
    })
}

pub(crate) fn bounds(sample: &Sample, analysis: &Analysis) -> Bounds {
    let delta = analysis.delta;
    let least = 2.0 * delta * if sample.kind == Kind::Unbounded { sample.change() } else { 1.0 };
    // A size whose lower bound is above the line is not at chance, whatever a curve says.
    let floor = sample.chance().is_none_or(|c| (0..2).all(|j| sample.interval(j).low <= c + delta));
    Bounds { range: sample.range, chance: sample.chance(), delta, least, floor }
}

fn too_few(sample: &Sample, analysis: &Analysis) -> Verdict {
    let weights = [1.0 / 6.0; 6];
    let found = Findings {
        sample,
        analysis,
        leading: Shape::Undetermined,
        weights,
        test: Test::TooFew,
        disagreement: disagreement(sample, analysis),
        certified: None,
    };
    Verdict {
        points: sample.points(),
        shape: Shape::Undetermined,
        weights,
        threshold: None,
        curve: Vec::new(),
        p_value: None,
        p_adjusted: None,
        disagreement: found.disagreement.iter().map(|&j| sample.sizes[j].scale).collect(),
        reason: reason::sentence(&found, Shape::Undetermined),
    }
}

/// The best curve of each shape, and weights proportional to exp(-BIC/2), the number of observations being the number
/// of models.
///
/// If even the best candidate misses the sizes' means by more than the seeds' spread allows, all likelihoods are
/// tempered by the misfit per degree of freedom (c-hat of Burnham & Anderson 2002), which spreads the weights.
pub(crate) fn weigh(candidates: &[Vec<Fit>; 6], evidence: &Evidence) -> ([Option<Fit>; 6], [f64; 6]) {
    let (sizes, saturated) = (evidence.x.len(), evidence.saturated());
    let inflation = candidates
        .iter()
        .flatten()
        .filter(|f| f.curve.parameters() < sizes)
        .map(|f| misfit(f, evidence, saturated))
        .fold(f64::INFINITY, f64::min);
    let inflation = if inflation.is_finite() { inflation } else { 1.0 };
    let bic = |f: &Fit| f.bic(evidence.models, inflation);
    let best =
        [0, 1, 2, 3, 4, 5].map(|i: usize| candidates[i].iter().copied().min_by(|a, b| bic(a).total_cmp(&bic(b))));
    let bics = best.map(|f| f.map_or(f64::INFINITY, |f| bic(&f)));
    let least = bics.iter().copied().fold(f64::INFINITY, f64::min);
    let raw = bics.map(|b| (-0.5 * (b - least)).exp());
    let total: f64 = raw.iter().sum();
    (best, raw.map(|w| w / total))
}

/// p-value of a break against smooth growth, by parametric bootstrap of the sup-LR statistic: the break's place does not
/// exist under the null, so no chi-square holds (Andrews & Ploberger 1994).
fn break_p_value(sample: &Sample, fitter: &Fitter, e: &Evidence, analysis: &Analysis) -> f64 {
    let Some(null) = fitter.gentle(e) else { return f64::NAN };
    let observed = sup_lr(fitter, e);
    let truth: Vec<f64> = e.x.iter().map(|&x| null.curve.at(x)).collect();
    let key = analysis.key.child("break");
    let mut exceeded = 0;
    for b in 0..analysis.resamples {
        let outcome = draw(sample, &truth, &mut key.index(b as u64).rng());
        if sup_lr(fitter, &Evidence::new(sample, &outcome)) >= observed {
            exceeded += 1;
        }
        if exceeded == ENOUGH_EXCEEDANCES {
            return exceeded as f64 / (b + 1) as f64;
        }
    }
    (exceeded + 1) as f64 / (analysis.resamples + 1) as f64
}

/// Log-likelihood ratio of the best steep against the best gentle rise, divided by the misfit of the better one: where
/// sizes scatter about any curve by more than their seeds do, a ratio means less.
fn sup_lr(fitter: &Fitter, e: &Evidence) -> f64 {
    match (fitter.steep(e), fitter.gentle(e)) {
        (Some(steep), Some(gentle)) => {
            let better = if steep.log_likelihood > gentle.log_likelihood { &steep } else { &gentle };
            (steep.log_likelihood - gentle.log_likelihood) / misfit(better, e, e.saturated())
        }
        _ => f64::NEG_INFINITY,
    }
}

/// c-hat of a fit: its deviance from the saturated model per degree of freedom, at least 1.
fn misfit(fit: &Fit, e: &Evidence, saturated: f64) -> f64 {
    let dof = e.x.len() as f64 - fit.curve.parameters() as f64;
    if dof > 0.0 { (2.0 * (saturated - fit.log_likelihood) / dof).max(1.0) } else { 1.0 }
}

/// Interval of the change from the smallest to the largest size along a straight line.
fn change(sample: &Sample) -> Test {
    let last = sample.sizes.len() - 1;
    let range = sample.sizes[last].x - sample.sizes[0].x;
    let models: usize = sample.sizes.iter().map(|s| s.models.len()).sum();
    sample.slope(0, last).map_or(Test::TooFew, |s| {
        let half = t_quantile(0.975, models as f64 - 2.0) * s.se;
        Test::Change((s.value - half) * range, (s.value + half) * range)
    })
}

fn slope_test(sample: &Sample) -> Test {
    sample.slope(0, sample.sizes.len() - 1).map_or(Test::TooFew, |s| Test::Slope(s.p))
}

/// The two-lines test, broken at a size within the flat region around the extreme, nearer to the weaker side (Simonsohn's
/// "Robin Hood" rule). What lies at the break belongs to both sides.
fn bend_test(sample: &Sample, shape: Shape) -> Test {
    let sign = if shape == Shape::UShaped { 1.0 } else { -1.0 };
    let n = sample.sizes.len();
    let value = |j: usize| sign * sample.sizes[j].mean;
    let extreme = (1..n - 1).min_by(|&a, &b| value(a).total_cmp(&value(b))).unwrap_or(1);
    let error = sample.standard_error(extreme);
    let level = |j: &usize| value(*j) <= value(extreme) + error;
    let first = (1..=extreme).rev().take_while(level).last().unwrap_or(extreme);
    let last = (extreme..n - 1).take_while(level).last().unwrap_or(extreme);
    let at = |j: usize| sample.sizes[j].x;
    let z = |s: Slope| if s.se > 0.0 { (s.value / s.se).abs() } else { 1e3 };
    let sides = |j: usize| Some((sample.slope(0, j)?, sample.slope(j, n - 1)?));
    // The stronger side gives points to the weaker one: the break moves towards the stronger.
    let share = sides((first + last) / 2).map_or(0.5, |(before, after)| z(before) / (z(before) + z(after)).max(1e-12));
    let place = at(first) + share * (at(last) - at(first));
    let distance = |j: usize| (at(j) - place).abs();
    let nearest = (first..=last).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(extreme);
    let Some((before, after)) = sides(nearest) else { return Test::TooFew };
    let opposite = sign * before.value < 0.0 && sign * after.value > 0.0;
    Test::TwoLines(before.p, after.p, opposite)
}

/// Sizes at which some seeds have the ability and some have not: a gap of more than half of the whole range, and far
/// beyond item noise.
fn disagreement(sample: &Sample, analysis: &Analysis) -> Vec<usize> {
    let (_, means) = sample.models();
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let least = if sample.kind == Kind::Unbounded { 0.0 } else { 2.0 * analysis.delta };
    let wide = |j: &usize| {
        let size = &sample.sizes[*j];
        let means: Vec<f64> = size.models.iter().map(|m| m.mean).collect();
        // The difference of two models' means has twice the noise of one: four standard errors.
        let noise = 4.0 * (2.0 * size.seen.noise).sqrt();
        largest_gap(&means).is_some_and(|(a, b)| b - a > (0.5 * (high - low)).max(least).max(noise))
    };
    (0..sample.sizes.len()).filter(wide).collect()
}

fn p_value(test: &Test) -> Option<f64> {
    match *test {
        Test::Slope(p) | Test::Break(p) => p.is_finite().then_some(p),
        Test::TwoLines(before, after, _) => Some(before.max(after)),
        Test::TooFew | Test::Change(..) => None,
    }
}

/// The leading shape, if its weight is decisive and it passes its test.
fn decide(found: &Findings) -> Shape {
    let weight = found.weights.iter().copied().fold(0.0, f64::max);
    if weight < DECISIVE || !passed(found) {
        return Shape::Undetermined;
    }
    found.leading
}

/// Whether the leading shape passes its test.
pub(crate) fn passed(found: &Findings) -> bool {
    let analysis = found.analysis;
    match found.test {
        Test::TooFew => false,
        Test::Slope(p) => p <= analysis.alpha && !(found.leading == Shape::Smooth && found.sample.all_or_none()),
        Test::Change(low, high) => {
            // A score without a scale of its own is measured by its size.
            let sizes = &found.sample.sizes;
            let level = sizes.iter().map(|s| s.mean.abs()).sum::<f64>() / sizes.len() as f64;
            let near = 2.0 * analysis.delta * if found.sample.kind == Kind::Unbounded { level } else { 1.0 };
            -near <= low && high <= near
        }
        Test::Break(p) => p <= analysis.alpha && present(found),
        Test::TwoLines(before, after, opposite) => opposite && before.max(after) <= analysis.alpha,
    }
}

/// Whether the ability is there at the largest sizes beyond doubt, and was not at the smallest two.
pub(crate) fn present(found: &Findings) -> bool {
    let last = found.sample.sizes.len() - 1;
    let certain = found.certified.is_some_and(|j| j >= 2) || found.sample.kind == Kind::Unbounded;
    certain && !found.disagreement.contains(&last)
}

fn trace(sample: &Sample, fit: &Fit) -> Vec<(f64, f64)> {
    let (first, last) = (sample.sizes[0].x, sample.sizes[sample.sizes.len() - 1].x);
    let place = |i: usize| first + (last - first) * i as f64 / (CURVE_POINTS - 1) as f64;
    (0..CURVE_POINTS)
        .map(|i| ((place(i) * sample.axis.exponent()).exp(), sample.turn(fit.curve.at(place(i)))))
        .collect()
}
