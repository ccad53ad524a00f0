//! Matrix products of f32 on the tile unit of x86-64 CPUs that have one (AMX, from Sapphire Rapids on), which does 16
//! times as many multiply-adds of bf16 in a cycle as the vector units do of f32.
//!
//! **Exactness.** A float of 24 significant bits is the sum of three bf16 of 8 bits, x = x1 + x2 + x3, without error as
//! long as its last bits are no subnormal bf16. Of the nine products of two such sums, six (x1 y1, x1 y2, x2 y1, x1 y3,
//! x2 y2, x3 y1) are added up in f32; what is left out is below 2^-24 of |x y| (Henry, Tang & Heinecke, arXiv
//! 1904.06376, section II). A factor stored as BF16 is one part, and three products are enough. The tests compare the
//! error with that of a chain of fused multiply-adds. Everything that is measured is computed so.
//!
//! **Training** takes two parts, 16 bits of each factor, and three products (x1 y1, x1 y2, x2 y1), in half the time: the
//! error of a product is below 3 * 2^-16 of |x y|, of either sign alike, and sums are f32 as ever. PyTorch calls this
//! precision "high"; TF32, in which most models of today are trained, has 11 bits.
//!
//! **Range.** The unit takes subnormal bf16 for 0: of a number below 2^-110 the last bits are lost, and one below 2^-126
//! is 0. A number above 3.39e38, which bf16 rounds to infinity, makes what it enters not finite. What is not finite in
//! f32 is not finite here: the third part of a NaN or an infinity is a NaN.
//!
//! **Bits.** An element of the result depends on its row and its column alone.

use crate::{
    BLOCK, Format, Linear, StoredRows, Write, expand,
    matmul::{Matrix, MatrixMut, Size},
};
use pulp::{Simd, WithSimd};
use std::cell::Cell;

#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux")), path = "tiles/no_unit.rs")]
mod unit;

mod parts;
mod split;

pub(crate) use parts::Panels;
pub use parts::{Parts, PartsShare, WeightParts};
use split::{halves, left_panel, right_panels};
use unit::{Unit, available};

/// 16 rows of 16 pairs of bf16; the two of a pair lie [`BLOCK`] apart in the contracted index, the earlier in the lower
/// half.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tile([[u32; BLOCK]; BLOCK]);

/// Parts of each factor of [`Product`] where the result is to be as exact as one of f32.
pub(crate) const EXACT: usize = 3;

/// Parts of each factor in training.
pub(crate) const TRAINING: usize = 2;

/// What one step of the unit contracts: pairs of numbers.
const STEP: usize = 2 * BLOCK;

/// Rows, and columns, of the result that are computed together: two tiles.
const SIDE: usize = 2 * BLOCK;

/// A part of the result that ends within [`SIDE`] rows or columns.
#[repr(align(64))]
struct Square([[f32; SIDE]; SIDE]);

/// At most so much of the contracted index is done at once; whole blocks of every [`Format`].
const DEPTH: usize = 512;

/// The same where the right factor's parts were made before: no result is written twice for a model of usual width.
const READY_DEPTH: usize = 2048;

/// Bytes of one factor's parts that are made at once, and stay in the L2 cache.
const CACHED: usize = 1 << 20;

/// Products that contract fewer numbers are not computed here.
pub(crate) const LEAST: usize = 64;

/// Whether a product that contracts `k` numbers may be computed here. Gradients need no more, so that their elements are
/// the same in any company; a product of few columns is better done elsewhere, which the caller knows.
#[inline(always)]
pub(crate) fn suits<S: Simd>(k: usize) -> bool {
    S::F32_LANES == BLOCK && k >= LEAST && available()
}

/// A factor of a product.
#[derive(Clone, Copy)]
pub(crate) enum Factor<'a> {
    /// As the product is written: `[m, k]` on the left, `[k, n]` on the right.
    Plain(Matrix<'a, f32>),
    /// The other way round.
    Turned(Matrix<'a, f32>),
    /// On the left: rows as they lie in a file.
    Stored(StoredRows<'a>),
    /// Its parts, made before.
    Ready(&'a Panels),
}

/// `c = a b` or `c += a b`, each float counting as the sum of `PARTS` bf16.
pub(crate) struct Product<'a, const PARTS: usize> {
    pub(crate) size: Size,
    pub(crate) a: Factor<'a>,
    pub(crate) b: Factor<'a>,
    pub(crate) c: MatrixMut<'a, f32>,
    pub(crate) write: Write,
}

/// [`crate::linear_stored`] here, x being ready or not; whether it suits.
pub(crate) fn linear_stored(
    Linear { outputs, inputs, positions }: Linear,
    weight: StoredRows<'_>,
    (x, parts): (&[f32], Option<&Parts>),
    y: &mut [f32],
    write: Write,
) -> bool {
    let plain = |data| Factor::Plain(Matrix { data, stride: inputs });
    pulp::Arch::new().dispatch(LinearStored(Product {
        size: Size { m: outputs, k: inputs, n: positions },
        a: weight.numbers().map_or(Factor::Stored(weight), plain),
        b: parts.map_or(Factor::Plain(Matrix { data: x, stride: positions }), |parts| Factor::Ready(parts.panels())),
        c: MatrixMut { data: y, stride: positions },
        write,
    }))
}

/// Whether products that contract so many numbers are computed here.
pub(crate) fn serves(inputs: usize) -> bool {
    struct Serves(usize);
    impl WithSimd for Serves {
        type Output = bool;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> bool {
            suits::<S>(self.0)
        }
    }
    pulp::Arch::new().dispatch(Serves(inputs))
}

struct LinearStored<'a>(Product<'a, EXACT>);

impl WithSimd for LinearStored<'_> {
    type Output = bool;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let suits = suits::<S>(self.0.size.k);
        if suits {
            simd.vectorize(self.0);
        }
        suits
    }
}

/// What a thread keeps for its next product.
#[derive(Default)]
struct Scratch {
    /// The parts of rows of the left factor, [`SIDE`] after [`SIDE`]: for each step those of the first 16 rows, then of
    /// the others.
    left: Vec<Tile>,
    /// The parts of columns of the right factor, likewise.
    right: Vec<Tile>,
    /// Stored rows, expanded.
    rows: Vec<f32>,
}

thread_local!(static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) });

/// A part of the contracted index.
#[derive(Clone, Copy)]
struct Depth {
    first: usize,
    count: usize,
}

impl Depth {
    /// All of it.
    fn of(count: usize) -> Self {
        Depth { first: 0, count }
    }

    /// Tiles of [`SIDE`] rows or columns in so many parts.
    fn tiles(self, parts: usize) -> usize {
        self.count.div_ceil(STEP) * 2 * parts
    }
}

impl<const PARTS: usize> WithSimd for Product<'_, PARTS> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Size { m, k, n } = self.size;
        let Some(unit) = Unit::begin() else { return };
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let ready = matches!(self.b, Factor::Ready(_));
        // Even parts of whole steps and blocks.
        let whole = if let Factor::Stored(stored) = self.a { stored.format.block().0.max(STEP) } else { STEP };
        let deepest = if ready { READY_DEPTH } else { DEPTH };
        let most = k.div_ceil(k.div_ceil(deepest)).next_multiple_of(whole);
        let cached = (CACHED / (2 * PARTS * most) / SIDE * SIDE).max(SIDE);
        // Of a right factor whose parts were made before, each column is read for many rows.
        let (rows, columns) = if ready { (cached, n) } else { (SIDE, cached) };
        for j in (0..n).step_by(columns) {
            let width = columns.min(n - j);
            for first in (0..k).step_by(most) {
                let depth = Depth { first, count: most.min(k - first) };
                if !ready {
                    let tiles = width.div_ceil(SIDE) * depth.tiles(PARTS);
                    grow(&mut scratch.right, tiles);
                    right_panels::<S, PARTS>(simd, self.b, (n, k), j, depth, &mut scratch.right[..tiles]);
                }
                let write = if first > 0 { Write::Add } else { self.write };
                for i in (0..m).step_by(rows) {
                    let of = Place { i, height: rows.min(m - i), j, width, depth, write };
                    self.rows(simd, &unit, of, &mut scratch);
                }
            }
        }
        SCRATCH.set(Some(scratch));
    }
}

/// Some rows of the result, in the columns whose right factor is ready.
#[derive(Clone, Copy)]
struct Place {
    i: usize,
    height: usize,
    j: usize,
    width: usize,
    depth: Depth,
    write: Write,
}

/// Makes room for `count` tiles.
fn grow(tiles: &mut Vec<Tile>, count: usize) {
    if tiles.len() < count {
        tiles.resize(count, Tile([[0; BLOCK]; BLOCK]));
    }
}

impl<const PARTS: usize> Product<'_, PARTS> {
    /// The parts of [`SIDE`] rows of the left factor from row `i` on.
    #[inline(always)]
    fn left<S: Simd>(&self, simd: S, i: usize, depth: Depth, rows: &mut Vec<f32>, to: &mut [Tile]) {
        let Size { m, k, .. } = self.size;
        let count = SIDE.min(m - i);
        match self.a {
            Factor::Stored(stored) if stored.format == Format::BF16 => halves(stored, k, (i, count), depth, to),
            Factor::Stored(stored) => {
                let stride = depth.count;
                rows.resize(rows.len().max(SIDE * stride), 0.0);
                for (row, to) in rows.chunks_exact_mut(stride).take(count).enumerate() {
                    let from = stored.format.bytes((i + row) * k + depth.first);
                    expand(stored.format, &stored.bytes[from..][..stored.format.bytes(stride)], to);
                }
                let factor = Factor::Plain(Matrix { data: rows, stride });
                left_panel::<S, PARTS>(simd, factor, (count, stride), 0, Depth::of(stride), to);
            }
            factor => left_panel::<S, PARTS>(simd, factor, (m, k), i, depth, to),
        }
    }

    #[inline(always)]
    fn rows<S: Simd>(&mut self, simd: S, unit: &Unit, of: Place, scratch: &mut Scratch) {
        let Scratch { left: made, right: made_right, rows } = scratch;
        let one = matches!(self.a, Factor::Stored(StoredRows { format: Format::BF16, .. }));
        let (panel, left_panel) = (of.depth.tiles(PARTS), of.depth.tiles(if one { 1 } else { PARTS }));
        if !matches!(self.a, Factor::Ready(_)) {
            let count = of.height.div_ceil(SIDE);
            grow(made, count * left_panel);
            for (number, to) in made.chunks_exact_mut(left_panel).enumerate().take(count) {
                self.left(simd, of.i + number * SIDE, of.depth, rows, to);
            }
        }
        let (a, b) = (self.a, self.b);
        for j in (0..of.width).step_by(SIDE) {
            let right = match b {
                Factor::Ready(parts) => parts.panel((of.j + j) / SIDE, of.depth),
                _ => &made_right[j / SIDE * panel..][..panel],
            };
            for i in (0..of.height).step_by(SIDE) {
                let left = match a {
                    Factor::Ready(parts) => parts.panel((of.i + i) / SIDE, of.depth),
                    _ => &made[i / SIDE * left_panel..][..left_panel],
                };
                // The next square's lines arrive during the products of this one.
                let next = match (i + SIDE < of.height, j + SIDE < of.width) {
                    (true, _) => (of.i + i + SIDE, of.j + j),
                    (_, true) => (of.i, of.j + j + SIDE),
                    _ => (of.i + of.height, of.j),
                };
                for row in next.0..self.size.m.min(next.0 + SIDE) {
                    let at = row * self.c.stride + next.1;
                    unit.expect(self.c.data.get(at));
                    unit.expect(self.c.data.get(at + BLOCK));
                }
                self.square(unit, (left, right), (of.i + i, of.j + j), of.write);
            }
        }
    }

    /// The square at row `i` and column `j` of the result, or what there is of it.
    #[inline(always)]
    fn square(&mut self, unit: &Unit, factors: (&[Tile], &[Tile]), (i, j): (usize, usize), write: Write) {
        let (count, width) = (SIDE.min(self.size.m - i), SIDE.min(self.size.n - j));
        let stride = self.c.stride;
        let to = &mut self.c.data[i * stride + j..];
        if (count, width) == (SIDE, SIDE) {
            return unit.multiply(PARTS, factors, (to, stride), write);
        }
        let mut square = Square([[0.0; SIDE]; SIDE]);
        if write == Write::Add {
            for (row, from) in square.0.iter_mut().zip(to.chunks(stride)).take(count) {
                row[..width].copy_from_slice(&from[..width]);
            }
        }
        unit.multiply(PARTS, factors, (square.0.as_flattened_mut(), SIDE), write);
        for (row, to) in square.0.iter().zip(to.chunks_mut(stride)).take(count) {
            to[..width].copy_from_slice(&row[..width]);
        }
    }
}

#[cfg(test)]
mod tests;
