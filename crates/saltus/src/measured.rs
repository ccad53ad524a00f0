//! Scores from whatever the user names: tables, results of other harnesses, folders of them, folders of `saltus eval`.

use crate::arguments::ScoreArguments;
use miette::{Diagnostic, Result};
use saltus_atlas::{Asked, AxisName};
use saltus_benchmark::{Store, score};
use saltus_results::{FileError, Named, Scores, model_name, read_harness, read_table};
use std::path::{Path, PathBuf};

/// Folders inside folders, at most.
const MAX_DEPTH: usize = 8;
/// Files of a folder, at most.
const MAX_FILES: usize = 200_000;

/// What the user named cannot be read or judged.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        Refused(error.to_string())
    }
}

/// Reads all that was named, and says over which axis it is to be judged.
pub(crate) fn read(arguments: &ScoreArguments) -> Result<(Scores, Asked)> {
    let mut scores = Scores::default();
    for path in &arguments.files {
        read_one(&mut scores, path, arguments)?;
    }
    let axis = match &arguments.scale {
        Some(name) => AxisName::of_name(name).ok_or_else(|| {
            let names = AxisName::ALL.map(AxisName::name).join(", ");
            Refused(format!("there is no axis `{name}`: choose among {names}"))
        })?,
        None => AxisName::of_scores(&scores).ok_or_else(|| {
            Refused("the scores have no scale in common: name one with `--scale`, or map a column with `--map`".into())
        })?,
    };
    let asked = Asked { axis, chance: arguments.chance.clone(), lower_is_better: arguments.lower_is_better.clone() };
    Ok((scores, asked))
}

fn read_one(scores: &mut Scores, path: &Path, arguments: &ScoreArguments) -> Result<()> {
    if path.is_dir() {
        if path.join("saltus-evaluation.json").exists() {
            return read_evaluation(scores, path);
        }
        let mut files = Vec::new();
        list(path, MAX_DEPTH, &mut files)?;
        files.sort();
        let before = scores.rows.len();
        for file in &files {
            read_harness(scores, file).map_err(Refused::from)?;
        }
        if scores.rows.len() == before {
            let problem = "has no results: name a folder of lm-evaluation-harness's results, of BIG-bench's score files or of \
                           `saltus eval`";
            return Err(Refused(format!("{} {problem}", path.display())).into());
        }
        return Ok(());
    }
    if path.extension().is_some_and(|extension| extension == "json") {
        return match read_harness(scores, path).map_err(Refused::from)? {
            Some(_) => Ok(()),
            None => Err(Refused(format!(
                "{} is neither results of lm-evaluation-harness nor scores of BIG-bench: write a table as CSV or Parquet",
                path.display()
            ))
            .into()),
        };
    }
    Ok(read_table(scores, path, &arguments.map, &arguments.by).map_err(Refused::from)?)
}

/// The results in a folder and those inside it: `results*.json` and `scores*.json`, or all JSON files if none is called so.
fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let wrong =
        |e: std::io::Error| Refused(format!("{}: cannot read it ({e}): check its permissions", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.is_dir() && !path.is_symlink() {
            if depth > 0 {
                list(&path, depth - 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            let problem = format!("{}: more than {MAX_FILES} files: name folders inside it", folder.display());
            return Err(Refused(problem).into());
        }
    }
    Ok(())
}

/// The measurements of `saltus eval`, item by item.
fn read_evaluation(scores: &mut Scores, path: &Path) -> Result<()> {
    let store = Store::open(path)?;
    scores.file(path);
    for header in store.cells()? {
        let scored = score(&store, &header, None)?;
        let task =
            if header.subtask.is_empty() { header.task.clone() } else { format!("{}:{}", header.task, header.subtask) };
        let family = model_name(&header.model).family;
        let by = format!("shots={} {} seed={} {}", header.shots, header.shot_mode, header.seed, header.boundary);
        let Ok(grades) = &scored.grades else { continue };
        for grade in grades {
            let metric = match &grade.filter {
                Some(filter) if filter != "none" => format!("{},{filter}", grade.metric),
                _ => grade.metric.clone(),
            };
            let named = Named { family: &family, task: &task, metric: &metric, by: &by, model: Some(&header.model) };
            let mut row = scores.mean(named, grade.value);
            row.scales.params = header.params_total as f64;
            row.scales.params_non_embedding = header.params_non_embedding as f64;
            row.higher_is_better = f64::from(u8::from(grade.higher_is_better));
            if let Some((low, high)) = grade.range
                && low == 0.0
                && high > 0.0
            {
                row.ceiling = high;
            }
            if header.chance > 0.0 {
                row.chance = header.chance;
            }
            if grade.items.is_empty() {
                row.items = scored.items.len() as f64;
                row.standard_error = grade.standard_error.unwrap_or(f64::NAN);
                scores.rows.push(row);
                continue;
            }
            for (item, value) in scored.items.iter().zip(&grade.items) {
                let item = scores.intern(&item.to_string());
                let mut of_item = row;
                (of_item.score, of_item.item) = (*value, Some(item));
                scores.rows.push(of_item);
            }
        }
    }
    Ok(())
}
