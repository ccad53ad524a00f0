//! The output folder of a study: who owns it, where each cell's file lies, what is stale.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// The folder's mark: which study it belongs to, and in which version of the layout.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    study: String,
    schema: u32,
}

/// Version of the layout; it covers the record schema, whose change makes every part unreadable.
const LAYOUT: u32 = 100 + saltus_record::SCHEMA;
const MARK: &str = "saltus.json";

/// The output folder of one study.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens `root` for `study`, made if missing; refuses a folder that belongs to anything else.
    pub(crate) fn open(root: &Path, study: &str) -> Result<Self, Error> {
        let store = Store { root: root.to_path_buf() };
        let mark = Mark { study: study.to_string(), schema: LAYOUT };
        if root.join(MARK).exists() {
            store.check_mark(&mark)?;
        } else {
            store.claim(&mark)?;
        }
        for folder in [
            store.models(),
            store.records(),
            store.inside(),
            store.curves(),
            store.stale(),
            store.corpus(),
            store.tokenizer(),
        ] {
            fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        }
        Ok(store)
    }

    /// Opens `root` if it exists and belongs to `study`, without creating anything.
    pub(crate) fn peek(root: &Path, study: &str) -> Result<Option<Self>, Error> {
        let store = Store { root: root.to_path_buf() };
        if !root.join(MARK).exists() {
            return Ok(None);
        }
        store.check_mark(&Mark { study: study.to_string(), schema: LAYOUT })?;
        Ok(Some(store))
    }

    fn claim(&self, mark: &Mark) -> Result<(), Error> {
        let occupied = fs::read_dir(&self.root).map(|mut entries| entries.next().is_some()).unwrap_or(false);
        if occupied {
            return Err(Error::Output {
                message: format!("the folder {} holds files that are not a study's", self.root.display()),
                help: "give another folder with `--out`, or empty this one".into(),
            });
        }
        fs::create_dir_all(&self.root).map_err(Error::io("create", &self.root))?;
        write_atomically(&self.root.join(MARK), &serde_json::to_vec(mark).map_err(Error::room)?)
    }

    fn check_mark(&self, expected: &Mark) -> Result<(), Error> {
        let path = self.root.join(MARK);
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let found: Mark = serde_json::from_slice(&text).map_err(|e| Error::Output {
            message: format!("{} is no mark of a study: {e}", path.display()),
            help: "give another folder with `--out`, or delete this one if it holds nothing you need".into(),
        })?;
        if found.schema != expected.schema {
            return Err(Error::Output {
                message: format!(
                    "{} was written with layout {}, this version of saltus reads and writes {}",
                    self.root.display(),
                    found.schema,
                    expected.schema
                ),
                help: "give another folder with `--out`, or use the version of saltus that wrote this one".into(),
            });
        }
        if found.study != expected.study {
            return Err(Error::Output {
                message: format!(
                    "the folder {} belongs to the study {:?}, not to {:?}",
                    self.root.display(),
                    found.study,
                    expected.study
                ),
                help: "give another folder with `--out`, or change `name` in the study file back".into(),
            });
        }
        Ok(())
    }

    /// Takes the folder for one run; a second run of the same study at the same time is refused.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.root.join(".lock");
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(_) => Err(Error::Output {
                message: format!("another `saltus run` is working in {}", self.root.display()),
                help: "wait for it to end, or give another folder with `--out`".into(),
            }),
        }
    }

    /// Trained models.
    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }
    /// Measurements, one Parquet part a cell.
    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("records")
    }
    /// What was found inside the models: for each look a Parquet part, and what the page shows beside it.
    pub(crate) fn inside(&self) -> PathBuf {
        self.root.join("inside")
    }
    /// How the models were trained: for each the curve as a Parquet part, and how it ended.
    pub(crate) fn curves(&self) -> PathBuf {
        self.root.join("curves")
    }
    /// Parts that the study file no longer asks for; they come back when it does again.
    pub(crate) fn stale(&self) -> PathBuf {
        self.root.join("stale")
    }
    /// Tokenised text files.
    pub(crate) fn corpus(&self) -> PathBuf {
        self.root.join("corpus")
    }
    /// The tokenizer of the models, as a `tokenizer.json`.
    pub(crate) fn tokenizer(&self) -> PathBuf {
        self.root.join("tokenizer")
    }
    /// The findings.
    pub(crate) fn findings(&self) -> PathBuf {
        self.root.join("findings.json")
    }
    /// What the findings were made from.
    pub(crate) fn basis(&self) -> PathBuf {
        self.root.join(".findings")
    }
    /// The page.
    pub(crate) fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }
    /// The part of cell `key`.
    pub(crate) fn part(&self, key: &str) -> PathBuf {
        self.records().join(format!("{key}.parquet"))
    }
    /// The part of look `key`.
    pub(crate) fn inside_part(&self, key: &str) -> PathBuf {
        self.inside().join(format!("{key}.parquet"))
    }
    /// What stands beside the numbers of look `key`.
    pub(crate) fn inside_detail(&self, key: &str) -> PathBuf {
        self.inside().join(format!("{key}.json"))
    }
    /// The training curve of model `key`.
    pub(crate) fn curve(&self, key: &str) -> PathBuf {
        self.curves().join(format!("{}.parquet", &key[..32]))
    }
    /// How the training of model `key` ended.
    pub(crate) fn ending(&self, key: &str) -> PathBuf {
        self.curves().join(format!("{}.json", &key[..32]))
    }

    /// Cells that have a part, current or stale.
    pub(crate) fn finished(&self) -> BTreeSet<String> {
        [self.records(), self.inside(), self.stale()].iter().flat_map(|folder| keys_in(folder)).collect()
    }

    /// Makes `records/` and `inside/` hold exactly the cells and looks that are wanted, as far as they exist: the rest moves
    /// to `stale/`, and what is wanted again moves back. Unfinished temporary files of a killed run are removed.
    pub(crate) fn settle(&self, cells: &BTreeSet<String>, looks: &BTreeSet<String>) -> Result<usize, Error> {
        let mut moved = 0;
        for (folder, wanted) in [(self.records(), cells), (self.inside(), looks)] {
            for (from, to, take) in [(&folder, &self.stale(), false), (&self.stale(), &folder, true)] {
                for key in keys_in(from).iter().filter(|key| wanted.contains(*key) == take) {
                    move_part(from, to, key)?;
                    moved += usize::from(!take);
                }
            }
        }
        for folder in [self.records(), self.inside(), self.curves()] {
            for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))?.flatten() {
                if entry.file_name().to_string_lossy().starts_with(saltus_record::TEMPORARY_PREFIX) {
                    fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
                }
            }
        }
        Ok(moved)
    }
}

/// Moves a part, and first what stands beside it.
fn move_part(from: &Path, to: &Path, key: &str) -> Result<(), Error> {
    for name in [format!("{key}.json"), format!("{key}.parquet")] {
        let path = from.join(&name);
        if path.exists() {
            fs::rename(&path, to.join(&name)).map_err(Error::io("move", &path))?;
        }
    }
    Ok(())
}

/// The keys of the Parquet parts in `folder`.
fn keys_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.strip_suffix(".parquet").map(str::to_string)).collect()
}

/// Writes `bytes` beside `path` and renames them into place, so that a reader sees all of them or none.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    saltus_record::write_atomically(path, |file| file.write_all(bytes)).map_err(Error::room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_study() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("out");
        Store::open(&root, "a").unwrap();
        Store::open(&root, "a").unwrap();
        assert!(Store::open(&root, "b").unwrap_err().to_string().contains("belongs to the study \"a\""));
        fs::write(root.join(MARK), r#"{"study":"a","schema":7}"#).unwrap();
        assert!(Store::open(&root, "a").unwrap_err().to_string().contains("layout 7"));
        fs::write(root.join(MARK), "{").unwrap();
        assert!(Store::open(&root, "a").is_err());
        fs::create_dir(dir.path().join("other")).unwrap();
        fs::write(dir.path().join("other/letter.txt"), "dear").unwrap();
        assert!(Store::open(&dir.path().join("other"), "a").unwrap_err().to_string().contains("not a study's"));
    }

    #[test]
    fn settle_moves_stale_parts_away_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("out"), "a").unwrap();
        for key in ["x", "y"] {
            fs::write(store.part(key), key).unwrap();
        }
        let only = |key: &str| BTreeSet::from([key.to_string()]);
        fs::write(store.inside_part("z"), "z").unwrap();
        fs::write(store.inside_detail("z"), "[]").unwrap();
        assert_eq!(store.settle(&only("x"), &BTreeSet::new()).unwrap(), 2);
        assert!(store.part("x").exists() && !store.part("y").exists());
        assert!(!store.inside_part("z").exists() && !store.inside_detail("z").exists());
        store.settle(&only("y"), &only("z")).unwrap();
        assert_eq!(fs::read_to_string(store.part("y")).unwrap(), "y");
        assert!(store.inside_part("z").exists() && store.inside_detail("z").exists());
        assert_eq!(store.finished().len(), 3);
    }

    #[test]
    fn two_runs_do_not_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("out"), "a").unwrap();
        let first = store.lock().unwrap();
        assert!(store.lock().is_err());
        drop(first);
        store.lock().unwrap();
    }
}
