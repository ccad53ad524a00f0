//! Placeholder.
pub mod minimise;
