//! Results as tables of plain text.

use saltus_study::{Outcome, PlanSummary, Status, Verdict};
use std::fmt::Write;

/// What a run would do.
pub(crate) fn plan(plan: &PlanSummary) -> String {
    let mut rows = vec![row([
        "model",
        "seeds",
        "parameters",
        "with embedding",
        "tokens",
        "FLOPs (6ND)",
        "FLOPs (counted)",
        "training",
        "measuring",
    ])];
    for rung in &plan.rungs {
        rows.push(vec![
            format!("{} {}", rung.ladder, rung.rung),
            rung.seeds.to_string(),
            count(rung.params_non_embedding as f64),
            count(rung.params_total as f64),
            count(rung.tokens as f64),
            count(rung.flops_6nd),
            count(rung.flops_counted),
            seconds(rung.training_seconds),
            seconds(rung.measuring_seconds),
        ]);
    }
    format!(
        "{}\n{} models to train ({} done), {} cells to measure ({} done); parameters are non-embedding.\n\
         Expected on {} threads: {} of training and {} of measuring, by a few steps and questions of each size.\n",
        columns(&rows),
        plan.models_missing,
        plan.models_done,
        plan.cells_missing,
        plan.cells_done,
        plan.threads,
        seconds(plan.training_seconds),
        seconds(plan.measuring_seconds)
    )
}

/// What a run found, and where it is.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let mut rows = vec![row(["ability", "metric", "shape", "weight", "emerges at (parameters)", "made by the metric"])];
    rows.extend(outcome.verdicts.iter().map(verdict));
    let mut text = format!("{}\n", columns(&rows));
    for headline in &outcome.headlines {
        let _ = writeln!(text, "- {headline}");
    }
    for gap in &outcome.gaps {
        let _ = writeln!(text, "! {}: {}", gap.what, gap.why);
    }
    let _ = write!(
        text,
        "\n{} models and {} cells were computed now, {} were there already.\npage:     {}\nfindings: {}\nrecords:  {}\n",
        outcome.models_trained,
        outcome.cells_measured,
        outcome.already_there,
        outcome.page.display(),
        outcome.findings.display(),
        outcome.records.display()
    );
    text
}

fn verdict(verdict: &Verdict) -> Vec<String> {
    let threshold = verdict
        .threshold
        .map_or("-".to_string(), |(scale, low, high)| format!("{} ({} to {})", count(scale), count(low), count(high)));
    vec![
        verdict.ability.clone(),
        verdict.metric.clone(),
        verdict.shape.clone(),
        format!("{:.2}", verdict.weight),
        threshold,
        verdict.artefact.clone().unwrap_or_else(|| "-".into()),
    ]
}

/// What is done, stale and missing.
pub(crate) fn status(status: &Status) -> String {
    let mut rows = vec![row(["model", "seed", "training", "cells done", "cells missing"])];
    for model in &status.models {
        rows.push(vec![
            model.model.clone(),
            model.seed.to_string(),
            model.training.clone(),
            model.cells_done.to_string(),
            model.cells_missing.to_string(),
        ]);
    }
    let next = match status.missing {
        0 => "everything is up to date".to_string(),
        missing => format!("{missing} models and cells are missing: `saltus run` computes them"),
    };
    format!(
        "{}\n{} stale parts (kept aside, used again if the study asks for them)\n{next}\n",
        columns(&rows),
        status.stale
    )
}

pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_string).to_vec()
}

/// Left-aligned columns, two blanks apart.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}

/// `13824` as `13.8k`.
pub(crate) fn count(value: f64) -> String {
    const UNITS: [&str; 8] = ["", "k", "M", "B", "T", "P", "E", "Z"];
    let mut value = value;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$}{}", UNITS[unit])
}

/// What was refused, by family, task, metric and what tells it apart: abilities with one reason in one line.
pub(crate) fn refusals(refused: &[([&str; 4], &str)]) -> String {
    const NAMED: usize = 3;
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, reason) in refused {
        let name = name.join(" ").trim_end().to_owned();
        match by_reason.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((reason, vec![name])),
        }
    }
    let line = |(reason, names): &(&str, Vec<String>)| {
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("! {}{more}: {reason}\n", names[..names.len().min(NAMED)].join(", "))
    };
    by_reason.iter().map(line).collect()
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |value, expect: &str| assert_eq!(count(value), expect);
        check(0.0, "0");
        check(1724.0, "1.7k");
        check(999_600.0, "1.0M");
        check(4e6, "4.0M");
        check(2.3e14, "230T");
        assert_eq!(seconds(89.0), "89 s");
        assert_eq!(seconds(180.0), "3 min");
    }
}
