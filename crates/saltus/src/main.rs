//! The command line: reads arguments, runs studies, shows progress and results.

mod arguments;
mod asking;
mod evaluate;
mod export;
mod fit;
mod forecast;
mod judge;
mod judge_headlines;
mod look;
mod measured;
mod models;
mod plan;
mod progress;
mod scores;
mod table;
mod tasks;

use arguments::{Arguments, Command, RunArguments};
use clap::{CommandFactory, Parser};
use miette::{IntoDiagnostic, Result};
use saltus_study::{Error, Study};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Some models or cells could not be finished; the rest is there.
const EXIT_GAPS: u8 = 3;

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(code) => code,
        Err(report) if is_broken_pipe(&report) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            let of_study = matches!(report.downcast_ref::<Error>(), Some(Error::File { .. }));
            let asked = matches!(
                report.downcast_ref::<saltus_benchmark::Error>(),
                Some(saltus_benchmark::Error::Asked(_) | saltus_benchmark::Error::Task(_))
            );
            let of_table = report.downcast_ref::<measured::Refused>().is_some();
            ExitCode::from(if of_study || asked || of_table { 2 } else { 1 })
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(arguments) => run(&arguments),
        Command::New { path, from, force } => new(&path, &from, force),
        Command::Status { study, out, json } => status(&study, out, json),
        Command::Report { study, out } => report(&study, out),
        Command::Eval(arguments) => evaluate::run(&arguments),
        Command::Tasks(command) => tasks::dispatch(&command),
        Command::Rescore(arguments) => scores::rescore(&arguments),
        Command::Compare(arguments) => scores::compare(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Judge(arguments) => judge::run(&arguments),
        Command::Fit(arguments) => fit::run(&arguments),
        Command::Forecast(arguments) => forecast::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Look(command) => look::dispatch(&command),
        Command::Models(command) => models::dispatch(&command),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "saltus", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let study = read(&arguments.study, arguments.out.clone())?;
    let threads = arguments.threads.unwrap_or_else(available_cores);
    if arguments.dry_run {
        let plan = saltus_study::dry_run(&study, threads)?;
        return print(arguments.json, &plan, || table::plan(&plan));
    }
    let progress = progress::Progress::new(arguments.quiet || arguments.json);
    let outcome = saltus_study::run(&study, threads, &|event| progress.show(event));
    progress.finish();
    let outcome = outcome?;
    print(arguments.json, &outcome, || table::outcome(&outcome))?;
    Ok(if outcome.gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_GAPS) })
}

fn new(path: &Path, from: &str, force: bool) -> Result<ExitCode> {
    let text = saltus_study::builtin(from)?;
    if path == Path::new("-") {
        return write_out(text);
    }
    if path.exists() && !force {
        return Err(Error::Output {
            message: format!("{} exists", path.display()),
            help: "give another path, or overwrite it with `--force`".into(),
        }
        .into());
    }
    std::fs::write(path, text).into_diagnostic()?;
    write_out(&format!(
        "wrote {0}\nsee what it would do:  saltus run {0} --dry-run\nrun it:                saltus run {0}\n",
        path.display()
    ))
}

fn status(study: &str, out: Option<PathBuf>, json: bool) -> Result<ExitCode> {
    let status = saltus_study::status(&read(study, out)?)?;
    print(json, &status, || table::status(&status))
}

fn report(study: &str, out: Option<PathBuf>) -> Result<ExitCode> {
    let outcome = saltus_study::report(&read(study, out)?)?;
    print(false, &outcome, || table::outcome(&outcome))
}

/// A path to a study file, or the name of a built-in study.
fn read(study: &str, out: Option<PathBuf>) -> Result<Study> {
    let path = Path::new(study);
    let is_path = path.is_file() || study.contains(['/', '.']);
    Ok(if is_path { Study::read(path, out)? } else { Study::builtin(study, out)? })
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A value as JSON or as text.
fn print<T: serde::Serialize>(json: bool, value: &T, text: impl Fn() -> String) -> Result<ExitCode> {
    match json {
        true => write_out(&(serde_json::to_string_pretty(value).into_diagnostic()? + "\n")),
        false => write_out(&text()),
    }
}

fn write_out(text: &str) -> Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes()).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// `saltus ... | head` closes the pipe; that is no error of ours.
fn is_broken_pipe(report: &miette::Report) -> bool {
    report
        .chain()
        .any(|e| e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe))
}
