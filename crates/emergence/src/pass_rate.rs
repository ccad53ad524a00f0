//! Tiny pass rates: whether a rate of right answers grows as a power law of scale, faster, or slower.

use saltus_stats::{Interval, t_quantile};

/// How a pass rate grows, by the curve of log(-log p) over log N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// A straight line: -log p falls as a power of scale, the growth is predictable.
    Linear,
    /// Bent downwards: faster than a power of scale, the accelerated growth of arXiv 2310.03262.
    Concave,
    /// Bent upwards: slower.
    Convex,
    /// The rates do not tell.
    Undetermined,
}

impl Growth {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Growth::Linear => "linear",
            Growth::Concave => "concave",
            Growth::Convex => "convex",
            Growth::Undetermined => "undetermined",
        }
    }
}

/// The growth of a pass rate with what it stands on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassGrowth {
    /// Its kind.
    pub growth: Growth,
    /// By how much log(-log p) lies above its chord in the middle of the range (concave: positive), with its 95% interval.
    pub bend: Interval,
    /// Sizes with a rate between 0 and 1.
    pub sizes: usize,
}

/// Passes in samples at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passes {
    /// Scale.
    pub scale: f64,
    /// Share of samples that passed.
    pub rate: f64,
    /// Samples.
    pub samples: f64,
}

/// Sizes that a bend needs: three numbers of a parabola and one to see its error by.
const SIZES: usize = 4;
/// A bend that is surely smaller than this is none: 0.5 in log(-log p) is a factor of 1.6 in -log p.
const STRAIGHT: f64 = 0.5;

/// Classifies how a pass rate grows (PassUntil, arXiv 2310.03262, section 5): a parabola in log N is fitted to log(-log p)
/// by least squares, weighted by the noise of p. Sizes without a pass say nothing of -log p and are left out: sample them
/// until some pass. `None` where fewer than four sizes are left.
///
/// The noise is that of the samples, or as large as the parabola's misfit if that is larger.
pub fn pass_growth(points: &[Passes]) -> Option<PassGrowth> {
    let used: Vec<&Passes> = points.iter().filter(|p| p.rate > 0.0 && p.rate < 1.0 && p.samples > 0.0).collect();
    let mut scales: Vec<f64> = used.iter().map(|p| p.scale).collect();
    scales.sort_by(f64::total_cmp);
    scales.dedup();
    if scales.len() < SIZES {
        return None;
    }
    let (first, last) = (scales[0].ln(), scales[scales.len() - 1].ln());
    // From -1 at the smallest size to 1 at the largest: the coefficient of 1 - x^2 is the height above the chord.
    let basis = |p: &Passes| {
        let x = (2.0 * p.scale.ln() - first - last) / (last - first);
        [1.0, x, 1.0 - x * x]
    };
    let y = |p: &Passes| (-p.rate.ln()).ln();
    // d log(-log p) / dp = 1 / (p log p).
    let weight = |p: &Passes| {
        let slope = 1.0 / (p.rate * p.rate.ln());
        p.samples / (p.rate * (1.0 - p.rate) * slope * slope)
    };
    let mut normal = [[0.0; 4]; 3];
    for p in &used {
        let (b, w) = (basis(p), weight(p));
        for (row, bi) in normal.iter_mut().zip(b) {
            (0..3).for_each(|j| row[j] += w * bi * b[j]);
            row[3] += w * bi * y(p);
        }
    }
    let (theta, variance) = solve(normal)?;
    let misfit: f64 = used
        .iter()
        .map(|p| {
            let b = basis(p);
            weight(p) * (y(p) - theta.iter().zip(b).map(|(t, b)| t * b).sum::<f64>()).powi(2)
        })
        .sum();
    let freedom = used.len() as f64 - 3.0;
    let error = (variance * (misfit / freedom).max(1.0)).sqrt() * t_quantile(0.975, freedom);
    let bend = Interval { value: theta[2], low: theta[2] - error, high: theta[2] + error };
    let growth = match bend {
        b if b.low > 0.0 => Growth::Concave,
        b if b.high < 0.0 => Growth::Convex,
        b if b.low > -STRAIGHT && b.high < STRAIGHT => Growth::Linear,
        _ => Growth::Undetermined,
    };
    Some(PassGrowth { growth, bend, sizes: scales.len() })
}

/// Solves three equations; gives the solution and the last diagonal entry of the inverse.
fn solve(mut m: [[f64; 4]; 3]) -> Option<([f64; 3], f64)> {
    for k in 0..3 {
        for i in k + 1..3 {
            let factor = m[i][k] / m[k][k];
            let pivot = m[k];
            m[i].iter_mut().zip(pivot).for_each(|(v, p)| *v -= factor * p);
        }
    }
    let mut x = [0.0; 3];
    for k in (0..3).rev() {
        let rest: f64 = (k + 1..3).map(|j| m[k][j] * x[j]).sum();
        x[k] = (m[k][3] - rest) / m[k][k];
    }
    // The matrix is positive definite: its last pivot is the inverse of the last variance.
    let variance = 1.0 / m[2][2];
    (variance.is_finite() && variance > 0.0 && x.iter().all(|v| v.is_finite())).then_some((x, variance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Binomial, Distribution};
    use saltus_random::Key;

    fn sampled(rate: impl Fn(f64) -> f64, samples: u64, key: Key) -> Vec<Passes> {
        let mut rng = key.rng();
        let one = |j: i32| {
            let scale = 1e8 * 2f64.powi(j);
            let passes = Binomial::new(samples, rate(scale)).unwrap().sample(&mut rng) as f64;
            Passes { scale, rate: passes / samples as f64, samples: samples as f64 }
        };
        (0..8).map(one).collect()
    }

    /// Of 200 draws of each truth: the straight one is called bent in at most 1 of 14, the bent ones are found.
    #[test]
    fn tells_straight_from_bent() {
        let line = |n: f64| (-9.0 * (n / 1e8).powf(-0.35)).exp();
        let faster = |n: f64| (-9.0 * (n / 1e8).powf(-0.1) * (-(0.18 * (n / 1e8).ln()).powi(2) * 2.0).exp()).exp();
        let slower = |n: f64| (-2.0 - 7.0 * (n / 1e8).powf(-1.5)).exp();
        let count = |rate: fn(f64) -> f64, growth: Growth| {
            let named = |seed: u64| pass_growth(&sampled(rate, 100_000, Key::new(seed))).unwrap().growth;
            (0..200).filter(|seed| named(*seed) == growth).count()
        };
        let (bent_down, bent_up) = (count(line, Growth::Concave), count(line, Growth::Convex));
        println!("a line: {bent_down} concave, {bent_up} convex, {} linear of 200", count(line, Growth::Linear));
        assert!(bent_down + bent_up <= 14);
        assert!(count(faster, Growth::Concave) >= 190);
        assert!(count(slower, Growth::Convex) >= 190);
    }

    #[test]
    fn sizes_without_a_pass_are_left_out() {
        let points = [1e6, 1e7, 1e8, 1e9].map(|scale| Passes { scale, rate: 0.0, samples: 100.0 });
        assert_eq!(pass_growth(&points), None);
    }
}
