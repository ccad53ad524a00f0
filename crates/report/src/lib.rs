//! Findings as one self-contained page. Recomputes no number: everything it shows is in [`Findings`].
pub mod findings;
pub use findings::Findings;
