//! A line for each question and filter, as `EvaluationTracker.save_results_samples` writes it.

use super::filter_of;
use crate::Header;
use saltus_eval::{
    Grade, Grading,
    bigbench::Extraction,
    lm_eval::{filtered, scores_of_records},
};
use saltus_record::{Candidate, Outcome, Record, Role};
use saltus_task::lm_eval::Filter;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How a generated text becomes an answer.
enum Answer<'a> {
    Filtered(&'a Filter),
    Extracted(Extraction),
    AsItIs,
}

impl Answer<'_> {
    fn of(&self, text: &str) -> Result<String, String> {
        match self {
            Answer::Filtered(filter) => filtered(filter, text),
            Answer::Extracted(extraction) => extraction.apply(text, None).map_err(|e| e.to_string()),
            Answer::AsItIs => Ok(text.to_owned()),
        }
    }
}

/// The lines of a cell, filter after filter.
///
/// # Errors
/// In words, where a generated text has no answer; a graded cell has none such.
pub(super) fn samples(cell: &Header, grades: &[Grade], records: &[Record]) -> Result<String, String> {
    let answers: Vec<(&str, Answer<'_>)> = match &cell.grading {
        Grading::LmEval(grading) => {
            grading.filters.iter().map(|filter| (filter.name.as_str(), Answer::Filtered(filter))).collect()
        }
        Grading::BigBench(grading) => {
            let extraction = Extraction::new(&grading.extract).map_err(|e| e.to_string())?;
            vec![("none", Answer::Extracted(extraction))]
        }
        Grading::Views(_) => vec![("none", Answer::AsItIs)],
    };
    let values = values(cell, grades, records)?;
    let mut text = String::new();
    for (filter, answer) in answers {
        let values: Vec<(&str, &[f64])> = values.iter().filter(|v| v.0 == filter).map(|v| (&*v.1, &*v.2)).collect();
        let scored = records.iter().filter_map(|record| match &record.outcome {
            Outcome::Scored { candidates, generated } => {
                Some((record, candidates, generated.as_ref().map(|generated| generated.text.as_str())))
            }
            Outcome::Unscored(_) => None,
        });
        for (place, (record, candidates, generated)) in scored.enumerate() {
            let mut line = line(record, candidates, generated, &answer)?;
            line["filter"] = json!(filter);
            line["metrics"] = values.iter().map(|(metric, _)| *metric).collect();
            for (metric, values) in &values {
                line[metric] = json!(values.get(place));
            }
            text += &format!("{line}\n");
        }
    }
    Ok(text)
}

/// Filter, metric and the values of the scored items, where each has a number of its own.
fn values(cell: &Header, grades: &[Grade], records: &[Record]) -> Result<Vec<(String, String, Vec<f64>)>, String> {
    let mut values: Vec<(String, String, Vec<f64>)> = if let Grading::LmEval(grading) = &cell.grading {
        let is_scored = |record: &&Record| matches!(record.outcome, Outcome::Scored { .. });
        let scored: Vec<&Record> = records.iter().filter(is_scored).collect();
        let scores = scores_of_records(grading, &scored)?.into_iter();
        scores.map(|score| (score.filter, score.metric.to_owned(), score.items)).collect()
    } else {
        grades.iter().map(|g| (filter_of(g).to_owned(), g.metric.clone(), g.items.clone())).collect()
    };
    values.retain(|(_, _, items)| !items.is_empty());
    Ok(values)
}

/// A line without its scores.
fn line(
    record: &Record,
    candidates: &[Candidate],
    generated: Option<&str>,
    answer: &Answer<'_>,
) -> Result<Value, String> {
    let (mut arguments, mut responses, mut filtered) = (serde_json::Map::new(), Vec::new(), Vec::new());
    let mut request = |arguments_of: Value| {
        arguments.insert(format!("gen_args_{}", arguments.len()), arguments_of);
    };
    // A right answer to a question whose answer is generated was no request of lm-evaluation-harness.
    let is_request = |c: &&Candidate| c.role != Role::Target || generated.is_none();
    for c in candidates.iter().filter(is_request) {
        // The prompt's text is not kept; an unconditional answer has an empty one.
        let context = if c.role == Role::Unconditional { json!("") } else { Value::Null };
        if c.role == Role::Text {
            request(json!({"arg_0": c.text}));
            let logprob = format!("{:?}", c.total());
            responses.push(json!([logprob]));
            filtered.push(json!(logprob));
        } else {
            request(json!({"arg_0": context, "arg_1": c.text}));
            let response = json!([format!("{:?}", c.total()), if c.is_greedy() { "True" } else { "False" }]);
            responses.push(json!([response]));
            filtered.push(response);
        }
    }
    if let Some(text) = generated {
        request(json!({"arg_0": null, "arg_1": null}));
        responses.push(json!([text]));
        filtered.push(json!(answer.of(text)?));
    }
    let target = target(candidates);
    let hash = target.as_ref().map(|target| format!("{:x}", Sha256::digest(target)));
    Ok(json!({
        "doc_id": record.question.item,
        "doc": document(record, candidates),
        "target": target,
        "arguments": arguments,
        "resps": responses,
        "filtered_resps": filtered,
        "doc_hash": null,
        "prompt_hash": record.question.prompt,
        "target_hash": hash,
    }))
}

/// What records know of the document.
fn document(record: &Record, candidates: &[Candidate]) -> Value {
    let of = |role| candidates.iter().filter(move |c| c.role == role);
    json!({
        "item": record.question.item,
        "cluster": record.question.cluster,
        "choices": of(Role::Choice).map(Candidate::answer).collect::<Vec<_>>(),
        "target_scores": of(Role::Choice).map(|c| c.target_score).collect::<Vec<_>>(),
        "targets": of(Role::Target).map(Candidate::answer).collect::<Vec<_>>(),
    })
}

/// The right answer, as Python's `str` has it: the number of a choice, a text, or a list of them; of a whole text
/// that was scored the text. `None` where no choice is right.
fn target(candidates: &[Candidate]) -> Option<String> {
    let is_text = |c: &&Candidate| matches!(c.role, Role::Target | Role::Text);
    let texts: Vec<&str> = candidates.iter().filter(is_text).map(Candidate::answer).collect();
    let choices = candidates.iter().filter(|c| c.role == Role::Choice).enumerate();
    let right: Vec<usize> = choices.filter(|(_, c)| c.target_score > 0.0).map(|(place, _)| place).collect();
    let has_choices = candidates.iter().any(|c| c.role == Role::Choice);
    Some(match (&right[..], &texts[..]) {
        ([one], _) => one.to_string(),
        ([_, ..], _) => json!(right).to_string().replace(',', ", "),
        ([], _) if has_choices || texts.is_empty() => return None,
        ([], [one]) => (*one).to_owned(),
        ([], several) => json!(several).to_string(),
    })
}
