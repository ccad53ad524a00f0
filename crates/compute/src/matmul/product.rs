//! The product on the vector units. The left factor is taken in tiles of a few rows, the right one in panels of a few
//! registers' columns; a tile of the result stays in registers over the whole contraction.
//!
//! Where a panel is wide (256 bytes on AVX-512), the left factor is read rarely, and panel after panel is packed and done
//! with. Where it is narrow (64 bytes on AVX2 and NEON), the left factor would be read again and again from afar, a few rows
//! of it and one line of each row of the result at a time; so blocks of its rows are copied to where they stay in the L2
//! cache while all panels pass by (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008).

use super::{Write, prefetch};
use crate::{
    BLOCK,
    real::{Real, V},
    transpose::{interleave, transpose},
};
use pulp::{Simd, WithSimd};

/// Sizes of a product: `[m, k]` times `[k, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
}

/// Rows of a slice, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
}

/// Rows of a mutable slice, `stride` apart.
pub(crate) struct MatrixMut<'a, T> {
    pub(crate) data: &'a mut [T],
    pub(crate) stride: usize,
}

/// How a product is cut, so that what is read again lies near.
#[derive(Clone, Copy)]
struct Cut {
    /// About how much of the contracted index is done at once.
    depth: usize,
    /// Rows of the left factor that all panels pass by before the next.
    rows: usize,
    /// Numbers of the right factor that are packed together, a panel at least.
    packed: usize,
}

/// A packed panel stays in the L2 cache.
const WIDE_CUT: Cut = Cut { depth: 512, rows: usize::MAX, packed: 0 };

/// A packed panel stays in the L1 cache, the left factor's block and about as much of the right factor in the L2 cache.
const NARROW_CUT: Cut = Cut { depth: 384, rows: 3 * BLOCK, packed: 128 * 1024 };

/// Panels that a block of the left factor must pass by for its copy to pay.
const PASSES: usize = 4;

/// Steps that the loop over a tile does at a time.
const UNROLLED: usize = 4;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Rows of a tile of a panel of full width.
const TILE_ROWS: usize = 6;

/// Columns of a panel of full width.
#[inline(always)]
fn widest<S: Simd, T: Real>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 * V::<S, T>::LANES } else { 2 * V::<S, T>::LANES }
}

/// `c = a b` or `c += a b`; `a` is `[m, k]`, or, when `TRANSPOSED`, stored as `[k, m]`; `b` is `[k, n]`; `n` is a
/// multiple of the register width. The right factor is copied into contiguous panels where enough rows share the copy.
#[inline(always)]
pub(crate) fn product<S: Simd, T: Real, const TRANSPOSED: bool>(
    simd: S,
    size: Size,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    mut c: MatrixMut<'_, T>,
    write: Write,
) {
    let Size { m, k, n } = size;
    let widest = widest::<S, T>();
    if m >= 16 && k > 8 && b.stride > widest {
        return packed::<S, T, TRANSPOSED, false>(simd, size, a, b, c, write);
    }
    let left = Left { rows: a, tiles: false };
    for j in (0..n).step_by(widest) {
        let right = Matrix { data: &b.data[j..], stride: b.stride };
        let size = Size { m, k, n: widest.min(n - j) };
        panel::<S, T, TRANSPOSED>(simd, size, left, right, c.from(j), write);
    }
}

/// `c += a b^T` where the rows of both are contiguous along the contracted index `k`; `k` and `n` are multiples of
/// [`BLOCK`]: panels of `b` are turned, so that the lanes run along the columns of `c`.
#[inline(always)]
pub(super) fn turned_product<S: Simd, T: Real>(
    simd: S,
    size: Size,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: MatrixMut<'_, T>,
) {
    packed::<S, T, false, true>(simd, size, a, b, c, Write::Add);
}

/// [`product`] with the right factor packed, which is stored as `[n, k]` when `TURNED`.
#[inline(always)]
fn packed<S: Simd, T: Real, const TRANSPOSED: bool, const TURNED: bool>(
    simd: S,
    Size { m, k, n }: Size,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: MatrixMut<'_, T>,
    write: Write,
) {
    let widest = widest::<S, T>();
    let wide = widest * size_of::<T>() >= 256;
    let cut = if wide { WIDE_CUT } else { NARROW_CUT };
    // Even parts: a short last one would read and write the result for little.
    let parts = k.div_ceil(cut.depth + cut.depth / 4).max(1);
    let depth = k.div_ceil(parts).next_multiple_of(BLOCK);
    let panel_columns = widest.max(BLOCK);
    let panels = (cut.packed / (depth * panel_columns)).min(n.div_ceil(panel_columns)).max(1);
    let copies = panels >= PASSES && n.is_multiple_of(panel_columns);
    let rows = cut.rows.min(m).max(1);
    // Panels do not lie a power of two apart, where their rows would push each other out of the cache.
    let panel_stride = depth * panel_columns + BLOCK;
    let copied = if copies { rows.next_multiple_of(TILE_ROWS) * depth } else { 0 };
    let mut scratch = T::take_scratch();
    scratch.resize(scratch.len().max(panels * panel_stride + copied + 2 * LINE / size_of::<T>()), T::ZERO);
    // No register of the panels crosses a cache line.
    let aligned = scratch.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
    let (to, copy) = scratch[aligned..].split_at_mut(panels * panel_stride);
    for j in (0..n).step_by(panels * panel_columns) {
        let n = (panels * panel_columns).min(n - j);
        for p in (0..k).step_by(depth) {
            let k = depth.min(k - p);
            let write = if p > 0 { Write::Add } else { write };
            let (down, along) = if TURNED { (j, p) } else { (p, j) };
            let b = Matrix { data: &b.data[down * b.stride + along..], stride: b.stride };
            if TURNED {
                pack_turned(simd, (k, n, panel_columns), b, to, panel_stride);
            } else {
                pack(simd, (k, n, panel_columns), b, to, panel_stride);
            }
            for i in (0..m).step_by(rows) {
                let m = rows.min(m - i);
                let (down, along) = if TRANSPOSED { (p, i) } else { (i, p) };
                let a = Matrix { data: &a.data[down * a.stride + along..], stride: a.stride };
                let mut left = Left { rows: a, tiles: false };
                if copies {
                    if TRANSPOSED {
                        copy_tiles((m, k), a, copy);
                    } else {
                        turn_tiles(simd, (m, k), a, copy);
                    }
                    left = Left { rows: Matrix { data: copy, stride: TILE_ROWS }, tiles: true };
                }
                let mut c = MatrixMut { data: &mut c.data[i * c.stride..], stride: c.stride };
                for (first, packed) in (0..n).step_by(panel_columns).zip(to.chunks(panel_stride)) {
                    let width = panel_columns.min(n - first);
                    for column in (0..width).step_by(widest) {
                        let right = Matrix { data: &packed[column..], stride: width };
                        let size = Size { m, k, n: widest.min(width - column) };
                        panel::<S, T, TRANSPOSED>(simd, size, left, right, c.from(j + first + column), write);
                    }
                }
            }
        }
    }
    T::give_scratch(scratch);
}

impl<T> MatrixMut<'_, T> {
    /// Without the columns before this one.
    #[inline(always)]
    fn from(&mut self, column: usize) -> MatrixMut<'_, T> {
        MatrixMut { data: &mut self.data[column..], stride: self.stride }
    }
}

/// Copies `k` rows of `n` numbers into panels of `columns`, `panel_stride` apart.
#[inline(always)]
fn pack<S: Simd, T: Real>(
    simd: S,
    (k, n, columns): (usize, usize, usize),
    b: Matrix<'_, T>,
    to: &mut [T],
    panel_stride: usize,
) {
    for row in 0..k {
        let from = &b.data[row * b.stride..][..n];
        let mut at = row * columns;
        let (whole, rest) = from.split_at(n / columns * columns);
        for from in whole.chunks_exact(columns) {
            let to = T::lanes_mut(simd, &mut to[at..][..columns]);
            for (to, from) in to.iter_mut().zip(T::lanes(simd, from)) {
                *to = *from;
            }
            at += panel_stride;
        }
        if !rest.is_empty() {
            to[at - row * (columns - rest.len())..][..rest.len()].copy_from_slice(rest);
        }
    }
}

/// [`pack`], where `b` is stored as `[n, k]`.
#[inline(always)]
fn pack_turned<S: Simd, T: Real>(
    simd: S,
    (k, n, columns): (usize, usize, usize),
    b: Matrix<'_, T>,
    to: &mut [T],
    panel_stride: usize,
) {
    for (first, panel) in (0..n).step_by(columns).zip(to.chunks_mut(panel_stride)) {
        let width = columns.min(n - first);
        let rows = Matrix { data: &b.data[first * b.stride..], stride: b.stride };
        transpose(simd, (width, k), rows, MatrixMut { data: panel, stride: width });
    }
}

/// Copies `[k, m]` into tiles `[k, TILE_ROWS]`; what fills up the last tile is not read.
#[inline(always)]
fn copy_tiles<T: Real>((m, k): (usize, usize), a: Matrix<'_, T>, to: &mut [T]) {
    let steps = to.as_chunks_mut::<TILE_ROWS>().0;
    for p in 0..k {
        let (whole, rest) = a.data[p * a.stride..][..m].as_chunks::<TILE_ROWS>();
        for (from, to) in whole.iter().zip(steps.iter_mut().skip(p).step_by(k)) {
            *to = *from;
        }
        if !rest.is_empty() {
            steps[whole.len() * k + p][..rest.len()].copy_from_slice(rest);
        }
    }
}

/// Copies `[m, k]` into tiles `[k, TILE_ROWS]`.
#[inline(always)]
fn turn_tiles<S: Simd, T: Real>(simd: S, (m, k): (usize, usize), a: Matrix<'_, T>, to: &mut [T]) {
    for (tile, i) in (0..m).step_by(TILE_ROWS).enumerate() {
        let rows: [&[T]; 8] = std::array::from_fn(|r| &a.data[(i + r).min(m - 1) * a.stride..][..k]);
        let to = &mut to[tile * k * TILE_ROWS..];
        let done = interleave(simd, &rows, TILE_ROWS, to);
        for (p, to) in to.as_chunks_mut::<TILE_ROWS>().0.iter_mut().enumerate().take(k).skip(done) {
            *to = std::array::from_fn(|r| rows[r][p]);
        }
    }
}

/// The left factor of a panel.
#[derive(Clone, Copy)]
struct Left<'a, T> {
    rows: Matrix<'a, T>,
    /// Whether it lies in tiles `[k, TILE_ROWS]`, one after another.
    tiles: bool,
}

/// One panel of at most four registers' columns.
#[inline(always)]
fn panel<S: Simd, T: Real, const TRANSPOSED: bool>(
    simd: S,
    size: Size,
    a: Left<'_, T>,
    b: Matrix<'_, T>,
    c: MatrixMut<'_, T>,
    write: Write,
) {
    // Accumulators, one row of the right factor, and one broadcast must fit the registers.
    let registers = size.n / V::<S, T>::LANES;
    if S::REGISTER_COUNT >= 32 {
        match registers {
            4 => simd.vectorize(Panel::<T, TRANSPOSED, TILE_ROWS, 4> { size, a, b, c, write }),
            3 => simd.vectorize(Panel::<T, TRANSPOSED, 8, 3> { size, a, b, c, write }),
            2 => simd.vectorize(Panel::<T, TRANSPOSED, 12, 2> { size, a, b, c, write }),
            // Rows that lie apart take a general-purpose register each, of which there are 16.
            _ if !TRANSPOSED => simd.vectorize(Panel::<T, TRANSPOSED, 8, 1> { size, a, b, c, write }),
            _ => simd.vectorize(Panel::<T, TRANSPOSED, 12, 1> { size, a, b, c, write }),
        }
    } else {
        match registers {
            2 => simd.vectorize(Panel::<T, TRANSPOSED, TILE_ROWS, 2> { size, a, b, c, write }),
            _ => simd.vectorize(Panel::<T, TRANSPOSED, 8, 1> { size, a, b, c, write }),
        }
    }
}

struct Panel<'a, T, const TRANSPOSED: bool, const ROWS: usize, const VECTORS: usize> {
    size: Size,
    a: Left<'a, T>,
    b: Matrix<'a, T>,
    c: MatrixMut<'a, T>,
    write: Write,
}

impl<T: Real, const TRANSPOSED: bool, const ROWS: usize, const VECTORS: usize> WithSimd
    for Panel<'_, T, TRANSPOSED, ROWS, VECTORS>
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let m = self.size.m;
        let mut i = 0;
        while i + ROWS <= m {
            self.tile::<S, ROWS>(simd, i);
            i += ROWS;
        }
        if ROWS > 8 && i + 8 <= m {
            self.tile::<S, 8>(simd, i);
            i += 8;
        }
        if ROWS > 4 && i + 4 <= m {
            self.tile::<S, 4>(simd, i);
            i += 4;
        }
        if i + 2 <= m {
            self.tile::<S, 2>(simd, i);
            i += 2;
        }
        if i < m {
            self.tile::<S, 1>(simd, i);
        }
    }
}

impl<T: Real, const TRANSPOSED: bool, const MOST: usize, const VECTORS: usize> Panel<'_, T, TRANSPOSED, MOST, VECTORS> {
    /// `ROWS` rows from row `i` on, held in registers over the whole contraction.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize>(&mut self, simd: S, i: usize) {
        if MOST < ROWS {
            return;
        }
        let width = VECTORS * V::<S, T>::LANES;
        // The next tile's results: where they come from afar, the first product would wait for them.
        if width * size_of::<T>() <= LINE {
            for r in ROWS..2 * ROWS {
                prefetch(self.c.data, (i + r) * self.c.stride);
            }
        }
        let mut sums = [[V::<S, T>::zero(simd); VECTORS]; ROWS];
        if self.write == Write::Add {
            for (r, row) in sums.iter_mut().enumerate() {
                let old = T::lanes(simd, &self.c.data[(i + r) * self.c.stride..][..width]);
                for (sum, old) in row.iter_mut().zip(old) {
                    *sum = V::new(simd, *old);
                }
            }
        }
        if self.a.tiles {
            self.down_tiles(simd, i, &mut sums);
        } else if TRANSPOSED {
            self.down_columns(simd, i, &mut sums);
        } else {
            self.along_rows(simd, i, &mut sums);
        }
        for (r, row) in sums.iter().enumerate() {
            let new = T::lanes_mut(simd, &mut self.c.data[(i + r) * self.c.stride..][..width]);
            for (new, sum) in new.iter_mut().zip(row) {
                *new = sum.value;
            }
        }
    }

    /// The left factor lies in tiles `[k, TILE_ROWS]`.
    #[inline(always)]
    fn down_tiles<S: Simd, const ROWS: usize>(&self, simd: S, i: usize, sums: &mut [[V<S, T>; VECTORS]; ROWS]) {
        let (k, width) = (self.size.k, VECTORS * V::<S, T>::LANES);
        let left = &self.a.rows.data.as_chunks::<TILE_ROWS>().0[i / TILE_ROWS * k..][..k];
        if ROWS == TILE_ROWS && self.b.stride == width {
            let right = &T::lanes(simd, self.b.data).as_chunks::<VECTORS>().0[..k];
            let (left, left_rest) = left.as_chunks::<UNROLLED>();
            let (right, right_rest) = right.as_chunks::<UNROLLED>();
            for (left, right) in left.iter().zip(right) {
                for (left, right) in left.iter().zip(right) {
                    if let Some(left) = left.first_chunk() {
                        step(simd, left, right, sums);
                    }
                }
            }
            for (left, right) in left_rest.iter().zip(right_rest) {
                if let Some(left) = left.first_chunk() {
                    step(simd, left, right, sums);
                }
            }
            return;
        }
        for (left, right) in left.iter().zip(self.b.data.chunks(self.b.stride)) {
            let right = T::lanes(simd, &right[..width]).first_chunk();
            if let (Some(left), Some(right)) = (left[i % TILE_ROWS..].first_chunk(), right) {
                step(simd, left, right, sums);
            }
        }
    }

    /// The left factor is `[k, m]`.
    #[inline(always)]
    fn down_columns<S: Simd, const ROWS: usize>(&self, simd: S, i: usize, sums: &mut [[V<S, T>; VECTORS]; ROWS]) {
        let Matrix { data, stride } = self.a.rows;
        let data = &data[i..];
        for p in 0..self.size.k {
            let Some(left) = data[p * stride..].first_chunk::<ROWS>() else { return };
            let right = T::lanes(simd, &self.b.data[p * self.b.stride..][..VECTORS * V::<S, T>::LANES]);
            if let Some(right) = right.first_chunk() {
                step(simd, left, right, sums);
            }
        }
    }

    /// The left factor is `[m, k]`.
    #[inline(always)]
    fn along_rows<S: Simd, const ROWS: usize>(&self, simd: S, i: usize, sums: &mut [[V<S, T>; VECTORS]; ROWS]) {
        let Matrix { data, stride } = self.a.rows;
        let width = VECTORS * V::<S, T>::LANES;
        let rows: [&[T]; ROWS] = std::array::from_fn(|r| &data[(i + r) * stride..][..self.size.k]);
        let whole = if self.b.stride == width { self.size.k / BLOCK } else { 0 };
        let right = T::lanes(simd, self.b.data).as_chunks::<VECTORS>().0.as_chunks::<BLOCK>().0;
        for (block, right) in right.iter().enumerate().take(whole) {
            let left: [&[T; BLOCK]; ROWS] = std::array::from_fn(|r| &rows[r].as_chunks().0[block]);
            // The rows of the next tile: where the left factor comes from memory, this takes as long as the products.
            for r in ROWS..2 * ROWS {
                prefetch(data, (i + r) * stride + block * BLOCK);
            }
            for (p, right) in right.as_chunks::<UNROLLED>().0.iter().enumerate() {
                for (q, right) in right.iter().enumerate() {
                    step(simd, &std::array::from_fn(|r| left[r][UNROLLED * p + q]), right, sums);
                }
            }
        }
        let rest = whole * BLOCK;
        for (p, right) in self.b.data.chunks(self.b.stride).take(self.size.k).enumerate().skip(rest) {
            let left: [T; ROWS] = std::array::from_fn(|r| rows[r][p]);
            if let Some(right) = T::lanes(simd, &right[..width]).first_chunk() {
                step(simd, &left, right, sums);
            }
        }
    }
}

/// Adds one outer product to the accumulators.
#[inline(always)]
fn step<S: Simd, T: Real, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    left: &[T; ROWS],
    right: &[T::Vector<S>; VECTORS],
    sums: &mut [[V<S, T>; VECTORS]; ROWS],
) {
    for (row, l) in sums.iter_mut().zip(left) {
        let l = V::splat(simd, *l);
        for (sum, r) in row.iter_mut().zip(right) {
            *sum = l.fma(V::new(simd, *r), *sum);
        }
    }
}
