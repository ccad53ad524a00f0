//! `saltus judge`: the shapes of abilities from files of scores, as a table, as JSON and as a page.

use crate::{
    EXIT_GAPS,
    arguments::JudgeArguments,
    available_cores,
    judge_headlines::headlines,
    measured::{self, Refused},
    print,
    table::{columns, count, refusals, row},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use miette::{IntoDiagnostic, Result};
use saltus_atlas::{Asked, AxisName, Judged, Left, abilities, judge};
use saltus_emergence::{Analysis, Kind, Ruling, Shape};
use saltus_random::Key;
use saltus_report::findings::{self, Findings, Provenance, SCHEMA};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, io::IsTerminal, process::ExitCode};

/// One ability as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    family: String,
    task: String,
    metric: String,
    by: String,
    scale_axis: &'static str,
    scales: Vec<f64>,
    /// A shape, or `unjudged`.
    shape: &'static str,
    weights: BTreeMap<&'static str, f64>,
    threshold: Option<findings::Threshold>,
    linearity: Option<f64>,
    breakthroughness: Option<f64>,
    artefact: Option<ArtefactShown>,
    pass_growth: Option<PassGrowthShown>,
    p_value: Option<f64>,
    /// The p-value after Benjamini and Hochberg over all abilities judged.
    q_value: Option<f64>,
    higher_is_better: bool,
    chance: Option<f64>,
    points: Vec<PointShown>,
    reason: String,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ArtefactShown {
    /// `metric`, `metric in part`, `several steps`, `label bias` or `neither`.
    ruling: &'static str,
    evidence: String,
}

/// How the rate of right answers grows.
#[derive(Debug, Serialize)]
struct PassGrowthShown {
    /// `linear` (a power law), `concave` (faster), `convex` (slower) or `undetermined`: log(-log rate) over log scale.
    growth: &'static str,
    /// How far it lies above its chord in the middle, with the 95% interval.
    bend: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Serialize)]
struct PointShown {
    scale: f64,
    value: f64,
    low: f64,
    high: f64,
    models: usize,
    items: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: &JudgeArguments) -> Result<ExitCode> {
    let (mut scores, asked) = measured::read(&arguments.scores)?;
    saltus_atlas::pool(&mut scores);
    if !arguments.quiet && !arguments.json {
        scores.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    }
    let (made, mut left) = abilities(&scores, &asked);
    if made.is_empty() {
        let reason = left.first().map_or_else(|| "there are no scores".to_owned(), |l| l.reason.clone());
        return Err(Refused(format!("nothing can be judged: {reason}")).into());
    }
    let analysis = Analysis {
        key: Key::new(arguments.seed),
        resamples: arguments.resamples,
        delta: arguments.delta,
        alpha: arguments.alpha,
    };
    let threads = arguments.threads.unwrap_or_else(available_cores);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().into_diagnostic()?;
    let bar = bar(("judging", "abilities"), made.len() as u64, arguments.quiet || arguments.json);
    let (judged, more) = pool.install(|| judge(made, &analysis, &|done| bar.set_position(done as u64)));
    bar.finish_and_clear();
    left.extend(more);
    if let Some(page) = &arguments.page {
        let findings = findings_of(&judged, &left, asked.axis, &scores.warnings);
        saltus_report::write(&findings, page).into_diagnostic()?;
    }
    let shown: Vec<Shown> =
        judged.iter().map(|j| shown(j, &asked)).chain(left.iter().map(|l| unjudged(l, &asked))).collect();
    print(arguments.json, &shown, || {
        let mut text = table(&judged, &left, &scores.warnings);
        if let Some(page) = &arguments.page {
            let _ = writeln!(text, "page: {}", page.display());
        }
        text
    })?;
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_GAPS) })
}

/// A bar on a terminal: what is done, and the many things it is done to.
pub(crate) fn bar((doing, things): (&str, &str), length: u64, quiet: bool) -> ProgressBar {
    let hidden = quiet || !std::io::stderr().is_terminal();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template(&format!("{doing} {{bar:32}} {{pos}}/{{len}} {things}, {{eta}} left"));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn ruling(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Yes => "metric",
        Ruling::InPart => "metric in part",
        Ruling::Steps => "several steps",
        Ruling::LabelBias => "label bias",
        Ruling::No => "neither",
    }
}

fn chance(judged: &Judged) -> Option<f64> {
    match judged.ability.ability.kind {
        Kind::Proportion { chance } => Some(chance),
        Kind::Bounded { chance } if chance > 0.0 => Some(chance),
        _ => None,
    }
}

fn shown(judged: &Judged, asked: &Asked) -> Shown {
    let Judged { ability, verdict, measures, artefact, pass_growth } = judged;
    let weights = Shape::CANDIDATES.iter().zip(verdict.weights).map(|(shape, weight)| (shape.name(), weight)).collect();
    Shown {
        family: ability.family.clone(),
        task: ability.task.clone(),
        metric: ability.metric.clone(),
        by: ability.by.clone(),
        scale_axis: asked.axis.name(),
        scales: verdict.points.iter().map(|p| p.scale).collect(),
        shape: verdict.shape.name(),
        weights,
        threshold: verdict.threshold.map(threshold),
        linearity: measures.linearity,
        breakthroughness: measures.breakthroughness,
        artefact: artefact.as_ref().map(|a| ArtefactShown { ruling: ruling(a.ruling), evidence: a.evidence.clone() }),
        pass_growth: pass_growth.map(|g| PassGrowthShown {
            growth: g.growth.name(),
            bend: g.bend.value,
            low: g.bend.low,
            high: g.bend.high,
        }),
        p_value: verdict.p_value,
        q_value: verdict.p_adjusted,
        higher_is_better: ability.form.higher_is_better,
        chance: chance(judged),
        points: verdict
            .points
            .iter()
            .map(|p| PointShown {
                scale: p.scale,
                value: p.value,
                low: p.low,
                high: p.high,
                models: p.by_seed.len(),
                items: p.items,
            })
            .collect(),
        reason: verdict.reason.clone(),
        notes: ability.notes.clone(),
    }
}

/// On an axis that falls as models get better, the ends change places.
fn threshold(t: saltus_emergence::Threshold) -> findings::Threshold {
    findings::Threshold { scale: t.scale, low: t.low.min(t.high), high: t.low.max(t.high) }
}

fn unjudged(left: &Left, asked: &Asked) -> Shown {
    let Left { family, task, metric, by, reason } = left.clone();
    Shown {
        family,
        task,
        metric,
        by,
        scale_axis: asked.axis.name(),
        scales: Vec::new(),
        shape: "unjudged",
        weights: BTreeMap::new(),
        threshold: None,
        linearity: None,
        breakthroughness: None,
        artefact: None,
        pass_growth: None,
        p_value: None,
        q_value: None,
        higher_is_better: true,
        chance: None,
        points: Vec::new(),
        reason,
        notes: Vec::new(),
    }
}

fn table(judged: &[Judged], left: &[Left], warnings: &[String]) -> String {
    let mut rows =
        vec![row(["family", "task", "metric", "shape", "weight", "q", "seen from (interval)", "from .. to", "ruling"])];
    for j in judged {
        let verdict = &j.verdict;
        let name = |text: &str, by: &str| if by.is_empty() { text.to_owned() } else { format!("{text} {by}") };
        let seen = verdict
            .threshold
            .map(threshold)
            .map_or_else(String::new, |t| format!("{} ({} to {})", count(t.scale), count(t.low), count(t.high)));
        let (first, last) = (verdict.points.first(), verdict.points.last());
        let ends =
            first.zip(last).map_or_else(String::new, |(a, b)| format!("{} .. {}", number(a.value), number(b.value)));
        rows.push(vec![
            j.ability.family.clone(),
            name(&j.ability.task, &j.ability.by),
            j.ability.metric.clone(),
            verdict.shape.name().to_owned(),
            format!("{:.2}", verdict.weight(verdict.leading())),
            verdict.p_adjusted.map_or_else(String::new, |q| if q < 0.001 { "<.001".into() } else { format!("{q:.3}") }),
            seen,
            ends,
            j.artefact.as_ref().map_or_else(String::new, |a| ruling(a.ruling).to_owned()),
        ]);
    }
    let mut text = columns(&rows);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    judged.iter().for_each(|j| *counts.entry(j.verdict.shape.name()).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(shape, number)| format!("{number} {shape}")).collect();
    let _ = writeln!(text, "\n{} abilities judged together: {}.", judged.len(), counts.join(", "));
    for (note, number) in notes(judged) {
        let _ = writeln!(text, "note ({number} of {}): {note}", judged.len());
    }
    let few = judged.iter().filter(|j| j.verdict.points.len() < 3).count();
    if few > 0 {
        let _ =
            writeln!(text, "note ({few} of {}): fewer than three sizes; a shape needs at least three", judged.len());
    }
    if judged.iter().any(|j| j.verdict.shape == Shape::Undetermined) {
        let _ = writeln!(text, "Why a verdict is undetermined: `reason` in --json, and on the page.");
    }
    let refused: Vec<_> =
        left.iter().map(|l| ([&l.family, &l.task, &l.metric, &l.by].map(String::as_str), l.reason.as_str())).collect();
    text.push_str(&refusals(&refused));
    let _ = warnings;
    text
}

/// What was assumed, and of how many abilities.
fn notes(judged: &[Judged]) -> Vec<(String, usize)> {
    let mut notes: Vec<(String, usize)> = Vec::new();
    for note in judged.iter().flat_map(|j| &j.ability.notes) {
        match notes.iter_mut().find(|(known, _)| known == note) {
            Some((_, number)) => *number += 1,
            None => notes.push((note.clone(), 1)),
        }
    }
    notes
}

/// A score, short.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}

/// The verdicts as the page shows them.
fn findings_of(judged: &[Judged], left: &[Left], axis: AxisName, warnings: &[String]) -> Findings {
    let facts = [
        ("interval", "two-sided 95%, over items and models of one size".to_owned()),
        ("scale", axis.name().to_owned()),
        (
            "not judged",
            left.iter()
                .map(|l| format!("{} {} {}: {}", l.family, l.task, l.metric, l.reason))
                .collect::<Vec<_>>()
                .join("; "),
        ),
        (
            "notes",
            notes(judged)
                .iter()
                .map(|(n, k)| format!("{n} ({k} abilities)"))
                .chain(warnings.iter().cloned())
                .collect::<Vec<_>>()
                .join("; "),
        ),
    ];
    let abilities: Vec<_> = judged.iter().map(|j| ability(j, axis)).collect();
    Findings {
        study: "Abilities".into(),
        schema: SCHEMA,
        saltus: env!("CARGO_PKG_VERSION").into(),
        headlines: headlines(judged, &abilities),
        models: Vec::new(),
        abilities,
        effects: Vec::new(),
        laws: Vec::new(),
        curves: Vec::new(),
        inside: Vec::new(),
        provenance: Provenance {
            facts: facts.into_iter().filter(|(_, f)| !f.is_empty()).map(|(n, f)| (n.to_owned(), f)).collect(),
            ..Provenance::default()
        },
    }
}

fn ability(j: &Judged, axis: AxisName) -> findings::Ability {
    let Judged { ability, verdict, .. } = j;
    let point = |p: &saltus_emergence::Point| findings::Point {
        params: p.scale,
        rung: String::new(),
        seeds: p.by_seed.len() as u32,
        n: p.items.round() as u32,
        value: p.value,
        low: p.low,
        high: p.high,
        by_seed: p.by_seed.iter().map(|&(seed, value)| findings::SeedValue { seed, value }).collect(),
    };
    let by = if ability.by.is_empty() { String::new() } else { format!(" {}", ability.by) };
    findings::Ability {
        id: format!("{}/{}/{}/{}", ability.family, ability.task, ability.by, ability.metric),
        family: ability.family.clone(),
        task: format!("{}{by}", ability.task),
        style: "direct".into(),
        shots: 0,
        metric: ability.metric.clone(),
        scale: axis.name().into(),
        higher_is_better: ability.form.higher_is_better,
        chance: chance(j),
        points: verdict.points.iter().map(point).collect(),
        shape: verdict.shape.name().into(),
        weights: Shape::CANDIDATES.iter().map(|s| (s.name().into(), verdict.weight(*s))).collect(),
        threshold: verdict.threshold.map(threshold),
        artefact: j.artefact.as_ref().map(|a| findings::Artefact {
            ruling: ruling(a.ruling).into(),
            evidence: a.evidence.clone(),
            twin: Vec::new(),
        }),
        fit: verdict.curve.clone(),
        reason: verdict.reason.clone(),
        p_value: verdict.p_value,
        p_adjusted: verdict.p_adjusted,
    }
}
