//! Products of one stored row with few vectors: generation for one reader.

use super::{Format, blocks};
use pulp::{Simd, WithSimd};

/// Numbers expanded at a time; whole blocks of every format, and what lies in the L1 cache.
const CHUNK: usize = 256;

/// `sums[c] = row . columns[c]`, the columns one after another, as long as the row each.
pub(super) fn dots(format: Format, row: &[u8], columns: &[f32], sums: &mut [f32]) {
    pulp::Arch::new().dispatch(Dots { format, row, columns, sums });
}

struct Dots<'a> {
    format: Format,
    row: &'a [u8],
    columns: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.sums.len() {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            3 => self.run::<S, 3>(simd),
            _ => self.run::<S, 4>(simd),
        }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn run<S: Simd, const COLUMNS: usize>(self, simd: S) {
        let Dots { format, row, columns, sums } = self;
        let inputs = columns.len() / COLUMNS;
        let columns: [&[f32]; COLUMNS] = std::array::from_fn(|c| &columns[c * inputs..][..inputs]);
        let mut chunk = [0.0; CHUNK];
        // Four chains for each column, added at the end.
        let mut chains = [[simd.splat_f32s(0.0); 4]; COLUMNS];
        let mut rest = [0.0; COLUMNS];
        for (at, bytes) in (0..inputs).step_by(CHUNK).zip(row.chunks(format.bytes(CHUNK))) {
            let chunk = &mut chunk[..CHUNK.min(inputs - at)];
            blocks::expand(format, bytes, chunk);
            let (weights, last) = S::as_simd_f32s(chunk);
            for (c, chains) in chains.iter_mut().enumerate() {
                let (column, column_last) = S::as_simd_f32s(&columns[c][at..at + chunk.len()]);
                let ((a, a_last), (b, b_last)) = (weights.as_chunks::<4>(), column.as_chunks::<4>());
                for (a, b) in a.iter().zip(b) {
                    for i in 0..4 {
                        chains[i] = simd.mul_add_e_f32s(a[i], b[i], chains[i]);
                    }
                }
                for (a, b) in a_last.iter().zip(b_last) {
                    chains[0] = simd.mul_add_e_f32s(*a, *b, chains[0]);
                }
                rest[c] += last.iter().zip(column_last).map(|(a, b)| a * b).sum::<f32>();
            }
        }
        for ((sum, chains), rest) in sums.iter_mut().zip(chains).zip(rest) {
            let total = simd.add_f32s(simd.add_f32s(chains[0], chains[1]), simd.add_f32s(chains[2], chains[3]));
            *sum = simd.reduce_sum_f32s(total) + rest;
        }
    }
}

const _: () = assert!(super::FEW == 4, "as many columns as `with_simd` tells apart");
