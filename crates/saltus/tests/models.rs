//! `saltus models` on a model that was just grown, and on what is no model.
#![allow(clippy::unwrap_used)]

mod common;
use common::{TINY, files, folder, saltus, told};
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
