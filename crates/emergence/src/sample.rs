//! The measurements in order: sizes by rising scale, scores turned so that higher is better, and how far seeds differ.

use crate::{Ability, Analysis, Kind, Measurement, Point, Unjudgeable};
use saltus_stats::{Interval, crossed, mean, t_quantile, variance, wilson};

/// Degrees of freedom lent to each size's own spread over seeds by the spread pooled over all sizes: with three seeds
/// both weigh the same (an empirical-Bayes compromise as in Smyth 2004, doi 10.2202/1544-6115.1027).
pub(crate) const LENT_DOF: f64 = 2.0;

/// Seeds also differ a little at chance itself, in how they guess: this share of the overdispersion is left there.
const GUESSING: f64 = 0.05;

/// One model.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) seed: u64,
    /// Scores, higher is better; NaN where missing.
    pub(crate) scores: Vec<f64>,
    /// Mean of the scores there are.
    pub(crate) mean: f64,
    /// Their number.
    pub(crate) items: u32,
}

/// All models of one size.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) scale: f64,
    /// ln(scale).
    pub(crate) x: f64,
    pub(crate) models: Vec<Model>,
    /// Mean over models.
    pub(crate) mean: f64,
    /// Variance of the models' means.
    pub(crate) seed_variance: f64,
    /// Part of it that is item noise.
    pub(crate) noise: f64,
    /// Variance of the overall mean from drawing these items.
    pub(crate) item_variance: f64,
}

/// How a score is turned so that higher is better. Each is its own inverse.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Keep,
    Complement,
    Negate,
}

impl Turn {
    fn apply(self, score: f64) -> f64 {
        match self {
            Turn::Keep => score,
            Turn::Complement => 1.0 - score,
            Turn::Negate => -score,
        }
    }
}

/// The measurements of an ability, ready for fitting.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) sizes: Vec<Size>,
    /// Seeds' overdispersion (bounded kinds) or variance (unbounded), pooled over sizes; 0 if no size has two seeds.
    pub(crate) spread: f64,
    turn: Turn,
}

impl Sample {
    /// Checks and sorts the measurements.
    pub(crate) fn read(ability: &Ability) -> Result<Sample, Unjudgeable> {
        let turn = match (ability.higher_is_better, ability.kind) {
            (true, _) => Turn::Keep,
            (false, Kind::Unbounded) => Turn::Negate,
            (false, _) => Turn::Complement,
        };
        let kind = match ability.kind {
            Kind::Proportion { chance } => Kind::Proportion { chance: turn.apply(chance) },
            Kind::Bounded { chance } => Kind::Bounded { chance: turn.apply(chance) },
            Kind::Unbounded => Kind::Unbounded,
        };
        let expected = ability.measurements.first().ok_or(Unjudgeable::Empty)?.scores.len();
        let mut models = Vec::with_capacity(ability.measurements.len());
        for m in &ability.measurements {
            models.push((m.scale, read_model(m, kind, turn, expected)?));
        }
        models.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.seed.cmp(&b.1.seed)));
        let mut sizes: Vec<Size> = Vec::new();
        for group in models.chunk_by(|a, b| a.0 == b.0) {
            if let Some(twice) = group.windows(2).find(|w| w[0].1.seed == w[1].1.seed) {
                return Err(Unjudgeable::Twice { scale: twice[0].0, seed: twice[0].1.seed });
            }
            sizes.push(Size::new(group[0].0, group.iter().map(|g| g.1.clone()).collect()));
        }
        let mut sample = Sample { kind, sizes, spread: 0.0, turn };
        sample.spread = sample.pooled_spread();
        Ok(sample)
    }

    /// A value back in the metric's own direction.
    pub(crate) fn turn(&self, value: f64) -> f64 {
        self.turn.apply(value)
    }

    /// Whether a lower score is the better one.
    pub(crate) fn is_turned(&self) -> bool {
        self.turn != Turn::Keep
    }

    /// Chance level, in the direction of performance; `None` for unbounded metrics.
    pub(crate) fn chance(&self) -> Option<f64> {
        match self.kind {
            Kind::Proportion { chance } | Kind::Bounded { chance } => Some(chance),
            Kind::Unbounded => None,
        }
    }

    /// ln(scale) of each size.
    pub(crate) fn xs(&self) -> Vec<f64> {
        self.sizes.iter().map(|s| s.x).collect()
    }

    /// (ln scale, mean) of every model.
    pub(crate) fn models(&self) -> (Vec<f64>, Vec<f64>) {
        self.sizes.iter().flat_map(|s| s.models.iter().map(|m| (s.x, m.mean))).unzip()
    }

    /// Whether some size has more than one seed.
    pub(crate) fn has_seeds(&self) -> bool {
        self.sizes.iter().any(|s| s.models.len() > 1)
    }

    /// Overdispersion of seeds at mean `mu`: they can only differ in what they have learnt, so it acts on the part of
    /// the score that is not chance.
    pub(crate) fn rho(&self, mu: f64) -> f64 {
        self.spread * self.learnt(mu)
    }

    fn learnt(&self, mu: f64) -> f64 {
        let chance = self.chance().unwrap_or(0.0);
        let share = if mu >= chance { (mu - chance) / mu.max(1e-9) } else { (chance - mu) / chance };
        if chance == 0.0 { 1.0 } else { share.max(GUESSING) }
    }

    /// Moment estimate over all sizes, each with its seeds - 1 degrees of freedom.
    fn pooled_spread(&self) -> f64 {
        let (mut excess, mut scale) = (0.0, 0.0);
        for size in &self.sizes {
            let dof = size.models.len() as f64 - 1.0;
            let (above, unit) = match self.kind {
                Kind::Unbounded => (size.seed_variance, 1.0),
                _ => (size.seed_variance - size.noise, self.learnt(size.mean) * size.mean * (1.0 - size.mean)),
            };
            excess += dof * above;
            scale += dof * unit;
        }
        let top = if self.kind == Kind::Unbounded { f64::INFINITY } else { 0.95 };
        if scale > 0.0 { (excess / scale).clamp(0.0, top) } else { 0.0 }
    }

    /// Variance of one model's mean at this size: its own over seeds, moderated by the pooled one.
    pub(crate) fn model_variance(&self, size: &Size) -> f64 {
        let pooled = match self.kind {
            Kind::Unbounded => self.spread,
            _ => self.rho(size.mean) * size.mean * (1.0 - size.mean) + size.noise,
        };
        let dof = size.models.len() as f64 - 1.0;
        ((dof * size.seed_variance + LENT_DOF * pooled) / (dof + LENT_DOF)).max(size.noise)
    }

    /// 95% interval of a size's mean over items and seeds, in the direction of performance.
    pub(crate) fn interval(&self, size: &Size) -> Interval {
        let seeds = size.models.len() as f64;
        let items = mean(&size.models.iter().map(|m| f64::from(m.items)).collect::<Vec<_>>());
        let binomial = size.mean * (1.0 - size.mean);
        let own_items = (size.item_variance - size.noise / seeds).max(0.0);
        // Degrees of freedom by Satterthwaite: only the spread over seeds is uncertain.
        let critical = |from_seeds: f64, total: f64| {
            let share = if total > 0.0 { from_seeds / total } else { 0.0 };
            t_quantile(0.975, (seeds - 1.0 + LENT_DOF) / (share * share).max(1e-9))
        };
        if let Kind::Proportion { .. } = self.kind {
            let (rho, per_item) = if binomial > 0.0 {
                let excess = (self.model_variance(size) - size.noise).max(0.0) / binomial;
                (excess.min(1.0), (size.item_variance * items / binomial).clamp(1.0 / seeds, 1.0))
            } else {
                // All right or all wrong: nothing is seen of either spread, so half of the pooled one is assumed, and
                // items that are as hard for every seed.
                (self.rho(size.mean.clamp(0.01, 0.99)) * LENT_DOF / (LENT_DOF + seeds - 1.0), 1.0)
            };
            let (from_seeds, from_items) = (rho / seeds, per_item / items);
            let total = from_seeds + from_items;
            return wilson(size.mean, 1.0 / total, critical(from_seeds, total));
        }
        let from_seeds = if self.has_seeds() { self.model_variance(size) / seeds } else { size.noise };
        let total = from_seeds + own_items;
        let half = critical(from_seeds, total) * total.sqrt();
        let bounded = self.kind != Kind::Unbounded;
        let clip = |v: f64| if bounded { v.clamp(0.0, 1.0) } else { v };
        Interval { value: size.mean, low: clip(size.mean - half), high: clip(size.mean + half) }
    }

    /// The points as reported, in the metric's own direction.
    pub(crate) fn points(&self) -> Vec<Point> {
        let turned = |size: &Size| {
            let i = self.interval(size);
            let (a, b) = (self.turn(i.low), self.turn(i.high));
            let items: f64 = size.models.iter().map(|m| f64::from(m.items)).sum();
            Point {
                scale: size.scale,
                items: items / size.models.len() as f64,
                value: self.turn(size.mean),
                low: a.min(b),
                high: a.max(b),
                by_seed: size.models.iter().map(|m| (m.seed, self.turn(m.mean))).collect(),
            }
        };
        self.sizes.iter().map(turned).collect()
    }

    /// First size from which on every lower bound is above chance + delta; `None` if the largest is not, or there is no
    /// chance level.
    pub(crate) fn certified(&self, analysis: &Analysis) -> Option<usize> {
        let line = self.chance()? + analysis.delta;
        let above = self.sizes.iter().rev().take_while(|s| self.interval(s).low > line).count();
        (above > 0).then(|| self.sizes.len() - above)
    }
}

impl Size {
    fn new(scale: f64, models: Vec<Model>) -> Size {
        let rows: Vec<&[f64]> = models.iter().map(|m| m.scores.as_slice()).collect();
        let table = crossed(&rows);
        Size {
            scale,
            x: scale.ln(),
            mean: mean(&table.seed_means),
            seed_variance: variance(&table.seed_means),
            noise: table.noise,
            item_variance: table.item_variance,
            models,
        }
    }
}

fn read_model(m: &Measurement, kind: Kind, turn: Turn, expected: usize) -> Result<Model, Unjudgeable> {
    let (scale, seed) = (m.scale, m.seed);
    if !(scale.is_finite() && scale > 0.0) {
        return Err(Unjudgeable::BadScale { scale, seed });
    }
    if m.scores.len() != expected {
        return Err(Unjudgeable::Ragged { scale, seed, found: m.scores.len(), expected });
    }
    let bad = |s: &f64| kind != Kind::Unbounded && !s.is_nan() && !(0.0..=1.0).contains(s);
    if let Some(item) = m.scores.iter().position(bad) {
        return Err(Unjudgeable::OutOfRange { scale, seed, item, score: m.scores[item] });
    }
    // A log-probability of minus infinity is no number to average: it counts as missing.
    let turned = |s: &f64| if s.is_finite() { turn.apply(*s) } else { f64::NAN };
    let scores: Vec<f64> = m.scores.iter().map(turned).collect();
    let scored: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
    if scored.is_empty() {
        return Err(Unjudgeable::Unscored { scale, seed });
    }
    Ok(Model { seed, mean: mean(&scored), items: scored.len() as u32, scores })
}
