//! What a reader must know before using a fitted law: how the residuals look, and what the data did not identify.

use crate::fit::Fit;
use crate::law::PowerSum;
use crate::observation::{Observation, Observations};
use saltus_stats::Interval;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};
use std::collections::BTreeMap;
use std::fmt;

/// A test statistic and its two-sided (for F: upper) p-value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// Probability of one at least as extreme, if the law were right.
    pub p: f64,
}

/// How the log residuals, ln predicted - ln measured, look.
#[derive(Clone, Debug, PartialEq)]
pub struct Residuals {
    /// Root of their mean square.
    pub rms: f64,
    /// The largest in absolute value, and where.
    pub largest: (Observation, f64),
    /// Lack of fit against size: F of the spread of the sizes' mean residuals over the spread of runs of one size, with
    /// (sizes - 3, runs - sizes) degrees of freedom. `None` without replicates. Runs, not checkpoints, are counted. The
    /// reference distribution is that of least squares, so for a Huber fit it is approximate.
    pub lack_of_fit: Option<Test>,
    /// Standard deviation between runs of one size, of a run's mean residual. `None` without replicates.
    pub between_runs: Option<f64>,
    /// Mean residual in the first, middle and last third of the runs' checkpoints: a law that is wrong about tokens
    /// bends here. `None` where runs have fewer than three checkpoints. There is no p-value: the error of beta, which
    /// all runs share, would make one too small.
    pub along_training: Option<[f64; 3]>,
}

/// Below this share of the least loss, E counts as zero.
const E_AT_ZERO: f64 = 1e-3;
/// Exponents outside this range mean that a term is a constant or a step.
const EXPONENT_RANGE: (f64, f64) = (0.01, 3.0);
/// An interval whose ends differ by more than this factor says little of an exponent.
const WIDE_EXPONENT: f64 = 2.0;
/// A term that moves the log loss by less than this many residuals (root mean square) cannot be told from none.
const VISIBLE: f64 = 2.0;
/// An interval of E wider than this share of the least loss says little of it.
const WIDE_E: f64 = 0.5;
/// Fewer sizes than this leave three parameters nearly unchecked.
const FEW_SIZES: usize = 6;
/// A range of sizes or tokens below this factor is too short for a power law to show.
const SHORT_RANGE: f64 = 10.0;
/// Residual tests below this p-value are reported.
const SIGNIFICANT: f64 = 0.01;

/// What a reader must know before using a law.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// E has gone to zero, or its interval spans much of the loss.
    IrreducibleLoss {
        /// E.
        e: Interval,
        /// Least loss measured.
        least: f64,
    },
    /// An exponent at the edge of what makes sense, or with a wide interval.
    Exponent {
        /// `alpha` or `beta`.
        name: &'static str,
        /// The exponent.
        exponent: Interval,
    },
    /// Few sizes.
    FewSizes(usize),
    /// Sizes or tokens span less than one decade.
    ShortRange {
        /// `sizes` or `token counts`.
        axis: &'static str,
        /// Largest over smallest.
        factor: f64,
    },
    /// Some sizes have a single run.
    SingleRuns {
        /// Sizes with a single run.
        single: usize,
        /// All sizes.
        sizes: usize,
    },
    /// Checkpoints of one schedule are not separate runs.
    SharedSchedule {
        /// Runs.
        runs: usize,
        /// Observations.
        checkpoints: usize,
    },
    /// L(N) over runs of different lengths mixes the effect of tokens into that of size.
    UnequalTokens {
        /// Fewest and most tokens.
        tokens: (f64, f64),
    },
    /// The sizes' mean residuals differ by more than seeds do.
    LackOfFit(Test),
    /// Residuals bend along training by more than runs differ.
    BendsAlongTraining {
        /// Mean residual in the first, middle and last third of the checkpoints.
        thirds: [f64; 3],
        /// Standard deviation between runs of one size.
        between_runs: f64,
    },
    /// Fits that ran out of evaluations.
    NotConverged {
        /// How many.
        failed: usize,
        /// Of how many.
        of: usize,
    },
}

impl Warning {
    /// `alpha` or `beta`, where the fit makes its term a constant or a step: any other number there would fit as well, and
    /// resamples that begin at this one do not tell.
    pub fn collapsed(&self) -> Option<&'static str> {
        match self {
            Warning::Exponent { name, exponent } if !inside(exponent.value) => Some(name),
            _ => None,
        }
    }
}

fn inside(exponent: f64) -> bool {
    (EXPONENT_RANGE.0..EXPONENT_RANGE.1).contains(&exponent)
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::IrreducibleLoss { e, least } => write!(
                f,
                "the irreducible loss is not identified: E = {:.3} ({:.3} to {:.3}) with losses down to {least:.3}; add larger models",
                e.value, e.low, e.high
            ),
            Warning::Exponent { name, exponent } => write!(
                f,
                "{name} is not identified: {:.3} ({:.3} to {:.3}); widen the range of {}",
                exponent.value,
                exponent.low,
                exponent.high,
                if *name == "beta" { "training tokens" } else { "sizes" }
            ),
            Warning::FewSizes(sizes) => {
                write!(f, "only {sizes} sizes for three parameters of size; train at least {FEW_SIZES}")
            }
            Warning::ShortRange { axis, factor } => write!(
                f,
                "the {axis} span a factor of {factor:.1}, less than a decade: any smooth curve would fit; do not extrapolate"
            ),
            Warning::SingleRuns { single, sizes } => write!(
                f,
                "{single} of {sizes} sizes have a single run: the intervals take their noise from one another; train more seeds"
            ),
            Warning::SharedSchedule { runs, checkpoints } => write!(
                f,
                "{checkpoints} checkpoints come from {runs} runs: within one cosine schedule they are not separate runs of that \
                 length, so B and beta describe training along the way; train runs of several lengths for a budget that counts"
            ),
            Warning::UnequalTokens { tokens: (low, high) } => write!(
                f,
                "the runs end after {low:.3e} to {high:.3e} tokens: alpha mixes size with tokens; use L(N,D) or train all equally long"
            ),
            Warning::LackOfFit(Test { statistic, p }) => write!(
                f,
                "sizes deviate from the law by more than seeds do (F = {statistic:.1}, p = {p:.1e}): the intervals are too \
                 narrow and the form is an approximation; look at the residuals"
            ),
            Warning::BendsAlongTraining { thirds: [early, middle, late], between_runs } => write!(
                f,
                "log residuals go from {early:+.3} over {middle:+.3} to {late:+.3} along training, more than seeds differ \
                 ({between_runs:.3}): the power of tokens is an approximation; look at the residuals before using B and beta"
            ),
            Warning::NotConverged { failed, of } => {
                write!(f, "{failed} of {of} fits stopped before they converged; take the intervals with care")
            }
        }
    }
}

pub(crate) fn warnings<const K: usize, L: PowerSum<K>>(fit: &Fit<L>, failed: usize) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let least = fit.data.all().iter().map(|o| o.loss).fold(f64::INFINITY, f64::min);
    let e = fit.interval(L::irreducible);
    if e.value < E_AT_ZERO * least || e.high - e.low > WIDE_E * least {
        warnings.push(Warning::IrreducibleLoss { e, least });
    }
    for (k, name) in L::EXPONENTS.into_iter().enumerate() {
        let exponent = fit.interval(|law| law.exponents()[k]);
        if !inside(exponent.value)
            || exponent.high > WIDE_EXPONENT * exponent.low
            || reach(fit, k) < VISIBLE * fit.residuals.rms
        {
            warnings.push(Warning::Exponent { name, exponent });
        }
    }
    warnings.extend(design(fit));
    warnings.extend(fit.residuals.lack_of_fit.filter(|test| test.p < SIGNIFICANT).map(Warning::LackOfFit));
    if let Residuals { between_runs: Some(between_runs), along_training: Some(thirds), .. } = fit.residuals {
        let highest = thirds.iter().copied().fold(f64::MIN, f64::max);
        let lowest = thirds.iter().copied().fold(f64::MAX, f64::min);
        if highest - lowest > between_runs {
            warnings.push(Warning::BendsAlongTraining { thirds, between_runs });
        }
    }
    let of = fit.resamples.len() + 1;
    if failed * 100 > of {
        warnings.push(Warning::NotConverged { failed, of });
    }
    warnings
}

/// How much term `k` moves the log loss over the range fitted.
fn reach<const K: usize, L: PowerSum<K>>(fit: &Fit<L>, k: usize) -> f64 {
    let (params, tokens) = (fit.params, fit.tokens);
    let from = if k == 0 { fit.law.loss(params.0, tokens.1) } else { fit.law.loss(params.1, tokens.0) };
    (from / fit.law.loss(params.1, tokens.1)).ln()
}

/// Warnings that the data give before any fit.
fn design<const K: usize, L: PowerSum<K>>(fit: &Fit<L>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let (_, sizes_of_runs) = fit.data.runs();
    let sizes = fit.data.sizes();
    if sizes.len() < FEW_SIZES {
        warnings.push(Warning::FewSizes(sizes.len()));
    }
    let tokens = (fit.tokens.0.0, fit.tokens.1.0);
    let ranges = [("sizes", fit.params.1.0 / fit.params.0.0), ("token counts", tokens.1 / tokens.0)];
    for (axis, factor) in ranges.into_iter().take(K) {
        if factor < SHORT_RANGE {
            warnings.push(Warning::ShortRange { axis, factor });
        }
    }
    let single = sizes.iter().filter(|size| sizes_of_runs.iter().filter(|s| s == size).count() == 1).count();
    if single > 0 {
        warnings.push(Warning::SingleRuns { single, sizes: sizes.len() });
    }
    if fit.data.all().len() > fit.runs {
        warnings.push(Warning::SharedSchedule { runs: fit.runs, checkpoints: fit.data.all().len() });
    }
    if K == 1 && tokens.1 > 1.01 * tokens.0 {
        warnings.push(Warning::UnequalTokens { tokens });
    }
    warnings
}

pub(crate) fn residuals(data: &Observations, residuals: &[f64]) -> Residuals {
    let (run_of, sizes_of_runs) = data.runs();
    let mut by_run: Vec<Vec<(f64, f64)>> = vec![Vec::new(); sizes_of_runs.len()];
    let mut largest = (data.all()[0], residuals[0]);
    for ((o, &run), &r) in data.all().iter().zip(&run_of).zip(residuals) {
        by_run[run].push((o.tokens.0, r));
        if r.abs() > largest.1.abs() {
            largest = (*o, r);
        }
    }
    let rms = mean(residuals.iter().map(|r| r * r)).sqrt();
    let (between_runs, lack_of_fit) = between_and_within(&by_run, &sizes_of_runs);
    Residuals { rms, largest, lack_of_fit, between_runs, along_training: along_training(by_run) }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

/// The standard deviation between runs of one size, and the F test of the sizes' mean residuals against it.
fn between_and_within(by_run: &[Vec<(f64, f64)>], sizes_of_runs: &[f64]) -> (Option<f64>, Option<Test>) {
    let mut by_size: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (run, size) in by_run.iter().zip(sizes_of_runs) {
        by_size.entry(size.to_bits()).or_default().push(mean(run.iter().map(|(_, r)| *r)));
    }
    let of_sizes: f64 = by_size.values().map(|runs| runs.len() as f64 * mean(runs.iter().copied()).powi(2)).sum();
    let within_size = |runs: &Vec<f64>| {
        let centre = mean(runs.iter().copied());
        runs.iter().map(|r| (r - centre).powi(2)).sum::<f64>()
    };
    let of_runs: f64 = by_size.values().map(within_size).sum();
    let free = (by_size.len() as f64 - 3.0, by_run.len() as f64 - by_size.len() as f64);
    if free.1 < 3.0 || of_runs <= 0.0 {
        return (None, None);
    }
    let variance = of_runs / free.1;
    let statistic = of_sizes / free.0 / variance;
    let f = if free.0 < 1.0 { None } else { FisherSnedecor::new(free.0, free.1).ok() };
    (Some(variance.sqrt()), f.map(|f| Test { statistic, p: f.sf(statistic) }))
}

/// Mean residual in the first, middle and last third of each run's checkpoints, averaged over runs.
fn along_training(by_run: Vec<Vec<(f64, f64)>>) -> Option<[f64; 3]> {
    let thirds: Vec<[f64; 3]> = by_run
        .into_iter()
        .filter(|run| run.len() >= 3)
        .map(|mut run| {
            run.sort_by(|a, b| a.0.total_cmp(&b.0));
            let n = run.len();
            std::array::from_fn(|third| mean(run[third * n / 3..(third + 1) * n / 3].iter().map(|(_, r)| *r)))
        })
        .collect();
    (!thirds.is_empty()).then(|| std::array::from_fn(|third| mean(thirds.iter().map(|run| run[third]))))
}
