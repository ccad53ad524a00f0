//! BIG-bench's scores of records.

use super::{Grade, of_mean, resampled};
use crate::bigbench::{ChoiceEvidence, Evidence, Extraction, Response, measure};
use saltus_record::{Candidate, Outcome, Record, Role};
use saltus_stats::Interval;
use saltus_task::bigbench::{Grading, Kind, Metric};

/// What a model said to one question, owned.
struct Said {
    texts: Vec<String>,
    scores: Vec<f64>,
    log_probs: Vec<f64>,
    targets: Vec<String>,
    target_log_probs: Vec<f64>,
    response: Option<String>,
}

pub(super) fn grade(grading: &Grading, records: &[&Record], clusters: &[u32]) -> Result<Vec<Grade>, String> {
    let extraction = Extraction::new(&grading.extract).map_err(|e| e.to_string())?;
    let said = records.iter().map(|record| said(record, &extraction)).collect::<Result<Vec<Said>, String>>()?;
    let all: Vec<usize> = (0..said.len()).collect();
    let mut grades = Vec::new();
    for metric in &grading.metrics {
        // One at a time: each needs other resamples.
        let one = Grading { metrics: vec![*metric], ..grading.clone() };
        let scores = |places: &[usize]| values(&one, &said, places);
        if *metric == Metric::Bleurt {
            continue;
        }
        for (name, value) in scores(&all)? {
            let range = range(&name);
            let items = if mean_of_items(*metric) { each(&one, &said, &name, value) } else { Vec::new() };
            let (interval, standard_error) = if !items.is_empty() {
                of_mean(&items, clusters, range)
            } else if *metric == Metric::Rouge {
                of_rouge(&said, &name, value)?
            } else {
                let again = |places: &[usize]| Some(scores(places).ok()?.into_iter().find(|(n, _)| *n == name)?.1);
                resampled(clusters, value, again)
            };
            grades.push(Grade {
                preferred: name == grading.preferred,
                higher_is_better: !matches!(metric, Metric::Brier | Metric::CalibrationError),
                metric: name,
                filter: None,
                value,
                interval,
                standard_error,
                range,
                items,
            });
        }
    }
    if grades.is_empty() {
        return Err("BLEURT, a learned model, is the task's only metric, and it is not computed here".into());
    }
    Ok(grades)
}

fn said(record: &Record, extraction: &Extraction) -> Result<Said, String> {
    let Outcome::Scored { candidates, generated } = &record.outcome else { return Err("not scored".into()) };
    let of = |role| candidates.iter().filter(move |c: &&Candidate| c.role == role);
    let response = generated.as_ref().map(|g| extraction.apply(&g.text, None)).transpose();
    Ok(Said {
        texts: of(Role::Choice).map(|c| c.text.clone()).collect(),
        scores: of(Role::Choice).map(|c| c.target_score).collect(),
        log_probs: of(Role::Choice).map(Candidate::total).collect(),
        targets: of(Role::Target).map(|c| c.text.clone()).collect(),
        target_log_probs: of(Role::Target).map(Candidate::total).collect(),
        response: response.map_err(|e| e.to_string())?,
    })
}

/// The scores of the questions at some places, by name.
fn values(grading: &Grading, said: &[Said], places: &[usize]) -> Result<Vec<(String, f64)>, String> {
    let picked: Vec<&Said> = places.iter().map(|place| &said[*place]).collect();
    let asks = |kind| grading.metrics.iter().any(|metric| metric.kind() == kind);
    let texts: Vec<Vec<&str>> = picked.iter().map(|s| s.texts.iter().map(String::as_str).collect()).collect();
    let mut evidence = Evidence::default();
    if asks(Kind::Choices) {
        let choices = picked.iter().zip(&texts);
        evidence.choices =
            choices.map(|(s, texts)| ChoiceEvidence { texts, scores: &s.scores, log_probs: &s.log_probs }).collect();
    }
    if asks(Kind::Generation) {
        evidence.responses = responses(picked.iter().copied());
    }
    if asks(Kind::Targets) {
        evidence.targets = picked.iter().map(|s| (&s.targets[..], &s.target_log_probs[..])).collect();
    }
    // Whatever the leaf prefers, each of its metrics is computed.
    let grading = Grading { preferred: String::new(), ..grading.clone() };
    measure(&grading, &evidence).map(|scores| scores.values.into_iter().collect()).map_err(|e| e.to_string())
}

fn responses<'a>(said: impl Iterator<Item = &'a Said>) -> Vec<Response<'a>> {
    said.map(|s| Response { targets: &s.targets, text: s.response.as_deref().unwrap_or_default() }).collect()
}

/// Whether the score of a single question says something.
fn mean_of_items(metric: Metric) -> bool {
    !matches!(metric, Metric::Bleu | Metric::Rouge | Metric::CalibrationError | Metric::MacroF1)
}

/// The score of each question, if their mean is the score of all: it is not where questions weigh differently.
fn each(grading: &Grading, said: &[Said], name: &str, value: f64) -> Vec<f64> {
    let one = |place: usize| {
        let found = values(grading, said, &[place]).ok()?;
        found.into_iter().find(|(n, _)| n == name).map(|(_, x)| x)
    };
    let items: Option<Vec<f64>> = (0..said.len()).map(one).collect();
    let is_mean = |items: &Vec<f64>| (saltus_stats::mean(items) - value).abs() <= 1e-9 * value.abs().max(1.0);
    items.filter(is_mean).unwrap_or_default()
}

/// The reference's own bootstrap, as a normal interval.
fn of_rouge(said: &[Said], name: &str, value: f64) -> Result<(Option<Interval>, Option<f64>), String> {
    let rouge = crate::bigbench::rouge(&responses(said.iter()), saltus_task::bigbench::REFERENCE_SEED);
    let rouge = rouge.map_err(|e| e.to_string())?;
    let score = match name {
        "rouge1" => rouge.one,
        "rouge2" => rouge.two,
        _ => rouge.lsum,
    };
    let half = 1.96 * score.standard_error;
    let interval = Interval { value, low: (value - half).max(0.0), high: (value + half).min(100.0) };
    Ok((Some(interval).filter(|_| said.len() > 1), Some(score.standard_error)))
}

/// The ends between which the score of a question lies, where both are known.
fn range(score: &str) -> Option<(f64, f64)> {
    match score {
        "bleu" | "sequence_f1" | "rouge1" | "rouge2" | "rougeLsum" => Some((0.0, 100.0)),
        "multiple_choice_grade"
        | "exact_str_match"
        | "case_insensitive_str_match"
        | "numeric_match_with_0_1_relative_error"
        | "calibration_multiple_choice_brier_score"
        | "expected_calibration_error"
        | "macro_f1" => Some((0.0, 1.0)),
        _ => None,
    }
}
