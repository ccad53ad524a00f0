//! `saltus look` on a model that was just grown, and the mistakes that users make.
#![allow(clippy::unwrap_used)]

mod common;
use common::{TINY, files, grown, saltus, told};
use std::{fs, path::Path};

const FACTS: &str = r#"{"relation": "copy", "prompt": "abc=", "target": "a"}
{"relation": "copy", "prompt": "ca=", "target": "c"}
{"relation": "sum", "subject": "1+2", "template": "[X]=[Y].", "object": "3"}
{"relation": "sum", "subject": "2+2", "template": "[X]=[Y]", "object": "4"}
{"relation": "sum", "subject": "2+2", "template": "2+2=[Y]", "object": "4"}
{"relation": "sum", "subject": "5+6", "template": "[X]=[Y]", "object": "11"}
{"relation": "sum", "subject": "5+6", "template": "[Y]=[X]", "object": "11"}
"#;

fn knowledge(folder: &Path, more: &[&str]) -> std::process::Output {
    let all = [&["look", "knowledge", "--model", "model", "--facts", "facts.jsonl"], more].concat();
    saltus(folder, &all)
}

#[test]
fn facts_are_asked_once_and_left_out_facts_are_counted() {
    let folder = grown(TINY);
    fs::write(folder.path().join("facts.jsonl"), FACTS).unwrap();
    let look = |more: &[&str]| {
        let output = knowledge(folder.path(), more);
        assert!(output.status.success(), "{}", told(folder.path(), &output));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = look(&[]);
    for words in ["logit lens: ", "layer  P@1", "P@10", "MRR", "left out: 1: the template has no slot [X]", "no null"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("earlier run"), "{text}");
    let part = files(&folder.path().join("looks")).into_iter().next().unwrap();
    let written = fs::metadata(&part).unwrap().modified().unwrap();
    assert!(look(&[]).contains("earlier run"));
    assert_eq!(fs::metadata(&part).unwrap().modified().unwrap(), written);
    fs::write(folder.path().join("text.txt"), "1+2=3 abc=abc 2+2=4 ca=ca\n".repeat(200)).unwrap();
    let json = look(&["--lens", "tuned", "--text", "text.txt", "--steps", "5", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["method"], "tuned-lens");
    assert_eq!(json[0]["layers"], serde_json::json!([0, 1]));
    let metrics: Vec<&str> =
        json[0]["numbers"].as_array().unwrap().iter().map(|n| n["metric"].as_str().unwrap()).collect();
    for metric in ["p_at_1", "p_at_10", "mrr", "p_at_1_total", "p_at_1_total_null", "held_out_nats"] {
        assert!(metrics.contains(&metric), "{metric}: {metrics:?}");
    }
    // The same in other threads, computed anew.
    let again =
        look(&["--lens", "tuned", "--text", "text.txt", "--steps", "5", "--json", "--threads", "1", "--out", "other"]);
    let found = |mut json: serde_json::Value| {
        // It lies elsewhere.
        json[0].as_object_mut().unwrap().remove("observations").unwrap();
        json
    };
    assert_eq!(found(serde_json::from_str(&again).unwrap()), found(json));
}

#[test]
fn mistakes_are_told() {
    let folder = grown(TINY);
    let look = |facts: &str, more: &[&str]| {
        fs::write(folder.path().join("facts.jsonl"), facts).unwrap();
        told(folder.path(), &knowledge(folder.path(), more))
    };
    insta::assert_snapshot!("no facts", look("\n", &[]));
    insta::assert_snapshot!("broken fact", look(&format!("{FACTS}not json\n"), &[]));
    insta::assert_snapshot!("fact without object", look("{\"relation\": \"r\", \"prompt\": \"a\"}\n", &[]));
    let line = r#"{"relation": "sum", "subject": "2+2", "template": "[X] is", "object": "4"}"#;
    insta::assert_snapshot!("no slot", look(line, &[]));
    insta::assert_snapshot!("no such layer", look(FACTS, &["--layers", "1,99"]));
    insta::assert_snapshot!("no text", look(FACTS, &["--lens", "tuned"]));
    insta::assert_snapshot!("text for nothing", look(FACTS, &["--text", "facts.jsonl"]));
    fs::write(folder.path().join("short.txt"), "1+2=3").unwrap();
    insta::assert_snapshot!("too little text", look(FACTS, &["--lens", "tuned", "--text", "short.txt"]));
    fs::remove_file(folder.path().join("facts.jsonl")).unwrap();
    insta::assert_snapshot!("no file of facts", told(folder.path(), &knowledge(folder.path(), &[])));
}
