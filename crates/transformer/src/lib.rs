//! One decoder described by its configuration: logits, gradients, generation, weights on disk.
//!
//! The decoder is that of Llama (arXiv 2302.13971): RMSNorm before each part, rotary positions, causal attention with
//! grouped queries, SwiGLU, tied or untied head. [`Config`] says its sizes, [`Weights`] holds its parameters in one flat
//! vector, [`loss_and_gradient`] is one shard of a training step, [`LocalModel`] answers questions. It knows no task and
//! no training schedule.

mod backward;
mod config;
mod error;
mod forward;
mod generate;
mod hf;
mod local;
mod plan;
mod weights;

pub use backward::{LossSum, Rows, Workspace, loss_and_gradient};
pub use config::{Config, Tensor};
pub use error::Error;
pub use local::LocalModel;
pub use saltus_compute::IGNORE;
pub use weights::Weights;
