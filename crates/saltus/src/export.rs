//! `saltus export`: records as the files of other programs.

use crate::{
    EXIT_GAPS,
    arguments::{ExportArguments, ExportFormat},
    judge::bar,
    print,
};
use miette::{Result, miette};
use saltus_benchmark::{Export, Exported, Header, Store, export_bigbench, export_lm_eval};
use serde::Serialize;
use std::{
    fmt::Write,
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// What `saltus export --json` prints.
#[derive(Serialize)]
struct Shown {
    files: Vec<PathBuf>,
    /// What could not be written, and why.
    left_out: Vec<(String, String)>,
    /// Questions without an answer, which are in no file.
    unscored: usize,
}

pub(crate) fn run(arguments: &ExportArguments) -> Result<ExitCode> {
    let store = Store::open(&arguments.folder)?;
    let cells = selected(&store, arguments)?;
    let bar = bar(("exporting", "cells"), cells.len() as u64, arguments.json);
    let mut told = |_: &Header| bar.inc(1);
    let export = Export { store: &store, cells: &cells, out: &arguments.out };
    let exported = match arguments.to {
        ExportFormat::LmEval => export_lm_eval(&export, arguments.date.unwrap_or_else(now), &mut told),
        ExportFormat::Bigbench => {
            let family = |name: &str| saltus_results::model_name(name).family;
            export_bigbench(&export, &family, &mut told)
        }
    };
    bar.finish_and_clear();
    let Exported { files, left_out, unscored, .. } = exported?;
    let shown = Shown { files, left_out, unscored };
    print(arguments.json, &shown, || text(&shown))?;
    let gaps = unscored > 0 || !shown.left_out.is_empty();
    Ok(if gaps { ExitCode::from(EXIT_GAPS) } else { ExitCode::SUCCESS })
}

/// The cells of the tasks and models asked for.
fn selected(store: &Store, arguments: &ExportArguments) -> Result<Vec<Header>> {
    let is_task = |header: &Header| {
        let is = |task: &String| header.task == *task || header.name() == *task;
        arguments.tasks.is_empty() || arguments.tasks.iter().any(is)
    };
    let is_model = |header: &Header| arguments.models.is_empty() || arguments.models.contains(&header.model);
    let cells: Vec<Header> = store.cells()?.into_iter().filter(|h| is_task(h) && is_model(h)).collect();
    if cells.is_empty() {
        return Err(miette!(
            help = "`saltus rescore FOLDER` shows all models and tasks that are there",
            "no measured cell in {} fits",
            arguments.folder.display()
        ));
    }
    Ok(cells)
}

/// Seconds since 1970, UTC.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn text(shown: &Shown) -> String {
    let mut text = String::new();
    for path in &shown.files {
        let _ = writeln!(text, "{}", path.display());
    }
    for (name, why) in &shown.left_out {
        let _ = writeln!(text, "! {name}: not exported: {why}");
    }
    if shown.unscored > 0 {
        let _ = writeln!(text, "! {} questions have no answer and are in no file", shown.unscored);
    }
    text
}
