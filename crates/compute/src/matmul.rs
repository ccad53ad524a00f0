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
    real::{Real, vectorized},
    tiles::{self, EXACT, Panels, TRAINING, WeightParts},
};
use dots::RowDots;
use product::turned_product;
use pulp::Simd;

mod dots;
mod product;

pub(crate) use product::{Matrix, MatrixMut, Size, product};

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

#[cfg(test)]
mod tests;
