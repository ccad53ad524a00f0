//! Trains a family: one rung on each core while there are enough of them, all cores on one where it is large.

use crate::{
    error::Error,
    plan::Plan,
    rung::Rung,
    step::SHARDS,
    store::{Trained, read_done},
    train::{Event, train_rung},
};
use saltus_corpus::Corpus;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// A rung and what it is trained on.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The rung.
    pub rung: &'a Rung,
    /// Its corpus.
    pub corpus: &'a dyn Corpus,
}

/// How far the whole family is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Which job (an index) the event is about.
    pub job: usize,
    /// What happened to it.
    pub event: Event<'a>,
    /// Work done by this call so far, in the units of [`Plan::work`].
    pub work_done: f64,
    /// Work that this call has to do in all: what other runs did is not part of it, early stopping shrinks it.
    pub work_total: f64,
}

/// Which rungs are trained when.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Schedule {
    /// First: rungs that get several threads each.
    pub(crate) wide: Vec<usize>,
    /// Then: rungs that get one thread each, as many at once as there are threads.
    pub(crate) narrow: Vec<usize>,
}

impl Schedule {
    /// Largest first. As long as the largest rung left would take one thread longer than all the others together take
    /// the other threads, it is trained by several; all that remain are trained by one each.
    pub(crate) fn of(work: &[(usize, f64)], threads: usize) -> Self {
        let mut left = work.to_vec();
        left.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut wide = Vec::new();
        let others = threads.saturating_sub(1) as f64;
        while threads > 1
            && let [(job, largest), rest @ ..] = &left[..]
            && *largest * others > rest.iter().map(|r| r.1).sum::<f64>()
        {
            wide.push(*job);
            left.remove(0);
        }
        Schedule { wide, narrow: left.into_iter().map(|(job, _)| job).collect() }
    }

    /// The two phases: jobs, how many at once, threads for each.
    pub(crate) fn phases(&self, threads: usize) -> [(&[usize], usize, usize); 2] {
        let threads = threads.max(1);
        [(&self.wide, (threads / SHARDS).max(1), threads.min(SHARDS)), (&self.narrow, threads, 1)]
    }
}

/// Trains every job whose result `store` does not hold, in `store/<key>/`, with `threads` threads in all. Results are
/// in the order of the jobs; one that fails or diverges does not stop the others. Jobs with the same key are trained
/// once. `progress` is called from the training threads; when it breaks, all trainings save their states and stop.
pub fn grow(
    jobs: &[Job<'_>],
    store: &Path,
    threads: usize,
    progress: &(dyn Fn(Progress<'_>) -> ControlFlow<()> + Sync),
) -> Vec<Result<Trained, Error>> {
    let keys: Vec<String> = jobs.iter().map(|job| job.rung.key(&job.corpus.identity())).collect();
    let mut results = BTreeMap::new();
    let mut missing = BTreeMap::new();
    for (i, (job, key)) in jobs.iter().zip(&keys).enumerate() {
        match read_done(&store.join(key), job.rung, key) {
            Some(trained) => _ = results.insert(key.clone(), Ok(trained)),
            None => _ = missing.entry(key.as_str()).or_insert((i, Plan::of(job.rung).work)),
        }
    }
    let work: Vec<(usize, f64)> = missing.into_values().collect();
    let tally = Mutex::new((0.0, work.iter().map(|(_, work)| work).sum::<f64>()));
    let train = |i: usize, threads: usize| {
        let Job { rung, corpus } = jobs[i];
        let each = Plan::of(rung).work / rung.steps as f64;
        let mut told = |event: Event<'_>| {
            let (work_done, work_total) = account(&tally, event, each, rung.steps);
            progress(Progress { job: i, event, work_done, work_total })
        };
        train_rung(rung, corpus, &store.join(&keys[i]), threads, &mut told)
    };
    for (jobs, lanes, threads) in Schedule::of(&work, threads).phases(threads) {
        for (i, result) in in_lanes(jobs, lanes, |i| train(i, threads)) {
            results.insert(keys[i].clone(), result);
        }
    }
    keys.iter().map(|key| results[key].clone()).collect()
}

/// Work done and in all, after `event` of a rung of `steps` steps of `each` work.
fn account(tally: &Mutex<(f64, f64)>, event: Event<'_>, each: f64, steps: u64) -> (f64, f64) {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Started { step } => tally.1 -= each * step as f64,
        Event::Step { .. } => tally.0 += each,
        Event::Finished(trained) => {
            let last = trained.curve.last().map_or(0, |point| point.step);
            tally.1 -= each * (steps - last) as f64;
        }
        Event::Warning(_) => {}
    }
    *tally
}

/// Runs `f` on every job, in order, on `lanes` threads.
fn in_lanes<R: Send>(jobs: &[usize], lanes: usize, f: impl Fn(usize) -> R + Sync) -> Vec<(usize, R)> {
    let queue = Mutex::new(jobs.iter().copied().collect::<VecDeque<_>>());
    let results = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..lanes.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(job) = next() {
                    let result = f(job);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((job, result));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(work: &[f64], threads: usize) -> (Vec<usize>, Vec<usize>) {
        let work: Vec<(usize, f64)> = work.iter().copied().enumerate().collect();
        let Schedule { wide, narrow } = Schedule::of(&work, threads);
        (wide, narrow)
    }

    #[test]
    fn large_rungs_get_all_threads_and_the_rest_one_each() {
        assert_eq!(schedule(&[1.0, 4.0, 2.0, 8.0, 1.0], 2), (vec![], vec![3, 1, 2, 0, 4]));
        assert_eq!(schedule(&[1.0, 4.0, 2.0, 9.0, 1.0], 2), (vec![3], vec![1, 2, 0, 4]));
        assert_eq!(schedule(&[1.0; 4], 4), (vec![], vec![0, 1, 2, 3]));
        assert_eq!(schedule(&[1.0; 3], 4), (vec![0, 1, 2], vec![]));
        assert_eq!(schedule(&[5.0, 1.0], 1), (vec![], vec![0, 1]));
        assert_eq!(schedule(&[], 4), (vec![], vec![]));
    }

    #[test]
    fn many_threads_train_several_large_rungs_at_once() {
        let phases = Schedule::default();
        let sizes = |threads| phases.phases(threads).map(|(_, lanes, each)| (lanes, each));
        assert_eq!(sizes(2), [(1, 2), (2, 1)]);
        assert_eq!(sizes(16), [(4, 4), (16, 1)]);
    }

    proptest! {
        #[test]
        fn every_rung_is_trained_once(work in prop::collection::vec(0.1..1e6f64, 0..40), threads in 1usize..20) {
            let (wide, narrow) = schedule(&work, threads);
            let mut all = [wide, narrow].concat();
            prop_assert!(all.windows(2).all(|w| work[w[0]] >= work[w[1]]));
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..work.len()));
        }
    }
}
