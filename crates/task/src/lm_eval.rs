//! Declarative task files of lm-evaluation-harness 0.4.
mod data;
mod python_random;
mod python_regex;
mod template;
mod value;
mod yaml;
use crate::Error;
use std::path::Path;
fn file_error(path: &Path, place: String, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::File { path: path.into(), place, problem: problem.into(), remedy: remedy.into() }
}
