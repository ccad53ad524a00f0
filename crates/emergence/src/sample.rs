//! The measurements in order: sizes by rising scale, scores turned so that higher is better, and how far seeds differ.

use crate::spread::{LENT_DOF, Seen, UNIFORM, learnt, moderated, most, pooled};
use crate::{Ability, Analysis, Axis, Kind, Measurement, Point, Scores, Unjudgeable};
use saltus_stats::{Interval, Slope, crossed, mean, quantile, slope, t_quantile, t_two_sided, wilson};

/// One model.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) seed: u64,
    /// Scores, higher is better; NaN where missing; none if only their mean is known.
    pub(crate) scores: Vec<f64>,
    /// Mean of the scores there are.
    pub(crate) mean: f64,
    /// Their number.
    pub(crate) items: u32,
    /// Variance of the mean over items, where only the mean is known.
    pub(crate) noise: f64,
}

/// All models of one size.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) scale: f64,
    /// ln(scale), in the unit of parameters.
    pub(crate) x: f64,
    pub(crate) models: Vec<Model>,
    /// Mean over models.
    pub(crate) mean: f64,
    /// What the models show of their spread.
    pub(crate) seen: Seen,
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
    pub(crate) axis: Axis,
    /// Lowest and highest possible mean.
    pub(crate) range: (f64, f64),
    /// By rising x.
    pub(crate) sizes: Vec<Size>,
    /// Each size's spread over seeds, in units of room.
    spread: Vec<f64>,
    /// Variance between models of one size as single seeds show it, with its degrees of freedom.
    between: (f64, f64),
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
        let first = &ability.measurements.first().ok_or(Unjudgeable::Empty)?.scores;
        let mut models = Vec::with_capacity(ability.measurements.len());
        for m in &ability.measurements {
            models.push((m.scale, read_model(m, kind, turn, first)?));
        }
        let order = if ability.axis.exponent() < 0.0 { -1.0 } else { 1.0 };
        models.sort_by(|a, b| (order * a.0).total_cmp(&(order * b.0)).then(a.1.seed.cmp(&b.1.seed)));
        assume_noise(&mut models, kind);
        let mut sizes: Vec<Size> = Vec::new();
        for group in models.chunk_by(|a, b| a.0 == b.0) {
            if let Some(twice) = group.windows(2).find(|w| w[0].1.seed == w[1].1.seed) {
                return Err(Unjudgeable::Twice { scale: twice[0].0, seed: twice[0].1.seed });
            }
            sizes.push(Size::new(kind, (ability.axis, group[0].0), group.iter().map(|g| g.1.clone()).collect()));
        }
        let spread = moderated(&sizes.iter().map(|s| s.seen).collect::<Vec<_>>(), most(kind));
        let range = match (kind, turn) {
            (Kind::Unbounded, _) => (f64::NEG_INFINITY, f64::INFINITY),
            (_, Turn::Keep) => (0.0, ability.ceiling.clamp(0.0, 1.0)),
            _ => (0.0, 1.0),
        };
        let mut sample = Sample { kind, axis: ability.axis, range, sizes, spread, between: (0.0, 1.0), turn };
        sample.between = sample.scatter();
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

    /// ln(scale) of each size, in the unit of parameters.
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

    /// 95% interval of the mean of size `j` over items and seeds, in the direction of performance.
    pub(crate) fn interval(&self, j: usize) -> Interval {
        let size = &self.sizes[j];
        let seeds = size.models.len() as f64;
        // Degrees of freedom by Satterthwaite: only the spread over seeds is uncertain.
        let critical = |from_seeds: f64, total: f64| {
            let share = if total > 0.0 { from_seeds / total } else { 0.0 };
            t_quantile(0.975, (seeds - 1.0 + LENT_DOF) / (share * share).max(1e-9))
        };
        if let Kind::Proportion { .. } = self.kind {
            let items = size.models.iter().map(|m| f64::from(m.items)).sum::<f64>() / seeds;
            let binomial = size.mean * (1.0 - size.mean);
            // How far the seeds agree on which items are hard: from 1/seeds (not at all) to 1. Unknown if all are alike.
            let shared =
                if binomial > 0.0 { (size.item_variance * items / binomial).clamp(1.0 / seeds, 1.0) } else { 1.0 };
            if !self.has_seeds() {
                return self.single_interval(size);
            }
            let from_seeds = self.spread[j] * learnt(self.kind, size.mean) / seeds;
            let total = from_seeds + shared / items;
            return wilson(size.mean, 1.0 / total, critical(from_seeds, total));
        }
        let from_seeds = self.spread[j] * size.seen.room / seeds;
        let total = from_seeds + size.item_variance.max(size.seen.noise / seeds);
        let half = critical(from_seeds, total) * total.sqrt();
        let clip = |v: f64| if self.kind == Kind::Unbounded { v } else { v.clamp(0.0, 1.0) };
        Interval { value: size.mean, low: clip(size.mean - half), high: clip(size.mean + half) }
    }

    /// The interval of a proportion of one model: how far models of one size differ is taken from how far the sizes scatter
    /// about their neighbours.
    fn single_interval(&self, size: &Size) -> Interval {
        let (between, dof) = self.between;
        let items = self.item_noise(size);
        let share = between / (between + items);
        let critical = t_quantile(0.975, (dof / (share * share).max(1e-9)).min(1e6));
        // Both as the number of items that would be as noisy.
        let n = f64::from(size.models[0].items) * items / (items + between);
        wilson(size.mean, n, critical)
    }

    /// Spread over seeds, pooled over all sizes.
    pub(crate) fn pooled_spread(&self) -> f64 {
        pooled(self.sizes.iter().map(|s| &s.seen), most(self.kind))
    }

    /// Whether seeds are spread so far that a model has the ability or has it not: their mean may grow slowly, but no
    /// model does.
    pub(crate) fn all_or_none(&self) -> bool {
        self.kind != Kind::Unbounded && self.pooled_spread() > UNIFORM
    }

    /// Slope of the scores over x from size `first` to size `last`, both included, with its standard error and p-value.
    ///
    /// With several seeds it is that of the models by least squares, its error from how far they lie off the line. With one
    /// seed for each size that would take every bend of the curve for noise; there the error is that of the items and of how
    /// far the sizes scatter about the line between their neighbours (a pure-error test).
    pub(crate) fn slope(&self, first: usize, last: usize) -> Option<Slope> {
        let sizes = &self.sizes[first..=last];
        if self.has_seeds() {
            let models = sizes.iter().flat_map(|s| s.models.iter().map(|m| (s.x, m.mean)));
            let (x, y): (Vec<f64>, Vec<f64>) = models.unzip();
            return slope(&x, &y);
        }
        if sizes.len() < 2 {
            return None;
        }
        let centre = mean(&sizes.iter().map(|s| s.x).collect::<Vec<_>>());
        let squares: f64 = sizes.iter().map(|s| (s.x - centre).powi(2)).sum();
        let (scatter, dof) = self.between;
        let (mut value, mut items, mut between) = (0.0, 0.0, 0.0);
        for size in sizes {
            let weight = (size.x - centre) / squares;
            value += weight * size.mean;
            items += weight * weight * self.item_noise(size);
            between += weight * weight * scatter;
        }
        let se = (items + between).sqrt();
        let share = if se > 0.0 { between / (items + between) } else { 1.0 };
        let dof = dof / (share * share).max(1e-9);
        let p = if se > 0.0 { t_two_sided(value / se, dof.min(1e6)) } else { f64::from(value == 0.0) };
        Some(Slope { value, se, p })
    }

    /// Variance of the mean of a size with one model from drawing its items; that of a proportion never 0, as none of
    /// n right does not say that the next will be wrong.
    fn item_noise(&self, size: &Size) -> f64 {
        match (self.kind, &size.models[0]) {
            (Kind::Proportion { .. }, model) => {
                let n = f64::from(model.items);
                let p = (size.mean * n + 1.0) / (n + 2.0);
                p * (1.0 - p) / n
            }
            (_, model) if model.scores.is_empty() => size.seen.noise,
            _ => size.item_variance,
        }
    }

    /// Tells of single seeds what the best curve leaves, given by its value at a size: a jump that the curve explains is no
    /// noise, though the sizes next to it lie far from the line between their neighbours. The smaller scatter counts.
    pub(crate) fn explain(&mut self, parameters: usize, curve: impl Fn(f64) -> f64) {
        let dof = self.sizes.len() as f64 - parameters as f64;
        if self.has_seeds() || dof < 1.0 {
            return;
        }
        let beyond =
            |size: &Size| (size.mean - curve(size.x)).powi(2) - self.item_noise(size) * dof / self.sizes.len() as f64;
        let left = self.sizes.iter().map(beyond).sum::<f64>() / dof;
        if left < self.between.0 {
            self.between = (left.max(0.0), dof);
        }
    }

    /// Variance between models of one size, as far as single seeds show it; with several seeds the spread says it.
    pub(crate) fn between_models(&self) -> f64 {
        if self.has_seeds() { 0.0 } else { self.between.0 }
    }

    /// Variance of the sizes about the line between their neighbours, beyond that of their items, with its degrees of
    /// freedom. Of six and more the median counts, so that one step is no noise.
    fn scatter(&self) -> (f64, f64) {
        let mut scatters: Vec<f64> = self
            .sizes
            .windows(3)
            .map(|w| {
                let share = (w[1].x - w[0].x) / (w[2].x - w[0].x);
                let residual = w[1].mean - (1.0 - share) * w[0].mean - share * w[2].mean;
                let [a, b, c] = [&w[0], &w[1], &w[2]].map(|size| self.item_noise(size));
                let noise = b + (1.0 - share).powi(2) * a + share * share * c;
                (residual * residual - noise) / (1.0 + share * share + (1.0 - share).powi(2))
            })
            .collect();
        if scatters.is_empty() {
            return (0.0, 1.0);
        }
        let dof = scatters.len() as f64;
        let typical = if scatters.len() < 6 {
            mean(&scatters)
        } else {
            // The median of the square of a standard normal is .455.
            scatters.sort_by(f64::total_cmp);
            quantile(&scatters, 0.5) / 0.455
        };
        (typical.max(0.0), dof)
    }

    /// Standard error of the mean of size `j` over seeds.
    pub(crate) fn standard_error(&self, j: usize) -> f64 {
        let size = &self.sizes[j];
        (size.seen.model_variance(self.spread[j]) / size.models.len() as f64).sqrt()
    }

    /// The points as reported, in the metric's own direction.
    pub(crate) fn points(&self) -> Vec<Point> {
        let turned = |(j, size): (usize, &Size)| {
            let i = self.interval(j);
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
        self.sizes.iter().enumerate().map(turned).collect()
    }

    /// First size from which on every lower bound is above chance + delta; `None` if the largest is not, or there is no
    /// chance level.
    pub(crate) fn certified(&self, analysis: &Analysis) -> Option<usize> {
        self.above(self.chance()? + analysis.delta)
    }

    /// First size from which on every lower bound is above `line`; `None` if the largest is not.
    pub(crate) fn above(&self, line: f64) -> Option<usize> {
        let above = (0..self.sizes.len()).rev().take_while(|&j| self.interval(j).low > line).count();
        (above > 0).then(|| self.sizes.len() - above)
    }

    /// The highest mean of a size less the lowest.
    pub(crate) fn change(&self) -> f64 {
        let means = || self.sizes.iter().map(|s| s.mean);
        means().fold(f64::NEG_INFINITY, f64::max) - means().fold(f64::INFINITY, f64::min)
    }
}

impl Size {
    fn new(kind: Kind, (axis, scale): (Axis, f64), models: Vec<Model>) -> Size {
        let (seed_means, noise, item_variance) = if models[0].scores.is_empty() {
            // How far the seeds agree on which items are hard is not known: as far as can be.
            let noise = mean(&models.iter().map(|m| m.noise).collect::<Vec<_>>());
            (models.iter().map(|m| m.mean).collect(), noise, noise)
        } else {
            let rows: Vec<&[f64]> = models.iter().map(|m| m.scores.as_slice()).collect();
            let table = crossed(&rows);
            (table.seed_means, table.noise, table.item_variance)
        };
        Size {
            scale,
            x: scale.ln() / axis.exponent(),
            mean: mean(&seed_means),
            seen: Seen::new(kind, &seed_means, noise),
            item_variance,
            models,
        }
    }
}

fn read_model(m: &Measurement, kind: Kind, turn: Turn, first: &Scores) -> Result<Model, Unjudgeable> {
    let (scale, seed) = (m.scale, m.seed);
    if !(scale.is_finite() && scale > 0.0) {
        return Err(Unjudgeable::BadScale { scale, seed });
    }
    let bad = |s: &f64| kind != Kind::Unbounded && !s.is_nan() && !(0.0..=1.0).contains(s);
    match (&m.scores, first) {
        (Scores::Items(scores), Scores::Items(first)) => {
            if scores.len() != first.len() {
                return Err(Unjudgeable::Ragged { scale, seed, found: scores.len(), expected: first.len() });
            }
            if let Some(item) = scores.iter().position(bad) {
                return Err(Unjudgeable::OutOfRange { scale, seed, item, score: scores[item] });
            }
            // A log-probability of minus infinity is no number to average: it counts as missing.
            let turned = |s: &f64| if s.is_finite() { turn.apply(*s) } else { f64::NAN };
            let scores: Vec<f64> = scores.iter().map(turned).collect();
            let scored: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
            if scored.is_empty() {
                return Err(Unjudgeable::Unscored { scale, seed });
            }
            Ok(Model { seed, mean: mean(&scored), items: scored.len() as u32, scores, noise: f64::NAN })
        }
        (&Scores::Mean { value, items, standard_error }, Scores::Mean { .. }) => {
            if !value.is_finite() || items == 0 {
                return Err(Unjudgeable::Unscored { scale, seed });
            }
            if bad(&value) {
                return Err(Unjudgeable::OutOfRange { scale, seed, item: 0, score: value });
            }
            let noise = match kind {
                Kind::Proportion { .. } => proportion_noise(value, items),
                _ => standard_error * standard_error,
            };
            Ok(Model { seed, mean: turn.apply(value), items, scores: Vec::new(), noise })
        }
        _ => Err(Unjudgeable::Mixed { scale, seed }),
    }
}

/// Variance of a proportion over its items.
fn proportion_noise(p: f64, items: u32) -> f64 {
    p * (1.0 - p) / f64::from(items)
}

/// Means without a standard error get one from how far they lie from the line between their neighbours (Gasser, Sroka &
/// Jennen-Steinmetz 1986): too much where the curve bends, so that verdicts become weaker, not stronger. A bounded score
/// is at most as noisy as a proportion.
fn assume_noise(models: &mut [(f64, Model)], kind: Kind) {
    if models.iter().all(|(_, m)| !m.scores.is_empty() || m.noise.is_finite()) {
        return;
    }
    let points: Vec<(f64, f64)> = models
        .chunk_by(|a, b| a.0 == b.0)
        .map(|group| (group[0].0.ln(), mean(&group.iter().map(|g| g.1.mean).collect::<Vec<_>>())))
        .collect();
    let scatter = |w: &[(f64, f64)]| {
        let share = (w[1].0 - w[0].0) / (w[2].0 - w[0].0);
        let residual = w[1].1 - (1.0 - share) * w[0].1 - share * w[2].1;
        residual * residual / (1.0 + share * share + (1.0 - share).powi(2))
    };
    let scatters: Vec<f64> = points.windows(3).map(scatter).collect();
    let scatter = if scatters.is_empty() { f64::NAN } else { mean(&scatters) };
    for (_, m) in models.iter_mut().filter(|(_, m)| m.scores.is_empty() && !m.noise.is_finite()) {
        let most = if kind == Kind::Unbounded { f64::INFINITY } else { proportion_noise(m.mean, m.items) };
        m.noise = if scatter.is_nan() { most.min(m.mean * m.mean) } else { scatter.min(most) };
    }
}
