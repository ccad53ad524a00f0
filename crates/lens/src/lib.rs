//! Looking inside models: in which layer knowledge sits, how feed-forward memories choose the next word, what heads do,
//! and which parts cause an answer.
//!
//! ```text
//! model + token sequences ── read, with taps ──▶ activations ──▶ probes, memories, scores of heads ──▶ Observations
//! ```
//!
//! Knows models and tokens; nothing of training them, of files, or of pages. A layer has its number from 1; 0 is the
//! embedding. A rank is counted from 1.

pub mod causal;
mod error;
pub mod heads;
pub mod knowledge;
mod lens;
mod mean;
pub mod memories;
mod patch;
pub mod prompt;
mod read;

pub use error::Error;
pub use lens::{Frame, Lens, Start, Text, Training};
pub use mean::Mean;
pub use patch::{Captured, Patch, Patched};
pub use read::read;
