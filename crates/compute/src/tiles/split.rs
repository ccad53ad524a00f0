//! From numbers in memory to tiles of their parts.

use super::{Depth, Factor, SIDE, STEP, Tile};
use crate::{BLOCK, StoredRows, matmul::Matrix, transpose::tile_f32};
use pulp::Simd;

/// The parts of [`SIDE`] rows from row `i` on of a left factor `[m, k]` in memory.
#[inline(always)]
pub(super) fn left_panel<S: Simd, const PARTS: usize>(
    simd: S,
    factor: Factor<'_>,
    (m, k): (usize, usize),
    i: usize,
    depth: Depth,
    to: &mut [Tile],
) {
    match factor {
        Factor::Plain(matrix) => long_rows::<S, PARTS>(simd, matrix, (i, SIDE.min(m - i)), depth, to),
        factor => Side { factor, left: true, at: i, limits: (m, k) }.parts::<S, PARTS>(simd, depth, to),
    }
}

/// The parts of the columns from column `j` on of a right factor `[k, n]` in memory (`limits`: n and k), as many
/// as there is room for.
#[inline(always)]
pub(super) fn right_panels<S: Simd, const PARTS: usize>(
    simd: S,
    factor: Factor<'_>,
    limits: (usize, usize),
    j: usize,
    depth: Depth,
    to: &mut [Tile],
) {
    for (number, to) in to.chunks_exact_mut(depth.tiles(PARTS)).enumerate() {
        let side = Side { factor, left: false, at: j + number * SIDE, limits };
        side.parts::<S, PARTS>(simd, depth, to);
    }
}

/// [`SIDE`] rows of the left factor, or columns of the right one.
struct Side<'a> {
    factor: Factor<'a>,
    left: bool,
    /// The first row or column.
    at: usize,
    /// How many rows or columns there are, and how long the contracted index is.
    limits: (usize, usize),
}

impl Side<'_> {
    /// The parts for each step: of 16 rows or columns, then of the other 16.
    #[inline(always)]
    fn parts<S: Simd, const PARTS: usize>(&self, simd: S, depth: Depth, to: &mut [Tile]) {
        // The numbers of a tile's row lie side by side in memory, or those of its columns do.
        let (Factor::Plain(matrix) | Factor::Turned(matrix)) = self.factor else { return };
        let turned = matches!(self.factor, Factor::Turned(_));
        let along_columns = self.left != turned;
        let mut scratch = [[0.0; BLOCK * BLOCK]; 2];
        for (number, to) in to.as_chunks_mut::<PARTS>().0.iter_mut().enumerate() {
            let (v, p) = (self.at + number % 2 * BLOCK, depth.first + number / 2 * STEP);
            let (count, steps) = (self.limits.0.saturating_sub(v), depth.first + depth.count);
            let [low, high] = &mut scratch;
            let left = (steps.saturating_sub(p), steps.saturating_sub(p + BLOCK));
            let (low, high) = if along_columns {
                (
                    block(simd, matrix, (v, p), (count, left.0), turned, low),
                    block(simd, matrix, (v, p + BLOCK), (count, left.1), turned, high),
                )
            } else {
                (
                    block(simd, matrix, (p, v), (left.0, count), turned, low),
                    block(simd, matrix, (p + BLOCK, v), (left.1, count), turned, high),
                )
            };
            split(simd, low, high, to);
        }
    }
}

/// The block of [`BLOCK`] rows and columns at row and column `at` of a matrix, of which `there` rows and columns exist,
/// as rows in memory; turned, or as it is.
#[inline(always)]
fn block<'a, S: Simd>(
    simd: S,
    matrix: Matrix<'a, f32>,
    at: (usize, usize),
    there: (usize, usize),
    turned: bool,
    scratch: &'a mut [f32; BLOCK * BLOCK],
) -> (&'a [f32], usize) {
    let there = (there.0.min(BLOCK), there.1.min(BLOCK));
    if there.0 == 0 || there.1 == 0 {
        scratch.fill(0.0);
        return (scratch, BLOCK);
    }
    let from = &matrix.data[at.0 * matrix.stride + at.1..];
    if there == (BLOCK, BLOCK) {
        if !turned {
            return (from, matrix.stride);
        }
        tile_f32(simd, (from, matrix.stride), (scratch, BLOCK));
        return (scratch, BLOCK);
    }
    scratch.fill(0.0);
    for (i, row) in from.chunks(matrix.stride).enumerate().take(there.0) {
        for (j, x) in row[..there.1].iter().enumerate() {
            scratch[if turned { j * BLOCK + i } else { i * BLOCK + j }] = *x;
        }
    }
    (scratch, BLOCK)
}

/// The parts of `count` rows from row `at` on, at most [`SIDE`] (the others are 0), each row from its beginning to its end,
/// as memory likes it.
#[inline(always)]
fn long_rows<S: Simd, const PARTS: usize>(
    simd: S,
    matrix: Matrix<'_, f32>,
    (at, count): (usize, usize),
    depth: Depth,
    to: &mut [Tile],
) {
    for row in 0..SIDE {
        let from =
            if row < count { &matrix.data[(at + row) * matrix.stride + depth.first..][..depth.count] } else { &[] };
        let (whole, rest) = from.as_chunks::<STEP>();
        let mut last = [0.0; STEP];
        last[..rest.len()].copy_from_slice(rest);
        let tiles = to.chunks_exact_mut(2 * PARTS);
        for (numbers, to) in whole.iter().chain(std::iter::repeat(&last)).zip(tiles) {
            let (low, high) = numbers.split_at(BLOCK);
            if let Some(to) = to.as_chunks_mut::<PARTS>().0.get_mut(row / BLOCK) {
                split_row(simd, (low, high), to, row % BLOCK);
            }
        }
    }
}

/// The parts of two blocks, row by row, as pairs.
#[inline(always)]
fn split<S: Simd, const PARTS: usize>(simd: S, low: (&[f32], usize), high: (&[f32], usize), to: &mut [Tile; PARTS]) {
    for row in 0..BLOCK {
        let low = &low.0[row * low.1..][..BLOCK];
        let high = &high.0[row * high.1..][..BLOCK];
        split_row(simd, (low, high), to, row);
    }
}

/// The parts of [`BLOCK`] pairs, as one row of each tile.
#[inline(always)]
fn split_row<S: Simd, const PARTS: usize>(simd: S, (low, high): (&[f32], &[f32]), to: &mut [Tile; PARTS], row: usize) {
    let pairs = S::as_simd_f32s(low).0.iter().zip(S::as_simd_f32s(high).0);
    for (lane, (low, high)) in pairs.enumerate() {
        let (mut low, mut high) = (*low, *high);
        for (part, to) in to.iter_mut().enumerate() {
            let to = &mut S::as_mut_simd_u32s(&mut to.0[row]).0[lane];
            if part + 1 < PARTS {
                let (low_part, low_rest) = first_part(simd, low);
                let (high_part, high_rest) = first_part(simd, high);
                *to = pair(simd, low_part, high_part);
                (low, high) = (low_rest, high_rest);
            } else {
                // What is left is cut off at 8 bits, which are all that is left of a third part; of a NaN the upper half
                // is one.
                *to = pair(simd, simd.transmute_u32s_f32s(low), simd.transmute_u32s_f32s(high));
            }
        }
    }
}

/// The nearest bf16, in the upper half (below it lies anything), and what is left.
#[inline(always)]
fn first_part<S: Simd>(simd: S, x: S::f32s) -> (S::u32s, S::f32s) {
    let part = simd.add_u32s(simd.transmute_u32s_f32s(x), simd.splat_u32s(0x8000));
    let value = simd.transmute_f32s_u32s(simd.and_u32s(part, simd.splat_u32s(0xffff_0000)));
    (part, simd.sub_f32s(x, value))
}

/// The upper halves of both.
#[inline(always)]
fn pair<S: Simd>(simd: S, low: S::u32s, high: S::u32s) -> S::u32s {
    let low = simd.wrapping_dyn_shr_u32s(low, simd.splat_u32s(16));
    simd.or_u32s(low, simd.and_u32s(high, simd.splat_u32s(0xffff_0000)))
}

/// Rows stored as BF16, which are their own only part: `count` rows from `at` on, of `inputs` numbers.
#[inline(always)]
pub(super) fn halves(
    stored: StoredRows<'_>,
    inputs: usize,
    (at, count): (usize, usize),
    depth: Depth,
    to: &mut [Tile],
) {
    for (step, to) in to.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let first = step * STEP;
        let there = STEP.min(depth.count - first);
        for (row, to) in to.iter_mut().flat_map(|tile| &mut tile.0).enumerate() {
            if row >= count {
                to.fill(0);
                continue;
            }
            let from = &stored.bytes[2 * ((at + row) * inputs + depth.first + first)..][..2 * there];
            let mut pairs = [0; 2 * STEP];
            match from.first_chunk() {
                Some(whole) => pairs = *whole,
                None => pairs[..from.len()].copy_from_slice(from),
            }
            let [low, high]: [[u16; BLOCK]; 2] = pulp::bytemuck::cast(pairs);
            for (to, (low, high)) in to.iter_mut().zip(low.iter().zip(&high)) {
                *to = u32::from(*low) | u32::from(*high) << 16;
            }
        }
    }
}
