//! Fits a law, with many starts, and again on each resample of the runs, from the first fit.

use crate::check::{self, Residuals, Warning};
use crate::law::{Law, PowerSum, SizeLaw, SizeTokenLaw};
use crate::objective::Problem;
use crate::observation::{LawError, Observations, Params, Tokens};
use crate::resample::Resampling;
use crate::start;
use rayon::prelude::*;
use saltus_random::Key;
use saltus_stats::minimise::{Minimum, Stop};
use saltus_stats::{Interval, normal_quantile, quantile, t_quantile};

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Huber threshold on log residuals; see [`Settings::DELTA`].
    pub delta: f64,
    /// Resamples for the intervals; see [`Settings::RESAMPLES`]. 0 leaves every interval a point.
    pub resamples: usize,
    /// Where the randomness of the resamples comes from.
    pub key: Key,
}

impl Settings {
    /// Threshold of arXiv 2203.15556 and 2404.10102. Noise is larger than that, so the fit is close to least absolute
    /// deviations: a few bad runs do not move it.
    pub const DELTA: f64 = 1e-3;
    /// Enough that the ends of a 95% interval move by a few per cent of its width from one key to another.
    pub const RESAMPLES: usize = 1000;
}

/// A fitted law.
///
/// **Intervals** come from resamples of whole runs, because the checkpoints of a run share its seed and its schedule. Runs
/// are drawn within their size, so that every size stays present, m - 1 draws out of m runs with weight m / (m - 1), so
/// that three seeds give an unbiased variance (Rao & Wu 1988). Sizes with one run are drawn from one another. The 2.5th
/// and 97.5th percentiles are then pushed outwards from the estimate as Student's t is from the normal, with the degrees
/// of freedom of that quantity: the loss of the largest model hangs on its three runs alone. In simulated ladders of
/// three seeds the intervals of E, A and alpha contained the truth in 95-97% of studies, those of the loss at the smallest
/// and largest size in 87-91% (plain percentiles: 83-88%). The intervals speak of seed noise; they know nothing of a law
/// that is wrong (see [`Residuals`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Fit<L> {
    /// The law on all runs.
    pub law: L,
    /// The law on each resample, in a fixed order.
    pub resamples: Vec<L>,
    /// What was fitted, with its conventions.
    pub data: Observations,
    /// Number of runs.
    pub runs: usize,
    /// Smallest and largest size fitted.
    pub params: (Params, Params),
    /// Fewest and most tokens fitted.
    pub tokens: (Tokens, Tokens),
    /// Sum of Huber losses at the law.
    pub objective: f64,
    /// Its threshold.
    pub delta: f64,
    /// 1 - residual over total sum of squares of the log loss.
    pub r_squared: f64,
    /// How the residuals look.
    pub residuals: Residuals,
    /// What a reader must know before using the law.
    pub warnings: Vec<Warning>,
    /// Which runs made each resample.
    resampling: Resampling,
}

impl<L: Law> Fit<L> {
    /// Any positive quantity of the law with its 95% interval.
    pub fn interval(&self, quantity: impl Fn(&L) -> f64) -> Interval {
        let value = quantity(&self.law);
        let mut all: Vec<f64> = self.resamples.iter().map(quantity).collect();
        if all.is_empty() {
            return Interval { value, low: value, high: value };
        }
        let (low, high) = (quantile(&all, 0.025), quantile(&all, 0.975));
        all.iter_mut().for_each(|v| *v = v.clamp(low, high));
        if !(low.is_finite() && high.is_finite()) {
            // A factor of an exponent that is not identified is beyond all numbers.
            return Interval { value, low, high };
        }
        let push = t_quantile(0.975, self.resampling.degrees_of_freedom(&all)) / normal_quantile(0.975);
        // Outwards along the logarithm on one side and the number on the other: of the two, each is the shorter way there.
        let low = if low > 0.0 && low < value { value * (low / value).powf(push) } else { low };
        let high = if high > value { value + (high - value) * push } else { high };
        Interval { value, low, high }
    }

    /// The parameters with their intervals, by the names of the papers.
    pub fn parameters(&self) -> Vec<(&'static str, Interval)> {
        let names = self.law.named();
        (0..names.len()).map(|i| (names[i].0, self.interval(|law| law.named()[i].1))).collect()
    }

    /// Predicted loss with its band.
    pub fn loss(&self, params: Params, tokens: Tokens) -> Interval {
        self.interval(|law| law.loss(params, tokens))
    }

    /// The curve of the loss against size at the most tokens fitted, for plotting: `points` sizes from the smallest to
    /// the largest, evenly in their logarithm.
    pub fn size_curve(&self, points: usize) -> Vec<(Params, Interval)> {
        let (Params(low), Params(high)) = self.params;
        (0..points)
            .map(|i| {
                let share = i as f64 / (points.max(2) - 1) as f64;
                let params = Params((low.ln() + share * (high / low).ln()).exp());
                (params, self.loss(params, self.tokens.1))
            })
            .collect()
    }
}

impl Fit<SizeTokenLaw> {
    /// The law without each observation in turn, in their order: how much hangs on one row.
    pub fn without_each(&self) -> Vec<SizeTokenLaw> {
        let problem = Problem::<2>::new::<SizeTokenLaw>(&self.data, self.delta);
        let all = self.data.all().len();
        let ones = vec![1.0; all];
        let here = start::off_the_boundary(&problem, careful(&problem, &ones).x);
        let without = |row: usize| {
            let mut weights = ones.clone();
            weights[row] = 0.0;
            problem.law(&problem.polish(&weights, &here, QUICK).x)
        };
        (0..all).into_par_iter().map(without).collect()
    }
}

/// Fits L(N) = E + A / N^alpha to the last checkpoint of each run.
///
/// # Errors
/// [`LawError::TooFew`] below four sizes, [`LawError::BadDelta`].
pub fn fit_size(data: &Observations, settings: &Settings) -> Result<Fit<SizeLaw>, LawError> {
    let last = data.last_checkpoints();
    at_least::<SizeLaw>("sizes", 4, last.sizes().len())?;
    fit(last, settings)
}

/// Fits L(N, D) = E + A / N^alpha + B / D^beta to all checkpoints.
///
/// Checkpoints inside one schedule are not runs of that length (arXiv 2203.15556, section 3.1): where there are several
/// in a run, B and beta describe the path of training, and [`Warning::SharedSchedule`] says so.
///
/// # Errors
/// [`LawError::TooFew`] below three sizes, three token counts or six observations, [`LawError::BadDelta`].
pub fn fit_size_tokens(data: &Observations, settings: &Settings) -> Result<Fit<SizeTokenLaw>, LawError> {
    at_least::<SizeTokenLaw>("sizes", 3, data.sizes().len())?;
    at_least::<SizeTokenLaw>("token counts", 3, data.token_counts().len())?;
    at_least::<SizeTokenLaw>("observations", 6, data.all().len())?;
    fit(data.clone(), settings)
}

fn at_least<L: Law>(axis: &'static str, needed: usize, found: usize) -> Result<(), LawError> {
    if found < needed { Err(LawError::TooFew { law: L::NAME, axis, needed, found }) } else { Ok(()) }
}

/// For the estimate: as far as the machine's precision carries.
const CAREFUL: Stop = Stop { relative: 1e-12, absolute: 1e-18, evaluations: 5000 };
/// For a resample: its exponents then lie within a hundredth of a standard error of the careful fit's.
const QUICK: Stop = Stop { relative: 1e-8, absolute: 1e-15, evaluations: 1000 };

fn fit<const K: usize, L: PowerSum<K>>(data: Observations, settings: &Settings) -> Result<Fit<L>, LawError> {
    if !(settings.delta.is_finite() && settings.delta > 0.0) {
        return Err(LawError::BadDelta(settings.delta));
    }
    let problem = Problem::<K>::new::<L>(&data, settings.delta);
    let best = careful(&problem, &vec![1.0; data.all().len()]);
    let (run_of, sizes_of_runs) = data.runs();
    let resampling = Resampling::new(&sizes_of_runs, settings.resamples, settings.key);
    let warm = start::off_the_boundary(&problem, best.x.clone());
    let refits: Vec<Minimum> = resampling
        .weights
        .par_iter()
        .map(|by_run| {
            let weights: Vec<f64> = run_of.iter().map(|run| by_run[*run]).collect();
            problem.polish(&weights, &warm, QUICK)
        })
        .collect();
    let residuals = problem.residuals(&best.x);
    let (sizes, token_counts) = (data.sizes(), data.token_counts());
    let mut fit = Fit {
        law: problem.law(&best.x),
        resamples: refits.iter().map(|refit| problem.law(&refit.x)).collect(),
        runs: sizes_of_runs.len(),
        params: (Params(sizes[0]), Params(sizes[sizes.len() - 1])),
        tokens: (Tokens(token_counts[0]), Tokens(token_counts[token_counts.len() - 1])),
        objective: best.value,
        delta: settings.delta,
        r_squared: r_squared(&problem.y, &residuals),
        residuals: check::residuals(&data, &residuals),
        data,
        warnings: Vec::new(),
        resampling,
    };
    let failed = refits.iter().filter(|refit| !refit.converged).count() + usize::from(!best.converged);
    fit.warnings = check::warnings(&fit, failed);
    Ok(fit)
}

fn r_squared(y: &[f64], residuals: &[f64]) -> f64 {
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let total: f64 = y.iter().map(|y| (y - mean).powi(2)).sum();
    1.0 - residuals.iter().map(|r| r * r).sum::<f64>() / total
}

/// The best of many starts.
fn careful<const K: usize>(problem: &Problem<K>, weights: &[f64]) -> Minimum {
    let polished = start::starts(problem, weights).into_iter().map(|theta| problem.polish(weights, &theta, CAREFUL));
    polished
        .min_by(|a, b| a.value.total_cmp(&b.value))
        .unwrap_or_else(|| unreachable!("a finite grid has a smallest value, so there is at least one start"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Conventions, Flops, Observation, Parameters};
    use rand::RngExt;

    /// A warm start finds on each resample what many careful starts find.
    #[test]
    fn a_warm_start_loses_nothing() {
        let truth = SizeTokenLaw { e: 0.65, a: 9.75, alpha: 0.265, b: 150.0, beta: 0.45 };
        let mut rng = Key::new(1).rng();
        let observation = |i: u64| {
            let (params, tokens) =
                (Params(1.5e3 * 2f64.powi((i / 18) as i32)), Tokens(1e5 * 2f64.powi((i % 6) as i32)));
            let loss = truth.loss(params, tokens) * (1.0 + 0.03 * (rng.random::<f64>() - 0.5));
            Observation { params, tokens, flops: Flops::six_nd(params, tokens), loss, run: i / 6, seed: i / 6 % 3 }
        };
        let conventions =
            Conventions { parameters: Parameters::NonEmbedding, loss: "simulated".into(), tokenizer: "none".into() };
        let data = Observations::new((0..144).map(observation).collect(), conventions).unwrap();
        let problem = Problem::<2>::new::<SizeTokenLaw>(&data, Settings::DELTA);
        let best = careful(&problem, &[1.0; 144]);
        let (run_of, sizes) = data.runs();
        let resampling = Resampling::new(&sizes, 60, Key::new(2));
        let mut alphas = Vec::new();
        for by_run in &resampling.weights {
            let weights: Vec<f64> = run_of.iter().map(|run| by_run[*run]).collect();
            let quick: SizeTokenLaw = problem.law(&problem.polish(&weights, &best.x, QUICK).x);
            let slow: SizeTokenLaw = problem.law(&careful(&problem, &weights).x);
            alphas.push((quick.alpha, slow.alpha));
        }
        let mean = alphas.iter().map(|(_, slow)| slow).sum::<f64>() / 60.0;
        let deviation = (alphas.iter().map(|(_, slow)| (slow - mean).powi(2)).sum::<f64>() / 59.0).sqrt();
        let worst = alphas.iter().map(|(quick, slow)| (quick - slow).abs() / deviation).fold(0.0, f64::max);
        println!("worst difference of alpha: {worst:.4} standard errors");
        assert!(worst < 0.05, "{worst}");
    }
}
