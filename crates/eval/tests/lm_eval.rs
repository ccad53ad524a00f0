//! Filters and metrics of lm-evaluation-harness on answers worked out by hand.

#![allow(clippy::unwrap_used)]

use saltus_eval::lm_eval::{Answer, Score, filtered, group_score, scores};
use saltus_task::lm_eval::{FEWSHOT_SEED, Item, Shots, Task, read_own};
use tempfile::TempDir;

/// A task of TOML lines over JSON lines, with its items.
fn task(toml: &str, data: &str) -> (Task, Vec<Item>) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("data.jsonl"), data).unwrap();
    std::fs::write(folder.path().join("task.toml"), format!("data = \"data.jsonl\"\n{toml}")).unwrap();
    let task = read_own(&folder.path().join("task.toml")).unwrap();
    let shots = Shots { count: Some(0), mode: None, seed: FEWSHOT_SEED };
    let items = task.open().unwrap().items(shots, None).unwrap().items;
    (task, items)
}

fn numbers(scores: &[Score]) -> Vec<(&str, f64)> {
    scores.iter().map(|score| (score.metric, (score.value * 1e6).round() / 1e6)).collect()
}

#[test]
fn choices() {
    let toml = "prompt = 'q'\nchoices = 'c'\ntarget = 'a'\nmetrics = ['acc', 'acc_norm', 'acc_bytes', 'exact_match', 'brier_score']";
    let line = "{\"q\": \"x\", \"c\": [\"a\", \"bbbb\", \"\u{e9}\u{e9}\u{e9}\"], \"a\": RIGHT}\n";
    let (task, items) = task(toml, &[line.replace("RIGHT", "0"), line.replace("RIGHT", "2")].concat());
    let answer =
        |logprobs: [f64; 3], greedy| Answer::Choices { logprobs: logprobs.into(), greedy, unconditional: vec![] };
    // Sums are likeliest for 0; per code point (1, 4, 3) and per byte (1, 4, 6) for others.
    let first = answer([-2.0, -4.0, -3.3], vec![false, true, false]);
    let second = answer([-2.0, -4.0, -2.7], vec![false, false, true]);
    let found = scores(task.grading(), &items, &[first.clone(), second]).unwrap();
    // Document 0: acc right; per code point -2, -1, -1.1; per byte -2, -1, -.55. Document 1: -2, -1, -.9; -2, -1, -.45.
    let softmax = |x: [f64; 3]| {
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        x.map(|x| x.exp() / sum)
    };
    let brier = |p: [f64; 3], right: usize| (0..3).map(|i| (p[i] - f64::from(i == right)).powi(2)).sum::<f64>();
    let mean = (brier(softmax([-2.0, -4.0, -3.3]), 0) + brier(softmax([-2.0, -4.0, -2.7]), 2)) / 2.0;
    let expect = [
        ("acc", 0.5),
        ("acc_norm", 0.5),
        ("acc_bytes", 0.5),
        ("exact_match", 0.5),
        ("brier_score", (mean * 1e6).round() / 1e6),
    ];
    assert_eq!(numbers(&found), expect);
    assert_eq!((found[0].items.as_slice(), found[1].items.as_slice()), (&[1.0, 0.0][..], &[0.0, 1.0][..]));
    // The sample's deviation of {0, 1} is 1/sqrt(2), over sqrt(2) items.
    assert!((found[0].standard_error.unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(found[4].standard_error, None);
    assert!(scores(task.grading(), &items, std::slice::from_ref(&first)).is_err(), "an answer is missing");
    assert!(scores(task.grading(), &items, &[first.clone(), Answer::Rolling(-1.0)]).is_err(), "another kind");
    assert!(
        scores(task.grading(), &items, &[first, answer([f64::NAN, 0.0, 0.0], vec![true; 3])]).is_err(),
        "no number"
    );
}

#[test]
fn texts() {
    let toml = "prompt = 'q'\ntarget = 'a'\nextract = '(-?[0-9]+)'";
    let (task, items) = task(toml, "{\"q\": \"x\", \"a\": \"12\"}\n{\"q\": \"y\", \"a\": \"-3\"}\n");
    let texts = ["it is 12, not 13", "three"].map(|text| Answer::Text(text.into()));
    assert_eq!(numbers(&scores(task.grading(), &items, &texts).unwrap()), [("exact_match", 0.5)]);
    assert_eq!(filtered(&task.grading().filters[0], "three").unwrap(), "[invalid]");
}

#[test]
fn rolling() {
    let (task, items) = task("target = 't'", "{\"t\": \"a bc\"}\n{\"t\": \"\u{e9}\"}\n");
    let found = scores(task.grading(), &items, &[Answer::Rolling(-3.0), Answer::Rolling(-1.5)]).unwrap();
    // 3 words and 6 bytes for 4.5 nats.
    let bits = 0.75 / std::f64::consts::LN_2;
    let expect = [1.5_f64.exp(), 0.75_f64.exp(), bits].map(|x| (x * 1e6).round() / 1e6);
    assert_eq!(
        numbers(&found),
        [("word_perplexity", expect[0]), ("byte_perplexity", expect[1]), ("bits_per_byte", expect[2])]
    );
}

#[test]
fn groups() {
    let tasks = [(0.5, Some(0.1), 10), (0.8, Some(0.2), 30)];
    let (value, error) = group_score(&tasks, true).unwrap();
    let pooled = ((9.0 * 0.01 * 10.0 + 29.0 * 0.04 * 30.0) / 38.0 / 40.0_f64).sqrt();
    assert!((value - 0.725).abs() < 1e-12 && (error.unwrap() - pooled).abs() < 1e-12);
    let (value, error) = group_score(&tasks, false).unwrap();
    assert!((value - 0.65).abs() < 1e-12 && (error.unwrap() - 0.05_f64.sqrt() / 2.0).abs() < 1e-12);
    assert_eq!(group_score(&[(0.5, None, 10)], true), Some((0.5, None)));
    assert_eq!(group_score(&[], true), None);
}
