//! The fixed set of numerical operations and their gradients, slices to slices.
//!
//! **Layout.** Activations are feature-major: `x[channel * positions + position]`, written `[channels, positions]`. So
//! the vector lanes run along positions, which are many, and never along channels, of which the smallest models have 8;
//! sums over channels and softmaxes over keys are whole-register operations without shuffles. The number of positions
//! is a multiple of [`BLOCK`]; what fills it up is computed in vain and carries no gradient. Weights are `[outputs,
//! inputs]`, the layout of checkpoint files.
//!
//! **Devices.** This is the CPU. Every operation is a plain function of slices and sizes without hidden state, so that
//! another device implements the same set of functions on its own buffers. The instruction set (AVX-512, AVX2, NEON,
//! or none) is chosen at run time, and so is the tile unit (AMX) for products that contract at least 64 numbers. Nothing
//! here starts a thread: callers give each thread its own part of the batch.
//!
//! **Bits.** A result depends on its operands and the kind of CPU alone, never on threads or on chance; on its neighbours
//! only in that the number of columns chooses the kernel of a product.
//!
//! Each gradient is checked against central differences in f64; the same code runs in f32.

mod activation;
mod attention;
#[cfg(test)]
mod check;
mod embedding;
mod layer_norm;
mod loss;
mod matmul;
mod mlp;
mod norm;
mod optimizer;
mod real;
mod rope;
mod stored;
mod tiles;
mod transpose;

pub use activation::{Activation, activate, activate_backward, activate_gated, soft_cap, soft_cap_backward};
pub use attention::{
    Attended, Attention, AttentionGradient, Heads, PAGE, Pages, Reader, SECOND_POOL, Segment, Softmax, Weighing,
    attention, attention_backward, attention_paged, value_stride,
};
pub use embedding::{embed, embed_backward, gather, scatter_add};
pub use layer_norm::{LayerNormed, add_bias, layer_norm, layer_norm_backward};
pub use loss::{Prediction, Readout, cross_entropy, divergence, readout, softmax};
pub use matmul::{Linear, NARROW, Weight, Write, linear, linear_backward_input, linear_backward_weight, training_bits};
pub use mlp::{swiglu, swiglu_backward};
pub use norm::{Normed, rms_norm, rms_norm_again, rms_norm_backward};
pub use optimizer::{AdamW, AdamWState, adamw};
pub use real::Real;
pub use rope::{Pairing, Turn, angle_table, rope, rope_partial, rope_table};
pub use stored::{Format, MapInput, StoredRows, as_bytes, expand, linear_stored, stored_row};
pub use tiles::{Parts, PartsShare, WeightParts};

/// The number of positions is a multiple of this: the widest register holds so many f32.
pub const BLOCK: usize = 16;

/// Target of a position that is not scored.
pub const IGNORE: u32 = u32::MAX;
