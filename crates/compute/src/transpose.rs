//! Turning tiles of a matrix: what puts the lanes along the other index.

use crate::{
    BLOCK,
    matmul::{Matrix, MatrixMut},
    real::Real,
};
use pulp::Simd;

/// `to[j, i] = from[i, j]` for `rows` by `columns` numbers, both multiples of [`BLOCK`].
#[inline(always)]
pub(crate) fn transpose<S: Simd, T: Real>(
    simd: S,
    (rows, columns): (usize, usize),
    from: Matrix<'_, T>,
    to: MatrixMut<'_, T>,
) {
    for i in (0..rows).step_by(BLOCK) {
        for j in (0..columns).step_by(BLOCK) {
            let from = (&from.data[i * from.stride + j..], from.stride);
            let to = (&mut to.data[j * to.stride + i..], to.stride);
            T::transpose_tile(simd, from, to);
        }
    }
}

/// One tile, number by number; rows of each slice lie its stride apart.
#[inline(always)]
pub(crate) fn tile<S: Simd, T: Real>(_: S, from: (&[T], usize), to: (&mut [T], usize)) {
    for j in 0..BLOCK {
        for (i, to) in to.0[j * to.1..][..BLOCK].iter_mut().enumerate() {
            *to = from.0[i * from.1 + j];
        }
    }
}

/// One tile of f32: in registers where a row fills one.
#[inline(always)]
pub(crate) fn tile_f32<S: Simd>(simd: S, from: (&[f32], usize), to: (&mut [f32], usize)) {
    #[cfg(target_arch = "x86_64")]
    if S::F32_LANES == BLOCK
        && let Some(simd) = pulp::x86::V4::try_new()
    {
        return avx512::tile(simd, from, to);
    }
    #[cfg(target_arch = "x86_64")]
    if S::F32_LANES == BLOCK / 2
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        return avx2::tile(simd, from, to);
    }
    tile(simd, from, to);
}

/// `to[step p + r] = rows[r][p]` for r below `step`, at most 8, and as many p from 0 on as this CPU does at once; how many.
/// Of what follows those in `to`, up to 8 numbers are overwritten.
#[inline(always)]
pub(crate) fn interleave<S: Simd, T: Real>(_: S, rows: &[&[T]; 8], step: usize, to: &mut [T]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() == size_of::<f32>()
        && S::F32_LANES == BLOCK / 2
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        let mut single: [&[f32]; 8] = [&[]; 8];
        for (to, row) in single.iter_mut().zip(rows) {
            *to = pulp::bytemuck::cast_slice(row);
        }
        return avx2::interleave(simd, &single, step, pulp::bytemuck::cast_slice_mut(to));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, step, to);
    0
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::BLOCK;
    use pulp::{Simd, bytemuck::cast, f32x16, x86::V4};
    use std::arch::x86_64::__m512;

    /// Four rounds of 16 shuffles: pairs of numbers, pairs of pairs, quarters, halves.
    #[inline(always)]
    pub(super) fn tile(simd: V4, from: (&[f32], usize), to: (&mut [f32], usize)) {
        let avx = simd.avx512f;
        let mut a: [__m512; BLOCK] = cast([0f32; BLOCK * BLOCK]);
        for (i, a) in a.iter_mut().enumerate() {
            let row: &[f32x16] = V4::as_simd_f32s(&from.0[i * from.1..][..BLOCK]).0;
            *a = cast(row[0]);
        }
        let mut b = a;
        for i in 0..BLOCK / 2 {
            b[2 * i] = avx._mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]);
            b[2 * i + 1] = avx._mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]);
        }
        // a[4 i + c]: in each quarter q, column 4 q + c of the rows 4 i to 4 i + 3.
        for i in 0..BLOCK / 4 {
            for half in 0..2 {
                let (low, high) = (cast(b[4 * i + half]), cast(b[4 * i + half + 2]));
                a[4 * i + 2 * half] = cast(avx._mm512_unpacklo_pd(low, high));
                a[4 * i + 2 * half + 1] = cast(avx._mm512_unpackhi_pd(low, high));
            }
        }
        for c in 0..4 {
            // Nothing here may be a closure: it would not be compiled for this instruction set.
            let low =
                [avx._mm512_shuffle_f32x4::<0x88>(a[c], a[c + 4]), avx._mm512_shuffle_f32x4::<0xdd>(a[c], a[c + 4])];
            let high = [
                avx._mm512_shuffle_f32x4::<0x88>(a[c + 8], a[c + 12]),
                avx._mm512_shuffle_f32x4::<0xdd>(a[c + 8], a[c + 12]),
            ];
            // low[0] has the quarters 0 and 2 of the rows 0 to 3 and 4 to 7; low[1] the quarters 1 and 3.
            let columns = [
                avx._mm512_shuffle_f32x4::<0x88>(low[0], high[0]),
                avx._mm512_shuffle_f32x4::<0x88>(low[1], high[1]),
                avx._mm512_shuffle_f32x4::<0xdd>(low[0], high[0]),
                avx._mm512_shuffle_f32x4::<0xdd>(low[1], high[1]),
            ];
            for (q, column) in columns.into_iter().enumerate() {
                let row = V4::as_mut_simd_f32s(&mut to.0[(4 * q + c) * to.1..][..BLOCK]).0;
                row[0] = cast(column);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::BLOCK;
    use pulp::{Simd, bytemuck::cast, f32x8, x86::V3};
    use std::arch::x86_64::__m256;

    const LANES: usize = 8;

    /// Four squares.
    #[inline(always)]
    pub(super) fn tile(simd: V3, from: (&[f32], usize), to: (&mut [f32], usize)) {
        for i in (0..BLOCK).step_by(LANES) {
            for j in (0..BLOCK).step_by(LANES) {
                let mut square: [f32x8; LANES] = cast([0f32; LANES * LANES]);
                for (row, to) in square.iter_mut().enumerate() {
                    *to = V3::as_simd_f32s(&from.0[(i + row) * from.1 + j..][..LANES]).0[0];
                }
                for (row, from) in turned(simd, square).into_iter().enumerate() {
                    V3::as_mut_simd_f32s(&mut to.0[(j + row) * to.1 + i..][..LANES]).0[0] = from;
                }
            }
        }
    }

    /// [`super::interleave`]
    #[inline(always)]
    pub(super) fn interleave(simd: V3, rows: &[&[f32]; LANES], step: usize, to: &mut [f32]) -> usize {
        let fits = (to.len() + step).saturating_sub(LANES) / step;
        let squares = rows[0].len().min(fits) / LANES;
        let mut lines: [&[f32x8]; LANES] = [&[]; LANES];
        for (line, row) in lines.iter_mut().zip(rows) {
            *line = V3::as_simd_f32s(row).0;
        }
        for square in 0..squares {
            let mut from: [f32x8; LANES] = cast([0f32; LANES * LANES]);
            for (from, line) in from.iter_mut().zip(&lines) {
                *from = line[square];
            }
            // In order: each leaves behind it what the next overwrites.
            for (p, from) in turned(simd, from).into_iter().enumerate() {
                V3::as_mut_simd_f32s(&mut to[(square * LANES + p) * step..][..LANES]).0[0] = from;
            }
        }
        squares * LANES
    }

    /// A square in three rounds of 8 shuffles: pairs of numbers, pairs of pairs, halves.
    #[inline(always)]
    fn turned(simd: V3, square: [f32x8; LANES]) -> [f32x8; LANES] {
        let avx = simd.avx;
        let mut a: [__m256; LANES] = cast(square);
        let mut b = a;
        for i in 0..LANES / 2 {
            b[2 * i] = avx._mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
            b[2 * i + 1] = avx._mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
        }
        // a[4 i + c]: in each half h, column 4 h + c of the rows 4 i to 4 i + 3.
        for i in 0..LANES / 4 {
            for half in 0..2 {
                let (low, high) = (b[4 * i + half], b[4 * i + half + 2]);
                a[4 * i + 2 * half] = avx._mm256_shuffle_ps::<0x44>(low, high);
                a[4 * i + 2 * half + 1] = avx._mm256_shuffle_ps::<0xee>(low, high);
            }
        }
        for c in 0..4 {
            b[c] = avx._mm256_permute2f128_ps::<0x20>(a[c], a[c + 4]);
            b[c + 4] = avx._mm256_permute2f128_ps::<0x31>(a[c], a[c + 4]);
        }
        cast(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::vectorized;

    vectorized! {
        fn run<T>(simd, size: (usize, usize), from: &'a [T], to: &'a mut [T]) {
            let from = Matrix { data: from, stride: size.1 };
            transpose(simd, size, from, MatrixMut { data: to, stride: size.0 });
        }
    }

    #[test]
    fn every_number_finds_its_place() {
        let (rows, columns) = (2 * BLOCK, 3 * BLOCK);
        let from: Vec<f64> = (0..rows * columns).map(|x| x as f64).collect();
        let single: Vec<f32> = from.iter().map(|x| *x as f32).collect();
        let (mut to, mut to32) = (vec![0.0; from.len()], vec![0.0; from.len()]);
        run((rows, columns), &from, &mut to);
        run((rows, columns), &single, &mut to32);
        for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
            assert_eq!(to[j * rows + i], from[i * columns + j]);
            assert_eq!(to32[j * rows + i], single[i * columns + j]);
        }
    }

    vectorized! {
        fn interleaved<T>(simd, rows: &'a [&'a [T]; 8], step: usize, to: &'a mut [T]) -> usize {
            interleave(simd, rows, step, to)
        }
    }

    #[test]
    fn rows_are_interleaved_as_far_as_there_is_room() {
        let numbers: Vec<f32> = (0..8 * 27).map(|x| x as f32).collect();
        let rows: [&[f32]; 8] = std::array::from_fn(|r| &numbers[r * 27..][..27]);
        for room in [0, 5, 50, 48 * 2, 48 * 2 + 2, 27 * 6 + 2] {
            let mut to = vec![-1.0; room];
            let done = interleaved(&rows, 6, &mut to);
            assert!(done * 6 <= room && done <= 27);
            for (p, step) in to.chunks_exact(6).enumerate().take(done) {
                assert_eq!(step, std::array::from_fn::<f32, 6, _>(|r| rows[r][p]));
            }
        }
    }
}
