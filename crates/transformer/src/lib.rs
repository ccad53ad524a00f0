//! One decoder described by its configuration: logits, gradients, generation, weights on disk.
//!
//! The decoder is that of Llama (arXiv 2302.13971): RMSNorm before each part, rotary positions, causal attention with
//! grouped queries, SwiGLU, tied or untied head. [`Config`] says its sizes, [`Weights`] holds its parameters in one flat
//! vector, [`loss_and_gradient`] is one shard of a training step, [`LocalModel`] answers questions. It knows no task and
//! no training schedule.

mod architecture;
mod backward;
mod cache;
mod config;
mod error;
mod families;
mod forward;
mod generate;
mod hf;
mod infer;
mod inside;
mod local;
mod model;
mod plan;
mod prepared;
mod score;
mod taps;
mod unembedding;
mod weights;

pub use architecture::{
    Activation, Architecture, AttentionKind, EmbeddingKind, Head, Mlp, Norm, NormKind, NormPlace, Positions, QkNorm,
    Residual, Rotary, Scaling, Window,
};
pub use backward::{LossSum, Rows, Workspace, loss_and_gradient};
pub use cache::{Cache, Sequence};
pub use config::{Config, Tensor};
pub use error::Error;
pub use families::{config_of, known_families};
pub use infer::{Chunk, Hidden};
pub use inside::{Contributions, Reading};
pub use local::{LocalModel, Overflow};
pub use model::{Model, Piece, Source};
pub use prepared::{Prepared, PreparedMatrix};
pub use saltus_compute::{BLOCK, Format, IGNORE, Pairing};
pub use taps::{Activations, NoTaps, Site, Taps};
pub use unembedding::{PlainNorm, Transform, Unembedding};
pub use weights::Weights;
