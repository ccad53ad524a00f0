//! Scores and losses from files, ours and those of others, as tables and as rows of one form.
//!
//! ```text
//! CSV, Parquet, with any names of columns ── Table ──┬── read_table ──▶ Scores: one row for each model, task, metric
//! lm-evaluation-harness, BIG-bench (JSON) ───────────┴── read_harness ─▶
//! ```
//!
//! Everything here comes from others: what is wrong is said with the file, the line and what to write; what is missing is
//! NaN or `None`, never zero. What the scores mean (chance, direction, noise) is decided by who judges them.

mod csv_file;
mod harness;
mod long;
mod parquet_file;
mod table;

pub use harness::{Harness, ModelName, model_name, read_harness, read_small};
pub use long::{Name, Named, Scales, Score, Scores, read_table};
pub use saltus_file::FileError;
pub use table::{Map, Table, Words, size};
