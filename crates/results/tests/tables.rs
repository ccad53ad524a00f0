//! Tables as people write them, and as they should not.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use saltus_results::{Scores, Table, read_harness, read_table};
use std::path::PathBuf;

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The error of reading `text` as scores, without its folder.
fn refused(text: &str, map: &[(&str, &str)]) -> String {
    let (folder, path) = file("t.csv", text);
    let map: Vec<(String, String)> = map.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    let error = read_table(&mut Scores::default(), &path, &map, &[]).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn what_is_wrong_is_said_with_the_line_and_what_to_write() {
    let check = |text: &str, expect: &str| assert_eq!(refused(text, &[]), expect);
    check("", "t.csv: has no rows: write a header and at least one row");
    check("scale,score\n", "t.csv: has no rows: write a header and at least one row");
    check("a,a\n1,2\n", "t.csv, line 1: two columns are called `a`: give each its own name");
    check(
        "scale,acc\n1,2\n",
        "t.csv: has no column `score`: name it with `--map COLUMN=score`; its columns are scale, acc",
    );
    check(
        "size,score\n1,.5\n",
        "t.csv: has no column `scale` or `params` or `flops` or `tokens` or `loss`: name it with `--map COLUMN=scale`; its \
         columns are size, score",
    );
    check(
        "scale,score\n1,.5\n2,high\n",
        "t.csv, line 3: column `score` says `high`, which is no number: write a number, or nothing where there is none",
    );
    check(
        "scale,score\n1,45%\n",
        "t.csv, line 2: column `score` says `45%`, which is no number: write a share of 1 without the sign",
    );
    check(
        "scale,score\nbig,.5\n",
        "t.csv, line 2: column `scale` says `big`, which is no size: write a number, such as 1.4e9 or 1.4B",
    );
    check(
        "scale,score\n1\n",
        "t.csv, line 2: 1 cells where the header has 2 columns: write as many, and put texts with separators in them in \
         double quotes",
    );
    check(
        "scale,score,n\n1,.5,0\n",
        "t.csv, line 2: `n` is 0: write how many items the score is a mean of, or leave it empty",
    );
    check(
        "scale,score,loss\n1,.5,-2\n",
        "t.csv, line 2: `loss` is -2: write the loss in nats per token, which is positive",
    );
    check("scale,score\n1,inf\n", "t.csv, line 2: `score` is inf: leave the score empty where there is none");
    assert_eq!(
        refused("size,accuracy\n1,.5\n", &[("size", "scale"), ("acuracy", "score")]),
        "t.csv: has no column `acuracy`: write `--map accuracy=score`"
    );
}

#[test]
fn columns_have_any_names_and_sizes_any_unit() {
    let (_folder, path) = file("evals.csv", "model;size;acc;acc_norm\nm;70M;.25;nan\nm;1.4B;;.5\n");
    let map = [("size", "params"), ("acc_norm", "score"), ("acc", "score")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let mut scores = Scores::default();
    read_table(&mut scores, &path, &map, &[]).unwrap();
    let told: Vec<_> =
        scores.rows.iter().map(|r| (scores.name(r.metric), r.scales.params, r.score, scores.place(r))).collect();
    let at = |line: u32| format!("{}, line {line}", path.display());
    assert_eq!(told, [("acc", 70e6, 0.25, at(2)), ("acc_norm", 1.4e9, 0.5, at(3))]);
    assert_eq!(scores.name(scores.rows[0].task), "evals");
    let said: Vec<&str> = scores.warnings.iter().filter_map(|w| w.split("evals.csv, ").nth(1)).collect();
    assert_eq!(
        said,
        [
            "line 3: 1 cells of `acc` are empty and left out, this is the first",
            "line 2: 1 cells of `acc_norm` are NaN and left out, this is the first"
        ]
    );
}

/// Python's `csv` and Windows end lines with CR LF.
#[test]
fn lines_are_counted_whatever_ends_them() {
    let (_folder, path) = file("crlf.csv", "scale,score\r\n1,.5\r\n2,inf\r\n");
    let error = read_table(&mut Scores::default(), &path, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("crlf.csv, line 3: `score` is inf"), "{error}");
}

#[test]
fn results_of_both_layouts_of_lm_evaluation_harness_are_read() {
    let old = r#"{"results": {"lambada": {"ppl": 20.5, "acc": 0.4, "acc_stderr": 0.01}},
        "config": {"model_args": "pretrained=EleutherAI/pythia-v1.1-160m,revision=step13000", "num_fewshot": 5}}"#;
    let new = r#"{"results": {"arc": {"alias": "arc", "acc,none": 0.25, "acc_stderr,none": 0.02, "em,flexible": 0.5}},
        "n-shot": {"arc": 0}, "n-samples": {"arc": {"original": 1172, "effective": 100}},
        "higher_is_better": {"arc": {"acc": true}}, "config": {"model_args": {"pretrained": "gpt2"},
        "model_num_parameters": 124439808}}"#;
    let read = |text: &str| {
        let (_folder, path) = file("results.json", text);
        let mut scores = Scores::default();
        assert!(read_harness(&mut scores, &path).unwrap().is_some());
        let tell = |r: &saltus_results::Score| {
            let names = [r.family, r.task, r.metric, r.by].map(|name| scores.name(name).to_owned());
            (names.join("|"), r.score, r.standard_error, r.items, r.scales.params, r.step)
        };
        scores.rows.iter().map(tell).map(|told| format!("{told:?}")).collect::<Vec<_>>()
    };
    assert_eq!(
        read(old),
        [
            r#"("EleutherAI/pythia-v1.1|lambada|acc|shots=5", 0.4, 0.01, NaN, 160000000.0, 13000.0)"#,
            r#"("EleutherAI/pythia-v1.1|lambada|ppl|shots=5", 20.5, NaN, NaN, 160000000.0, 13000.0)"#,
        ]
    );
    assert_eq!(
        read(new),
        [
            r#"("gpt2|arc|acc|shots=0", 0.25, 0.02, 100.0, 124439808.0, NaN)"#,
            r#"("gpt2|arc|em,flexible|shots=0", 0.5, NaN, 100.0, 124439808.0, NaN)"#,
        ]
    );
}

#[test]
fn score_files_of_big_bench_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hindu_knowledge/results/scores_BIG-G_T=0_128b.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = r#"{"bigbench_version": "0.1.1", "model": {"model_name": "128b", "model_family": "BIG-G T=0",
        "non_embedding_params": 127e9, "total_params": 128e9}, "scores": [{"score_dict": {"exact_str_match": 0.1,
        "multiple_choice_grade": 60.6}, "preferred_score": "multiple_choice_grade", "subtask_description":
        "hindu_knowledge", "low_score": 25, "high_score": 100, "number_of_shots": 3}]}"#;
    std::fs::write(&path, text).unwrap();
    let mut scores = Scores::default();
    read_harness(&mut scores, &path).unwrap();
    let row = &scores.rows[1];
    assert_eq!((scores.name(row.family), scores.name(row.task)), ("BIG-G T=0", "hindu_knowledge"));
    assert_eq!((row.score, row.chance, row.ceiling, row.scales.params_non_embedding), (60.6, 25.0, 100.0, 127e9));
    assert!(scores.rows[0].chance.is_nan(), "the low score is that of the preferred metric alone");
}

#[test]
fn other_json_is_neither() {
    let (_folder, path) = file("other.json", "{\"a\": 1}");
    assert_eq!(read_harness(&mut Scores::default(), &path).unwrap(), None);
    let (_folder, path) = file("broken.json", "{\"a\": 1");
    assert!(read_harness(&mut Scores::default(), &path).unwrap_err().to_string().contains("cannot read it as JSON"));
}

proptest! {
    /// Whatever a file holds, it is read or refused.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_folder, path) = file("t", "");
        std::fs::write(&path, &bytes).unwrap();
        let _ = Table::read(&path, &[]);
        let _ = read_harness(&mut Scores::default(), &path);
    }

    /// Numbers come back as they were written.
    #[test]
    fn numbers_come_back(values in proptest::collection::vec(proptest::num::f64::NORMAL, 1..50)) {
        let text: String = values.iter().map(|v| format!("{v:?},x\n")).collect();
        let (_folder, path) = file("t.csv", &format!("a,b\n{text}"));
        let table = Table::read(&path, &[]).unwrap();
        prop_assert_eq!(table.numbers("a").unwrap().unwrap(), &values[..]);
        prop_assert_eq!(table.words("b").unwrap().words, ["x"]);
    }
}
