//! The runs of a table: sizes, tokens, FLOPs and losses, checked and completed.

use crate::{arguments::FitArguments, measured::Refused};
use miette::Result;
use saltus_results::{FileError, Table, Words};
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
    /// Of a curve: `x` stands in for parameters, and nothing else is known.
    pub(crate) curve: bool,
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
    let columns = Columns::new(&table, arguments.law).map_err(Refused::from)?;
    let mut rows = rows(&columns, &mut warnings).map_err(Refused::from)?;
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
    Ok(Runs { rows, held_out, dropped, warnings, curve: columns.x.is_some() })
}

/// Rows that are fitted at most: a fit of a million takes seconds, its thousand resamples hours.
const MOST: usize = 200_000;

/// The columns of a table of runs; the numbers that it lacks are NaN.
struct Columns<'a> {
    table: &'a Table,
    losses: &'a [f64],
    params: Option<Vec<f64>>,
    tokens: Option<Vec<f64>>,
    flops: Option<Vec<f64>>,
    unique: Option<Vec<f64>>,
    /// The one variable of a curve.
    x: Option<Vec<f64>>,
    clusters: Option<Words>,
    /// The law needs parameters or tokens, not both.
    one_is_enough: bool,
}

impl<'a> Columns<'a> {
    fn new(table: &'a Table, law: LawName) -> Result<Self, FileError> {
        let sizes = |name: &str| table.sizes(name);
        let (params, tokens, flops) = (sizes("params")?, sizes("tokens")?, sizes("flops")?);
        let one_is_enough = law == LawName::Kaplan && (params.is_some() || tokens.is_some());
        let known = [&params, &tokens, &flops].into_iter().filter(|column| column.is_some()).count();
        let curve = if law == LawName::Auto && known == 0 { sizes("x")? } else { None };
        let x = if law == LawName::Bnsl {
            Some(sizes("x")?.ok_or_else(|| table.missing(&["x"]))?)
        } else if curve.is_some() {
            curve
        } else {
            if known < 2 && !one_is_enough {
                let missing = [("params", params.is_none()), ("tokens", tokens.is_none())];
                return Err(table.missing(&missing.into_iter().filter(|m| m.1).map(|m| m.0).collect::<Vec<_>>()));
            }
            None
        };
        let losses = table.numbers("loss")?.ok_or_else(|| table.missing(&["loss"]))?;
        let (unique, clusters) = (sizes("unique_tokens")?, table.words("run"));
        Ok(Self { table, losses, params, tokens, flops, unique, x, clusters, one_is_enough })
    }

    /// One run; `None` where the row lacks a number.
    fn row(&self, row: usize) -> Result<Option<Row>, FileError> {
        let any = |column: &Option<Vec<f64>>| column.as_ref().map_or(f64::NAN, |c| c[row]);
        let (loss, said) = (self.losses[row], [any(&self.params), any(&self.tokens), any(&self.flops)]);
        if loss.is_nan() {
            return Ok(None);
        }
        let [mut n, mut d, mut c] = if self.x.is_some() { [any(&self.x), 1.0, f64::NAN] } else { said };
        for (name, value) in [("loss", loss), ("params", n), ("tokens", d), ("flops", c)] {
            if value <= 0.0 || value.is_infinite() {
                let remedy = "losses, sizes and tokens are positive numbers: mend the row, or leave it out";
                return Err(self.table.error(Some(row), format!("`{name}` is {value}"), remedy));
            }
        }
        if self.one_is_enough {
            // The column that is not there at all has no part in the law.
            n = if self.params.is_none() && self.flops.is_none() { 1.0 } else { n };
            d = if self.tokens.is_none() && self.flops.is_none() { 1.0 } else { d };
        }
        n = if n.is_nan() { c / (6.0 * d) } else { n };
        d = if d.is_nan() { c / (6.0 * n) } else { d };
        if n.is_nan() || d.is_nan() {
            return Ok(None);
        }
        c = if c.is_nan() { 6.0 * n * d } else { c };
        let unique = any(&self.unique);
        let cluster =
            self.clusters.as_ref().and_then(|words| words.index(row)).map_or(row as u64, |index| index as u64);
        let place = self.table.place(row).trim_start_matches(", ").to_owned();
        let unique = if unique.is_nan() { d } else { unique };
        Ok(Some(Row { params: n, tokens: d, flops: c, unique, loss, cluster, place }))
    }
}

fn rows(columns: &Columns<'_>, warnings: &mut Vec<String>) -> Result<Vec<Row>, FileError> {
    let table = columns.table;
    let mut rows = Vec::new();
    for row in 0..table.rows() {
        rows.extend(columns.row(row)?);
    }
    let empty = table.rows() - rows.len();
    if empty > 0 {
        let said = table.said_nan(table.same_name("loss")[0]).len();
        let nan = if said > 0 { format!(", {said} of them as their loss is NaN") } else { String::new() };
        warnings.push(format!("{empty} rows lack a number and are left out{nan}"));
    }
    let odd = |row: &&Row| (row.flops / (6.0 * row.params * row.tokens)).ln().abs() > CONSISTENT;
    if let Some(first) = rows.iter().find(odd) {
        warnings.push(format!(
            "{} rows have FLOPs more than {:.0}% off 6 N D, the first is {}: FLOPs are counted otherwise there, or N is",
            rows.iter().filter(odd).count(),
            100.0 * CONSISTENT,
            first.place
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
