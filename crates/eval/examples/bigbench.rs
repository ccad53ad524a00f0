//! Prompts and metrics of BIG-bench, for comparison with the reference (`cargo xtask conformance bigbench`).
//!
//! `prompts LIBRARY CACHE FIRST TASK..`: a line of JSON for each leaf, with a hash of all questions without shots and of
//! the first FIRST with one to three shots. `metrics`: lines of JSON with evidence in, lines with scores out.

use saltus_eval::bigbench::{self, ChoiceEvidence, Extraction, Response, Scores};
use saltus_task::ShotMode;
use saltus_task::bigbench::{Extract, Leaf, Library, Metric, REFERENCE_SEED};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["prompts", library, cache, first, tasks @ ..] => prompts(library, cache, first.parse()?, tasks),
        ["metrics"] => {
            for line in std::io::stdin().lines() {
                println!("{}", metrics(&serde_json::from_str(&line?)?)?);
            }
            Ok(())
        }
        _ => Err("prompts LIBRARY CACHE FIRST TASK.. | metrics".into()),
    }
}

fn prompts(library: &str, cache: &str, first: usize, tasks: &[&str]) -> Result<(), Box<dyn Error>> {
    let library = Library::open(Path::new(library), Path::new(cache))?;
    let tasks = if tasks.is_empty() { library.tasks() } else { tasks.to_vec() };
    library.fetch(&tasks)?;
    for name in tasks {
        let task = library.task(name)?;
        for index in 0..task.leaves().len() {
            let leaf = task.leaf(index)?;
            let hashes: Vec<Value> = (0..4).map(|shots| hash(&leaf, shots, first)).collect();
            let grading = leaf.grading();
            println!(
                "{}",
                json!({
                    "task": name, "index": index, "name": leaf.name(), "examples": leaf.len(), "hashes": hashes,
                    "metrics": grading.metrics.iter().map(|m| m.name()).collect::<Vec<_>>(),
                    "preferred": grading.preferred, "low": grading.low, "high": grading.high,
                    "regex": grading.extract.regex, "stop": grading.extract.stop,
                    "quirks": leaf.quirks().iter().map(|q| json!([q.name, q.count])).collect::<Vec<_>>(),
                })
            );
        }
    }
    Ok(())
}

/// The number of questions and their hash; null where there are not enough examples.
fn hash(leaf: &Leaf, shots: u32, first: usize) -> Value {
    let limit = (shots > 0).then_some(first);
    let Ok(questions) = leaf.questions(shots, ShotMode::Fresh, REFERENCE_SEED, limit) else { return Value::Null };
    let (count, mut hasher) = (questions.len(), Sha256::new());
    for question in questions {
        let choices = question.choices.iter().map(|c| &c.text);
        for text in std::iter::once(&question.prompt).chain(choices).chain(&question.targets) {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }
    json!([count, hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()])
}

fn metrics(case: &Value) -> Result<Value, Box<dyn Error>> {
    let metric = case["metric"].as_str().unwrap_or_default();
    if metric == "extract" {
        return extracted(case);
    }
    if metric == "aggregate" {
        let leaves = serde_json::from_value::<Vec<(String, _, String, f64, f64)>>(case["leaves"].clone())?;
        let leaf = |(name, values, preferred, low, high)| Scores { name, values, preferred, low, high };
        let leaves: Vec<Scores> = leaves.into_iter().map(leaf).collect();
        let all = bigbench::aggregate("task", &leaves).ok_or("no aggregate")?;
        return Ok(json!({"values": all.values, "preferred": all.preferred, "low": all.low, "high": all.high}));
    }
    let questions = case["questions"].as_array().ok_or("no questions")?;
    let value = match Metric::named(metric).ok_or("no such metric")? {
        Metric::LogLikelihood => likelihood(questions)?,
        metric if metric.kind() == saltus_task::bigbench::Kind::Choices => of_choices(metric, questions)?,
        metric => of_responses(metric, questions)?,
    };
    Ok(value)
}

fn extracted(case: &Value) -> Result<Value, Box<dyn Error>> {
    let some = |key: &str| case[key].as_str().map(str::to_owned);
    let max = case["max_length"].as_u64().map(|n| n as usize);
    let text = case["text"].as_str().ok_or("no text")?;
    let extraction = match Extraction::new(&Extract { stop: some("stop"), regex: some("regex") }) {
        Ok(extraction) => extraction,
        Err(_) => return Ok(Value::Null),
    };
    Ok(extraction.apply(text, max)?.into())
}

fn of_choices(metric: Metric, questions: &[Value]) -> Result<Value, Box<dyn Error>> {
    let mut owned: Vec<(Vec<String>, Vec<f64>, Vec<f64>)> = Vec::new();
    for question in questions {
        owned.push(serde_json::from_value(question.clone())?);
    }
    let texts: Vec<Vec<&str>> = owned.iter().map(|(texts, ..)| texts.iter().map(String::as_str).collect()).collect();
    let evidence =
        owned.iter().zip(&texts).map(|((_, scores, log_probs), texts)| ChoiceEvidence { texts, scores, log_probs });
    let evidence: Vec<ChoiceEvidence<'_>> = evidence.collect();
    let compute = match metric {
        Metric::MultipleChoiceGrade => bigbench::multiple_choice_grade,
        Metric::Brier => bigbench::brier_score,
        Metric::CalibrationError => bigbench::calibration_error,
        Metric::WeightedLogProbabilities => bigbench::weighted_log_probabilities,
        Metric::WeightedProbabilities => bigbench::weighted_probabilities,
        _ => bigbench::macro_f1,
    };
    let grade = if metric == Metric::MultipleChoiceGrade {
        // The tie-break after normalisation too.
        let normal: Vec<Vec<f64>> = owned.iter().map(|(_, _, log_probs)| bigbench::normalised(log_probs)).collect();
        let normal: Vec<_> =
            evidence.iter().zip(&normal).map(|(q, log_probs)| ChoiceEvidence { log_probs, ..*q }).collect();
        Some(bigbench::multiple_choice_grade(&normal)?)
    } else {
        None
    };
    Ok(json!({metric.name(): compute(&evidence)?, "normalised": grade}))
}

fn of_responses(metric: Metric, questions: &[Value]) -> Result<Value, Box<dyn Error>> {
    let mut owned: Vec<(Vec<String>, String)> = Vec::new();
    for question in questions {
        owned.push(serde_json::from_value(question.clone())?);
    }
    let responses: Vec<Response<'_>> = owned.iter().map(|(targets, text)| Response { targets, text }).collect();
    let value = match metric {
        Metric::Rouge => {
            let rouge = bigbench::rouge(&responses, REFERENCE_SEED)?;
            let spread = [rouge.one.spread, rouge.two.spread, rouge.lsum.spread];
            return Ok(json!({
                "rouge1": rouge.one.middle, "rouge2": rouge.two.middle, "rougeLsum": rouge.lsum.middle, "spread": spread,
            }));
        }
        Metric::Bleu => bigbench::bleu(&responses)?,
        Metric::ExactMatch => bigbench::exact_match(&responses)?,
        Metric::CaseInsensitiveMatch => bigbench::case_insensitive_match(&responses)?,
        Metric::SequenceF1 => bigbench::sequence_f1(&responses)?,
        _ => bigbench::numeric_match(&responses)?,
    };
    Ok(json!({metric.name(): value}))
}

fn likelihood(questions: &[Value]) -> Result<Value, Box<dyn Error>> {
    let mut owned: Vec<(Vec<String>, Vec<f64>)> = Vec::new();
    for question in questions {
        owned.push(serde_json::from_value(question.clone())?);
    }
    let pairs: Vec<(&[String], &[f64])> =
        owned.iter().map(|(targets, log_probs)| (&targets[..], &log_probs[..])).collect();
    let likelihood = bigbench::log_likelihood(&pairs)?;
    let (word, character) = likelihood.per_word_and_character.unzip();
    Ok(json!({
        "log_likelihood": likelihood.total, "log_likelihood_per_word": word, "log_likelihood_per_char": character,
    }))
}
