//! A folder of measurements: parts of records, and what the cells are that they belong to.
//!
//! `records/KEY.parquet` are parts, `cells/KEY.json` what each cell is, written when all its parts are there. Both are
//! named by what determines them and appear whole or not at all, so that several processes may work in one folder.

use crate::{Error, Header};
use saltus_record::{Record, TEMPORARY_PREFIX, read_records, write_atomically, write_records};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Says that a folder is one of measurements.
const MARK: &str = "saltus-evaluation.json";
/// What the folder looks like; a change raises it.
const LAYOUT: u32 = 1;

/// A folder of measurements.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// [`Error::Asked`] for a folder with other things in it, or of another layout; [`Error::Io`].
    pub fn create(root: &Path) -> Result<Self, Error> {
        let mark = root.join(MARK);
        if !mark.exists() {
            if fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
                let problem = "has files that are no measurements: give another folder with `--out`, or empty this one";
                return Err(Error::Asked(format!("{} {problem}", root.display())));
            }
            for folder in ["records", "cells"] {
                let folder = root.join(folder);
                fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            }
            let text = format!("{{\"layout\": {LAYOUT}}}\n");
            write_atomically(&mark, |file| file.write_all(text.as_bytes()))?;
        }
        Self::open(root)
    }

    /// Opens a folder that is there.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn open(root: &Path) -> Result<Self, Error> {
        let mark = root.join(MARK);
        let wrong = |problem: String| Error::Asked(format!("{} {problem}", root.display()));
        let text = fs::read(&mark)
            .map_err(|_| wrong("is no folder of measurements: `saltus eval --out FOLDER` makes one".into()))?;
        let found: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        match found.as_ref().and_then(|found| found["layout"].as_u64()) {
            Some(layout) if layout == u64::from(LAYOUT) => Ok(Self { root: root.into() }),
            Some(layout) => Err(wrong(format!(
                "has layout {layout}, and this Saltus reads and writes {LAYOUT}: give another folder"
            ))),
            None => Err(wrong(format!("has a {MARK} that is none: give another folder"))),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn part(&self, key: &str) -> PathBuf {
        self.root.join("records").join(format!("{key}.parquet"))
    }

    /// Whether a part is there. One that cannot be read is removed, to be computed again.
    pub(crate) fn has(&self, key: &str) -> Result<bool, Error> {
        let path = self.part(key);
        if !path.exists() {
            return Ok(false);
        }
        match read_records(&path) {
            Ok(_) => Ok(true),
            Err(saltus_record::Error::Damaged { .. } | saltus_record::Error::Foreign { .. }) => {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                Ok(false)
            }
            Err(other) => Err(other.into()),
        }
    }

    pub(crate) fn write(&self, key: &str, records: &[Record]) -> Result<(), Error> {
        Ok(write_records(&self.part(key), key, records)?)
    }

    /// The records of a cell, in order.
    ///
    /// # Errors
    /// [`Error::Record`] for a part that is missing or damaged.
    pub fn records(&self, header: &Header) -> Result<Vec<Record>, Error> {
        let mut records = Vec::with_capacity(header.items);
        for key in &header.parts {
            records.extend(read_records(&self.part(key))?.rows);
        }
        Ok(records)
    }

    pub(crate) fn finish(&self, header: &Header) -> Result<(), Error> {
        let path = self.root.join("cells").join(format!("{}.json", header.place()));
        let text = serde_json::to_vec_pretty(header).map_err(|e| Error::Asked(format!("{}: {e}", header.task)))?;
        Ok(write_atomically(&path, |file| file.write_all(&text))?)
    }

    /// The finished cells, by model, task, subtask, shots, mode, seed and boundary.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Asked`] for a cell that cannot be read.
    pub fn cells(&self) -> Result<Vec<Header>, Error> {
        let folder = self.root.join("cells");
        let mut cells = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let path = entry.map_err(Error::io("read", &folder))?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY_PREFIX));
            if hidden || path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(Error::io("read", &path))?;
            let cell: Header = serde_json::from_slice(&text).map_err(|e| {
                Error::Asked(format!("{} does not tell what a cell is ({e}): delete it, and run again", path.display()))
            })?;
            cells.push(cell);
        }
        let order = |c: &Header| {
            let coordinates = (c.shots, c.shot_mode.clone(), c.seed, c.boundary.clone(), c.items);
            (c.params_total, c.model.clone(), c.task.clone(), c.subtask.clone(), coordinates)
        };
        cells.sort_by_key(order);
        Ok(cells)
    }

    /// Joins the processes that write into the folder, until what it gives is dropped. The first of them removes what
    /// killed runs have left half-written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn join(&self) -> Result<File, Error> {
        let path = self.root.join(".lock");
        let lock = File::create(&path).map_err(Error::io("create", &path))?;
        if lock.try_lock().is_ok() {
            for folder in ["records", "cells"] {
                let folder = self.root.join(folder);
                for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))?.flatten() {
                    if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                        fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
                    }
                }
            }
            // Some shared file systems have no locks: nothing is swept there, and nothing else depends on them.
            let _ = lock.unlock();
        }
        let _ = lock.try_lock_shared();
        Ok(lock)
    }
}
