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
        let Dots { format, row, columns, sums } = self;
        let inputs = columns.len() / sums.len();
        let mut chunk = [0.0; CHUNK];
        sums.fill(0.0);
        for (at, bytes) in (0..inputs).step_by(CHUNK).zip(row.chunks(format.bytes(CHUNK))) {
            let chunk = &mut chunk[..CHUNK.min(inputs - at)];
            blocks::expand(format, bytes, chunk);
            for (sum, column) in sums.iter_mut().zip(columns.chunks_exact(inputs)) {
                *sum += dot(simd, chunk, &column[at..][..chunk.len()]);
            }
        }
    }
}

/// Four chains of sums, added at the end.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = [simd.splat_f32s(0.0); 4];
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..4 {
            sums[i] = simd.mul_add_e_f32s(a[i], b[i], sums[i]);
        }
    }
    for (a, b) in a_last.iter().zip(b_last) {
        sums[0] = simd.mul_add_e_f32s(*a, *b, sums[0]);
    }
    let total = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    simd.reduce_sum_f32s(total) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
