//! Size limits of files, and the first line that says what a file is for.

use crate::shell::{self, Result};
use std::path::{Path, PathBuf};

const WARN_LINES: usize = 500;
const MOST_LINES: usize = 900;

/// All Rust sources below `folder`, in order.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Files of at most 900 lines (a warning above 500), each of which starts by saying what it is for.
pub(crate) fn check() -> Result {
    let mut wrong = Vec::new();
    for folder in ["crates", "xtask"] {
        for path in sources(&shell::root().join(folder)) {
            let text = shell::read(&path)?;
            let place = path.strip_prefix(shell::root()).unwrap_or(&path).display().to_string();
            let lines = text.lines().count();
            if lines > MOST_LINES {
                wrong.push(format!("{place}: {lines} lines, more than {MOST_LINES}: split it by what it is about"));
            } else if lines > WARN_LINES {
                eprintln!("warning: {place}: {lines} lines, more than {WARN_LINES}");
            }
            if !text.starts_with("//! ") {
                wrong.push(format!(
                    "{place}: the first line does not say what the file is for: start it with `//! ...`"
                ));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
