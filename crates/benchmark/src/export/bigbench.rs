//! BIG-bench's score files (`ResultsFileData` in bigbench/api/results.py of bigbench 1.0.0).

use super::{Export, Exported, by, pretty};
use crate::{Error, Header, Scored, score};
use saltus_eval::{Grading, bigbench};
use saltus_task::ShotMode;
use saltus_task::bigbench::REFERENCE_SEED;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Writes `TASK/results/scores_FAMILY_MODEL.json` for every task and model, where the reference's `load_results` looks
/// for it: the scores of all leaves and numbers of shots, and those of the task. Values are as the reference writes them
/// (0 to 1 for accuracies; its reader makes them 0 to 100).
///
/// Such a file knows models and shots, no other way to ask: what was not asked as the reference asks is another model
/// there, `NAME[shot_mode=fixed]`. How a model was trained is not told: `null`. `family` gives the family of a model of
/// some name; `told` hears of each cell before it is read.
///
/// # Errors
/// [`Error::Record`] for records that cannot be read; [`Error::Io`] and [`Error::Record`] for files that cannot be written.
pub fn export_bigbench(
    export: &Export<'_>,
    family: &dyn Fn(&str) -> String,
    told: &mut dyn FnMut(&Header),
) -> Result<Exported, Error> {
    let mut exported = Exported::default();
    for ((model, variant, task), cells) in by(export.cells, |c| (c.model.clone(), variant(c), c.task.clone())) {
        let mut scored = Vec::new();
        for cell in cells {
            told(cell);
            if !matches!(cell.grading, Grading::BigBench(_)) {
                exported.left_out.push((cell.name(), "it is no task of BIG-bench: use `--to lm-eval`".into()));
                continue;
            }
            scored.push(score(export.store, cell, None)?);
        }
        let scores = scores(&task, &scored, &mut exported);
        let Some(first) = scored.first().filter(|_| !scores.is_empty()) else { continue };
        let (family, name) = (family(&model), model + &variant);
        let file = json!({
            "model": {
                "model_family": family,
                "model_name": name,
                "total_params": first.header.params_total,
                "non_embedding_params": first.header.params_non_embedding,
                // No model here is sparse.
                "flop_matched_non_embedding_params": first.header.params_non_embedding,
                "training_batch_size": null,
                "training_steps": null,
                "description": "",
                "decoding_params": {},
                "additional_details": details(&scored),
            },
            "task": {"task_name": task},
            "scores": scores,
        });
        let name = sanitised(&format!("scores_{family}_{name}"));
        exported.write(export.out.join(sanitised(&task)).join("results").join(name + ".json"), &pretty(&file))?;
    }
    Ok(exported)
}

/// What is not as the reference does it, as a part of a name.
fn variant(header: &Header) -> String {
    let mut words = Vec::new();
    if header.shot_mode != ShotMode::Fresh.to_string() {
        words.push(format!("shot_mode={}", header.shot_mode));
    }
    if header.seed != u64::from(REFERENCE_SEED) {
        words.push(format!("seed={}", header.seed));
    }
    if header.boundary != saltus_eval::Boundary::BigBench.name() {
        words.push(format!("boundary={}", header.boundary));
    }
    if header.truncate {
        words.push("truncate".into());
    }
    if words.is_empty() { String::new() } else { format!("[{}]", words.join(" ")) }
}

fn details(scored: &[Scored]) -> String {
    let asked: usize = scored.iter().map(|cell| cell.header.items).sum();
    let without: usize = scored.iter().filter_map(|cell| Some(cell.unscored.as_ref()?.0)).sum();
    let weights = scored.first().map_or("", |cell| &cell.header.weights);
    format!("saltus {}; {asked} questions, {without} not scored; weights {weights}", env!("CARGO_PKG_VERSION"))
}

/// `sanitize_results_filename` of the reference.
fn sanitised(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c {
            c if c.is_alphanumeric() || "_-=".contains(c) => text.push(c),
            _ if text.ends_with('\u{0}') => {}
            _ => text.push('\u{0}'),
        }
    }
    text.replace('\u{0}', "_")
}

/// The entries of one task, in the reference's order: leaves as they come, then the task for each number of shots; a task
/// that is its only leaf has one entry.
fn scores(task: &str, scored: &[Scored], exported: &mut Exported) -> Vec<Value> {
    let mut leaves: BTreeMap<u32, Vec<bigbench::Scores>> = BTreeMap::new();
    for cell in scored {
        exported.unscored += cell.unscored.as_ref().map_or(0, |(count, _)| *count);
        let Grading::BigBench(grading) = &cell.header.grading else { continue };
        match &cell.grades {
            Ok(grades) => leaves.entry(cell.header.shots).or_default().push(bigbench::Scores {
                name: grading.name.clone(),
                values: grades.iter().map(|grade| (grade.metric.clone(), grade.value)).collect(),
                preferred: grading.preferred.clone(),
                low: grading.low,
                high: grading.high,
            }),
            Err(why) => exported.left_out.push((cell.header.name(), why.clone())),
        }
    }
    let (mut entries, mut aggregates) = (Vec::new(), Vec::new());
    for (shots, leaves) in &leaves {
        let is_task = |leaf: &bigbench::Scores| leaf.name == task;
        entries.extend(leaves.iter().filter(|leaf| !is_task(leaf)).map(|leaf| entry(leaf, *shots)));
        match bigbench::aggregate(task, leaves) {
            Some(whole) => aggregates.push(entry(&whole, *shots)),
            None => {
                entries.extend(leaves.iter().filter(|leaf| is_task(leaf)).map(|leaf| entry(leaf, *shots)));
                let why = format!("its score at {shots} shots: a leaf has no value of the score that it prefers");
                exported.left_out.push((task.to_owned(), why));
            }
        }
    }
    entries.extend(aggregates);
    entries
}

fn entry(scores: &bigbench::Scores, shots: u32) -> Value {
    json!({
        "score_dict": scores.values,
        "preferred_score": scores.preferred,
        "number_of_shots": shots,
        "low_score": scores.low,
        "high_score": scores.high,
        "subtask_description": scores.name,
    })
}
