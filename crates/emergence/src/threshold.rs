//! Where an ability appears: interval-censored between tested sizes.

use crate::sample::{Sample, Size};
use crate::{Analysis, Threshold};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use saltus_random::Key;
use saltus_stats::{Resample, isotonic, quantile, resample};

/// The emergence scale of a sample with a chance level; `None` if the ability is not there beyond doubt at the largest
/// size, or is there already at the smallest.
///
/// The value is the smallest tested size from which on every lower bound exceeds chance + delta, as in the tables of Wei
/// et al. (arXiv 2206.07682). The bounds come from resampling items and seeds: the mean curve (made monotone) crosses
/// chance + delta between two tested sizes; `low` is the lower of them at the 2.5% quantile, `high` the upper at the
/// 97.5% quantile, and never below the value. `low` also lies no higher than the last size up to which every upper
/// bound stays below chance + delta: resampling three seeds cannot show the lucky fourth, the points' intervals allow
/// for it.
pub(crate) fn threshold(sample: &Sample, analysis: &Analysis) -> Option<Threshold> {
    let line = sample.chance()? + analysis.delta;
    let certified = sample.certified(analysis)?;
    if certified == 0 {
        return None;
    }
    let items = sample.sizes[0].models[0].scores.len();
    let seeds: Vec<usize> = sample.sizes.iter().map(|s| s.models.len()).collect();
    let key = analysis.key.child("threshold");
    let crossings: Vec<f64> = (0..analysis.resamples as u64)
        .map(|b| crossing(sample, &resample(key.index(b), items, &seeds), key.index(b), line) as f64)
        .collect();
    if crossings.is_empty() {
        return None;
    }
    let last = sample.sizes.len() - 1;
    let early = quantile(&crossings, 0.025).floor() as usize;
    let late = (quantile(&crossings, 0.975).ceil() as usize).clamp(certified, last);
    let absent = (0..certified).take_while(|&j| sample.interval(j).high <= line).count();
    let low = early.min(absent).saturating_sub(1);
    let scale = |j: usize| sample.sizes[j].scale;
    Some(Threshold { scale: scale(certified), low: scale(low), high: scale(late) })
}

/// Index of the first size at which the monotone curve of a resample is above `line`; the number of sizes if none is.
fn crossing(sample: &Sample, draw: &Resample, key: Key, line: f64) -> usize {
    let mut noise = key.child("means").rng();
    let means: Vec<f64> =
        sample.sizes.iter().zip(&draw.seeds).map(|(s, seeds)| resampled_mean(s, seeds, draw, &mut noise)).collect();
    let weights: Vec<f64> = sample.sizes.iter().map(|s| s.models.len() as f64).collect();
    isotonic(&means, &weights).iter().take_while(|m| **m <= line).count()
}

/// The mean of a resample. Its distance from the measured mean is widened by sqrt(r/(r-1)), what a bootstrap of r seeds
/// lacks. Where only means are known, their item noise is drawn for all seeds at once, as they share the items.
fn resampled_mean(size: &Size, seeds: &[usize], draw: &Resample, noise: &mut impl Rng) -> f64 {
    let mean_of = |seed: usize| {
        let (mut sum, mut count) = (0.0, 0.0);
        for (x, &n) in size.models[seed].scores.iter().zip(&draw.items).filter(|(x, n)| **n > 0 && x.is_finite()) {
            sum += x * f64::from(n);
            count += f64::from(n);
        }
        if count > 0.0 { sum / count } else { size.models[seed].mean }
    };
    let r = seeds.len() as f64;
    let mean = seeds.iter().map(|&s| mean_of(s)).sum::<f64>() / r;
    let widen = if r > 1.0 { (r / (r - 1.0)).sqrt() } else { 1.0 };
    let shared = if draw.items.is_empty() {
        let z: f64 = StandardNormal.sample(noise);
        z * size.item_variance.sqrt()
    } else {
        0.0
    };
    size.mean + shared + widen * (mean - size.mean)
}
