//! What a condition changes, size by size: chain of thought, shots, depth.

use crate::reason::scale as readable;
use crate::sample::{Sample, Size};
use crate::spread::{LENT_DOF, Seen, moderated};
use crate::{Ability, Kind, Threshold, Unjudgeable};
use saltus_stats::{Interval, crossed, mean, t_quantile, variance};

/// The effect at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffectPoint {
    /// Scale of the models (of the first ladder, where there are two).
    pub scale: f64,
    /// Mean with the condition.
    pub with: f64,
    /// Mean without.
    pub without: f64,
    /// with - without in the metric's own direction, with its 95% interval over items and seeds.
    pub difference: Interval,
}

/// The effect of a condition over the sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// One point for each size that has both, by rising scale.
    pub points: Vec<EffectPoint>,
    /// The smallest scale at which the condition helps by more than delta beyond doubt, there and at the next size too; its lower bound is
    /// the size before. Gains may end again where both sides reach the ceiling.
    pub switches_on: Option<Threshold>,
    /// One sentence.
    pub summary: String,
}

/// The effect of a condition on the same models: differences paired by model and item.
///
/// Both abilities must hold the same items in the same order. The interval adds the spread over seeds (moderated by
/// the other sizes as for points) to that over items, by Student's t. Models measured under one condition only are left
/// out.
pub fn effect(with: &Ability, without: &Ability, delta: f64) -> Result<Effect, Unjudgeable> {
    let (with, without) = (Sample::read(with)?, Sample::read(without)?);
    let mut pairs = Vec::new();
    for a in &with.sizes {
        let Some(b) = without.sizes.iter().find(|b| b.scale == a.scale) else { continue };
        pairs.extend(Pair::new(a, b, with.kind)?);
    }
    let spread = moderated(&pairs.iter().map(|p| p.seen).collect::<Vec<_>>(), f64::INFINITY);
    let point = |(p, spread): (&Pair, &f64)| oriented(&with, p.scale, p.with, p.without, p.interval(*spread));
    Ok(finish(&with, pairs.iter().zip(&spread).map(point).collect(), delta))
}

/// The effect between two ladders, as in a control of depth: each size of `with` against the size of `without` that is
/// nearest in scale, if it lies within a factor of 1.5. Models differ, so nothing is paired; the two intervals are
/// combined by squares (Zou & Donner 2008), which is cautious when the items are the same.
pub fn effect_between_ladders(with: &Ability, without: &Ability, delta: f64) -> Result<Effect, Unjudgeable> {
    let (with, without) = (Sample::read(with)?, Sample::read(without)?);
    let distance = |a: &Size, b: &Size| (a.x - b.x).abs();
    let mut points = Vec::new();
    for (k, a) in with.sizes.iter().enumerate() {
        let gap = |j: &usize| distance(a, &without.sizes[*j]);
        let nearest = (0..without.sizes.len()).min_by(|b, c| gap(b).total_cmp(&gap(c)));
        let Some(nearest) = nearest.filter(|j| gap(j) <= 1.5f64.ln()) else { continue };
        let (b, i, j) = (&without.sizes[nearest], with.interval(k), without.interval(nearest));
        let value = i.value - j.value;
        let low = value - ((i.value - i.low).powi(2) + (j.high - j.value).powi(2)).sqrt();
        let high = value + ((i.high - i.value).powi(2) + (j.value - j.low).powi(2)).sqrt();
        points.push(oriented(&with, a.scale, a.mean, b.mean, Interval { value, low, high }));
    }
    Ok(finish(&with, points, delta))
}

/// One size under both conditions.
struct Pair {
    scale: f64,
    with: f64,
    without: f64,
    /// The paired differences of the models.
    seen: Seen,
    /// Variance of their mean from drawing these items.
    item_variance: f64,
}

impl Pair {
    /// `None` if no model has both conditions.
    fn new(a: &Size, b: &Size, kind: Kind) -> Result<Option<Pair>, Unjudgeable> {
        let mut rows: Vec<Vec<f64>> = Vec::new();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for m in &a.models {
            let Some(n) = b.models.iter().find(|n| n.seed == m.seed) else { continue };
            if m.scores.len() != n.scores.len() {
                let (found, expected) = (n.scores.len(), m.scores.len());
                return Err(Unjudgeable::Ragged { scale: a.scale, seed: m.seed, found, expected });
            }
            let row: Vec<f64> = m.scores.iter().zip(&n.scores).map(|(x, y)| x - y).collect();
            if row.iter().any(|d| d.is_finite()) {
                rows.push(row);
                with.push(m.mean);
                without.push(n.mean);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let table = crossed(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (with, without) = (mean(&with), mean(&without));
        let binomial = |p: f64| {
            let p = (p * table.items + 1.0) / (table.items + 2.0);
            p * (1.0 - p)
        };
        let room = if kind == Kind::Unbounded { 1.0 } else { binomial(with) + binomial(without) };
        // With every score alike nothing is seen of the items' spread; the smoothed binomial is the least it can be.
        let least = if kind == Kind::Unbounded { 0.0 } else { room.min(1.0) / table.items };
        let seen = Seen {
            seeds: rows.len() as f64,
            mean: mean(&table.seed_means),
            variance: variance(&table.seed_means),
            noise: table.noise,
            room,
        };
        let item_variance = if table.item_variance == 0.0 { least } else { table.item_variance };
        Ok(Some(Pair { scale: a.scale, with, without, seen, item_variance }))
    }

    fn interval(&self, spread: f64) -> Interval {
        let from_seeds = spread * self.seen.room / self.seen.seeds;
        let total = from_seeds + self.item_variance.max(self.seen.noise / self.seen.seeds);
        let share = if total > 0.0 { from_seeds / total } else { 0.0 };
        let dof = (self.seen.seeds - 1.0 + LENT_DOF) / (share * share).max(1e-9);
        let half = t_quantile(0.975, dof) * total.sqrt();
        Interval { value: self.seen.mean, low: self.seen.mean - half, high: self.seen.mean + half }
    }
}

/// A point in the metric's own direction.
fn oriented(sample: &Sample, scale: f64, with: f64, without: f64, d: Interval) -> EffectPoint {
    let bounded = sample.kind != Kind::Unbounded;
    let clip = |v: f64| if bounded { v.clamp(-1.0, 1.0) } else { v };
    let (low, high) = (clip(d.low), clip(d.high));
    let difference = if sample.is_turned() {
        Interval { value: -d.value, low: -high, high: -low }
    } else {
        Interval { value: d.value, low, high }
    };
    EffectPoint { scale, with: sample.turn(with), without: sample.turn(without), difference }
}

fn finish(sample: &Sample, points: Vec<EffectPoint>, delta: f64) -> Effect {
    let turned = sample.is_turned();
    let helps = |p: &EffectPoint| if turned { p.difference.high < -delta } else { p.difference.low > delta };
    let harms = |p: &EffectPoint| if turned { p.difference.low > 0.0 } else { p.difference.high < 0.0 };
    let on = (0..points.len()).find(|&j| helps(&points[j]) && points.get(j + 1).is_none_or(helps));
    let switches_on =
        on.map(|j| Threshold { scale: points[j].scale, low: points[j.saturating_sub(1)].scale, high: points[j].scale });
    let summary = summary(&points, on, points.iter().filter(|p| harms(p)).count());
    Effect { points, switches_on, summary }
}

fn summary(points: &[EffectPoint], on: Option<usize>, harmed: usize) -> String {
    let Some(last) = points.last() else { return "No size was measured under both conditions.".to_string() };
    let describe = |p: &EffectPoint| {
        let d = p.difference;
        format!("{:+.2} [{:+.2}, {:+.2}] at {}", d.value, d.low, d.high, readable(p.scale))
    };
    let mut text = match on {
        None => format!("No gain beyond doubt at any size; {}", describe(last)),
        Some(0) if points.len() == 1 => format!("A gain: {}", describe(&points[0])),
        Some(0) => format!("A gain at the smallest size already: {}", describe(&points[0])),
        Some(j) => {
            let before = readable(points[j - 1].scale);
            format!("Helps from {} on (not yet at {before}): {}", readable(points[j].scale), describe(&points[j]))
        }
    };
    if on.is_some_and(|j| points[j].scale != last.scale) {
        text.push_str(&format!(", {}", describe(last)));
    }
    text.push('.');
    if harmed > 0 {
        text.push_str(&format!(" It harms at {harmed} of {} sizes.", points.len()));
    }
    text
}
