//! `cargo xtask conformance`: agreement with other programs, and of runs with themselves.

use crate::{
    kill, law, python,
    shell::{self, Result, cargo, section},
};
use std::process::Command;

type Part = (&'static str, &'static str, fn() -> Result);

const PARTS: [Part; 5] = [
    ("torch", "models, gradients and AdamW steps against transformers and PyTorch", torch),
    ("law", "Chinchilla's runs against the published fit", law::check),
    ("records", "records in pandas, polars and DuckDB", records),
    ("kill", "the same findings after ten kills, and at 1, 2 and 4 threads", kill::check),
    ("page", "the report in headless Chromium", page),
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
    for (package, example) in [("saltus-train", "gradient_dump"), ("xtask", "agreement")] {
        shell::run(Command::new(shell::release_example(package, example)?).arg(&folder))?;
    }
    shell::run(python::script("torch_agreement.py")?.arg(&folder))
}

/// A small study's records, in three readers.
fn records() -> Result {
    let folder = kill::tiny_study("records", None)?;
    shell::run(python::script("records.py")?.arg(&folder))
}

/// The report's own tests; here a missing browser fails them.
fn page() -> Result {
    shell::run(cargo("test --package saltus-report").env("SALTUS_REQUIRE_BROWSER", "1"))
}
