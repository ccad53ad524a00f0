//! Scores of records: those of the benchmarks' own metrics, and views that need nothing but records.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::key;
use saltus_eval::{Grade, Grading, Normalisation, View, grade};
use saltus_record::{Candidate, Generated, Outcome, QuestionKey, Record, Role};
use saltus_task::{bigbench, lm_eval};

fn candidate(index: usize, role: Role, text: &str, score: f64, logprob: f32) -> Candidate {
    let answer = text.strip_prefix(' ').map(str::to_owned);
    Candidate {
        index: index as u32,
        role,
        text: text.into(),
        answer,
        target_score: score,
        tokens: vec![1],
        logprobs: vec![logprob],
        is_argmax: vec![logprob > -0.5],
    }
}

fn record(item: u32, candidates: Vec<Candidate>, generated: Option<&str>) -> Record {
    let generated = generated.map(|text| Generated { tokens: vec![1], text: text.into() });
    Record {
        model: key(),
        question: QuestionKey {
            family: "f".into(),
            task: "t".into(),
            subtask: String::new(),
            style: "direct".into(),
            shots: 0,
            shot_mode: "fresh".into(),
            shot_seed: 0,
            boundary: "bigbench".into(),
            item,
            cluster: item,
            prompt: "0".into(),
            chance: 0.5,
        },
        outcome: Outcome::Scored { candidates, generated },
    }
}

/// Questions with the choices " ab" and " cde"; the first is right. Log-probabilities of both, with and without them.
fn choices(of: &[[f32; 4]]) -> Vec<Record> {
    let one = |(item, [a, b, alone_a, alone_b]): (u32, &[f32; 4])| {
        let candidates = vec![
            candidate(0, Role::Choice, " ab", 1.0, *a),
            candidate(1, Role::Choice, " cde", 0.0, *b),
            candidate(2, Role::Unconditional, " ab", 1.0, *alone_a),
            candidate(3, Role::Unconditional, " cde", 0.0, *alone_b),
        ];
        record(item, candidates, None)
    };
    (0..).zip(of).map(one).collect()
}

fn graded(grading: &Grading, records: &[Record]) -> Vec<Grade> {
    grade(grading, &records.iter().collect::<Vec<_>>()).unwrap()
}

fn value(grades: &[Grade], metric: &str) -> f64 {
    grades.iter().find(|grade| grade.metric == metric).unwrap_or_else(|| panic!("{metric} in {grades:?}")).value
}

#[test]
fn normalisations_are_those_of_the_harness() {
    let records = choices(&[
        [-3.0, -3.6, -1.0, -1.0], // Longer answers are less likely: per code point the second is better.
        [-3.0, -2.0, -3.0, -1.0], // Alone the second is likely anyway.
        [-1.0, -9.0, -1.0, -9.5],
    ]);
    let entry = |metric: lm_eval::Metric| lm_eval::MetricUse {
        metric,
        aggregation: lm_eval::Aggregation::Mean,
        higher_is_better: true,
    };
    use lm_eval::Metric::{Acc, AccBytes, AccMutualInfo, AccNorm};
    let filters = vec![lm_eval::Filter { name: "none".into(), steps: vec![] }];
    let metrics = [Acc, AccNorm, AccBytes, AccMutualInfo].map(entry).into();
    let harness = graded(&Grading::LmEval(lm_eval::Grading { metrics, filters }), &records);
    let views = graded(&Grading::Views(Normalisation::ALL.map(View::Choice).into()), &records);
    for (metric, view, expect) in [
        ("acc", "sum", 2.0 / 3.0),
        ("acc_norm", "code-point", 1.0 / 3.0),
        ("acc_bytes", "byte", 1.0 / 3.0),
        ("acc_mutual_info", "unconditional", 1.0 / 3.0),
    ] {
        let view = format!("choice_accuracy/{view}");
        // The first record gains nothing from its question, so that both gain 0 - but the first of equals is right.
        let found = (value(&harness, metric), value(&views, &view));
        assert!((found.0 - found.1).abs() < 1e-12, "{metric}: {found:?}");
        if metric != "acc_mutual_info" {
            assert!((found.0 - expect).abs() < 1e-12, "{metric}: {found:?}");
        }
    }
    // Every score has an interval that holds it.
    for grade in harness.iter().chain(&views) {
        let interval = grade.interval.unwrap();
        assert!(interval.low < grade.value && grade.value < interval.high, "{grade:?}");
    }
}

fn bigbench(metrics: &[bigbench::Metric]) -> Grading {
    Grading::BigBench(bigbench::Grading {
        name: "t".into(),
        metrics: metrics.into(),
        preferred: metrics[0].name().into(),
        low: 0.0,
        high: 1.0,
        extract: bigbench::Extract { stop: None, regex: Some("[^.]+".into()) },
        absolute_normalization: false,
    })
}

#[test]
fn the_metrics_of_bigbench_and_their_intervals() {
    use bigbench::Metric::{Bleu, Brier, CalibrationError, ExactMatch, MultipleChoiceGrade, Rouge};
    let records: Vec<Record> = (0..40)
        .map(|item: u32| {
            let right = !item.is_multiple_of(4);
            let said = if right { "the red house is old." } else { "a blue car." };
            let candidates = vec![
                candidate(0, Role::Choice, "yes", 1.0, if right { -0.1 } else { -2.0 }),
                candidate(1, Role::Choice, "no", 0.0, -1.0),
                candidate(2, Role::Target, "the red house is old", 1.0, -3.0),
            ];
            record(item, candidates, Some(said))
        })
        .collect();
    let grades = graded(&bigbench(&[MultipleChoiceGrade, Brier, CalibrationError, ExactMatch, Bleu, Rouge]), &records);
    assert_eq!(value(&grades, "multiple_choice_grade"), 0.75);
    assert_eq!(value(&grades, "exact_str_match"), 0.75);
    assert_eq!((grades[0].preferred, grades[0].items.len()), (true, 40));
    for grade in &grades {
        let interval = grade.interval.unwrap_or_else(|| panic!("{grade:?}"));
        assert!(interval.low < grade.value && grade.value < interval.high, "{grade:?}");
        assert!(grade.standard_error.unwrap() > 0.0, "{grade:?}");
    }
    // Ten questions about each of four passages say less than forty about forty.
    let mut clumped = records.clone();
    clumped.iter_mut().for_each(|record| record.question.cluster = record.question.item % 4);
    let width = |records| {
        let interval = graded(&bigbench(&[MultipleChoiceGrade]), records)[0].interval.unwrap();
        interval.high - interval.low
    };
    assert!(width(&clumped) > 1.5 * width(&records));
}

#[test]
fn what_is_extracted_counts() {
    let records: Vec<Record> = (0..4)
        .map(|item| {
            let target = candidate(0, Role::Target, " 42", 1.0, -3.0);
            record(item, vec![target], Some(["the answer is 42.", "42", "41 or 42", "none"][item as usize]))
        })
        .collect();
    let view = View::Extracted(lm_eval::PythonRegex::new(r"(\d+)").unwrap());
    let grades = graded(&Grading::Views(vec![view.clone(), View::Metric("exact_match".into())]), &records);
    assert_eq!(grades.iter().map(|g| g.value).collect::<Vec<_>>(), [0.5, 0.25]);
    // Views are kept with a cell, expressions and all.
    let text = serde_json::to_string(&Grading::Views(vec![view])).unwrap();
    assert_eq!(graded(&serde_json::from_str(&text).unwrap(), &records)[0].value, 0.5);
}

#[test]
fn nothing_is_made_of_nothing() {
    assert!(grade(&Grading::Views(vec![]), &[]).unwrap_err().contains("no question was answered"));
    let unscored = Record { outcome: Outcome::Unscored("too long".into()), ..record(0, vec![], None) };
    assert_eq!(grade(&bigbench(&[bigbench::Metric::ExactMatch]), &[&unscored]), Err("too long".into()));
    let bleurt = grade(&bigbench(&[bigbench::Metric::Bleurt]), &[&record(0, vec![], Some("a"))]);
    assert!(bleurt.unwrap_err().contains("BLEURT"));
}
