//! `saltus models` on a model that was just grown, and on what is no model.
#![allow(clippy::unwrap_used)]

mod common;
use common::{MASKED, TINY, files, folder, saltus, told, write_song};
use std::fs;

#[test]
fn a_grown_model_is_shown_and_broken_ones_are_refused() {
    let folder = folder(TINY);
    let run = saltus(folder.path(), &["run", "study.toml", "--quiet"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let weights = files(&folder.path().join("studies/tiny/models"));
    let weights = weights.iter().rfind(|path| path.ends_with("model.safetensors")).unwrap();
    let model = weights.parent().unwrap().to_str().unwrap();

    let shown = saltus(folder.path(), &["models", "show", model, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(weights.with_file_name("config.json")).unwrap()).unwrap();
    assert_eq!(shown["family"], "llama");
    assert_eq!(shown["width"], config["hidden_size"]);
    assert_eq!(shown["layers"], 1);
    let header = 8 + u64::from_le_bytes(fs::read(weights).unwrap()[..8].try_into().unwrap());
    let bytes = fs::metadata(weights).unwrap().len() - header;
    assert_eq!(shown["parameters"].as_u64().unwrap() * 4, bytes, "{shown}");
    let table = 2 * shown["vocabulary"].as_u64().unwrap() * shown["width"].as_u64().unwrap();
    assert_eq!(shown["parameters_without_embeddings"].as_u64().unwrap() + table, shown["parameters"].as_u64().unwrap());
    let text = saltus(folder.path(), &["models", "show", model]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("RMSNorm before") && text.contains("F32") && text.contains("without embeddings"), "{text}");

    // What a person does wrong.
    insta::assert_snapshot!(
        "not there",
        told(folder.path(), &saltus(folder.path(), &["models", "show", "nothing.gguf"]))
    );
    fs::write(folder.path().join("text.gguf"), "no model").unwrap();
    insta::assert_snapshot!("no model", told(folder.path(), &saltus(folder.path(), &["models", "show", "text.gguf"])));
    let whole = fs::read(weights).unwrap();
    fs::create_dir(folder.path().join("short")).unwrap();
    fs::copy(weights.with_file_name("config.json"), folder.path().join("short/config.json")).unwrap();
    fs::write(folder.path().join("short/model.safetensors"), &whole[..whole.len() - 4]).unwrap();
    insta::assert_snapshot!("cut short", told(folder.path(), &saltus(folder.path(), &["models", "show", "short"])));
    fs::write(folder.path().join("short/model.safetensors"), &whole).unwrap();
    let other = fs::read_to_string(folder.path().join("short/config.json")).unwrap();
    fs::write(folder.path().join("short/config.json"), other.replace("\"llama\"", "\"mamba\"")).unwrap();
    insta::assert_snapshot!(
        "unknown family",
        told(folder.path(), &saltus(folder.path(), &["models", "show", "short"]))
    );
    fs::write(folder.path().join("short/config.json"), other).unwrap();
    insta::assert_snapshot!(
        "no tokenizer",
        told(folder.path(), &saltus(folder.path(), &["models", "ask", "short", "hello"]))
    );
}

/// A masked study from its text to a filled gap, and the second run that computes nothing.
#[test]
fn a_masked_model_is_grown_shown_and_asked() {
    let folder = folder(MASKED);
    write_song(folder.path());
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = saltus(folder.path(), arguments);
        assert!(output.status.success(), "{}", told(folder.path(), &output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let plan = json(&["run", "study.toml", "--dry-run", "--json"]);
    assert_eq!((&plan["models_missing"], &plan["cells_missing"]), (&1.into(), &3.into()));
    let run = json(&["run", "study.toml", "--json"]);
    assert_eq!(
        (&run["models_trained"], &run["cells_measured"], run["gaps"].as_array().unwrap().len()),
        (&1.into(), &3.into(), 0)
    );
    let again = json(&["run", "study.toml", "--json", "--threads", "3"]);
    assert_eq!((&again["models_trained"], &again["cells_measured"]), (&0.into(), &0.into()));
    let findings: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("studies/gaps/findings.json")).unwrap()).unwrap();
    let held_out = findings["curves"][0]["held_out"].as_array().unwrap();
    let loss = |at: usize| held_out[at][1].as_f64().unwrap();
    assert!(held_out.len() == 3 && loss(2) < loss(0), "{held_out:?}");

    let weights = files(&folder.path().join("studies/gaps/models"));
    let grown = weights.iter().rfind(|path| path.ends_with("model.safetensors")).unwrap().parent().unwrap();
    fs::rename(grown, folder.path().join("grown")).unwrap();
    let shown = json(&["models", "show", "grown", "--json"]);
    assert_eq!(shown["family"], "eurobert");
    assert!(shown["design"].as_array().unwrap().contains(&"sees both ways".into()), "{shown}");
    let ask = |text: &str| saltus(folder.path(), &["models", "ask", "grown", text, "--json"]);
    let gaps: serde_json::Value =
        serde_json::from_slice(&ask("7 green bottles [MASK] on the [MASK], and line").stdout).unwrap();
    let candidates = |gap: usize| gaps[gap]["candidates"].as_array().unwrap();
    assert!(gaps.as_array().unwrap().len() == 2 && candidates(0).len() == 10 && candidates(1).len() == 10, "{gaps}");
    assert_eq!((&candidates(0)[0]["text"], &candidates(1)[0]["text"]), (&" standing".into(), &" wall".into()));
    insta::assert_snapshot!("no gap", told(folder.path(), &ask("7 green")));
    insta::assert_snapshot!("no second sentence", told(folder.path(), &ask("7 [MASK][SEP]8")));
}
