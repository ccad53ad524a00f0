//! Schedules as pure functions of the step: learning rate, checkpoints, points of the curve.

use crate::rung::Rung;

/// Learning rate of `step` (from 1 to `rung.steps`): a linear warm-up over `warmup_steps`, then a cosine down to
/// `final_rate` of the peak at the last step (SGDR's cosine without restarts, arXiv 1608.03983, eq. 5).
pub fn learning_rate(rung: &Rung, step: u64) -> f64 {
    let peak = rung.peak_learning_rate;
    if step <= rung.warmup_steps {
        return peak * step as f64 / rung.warmup_steps as f64;
    }
    let decay_steps = rung.steps.saturating_sub(rung.warmup_steps).max(1);
    let progress = ((step - rung.warmup_steps) as f64 / decay_steps as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    peak * (rung.final_rate + (1.0 - rung.final_rate) * cosine)
}

/// The steps at which checkpoints are kept: the last step, half of it, a quarter of it, ... `count` in all (fewer when
/// the training is too short), evenly spaced in the logarithm of the step; before them step 0, the untrained model,
/// when `initial`. Ascending.
pub fn checkpoint_steps(steps: u64, count: usize, initial: bool) -> Vec<u64> {
    let halvings = count.min(64) as u32;
    let mut kept: Vec<u64> = (0..halvings).rev().map(|k| halved(steps, k)).filter(|&s| s > 0).collect();
    kept.dedup();
    if initial {
        kept.insert(0, 0);
    }
    kept
}

/// `steps / 2^k`, rounded to the nearest, 0 below one half.
fn halved(steps: u64, k: u32) -> u64 {
    (steps as f64 / 2f64.powi(k as i32)).round() as u64
}

/// The steps at which the training curve gets a point: at most 100 evenly spaced and 100 log-spaced ones, so that both
/// the beginning and the end can be seen. Ascending, ends with the last step.
pub fn curve_steps(steps: u64) -> Vec<u64> {
    let last = steps as f64;
    let even = (1..=100).map(|i| last * f64::from(i) / 100.0);
    let log = (0..100).map(|i| last.powf(f64::from(i) / 100.0));
    let mut all: Vec<u64> = even.chain(log).map(|s| s.round() as u64).filter(|&s| s > 0).collect();
    all.sort_unstable();
    all.dedup();
    all
}
