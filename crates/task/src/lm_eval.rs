//! Declarative task files of lm-evaluation-harness 0.4 (as 0.4.13 reads them), and a user's own data file in ten lines.
//!
//! [`read`] takes a YAML file with a task or a group; [`read_own`] a TOML file. A [`Task`] is what the file says, checked;
//! [`Task::open`] reads its data; [`Open::items`] puts the questions together: contexts and continuations are those of
//! lm-evaluation-harness, byte for byte. No Python is run: `!function` is refused with its place. Templates have a
//! budget of work, data files have limits, and everything that is wrong is an [`Error::File`](crate::Error::File).

mod config;
mod data;
mod items;
mod own;
mod parquet_file;
mod python_random;
mod python_regex;
mod source;
mod suite;
mod task;
mod template;
mod template_depth;
mod value;
mod yaml;
mod yaml_indent;

pub use config::{Aggregation, ExactMatch, Filter, Generation, Grading, Metric, MetricUse, Output, Step};
pub use items::{Ask, Gold, Item, Items, Open, Request, Shots};
pub use own::read as read_own;
pub use python_regex::PythonRegex;
pub use suite::{Group, GroupMetric, Suite, read};
pub use task::Task;
pub use value::is_space;

use crate::read::file_error;

/// The family of its question sets.
pub const FAMILY: &str = "lm-eval";

/// The seed of lm-evaluation-harness's draws of shots.
pub const FEWSHOT_SEED: u64 = 1234;
