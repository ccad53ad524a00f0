//! Weights as they lie in files: half precision and the block formats of GGUF, expanded to f32 a tile at a time inside
//! the matrix product, so that a model takes the memory of its file.
//!
//! The block formats are those of ggml (`ggml-quants.c`, `dequantize_row_*`): a block is a run of 32 or 256 numbers of
//! one row with common scales.

use crate::{
    BLOCK, Linear, Write,
    matmul::{NARROW, linear_exact, prefetch},
    tiles::{self, Parts},
};

mod blocks;
mod dots;

use dots::Dots;

/// How the numbers of a stored tensor are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the file formats")]
pub enum Format {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

impl Format {
    /// Numbers in one block, and the bytes that hold them.
    pub fn block(self) -> (usize, usize) {
        match self {
            Format::F32 => (1, 4),
            Format::F16 | Format::BF16 => (1, 2),
            Format::Q4_0 => (32, 18),
            Format::Q4_1 => (32, 20),
            Format::Q5_0 => (32, 22),
            Format::Q5_1 => (32, 24),
            Format::Q8_0 => (32, 34),
            Format::Q2K => (256, 84),
            Format::Q3K => (256, 110),
            Format::Q4K => (256, 144),
            Format::Q5K => (256, 176),
            Format::Q6K => (256, 210),
        }
    }

    /// Bytes of `count` numbers, which fill whole blocks.
    pub fn bytes(self, count: usize) -> usize {
        let (numbers, bytes) = self.block();
        count / numbers * bytes
    }
}

/// Rows of a matrix as they lie in a file.
#[derive(Clone, Copy, Debug)]
pub struct StoredRows<'a> {
    /// How the numbers are written.
    pub format: Format,
    /// Row after row; a row fills whole blocks.
    pub bytes: &'a [u8],
}

impl<'a> StoredRows<'a> {
    /// The numbers as they lie there, if they are f32 and lie as those of this machine do.
    pub(crate) fn numbers(self) -> Option<&'a [f32]> {
        pulp::bytemuck::try_cast_slice(self.bytes).ok().filter(|_| self.format == Format::F32)
    }
}

/// Expands whole blocks: `bytes` holds `to.len()` numbers.
pub fn expand(format: Format, bytes: &[u8], to: &mut [f32]) {
    debug_assert_eq!(bytes.len(), format.bytes(to.len()));
    pulp::Arch::new().dispatch(Expand { format, bytes, to });
}

struct Expand<'a> {
    format: Format,
    bytes: &'a [u8],
    to: &'a mut [f32],
}

impl pulp::WithSimd for Expand<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        blocks::expand(self.format, self.bytes, self.to);
    }
}

/// Numbers expanded at a time: what stays in the L2 cache beside the activations.
const TILE: usize = 48 * 1024;

/// Numbers expanded at a time for few columns: what lies in the L1 cache.
const NEAR: usize = 4096;

/// At most so many columns are multiplied as single vectors; more fill the registers of [`linear_exact`].
const FEW: usize = 4;

/// Activations that stored weights multiply.
#[derive(Clone, Copy)]
pub struct MapInput<'a> {
    /// `[inputs, positions]`.
    pub values: &'a [f32],
    /// Their parts, if they were made before; products make their own otherwise, to the same bits.
    pub parts: Option<&'a Parts>,
    /// Only so many of the first columns matter.
    pub used: usize,
}

/// The linear map with stored weights, as exact as f32 is: `y = W x` or `y += W x`, in the columns that matter.
/// `weight` holds `shape.outputs` rows of `shape.inputs` numbers.
pub fn linear_stored(shape: Linear, weight: StoredRows<'_>, input: MapInput<'_>, y: &mut [f32], write: Write) {
    let Linear { outputs, inputs, positions } = shape;
    let MapInput { values: x, parts, used } = input;
    debug_assert_eq!(weight.bytes.len(), weight.format.bytes(outputs * inputs));
    if used <= FEW {
        return few(shape, weight, used, x, y, write);
    }
    if positions > NARROW && tiles::linear_stored(shape, weight, (x, parts), y, write) {
        return;
    }
    if let Some(values) = weight.numbers() {
        return linear_exact(shape, values, x, y, write);
    }
    // Whole groups of rows, as the product's register tiles want them.
    let rows = (TILE / inputs).max(1).next_multiple_of(12).min(outputs);
    let mut tile = vec![0.0; rows * inputs];
    let row_bytes = weight.format.bytes(inputs);
    for (bytes, y) in weight.bytes.chunks(rows * row_bytes).zip(y.chunks_mut(rows * positions)) {
        let outputs = y.len() / positions;
        let tile = &mut tile[..outputs * inputs];
        expand(weight.format, bytes, tile);
        linear_exact(Linear { outputs, ..shape }, tile, x, y, write);
    }
}

/// Each row against each of few columns.
fn few(shape: Linear, weight: StoredRows<'_>, used: usize, x: &[f32], y: &mut [f32], write: Write) {
    let Linear { inputs, positions, .. } = shape;
    // The columns one after another, which is how the dots read them.
    let mut columns = vec![0.0; used * inputs];
    for (i, row) in x.chunks_exact(positions).enumerate() {
        for (column, x) in row[..used].iter().enumerate() {
            columns[column * inputs + i] = *x;
        }
    }
    let row_bytes = weight.format.bytes(inputs);
    let rows = (NEAR / inputs).max(1);
    let mut tile = Vec::new();
    for (number, (bytes, y)) in weight.bytes.chunks(rows * row_bytes).zip(y.chunks_mut(rows * positions)).enumerate() {
        let stored = StoredRows { format: weight.format, bytes };
        let values = stored.numbers().unwrap_or_else(|| {
            tile.resize(y.len() / positions * inputs, 0.0);
            expand(weight.format, bytes, &mut tile);
            // The next rows are on their way from memory during the products of these.
            for at in (0..bytes.len()).step_by(64) {
                prefetch(weight.bytes, (number + 1) * rows * row_bytes + at);
            }
            &tile
        });
        pulp::Arch::new().dispatch(Dots { rows: values, columns: &columns, count: used, y, positions, write });
    }
}

/// The bytes of numbers in memory, as [`Format::F32`] has them on a little-endian machine.
pub fn as_bytes(values: &[f32]) -> &[u8] {
    pulp::bytemuck::cast_slice(values)
}

/// One stored row as f32: an embedding.
pub fn stored_row(rows: StoredRows<'_>, inputs: usize, row: usize, to: &mut [f32]) {
    let size = rows.format.bytes(inputs);
    expand(rows.format, &rows.bytes[row * size..][..size], to);
}

const _: () = assert!(FEW < BLOCK && FEW <= NARROW);

#[cfg(test)]
mod tests;
