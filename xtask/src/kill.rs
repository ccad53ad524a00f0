//! Conformance of runs with themselves: killed at random moments, and at different numbers of threads.

use crate::shell::{self, Result};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Kills that a study must survive.
const KILLS: u32 = 10;

/// Seed of the moments.
const SEED: u64 = 20_261_123;

/// What a run leaves behind, by path: everything must be the same bytes.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The tiny study, uninterrupted, at 1, 2 and 4 threads, and after ten SIGKILLs: the same bytes each time.
pub(crate) fn check() -> Result {
    // Building is not part of what is timed below.
    shell::tested_saltus()?;
    let begun = Instant::now();
    let reference = files(&tiny_study("uninterrupted", Some(2))?)?;
    let seconds = begun.elapsed().as_secs_f64();
    for threads in [1, 4] {
        let same = files(&tiny_study(&format!("threads-{threads}"), Some(threads))?)?;
        compare(&reference, &same, &format!("at {threads} threads"))?;
    }
    eprintln!("1, 2 and 4 threads: {} files, the same bytes", reference.len());
    compare(&reference, &files(&killed(seconds)?)?, &format!("after {KILLS} kills"))?;
    eprintln!("after {KILLS} kills: {} files, the same bytes", reference.len());
    Ok(())
}

/// Runs conformance/tiny.toml in a fresh folder, which it gives.
pub(crate) fn tiny_study(name: &str, threads: Option<usize>) -> Result<PathBuf> {
    let folder = shell::scratch(name)?.join("out");
    let mut run = command(&shell::tested_saltus()?, &folder);
    if let Some(threads) = threads {
        run.args(["--threads", &threads.to_string()]);
    }
    shell::run(&mut run)?;
    Ok(folder)
}

fn command(saltus: &Path, out: &Path) -> Command {
    let mut command = Command::new(saltus);
    command.arg("run").arg(shell::root().join("conformance/tiny.toml")).arg("--quiet").arg("--out").arg(out);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Kills runs at random moments until ten were killed at work; a study that was finished before its kill starts again
/// in an empty folder. `seconds`: how long an uninterrupted run takes.
fn killed(seconds: f64) -> Result<PathBuf> {
    let saltus = shell::tested_saltus()?;
    let mut folder = shell::scratch("killed")?.join("out");
    let (mut state, mut kills) = (SEED, 0);
    while kills < KILLS {
        // A third of the whole at most, so that one study is killed several times.
        let moment = seconds / 3.0 * unit(&mut state);
        let mut child = command(&saltus, &folder).spawn().map_err(|e| format!("cannot start saltus: {e}"))?;
        std::thread::sleep(Duration::from_secs_f64(moment));
        if kill(&mut child)? {
            kills += 1;
            eprintln!("kill {kills} after {moment:.2} s");
        } else {
            folder = shell::scratch("killed")?.join("out");
        }
    }
    shell::run(&mut command(&saltus, &folder))?;
    Ok(folder)
}

/// Whether the run was still at work; `Child::kill` is SIGKILL.
fn kill(child: &mut Child) -> Result<bool> {
    let finished = child.try_wait().map_err(|e| e.to_string())?;
    if let Some(status) = finished {
        return if status.success() { Ok(false) } else { Err(format!("saltus ended with {status} before its kill")) };
    }
    child.kill().map_err(|e| format!("cannot kill saltus: {e}"))?;
    child.wait().map_err(|e| e.to_string())?;
    Ok(true)
}

/// A number in [0, 1) (SplitMix64).
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Every file below `folder`; findings, weights and records must be among them.
pub(crate) fn files(folder: &Path) -> Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(|e| format!("cannot read {}: {e}", next.display()))?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
                found.insert(path.strip_prefix(folder).unwrap_or(&path).to_path_buf(), bytes);
            }
        }
    }
    let ending = |end: &str| found.keys().any(|path| path.to_string_lossy().ends_with(end));
    match ["findings.json", ".safetensors", ".parquet"].iter().find(|end| !ending(end)) {
        Some(missing) => Err(format!("no {missing} in {}", folder.display())),
        None => Ok(found),
    }
}

fn compare(expected: &Files, found: &Files, when: &str) -> Result {
    let paths = expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path)));
    let different: Vec<String> =
        paths.filter(|path| expected.get(*path) != found.get(*path)).map(|path| path.display().to_string()).collect();
    if different.is_empty() { Ok(()) } else { Err(format!("{when}, these files differ: {}", different.join(", "))) }
}
