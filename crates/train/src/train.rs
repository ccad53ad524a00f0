//! Trains one rung in its folder, from where it was.

use crate::{
    error::Error,
    rung::Rung,
    schedule::{curve_steps, learning_rate},
    step::{StepOutcome, Trainer},
    store::{self, CurvePoint, End, Log, Tally, Trained},
};
use saltus_corpus::{Batch, Corpus};
use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

/// What happens while a rung is trained.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Training goes on from `step`; 0 is the beginning.
    Started {
        /// Optimiser steps done before.
        step: u64,
    },
    /// A step was done.
    Step {
        /// Optimiser steps done.
        step: u64,
        /// Its mean loss, nats per scored position.
        loss: f64,
    },
    /// Something worth telling that does not stop the training.
    Warning(&'a str),
    /// The training ended.
    Finished(&'a Trained),
}

/// How often the resumable state is saved; longer when saving is slow, so that it takes at most a twentieth.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Trains `rung` on `corpus` in `folder` with at most `threads` threads, from where the folder's state says it was.
/// A finished training is returned as it is. The bits do not depend on `threads` or on interruptions.
///
/// `progress` is called at every event; when it breaks, the state is saved and the error is [`Error::Stopped`].
///
/// # Errors
/// The disk's ([`Error::Io`], [`Error::Model`]; what was saved stays intact) and a batch that does not fit the model.
/// Divergence is no error: see [`End`].
pub fn train_rung(
    rung: &Rung,
    corpus: &dyn Corpus,
    folder: &Path,
    threads: usize,
    progress: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Trained, Error> {
    let key = rung.key(&corpus.identity());
    if let Some(trained) = store::read_done(folder, rung, &key) {
        return Ok(trained);
    }
    store::open(folder, rung)?;
    let mut trainer = Trainer::new(rung, threads);
    let (log, warning) = match store::load_state(folder, &key, &mut trainer) {
        Ok(log) => (log.unwrap_or_default(), None),
        Err(problem) => (Log::default(), Some(format!("{problem}; the training starts again"))),
    };
    let mut run = Run { rung, folder, key: &key, trainer, log, saved: Instant::now(), save_every: SAVE_EVERY };
    let told = warning.map_or(ControlFlow::Continue(()), |text| progress(Event::Warning(&text)));
    if told.is_break() || progress(Event::Started { step: run.trainer.step }).is_break() {
        return Err(Error::Stopped { step: run.trainer.step });
    }
    let end = run.train(corpus, progress)?;
    let trained = store::finish(folder, rung, &key, run.log, end)?;
    // The training is over: there is nothing left to stop.
    let _ = progress(Event::Finished(&trained));
    Ok(trained)
}

struct Run<'a> {
    rung: &'a Rung,
    folder: &'a Path,
    key: &'a str,
    trainer: Trainer,
    log: Log,
    saved: Instant,
    save_every: Duration,
}

impl Run<'_> {
    fn train(
        &mut self,
        corpus: &dyn Corpus,
        progress: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<End, Error> {
        let rung = self.rung;
        let points = curve_steps(rung.steps);
        let mut batch = Batch::default();
        if self.trainer.step == 0 && rung.checkpoints.contains(&0) {
            self.keep(corpus)?;
        }
        while self.trainer.step < rung.steps {
            let next = self.trainer.step + 1;
            corpus.batch(rung.data_key(), next - 1, rung.rows, &mut batch);
            let outcome = self.trainer.step(rung, &batch)?;
            if !outcome.is_finite() {
                self.point(next - 1);
                return Ok(End::Diverged { step: next, learning_rate: learning_rate(rung, next) });
            }
            self.log.point.add(&outcome);
            self.log.window.add(&outcome);
            let stop_early = next < rung.steps && self.window_is_flat();
            if stop_early || points.binary_search(&next).is_ok() {
                self.point(next);
            }
            if stop_early || rung.checkpoints.binary_search(&next).is_ok() {
                self.keep(corpus)?;
            }
            let told = progress(Event::Step { step: next, loss: outcome.loss });
            if stop_early {
                return Ok(End::StoppedEarly { step: next });
            }
            if next < rung.steps {
                self.save_if_due(told)?;
            }
        }
        Ok(End::Completed)
    }

    /// Ends a window of early stopping if this step is its last; whether the loss has stopped falling.
    fn window_is_flat(&mut self) -> bool {
        let Some(share) = self.rung.early_stop else { return false };
        if !self.trainer.step.is_multiple_of(self.rung.window()) {
            return false;
        }
        let mean = std::mem::take(&mut self.log.window).loss();
        let before = self.log.last_window.replace(mean);
        before.is_some_and(|before| before - mean < share * before)
    }

    /// Adds a point to the curve.
    fn point(&mut self, step: u64) {
        let tally = std::mem::take(&mut self.log.point);
        if tally.steps > 0 {
            self.log.curve.push(CurvePoint {
                step,
                tokens: step * self.rung.tokens_per_step(),
                loss: tally.loss(),
                learning_rate: learning_rate(self.rung, step),
                gradient_norm: tally.norms / tally.steps as f64,
            });
        }
    }

    /// Keeps a checkpoint.
    fn keep(&mut self, corpus: &dyn Corpus) -> Result<(), Error> {
        let Trainer { step, weights, .. } = &self.trainer;
        let kept = store::save_checkpoint(self.folder, *step, weights, corpus.mask())?;
        self.log.checkpoints.push(kept);
        Ok(())
    }

    /// Saves the state when it is time, or when the caller wants to stop.
    fn save_if_due(&mut self, told: ControlFlow<()>) -> Result<(), Error> {
        if told.is_continue() && self.saved.elapsed() < self.save_every {
            return Ok(());
        }
        let begun = Instant::now();
        store::save_state(self.folder, self.key, &self.trainer, &self.log)?;
        self.saved = Instant::now();
        self.save_every = SAVE_EVERY.max(20 * begun.elapsed());
        match told {
            ControlFlow::Break(()) => Err(Error::Stopped { step: self.trainer.step }),
            ControlFlow::Continue(()) => Ok(()),
        }
    }
}

impl Tally {
    fn add(&mut self, outcome: &StepOutcome) {
        self.nats += outcome.loss * outcome.scored as f64;
        self.scored += outcome.scored;
        self.norms += outcome.gradient_norm;
        self.steps += 1;
    }

    fn loss(&self) -> f64 {
        self.nats / self.scored.max(1) as f64
    }
}
