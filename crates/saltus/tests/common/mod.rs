//! A study of seconds, and the binary run on it.
#![allow(dead_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Two sizes of one seed, a few steps each.
pub(crate) const TINY: &str = r#"name = "tiny"
seed = 1

[model]
aspect = 16.0
head_dim = 16
queries_per_kv = 1
rope_base = 1000.0
tied_embedding = false

[train]
tokens = 40_000
context = 64
rows = 8
learning_rate = 0.004
warmup = 0.05
final_rate = 0.02
betas = [0.9, 0.98]
weight_decay = 0.1
clip = 1.0
checkpoints = 3

[[ladder]]
name = "main"
sizes = ["8x1", "12x1"]
seeds = [1, 2]

[[task]]
family = "copy"
weight = 1.0
items = 20
letters = { min = 2, max = 4 }

[[task]]
family = "sum"
weight = 1.0
items = 20
numbers = { min = 2, max = 3 }
style = "direct"
held_out = 0.125

[analysis]
delta = 0.1
resamples = 40
"#;

/// One size of a masked model, a few steps; its text is [`write_song`]'s.
pub(crate) const MASKED: &str = r#"name = "gaps"
seed = 1

[model]
aspect = 16.0
head_dim = 16
queries_per_kv = 1
rope_base = 1000.0
tied_embedding = true

[train]
tokens = 100_000
context = 32
rows = 8
learning_rate = 0.008
warmup = 0.05
final_rate = 0.02
betas = [0.9, 0.98]
weight_decay = 0.1
clip = 1.0
checkpoints = 3

[corpus]
files = ["song.txt"]
tokenizer = { bpe = 400 }
objective = "masked"
held_out = 0.1
items = 12

[[ladder]]
name = "main"
sizes = ["16x2"]
seeds = [1]

[analysis]
delta = 0.1
resamples = 40
"#;

/// Writes the text of [`MASKED`] into `folder`.
pub(crate) fn write_song(folder: &Path) {
    let line = |i: u32| format!("{i} green bottles standing on the wall, and line {i} of the song is sung again.\n");
    fs::write(folder.join("song.txt"), (0..400).map(line).collect::<String>()).unwrap();
}

/// A folder with `study.toml`.
pub(crate) fn folder(study: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("study.toml"), study).unwrap();
    folder
}

/// A folder with `study.toml`, the text of [`MASKED`] and a model that was grown by this study, `model`.
pub(crate) fn grown(study: &str) -> tempfile::TempDir {
    let folder = folder(study);
    write_song(folder.path());
    grow(folder.path());
    folder
}

/// Runs the study of a folder and copies the last of its models to `model`.
pub(crate) fn grow(folder: &Path) {
    let run = saltus(folder, &["run", "study.toml", "--quiet"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let grown = files(&folder.join("studies"));
    let weights = grown.iter().rfind(|path| path.ends_with("model.safetensors")).unwrap();
    fs::create_dir(folder.join("model")).unwrap();
    for file in files(weights.parent().unwrap()) {
        fs::copy(&file, folder.join("model").join(file.file_name().unwrap())).unwrap();
    }
}

/// Runs `saltus` in `folder`.
pub(crate) fn saltus(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_saltus"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Exit code and messages, without what differs from run to run.
pub(crate) fn told(folder: &Path, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace(&folder.display().to_string(), "FOLDER");
    format!("exit {}\n{}", output.status.code().unwrap_or(-1), text.trim_end())
}

/// All files below `folder`, by path.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
