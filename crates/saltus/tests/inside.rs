//! `saltus look prompt`, `heads` and `causal` on a model that was just grown, and the mistakes that users make.
#![allow(clippy::unwrap_used)]

mod common;
use common::{MASKED, TINY, grown, saltus, told};
use std::{fs, path::Path};

/// A folder with a grown model of one layer, `model`, and facts.
fn with_facts() -> tempfile::TempDir {
    let folder = grown(TINY);
    fs::write(folder.path().join("facts.jsonl"), FACTS).unwrap();
    folder
}

const FACTS: &str = r#"{"relation": "sum", "subject": "1+2", "template": "[X]=[Y].", "object": "3"}
{"predicate_id": "sum", "sub_label": "2+2", "template": "[X]=[Y]", "obj_label": "4"}
{"relation": "sum", "subject": "4+5", "template": "[X]=[Y]", "object": "9"}
{"relation": "copy", "subject": "ab", "template": "[X]=[Y]", "object": "a"}
{"relation": "copy", "subject": "ca", "template": "[X]=[Y]", "object": "c"}
{"relation": "copy", "subject": "ca", "template": "[Y]=[X]", "object": "ca"}
{"relation": "sum", "subject": "5+6", "template": "[X]=[Y]", "object": "11"}
"#;

/// What a look prints.
fn look(folder: &Path, arguments: &[&str]) -> String {
    let output = saltus(folder, &[&["look"], arguments, &["--model", "model", "--quiet"]].concat());
    assert!(output.status.success(), "{}", told(folder, &output));
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&look(folder, &[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn what_is_found_is_shown_saved_and_not_found_twice() {
    let folder = with_facts();
    let (folder, begun) = (folder.path(), ["prompt", "1+2="]);
    let text = look(folder, &begun);
    for words in ["1|+|2|=", "the lens says", "embed", "sum of all that is added", "votes for", "attends to"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("earlier run") && look(folder, &begun).contains("earlier run"));
    assert!(!text.contains('\x1b'), "no colour in a file");
    let picture = &json(folder, &["prompt", "1+2=", "--target", "3", "--top", "3"])[0][0];
    assert_eq!((&picture["look"], &picture["target"]), (&"prompt".into(), &"3".into()));
    assert_eq!(picture["lens"].as_array().unwrap().len(), 2);
    assert_eq!(picture["memories"].as_array().unwrap().len(), 6);
    let sum: f64 = picture["parts"].as_array().unwrap().iter().map(|part| part["amount"].as_f64().unwrap()).sum();
    assert!((sum - picture["logit"].as_f64().unwrap()).abs() < 1e-4, "{picture}");

    let text = look(folder, &["heads", "--sequences", "4"]);
    for words in ["layer  previous", "strongest induction head", "repeated random tokens"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    fs::write(folder.join("text.txt"), "ab=ab.1+2=3.".repeat(200)).unwrap();
    let text = look(folder, &["heads", "--sequences", "4", "--length", "8", "--text", "text.txt"]);
    assert!(text.contains("in-context learning, text"), "{text}");
    let heads = &json(folder, &["heads", "--sequences", "4", "--length", "8"])[0][0];
    assert_eq!(heads["loss_by_position"].as_array().unwrap().len(), 15);
    assert_eq!(heads["scores"].as_array().unwrap().len() % 3, 0);

    let text = look(folder, &["causal", "--facts", "facts.jsonl", "--rank", "0", "--draws", "2"]);
    for words in [
        "lens P@1",
        "5 facts. Restore",
        "1 (the object is of several tokens)",
        "1 (words follow the gap, which a causal model does not see)",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let causal = &json(folder, &["causal", "--facts", "facts.jsonl", "--rank", "0", "--corrupt", "swap"])[0][0];
    // Ten kinds in one layer.
    assert_eq!(causal["effects"].as_array().unwrap().len(), 10);
    assert!(causal["disagreements"][0].as_str().unwrap().starts_with("The lens"), "{causal}");
}

#[test]
fn causes_are_traced_in_models_that_see_both_ways() {
    let folder = grown(MASKED);
    let line = |subject: &str, object: &str| {
        format!(
            r#"{{"relation": "where", "subject": "{subject}", "template": "[X] standing on the [Y], and line", "object": "{object}"}}"#
        ) + "\n"
    };
    let facts =
        line("9 green bottles", "wall") + &line("17 green bottles", "wall") + &line("5 green bottles", "17 walls");
    fs::write(folder.path().join("facts.jsonl"), facts).unwrap();
    let text = look(folder.path(), &["causal", "--facts", "facts.jsonl", "--rank", "0", "--draws", "2"]);
    for words in ["2 facts. Restore", "1 (the object is of several tokens)", "lens P@1"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let causal = &json(folder.path(), &["causal", "--facts", "facts.jsonl", "--rank", "0", "--draws", "2"])[0][0];
    // Ten kinds in each of two layers.
    assert_eq!(causal["effects"].as_array().unwrap().len(), 20);
}

#[test]
fn mistakes_are_told() {
    let folder = with_facts();
    let wrong = |arguments: &[&str]| {
        let all = [&["look"], arguments, &["--model", "model", "--quiet"]].concat();
        told(folder.path(), &saltus(folder.path(), &all))
    };
    insta::assert_snapshot!("target of several tokens", wrong(&["prompt", "1+2=", "--target", "34"]));
    insta::assert_snapshot!("target without a token", wrong(&["prompt", "1+2=", "--target", "é"]));
    insta::assert_snapshot!("empty prompt", wrong(&["prompt", ""]));
    insta::assert_snapshot!("prompt too long", wrong(&["prompt", &"1+2=".repeat(20)]));
    insta::assert_snapshot!("copies too long", wrong(&["heads", "--length", "33"]));
    insta::assert_snapshot!("one sequence", wrong(&["heads", "--sequences", "1"]));
    fs::write(folder.path().join("short.txt"), "1+2=3").unwrap();
    insta::assert_snapshot!("text too short", wrong(&["heads", "--text", "short.txt"]));
    let facts = |text: &str, more: &[&str]| {
        fs::write(folder.path().join("mine.jsonl"), text).unwrap();
        wrong(&[&["causal", "--facts", "mine.jsonl"], more].concat())
    };
    insta::assert_snapshot!("no facts", facts("\n", &[]));
    insta::assert_snapshot!("broken facts", facts("{\"relation\": \"sum\"}\n", &[]));
    insta::assert_snapshot!("no fact to trace", facts(FACTS.lines().last().unwrap(), &[]));
    insta::assert_snapshot!("even window", facts(FACTS, &["--rank", "0", "--window", "2"]));
    insta::assert_snapshot!("no noise", facts(FACTS, &["--rank", "0", "--sigmas", "0"]));
    insta::assert_snapshot!("no facts file", wrong(&["causal", "--facts", "missing.jsonl"]));
}
