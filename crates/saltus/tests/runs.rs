//! A study from beginning to end: the second run computes nothing, a change computes only what changed, and the same
//! study gives the same bytes.
#![allow(clippy::unwrap_used)]

mod common;
use common::{TINY, files, folder, saltus, told};
use std::{fs, path::Path};

fn run(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["run", "study.toml", "--json"];
    all.extend(arguments);
    let output = saltus(folder, &all);
    assert!(output.status.success(), "{}", told(folder, &output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn findings(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("studies/tiny/findings.json")).unwrap()
}

#[test]
fn a_study_is_brought_up_to_date() {
    let folder = folder(TINY);
    let first = run(folder.path(), &["--threads", "1"]);
    assert_eq!(first["models_trained"], 4);
    let cells = first["cells_measured"].as_u64().unwrap();
    assert_eq!(cells, 4 * 3);
    let bytes = findings(folder.path());

    // Findings of the same measurements are not made again, unless they are not what was written.
    let path = folder.path().join("studies/tiny/findings.json");
    let written = || fs::metadata(&path).unwrap().modified().unwrap();
    let before = written();
    let second = run(folder.path(), &["--threads", "4"]);
    assert_eq!((&second["models_trained"], &second["cells_measured"]), (&0.into(), &0.into()));
    assert_eq!((&second["verdicts"], &second["headlines"]), (&first["verdicts"], &first["headlines"]));
    assert!(findings(folder.path()) == bytes && written() == before, "the findings were made again");
    fs::write(&path, [&bytes[..], b" "].concat()).unwrap();
    run(folder.path(), &[]);
    assert!(findings(folder.path()) == bytes && written() > before, "the findings differ");

    // Asking more of one task measures that task again; weights and the other task stay.
    let more = TINY.replacen("items = 20\nletters", "items = 25\nletters", 1);
    fs::write(folder.path().join("study.toml"), &more).unwrap();
    let third = run(folder.path(), &[]);
    assert_eq!((&third["models_trained"], &third["cells_measured"]), (&0.into(), &4.into()));

    // One more size: two models, each asked three sets.
    fs::write(folder.path().join("study.toml"), more.replacen("\"12x1\"", "\"12x1\", \"16x1\"", 1)).unwrap();
    let fourth = run(folder.path(), &[]);
    assert_eq!((&fourth["models_trained"], &fourth["cells_measured"]), (&2.into(), &6.into()));

    // Back to the beginning: nothing is computed, and the findings are the same bytes.
    fs::write(folder.path().join("study.toml"), TINY).unwrap();
    let fifth = run(folder.path(), &[]);
    assert_eq!((&fifth["models_trained"], &fifth["cells_measured"]), (&0.into(), &0.into()));
    assert!(findings(folder.path()) == bytes, "the findings differ");
}

#[test]
fn the_page_is_made_again_from_the_records_alone() {
    let folder = folder(TINY);
    run(folder.path(), &[]);
    let root = folder.path().join("studies/tiny");
    let (page, bytes) = (fs::read(root.join("report.html")).unwrap(), findings(folder.path()));
    fs::remove_file(root.join("report.html")).unwrap();
    fs::remove_file(root.join("findings.json")).unwrap();
    fs::remove_dir_all(root.join("models")).unwrap();
    let output = saltus(folder.path(), &["report", "study.toml"]);
    assert!(output.status.success(), "{}", told(folder.path(), &output));
    assert!(fs::read(root.join("report.html")).unwrap() == page, "the page differs");
    assert!(findings(folder.path()) == bytes, "the findings differ");

    // What the records do not hold is a gap; a damaged one is named.
    let of = |ending: &str| files(&root.join("curves")).into_iter().find(|f| f.extension().unwrap() == ending).unwrap();
    let report = || {
        let text = told(folder.path(), &saltus(folder.path(), &["report", "study.toml"])).replace('│', " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let ending = of("json");
    let whole = fs::read(&ending).unwrap();
    fs::remove_file(&ending).unwrap();
    let output = saltus(folder.path(), &["report", "study.toml"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 models and 0 cells: are missing"));
    fs::write(&ending, &whole[..whole.len() / 2]).unwrap();
    assert!(report().contains("does not tell how a training ended"), "{}", report());
    fs::write(&ending, &whole).unwrap();
    fs::write(of("parquet"), "not parquet").unwrap();
    assert!(report().contains("is not a part of losses"), "{}", report());
}

#[test]
fn the_same_study_gives_the_same_bytes_in_another_folder_at_other_threads() {
    let folder = folder(TINY);
    run(folder.path(), &["--threads", "1"]);
    run(folder.path(), &["--threads", "3", "--out", "elsewhere"]);
    assert!(
        findings(folder.path()) == fs::read(folder.path().join("elsewhere/findings.json")).unwrap(),
        "the findings differ"
    );
}

const LOOKS: &str = r#"
[[look]]
at = "knowledge"
family = "copy"

[[look]]
at = "memories"
triggers = 3
sample = 20

[[look]]
at = "heads"
sequences = 4
length = 5
tokens = "abcdefgh"
beginning = "C"

[[look]]
at = "prompt"
text = "Cab|"
target = "a"

[[look]]
at = "causal"
family = "copy"
corrupt = "noise"
draws = 2
remove = "zero"

[analysis]"#;

#[test]
fn looks_are_cells_like_others() {
    let study = TINY.replacen("[analysis]", LOOKS, 1);
    let folder = folder(&study);
    run(folder.path(), &["--quiet"]);
    let bytes_before = findings(folder.path());
    let before: serde_json::Value = serde_json::from_slice(&bytes_before).unwrap();
    let inside = before["inside"].as_array().unwrap();
    let looks = |model: &serde_json::Value| {
        let all = model["numbers"].as_array().unwrap().iter().map(|n| n["look"].as_str().unwrap());
        all.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    // Heads at every checkpoint, the rest at the last, over two seeds each.
    let last = inside.last().unwrap();
    assert_eq!((looks(last).as_str(), last["seeds"].as_u64()), ("causal heads knowledge memories prompt", Some(2)));
    assert!(inside.len() > 4 && looks(&inside[0]) == "heads", "{}", inside.len());
    let details: Vec<&str> =
        last["details"].as_array().unwrap().iter().map(|detail| detail["look"].as_str().unwrap()).collect();
    assert!(details.starts_with(&["knowledge", "memories", "prompt"]), "{details:?}");
    let known = last["numbers"].as_array().unwrap().iter().find(|n| n["metric"] == "known").unwrap();
    // Effects are of what is known; where that is nothing there are none, and the share says so.
    assert_eq!(details.contains(&"causal"), known["value"].as_f64().unwrap() > 0.0, "{known}");

    let inside = folder.path().join("studies/tiny/inside");
    let parts = || {
        let names = fs::read_dir(&inside).unwrap().map(|e| e.unwrap().path());
        let mut names: Vec<_> = names.filter(|p| p.extension().is_some_and(|e| e == "parquet")).collect();
        names.sort();
        names
    };
    let all = parts();
    assert_eq!(run(folder.path(), &["--quiet"])["cells_measured"], 0);
    let bytes = fs::read(&all[0]).unwrap();
    fs::write(&all[0], &bytes[..bytes.len() / 2]).unwrap();
    fs::remove_file(&all[1]).unwrap();
    assert_eq!(run(folder.path(), &["--quiet"])["cells_measured"], 2);
    assert_eq!(fs::read(&all[0]).unwrap(), bytes);
    assert!(findings(folder.path()) == bytes_before, "the findings differ");

    // Whatever judges tables reads them.
    let part = all.iter().find(|p| judged(folder.path(), p).is_some_and(|text| text.contains("induction_max")));
    assert!(part.is_some());

    fs::write(folder.path().join("study.toml"), TINY).unwrap();
    run(folder.path(), &["--quiet"]);
    assert!(parts().is_empty());
    fs::write(folder.path().join("study.toml"), &study).unwrap();
    assert_eq!(run(folder.path(), &["--quiet"])["cells_measured"], 0);
    assert_eq!(parts(), all);
}

/// What `saltus judge` says of a table, if it can.
fn judged(folder: &Path, table: &Path) -> Option<String> {
    let output = saltus(folder, &["judge", table.to_str().unwrap(), "--json"]);
    Some(String::from_utf8(output.stdout).unwrap()).filter(|_| output.status.success())
}

#[test]
fn status_and_plan_name_what_is_missing() {
    let folder = folder(TINY);
    let status = |arguments: &[&str]| saltus(folder.path(), arguments);
    let before: serde_json::Value =
        serde_json::from_slice(&status(&["status", "study.toml", "--json"]).stdout).unwrap();
    assert_eq!(before["missing"], 4 + 12);
    assert!(!folder.path().join("studies").exists(), "looking creates nothing");
    let plan: serde_json::Value =
        serde_json::from_slice(&status(&["run", "study.toml", "--dry-run", "--json"]).stdout).unwrap();
    assert_eq!((&plan["models_missing"], &plan["cells_missing"]), (&4.into(), &12.into()));
    assert_eq!(plan["rungs"].as_array().unwrap().len(), 2);
    run(folder.path(), &[]);
    let after: serde_json::Value = serde_json::from_slice(&status(&["status", "study.toml", "--json"]).stdout).unwrap();
    assert_eq!(after["missing"], 0);
}

#[test]
fn completions_and_help_are_printed() {
    let folder = folder(TINY);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(!saltus(folder.path(), &["completions", shell]).stdout.is_empty());
    }
    assert!(String::from_utf8_lossy(&saltus(folder.path(), &["--help"]).stdout).contains("saltus run pocket"));
}
