//! Foretells how long a family will take, by timing a few steps. Reads the clock; no result depends on it.

use crate::{
    error::Error,
    grow::{Job, Schedule},
    plan::Plan,
    rung::Rung,
    step::Trainer,
};
use saltus_corpus::{Batch, Corpus};
use std::time::{Duration, Instant};

/// The speed of training one rung on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Seconds for a step, the batch included (the median of those timed).
    pub seconds_per_step: f64,
    /// Positions per second.
    pub tokens_per_second: f64,
}

/// Times steps of `rung` with `threads` threads: two to warm up, then at least three, for at least `time`.
pub fn calibrate(rung: &Rung, corpus: &dyn Corpus, threads: usize, time: Duration) -> Result<Calibration, Error> {
    let mut trainer = Trainer::new(rung, threads);
    let mut batch = Batch::default();
    let mut seconds = Vec::new();
    let begun = Instant::now();
    for step in 0.. {
        let start = Instant::now();
        corpus.batch(rung.data_key(), step, rung.rows, &mut batch);
        trainer.step(rung, &batch)?;
        if step >= 2 {
            seconds.push(start.elapsed().as_secs_f64());
        }
        if seconds.len() >= 3 && begun.elapsed() >= time {
            break;
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    Ok(Calibration { seconds_per_step: median, tokens_per_second: rung.tokens_per_step() as f64 / median })
}

/// Seconds that [`crate::grow`] will take for `jobs` with `threads` threads, if a step of a rung with so many threads takes
/// `seconds_per_step`: the schedule is played through.
pub fn foretell(
    jobs: &[Job<'_>],
    threads: usize,
    mut seconds_per_step: impl FnMut(&Rung, usize) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let work: Vec<(usize, f64)> = jobs.iter().map(|job| Plan::of(job.rung).work).enumerate().collect();
    makespan(&Schedule::of(&work, threads), threads, |job, threads| {
        let rung = jobs[job].rung;
        Ok(seconds_per_step(rung, threads)? * rung.steps as f64)
    })
}

/// When the last job of a schedule ends, if job `j` takes `seconds(j, threads)` on so many threads.
fn makespan(
    schedule: &Schedule,
    threads: usize,
    mut seconds: impl FnMut(usize, usize) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let mut total = 0.0;
    for (jobs, lanes, threads) in schedule.phases(threads) {
        let mut lanes = vec![0.0; lanes];
        for &job in jobs {
            // The lane that is free first takes the next job.
            lanes.sort_by(f64::total_cmp);
            lanes[0] += seconds(job, threads)?;
        }
        total += lanes.into_iter().fold(0.0, f64::max);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_ends_when_its_last_lane_does() {
        let seconds = [40.0, 8.0, 6.0, 5.0];
        let work: Vec<(usize, f64)> = seconds.iter().copied().enumerate().collect();
        let ends = |threads| {
            let speed = |job: usize, threads: usize| Ok(seconds[job] / threads as f64);
            makespan(&Schedule::of(&work, threads), threads, speed).ok()
        };
        assert_eq!(ends(1), Some(59.0));
        // The first on both threads; then 8 beside 6 + 5.
        assert_eq!(ends(2), Some(20.0 + 11.0));
    }
}
