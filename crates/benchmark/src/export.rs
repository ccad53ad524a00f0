//! Records as the files of other programs, from the records alone: no model, no task file.

mod bigbench;
mod lm_eval;

pub use bigbench::export_bigbench;
pub use lm_eval::export_lm_eval;

use crate::{Error, Header, Store};
use saltus_record::write_atomically;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// What is exported, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Where the records are.
    pub store: &'a Store,
    /// Of which cells.
    pub cells: &'a [Header],
    /// The folder that the files go to; it is made.
    pub out: &'a Path,
}

/// What came of an export.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The files, in the order in which they were written.
    pub files: Vec<PathBuf>,
    /// What could not be written, and why.
    pub left_out: Vec<(String, String)>,
    /// Questions without an answer: they are in no file.
    pub unscored: usize,
    names: BTreeSet<PathBuf>,
}

impl Exported {
    /// Writes a file, whole or not at all; what an export before wrote there is replaced.
    fn write(&mut self, path: PathBuf, text: &str) -> Result<(), Error> {
        if !self.names.insert(path.clone()) {
            let problem = "two exports have this name: give other `--task` or `--model`, and other folders for the two";
            return Err(Error::Asked(format!("{}: {problem}", path.display())));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
        self.files.push(path);
        Ok(())
    }
}

/// Cells by what they have in common, and otherwise in their order.
fn by<K: Ord>(cells: &[Header], key: impl Fn(&Header) -> K) -> BTreeMap<K, Vec<&Header>> {
    let mut groups: BTreeMap<K, Vec<&Header>> = BTreeMap::new();
    for cell in cells {
        groups.entry(key(cell)).or_default().push(cell);
    }
    groups
}

/// Pretty JSON with an end of line.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests;
