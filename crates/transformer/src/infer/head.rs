//! From the stream to what is said: the final norm, logits, predictions of given tokens.

use super::{compute_activation, normed_by, pick};
use crate::model::{Model, parts_of};
use rayon::prelude::*;
use saltus_compute::{BLOCK, MapInput, Prediction, Readout, activate, readout, soft_cap};
use saltus_lm::TokenId;
use std::{borrow::Cow, ops::Range};

/// Numbers of a slab of logits: what stays in the cache until it is read.
const SLAB: usize = 1 << 19;

/// Columns whose logits are computed together.
const HEAD_COLUMNS: usize = 512;

/// The stream behind the wanted tokens, ready for the head.
pub struct Hidden {
    /// `[width, columns]`, the final norm applied.
    values: Vec<f32>,
    columns: usize,
    /// Columns in use: the wanted tokens of the chunks, in order.
    wanted: usize,
}

impl Hidden {
    pub(super) fn new(values: Vec<f32>, columns: usize, wanted: usize) -> Self {
        Hidden { values, columns, wanted }
    }

    /// The wanted tokens of all chunks.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// The stream at some of the wanted tokens, with the columns it has and those in use.
    fn columns(&self, range: Range<usize>) -> (Cow<'_, [f32]>, (usize, usize)) {
        let (used, count) = (range.len(), range.len().next_multiple_of(BLOCK));
        if range.start == 0 && count == self.columns {
            return (Cow::Borrowed(&self.values), (count, used));
        }
        let picked: Vec<u32> = range.map(|column| column as u32).collect();
        (Cow::Owned(pick(&self.values, self.columns, &picked, count)), (count, used))
    }
}

impl Model {
    /// The lens (nostalgebraist 2020): the residual stream `[width, columns]` at any place as if it were the last one, to
    /// logits `[vocabulary, columns]`; `columns` is a multiple of the block.
    pub fn lens(&self, stream: &[f32], columns: usize) -> Vec<f32> {
        let values = self.normed_for_head(stream, (columns, columns));
        self.logits(&Hidden { values, columns, wanted: columns }, 0..columns)
    }

    /// The final norm and what else stands before the head.
    pub(super) fn normed_for_head(&self, stream: &[f32], columns: (usize, usize)) -> Vec<f32> {
        let mut stream = match &self.norm {
            Some(norm) => normed_by(norm, columns.0, stream),
            None => stream.to_vec(),
        };
        if let Some((transform, norm)) = &self.transform {
            let (mut x, mut y) = (vec![0.0; stream.len()], vec![0.0; stream.len()]);
            transform.apply(columns, &stream, &mut x);
            activate(compute_activation(self.config.architecture.mlp.activation), &x, &mut y);
            stream = normed_by(norm, columns.0, &y);
        }
        stream
    }

    /// Logits `[vocabulary, columns]` of some of the wanted tokens, `columns` being their number rounded up to whole
    /// blocks.
    pub fn logits(&self, hidden: &Hidden, range: Range<usize>) -> Vec<f32> {
        let (x, columns) = hidden.columns(range);
        let mut logits = vec![0.0; self.config.vocabulary * columns.0];
        self.head.apply(columns, &x, &mut logits);
        self.cap_logits(&mut logits);
        logits
    }

    /// What is said of `targets`, each a token behind one of the wanted tokens, in the order of the wanted tokens. The
    /// logits of the whole vocabulary never lie in memory.
    pub fn predictions(&self, hidden: &Hidden, targets: &[(usize, TokenId)]) -> Vec<Prediction> {
        let mut said = Vec::with_capacity(targets.len());
        for start in (0..hidden.wanted).step_by(HEAD_COLUMNS) {
            let end = (start + HEAD_COLUMNS).min(hidden.wanted);
            let from = targets.partition_point(|(column, _)| *column < start);
            let to = targets.partition_point(|(column, _)| *column < end);
            let targets: Vec<(usize, TokenId)> =
                targets[from..to].iter().map(|(c, token)| (c - start, *token)).collect();
            let (x, columns) = hidden.columns(start..end);
            let parts = parts_of(&x, columns.0);
            let input = MapInput { values: &x, parts: parts.as_ref(), used: columns.1 };
            // A few slabs for each thread, so that none waits long for the last.
            let rows = self.config.vocabulary.div_ceil(4 * rayon::current_num_threads()).min(SLAB / columns.0);
            let slabs: Vec<(usize, Range<usize>)> = self.head.slabs(rows).collect();
            let read = |logits: &mut Vec<f32>, (piece, rows): &(usize, Range<usize>)| {
                // What the buffer held before is overwritten.
                logits.resize(rows.len() * columns.0, 0.0);
                self.head.apply_slab((*piece, rows.clone()), columns.0, input, logits);
                self.cap_logits(logits);
                (rows.start as u32, readout(rows.start as u32, logits, columns.0, &targets))
            };
            let parts: Vec<(u32, Readout<f32>)> = slabs.par_iter().map_init(Vec::new, read).collect();
            let mut parts = parts.into_iter();
            if let Some((_, mut all)) = parts.next() {
                parts.for_each(|(first, part)| all.join(first, &part, &targets));
                said.extend(all.predictions(&targets));
            }
        }
        said
    }

    fn cap_logits(&self, logits: &mut [f32]) {
        if let Some(cap) = self.config.architecture.head.soft_cap {
            soft_cap(logits, cap as f32);
        }
    }
}
