//! `saltus look memories` on a model that was just grown: the same bytes after a kill, and what is told of mistakes.
#![allow(clippy::unwrap_used)]

mod common;
use common::{TINY, files, folder, grow, saltus, told};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A model in `model` that reads bytes, and `text.txt`.
fn grown() -> TempDir {
    let corpus = "[corpus]\nfiles = [\"text.txt\"]\ntokenizer = \"byte\"\nheld_out = 0.1\nitems = 10\n\n[[ladder]]";
    let folder = folder(&TINY.replacen("[[ladder]]", corpus, 1));
    let line = |i: usize| format!("Take {} and {}. They make {}!\n", i % 10, i / 10 % 10, (i + i / 10) % 10);
    fs::write(folder.path().join("text.txt"), (0..16_000).map(line).collect::<String>()).unwrap();
    grow(folder.path());
    folder
}

const LOOK: [&str; 9] = ["look", "memories", "--model", "model", "--text", "text.txt", "--sample", "100", "--quiet"];

/// What stands in a folder of looks: names and bytes.
fn written(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files(folder).iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

#[test]
fn a_killed_look_goes_on_to_the_same_bytes_and_mistakes_are_told() {
    let folder = grown();
    let at = folder.path();
    let mut child = Command::new(env!("CARGO_BIN_EXE_saltus"))
        .args(LOOK)
        .args(["--out", "killed", "--threads", "1"])
        .current_dir(at)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let parts = || written(&at.join("killed")).into_iter().filter(|(name, _)| name.ends_with(".part")).count();
    while parts() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "no part was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(written(&at.join("killed")).iter().all(|(name, _)| !name.ends_with(".parquet")), "killed too late");
    // What the kill left is on the disk, whole; another part is not believed.
    let part =
        files(&at.join("killed")).into_iter().find(|path| path.extension().is_some_and(|e| e == "part")).unwrap();
    let resumed = saltus(at, &[&LOOK[..], &["--out", "killed"]].concat());
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(!part.exists());
    fs::create_dir(at.join("broken")).unwrap();
    fs::write(at.join("broken").join(part.file_name().unwrap()), [7; 4000]).unwrap();
    for out in ["whole", "broken"] {
        assert!(saltus(at, &[&LOOK[..], &["--out", out, "--threads", "2"]].concat()).status.success());
    }
    let expect = written(&at.join("whole"));
    // Numbers, what stands beside them, the page.
    assert_eq!(expect.len(), 3);
    let finished = |out: &str| -> Vec<_> {
        written(&at.join(out))
            .into_iter()
            .filter(|(name, _)| !name.starts_with(saltus_record::TEMPORARY_PREFIX))
            .collect()
    };
    assert!(finished("killed") == expect && finished("broken") == expect, "other bytes");

    // What is there is only printed.
    let shown = |arguments: &[&str]| {
        let output = saltus(at, &[&LOOK[..], &["--out", "whole"], arguments].concat());
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let begun = Instant::now();
    let table = shown(&[]);
    assert!(begun.elapsed() < Duration::from_secs(5) && table.contains("agreement") && table.contains("silu(G x)"));
    let json: serde_json::Value = serde_json::from_str(&shown(&["--json"])).unwrap();
    let numbers = json[0]["numbers"].as_array().unwrap();
    let cases = numbers.iter().filter(|n| n["metric"].as_str().unwrap().starts_with("from_"));
    let sum: f64 = cases.map(|n| n["value"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert!(numbers.iter().any(|n| n["metric"] == "removal" && n["group"] == "last"));

    mistakes(at);
}

fn mistakes(at: &Path) {
    fs::write(at.join("short.txt"), "One. Two.\nThree.").unwrap();
    fs::write(at.join("blank.txt"), " \n\n").unwrap();
    fs::write(at.join("latin.txt"), b"caf\xe9").unwrap();
    let of = |text: &str, more: &[&str]| {
        told(at, &saltus(at, &[&["look", "memories", "--model", "model", "--text", text, "--quiet"], more].concat()))
    };
    insta::assert_snapshot!("fewer sentences than triggers", of("short.txt", &[]));
    insta::assert_snapshot!("no sentence", of("blank.txt", &[]));
    insta::assert_snapshot!("not utf-8", of("latin.txt", &[]));
    insta::assert_snapshot!("no such text", of("nothing.txt", &[]));
    insta::assert_snapshot!("layer out of range", of("text.txt", &["--layers", "1-2"]));
    insta::assert_snapshot!("no layer", of("text.txt", &["--layers", "two"]));
    insta::assert_snapshot!("no triggers", of("text.txt", &["--top", "0"]));
}
