//! The matrices of a model in training in the parts that products are made of, made once a step for all its micro-batches.

use crate::{Config, Weights};
use saltus_compute::{Real, Weight, WeightParts};
use std::ops::Range;

/// The matrices of some weights, as they were when they were made ready. On a CPU whose products need no parts, nothing.
pub struct Prepared {
    /// In the order of their places.
    matrices: Vec<PreparedMatrix>,
}

/// One matrix, made ready by one thread.
pub struct PreparedMatrix {
    /// Its place in [`Weights::values`].
    range: Range<usize>,
    inputs: usize,
    parts: WeightParts,
}

impl Prepared {
    /// The matrices of a model, not ready yet.
    pub fn new(config: &Config) -> Self {
        let mut matrices = Vec::new();
        let mut add = |range: Range<usize>, inputs| {
            matrices.push(PreparedMatrix { range, inputs, parts: WeightParts::default() });
        };
        for number in 0..config.layers {
            let layer = config.layer(number);
            for range in [layer.q, layer.kv, layer.gate_up] {
                add(range, config.width);
            }
            add(layer.o, config.heads * config.head_dim);
            add(layer.down, config.mlp_hidden);
        }
        add(config.ends().head, config.width);
        matrices.sort_by_key(|matrix| matrix.range.start);
        Prepared { matrices }
    }

    /// The matrices, to be made ready each by whatever thread.
    pub fn matrices(&mut self) -> &mut [PreparedMatrix] {
        &mut self.matrices
    }

    fn of(&self, range: &Range<usize>) -> Option<&WeightParts> {
        let found = self.matrices.binary_search_by_key(&range.start, |matrix| matrix.range.start);
        found.ok().map(|number| &self.matrices[number].parts)
    }
}

impl PreparedMatrix {
    /// Makes it ready, or ready again.
    pub fn make(&mut self, weights: &Weights) {
        let values = &weights.values[self.range.clone()];
        self.parts.make(values.len() / self.inputs, self.inputs, values);
    }
}

/// Weights, with their matrices ready or not: products have the same bits.
#[derive(Clone, Copy)]
pub(crate) struct Ready<'a, T> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) prepared: Option<&'a Prepared>,
}

impl<'a, T: Real> Ready<'a, T> {
    /// The matrix at `range`.
    pub(crate) fn matrix(self, range: &Range<usize>) -> Weight<'a, T> {
        Weight {
            values: &self.weights.values[range.clone()],
            parts: self.prepared.and_then(|prepared| prepared.of(range)),
        }
    }
}
