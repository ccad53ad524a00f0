//! `cargo xtask fuzz`: the readers of foreign files against inputs that coverage leads to.
//!
//! The counters that libFuzzer steers by are an LLVM pass, which the stable compiler takes as `-C passes`; only address
//! sanitizing would ask for nightly, and the readers have one line of unsafe code. Each target counts what it allocates.

use crate::shell::{self, Result, cargo, section};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const TARGETS: [&str; 10] =
    ["safetensors", "gguf", "config", "tokenizer", "llama2c", "bigbench", "task_file", "lm_eval", "data", "results"];

/// The rooms whose example `seeds` writes valid files, and dictionaries of what stands in them.
const SEEDS: [&str; 3] = ["saltus-checkpoint", "saltus-task", "saltus-results"];

/// As `cargo fuzz` sets them, without a sanitizer.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Seconds after which an input counts as one that hangs.
const PATIENCE: &str = "-timeout=20";

/// Runs the named targets (all of them when none is named) for so many minutes each, one after the other on one core.
/// What is found stays in `target/fuzz/TARGET`; a target that finds something fails.
pub(crate) fn run(minutes: &str, names: &[&str]) -> Result {
    let minutes: f64 = minutes.parse().map_err(|_| format!("`--minutes {minutes}`: write a number"))?;
    if let Some(unknown) = names.iter().find(|name| !TARGETS.contains(name)) {
        return Err(format!("no such target: {unknown}; the targets are {}", TARGETS.join(", ")));
    }
    let folder = shell::target().join("fuzz");
    let seeds = shell::scratch("seeds")?;
    for package in SEEDS {
        // Examples of all rooms lie in one folder: each has a name of its own.
        let example = format!("{}_seeds", package.trim_start_matches("saltus-"));
        shell::run(Command::new(shell::release_example(package, &example)?).arg(&seeds))?;
    }
    let programs = build(&folder)?;
    let mut failed = Vec::new();
    for target in TARGETS.iter().filter(|target| names.is_empty() || names.contains(target)) {
        section(target);
        if let Err(message) = fuzz(&programs.join(target), &folder.join(target), &seeds.join(target), minutes) {
            eprintln!("{message}");
            failed.push(*target);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("findings in {}: {}", folder.display(), failed.join(", "))) }
}

/// Builds every target; gives the folder with the programs.
fn build(folder: &Path) -> Result<PathBuf> {
    let host = shell::output(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV names no host")?.to_owned();
    let manifest = shell::root().join("fuzz/Cargo.toml");
    // With a target named, build scripts and macros are built without the flags.
    let mut command = cargo("build --quiet --release --bins --locked");
    command.arg("--manifest-path").arg(manifest).args(["--target", &host]);
    command.env("CARGO_TARGET_DIR", folder.join("build")).env("RUSTFLAGS", FLAGS);
    shell::run(&mut command)?;
    Ok(folder.join("build").join(host).join("release"))
}

fn fuzz(program: &Path, corpus: &Path, seeds: &Path, minutes: f64) -> Result {
    std::fs::create_dir_all(corpus).map_err(|e| format!("cannot create {}: {e}", corpus.display()))?;
    let seconds = (minutes * 60.0).ceil();
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}")).args([
        PATIENCE,
        "-verbosity=0",
        "-print_final_stats=1",
        "-max_len=65536",
        "-rss_limit_mb=4096",
    ]);
    let dictionary = seeds.with_extension("dict");
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.arg(format!("-artifact_prefix={}/found-", corpus.display())).arg(corpus).arg(seeds);
    shell::run(&mut command)
}
