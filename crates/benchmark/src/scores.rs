//! From the records of cells to scores, those of tasks with subtasks and of groups among them.

use crate::{Error, Header, Store};
use saltus_eval::{Grade, Grading, bigbench, grade, lm_eval::group_score};
use saltus_record::{Outcome, Record};
use saltus_task::lm_eval::Group;
use serde::Serialize;
use std::collections::BTreeMap;

/// The scores of one cell.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Which cell.
    pub header: Header,
    /// Its scores; why there are none.
    pub grades: Result<Vec<Grade>, String>,
    /// The numbers of the items that were scored, in the order of the grades' items.
    pub items: Vec<u32>,
    /// Their clusters.
    pub clusters: Vec<u32>,
    /// How many items were not scored, and the first reason.
    pub unscored: Option<(usize, String)>,
}

/// The records of a cell as scores, by its own grading or by another.
///
/// # Errors
/// [`Error::Record`] for records that cannot be read.
pub fn score(store: &Store, header: &Header, grading: Option<&Grading>) -> Result<Scored, Error> {
    let records = store.records(header)?;
    Ok(of_records(header, &records, grading))
}

pub(crate) fn of_records(header: &Header, records: &[Record], grading: Option<&Grading>) -> Scored {
    let is_scored = |record: &&Record| matches!(record.outcome, Outcome::Scored { .. });
    let scored: Vec<&Record> = records.iter().filter(is_scored).collect();
    let reason = records.iter().find_map(|record| match &record.outcome {
        Outcome::Unscored(reason) => Some(reason.clone()),
        Outcome::Scored { .. } => None,
    });
    Scored {
        header: header.clone(),
        grades: grade(grading.unwrap_or(&header.grading), &scored),
        items: scored.iter().map(|record| record.question.item).collect(),
        clusters: scored.iter().map(|record| record.question.cluster).collect(),
        unscored: reason.map(|reason| (records.len() - scored.len(), reason)),
    }
}

impl Scored {
    /// The score that counts, or the first.
    pub fn preferred(&self) -> Option<&Grade> {
        let grades = self.grades.as_ref().ok()?;
        grades.iter().find(|grade| grade.preferred).or(grades.first())
    }
}

/// A score made from several cells of one model: a task with subtasks, or a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aggregate {
    /// The model.
    pub model: String,
    /// The task or the group.
    pub name: String,
    /// Solved examples.
    pub shots: u32,
    /// Where they come from.
    pub shot_mode: String,
    /// Seed of their draw.
    pub seed: u64,
    /// Where prompts end.
    pub boundary: String,
    /// The score's name, such as `normalized_aggregate_score`, or `acc,none`.
    pub metric: String,
    /// The score.
    pub value: f64,
    /// Its standard error over what it is made from, where there is one.
    pub standard_error: Option<f64>,
    /// How many scores it is made from.
    pub of: usize,
}

/// How cells are told apart but by task and subtask.
type Coordinates = (String, u32, String, u64, String);

fn coordinates(header: &Header) -> Coordinates {
    let Header { model, shots, shot_mode, seed, boundary, .. } = header;
    (model.clone(), *shots, shot_mode.clone(), *seed, boundary.clone())
}

/// The scores of BIG-bench's tasks that have several leaves, of the whole benchmark if there are several tasks, and those
/// of lm-evaluation-harness's groups.
pub fn aggregates(scored: &[Scored], groups: &[Group]) -> Vec<Aggregate> {
    let mut by: BTreeMap<Coordinates, Vec<&Scored>> = BTreeMap::new();
    for cell in scored {
        by.entry(coordinates(&cell.header)).or_default().push(cell);
    }
    let mut found = Vec::new();
    for (at, cells) in by {
        found.extend(of_bigbench(&at, &cells));
    }
    // The tasks of a group may each have their own way to draw shots.
    let mut by: BTreeMap<Coordinates, Vec<&Scored>> = BTreeMap::new();
    for cell in scored {
        let (model, shots, _, seed, boundary) = coordinates(&cell.header);
        by.entry((model, shots, String::new(), seed, boundary)).or_default().push(cell);
    }
    for (mut at, cells) in by {
        let mut modes: Vec<&str> = cells.iter().map(|cell| cell.header.shot_mode.as_str()).collect();
        modes.dedup();
        at.2 = if let [mode] = modes[..] { mode.to_owned() } else { "mixed".into() };
        found.extend(of_groups(&at, &cells, groups));
    }
    found
}

fn aggregate(at: &Coordinates, name: &str, metric: String, (value, error): (f64, Option<f64>), of: usize) -> Aggregate {
    let (model, shots, shot_mode, seed, boundary) = at.clone();
    Aggregate { model, name: name.into(), shots, shot_mode, seed, boundary, metric, value, standard_error: error, of }
}

fn of_bigbench(at: &Coordinates, cells: &[&Scored]) -> Vec<Aggregate> {
    let mut tasks: BTreeMap<&str, Vec<bigbench::Scores>> = BTreeMap::new();
    for cell in cells {
        if let (Grading::BigBench(grading), Ok(grades)) = (&cell.header.grading, &cell.grades) {
            let values = grades.iter().map(|grade| (grade.metric.clone(), grade.value)).collect();
            let (name, preferred) = (grading.name.clone(), grading.preferred.clone());
            let scores = bigbench::Scores { name, values, preferred, low: grading.low, high: grading.high };
            tasks.entry(&cell.header.task).or_default().push(scores);
        }
    }
    let mut found = Vec::new();
    let mut normalised = Vec::new();
    for (task, leaves) in &tasks {
        let Some(scores) = bigbench::aggregate(task, leaves) else { continue };
        let Some(value) = scores.values.get("normalized_aggregate_score").copied() else { continue };
        normalised.push(value);
        if leaves.len() > 1 {
            let error = mean_error(&leaves.iter().filter_map(bigbench::Scores::normalised).collect::<Vec<_>>());
            found.push(aggregate(at, task, "normalized_aggregate_score".into(), (value, error), leaves.len()));
            if let Some(grade) =
                scores.values.get(&scores.preferred).filter(|_| scores.preferred != "normalized_aggregate_score")
            {
                found.push(aggregate(at, task, scores.preferred.clone(), (*grade, None), leaves.len()));
            }
        }
    }
    if normalised.len() > 1 {
        let mean = normalised.iter().sum::<f64>() / normalised.len() as f64;
        let score = (mean, mean_error(&normalised));
        found.push(aggregate(at, "all tasks", "normalized_aggregate_score".into(), score, normalised.len()));
    }
    found
}

fn mean_error(values: &[f64]) -> Option<f64> {
    saltus_eval::lm_eval::mean_standard_error(values)
}

fn of_groups(at: &Coordinates, cells: &[&Scored], groups: &[Group]) -> Vec<Aggregate> {
    let mut found = Vec::new();
    for group in groups {
        for metric in &group.metrics {
            let tasks = tasks_of(group, groups);
            let of = |cell: &&&Scored| tasks.contains(&cell.header.task);
            let mut by_filter: BTreeMap<String, Vec<(f64, Option<f64>, usize)>> = BTreeMap::new();
            for cell in cells.iter().filter(of) {
                for grade in cell.grades.iter().flatten().filter(|grade| grade.metric == metric.metric) {
                    let filter = grade.filter.clone().unwrap_or_default();
                    if metric.filters.as_ref().is_none_or(|filters| filters.contains(&filter)) {
                        let score = (grade.value, grade.standard_error, cell.items.len());
                        by_filter.entry(filter).or_default().push(score);
                    }
                }
            }
            for (filter, scores) in by_filter {
                let Some(score) = group_score(&scores, metric.weight_by_size) else { continue };
                let name = format!("{},{filter}", metric.metric);
                found.push(aggregate(at, &group.name, name, score, scores.len()));
            }
        }
    }
    found
}

/// The names of all tasks in a group, those in groups inside it among them.
fn tasks_of(group: &Group, groups: &[Group]) -> Vec<String> {
    let inner = |name: &String| match groups.iter().find(|other| other.name == *name && other.name != group.name) {
        Some(other) => tasks_of(other, groups),
        None => vec![name.clone()],
    };
    group.members.iter().flat_map(inner).collect()
}
