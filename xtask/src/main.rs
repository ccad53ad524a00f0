//! Automation of the project: `cargo xtask check | bench | calibrate | fuzz | conformance`.

mod architecture;
mod bench;
mod bench_eval;
mod bench_fit;
mod bigbench;
mod calibrate;
mod check;
mod conformance;
mod deny;
mod eval;
mod export;
mod fuzz;
mod judge;
mod kill;
mod law;
mod lm_eval;
mod models;
mod python;
mod shell;
mod size;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  check [--fix]              format, lints, docs, architecture, size limits, dependencies
  bench train [--json]       training speed beside PyTorch eager on the shapes xs, s, m
  bench models               loading, scoring and generating beside transformers and llama.cpp (JSON)
  bench eval [QUESTIONS]     benchmark tasks beside lm-evaluation-harness (JSON; 16 questions, one round: a quarter of an
                             hour; of a number that is given, three rounds)
  bench fit                  refits of Chinchilla's law beside SciPy (JSON)
  calibrate [PART...] [--ladders N]
                             how often verdicts, forecasts and intervals are right, from N (100) simulations of each
                             truth; parts: judge, law
  fuzz [--minutes N] [TARGET...]
                             hostile model and task files for N minutes (1) each; targets: safetensors, gguf,
                             config, tokenizer, llama2c, bigbench, task_file, lm_eval, data, results
  conformance [PART...]      agreement with other programs and with itself; parts:
                             torch, models, lm_eval, bigbench, eval, export, law, judge, records, kill (all when
                             none is named); SALTUS_BIGBENCH=all compares all of BIG-bench

The Python environment of `bench` and `conformance` (conformance/requirements.txt, about 6 GB with PyTorch) is made
once, in the target folder. Inputs that are not in this repository are looked for in $SALTUS_SHARED, else ../shared.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["check"] => check::run(false),
        ["check", "--fix"] => check::run(true),
        ["bench", "train"] => bench::train(false),
        ["bench", "train", "--json"] => bench::train(true),
        ["bench", "models"] => bench::models(),
        ["bench", "eval"] => bench_eval::eval("16", 1),
        ["bench", "eval", questions] => bench_eval::eval(questions, 3),
        ["bench", "fit"] => bench_fit::fit(),
        ["calibrate", parts @ .., "--ladders", ladders] => calibrate::run(parts, ladders),
        ["calibrate", parts @ ..] => calibrate::run(parts, "100"),
        ["fuzz", "--minutes", minutes, targets @ ..] => fuzz::run(minutes, targets),
        ["fuzz", targets @ ..] => fuzz::run("1", targets),
        ["conformance", parts @ ..] => conformance::run(parts),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("no such command: `cargo xtask {}`\n\n{USAGE}", arguments.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nxtask: {message}");
            ExitCode::FAILURE
        }
    }
}
