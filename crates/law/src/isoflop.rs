//! Best sizes by budget straight from the data: approaches 1 and 2 of arXiv 2203.15556.

use crate::observation::{LawError, Observations};
use rand::RngExt;
use rayon::prelude::*;
use saltus_random::Key;
use saltus_stats::{Interval, quantile};
use std::collections::BTreeMap;

/// The best size of one budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum {
    /// C, FLOPs.
    pub flops: f64,
    /// N*, where the parabola of the loss over ln N is least.
    pub params: f64,
    /// Its loss.
    pub loss: f64,
    /// Runs of this budget.
    pub runs: usize,
    /// Whether N* lies within the sizes of the runs.
    pub inside: bool,
}

/// N*(C) = k C^a and D*(C) = C / (6 N*).
#[derive(Clone, Debug, PartialEq)]
pub struct BestSizes {
    /// What the power law goes through.
    pub minima: Vec<Minimum>,
    /// a, the exponent of N*; that of D* is 1 - a.
    pub exponent: Interval,
    /// k.
    pub coefficient: Interval,
    /// Root of the mean square of ln N* about the power law.
    pub rms: f64,
}

/// Runs of one budget, in ln: (ln N, loss).
type Budget = (f64, Vec<(f64, f64)>);

/// Approach 2: for every budget a parabola of the loss in ln N, then a power law through the minima of those that open
/// upwards. Budgets closer than a tenth count as one.
///
/// The parabola is a local approximation: over a wide range of sizes, or one that is not centred, its minimum is biased even
/// without noise. Intervals resample the runs of each budget.
///
/// # Errors
/// [`LawError::TooFew`] for fewer than two budgets with three sizes and a minimum.
pub fn isoflop(data: &Observations, resamples: usize, key: Key) -> Result<BestSizes, LawError> {
    let mut runs: Vec<(f64, f64, f64)> = data.all().iter().map(|o| (o.flops.0, o.params.0.ln(), o.loss)).collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut budgets: Vec<Budget> = Vec::new();
    for (flops, x, y) in runs {
        match budgets.last_mut() {
            Some((budget, all)) if flops < *budget * 1.1 => all.push((x, y)),
            _ => budgets.push((flops, vec![(x, y)])),
        }
    }
    let minima = minima(&budgets);
    let (k, a) = power(&minima).ok_or(LawError::TooFew {
        law: "isoflop",
        axis: "budgets with three sizes and a least loss",
        needed: 2,
        found: minima.len(),
    })?;
    let again = |b: usize| {
        let mut rng = key.index(b as u64).rng();
        let drawn: Vec<Budget> = budgets
            .iter()
            .map(|(budget, runs)| (*budget, runs.iter().map(|_| runs[rng.random_range(0..runs.len())]).collect()))
            .collect();
        power(&self::minima(&drawn))
    };
    let refits: Vec<(f64, f64)> = (0..resamples).into_par_iter().filter_map(again).collect();
    Ok(best_sizes(minima, (k, a), &refits))
}

/// Approach 1: a power law through the sizes on the lower envelope of the loss against compute.
///
/// Intervals resample whole runs. Checkpoints inside a schedule lie above what a run of that length would reach, so use
/// the ends of runs, or runs of several lengths.
///
/// # Errors
/// [`LawError::TooFew`] for fewer than three points on the envelope.
pub fn envelope_law(data: &Observations, resamples: usize, key: Key) -> Result<BestSizes, LawError> {
    let of = |data: &Observations| -> Vec<Minimum> {
        data.envelope()
            .iter()
            .map(|p| Minimum { flops: p.flops.0, params: p.params.0, loss: p.loss, runs: 1, inside: true })
            .collect()
    };
    let minima = of(data);
    if minima.len() < 3 {
        let (law, axis) = ("envelope", "points on the envelope");
        return Err(LawError::TooFew { law, axis, needed: 3, found: minima.len() });
    }
    let (k, a) = power(&minima).unwrap_or((f64::NAN, f64::NAN));
    let mut by_run: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    data.all().iter().for_each(|o| by_run.entry(o.run).or_default().push(*o));
    let by_run: Vec<_> = by_run.into_values().collect();
    let again = |b: usize| {
        let mut rng = key.index(b as u64).rng();
        let drawn = (0..by_run.len()).flat_map(|_| by_run[rng.random_range(0..by_run.len())].clone()).collect();
        power(&of(&Observations::new(drawn, data.conventions().clone()).ok()?))
    };
    let refits: Vec<(f64, f64)> = (0..resamples).into_par_iter().filter_map(again).collect();
    Ok(best_sizes(minima, (k, a), &refits))
}

fn best_sizes(minima: Vec<Minimum>, (k, a): (f64, f64), refits: &[(f64, f64)]) -> BestSizes {
    let interval = |value: f64, of: fn(&(f64, f64)) -> f64| {
        let all: Vec<f64> = refits.iter().map(of).filter(|v| v.is_finite()).collect();
        match all.is_empty() {
            true => Interval { value, low: value, high: value },
            false => Interval { value, low: quantile(&all, 0.025).min(value), high: quantile(&all, 0.975).max(value) },
        }
    };
    let square = |m: &Minimum| (m.params.ln() - k - a * m.flops.ln()).powi(2);
    let rms = (minima.iter().map(square).sum::<f64>() / minima.len() as f64).sqrt();
    let log = interval(k, |r| r.0);
    let coefficient = Interval { value: k.exp(), low: log.low.exp(), high: log.high.exp() };
    BestSizes { exponent: interval(a, |r| r.1), coefficient, minima, rms }
}

/// The minimum of each budget's parabola, where it has one.
fn minima(budgets: &[Budget]) -> Vec<Minimum> {
    let of = |(flops, runs): &Budget| {
        let mut sizes: Vec<u64> = runs.iter().map(|r| r.0.to_bits()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let [c, b, a] = parabola(runs).filter(|_| sizes.len() >= 3)?;
        let x = -b / (2.0 * a);
        let (low, high) = runs.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), r| (l.min(r.0), h.max(r.0)));
        // A vertex far outside the sizes is the parabola's, not the loss's.
        let near = a > 0.0 && x > low - (high - low) && x < high + (high - low);
        let inside = (low..=high).contains(&x);
        near.then(|| Minimum { flops: *flops, params: x.exp(), loss: c + b * x + a * x * x, runs: runs.len(), inside })
    };
    budgets.iter().filter_map(of).collect()
}

/// Least squares of y = c + b x + a x^2.
fn parabola(points: &[(f64, f64)]) -> Option<[f64; 3]> {
    let centre = points.iter().map(|p| p.0).sum::<f64>() / points.len() as f64;
    let mut matrix = vec![0.0; 9];
    let mut rhs = vec![0.0; 3];
    for (x, y) in points {
        let row = [1.0, x - centre, (x - centre).powi(2)];
        for i in 0..3 {
            (0..3).for_each(|j| matrix[3 * i + j] += row[i] * row[j]);
            rhs[i] += row[i] * y;
        }
    }
    let s = crate::objective::solve(matrix, rhs);
    let (c, b, a) = (s[0], s[1], s[2]);
    [c, b, a].iter().all(|v| v.is_finite()).then_some([c - b * centre + a * centre * centre, b - 2.0 * a * centre, a])
}

/// (ln k, a) of N* = k C^a by least squares in logarithms.
fn power(minima: &[Minimum]) -> Option<(f64, f64)> {
    let n = minima.len() as f64;
    let (mx, my) =
        (minima.iter().map(|m| m.flops.ln()).sum::<f64>() / n, minima.iter().map(|m| m.params.ln()).sum::<f64>() / n);
    let sxx: f64 = minima.iter().map(|m| (m.flops.ln() - mx).powi(2)).sum();
    let sxy: f64 = minima.iter().map(|m| (m.flops.ln() - mx) * (m.params.ln() - my)).sum();
    (minima.len() >= 2 && sxx > 1e-9).then(|| (my - sxy / sxx * mx, sxy / sxx))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{Law, SizeTokenLaw};
    use crate::observation::{Conventions, Flops, Observation, Parameters, Params, Tokens};

    fn data(law: &SizeTokenLaw) -> Observations {
        let mut all = Vec::new();
        for i in 0..6 {
            let c = 1e18 * 10f64.powf(0.5 * f64::from(i));
            let best = law.optimum(Flops(c)).params.0;
            for j in -3..=3 {
                let params = Params(best * 1.6f64.powi(j));
                let tokens = Tokens(c / 6.0 / params.0);
                let loss = law.loss(params, tokens);
                let run = all.len() as u64;
                all.push(Observation { params, tokens, flops: Flops(c), loss, run, seed: 0 });
            }
        }
        let conventions = Conventions { parameters: Parameters::Total, loss: "x".into(), tokenizer: "x".into() };
        Observations::new(all, conventions).unwrap()
    }

    /// With equal exponents the parabola is unbiased by symmetry, and the exponent is one half.
    #[test]
    fn a_symmetric_law_gives_one_half() {
        let law = SizeTokenLaw { e: 1.8, a: 480.0, alpha: 0.35, b: 2100.0, beta: 0.35 };
        let found = isoflop(&data(&law), 50, Key::new(1)).unwrap();
        assert!((found.exponent.value - 0.5).abs() < 1e-3, "{found:?}");
        assert_eq!(found.minima.len(), 6);
        assert!((found.minima[2].params / law.optimum(Flops(1e19)).params.0).ln().abs() < 0.01);
    }

    #[test]
    fn the_envelope_goes_through_the_best_runs() {
        let law = SizeTokenLaw { e: 1.8, a: 480.0, alpha: 0.34, b: 2100.0, beta: 0.37 };
        let found = envelope_law(&data(&law), 0, Key::new(1)).unwrap();
        assert!((found.exponent.value - law.params_exponent()).abs() < 0.02, "{found:?}");
    }
}
