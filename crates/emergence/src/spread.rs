//! How far the seeds of one size differ: each size's own spread, moderated by what its neighbours show.
//!
//! Three seeds say little about their own spread. Seeds differ most where an ability is being acquired, and that is a
//! stretch of the scale; so a size borrows from the sizes next to it, not from all. The unit of spread is what a score
//! has room for: mu (1 - mu) times the part of the score that is not chance, or 1 for unbounded metrics.

use crate::Kind;
use saltus_stats::variance;

/// Degrees of freedom lent to a size's own spread by its neighbours: with three seeds both weigh the same (an
/// empirical-Bayes compromise as in Smyth 2004, doi 10.2202/1544-6115.1027).
pub(crate) const LENT_DOF: f64 = 2.0;

/// Seeds also differ a little at chance itself, in how they guess: this share of the overdispersion is left there.
const GUESSING: f64 = 0.05;

/// Highest overdispersion considered.
const MOST: f64 = 0.95;

/// The overdispersion at which a beta distribution of mean 1/2 is uniform. Beyond it most seeds are near 0 or near 1:
/// models have the ability or have it not, which is no smooth growth, so smooth growth is simulated up to it.
pub(crate) const UNIFORM: f64 = 1.0 / 3.0;

/// The part of the score `mu` that is not chance, within [.05, 1]: where seeds can differ.
pub(crate) fn learnt(kind: Kind, mu: f64) -> f64 {
    let (Kind::Proportion { chance } | Kind::Bounded { chance }) = kind else { return 1.0 };
    let share = if mu >= chance { (mu - chance) / mu.max(1e-9) } else { (chance - mu) / chance };
    if chance == 0.0 { 1.0 } else { share.max(GUESSING) }
}

/// What the models of one size show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) seeds: f64,
    pub(crate) mean: f64,
    /// Variance of the models' means.
    pub(crate) variance: f64,
    /// The part of it that is item noise.
    pub(crate) noise: f64,
    /// How far the means can differ at all: the unit of spread.
    pub(crate) room: f64,
}

impl Seen {
    /// From the models' means, given their item noise.
    pub(crate) fn new(kind: Kind, means: &[f64], noise: f64) -> Seen {
        let mean = saltus_stats::mean(means);
        Seen { seeds: means.len() as f64, mean, variance: variance(means), noise, room: room(kind, mean) }
    }

    fn dof(&self) -> f64 {
        self.seeds - 1.0
    }

    /// Variance of one model's mean, item noise included, at the given spread.
    pub(crate) fn model_variance(&self, spread: f64) -> f64 {
        spread * self.room + self.noise
    }
}

/// What a score of mean `mu` has room for.
pub(crate) fn room(kind: Kind, mu: f64) -> f64 {
    if kind == Kind::Unbounded { 1.0 } else { learnt(kind, mu) * mu * (1.0 - mu) }
}

/// The largest spread that a kind of score can have.
pub(crate) fn most(kind: Kind) -> f64 {
    if kind == Kind::Unbounded { f64::INFINITY } else { MOST }
}

/// Spread in units of room, pooled over some sizes by moments and at most `most`; 0 where nothing can be seen.
pub(crate) fn pooled<'a>(sizes: impl Iterator<Item = &'a Seen>, most: f64) -> f64 {
    let (mut excess, mut room) = (0.0, 0.0);
    for s in sizes {
        excess += s.dof() * (s.variance - s.noise);
        room += s.dof() * s.room;
    }
    if room > 1e-12 { (excess / room).clamp(0.0, most) } else { 0.0 }
}

/// Each size's spread in units of room, moderated by its neighbours, at most `most`.
pub(crate) fn moderated(seen: &[Seen], most: f64) -> Vec<f64> {
    let of_size = |j: usize| {
        let beside = [j.checked_sub(1), Some(j + 1)].into_iter().flatten().filter_map(|i| seen.get(i));
        let lent = pooled(beside, most);
        let own = &seen[j];
        let excess = own.dof() * (own.variance - own.noise) + LENT_DOF * lent * own.room;
        let weight = own.dof() + LENT_DOF;
        // With all right or all wrong the own spread cannot be seen: half of what the neighbours have is assumed.
        let value = if own.room > 1e-12 { excess / (weight * own.room) } else { LENT_DOF * lent / weight };
        value.clamp(0.0, most)
    };
    (0..seen.len()).map(of_size).collect()
}
