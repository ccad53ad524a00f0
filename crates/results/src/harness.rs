//! Results files of lm-evaluation-harness (old layout and new) and score files of BIG-bench.

use crate::{
    long::{Named, Scores},
    table::size,
};
use saltus_file::{FileError, read_text};
use serde_json::Value;
use std::path::Path;

/// Bytes of a file.
const MAX_BYTES: u64 = 256 << 20;

/// What a JSON file of results is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harness {
    /// `results_*.json` of lm-evaluation-harness.
    LmEval,
    /// `scores_*.json` of BIG-bench.
    BigBench,
}

/// Reads a results file of lm-evaluation-harness (from v0.2 to 0.4) or a score file of BIG-bench into `scores`; `None` if it is neither.
///
/// # Errors
/// For what cannot be read or is no JSON, and for a model whose size is not told and not part of its name.
pub fn read_harness(scores: &mut Scores, path: &Path) -> Result<Option<Harness>, FileError> {
    let text = read_text(path, MAX_BYTES, "name the results alone, without the samples")?;
    let value: Value = serde_json::from_str(&text).map_err(|e| {
        let place = format!(", line {}", e.line());
        FileError::new(
            path,
            place,
            format!("cannot read it as JSON ({e})"),
            "name a file of results, or a folder of them",
        )
    })?;
    if value["results"].is_object() {
        scores.file(path);
        lm_eval(scores, path, &value)?;
        return Ok(Some(Harness::LmEval));
    }
    if value["scores"].is_array() && value["model"].is_object() {
        scores.file(path);
        big_bench(scores, path, &value)?;
        return Ok(Some(Harness::BigBench));
    }
    Ok(None)
}

/// The text of a file of JSON.
///
/// # Errors
/// For what cannot be read or is larger than 256 MiB.
pub fn read_small(path: &Path) -> Result<String, FileError> {
    read_text(path, MAX_BYTES, "name a smaller file")
}

/// What a model's name tells.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelName {
    /// The name without its size: `EleutherAI/pythia`.
    pub family: String,
    /// The size in it, such as 70e6 for `70m`.
    pub params: Option<f64>,
}

/// Takes a name such as `EleutherAI/pythia-1.4b-deduped` apart: the last part that is a size is the size.
pub fn model_name(name: &str) -> ModelName {
    let is_size = |part: &str| {
        let suffix = part.ends_with(['m', 'M', 'b', 'B']);
        suffix && part.len() > 1 && part[..part.len() - 1].chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    // The precision that weights are kept in makes no other family.
    let is_precision = |part: &&str| ["bf16", "fp16", "f16", "fp32", "f32", "int8", "int4", "gguf"].contains(part);
    let parts: Vec<&str> = name.split(['-', '_', ' ']).filter(|part| !is_precision(part)).collect();
    match parts.iter().rposition(|part| is_size(part.rsplit('/').next().unwrap_or(part))) {
        None => ModelName { family: parts.join("-"), params: None },
        Some(place) => {
            let part = parts[place];
            let (before, last) = part.rsplit_once('/').map_or(("", part), |(before, last)| (before, last));
            let mut rest: Vec<&str> = parts[..place].to_vec();
            if !before.is_empty() {
                rest.push(before);
            }
            rest.extend(&parts[place + 1..]);
            ModelName { family: rest.join("-"), params: size(last) }
        }
    }
}

fn lm_eval(scores: &mut Scores, path: &Path, value: &Value) -> Result<(), FileError> {
    let config = &value["config"];
    let arguments = config["model_args"].as_str().unwrap_or_default();
    let argument = |name: &str| {
        let mut all = arguments.split(',').filter_map(|argument| argument.trim().split_once('='));
        all.find(|(n, _)| *n == name).map(|(_, value)| value.to_owned())
    };
    // From 0.4.9 on the arguments are an object.
    let pretrained = argument("pretrained")
        .or_else(|| config["model_args"]["pretrained"].as_str().map(str::to_owned))
        .or_else(|| value["model_name"].as_str().map(str::to_owned))
        .unwrap_or_else(|| config["model"].as_str().unwrap_or("model").to_owned());
    let revision = argument("revision").or_else(|| config["model_args"]["revision"].as_str().map(str::to_owned));
    let step = revision.and_then(|r| r.strip_prefix("step").and_then(|s| s.parse::<f64>().ok())).unwrap_or(f64::NAN);
    let named = model_name(&pretrained);
    let told = config["model_num_parameters"].as_f64().filter(|n| *n > 0.0).or(named.params);
    let Some(params) = told else {
        let problem = format!("the size of the model `{pretrained}` is not told");
        return Err(FileError::new(path, String::new(), problem, "put it into the name, such as NAME-1.4b"));
    };
    let groups: Vec<&String> =
        value["group_subtasks"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    for (task, results) in value["results"].as_object().into_iter().flatten() {
        let is_group =
            groups.contains(&task) && value["group_subtasks"][task].as_array().is_some_and(|t| !t.is_empty());
        let shots = value["n-shot"][task].as_f64().or_else(|| config["num_fewshot"].as_f64());
        let by = shots.map_or_else(String::new, |shots| format!("shots={shots}"));
        for (key, number) in results.as_object().into_iter().flatten() {
            let (metric, filter) = key.split_once(',').unwrap_or((key, "none"));
            let Some(number) = number.as_f64().filter(|_| !metric.ends_with("_stderr") && !metric.starts_with(' '))
            else {
                continue;
            };
            let name = if filter == "none" { metric.to_owned() } else { format!("{metric},{filter}") };
            let named = Named { family: &named.family, task, metric: &name, by: &by, model: Some(&pretrained) };
            let mut score = scores.mean(named, number);
            score.scales.params = params;
            score.step = step;
            let error = [format!("{metric}_stderr,{filter}"), format!("{metric}_stderr")];
            score.standard_error = error.iter().find_map(|key| results[key].as_f64()).unwrap_or(f64::NAN);
            score.items = value["n-samples"][task]["effective"].as_f64().filter(|_| !is_group).unwrap_or(f64::NAN);
            let higher = value["higher_is_better"][task][metric].as_bool();
            score.higher_is_better = higher.map_or(f64::NAN, |higher| f64::from(u8::from(higher)));
            scores.rows.push(score);
        }
    }
    Ok(())
}

/// The fields are those of `ResultsFileData`, `ModelData` and `ScoreData` of bigbench 1.0.0 (`bigbench/api/results.py`); the task
/// is named by the folder: `TASK/results/scores_MODEL.json`.
fn big_bench(scores: &mut Scores, path: &Path, value: &Value) -> Result<(), FileError> {
    let model = &value["model"];
    let name = model["model_name"].as_str().unwrap_or("model");
    let family = model["model_family"].as_str().unwrap_or(name);
    let count = |field: &str| model[field].as_f64().filter(|n| *n > 0.0).unwrap_or(f64::NAN);
    let (params, params_non_embedding) = (count("total_params"), count("non_embedding_params"));
    if params.is_nan() && params_non_embedding.is_nan() {
        let remedy = "write `total_params` or `non_embedding_params` of the model into the file";
        return Err(FileError::new(path, String::new(), format!("the size of the model `{name}` is not told"), remedy));
    }
    let folder = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let parent = path.parent().unwrap_or(Path::new(""));
    let task = folder(parent).filter(|name| name != "results").or_else(|| parent.parent().and_then(folder));
    let task = task.unwrap_or_else(|| "task".into());
    for entry in value["scores"].as_array().into_iter().flatten() {
        let preferred = entry["preferred_score"].as_str().unwrap_or_default();
        let subtask = entry["subtask_description"].as_str().unwrap_or_default();
        let shots = entry["number_of_shots"].as_f64().unwrap_or(0.0);
        // A subtask is described as `task:subtask`; the task as a whole by its own name.
        let described = if subtask.is_empty() || subtask == task { task.clone() } else { subtask.to_owned() };
        for (metric, number) in entry["score_dict"].as_object().into_iter().flatten() {
            let Some(number) = number.as_f64() else { continue };
            let by = format!("shots={shots}");
            let mut score = scores.mean(Named { family, task: &described, metric, by: &by, model: Some(name) }, number);
            score.scales.params = params;
            score.scales.params_non_embedding = params_non_embedding;
            if metric == preferred {
                score.chance = entry["low_score"].as_f64().unwrap_or(f64::NAN);
                score.ceiling = entry["high_score"].as_f64().unwrap_or(f64::NAN);
            }
            scores.rows.push(score);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_families_and_sizes() {
        let check = |name: &str, family: &str, params: Option<f64>| {
            assert_eq!(model_name(name), ModelName { family: family.into(), params }, "{name}");
        };
        check("EleutherAI/pythia-70m", "EleutherAI/pythia", Some(70e6));
        check("EleutherAI/pythia-1.4b-deduped", "EleutherAI/pythia-deduped", Some(1.4e9));
        check("meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-hf", Some(7e9));
        check("EleutherAI/pythia-1b-bf16", "EleutherAI/pythia", Some(1e9));
        check("gpt2", "gpt2", None);
        check("models/7b", "models", Some(7e9));
    }
}
