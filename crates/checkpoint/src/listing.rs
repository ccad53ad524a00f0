//! The tensors of a checkpoint as its files list them.

use crate::{Dtype, Error};
use std::{ops::Range, path::Path};

/// A tensor whose place has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    /// Outermost first.
    pub(crate) shape: Box<[usize]>,
    /// Which of the checkpoint's weight files.
    pub(crate) file: usize,
    /// Which of the file's bytes.
    pub(crate) range: Range<usize>,
}

/// A tensor of a type that no weight has here: a mask, position numbers.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Box<[usize]>,
    pub(crate) file: usize,
}

/// All tensors of a checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) tensors: Vec<Entry>,
    pub(crate) others: Vec<Other>,
}

impl Listing {
    /// Sorts by name; two tensors of one name, in one file or two, are an error.
    pub(crate) fn sort(&mut self, path_of: impl Fn(usize) -> std::path::PathBuf) -> Result<(), Error> {
        self.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        self.others.sort_by(|a, b| a.name.cmp(&b.name));
        let mut names: Vec<(&str, usize)> = self.tensors.iter().map(|t| (t.name.as_str(), t.file)).collect();
        names.extend(self.others.iter().map(|t| (t.name.as_str(), t.file)));
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            None => Ok(()),
            Some(pair) => {
                let (first, second) = (path_of(pair[0].1), path_of(pair[1].1));
                let place = if first == second { String::new() } else { format!(", also in {}", first.display()) };
                let problem = format!("expected one tensor of this name, found two{place}");
                Err(Error::damaged(&second, &format!("tensor `{}`", pair[0].0), problem))
            }
        }
    }

    /// The tensor called `name`. The listing is sorted.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        let at = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(at)
    }
}

/// Puts the places of a file's tensors in order; two that share bytes are an error.
pub(crate) fn overlap(path: &Path, ranges: &mut [(Range<usize>, String)]) -> Result<(), Error> {
    ranges.sort_by(|a, b| (a.0.start, a.0.end, &a.1).cmp(&(b.0.start, b.0.end, &b.1)));
    match ranges.windows(2).find(|pair| pair[1].0.start < pair[0].0.end) {
        None => Ok(()),
        Some(pair) => {
            let ((first, other), (second, name)) = (&pair[0], &pair[1]);
            let problem = format!(
                "expected bytes of its own, found bytes {} to {} of the file, which tensor `{other}` ({} to {}) has too",
                second.start, second.end, first.start, first.end
            );
            Err(Error::damaged(path, &format!("tensor `{name}`"), problem))
        }
    }
}
