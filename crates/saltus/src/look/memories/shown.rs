//! A look at memories on the terminal, or as JSON.

use crate::{
    look::each::Looked,
    table::{columns, row},
};
use saltus_report::inside::{Detail, Number};
use serde::Serialize;
use std::{fmt::Write, path::Path};

/// What `--json` prints of one model.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    model: &'a str,
    definition: &'a str,
    /// Where the observations are.
    observations: &'a Path,
    numbers: Vec<Number>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(look: &'a Looked) -> Self {
        let (definition, numbers) = (definition(look), look.numbers());
        Shown { model: &look.model.name, definition, observations: &look.file, numbers }
    }
}

fn definition(look: &Looked) -> &str {
    let of_memories = look.found.details.iter().find_map(|detail| match detail {
        Detail::Memories(book) => Some(book.definition.as_str()),
        _ => None,
    });
    of_memories.unwrap_or_default()
}

/// The table by layer. Shares are in percent.
pub(super) fn text(look: &Looked) -> String {
    let numbers = look.numbers();
    let mut rows = vec![row([
        "layer",
        "agreement",
        "(chance)",
        "rank",
        "active",
        "zero agr.",
        "(chance)",
        "refined",
        "residual",
        "ffn",
        "both",
        "neither",
        "-first",
        "-last",
        "-random",
    ])];
    let mut layers: Vec<u32> = numbers.iter().filter_map(|number| number.layer).collect();
    layers.dedup();
    for layer in layers {
        let of = |group: &str, metric: &str| {
            numbers.iter().find(|n| n.layer == Some(layer) && n.group == group && n.metric == metric)
        };
        let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.1}", 100.0 * value));
        let share = |metric: &str| percent(of("", metric).map(|n| n.value));
        let chance = |metric: &str| percent(of("", metric).and_then(|n| n.chance));
        let removal = |group: &str| percent(of(group, "removal").map(|n| n.value));
        let agreement = match of("", "agreement").and_then(|n| n.interval) {
            Some((low, high)) => {
                format!("{} [{}, {}]", share("agreement"), percent(Some(low)), percent(Some(high)))
            }
            None => share("agreement"),
        };
        rows.push(vec![
            layer.to_string(),
            agreement,
            chance("agreement"),
            of("", "agreement_rank").map_or("-".to_owned(), |n| format!("{:.0}", n.value)),
            share("active_share"),
            share("zero_agreement"),
            chance("zero_agreement"),
            share("refined"),
            share("from_residual"),
            share("from_ffn"),
            share("from_agreement"),
            share("from_composition"),
            removal("first"),
            removal("last"),
            removal("random"),
        ]);
    }
    let mut text = format!("{}\n{}", look.model.name, columns(&rows));
    let _ = writeln!(text, "{}\nin percent", definition(look));
    text + &look.foot()
}
