//! Products of rows with few vectors: generation for one reader.

use super::FEW;
use crate::Write;
use pulp::{Simd, WithSimd};

/// `y = rows x` or `y += rows x`.
pub(super) struct Dots<'a> {
    /// Row after row, as long as a column each.
    pub(super) rows: &'a [f32],
    /// At most [`FEW`] columns, one after another.
    pub(super) columns: &'a [f32],
    /// How many.
    pub(super) count: usize,
    /// `[rows, positions]`, of which the first columns are written.
    pub(super) y: &'a mut [f32],
    pub(super) positions: usize,
    pub(super) write: Write,
}

impl WithSimd for Dots<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.count {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            3 => self.run::<S, 3>(simd),
            _ => self.run::<S, FEW>(simd),
        }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn run<S: Simd, const COLUMNS: usize>(self, simd: S) {
        let inputs = self.columns.len() / COLUMNS;
        let columns: [&[f32]; COLUMNS] = std::array::from_fn(|c| &self.columns[c * inputs..][..inputs]);
        for (row, y) in self.rows.chunks_exact(inputs).zip(self.y.chunks_exact_mut(self.positions)) {
            for (y, sum) in y.iter_mut().zip(dots(simd, row, columns)) {
                match self.write {
                    Write::Set => *y = sum,
                    Write::Add => *y += sum,
                }
            }
        }
    }
}

/// `row . column` for each column.
#[inline(always)]
fn dots<S: Simd, const COLUMNS: usize>(simd: S, row: &[f32], columns: [&[f32]; COLUMNS]) -> [f32; COLUMNS] {
    let (row, row_last) = S::as_simd_f32s(row);
    let (row, row_rest) = row.as_chunks::<4>();
    // Four chains for each column, added at the end.
    let mut chains = [[simd.splat_f32s(0.0); 4]; COLUMNS];
    let columns = columns.map(|column| {
        let (column, last) = S::as_simd_f32s(column);
        let (column, rest) = column.as_chunks::<4>();
        (column, rest, last)
    });
    for (step, row) in row.iter().enumerate() {
        for ((column, ..), chains) in columns.iter().zip(&mut chains) {
            for ((a, b), chain) in row.iter().zip(&column[step]).zip(chains) {
                *chain = simd.mul_add_e_f32s(*a, *b, *chain);
            }
        }
    }
    std::array::from_fn(|c| {
        let ((_, rest, last), mut chains) = (columns[c], chains[c]);
        for (a, b) in row_rest.iter().zip(rest) {
            chains[0] = simd.mul_add_e_f32s(*a, *b, chains[0]);
        }
        let total = simd.add_f32s(simd.add_f32s(chains[0], chains[1]), simd.add_f32s(chains[2], chains[3]));
        simd.reduce_sum_f32s(total) + row_last.iter().zip(last).map(|(a, b)| a * b).sum::<f32>()
    })
}

const _: () = assert!(FEW == 4, "as many columns as `with_simd` tells apart");
