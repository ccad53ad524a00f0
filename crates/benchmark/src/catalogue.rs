//! Tasks by name or path, and the questions that they ask.

use crate::Error;
use saltus_eval::{Boundary, Grading, View};
use saltus_random::Key;
use saltus_task::{
    Candidate, QuestionSet, Role, ShotMode, TaskFile,
    bigbench::{self, LITE, Leaf, Library, REFERENCE_SEED},
    lm_eval::{self, FEWSHOT_SEED, Group, Shots},
};
use std::path::{Path, PathBuf};

/// All of BIG-bench's JSON tasks, as the name of a task.
pub const ALL: &str = "bigbench";
/// BIG-bench Lite, as the name of a task.
pub const LITE_NAME: &str = "bigbench-lite";

/// Where tasks are looked for by name.
#[derive(Clone, Debug)]
pub struct Places {
    /// BIG-bench's tree or archive.
    pub bigbench: Option<PathBuf>,
    /// The folder that keeps what was unpacked of an archive.
    pub cache: PathBuf,
}

/// Tasks that were found, and the groups that they belong to.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The tasks, in the order asked for.
    pub tasks: Vec<Task>,
    /// lm-evaluation-harness's groups among them.
    pub groups: Vec<Group>,
}

/// One task.
#[derive(Clone, Debug)]
pub struct Task {
    name: String,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// Of BIG-bench, all leaves or one.
    BigBench(bigbench::Task, Option<String>),
    /// A `task.json` of the user's own, graded as BIG-bench's are.
    Leaf(PathBuf),
    LmEval(Box<lm_eval::Task>),
    /// Lines of JSON.
    Lines(PathBuf),
}

/// How questions are asked, wherever they come from.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Numbers of solved examples; without any, as many as each task says itself (else none).
    pub shots: Vec<u32>,
    /// Where they come from; without one, as each source does it.
    pub mode: Option<ShotMode>,
    /// Seeds of their draw; without any, the source's own.
    pub seeds: Vec<u64>,
    /// At most so many questions of each task or subtask.
    pub limit: Option<usize>,
    /// Ask for every choice without its question too.
    pub unconditional: bool,
}

/// The questions of one cell, before a model is asked.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The questions.
    pub set: QuestionSet,
    /// How the answers are graded.
    pub grading: Grading,
    /// Where a prompt ends, as this source has it.
    pub boundary: Boundary,
}

impl Catalogue {
    /// Finds tasks: `bigbench`, `bigbench-lite`, a task of BIG-bench (`NAME` or `NAME:SUBTASK`), or a file (`.yaml` of
    /// lm-evaluation-harness, a `.toml` of one's own, a `task.json`, `.jsonl`).
    ///
    /// # Errors
    /// [`Error`] for what cannot be found or read.
    pub fn find(names: &[String], places: &Places) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut library = None;
        for name in names {
            if is_path(name) {
                found.add_file(Path::new(name))?;
                continue;
            }
            if library.is_none() {
                library = Some(open_library(name, places)?);
            }
            let Some(library) = &library else { continue };
            let wanted: Vec<&str> = match name.as_str() {
                ALL => library.tasks(),
                LITE_NAME => LITE.to_vec(),
                one => vec![one],
            };
            let tasks: Vec<&str> = wanted.iter().map(|name| name.split(':').next().unwrap_or(name)).collect();
            library.fetch(&tasks)?;
            for name in wanted {
                found.tasks.push(of_library(library, name)?);
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.tasks.retain(|task| seen.insert(task.name.clone()));
        Ok(found)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let named = |source| Task { name: path.display().to_string(), source };
        match extension {
            "yaml" | "yml" => {
                let suite = lm_eval::read(path)?;
                let task = |task: lm_eval::Task| Task { name: task.name().into(), source: Source::LmEval(task.into()) };
                self.tasks.extend(suite.tasks.into_iter().map(task));
                self.groups.extend(suite.groups);
            }
            "toml" => {
                let task = lm_eval::read_own(path)?;
                self.tasks.push(Task { name: task.name().into(), source: Source::LmEval(task.into()) });
            }
            "json" => self.tasks.push(named(Source::Leaf(path.into()))),
            "jsonl" => self.tasks.push(named(Source::Lines(path.into()))),
            _ => {
                return Err(Error::Asked(format!(
                    "{} is no file of a known kind: give a .yaml of lm-evaluation-harness, a .toml of one's own (docs/\
                     evaluation.md has one), a task.json of BIG-bench's form, or a .jsonl",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// What can only be a file.
fn is_path(name: &str) -> bool {
    let known = [".yaml", ".yml", ".toml", ".json", ".jsonl"];
    name.contains(['/', '\\']) || known.iter().any(|end| name.ends_with(end)) || Path::new(name).is_file()
}

/// BIG-bench's tasks.
///
/// # Errors
/// [`Error::Asked`] with how to get them, if nobody says where they are.
pub fn open_library(asked: &str, places: &Places) -> Result<Library, Error> {
    let Some(path) = &places.bigbench else {
        return Err(Error::Asked(format!(
            "{asked:?} is no file, and where BIG-bench's tasks are is not known: name them with `--bigbench PATH` or in \
             SALTUS_BIGBENCH. They come with\n  pip download --no-deps --no-binary :all: bigbench==1.0.0\nas \
             bigbench-1.0.0.tar.gz (358 MB), which need not be unpacked"
        )));
    };
    Ok(Library::open(path, &places.cache)?)
}

fn of_library(library: &Library, name: &str) -> Result<Task, Error> {
    let (task, only) = match name.split_once(':') {
        Some((task, subtask)) => (task, Some(subtask)),
        None => (name, None),
    };
    let found = library.task(task)?;
    if let Some(subtask) = only {
        let is = |path: &PathBuf| folder_of(path) == subtask;
        if !found.leaves().iter().any(is) {
            let names: Vec<&str> = found.leaves().iter().map(|path| folder_of(path)).take(12).collect();
            let problem = format!("the task {task} has no subtask {subtask:?}: it has {}", names.join(", "));
            return Err(Error::Asked(problem));
        }
    }
    Ok(Task { name: name.into(), source: Source::BigBench(found, only.map(str::to_owned)) })
}

fn folder_of(path: &Path) -> &str {
    path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default()
}

impl Task {
    /// Its name, or its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of task it is, in a word or two.
    pub fn kind(&self) -> &'static str {
        match &self.source {
            Source::BigBench(..) => "BIG-bench",
            Source::Leaf(_) => "task.json",
            Source::LmEval(_) => "lm-eval",
            Source::Lines(_) => "JSONL",
        }
    }

    /// The leaves of a BIG-bench task or a `task.json`, read one after the other.
    ///
    /// # Errors
    /// [`Error`] for a leaf that cannot be read; what `visit` gives.
    pub fn leaves(&self, visit: &mut dyn FnMut(Leaf) -> Result<(), Error>) -> Result<(), Error> {
        match &self.source {
            Source::BigBench(task, only) => {
                for (index, path) in task.leaves().iter().enumerate() {
                    if only.as_ref().is_none_or(|only| folder_of(path) == only) {
                        visit(task.leaf(index)?)?;
                    }
                }
                Ok(())
            }
            Source::Leaf(path) => visit(Leaf::read(path, None)?),
            Source::LmEval(_) | Source::Lines(_) => Ok(()),
        }
    }

    /// The task of lm-evaluation-harness that it is, if it is one.
    pub fn lm_eval(&self) -> Option<&lm_eval::Task> {
        match &self.source {
            Source::LmEval(task) => Some(task),
            _ => None,
        }
    }

    /// Its sheets by the protocol, one after the other: each leaf, with each number of shots and each seed.
    ///
    /// # Errors
    /// [`Error`] for a file that cannot be read or has too few examples; what `visit` gives.
    pub fn sheets(&self, protocol: &Protocol, visit: &mut dyn FnMut(Sheet) -> Result<(), Error>) -> Result<(), Error> {
        let mut visit = |mut sheet: Sheet| {
            if protocol.unconditional {
                add_unconditional(&mut sheet.set);
            }
            visit(sheet)
        };
        match &self.source {
            Source::BigBench(..) | Source::Leaf(_) => self.leaves(&mut |leaf| of_leaf(&leaf, protocol, &mut visit)),
            Source::LmEval(task) => of_lm_eval(task, protocol, &mut visit),
            Source::Lines(path) => of_lines(path, protocol, &mut visit),
        }
    }
}

impl Protocol {
    /// Numbers of shots with seeds; where nothing is drawn, one seed is enough.
    fn draws(&self, own: u64) -> Vec<(u32, u64)> {
        let shots = if self.shots.is_empty() { &[0][..] } else { &self.shots };
        let seeds = if self.seeds.is_empty() { vec![own] } else { self.seeds.clone() };
        shots.iter().flat_map(|&shots| seeds.iter().map(move |&seed| (shots, seed))).collect()
    }
}

type Visit<'v> = dyn FnMut(Sheet) -> Result<(), Error> + 'v;

fn of_leaf(leaf: &Leaf, protocol: &Protocol, visit: &mut Visit<'_>) -> Result<(), Error> {
    let mode = protocol.mode.unwrap_or(ShotMode::Fresh);
    for (shots, seed) in protocol.draws(REFERENCE_SEED.into()) {
        let seed = u32::try_from(seed)
            .map_err(|_| Error::Asked(format!("the seed {seed} is none of numpy's: give one below 4,294,967,296")))?;
        let set = leaf.question_set(shots, mode, seed, protocol.limit)?;
        visit(Sheet { set, grading: Grading::BigBench(leaf.grading().clone()), boundary: Boundary::BigBench })?;
    }
    Ok(())
}

fn of_lm_eval(task: &lm_eval::Task, protocol: &Protocol, visit: &mut Visit<'_>) -> Result<(), Error> {
    let open = task.open()?;
    let counts: Vec<Option<u32>> = match &protocol.shots[..] {
        [] => vec![None],
        shots => shots.iter().copied().map(Some).collect(),
    };
    let seeds = if protocol.seeds.is_empty() { vec![FEWSHOT_SEED] } else { protocol.seeds.clone() };
    let mut asked = Vec::new();
    for count in counts {
        for &seed in &seeds {
            let items = open.items(Shots { count, mode: protocol.mode, seed }, protocol.limit)?;
            // A task may ask for another number itself; without shots seeds make no difference.
            let what = (items.shots, if items.shots == 0 { 0 } else { seed });
            if asked.contains(&what) {
                continue;
            }
            asked.push(what);
            let grading = Grading::LmEval(task.grading().clone());
            visit(Sheet { set: items.question_set(task, seed), grading, boundary: Boundary::LmEval })?;
        }
    }
    Ok(())
}

fn of_lines(path: &Path, protocol: &Protocol, visit: &mut Visit<'_>) -> Result<(), Error> {
    let file = TaskFile::read(path)?;
    if protocol.mode == Some(ShotMode::Fresh) {
        let problem = "lines of JSON have fixed shots: leave out `--shot-mode fresh`, or write a task file";
        return Err(Error::Asked(format!("{}: {problem}", path.display())));
    }
    for (shots, seed) in protocol.draws(0) {
        let all = file.questions(&[shots], protocol.limit.unwrap_or(file.len()), Key::new(seed))?;
        for set in all {
            let grading = Grading::Views(if set.chance > 0.0 { choice_views() } else { open_views() });
            let set = QuestionSet { shot_seed: seed, ..set };
            visit(Sheet { set, grading, boundary: Boundary::BigBench })?;
        }
    }
    Ok(())
}

fn metrics(names: &[&str]) -> Vec<View> {
    names.iter().map(|name| View::Metric((*name).into())).collect()
}

fn choice_views() -> Vec<View> {
    metrics(&["choice_accuracy", "choice_probability", "brier", "nll"])
}

fn open_views() -> Vec<View> {
    metrics(&["exact_match", "edit_similarity", "token_accuracy", "nll"])
}

/// Every choice once more, behind nothing; where the task asks so itself, nothing changes.
fn add_unconditional(set: &mut QuestionSet) {
    for question in &mut set.questions {
        if question.candidates.iter().any(|c| c.role == Role::Unconditional) {
            continue;
        }
        let alone = question.candidates.iter().filter(|c| c.role == Role::Choice);
        let alone = alone.map(|c| Candidate { role: Role::Unconditional, context: Some("".into()), ..c.clone() });
        let alone: Vec<Candidate> = alone.collect();
        question.candidates.extend(alone);
    }
}
