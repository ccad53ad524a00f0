//! `cargo xtask conformance`: agreement with other programs, and of runs with themselves.

use crate::{
    bigbench, eval, export, judge, kill, law, lm_eval, models, python,
    shell::{self, Result, section},
};
use std::{path::Path, process::Command};

type Part = (&'static str, &'static str, fn() -> Result);

const PARTS: [Part; 10] = [
    ("torch", "trained models, gradients and AdamW steps against transformers and PyTorch", torch),
    ("models", "foreign models and tokenizers against transformers, llama.cpp and llama2.c", models::check),
    ("lm_eval", "task files: contexts, continuations and scores against lm-evaluation-harness", lm_eval::check),
    ("bigbench", "prompts and metrics against the package bigbench", bigbench::check),
    ("eval", "`saltus eval`: log-probabilities, texts and scores against lm-evaluation-harness", eval::check),
    ("export", "exports read by lm-evaluation-harness and by the package bigbench", export::check),
    ("law", "Chinchilla's runs against the published fit", law::check),
    ("judge", "verdicts on published measurements against what is known of them", judge::check),
    ("records", "records in pandas, polars and DuckDB", records),
    ("kill", "the same findings after ten kills, and at 1, 2 and 4 threads", kill::check),
];

/// Runs the named parts (all of them when none is named), also after one has failed.
pub(crate) fn run(names: &[&str]) -> Result {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|(part, ..)| part == *name)) {
        return Err(format!("no such part: {unknown}; the parts are {}", PARTS.map(|(part, ..)| part).join(", ")));
    }
    let mut failed = Vec::new();
    for (part, about, check) in PARTS.iter().filter(|(part, ..)| names.is_empty() || names.contains(part)) {
        section(&format!("{part}: {about}"));
        match check() {
            Ok(()) => eprintln!("{part} ok"),
            Err(message) => {
                eprintln!("{message}\n{part} FAILED");
                failed.push(*part);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// What saltus-train's and our own example dump, against transformers and PyTorch.
fn torch() -> Result {
    let folder = shell::scratch("torch")?;
    shell::run(Command::new(shell::tested_example("gradient_dump")?).arg(&folder))?;
    add_grown_model(&folder)?;
    shell::run(Command::new(shell::tested_example("agreement")?).arg(&folder))?;
    shell::run(python::script("torch_agreement.py")?.arg(&folder))
}

/// The case `grown`: a largest model of the tiny study after its training, asked about the batch of the case `plain`.
fn add_grown_model(folder: &Path) -> Result {
    let files = kill::files(&kill::tiny_study("grown", None)?)?;
    let weights = files.iter().filter(|(path, _)| path.ends_with("model.safetensors"));
    // Among files of equal length the last path: the last step, because the steps' names have leading zeros.
    let (path, bytes) = weights.max_by_key(|(path, bytes)| (bytes.len(), *path)).ok_or("no model was grown")?;
    let config = files.get(&path.with_file_name("config.json")).ok_or("the grown model has no config.json")?;
    let batch =
        std::fs::read(folder.join("plain/batch.json")).map_err(|e| format!("no batch of the case plain: {e}"))?;
    let case = folder.join("grown");
    std::fs::create_dir_all(case.join("model")).map_err(|e| format!("cannot create {}: {e}", case.display()))?;
    for (name, bytes) in [("model/model.safetensors", bytes), ("model/config.json", config), ("batch.json", &batch)] {
        std::fs::write(case.join(name), bytes).map_err(|e| format!("cannot write {name}: {e}"))?;
    }
    Ok(())
}

/// A small study's records, in three readers.
fn records() -> Result {
    let folder = kill::tiny_study("records", None)?;
    shell::run(python::script("records.py")?.arg(&folder))
}
