//! A fit as the data of its page.

use super::{
    Ends, Fitted, LawName, Shown,
    runs::{Row, Runs},
};
use crate::{arguments::FitArguments, table::count};
use saltus_report::{
    budget::Estimate,
    fit::{Group, LawFit, Residual, Split},
};

/// Groups of data at most: more colours cannot be told apart.
const GROUPS: usize = 6;
/// Points of a curve.
const POINTS: usize = 60;

/// All that the page shows.
pub(super) fn page(fitted: &Fitted, runs: &Runs, arguments: &FitArguments) -> LawFit {
    let shown = &fitted.shown;
    let name = arguments.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let left_out = if shown.dropped > 0 { format!(", {} left out", shown.dropped) } else { String::new() };
    let (axis, label) = axis(shown, &runs.rows, arguments.law);
    LawFit {
        saltus: env!("CARGO_PKG_VERSION").into(),
        title: format!("{}, {name}", shown.law),
        lead: format!("{} runs{left_out}", shown.runs),
        formula: shown.formula.clone(),
        params: shown
            .params
            .iter()
            .chain(&shown.exponents)
            .map(|(name, e)| ((*name).to_owned(), estimate(*e)))
            .collect(),
        facts: facts(shown),
        conventions: shown.conventions.iter().map(|(name, fact)| (name.clone(), fact.clone())).collect(),
        warnings: shown.warnings.clone(),
        x_label: label.into(),
        y_label: "loss (nats per token)".into(),
        groups: groups(fitted, &runs.rows, axis, arguments.law),
        residuals: residuals(fitted, &runs.rows),
        splits: splits(fitted, &runs.rows),
    }
}

fn estimate(e: Ends) -> Estimate {
    Estimate { value: e.value, low: Some(e.low), high: Some(e.high) }
}

fn alone(value: f64) -> Estimate {
    Estimate { value, low: None, high: None }
}

fn facts(shown: &Shown) -> Vec<(String, String)> {
    let mut facts = vec![("delta".to_owned(), format!("{}", shown.delta))];
    facts.extend(shown.objective.map(|o| ("sum of Huber losses".to_owned(), format!("{o:.6e}"))));
    facts.extend(shown.residual_rms.map(|rms| ("residuals".to_owned(), format!("{:.2}% of the loss", 100.0 * rms))));
    for law in &shown.compared {
        facts.push((format!("error of {} on runs left out", law.law), format!("{:.2}%", 100.0 * law.error)));
    }
    facts
}

type Axis = fn(&Row) -> f64;

/// What lies across: the tokens of each size, or the one quantity that varies.
fn axis(shown: &Shown, rows: &[Row], law: LawName) -> (Axis, &'static str) {
    let one_token_count = rows.iter().all(|row| (row.tokens / rows[0].tokens - 1.0).abs() < 0.01);
    if shown.law == "bnsl" {
        (|row| row.params, "x")
    } else if law == LawName::Isoflop || one_token_count {
        (|row| row.params, "parameters")
    } else {
        (|row| row.tokens, "training tokens")
    }
}

/// The data by size (of isoFLOP curves by budget), with the law's curve for the middle of each group.
fn groups(fitted: &Fitted, rows: &[Row], axis: Axis, law: LawName) -> Vec<Group> {
    let by: Axis = match (fitted.shown.law.as_str(), law) {
        (_, LawName::Isoflop) => |row| row.flops,
        ("bnsl" | "kaplan L(N)" | "kaplan L(D)", _) => |_| 1.0,
        _ => |row| row.params,
    };
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| by(a).total_cmp(&by(b)).then(axis(a).total_cmp(&axis(b))));
    let mut values: Vec<f64> = sorted.iter().map(|row| by(row)).collect();
    values.dedup_by(|a, b| (*a / *b).ln().abs() < 0.02);
    // Sizes that are too many for colours are put together by rank.
    let size = sorted.len().div_ceil(GROUPS);
    let groups: Vec<Vec<&Row>> = if values.len() <= GROUPS {
        values.iter().map(|v| sorted.iter().copied().filter(|r| (by(r) / v).ln().abs() < 0.02).collect()).collect()
    } else {
        sorted.chunks(size).map(<[&Row]>::to_vec).collect()
    };
    let unit = if law == LawName::Isoflop { "C" } else { "N" };
    let one = |group: &Vec<&Row>| {
        let middle = (group.iter().map(|row| by(row).ln()).sum::<f64>() / group.len() as f64).exp();
        let name = if values.len() == 1 { "all runs".to_owned() } else { format!("{unit} = {}", count(middle)) };
        let mut points: Vec<(f64, f64)> = group.iter().map(|row| (axis(row), row.loss)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Group { name, curve: curve(fitted, group, axis, middle), points }
    };
    groups.iter().filter(|group| !group.is_empty()).map(one).collect()
}

/// The law from the first to the last point of a group, all else as in its middle.
fn curve(fitted: &Fitted, group: &[&Row], axis: Axis, middle: f64) -> Vec<(f64, f64)> {
    let Some(law) = &fitted.law else { return Vec::new() };
    let (low, high) = group.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), row| (l.min(axis(row)), h.max(axis(row))));
    let along = |i: usize| {
        let x = (low.ln() + (high / low).ln() * i as f64 / (POINTS - 1) as f64).exp();
        let mut row = group[0].clone();
        if axis(&row) == row.tokens {
            (row.params, row.tokens, row.unique) = (middle, x, x.min(row.unique.max(x)));
        } else {
            row.params = x;
        }
        (x, law(&row))
    };
    (0..POINTS).map(along).filter(|(_, loss)| loss.is_finite()).collect()
}

fn residuals(fitted: &Fitted, rows: &[Row]) -> Vec<Residual> {
    let Some(law) = &fitted.law else { return Vec::new() };
    let one = |row: &Row| Residual {
        name: row.place.clone(),
        params: row.params,
        tokens: row.tokens,
        flops: row.flops,
        value: (row.loss / law(row)).ln(),
        influential: fitted.shown.influential.iter().any(|i| i.place == row.place),
    };
    rows.iter().map(one).collect()
}

/// How the best size goes with the budget, by the law or by what was found in the data.
fn splits(fitted: &Fitted, rows: &[Row]) -> Vec<Split> {
    let Some((coefficient, exponent)) = fitted.best_size else { return Vec::new() };
    let (low, high) = rows.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), row| (l.min(row.flops), h.max(row.flops)));
    if !(low > 0.0 && high > low) {
        return Vec::new();
    }
    let line = |i: usize| {
        let flops = (low.ln() + (high / low).ln() * i as f64 / (POINTS - 1) as f64).exp();
        (flops, alone(coefficient * flops.powf(exponent)))
    };
    let found = fitted.shown.minima.iter().filter(|m| m.inside).map(|m| (m.flops, alone(m.params))).collect();
    vec![Split {
        title: "Best size of a budget".into(),
        label: "parameters".into(),
        found,
        line: (0..POINTS).map(line).collect(),
    }]
}
