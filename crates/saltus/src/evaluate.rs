//! `saltus eval`: models asked the questions of tasks.

use crate::{
    EXIT_GAPS,
    arguments::{BoundaryArgument, EvalArguments, PlaceArguments, ShotModeArgument},
    asking::{Asking, EVERY},
    available_cores, models, print,
    scores::{CellShown, Shown, shown, summary},
    table::{columns, count, row},
};
use miette::{IntoDiagnostic, Result, miette};
use saltus_benchmark::{Asked, Catalogue, Error, Event, Places, Planned, Protocol, Store};
use saltus_eval::{Boundary, Cost, Overflow};
use saltus_lm::LanguageModel;
use saltus_record::ModelKey;
use saltus_task::ShotMode;
use saltus_transformer::LocalModel;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode, sync::mpsc, time::Instant};

/// What `saltus eval --json` prints.
#[derive(Serialize)]
struct Evaluated {
    /// Every cell asked for.
    #[serde(flatten)]
    shown: Shown,
    /// Tokens that went through the models in this run.
    tokens_read: u64,
    /// The least that was possible, each distinct prefix of a part read once; generated tokens not among them.
    tokens_least: u64,
    /// With a pass over context and continuation for each candidate.
    tokens_naive: u64,
    /// Cells of which something was computed now.
    cells_computed: usize,
    /// Seconds that the models were asked.
    seconds: f64,
    /// Where the records are.
    folder: PathBuf,
}

/// What `saltus eval --dry-run --json` prints.
#[derive(Serialize)]
struct Forecast {
    model: String,
    cells: usize,
    cells_missing: usize,
    items: usize,
    requests: u64,
    items_refused: u64,
    tokens_least: u64,
    tokens_naive: u64,
    tokens_generated_at_most: u64,
}

pub(crate) fn places(arguments: &PlaceArguments) -> Places {
    let home = || {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        folder("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache"))).unwrap_or_default()
    };
    let cache = arguments.cache.clone().unwrap_or_else(|| home().join("saltus"));
    Places { bigbench: arguments.bigbench.clone(), cache }
}

pub(crate) fn run(arguments: &EvalArguments) -> Result<ExitCode> {
    let catalogue = Catalogue::find(&arguments.tasks, &places(&arguments.places))?;
    let protocol = Protocol {
        shots: arguments.shots.clone(),
        mode: arguments.shot_mode.map(|mode| match mode {
            ShotModeArgument::Fresh => ShotMode::Fresh,
            ShotModeArgument::Fixed => ShotMode::Fixed,
        }),
        seeds: arguments.seeds.clone(),
        limit: arguments.limit,
        unconditional: arguments.unconditional,
    };
    let boundary = arguments.boundary.map(|boundary| match boundary {
        BoundaryArgument::Bigbench => Boundary::BigBench,
        BoundaryArgument::LmEval => Boundary::LmEval,
        BoundaryArgument::Joint => Boundary::Joint,
    });
    let overflow = if arguments.truncate { Overflow::Truncate } else { Overflow::Refuse };
    let asked = Asked { catalogue: &catalogue, protocol: &protocol, boundary, overflow };
    let threads = arguments.threads.unwrap_or_else(available_cores);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().into_diagnostic()?;
    pool.install(|| if arguments.dry_run { forecast(arguments, &asked) } else { evaluate(arguments, &asked) })
}

fn forecast(arguments: &EvalArguments, asked: &Asked<'_>) -> Result<ExitCode> {
    let store = if arguments.out.exists() { Some(Store::open(&arguments.out)?) } else { None };
    let mut forecasts = Vec::new();
    for source in &arguments.models {
        let (model, key) = models::load(source)?;
        let planned = asked.plan(&key, store.as_ref())?;
        let cost = asked.cost(&model, &planned)?;
        forecasts.push(Forecast {
            model: key.name,
            cells: planned.len(),
            cells_missing: planned.iter().filter(|cell| !cell.missing.is_empty()).count(),
            items: planned.iter().map(|cell| cell.header.items).sum(),
            requests: cost.requests,
            items_refused: cost.refused,
            tokens_least: cost.least,
            tokens_naive: cost.naive,
            tokens_generated_at_most: cost.generated_at_most,
        });
    }
    print(arguments.json, &forecasts, || {
        let mut rows = vec![row([
            "model",
            "cells",
            "missing",
            "items",
            "requests",
            "tokens to read",
            "naively",
            "ratio",
            "to generate",
        ])];
        rows.extend(forecasts.iter().map(|f| {
            let ratio = f.tokens_naive as f64 / f.tokens_least.max(1) as f64;
            let at_most = if f.tokens_generated_at_most == 0 { "0" } else { "at most " };
            let generated = count(f.tokens_generated_at_most as f64);
            vec![
                f.model.clone(),
                f.cells.to_string(),
                f.cells_missing.to_string(),
                f.items.to_string(),
                f.requests.to_string(),
                count(f.tokens_least as f64),
                count(f.tokens_naive as f64),
                format!("{ratio:.1}"),
                if f.tokens_generated_at_most == 0 { at_most.into() } else { format!("{at_most}{generated}") },
            ]
        }));
        let mut text = columns(&rows);
        let refused: u64 = forecasts.iter().map(|f| f.items_refused).sum();
        if refused > 0 {
            text += &format!(
                "! {refused} questions do not fit a model's context or have no tokens: they will be listed as not scored \
                 (`--truncate` cuts prompts)\n"
            );
        }
        text
    })
}

fn evaluate(arguments: &EvalArguments, asked: &Asked<'_>) -> Result<ExitCode> {
    let store = Store::create(&arguments.out)?;
    let _member = store.join()?;
    let quiet = arguments.quiet || arguments.json;
    let (mut headers, mut total, mut tokens_read) = (Vec::new(), Cost::default(), 0);
    let (mut cells_computed, mut seconds) = (0, 0.0);
    for source in &arguments.models {
        let (model, key) = models::load(source)?;
        let planned = asked.plan(&key, Some(&store))?;
        cells_computed += planned.iter().filter(|cell| !cell.missing.is_empty()).count();
        let begun = Instant::now();
        total += ask(asked, &model, &key, &planned, &store, quiet)?;
        seconds += begun.elapsed().as_secs_f64();
        tokens_read += model.tokens_read();
        headers.extend(planned.into_iter().map(|cell| cell.header));
    }
    let shown = shown(&store, &headers, None, &asked.catalogue.groups)?;
    let gaps = shown.cells.iter().any(CellShown::has_gaps);
    let evaluated = Evaluated {
        shown,
        tokens_read,
        tokens_least: total.least,
        tokens_naive: total.naive,
        cells_computed,
        seconds,
        folder: arguments.out.clone(),
    };
    print(arguments.json, &evaluated, || {
        let mut text = summary(&evaluated.shown, arguments.subtasks);
        text += &format!(
            "\n{} cells, {cells_computed} of them computed now in {seconds:.0} s: {} tokens read, where a pass for each \
             candidate reads {}.\nrecords: {}\n",
            evaluated.shown.cells.len(),
            count(tokens_read as f64),
            count(total.naive as f64),
            store.root().display()
        );
        text
    })?;
    Ok(if gaps { ExitCode::from(EXIT_GAPS) } else { ExitCode::SUCCESS })
}

/// Asks for all that is missing, with progress; the cost of what was asked.
fn ask(
    asked: &Asked<'_>,
    model: &LocalModel,
    key: &ModelKey,
    planned: &[Planned],
    store: &Store,
    quiet: bool,
) -> Result<Cost> {
    let parts = || planned.iter().flat_map(|cell| &cell.missing);
    let progress = Asking::new(model, &key.name, parts().map(|part| part.bytes).sum(), quiet);
    let (mut cost, mut bytes) = (Cost::default(), parts().map(|part| part.bytes));
    let (over, ended) = mpsc::channel::<()>();
    let asked: Result<(), Error> = std::thread::scope(|scope| {
        // Ends with this closure, also where asking panics.
        let _over = over;
        let progress = &progress;
        scope.spawn(move || {
            while ended.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                progress.draw();
            }
        });
        asked.run(model, key, planned, store, &mut |event| {
            let of_part = match event {
                Event::Begins { cost: of_part, .. } => {
                    cost += of_part;
                    bytes.next().unwrap_or_default()
                }
                Event::Done { .. } => 0,
            };
            progress.tell(event, of_part);
        })
    });
    progress.finish();
    asked.map_err(|e| miette!("{e}"))?;
    Ok(cost)
}
