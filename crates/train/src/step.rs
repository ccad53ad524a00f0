//! One optimiser step over a fixed number of shards, to the same bits at any thread count.

use crate::{error::Error, rung::Rung, schedule::learning_rate};
use rayon::prelude::*;
use saltus_compute::{AdamW, AdamWState, adamw};
use saltus_corpus::{Batch, IGNORE};
use saltus_transformer::{LossSum, Prepared, Rows, Weights, Workspace, loss_and_gradient};
use std::ops::Range;

/// Parts that every batch is cut into, whatever the thread count: so many threads at most work on one model.
pub const SHARDS: usize = 4;

/// Values that one task of the reduction and of AdamW handles; fits a core's L2 cache with all its operands.
const CHUNK: usize = 1 << 14;

/// A part of the batch with its own gradient and activations.
struct Shard {
    rows: Range<usize>,
    workspace: Workspace<f32>,
    gradient: Vec<f32>,
    loss: LossSum,
}

/// A model in training: weights, moments and scratch.
pub struct Trainer {
    pub(crate) weights: Weights<f32>,
    prepared: Prepared,
    pub(crate) first_moment: Vec<f32>,
    pub(crate) second_moment: Vec<f32>,
    pub(crate) step: u64,
    shards: Vec<Shard>,
    decayed: Vec<bool>,
    segments: Vec<Range<usize>>,
    pool: Option<rayon::ThreadPool>,
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutcome {
    /// Mean loss of the batch before the update, nats per scored position.
    pub loss: f64,
    /// Scored positions.
    pub scored: u64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl StepOutcome {
    /// Whether loss and gradient are numbers; if not, the weights were left as they were.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.gradient_norm.is_finite()
    }
}

impl Trainer {
    /// A model at step 0, to be trained by at most `threads` threads (more than [`SHARDS`] are not used).
    pub fn new(rung: &Rung, threads: usize) -> Self {
        Self::with_weights(rung, Weights::init(&rung.config, rung.init_key()), threads)
    }

    /// A model with given weights at step 0.
    pub fn with_weights(rung: &Rung, weights: Weights<f32>, threads: usize) -> Self {
        let n = weights.values.len();
        let context = rung.config.context;
        let shards = (0..SHARDS).map(|i| Shard {
            rows: rung.rows * i / SHARDS..rung.rows * (i + 1) / SHARDS,
            workspace: Workspace::new(&rung.config, context),
            gradient: vec![0.0; n],
            loss: LossSum::default(),
        });
        let (segments, decayed) = segments(&Weights::decayed(&rung.config), n);
        let threads = threads.min(SHARDS);
        // A machine that cannot start threads trains on the calling one: slower, the same bits.
        let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()).flatten();
        Trainer {
            shards: shards.collect(),
            first_moment: vec![0.0; n],
            second_moment: vec![0.0; n],
            step: 0,
            prepared: Prepared::new(&rung.config),
            weights,
            decayed,
            segments,
            pool,
        }
    }

    /// Optimiser steps done.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// The weights now.
    pub fn weights(&self) -> &Weights<f32> {
        &self.weights
    }

    /// One AdamW step on `batch` (`rung.rows` rows): the loss is the mean over all scored positions of the batch, the
    /// gradient is clipped to `rung.optimiser.clip`. A loss or gradient that is not finite leaves the weights alone.
    pub fn step(&mut self, rung: &Rung, batch: &Batch) -> Result<StepOutcome, Error> {
        check_batch(rung, batch, self.step + 1)?;
        // The pool leaves its place for the call, so that its threads may borrow the rest.
        match self.pool.take() {
            Some(pool) => {
                let outcome = pool.install(|| self.step_here(rung, batch, true));
                self.pool = Some(pool);
                Ok(outcome)
            }
            None => Ok(self.step_here(rung, batch, false)),
        }
    }

    fn step_here(&mut self, rung: &Rung, batch: &Batch, parallel: bool) -> StepOutcome {
        let scored = batch.targets.iter().filter(|&&t| t != IGNORE).count();
        let scale = 1.0 / scored.max(1) as f32;
        let weights = &self.weights;
        for_each(self.prepared.matrices(), parallel, |matrix| matrix.make(weights));
        let prepared = &self.prepared;
        for_each(&mut self.shards, parallel, |shard| shard.run((weights, prepared), batch, scale));
        let nats: f64 = self.shards.iter().map(|s| s.loss.nats).sum();
        let outcome = StepOutcome {
            loss: nats / scored.max(1) as f64,
            scored: scored as u64,
            gradient_norm: self.reduce(parallel).sqrt(),
        };
        if outcome.is_finite() {
            self.step += 1;
            self.update(rung, outcome.gradient_norm, parallel);
        }
        outcome
    }

    /// Sums the shards' gradients in order into the first one, empties the others, and returns the squared norm.
    fn reduce(&mut self, parallel: bool) -> f64 {
        let [first, others @ ..] = &mut self.shards[..] else { return 0.0 };
        let mut others: Vec<_> = others.iter_mut().map(|s| s.gradient.chunks_mut(CHUNK)).collect();
        let mut tasks: Vec<_> = first
            .gradient
            .chunks_mut(CHUNK)
            .map(|sum| (sum, others.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>(), 0.0))
            .collect();
        for_each(&mut tasks, parallel, |(sum, parts, squares)| {
            for part in parts {
                sum.iter_mut().zip(&mut **part).for_each(|(s, p)| *s += std::mem::take(p));
            }
            *squares = sum_of_squares(sum);
        });
        tasks.iter().map(|(_, _, squares)| squares).sum()
    }

    /// AdamW on the summed gradient, which it empties.
    fn update(&mut self, rung: &Rung, norm: f64, parallel: bool) {
        let o = rung.optimiser;
        let decaying = AdamW { beta1: o.beta1, beta2: o.beta2, eps: o.eps, weight_decay: o.weight_decay };
        let plain = AdamW { weight_decay: 0.0, ..decaying };
        let clip = (f64::from(o.clip) / norm.max(f64::from(o.clip))) as f32;
        let (step, rate) = (self.step, learning_rate(rung, self.step) as f32);
        let mut values = &mut self.weights.values[..];
        let mut first = &mut self.first_moment[..];
        let mut second = &mut self.second_moment[..];
        let mut gradient = &mut self.shards[0].gradient[..];
        let mut tasks = Vec::with_capacity(self.segments.len());
        for (segment, &decayed) in self.segments.iter().zip(&self.decayed) {
            let n = segment.len();
            let state = AdamWState {
                values: cut(&mut values, n),
                first_moment: cut(&mut first, n),
                second_moment: cut(&mut second, n),
            };
            let settings = if decayed { &decaying } else { &plain };
            tasks.push((settings, cut(&mut gradient, n), Some(state)));
        }
        for_each(&mut tasks, parallel, |(settings, gradient, state)| {
            if let Some(state) = state.take() {
                adamw(settings, rate, step, clip, gradient, state);
            }
            gradient.fill(0.0);
        });
    }
}

impl Shard {
    fn run(&mut self, (weights, prepared): (&Weights<f32>, &Prepared), batch: &Batch, scale: f32) {
        let span = self.rows.start * batch.context..self.rows.end * batch.context;
        self.loss = LossSum::default();
        if !span.is_empty() {
            let rows =
                Rows { context: batch.context, tokens: &batch.tokens[span.clone()], targets: &batch.targets[span] };
            let (workspace, gradient) = (&mut self.workspace, &mut self.gradient);
            self.loss = loss_and_gradient(weights, Some(prepared), rows, scale, workspace, gradient);
        }
    }
}

/// Calls `f` on each task, on the current pool when `parallel`.
fn for_each<T: Send>(tasks: &mut [T], parallel: bool, f: impl Fn(&mut T) + Sync + Send) {
    if parallel && tasks.len() > 1 {
        tasks.par_iter_mut().with_max_len(1).for_each(f);
    } else {
        tasks.iter_mut().for_each(f);
    }
}

/// Takes the first `n` values off `slice`.
fn cut<'a>(slice: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let (head, tail) = std::mem::take(slice).split_at_mut(n);
    *slice = tail;
    head
}

/// Cuts `0..n` at the borders of the decayed ranges and every [`CHUNK`] values; which pieces decay.
fn segments(decayed: &[Range<usize>], n: usize) -> (Vec<Range<usize>>, Vec<bool>) {
    let mut borders: Vec<usize> = (0..n).step_by(CHUNK).collect();
    borders.extend(decayed.iter().flat_map(|r| [r.start, r.end]));
    borders.push(n);
    borders.sort_unstable();
    borders.dedup();
    let pieces: Vec<Range<usize>> = borders.windows(2).map(|w| w[0]..w[1]).collect();
    let flags = pieces.iter().map(|p| decayed.iter().any(|r| r.contains(&p.start))).collect();
    (pieces, flags)
}

/// Sum of squares in f64 over independent lanes, which the compiler keeps in vector registers.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut lanes = [0f64; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
}

/// Whether the corpus gave what the rung asks for.
fn check_batch(rung: &Rung, batch: &Batch, step: u64) -> Result<(), Error> {
    let positions = rung.rows * rung.config.context;
    let vocabulary = rung.config.vocabulary;
    let problem = if batch.context != rung.config.context {
        format!("rows of {} positions where the model has {}", batch.context, rung.config.context)
    } else if batch.tokens.len() != positions || batch.targets.len() != positions {
        format!("{} tokens and {} targets where {positions} are due", batch.tokens.len(), batch.targets.len())
    } else if let Some(token) = batch.tokens.iter().find(|&&t| t as usize >= vocabulary) {
        format!("token {token} where the vocabulary has {vocabulary}")
    } else if let Some(token) = batch.targets.iter().find(|&&t| t != IGNORE && t as usize >= vocabulary) {
        format!("target {token} where the vocabulary has {vocabulary}")
    } else {
        return Ok(());
    };
    Err(Error::Batch { step, problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn segments_cover_everything_once_and_decay_what_they_should(
            lengths in prop::collection::vec((1usize..40_000, any::<bool>()), 1..8)
        ) {
            let (mut n, mut decayed, mut flags) = (0, Vec::new(), Vec::new());
            for (length, decays) in lengths {
                decayed.extend(decays.then_some(n..n + length));
                flags.extend(std::iter::repeat_n(decays, length));
                n += length;
            }
            let (pieces, piece_flags) = segments(&decayed, n);
            let mut end = 0;
            for (piece, flag) in pieces.into_iter().zip(piece_flags) {
                prop_assert!(piece.start == end && !piece.is_empty() && piece.len() <= CHUNK);
                prop_assert!(flags[piece.clone()].iter().all(|&f| f == flag));
                end = piece.end;
            }
            prop_assert_eq!(end, n);
        }
    }

    #[test]
    fn sums_of_squares_are_exact_on_integers() {
        for n in [0, 1, 15, 16, 17, 1000] {
            let values: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let expect: u64 = (0..n).map(|i| i * i).sum();
            assert_eq!(sum_of_squares(&values), expect as f64);
        }
    }
}
