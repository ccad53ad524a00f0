//! Columns of the activations: the new tokens of all sequences, one sequence after another.

use super::{Chunk, pick};
use crate::model::Model;
use saltus_compute::{BLOCK, angle_table};
use std::ops::Range;

/// Some columns: all new tokens, or the wanted ones.
pub(super) struct Columns {
    pub(super) count: usize,
    pub(super) used: usize,
    pub(super) positions: Vec<u32>,
    /// For each chunk its columns.
    pub(super) spans: Vec<Range<usize>>,
    /// Cosines and sines without and with a window, `[pairs, count]`; empty where nothing turns.
    pub(super) tables: [(Vec<f32>, Vec<f32>); 2],
}

impl Columns {
    /// Some tokens of each chunk; nothing turns yet.
    fn of(chunks: &[Chunk<'_>], part: impl Fn(&Chunk<'_>) -> Range<usize>) -> Self {
        let (mut positions, mut spans) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let from = positions.len();
            let first = chunk.sequence.length() - chunk.tokens.len();
            positions.extend(part(chunk).map(|t| (first + t) as u32));
            spans.push(from..positions.len());
        }
        let used = positions.len();
        let count = used.next_multiple_of(BLOCK);
        positions.resize(count, positions.first().copied().unwrap_or(0));
        Columns { count, used, positions, spans, tables: Default::default() }
    }

    /// Every token of each chunk.
    pub(super) fn all(model: &Model, chunks: &[Chunk<'_>]) -> Self {
        let mut columns = Self::of(chunks, |chunk| 0..chunk.tokens.len());
        let Columns { count, positions, .. } = &columns;
        let low = positions.iter().copied().min().unwrap_or(0);
        let high = positions.iter().copied().max().unwrap_or(0);
        let near: Vec<u32> = (low..=high).collect();
        let rows: Vec<u32> = positions.iter().map(|p| p - low).collect();
        let windows = model.config.architecture.attention.window.is_some();
        let table = |(frequencies, factor): &(Vec<f64>, f64)| {
            let (cos, sin) = angle_table(frequencies, *factor, &near);
            (pick(&cos, near.len(), &rows, *count), pick(&sin, near.len(), &rows, *count))
        };
        if *count > 0 && !model.frequencies[0].0.is_empty() {
            let windowed = if windows { table(&model.frequencies[1]) } else { Default::default() };
            columns.tables = [table(&model.frequencies[0]), windowed];
        }
        columns
    }

    /// The wanted tokens of each chunk, which are `picked` among `all`.
    pub(super) fn wanted(chunks: &[Chunk<'_>], all: &Columns, picked: &[u32]) -> Self {
        let mut columns = Self::of(chunks, |chunk| chunk.wanted.clone());
        if columns.count > 0 {
            let pick = |from: &Vec<f32>| pick(from, all.count, picked, columns.count);
            columns.tables = [0, 1].map(|i| (pick(&all.tables[i].0), pick(&all.tables[i].1)));
        }
        columns
    }

    pub(super) fn pair(&self) -> (usize, usize) {
        (self.count, self.used)
    }
}
