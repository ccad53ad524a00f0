//! Where BIG-bench's tasks are: an unpacked tree, or the package's archive with a cache beside it.

use super::leaf::{self, Leaf};
use crate::read::{self, file_error};
use crate::{Error, MAX_FILE_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// An archive that unpacks to more is refused: 16 GiB.
const MAX_ARCHIVE_BYTES: u64 = 16 << 30;
/// Bytes at each end of an archive that, with its length, tell it from others: gzip ends with a checksum of the whole.
const ENDS: u64 = 64 << 10;
/// The folder of the tasks, in the package and in its sources.
const TASKS: &str = "benchmark_tasks";
/// Lists what an archive has, in its folder of the cache.
const INDEX: &str = "index.json";

/// The tasks of one tree or archive.
#[derive(Clone, Debug)]
pub struct Library {
    /// Has a folder for each task.
    folder: PathBuf,
    archive: Option<PathBuf>,
    /// `task/task.json` and `task/subtask/task.json` with their sizes.
    files: BTreeMap<String, u64>,
}

/// A task: one leaf, or the subtasks that make it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    name: String,
    /// The name that a task with subtasks has in its own file.
    parent: Option<String>,
    leaves: Vec<PathBuf>,
}

impl Library {
    /// Opens a tree (the folder of the package, of its sources, or of the tasks) or the archive `bigbench-1.0.0.tar.gz`.
    /// Of an archive the folder `cache` keeps a list and, later, the files that were asked for; nothing is ever written
    /// outside it. The first time, the whole archive is read through once.
    ///
    /// # Errors
    /// [`Error::File`] if there are no tasks, or files cannot be read or written.
    pub fn open(path: &Path, cache: &Path) -> Result<Self, Error> {
        let library = if path.is_dir() { Self::tree(path)? } else { Self::archive(path, cache)? };
        if library.files.is_empty() {
            let remedy = "name the folder that has the tasks' folders, or the archive of the package bigbench";
            return Err(error(path, "no task.json in any folder of tasks", remedy));
        }
        Ok(library)
    }

    fn tree(path: &Path) -> Result<Self, Error> {
        let inner = [path.join("bigbench").join(TASKS), path.join(TASKS)];
        let folder = inner.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| path.to_owned());
        let mut files = BTreeMap::new();
        for task in folders(&folder)? {
            let inside = folder.join(&task);
            if inside.join("task.json").is_file() {
                files.insert(format!("{task}/task.json"), 0);
                for subtask in folders(&inside)? {
                    if inside.join(&subtask).join("task.json").is_file() {
                        files.insert(format!("{task}/{subtask}/task.json"), 0);
                    }
                }
            }
        }
        Ok(Library { folder, archive: None, files })
    }

    fn archive(path: &Path, cache: &Path) -> Result<Self, Error> {
        let length = read::length(path)?;
        let identity = identity(path, length).map_err(|e| unreadable(path, &e))?;
        let folder = cache.join(format!("bigbench-{identity}"));
        fs::create_dir_all(&folder).map_err(|e| unwritable(&folder, &e))?;
        let index = folder.join(INDEX);
        if let Some(files) =
            read::read_bytes(&index, MAX_FILE_BYTES, "").ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        {
            return Ok(Library { folder, archive: Some(path.into()), files });
        }
        let mut files = BTreeMap::new();
        each_file(path, |name, size, _| {
            files.insert(name, size);
            Ok(())
        })?;
        let text = serde_json::to_vec(&files).map_err(|e| unwritable(&index, &e.into()))?;
        write(&index, &mut text.as_slice())?;
        Ok(Library { folder, archive: Some(path.into()), files })
    }

    /// Names of the tasks, in order: those of their folders.
    pub fn tasks(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.files.keys().filter_map(|file| file.split('/').next()).collect();
        names.into_iter().collect()
    }

    /// Brings the files of these tasks into the cache, in one pass over the archive. Nothing happens for what is there,
    /// or for a tree.
    ///
    /// # Errors
    /// [`Error::File`] if files cannot be read or written.
    pub fn fetch(&self, tasks: &[&str]) -> Result<(), Error> {
        let Some(archive) = &self.archive else { return Ok(()) };
        let here = |name: &str, size| fs::metadata(self.folder.join(name)).is_ok_and(|file| file.len() == size);
        let of_task = |name: &str| name.split('/').next().is_some_and(|task| tasks.contains(&task));
        let missing: BTreeSet<&str> = self
            .files
            .iter()
            .filter(|&(name, &size)| of_task(name) && !here(name, size))
            .map(|(name, _)| name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        each_file(
            archive,
            |name, _, file| {
                if missing.contains(name.as_str()) { write(&self.folder.join(name), file) } else { Ok(()) }
            },
        )
    }

    /// The task of this name; of an archive it is fetched if it is not there.
    ///
    /// # Errors
    /// [`Error::File`] if there is no such task, or its `task.json` cannot be read.
    pub fn task(&self, name: &str) -> Result<Task, Error> {
        let file = format!("{name}/task.json");
        if !self.files.contains_key(&file) {
            let place = self.archive.as_ref().unwrap_or(&self.folder);
            return Err(error(
                place,
                format!("no task {name:?}"),
                "`saltus tasks list` names the tasks that are there",
            ));
        }
        self.fetch(&[name])?;
        let path = self.folder.join(file);
        let parent = leaf::container(&path, &read_text(&path)?)?;
        let leaves = match &parent {
            None => vec![path.clone()],
            Some(_) => self.subtasks(name),
        };
        if leaves.is_empty() {
            return Err(error(&path, "neither examples nor subtasks", "add `examples`, or folders with a task.json"));
        }
        let parent = parent.map(|name| name.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect());
        Ok(Task { name: name.into(), parent, leaves })
    }

    /// In the order of their paths, as the reference sorts them (`a-b/task.json` comes before `a/task.json`).
    fn subtasks(&self, task: &str) -> Vec<PathBuf> {
        let inside = |name: &&String| name.strip_prefix(task).is_some_and(|rest| rest.matches('/').count() == 2);
        self.files.keys().filter(inside).map(|name| self.folder.join(name)).collect()
    }
}

impl Task {
    /// The name of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files of its leaves, in the reference's order.
    pub fn leaves(&self) -> &[PathBuf] {
        &self.leaves
    }

    /// Reads leaf `index`, which must be below the number of [`leaves`](Self::leaves).
    ///
    /// # Errors
    /// As for [`Leaf::read`].
    pub fn leaf(&self, index: usize) -> Result<Leaf, Error> {
        Leaf::read(&self.leaves[index], self.parent.as_deref())
    }
}

/// Calls `visit` with name, size and content of every file in an archive that may be a task's.
fn each_file(path: &Path, mut visit: impl FnMut(String, u64, &mut dyn Read) -> Result<(), Error>) -> Result<(), Error> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let unpacked = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 20, file));
    let mut archive = tar::Archive::new(unpacked.take(MAX_ARCHIVE_BYTES));
    for entry in archive.entries().map_err(|e| unreadable(path, &e))? {
        let mut entry = entry.map_err(|e| unreadable(path, &e))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            continue;
        }
        let Some(name) = std::str::from_utf8(&entry.path_bytes()).ok().and_then(task_file) else { continue };
        let size = entry.size();
        if size > MAX_FILE_BYTES {
            let problem = format!("{name} in it is larger than {} MiB", MAX_FILE_BYTES >> 20);
            return Err(error(path, problem, "use the package as it is published"));
        }
        visit(name, size, &mut entry)?;
    }
    Ok(())
}

/// The part of a name in an archive after the tasks' folder, if it is that of a task's file. What is left has no way out
/// of the folder that it is put into.
fn task_file(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').collect();
    let from = 1 + parts.iter().position(|part| *part == TASKS)?;
    let (file, folders) = parts[from..].split_last()?;
    let harmless = |part: &&str| {
        let known = |c: char| c.is_alphanumeric() || "_-+,().".contains(c);
        !part.is_empty() && part.len() <= 200 && !part.starts_with('.') && part.chars().all(known)
    };
    let fits = *file == "task.json" && (1..=2).contains(&folders.len()) && folders.iter().all(harmless);
    fits.then(|| parts[from..].join("/"))
}

/// Writes beside and renames, so that a file is there wholly or not at all.
fn write(path: &Path, content: &mut dyn Read) -> Result<(), Error> {
    let beside = path.with_extension(format!("part-{}", std::process::id()));
    let mut put = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        let mut file = File::create(&beside)?;
        io::copy(content, &mut file)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    put().map_err(|e| {
        let _ = fs::remove_file(&beside);
        unwritable(path, &e)
    })
}

/// Changes when the archive does: its length and its two ends.
fn identity(path: &Path, length: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut ends = Vec::new();
    file.by_ref().take(ENDS).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(length.saturating_sub(ENDS)))?;
    file.take(ENDS).read_to_end(&mut ends)?;
    let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 task archive");
    hasher.update(&length.to_le_bytes()).update(&ends);
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// Names of the folders in a folder, those that are text.
fn folders(path: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(path).map_err(|e| unreadable(path, &e))?;
    let folder = |entry: fs::DirEntry| entry.path().is_dir().then(|| entry.file_name().into_string().ok())?;
    Ok(entries.flatten().filter_map(folder).collect())
}

/// The text of a `task.json`.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    read::read_text(path, MAX_FILE_BYTES, "split it into several tasks")
}

fn error(path: &Path, problem: impl Into<String>, remedy: &str) -> Error {
    file_error(path, String::new(), problem, remedy)
}

fn unreadable(path: &Path, e: &io::Error) -> Error {
    error(path, format!("cannot read it ({e})"), "check the path, and get the file again if it is broken")
}

fn unwritable(path: &Path, e: &io::Error) -> Error {
    error(path, format!("cannot write it ({e})"), "free some space, or name another folder for the cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_out_are_no_tasks() {
        let check = |name: &str, expect: Option<&str>| assert_eq!(task_file(name).as_deref(), expect, "{name}");
        check("bigbench-1.0.0/bigbench/benchmark_tasks/a/task.json", Some("a/task.json"));
        check("benchmark_tasks/a/b_1/task.json", Some("a/b_1/task.json"));
        check("x/benchmark_tasks/a/b/c/task.json", None);
        check("x/benchmark_tasks/task.json", None);
        check("x/benchmark_tasks/../task.json", None);
        check("x/benchmark_tasks/a/../task.json", None);
        check("x/benchmark_tasks/a//task.json", None);
        check("x/benchmark_tasks/a\\b/task.json", None);
        check("x/benchmark_tasks/C:/task.json", None);
        check("x/benchmark_tasks/a/b/task.jsonl", None);
        check("a/task.json", None);
    }
}
