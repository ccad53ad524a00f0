//! Exports of records made by hand.

use super::*;
use saltus_eval::Grading;
use saltus_record::{Candidate, Generated, ModelKey, Outcome, QuestionKey, Record, Role};
use saltus_task::{
    bigbench::{self, Extract},
    lm_eval::{self, Aggregation, ExactMatch, Filter, MetricUse, PythonRegex, Step},
};
use serde_json::Value;
use tempfile::TempDir;

fn candidate(index: u32, role: Role, text: &str, score: f64, logprob: f32) -> Candidate {
    let answer = (text.trim_start() != text).then(|| text.trim_start().to_owned());
    let (tokens, is_argmax) = (vec![index, 7], vec![logprob > -1.0, true]);
    let (text, logprobs) = (text.to_owned(), vec![logprob, 0.0]);
    Candidate { index, role, text, answer, target_score: score, tokens, logprobs, is_argmax }
}

fn record(item: u32, outcome: Outcome) -> Record {
    let model = ModelKey {
        name: "org/tiny-1m".into(),
        width: 8,
        layers: 1,
        params_non_embedding: 800_000,
        params_total: 1_000_000,
        weights: "ab".into(),
        tokenizer: "cd".into(),
        training: None,
    };
    let question = QuestionKey {
        family: String::new(),
        task: String::new(),
        subtask: String::new(),
        style: "direct".into(),
        shots: 0,
        shot_mode: "fresh".into(),
        shot_seed: 42,
        boundary: "lm-eval".into(),
        item,
        cluster: item,
        prompt: format!("hash of prompt {item}"),
        chance: 0.5,
    };
    Record { model, question, outcome }
}

/// Two choices, the first right; `first` and -1 are their log-probabilities.
fn chosen(item: u32, first: f32) -> Record {
    let candidates = vec![candidate(0, Role::Choice, " yes", 1.0, first), candidate(1, Role::Choice, " no", 0.0, -1.0)];
    record(item, Outcome::Scored { candidates, generated: None })
}

fn generated(item: u32, text: &str) -> Record {
    let candidates = vec![candidate(0, Role::Target, " 4", 1.0, -2.0)];
    record(item, Outcome::Scored { candidates, generated: Some(Generated { tokens: vec![1], text: text.into() }) })
}

fn header(task: &str, subtask: &str, shots: u32, grading: Grading) -> Header {
    let bigbench = matches!(grading, Grading::BigBench(_));
    Header {
        model: "org/tiny-1m".into(),
        weights: "ab".into(),
        params_total: 1_000_000,
        params_non_embedding: 800_000,
        family: if bigbench { "bigbench" } else { "lm-eval" }.into(),
        task: task.into(),
        subtask: subtask.into(),
        shots,
        shot_mode: "fresh".into(),
        seed: if bigbench { 42 } else { 1234 },
        boundary: if bigbench { "bigbench" } else { "lm-eval" }.into(),
        truncate: false,
        items: 0,
        chance: 0.5,
        grading,
        parts: Vec::new(),
    }
}

fn leaf(name: &str, low: f64) -> Grading {
    Grading::BigBench(bigbench::Grading {
        name: name.into(),
        metrics: vec![bigbench::Metric::MultipleChoiceGrade],
        preferred: "multiple_choice_grade".into(),
        low,
        high: 1.0,
        extract: Extract { stop: None, regex: None },
        absolute_normalization: false,
    })
}

fn by_choice() -> Grading {
    let acc = MetricUse { metric: lm_eval::Metric::Acc, aggregation: Aggregation::Mean, higher_is_better: true };
    let filters = vec![Filter { name: "none".into(), steps: vec![Step::TakeFirst] }];
    Grading::LmEval(lm_eval::Grading { metrics: vec![acc], filters })
}

fn by_text() -> Grading {
    let options =
        ExactMatch { regexes_to_ignore: vec![], ignore_case: false, ignore_punctuation: false, ignore_numbers: false };
    let metric = lm_eval::Metric::ExactMatch(options);
    let metrics = vec![MetricUse { metric, aggregation: Aggregation::Mean, higher_is_better: true }];
    let number = Step::Regex { regex: PythonRegex::new("\\d+").unwrap(), select: 0, fallback: "none".into() };
    let filters = [("strict", Step::TakeFirst), ("number", number)];
    let filters = filters.map(|(name, step)| Filter { name: name.into(), steps: vec![step] }).into();
    Grading::LmEval(lm_eval::Grading { metrics, filters })
}

fn exported(
    cells: &[(Header, Vec<Record>)],
    how: impl FnOnce(&Export<'_>) -> Result<Exported, Error>,
) -> (TempDir, Exported) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("from")).unwrap();
    let mut headers = Vec::new();
    for (number, (header, records)) in cells.iter().enumerate() {
        let key = format!("part{number}");
        store.write(&key, records).unwrap();
        headers.push(Header { items: records.len(), parts: vec![key], ..header.clone() });
    }
    let out = folder.path().join("out");
    let done = how(&Export { store: &store, cells: &headers, out: &out }).unwrap();
    (folder, done)
}

fn names(folder: &TempDir, done: &Exported) -> Vec<String> {
    let out = folder.path().join("out");
    done.files.iter().map(|path| path.strip_prefix(&out).unwrap().display().to_string()).collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn results_and_samples() {
    let unscored = record(2, Outcome::Unscored("too long".into()));
    let cells = [
        (header("pick", "", 0, by_choice()), vec![chosen(0, -0.5), chosen(1, -2.0), unscored]),
        (header("sum", "", 0, by_text()), vec![generated(0, "4"), generated(1, "It is 4.")]),
        (header("pick", "", 3, by_choice()), vec![chosen(0, -0.5), chosen(1, -0.25)]),
    ];
    let (folder, done) = exported(&cells, |export| export_lm_eval(export, 1_700_000_000, &mut |_| {}));
    assert_eq!((done.unscored, done.left_out.len()), (1, 0));
    let first = "org__tiny-1m/results_2023-11-14T22-13-20.000000.json";
    let expect = [
        "org__tiny-1m/samples_pick_2023-11-14T22-13-20.000000.jsonl",
        "org__tiny-1m/samples_sum_2023-11-14T22-13-20.000000.jsonl",
        first,
        "org__tiny-1m/samples_pick_2023-11-14T22-13-20.000001.jsonl",
        "org__tiny-1m/results_2023-11-14T22-13-20.000001.json",
    ];
    assert_eq!(names(&folder, &done), expect);
    let results = fs::read_to_string(folder.path().join("out").join(first)).unwrap();
    insta::assert_snapshot!("results", results.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    let second = read(&done.files[4]);
    assert_eq!((&second["results"]["pick"]["acc,none"], &second["n-shot"]["pick"]), (&1.0.into(), &3.into()));
    insta::assert_snapshot!("choices", fs::read_to_string(&done.files[0]).unwrap());
    insta::assert_snapshot!("texts", fs::read_to_string(&done.files[1]).unwrap());
}

#[test]
fn scores_of_leaves_and_of_their_task() {
    let cells = [
        (header("t", "a", 0, leaf("t:a", 0.5)), vec![chosen(0, -0.5), chosen(1, -2.0)]),
        (header("t", "b", 0, leaf("t:b", 0.25)), vec![chosen(0, -0.5), chosen(1, -0.5)]),
        (header("t", "a", 2, leaf("t:a", 0.5)), vec![chosen(0, -0.5)]),
        (Header { seed: 7, ..header("t", "a", 2, leaf("t:a", 0.5)) }, vec![chosen(0, -3.0)]),
        (header("single", "", 0, leaf("single", 0.5)), vec![chosen(0, -0.5), chosen(1, -0.5)]),
        (header("pick", "", 0, by_choice()), vec![chosen(0, -0.5)]),
    ];
    let family = |name: &str| name.replace("-1m", "");
    let (folder, done) = exported(&cells, |export| export_bigbench(export, &family, &mut |_| {}));
    let file = "results/scores_org_tiny_org_tiny-1m";
    let expect = [format!("single/{file}.json"), format!("t/{file}.json"), format!("t/{file}_seed=7_.json")];
    assert_eq!(names(&folder, &done), expect);
    assert_eq!(done.left_out, [("pick".to_owned(), "it is no task of BIG-bench: use `--to lm-eval`".to_owned())]);
    let scores = read(&done.files[1]);
    insta::assert_snapshot!("scores", format!("{:#}", scores["scores"]));
    let described = |entry: &Value| (entry["subtask_description"].clone(), entry["number_of_shots"].clone());
    let entries: Vec<_> = scores["scores"].as_array().unwrap().iter().map(described).collect();
    let expect = [("t:a", 0), ("t:b", 0), ("t:a", 2), ("t", 0), ("t", 2)];
    assert_eq!(entries, expect.map(|(name, shots)| (name.into(), shots.into())));
    // The only leaf of a task is the task.
    let single = read(&done.files[0])["scores"].as_array().unwrap().clone();
    assert_eq!((single.len(), &single[0]["score_dict"]["normalized_aggregate_score"]), (1, &100.0.into()));
}

#[test]
fn subtasks_are_members_of_a_group() {
    let cells = [
        (header("t", "a", 0, leaf("t:a", 0.5)), vec![chosen(0, -0.5), chosen(1, -2.0)]),
        (header("t", "b", 0, leaf("t:b", 0.5)), vec![chosen(0, -0.5), chosen(1, -0.5)]),
    ];
    let (_folder, done) = exported(&cells, |export| export_lm_eval(export, 0, &mut |_| {}));
    let file = read(&done.files[2]);
    assert_eq!(file["group_subtasks"], serde_json::json!({"t": ["t:a", "t:b"]}));
    assert_eq!(file["groups"]["t"]["normalized_aggregate_score,none"], 50.0);
    assert_eq!(file["results"]["t"], file["groups"]["t"]);
}

#[test]
fn two_exports_do_not_take_one_name() {
    let cells = [
        (header("a:b", "", 0, by_choice()), vec![chosen(0, -0.5)]),
        (header("a?b", "", 0, by_choice()), vec![chosen(0, -0.5)]),
    ];
    let (folder, done) = exported(&cells, |export| {
        let problem = export_lm_eval(export, 0, &mut |_| {}).unwrap_err();
        assert!(problem.to_string().contains("samples_a__b_"), "{problem}");
        Ok(Exported::default())
    });
    assert!(done.files.is_empty() && folder.path().exists());
}
