//! Scores as tables and as JSON; `saltus rescore` and `saltus compare`.

use crate::{
    EXIT_GAPS,
    arguments::{CompareArguments, RescoreArguments, ViewArguments},
    print,
    table::{columns, count, row},
};
use miette::{Result, miette};
use saltus_benchmark::{Aggregate, Compared, Comparison, Error, Header, Scored, Selector, Store, aggregates, score};
use saltus_eval::{Grade, Grading, Metric, Normalisation, View};
use saltus_task::lm_eval::{Group, PythonRegex};
use serde::Serialize;
use std::{fmt::Write, process::ExitCode};

/// Scores of cells, and those made from several.
#[derive(Serialize)]
pub(crate) struct Shown {
    /// Every cell.
    pub(crate) cells: Vec<CellShown>,
    /// Tasks with subtasks, and groups.
    pub(crate) aggregates: Vec<Aggregate>,
}

/// A cell with its scores.
#[derive(Serialize)]
pub(crate) struct CellShown {
    model: String,
    family: String,
    task: String,
    subtask: String,
    shots: u32,
    shot_mode: String,
    seed: u64,
    boundary: String,
    chance: f64,
    /// Questions asked.
    items: usize,
    /// Of them without an answer.
    unscored: usize,
    /// Why the first of these has none.
    unscored_reason: Option<String>,
    scores: Vec<ScoreShown>,
    /// Why there are no scores.
    problem: Option<String>,
}

#[derive(Serialize)]
struct ScoreShown {
    #[serde(flatten)]
    grade: Grade,
    /// Ends of the 95% interval.
    low: Option<f64>,
    high: Option<f64>,
}

impl CellShown {
    fn new(scored: Scored) -> Self {
        let Scored { header, grades, unscored, .. } = scored;
        let (scores, problem) = match grades {
            Ok(grades) => (grades, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let with_interval = |grade: Grade| {
            let (low, high) = (grade.interval.map(|i| i.low), grade.interval.map(|i| i.high));
            ScoreShown { grade, low, high }
        };
        CellShown {
            model: header.model,
            family: header.family,
            task: header.task,
            subtask: header.subtask,
            shots: header.shots,
            shot_mode: header.shot_mode,
            seed: header.seed,
            boundary: header.boundary,
            chance: header.chance,
            items: header.items,
            unscored: unscored.as_ref().map_or(0, |(count, _)| *count),
            unscored_reason: unscored.map(|(_, reason)| reason),
            scores: scores.into_iter().map(with_interval).collect(),
            problem,
        }
    }

    /// Whether a question, or all of them, went without an answer.
    pub(crate) fn has_gaps(&self) -> bool {
        self.unscored > 0 || self.problem.is_some()
    }

    fn name(&self) -> String {
        if self.subtask.is_empty() { self.task.clone() } else { format!("{}:{}", self.task, self.subtask) }
    }
}

/// The scores of cells by their own grading, or by another.
pub(crate) fn shown(
    store: &Store,
    headers: &[Header],
    grading: Option<&Grading>,
    groups: &[Group],
) -> Result<Shown, Error> {
    let scored = headers.iter().map(|header| score(store, header, grading)).collect::<Result<Vec<_>, _>>()?;
    let aggregates = if grading.is_none() { aggregates(&scored, groups) } else { Vec::new() };
    Ok(Shown { cells: scored.into_iter().map(CellShown::new).collect(), aggregates })
}

/// A table of scores; those of subtasks only if asked for.
pub(crate) fn summary(shown: &Shown, subtasks: bool) -> String {
    let mut rows = vec![row(["model", "task", "shots", "metric", "score", "95% interval", "chance", "items"])];
    for cell in shown.cells.iter().filter(|cell| subtasks || cell.subtask.is_empty() || cell.problem.is_some()) {
        let place = [cell.model.clone(), cell.name(), shots(cell.shots, &cell.shot_mode)];
        if cell.scores.is_empty() {
            rows.push(place.iter().cloned().chain(["-", "none", "", "", "0"].map(str::to_owned)).collect());
        }
        for ScoreShown { grade, low, high } in &cell.scores {
            let interval =
                low.zip(*high).map_or(String::new(), |(low, high)| format!("{} to {}", number(low), number(high)));
            let filter = grade.filter.as_deref().filter(|filter| *filter != "none");
            let metric = filter.map_or(grade.metric.clone(), |filter| format!("{},{filter}", grade.metric));
            let arrow = if grade.higher_is_better { "" } else { " (less is better)" };
            let chance = if grade.preferred && cell.chance > 0.0 { number(cell.chance) } else { String::new() };
            let items = (cell.items - cell.unscored).to_string();
            let score = [metric + arrow, number(grade.value), interval, chance, items];
            rows.push(place.iter().cloned().chain(score).collect());
        }
    }
    for a in &shown.aggregates {
        let error = a.standard_error.map_or(String::new(), |error| {
            let half = 1.96 * error;
            format!("{} to {}", number(a.value - half), number(a.value + half))
        });
        let score = [a.metric.clone(), number(a.value), error, String::new(), format!("{} scores", a.of)];
        let place = [a.model.clone(), a.name.clone(), shots(a.shots, &a.shot_mode)];
        rows.push(place.into_iter().chain(score).collect());
    }
    let mut text = columns(&rows);
    for cell in shown.cells.iter().filter(|cell| cell.has_gaps()) {
        let (name, model) = (cell.name(), &cell.model);
        if let Some(reason) = &cell.unscored_reason {
            let _ = writeln!(text, "! {name}, {model}: {} of {} items not scored: {reason}", cell.unscored, cell.items);
        }
        if let Some(problem) = cell.problem.as_ref().filter(|_| cell.unscored < cell.items) {
            let _ = writeln!(text, "! {name}, {model}: no score: {problem}");
        }
    }
    text
}

fn shots(shots: u32, mode: &str) -> String {
    if shots == 0 { "0".into() } else { format!("{shots} {mode}") }
}

/// Three places after the point for what is small, fewer for what is large.
fn number(x: f64) -> String {
    match x.abs() {
        size if size >= 1000.0 && x < 0.0 => format!("-{}", count(size)),
        size if size >= 1000.0 => count(size),
        size if size >= 10.0 => format!("{x:.1}"),
        size if size < 0.0005 => "0.000".into(),
        _ => format!("{x:.3}"),
    }
}

/// The views asked for; none: the tasks' own grading.
fn views(arguments: &ViewArguments) -> Result<Option<Grading>> {
    let mut views = Vec::new();
    for name in &arguments.metrics {
        let known: Vec<&str> = Metric::ALL.into_iter().map(Metric::name).collect();
        let metric = Metric::from_name(name)
            .ok_or_else(|| miette!(help = format!("choose among {}", known.join(", ")), "no metric {name:?}"))?;
        views.push(View::Metric(metric.name().into()));
    }
    for name in &arguments.normalise {
        let known: Vec<&str> = Normalisation::ALL.into_iter().map(Normalisation::name).collect();
        let normalisation = Normalisation::ALL.into_iter().find(|n| n.name() == name);
        let normalisation = normalisation
            .ok_or_else(|| miette!(help = format!("choose among {}", known.join(", ")), "no normalisation {name:?}"))?;
        views.push(View::Choice(normalisation));
    }
    for pattern in &arguments.extract {
        let regex = PythonRegex::new(pattern)
            .map_err(|e| miette!(help = "write it as Python's `re` has it", "the expression {pattern:?}: {e}"))?;
        views.push(View::Extracted(regex));
    }
    Ok((!views.is_empty()).then_some(Grading::Views(views)))
}

pub(crate) fn rescore(arguments: &RescoreArguments) -> Result<ExitCode> {
    let store = Store::open(&arguments.folder)?;
    let wanted = |header: &Header| {
        let is = |task: &String| header.task == *task || header.name() == *task;
        arguments.tasks.is_empty() || arguments.tasks.iter().any(is)
    };
    let headers: Vec<Header> = store.cells()?.into_iter().filter(wanted).collect();
    if headers.is_empty() {
        return Err(miette!(
            help = "`saltus rescore FOLDER` without `--task` shows all tasks that are there",
            "no measured cell in {} fits",
            arguments.folder.display()
        ));
    }
    let shown = shown(&store, &headers, views(&arguments.views)?.as_ref(), &[])?;
    let gaps = shown.cells.iter().any(CellShown::has_gaps);
    print(arguments.json, &shown, || summary(&shown, arguments.subtasks))?;
    Ok(if gaps { ExitCode::from(EXIT_GAPS) } else { ExitCode::SUCCESS })
}

/// A comparison as JSON has it.
#[derive(Serialize)]
struct ComparisonShown {
    task: String,
    a: CellName,
    b: CellName,
    metric: String,
    items: usize,
    mean_a: f64,
    mean_b: f64,
    difference: f64,
    low: f64,
    high: f64,
    standard_error: f64,
    p_value: f64,
    p_value_adjusted: f64,
    better: usize,
    worse: usize,
    equal: usize,
    minimum_detectable_effect: f64,
    /// None: no number would do.
    items_needed: Option<f64>,
}

#[derive(Serialize)]
struct CellName {
    model: String,
    shots: u32,
    shot_mode: String,
    seed: u64,
    boundary: String,
}

#[derive(Serialize)]
struct ComparedShown {
    comparisons: Vec<ComparisonShown>,
    /// Tasks that could not be compared, and why.
    left_out: Vec<(String, String)>,
}

fn cell_name(header: &Header) -> CellName {
    let Header { model, shots, shot_mode, seed, boundary, .. } = header.clone();
    CellName { model, shots, shot_mode, seed, boundary }
}

fn comparison(c: &Comparison) -> ComparisonShown {
    ComparisonShown {
        task: c.a.name(),
        a: cell_name(&c.a),
        b: cell_name(&c.b),
        metric: c.metric.clone(),
        items: c.items,
        mean_a: c.mean_a,
        mean_b: c.mean_b,
        difference: c.paired.difference.value,
        low: c.paired.difference.low,
        high: c.paired.difference.high,
        standard_error: c.paired.se.value,
        p_value: c.paired.p_value,
        p_value_adjusted: c.adjusted,
        better: c.paired.better,
        worse: c.paired.worse,
        equal: c.paired.equal,
        minimum_detectable_effect: c.detectable,
        items_needed: Some(c.items_needed).filter(|items| items.is_finite()),
    }
}

pub(crate) fn compare(arguments: &CompareArguments) -> Result<ExitCode> {
    let selector = |text: &str| text.parse::<Selector>().map_err(|e| miette!("{e}"));
    let (a, b) = (selector(&arguments.a)?, selector(&arguments.b)?);
    let store = Store::open(&arguments.folder)?;
    let grading = views(&arguments.views)?;
    let Compared { comparisons, left_out } =
        saltus_benchmark::compare(&store, &a, &b, arguments.metric.as_deref(), grading.as_ref())?;
    let shown = ComparedShown { comparisons: comparisons.iter().map(comparison).collect(), left_out };
    print(arguments.json, &shown, || compared(&shown))
}

fn compared(shown: &ComparedShown) -> String {
    let mut rows = vec![row([
        "model",
        "task",
        "metric",
        "items",
        "a",
        "b",
        "b - a",
        "95% interval",
        "p",
        "p adjusted",
        "detectable",
        "items for it",
    ])];
    rows.extend(shown.comparisons.iter().map(|c| {
        // Two models stand in the selections; of one model cells may be compared for several.
        let model = if c.a.model == c.b.model { c.a.model.clone() } else { format!("{} to {}", c.a.model, c.b.model) };
        vec![
            model,
            c.task.clone(),
            c.metric.clone(),
            c.items.to_string(),
            number(c.mean_a),
            number(c.mean_b),
            signed(c.difference),
            format!("{} to {}", signed(c.low), signed(c.high)),
            p_value(c.p_value),
            p_value(c.p_value_adjusted),
            number(c.minimum_detectable_effect),
            c.items_needed.map_or("-".into(), count),
        ]
    }));
    let mut text = columns(&rows);
    for (task, why) in &shown.left_out {
        let _ = writeln!(text, "! {task}: not compared: {why}");
    }
    text += "p: of no difference, items paired; adjusted for so many comparisons (Benjamini and Hochberg). detectable: \
             the difference that so many items find with a probability of .8; items for it: how many find the difference \
             seen.\n";
    text
}

fn signed(x: f64) -> String {
    let text = number(x);
    if x > 0.0 { format!("+{text}") } else { text }
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< .001".into() } else { format!("{p:.3}").trim_start_matches('0').to_owned() }
}
