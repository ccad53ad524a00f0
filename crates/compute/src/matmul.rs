//! Matrix products, and the linear map with its two gradients.
//!
//! Activations are feature-major (see the crate's documentation), so the vector lanes of every product run along
//! positions, whatever the width of the model: a width of 8 fills a register of 16 as well as a width of 512 does.
//! Each element of a result is one chain of fused multiply-adds in the order of the contracted index, or sums of the tile
//! unit in a fixed order, so that it does not depend on what else is computed in the same call; but for which of the two
//! it is, which the number of columns decides.
//!
//! The linear map and its gradients are those of training: on a tile unit, 16 bits of each factor count, on which the
//! loss and its gradient depend in the fifth digit. What is measured goes through [`crate::linear_stored`], exact to f32.

use crate::{
    BLOCK,
    real::{Real, V, vectorized},
    tiles::{self, EXACT, Panels, TRAINING, WeightParts},
    transpose::transpose,
};
use pulp::{Simd, WithSimd};

/// Sizes of a linear map applied to many positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Rows of the weight.
    pub outputs: usize,
    /// Columns of the weight.
    pub inputs: usize,
    /// Columns of the activations; a multiple of [`crate::BLOCK`].
    pub positions: usize,
}

/// What happens to what the output held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is overwritten.
    Set,
    /// The result is added to it.
    Add,
}

/// Bits of each factor that count in the products of training on this CPU: f32's 24, or 16 on a tile unit.
pub fn training_bits() -> u32 {
    if tiles::serves(tiles::LEAST) { 16 } else { 24 }
}

/// With at most so many columns the vector units are faster than the tile unit, for which W would have to be split. The
/// last bits of a column may depend on whether there are more than these, and on nothing else about its neighbours.
pub const NARROW: usize = 64;

/// A weight `[outputs, inputs]` in training.
#[derive(Clone, Copy)]
pub struct Weight<'a, T> {
    /// The numbers.
    pub values: &'a [T],
    /// Their parts, if they were made before; products make their own otherwise, to the same bits.
    pub parts: Option<&'a WeightParts>,
}

impl<'a, T> From<&'a [T]> for Weight<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Weight { values, parts: None }
    }
}

vectorized! {
    /// In training, `y = W x` or `y += W x`: x `[inputs, positions]`, y `[outputs, positions]`.
    pub fn linear<T>(simd, shape: Linear, weight: Weight<'a, T>, x: &'a [T], y: &'a mut [T], write: Write) {
        forward::<S, T, TRAINING>(simd, shape, weight, x, y, write);
    }
}

vectorized! {
    /// [`linear`], as exact as f32 is.
    pub(crate) fn linear_exact<T>(simd, shape: Linear, weight: &'a [T], x: &'a [T], y: &'a mut [T], write: Write) {
        forward::<S, T, EXACT>(simd, shape, weight.into(), x, y, write);
    }
}

vectorized! {
    /// Gradient of [`linear`] for its input: `dx = W^T dy` or `dx += W^T dy`.
    pub fn linear_backward_input<T>(
        simd,
        shape: Linear,
        weight: Weight<'a, T>,
        dy: &'a [T],
        dx: &'a mut [T],
        write: Write,
    ) {
        let Linear { outputs, inputs, positions } = shape;
        let size = Size { m: inputs, k: outputs, n: positions };
        let (a, b) = (Matrix { data: weight.values, stride: inputs }, Matrix { data: dy, stride: positions });
        let mut c = MatrixMut { data: dx, stride: positions };
        let ready = weight.parts.and_then(WeightParts::backward);
        if !on_tiles::<S, T, TRAINING>(simd, size, (a, true, ready), (b, false), &mut c, write) {
            product::<S, T, true>(simd, size, a, b, c, write);
        }
    }
}

vectorized! {
    /// Gradient of [`linear`] for its weight: `dW += dy x^T`.
    pub fn linear_backward_weight<T>(simd, shape: Linear, dy: &'a [T], x: &'a [T], dweight: &'a mut [T]) {
        let Linear { outputs, inputs, positions } = shape;
        let size = Size { m: outputs, k: positions, n: inputs };
        let (a, b) = (Matrix { data: dy, stride: positions }, Matrix { data: x, stride: positions });
        let mut c = MatrixMut { data: dweight, stride: inputs };
        if on_tiles::<S, T, TRAINING>(simd, size, (a, false, None), (b, true), &mut c, Write::Add) {
            return;
        }
        // Turning x costs what a tenth of the outputs cost; sums over lanes cost what 90 positions cost. The last columns
        // that fill no block, and few columns, are summed over lanes.
        let turned = if inputs >= 2 * BLOCK && 9 * outputs > positions { inputs / BLOCK * BLOCK } else { 0 };
        if turned > 0 {
            turned_product(simd, Size { n: turned, ..size }, a, b, MatrixMut { data: &mut *c.data, stride: inputs });
        }
        if turned < inputs {
            let b = Matrix { data: &x[turned * positions..], stride: positions };
            let c = MatrixMut { data: &mut c.data[turned..], stride: inputs };
            simd.vectorize(RowDots { size: Size { n: inputs - turned, ..size }, a, b, c });
        }
    }
}

/// `y = W x` or `y += W x`, each float counting as the sum of `PARTS` bf16 where it runs on tiles.
#[inline(always)]
fn forward<S: Simd, T: Real, const PARTS: usize>(
    simd: S,
    shape: Linear,
    weight: Weight<'_, T>,
    x: &[T],
    y: &mut [T],
    write: Write,
) {
    let Linear { outputs, inputs, positions } = shape;
    let size = Size { m: outputs, k: inputs, n: positions };
    let (a, b) = (Matrix { data: weight.values, stride: inputs }, Matrix { data: x, stride: positions });
    let mut c = MatrixMut { data: y, stride: positions };
    let ready = weight.parts.and_then(WeightParts::forward);
    if positions <= NARROW || !on_tiles::<S, T, PARTS>(simd, size, (a, false, ready), (b, false), &mut c, write) {
        product::<S, T, false>(simd, size, a, b, c, write);
    }
}

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

/// Computes the product on the tile unit, if there is one and the numbers are f32. Each factor comes with whether it is
/// stored the other way round, the left one also with its parts if they were made before.
#[inline(always)]
fn on_tiles<S: Simd, T: Real, const PARTS: usize>(
    simd: S,
    size: Size,
    (a, turned, ready): (Matrix<'_, T>, bool, Option<&Panels>),
    b: (Matrix<'_, T>, bool),
    c: &mut MatrixMut<'_, T>,
    write: Write,
) -> bool {
    if tiles::suits::<S>(size.k)
        && let (Some(a), Some(b)) = (factor((a, turned)), factor(b))
        && let Ok(data) = pulp::bytemuck::try_cast_slice_mut(c.data)
    {
        let a = ready.map_or(a, tiles::Factor::Ready);
        let c = MatrixMut { data, stride: c.stride };
        simd.vectorize(tiles::Product::<PARTS> { size, a, b, c, write });
        return true;
    }
    false
}

/// A matrix of f32 as the tile unit's products take it.
#[inline(always)]
fn factor<T: Real>((matrix, turned): (Matrix<'_, T>, bool)) -> Option<tiles::Factor<'_>> {
    if size_of::<T>() != size_of::<f32>() {
        return None;
    }
    let data = pulp::bytemuck::try_cast_slice(matrix.data).ok()?;
    let matrix = Matrix { data, stride: matrix.stride };
    Some(if turned { tiles::Factor::Turned(matrix) } else { tiles::Factor::Plain(matrix) })
}

/// About how many rows of the right factor are packed together: a packed panel of this many rows stays in the L2 cache.
const DEPTH: usize = 512;

/// Columns of the right factor that are packed together.
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
    c: MatrixMut<'_, T>,
    write: Write,
) {
    let Size { m, k, n } = size;
    let (lanes, widest) = (V::<S, T>::LANES, widest::<S, T>());
    let pack = m >= 16 && k > 8 && b.stride > widest;
    // Even parts: a short last one would read and write the result for little.
    let parts = if pack { k.div_ceil(DEPTH + DEPTH / 4).max(1) } else { 1 };
    let depth = k.div_ceil(parts).max(1);
    let mut packed = Vec::new();
    if pack {
        packed = T::take_scratch();
        packed.resize(packed.len().max(depth * widest), T::ZERO);
    }
    for j in (0..n).step_by(widest) {
        let width = widest.min(n - j);
        for p in (0..k).step_by(depth) {
            let k = depth.min(k - p);
            let a = Matrix { data: &a.data[if TRANSPOSED { p * a.stride } else { p }..], stride: a.stride };
            let b = Matrix { data: &b.data[p * b.stride + j..], stride: b.stride };
            let c = MatrixMut { data: &mut c.data[j..], stride: c.stride };
            let write = if p > 0 { Write::Add } else { write };
            panel::<S, T, TRANSPOSED>(simd, Size { m, k, n: width / lanes }, (a, b), &mut packed, c, write);
        }
    }
    if pack {
        T::give_scratch(packed);
    }
}

/// `c += a b^T` where the rows of both are contiguous along the contracted index `k`; `k` and `n` are multiples of
/// [`BLOCK`]: a panel of `b` is turned, so that the lanes run along the columns of `c`.
#[inline(always)]
fn turned_product<S: Simd, T: Real>(simd: S, size: Size, a: Matrix<'_, T>, b: Matrix<'_, T>, c: MatrixMut<'_, T>) {
    let Size { m, k, n } = size;
    let panel = widest::<S, T>().max(BLOCK);
    let mut turned = T::take_scratch();
    turned.resize(turned.len().max(DEPTH * panel), T::ZERO);
    for p in (0..k).step_by(DEPTH) {
        let k = DEPTH.min(k - p);
        let a = Matrix { data: &a.data[p..], stride: a.stride };
        for j in (0..n).step_by(panel) {
            let width = panel.min(n - j);
            let rows = Matrix { data: &b.data[j * b.stride + p..], stride: b.stride };
            transpose(simd, (width, k), rows, MatrixMut { data: &mut turned, stride: width });
            let right = Matrix { data: &turned[..k * width], stride: width };
            let c = MatrixMut { data: &mut c.data[j..], stride: c.stride };
            product::<S, T, false>(simd, Size { m, k, n: width }, a, right, c, Write::Add);
        }
    }
    T::give_scratch(turned);
}

/// One panel of at most four registers' columns (`size.n` counts registers); where `packed` has room, the right factor is
/// copied there first.
#[inline(always)]
fn panel<S: Simd, T: Real, const TRANSPOSED: bool>(
    simd: S,
    size: Size,
    (a, b): (Matrix<'_, T>, Matrix<'_, T>),
    packed: &mut [T],
    c: MatrixMut<'_, T>,
    write: Write,
) {
    // Accumulators, one row of the right factor, and one broadcast must fit the registers.
    if S::REGISTER_COUNT >= 32 {
        match size.n {
            4 => simd.vectorize(Panel::<T, TRANSPOSED, 6, 4> { size, a, b, packed, c, write }),
            3 => simd.vectorize(Panel::<T, TRANSPOSED, 8, 3> { size, a, b, packed, c, write }),
            2 => simd.vectorize(Panel::<T, TRANSPOSED, 12, 2> { size, a, b, packed, c, write }),
            // Rows that lie apart take a general-purpose register each, of which there are 16.
            _ if !TRANSPOSED => simd.vectorize(Panel::<T, TRANSPOSED, 8, 1> { size, a, b, packed, c, write }),
            _ => simd.vectorize(Panel::<T, TRANSPOSED, 12, 1> { size, a, b, packed, c, write }),
        }
    } else {
        match size.n {
            2 => simd.vectorize(Panel::<T, TRANSPOSED, 6, 2> { size, a, b, packed, c, write }),
            _ => simd.vectorize(Panel::<T, TRANSPOSED, 8, 1> { size, a, b, packed, c, write }),
        }
    }
}

struct Panel<'a, T, const TRANSPOSED: bool, const ROWS: usize, const VECTORS: usize> {
    size: Size,
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    packed: &'a mut [T],
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
        let width = VECTORS * V::<S, T>::LANES;
        if !self.packed.is_empty() {
            let packed = std::mem::take(&mut self.packed);
            let rows = T::lanes_mut(simd, packed).chunks_exact_mut(VECTORS).take(self.size.k);
            for (row, to) in rows.enumerate() {
                let from = T::lanes(simd, &self.b.data[row * self.b.stride..][..width]);
                if let (Some(from), Some(to)) = (from.first_chunk::<VECTORS>(), to.first_chunk_mut::<VECTORS>()) {
                    *to = *from;
                }
            }
            self.b = Matrix { data: packed, stride: width };
        }
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
        let mut sums = [[V::<S, T>::zero(simd); VECTORS]; ROWS];
        if self.write == Write::Add {
            for (r, row) in sums.iter_mut().enumerate() {
                let old = T::lanes(simd, &self.c.data[(i + r) * self.c.stride..][..width]);
                for (sum, old) in row.iter_mut().zip(old) {
                    *sum = V::new(simd, *old);
                }
            }
        }
        let Matrix { data, stride } = self.a;
        if TRANSPOSED {
            for p in 0..self.size.k {
                let Some(left) = data[p * stride + i..].first_chunk::<ROWS>() else { return };
                let right = T::lanes(simd, &self.b.data[p * self.b.stride..][..width]);
                if let Some(right) = right.first_chunk() {
                    step(simd, left, right, &mut sums);
                }
            }
        } else {
            let rows: [&[T]; ROWS] = std::array::from_fn(|r| &data[(i + r) * stride..][..self.size.k]);
            let whole = if self.b.stride == width { self.size.k / BLOCK } else { 0 };
            let right = T::lanes(simd, self.b.data).as_chunks::<VECTORS>().0.as_chunks::<BLOCK>().0;
            for (block, right) in right.iter().enumerate().take(whole) {
                let left: [&[T; BLOCK]; ROWS] = std::array::from_fn(|r| &rows[r].as_chunks().0[block]);
                // The rows of the next tile: where the left factor comes from memory, this takes as long as the products.
                for r in ROWS..2 * ROWS {
                    prefetch(data, (i + r) * stride + block * BLOCK);
                }
                for (p, right) in right.iter().enumerate() {
                    step(simd, &std::array::from_fn(|r| left[r][p]), right, &mut sums);
                }
            }
            let rest = whole * BLOCK;
            for (p, right) in self.b.data.chunks(self.b.stride).take(self.size.k).enumerate().skip(rest) {
                let left: [T; ROWS] = std::array::from_fn(|r| rows[r][p]);
                if let Some(right) = T::lanes(simd, &right[..width]).first_chunk() {
                    step(simd, &left, right, &mut sums);
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            let new = T::lanes_mut(simd, &mut self.c.data[(i + r) * self.c.stride..][..width]);
            for (new, sum) in new.iter_mut().zip(row) {
                *new = sum.value;
            }
        }
    }
}

/// Asks for the cache line of an element, if there is such an element.
#[inline(always)]
pub(crate) fn prefetch<T>(data: &[T], at: usize) {
    let place = data.get(at).map(std::ptr::from_ref);
    #[cfg(target_arch = "x86_64")]
    if let Some(place) = place {
        // SAFETY: every x86-64 CPU has the instruction, which is a hint and changes nothing.
        #[allow(unsafe_code)]
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(place.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
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

/// `c += a b^T` where the rows of both are contiguous along the contracted index, `k`, a multiple of the register
/// width.
struct RowDots<'a, T> {
    size: Size,
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    c: MatrixMut<'a, T>,
}

impl<T: Real> WithSimd for RowDots<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.tiles::<S, 4, 4>(simd) } else { self.tiles::<S, 4, 2>(simd) }
    }
}

impl<T: Real> RowDots<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize, const COLUMNS: usize>(&mut self, simd: S) {
        for i in (0..self.size.m).step_by(ROWS) {
            for j in (0..self.size.n).step_by(COLUMNS) {
                self.tile::<S, ROWS, COLUMNS>(simd, i, j);
            }
        }
    }

    /// The tile at row `i` and column `j`; where it reaches over the edge, the last row or column is computed again
    /// and dropped.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const COLUMNS: usize>(&mut self, simd: S, i: usize, j: usize) {
        let Size { m, n, k } = self.size;
        let steps = k / V::<S, T>::LANES;
        let left: [_; ROWS] = std::array::from_fn(|r| vectors(simd, self.a, (i + r).min(m - 1), k));
        let right: [_; COLUMNS] = std::array::from_fn(|r| vectors(simd, self.b, (j + r).min(n - 1), k));
        let mut sums = [[V::<S, T>::zero(simd); COLUMNS]; ROWS];
        for p in 0..steps {
            let right: [_; COLUMNS] = std::array::from_fn(|c| V::<S, T>::new(simd, right[c][p]));
            for (sums, left) in sums.iter_mut().zip(&left) {
                let left = V::new(simd, left[p]);
                for (sum, right) in sums.iter_mut().zip(&right) {
                    *sum = left.fma(*right, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate().take(m - i) {
            for (c, sum) in sums.iter().enumerate().take(n - j) {
                self.c.data[(i + r) * self.c.stride + j + c] += sum.sum();
            }
        }
    }
}

/// The first `k` numbers of row `r`, as registers.
#[inline(always)]
fn vectors<'a, S: Simd, T: Real>(simd: S, x: Matrix<'a, T>, r: usize, k: usize) -> &'a [T::Vector<S>] {
    &T::lanes(simd, &x.data[r * x.stride..][..k])[..k / V::<S, T>::LANES]
}

#[cfg(test)]
mod tests;
