//! The runs of a table: sizes, tokens, FLOPs and losses, checked and completed.

use crate::{arguments::FitArguments, measured::Refused};
use miette::Result;
use saltus_results::Table;
use std::collections::HashMap;

use super::LawName;

/// Tokens, parameters and FLOPs that differ from C = 6 N D by more are worth a warning.
const CONSISTENT: f64 = 0.05;

/// Rows as they are fitted.
pub(crate) struct Runs {
    pub(crate) rows: Vec<Row>,
    /// Held out, in the order of the file.
    pub(crate) held_out: Vec<Row>,
    /// Rows with the highest losses, left out as asked.
    pub(crate) dropped: usize,
    pub(crate) warnings: Vec<String>,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) params: f64,
    pub(crate) tokens: f64,
    pub(crate) flops: f64,
    pub(crate) unique: f64,
    pub(crate) loss: f64,
    /// Rows of one run share their noise.
    pub(crate) cluster: u64,
    /// Where it stands.
    pub(crate) place: String,
}

/// Reads the table, drops and holds out what was asked.
pub(crate) fn read(arguments: &FitArguments) -> Result<Runs> {
    let table = Table::read(&arguments.file, &arguments.map).map_err(Refused::from)?;
    let mut warnings = Vec::new();
    let mut rows = rows(&table, arguments, &mut warnings).map_err(Refused::from)?;
    if rows.len() > MOST {
        let problem = format!("{} rows", rows.len());
        let remedy = format!("give the ends of runs, or their means: at most {MOST} can be fitted");
        return Err(Refused::from(table.error(None, problem, remedy)).into());
    }
    duplicates(&rows, &mut warnings);
    let held_out = rows.split_off(rows.len() - arguments.hold_out.min(rows.len()));
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[b].loss.total_cmp(&rows[a].loss));
    let worst: Vec<usize> = order.into_iter().take(arguments.drop_worst).collect();
    let dropped = worst.len();
    let rows: Vec<Row> = rows.into_iter().enumerate().filter(|(i, _)| !worst.contains(i)).map(|(_, row)| row).collect();
    if rows.is_empty() {
        return Err(Refused(format!("{}: no run is left to fit", arguments.file.display())).into());
    }
    Ok(Runs { rows, held_out, dropped, warnings })
}

/// Rows that are fitted at most: a fit of a million takes seconds, its thousand resamples hours.
const MOST: usize = 200_000;

fn rows(
    table: &Table,
    arguments: &FitArguments,
    warnings: &mut Vec<String>,
) -> Result<Vec<Row>, saltus_results::FileError> {
    let losses = table.numbers("loss")?.ok_or_else(|| table.missing(&["loss"]))?;
    let sizes = |name: &str| table.sizes(name);
    let any = |column: &Option<Vec<f64>>, row: usize| column.as_ref().map_or(f64::NAN, |c| c[row]);
    let (params, tokens) = (sizes("params")?, sizes("tokens")?);
    let (flops, unique, x) = (sizes("flops")?, sizes("unique_tokens")?, sizes("x")?);
    let curve = arguments.law == LawName::Bnsl;
    if curve && x.is_none() {
        return Err(table.missing(&["x"]));
    }
    let known = [&params, &tokens, &flops].into_iter().filter(|c| c.is_some()).count();
    let one_is_enough = arguments.law == LawName::Kaplan && (params.is_some() || tokens.is_some());
    if !curve && known < 2 && !one_is_enough {
        let missing: Vec<&str> = [("params", &params), ("tokens", &tokens)]
            .into_iter()
            .filter(|(_, c)| c.is_none())
            .map(|(n, _)| n)
            .collect();
        return Err(table.missing(&missing));
    }
    let clusters = table.words("run");
    let place = table.same_name("loss")[0];
    let (mut rows, mut inconsistent, mut empty) = (Vec::new(), Vec::new(), 0);
    for row in 0..table.rows() {
        let loss = losses[row];
        if loss.is_nan() {
            empty += 1;
            continue;
        }
        let wrong = |name: &str, value: f64| {
            let remedy = "losses, sizes and tokens are positive numbers: mend the row, or leave it out";
            table.error(Some(row), format!("`{name}` is {value}"), remedy)
        };
        if !(loss > 0.0 && loss.is_finite()) {
            return Err(wrong("loss", loss));
        }
        let (mut n, mut d, mut c) = (any(&params, row), any(&tokens, row), any(&flops, row));
        if curve {
            (n, d) = (any(&x, row), 1.0);
        }
        for (name, value) in [("params", n), ("tokens", d), ("flops", c)] {
            if value <= 0.0 || value.is_infinite() {
                return Err(wrong(name, value));
            }
        }
        if n.is_nan() && !one_is_enough {
            n = c / (6.0 * d);
        }
        if d.is_nan() && !one_is_enough {
            d = c / (6.0 * n);
        }
        if one_is_enough && known == 1 {
            (n, d) = (if n.is_nan() { 1.0 } else { n }, if d.is_nan() { 1.0 } else { d });
        }
        if n.is_nan() || d.is_nan() {
            empty += 1;
            continue;
        }
        if c.is_nan() {
            c = 6.0 * n * d;
        } else if (c / (6.0 * n * d)).ln().abs() > CONSISTENT && !curve {
            inconsistent.push(row);
        }
        let u = any(&unique, row);
        let cluster = clusters.as_ref().and_then(|w| w.index(row)).map_or(row as u64, |index| index as u64);
        let place = table.place(row).trim_start_matches(", ").to_owned();
        rows.push(Row { params: n, tokens: d, flops: c, unique: if u.is_nan() { d } else { u }, loss, cluster, place });
    }
    if empty > 0 {
        let said = table.said_nan(place).len();
        let nan = if said > 0 { format!(", {said} of them as their loss is NaN") } else { String::new() };
        warnings.push(format!("{empty} rows lack a number and are left out{nan}"));
    }
    if let Some(&first) = inconsistent.first() {
        warnings.push(format!(
            "{} rows have FLOPs more than {:.0}% off 6 N D, the first is{}: FLOPs are counted otherwise there, or N is",
            inconsistent.len(),
            100.0 * CONSISTENT,
            table.place(first).trim_start_matches(',')
        ));
    }
    if rows.is_empty() {
        return Err(table.error(None, "has no row with all numbers", "write params, tokens (or flops) and loss"));
    }
    Ok(rows)
}

/// The same run twice weighs double.
fn duplicates(rows: &[Row], warnings: &mut Vec<String>) {
    let mut seen: HashMap<[u64; 4], &str> = HashMap::new();
    let mut twice: Vec<String> = Vec::new();
    for row in rows {
        let key = [row.params, row.tokens, row.unique, row.loss].map(f64::to_bits);
        match seen.get(&key) {
            Some(first) => twice.push(format!("{} is {first} again", row.place)),
            None => {
                seen.insert(key, &row.place);
            }
        }
    }
    if !twice.is_empty() {
        let more = if twice.len() > 3 { format!(" and {} more", twice.len() - 3) } else { String::new() };
        let listed = twice.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        warnings.push(format!("rows occur twice and weigh double: {listed}{more}"));
    }
}
