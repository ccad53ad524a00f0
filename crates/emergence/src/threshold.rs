//! Where an ability appears: interval-censored between tested sizes.

use crate::sample::{Sample, Size};
use crate::{Analysis, Threshold};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use saltus_random::Key;
use saltus_stats::{Resample, isotonic, quantile, resample};

/// The emergence scale of a sample whose curve begins at `floor`; `None` if the ability is not there beyond doubt at the
/// largest size, or is there already at the smallest.
///
/// The value is the smallest tested size from which on every lower bound exceeds chance + delta, as in the tables of Wei
/// et al. (arXiv 2206.07682). Where no chance level is told, it is the curve's floor, and delta a share of the change over
/// all sizes, as large as the least that counts as one. The bounds come from resampling items and seeds: the mean curve
/// (made monotone) crosses that line between two tested sizes; `low` is the lower of them at the 2.5% quantile, `high` the
/// upper at the 97.5% quantile, and never below the value. `low` also lies no higher than the last size at which the
/// ability is [`absent`]: resampling three seeds cannot show the lucky fourth, the points' intervals allow for it. Single
/// seeds do not show luck at all: [`beyond_luck`].
pub(crate) fn threshold(sample: &Sample, analysis: &Analysis, floor: Option<f64>) -> Option<Threshold> {
    let (floor, line) = match sample.chance() {
        Some(chance) => (chance, chance + analysis.delta),
        None => (floor?, floor? + 2.0 * analysis.delta * sample.change()),
    };
    let certified = sample.above(line)?;
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
    let (first, late) = beyond_luck(sample, (early.min(absent(sample, certified, line)), late), (floor, line));
    let low = first.saturating_sub(1);
    let scale = |j: usize| sample.sizes[j].scale;
    Some(Threshold { scale: scale(certified), low: scale(low), high: scale(late) })
}

/// Where a single seed may have been lucky or not, the ability appears one size earlier or later: a size that is a quarter of
/// the way from the floor to the line beyond doubt has begun to rise, and one that is not halfway up may be below the line with
/// another seed.
fn beyond_luck(sample: &Sample, (mut first, mut late): (usize, usize), (floor, line): (f64, f64)) -> (usize, usize) {
    if sample.has_seeds() {
        return (first, late);
    }
    while first > 0 && sample.interval(first - 1).low > floor + 0.25 * (line - floor) {
        first -= 1;
    }
    let last = sample.sizes.len() - 1;
    let height = |j: usize| sample.sizes[j].mean - floor;
    if late < last && height(late) < 0.5 * height(last) {
        late += 1;
    }
    (first, late)
}

/// How many of the first `certified` sizes have not the ability, beyond doubt. An ability that emerges does not fall with
/// scale, so the mean of a size and those that follow it bounds its own from above; of all such means the one counts that
/// tells most, its interval made of theirs.
fn absent(sample: &Sample, certified: usize, line: f64) -> usize {
    let (mut absent, mut best) = (0, vec![f64::INFINITY; certified]);
    for (first, best) in best.iter_mut().enumerate() {
        let (mut sum, mut squares) = (0.0, 0.0);
        for j in first..certified {
            let (interval, many) = (sample.interval(j), (j - first + 1) as f64);
            sum += interval.value;
            squares += (interval.high - interval.value).powi(2);
            *best = best.min((sum + squares.sqrt()) / many);
        }
    }
    while absent < certified && best[absent] <= line {
        absent += 1;
    }
    absent
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
