//! Measurements on disk: what was asked of which model, and all the evidence it gave; Parquet parts, written atomically.
//!
//! A [`Record`] holds evidence, never a verdict: accuracy, p^L and Brier are views computed later. What could not be
//! measured is [`Outcome::Unscored`] with its reason, never a zero. Nothing here knows how anything was computed.
//!
//! A *part* is one Parquet file with the records of one cell of a study: one row for each item and candidate, every
//! column flat or a list, so that pandas, polars and DuckDB read `records/*.parquet` as one table. The same rows give
//! the same bytes. A part appears under its name whole or not at all, and a reader takes in nothing that it has not
//! checked against the part's own hash; see [`read_records`].

mod atomic;
mod error;
mod observations;
mod part;
mod rows;
mod seal;
mod table;
#[cfg(test)]
mod tests;
mod types;

pub use atomic::{TEMPORARY_PREFIX, write_atomically};
pub use error::Error;
pub use observations::{read_observations, write_observations};
pub use part::{Part, read_losses, read_records, write_losses, write_records};
pub use types::{Candidate, Generated, LossPoint, ModelKey, Observation, Outcome, QuestionKey, Record, Role, Training};

/// Version of the schema of records and losses; a change of any column's name, type or meaning raises it.
pub const SCHEMA: u32 = 2;
