//! A look at knowledge on the terminal, or as JSON.

use crate::{
    look::{Common, each::Looked},
    print as print_out,
    table::{columns, row},
};
use miette::Result;
use saltus_record::Observation;
use saltus_report::inside::{Detail, Fact, Knowledge, Number};
use serde::Serialize;
use std::{fmt::Write, path::Path, process::ExitCode};

/// Facts listed on the terminal, at most.
const LISTED: usize = 24;

/// What `--json` prints of one model.
#[derive(Serialize)]
struct Shown<'a> {
    model: &'a str,
    method: &'a str,
    /// Where the observations are.
    observations: &'a Path,
    /// Whether it was found by an earlier run.
    found_before: bool,
    numbers: Vec<Number>,
    facts: &'a [Fact],
    layers: &'a [u32],
    left_out: &'a [(String, u64)],
}

pub(super) fn print(looks: &[Looked], common: &Common, top: u32) -> Result<ExitCode> {
    let known: Vec<(&Looked, &Knowledge)> = looks.iter().filter_map(|look| Some((look, knowledge(look)?))).collect();
    let shown: Vec<Shown<'_>> = known.iter().map(|(look, known)| shown(look, known)).collect();
    print_out(common.json, &shown, || {
        known.iter().map(|(look, known)| text(look, known, top)).collect::<Vec<_>>().join("\n")
    })
}

fn knowledge(look: &Looked) -> Option<&Knowledge> {
    look.found.details.iter().find_map(|detail| match detail {
        Detail::Knowledge(known) => Some(known),
        _ => None,
    })
}

fn shown<'a>(look: &'a Looked, known: &'a Knowledge) -> Shown<'a> {
    Shown {
        model: &look.model.name,
        method: &known.method,
        observations: &look.file,
        found_before: look.before,
        numbers: look.numbers(),
        facts: &known.facts,
        layers: &known.layers,
        left_out: &known.left_out,
    }
}

/// The number over all relations.
fn overall<'a>(look: &'a Looked, metric: &str, layer: Option<u32>) -> Option<&'a Observation> {
    let rows = &look.found.observations;
    rows.iter().find(|o| o.group.is_empty() && o.metric == metric && o.layer == layer && o.item.is_none())
}

fn value(of: Option<&Observation>) -> String {
    of.map_or_else(|| "-".into(), |o| format!("{:.3}", o.value))
}

fn interval(of: Option<&Observation>) -> String {
    let ends = of.and_then(|o| o.interval);
    ends.map_or_else(|| "-".into(), |(low, high)| format!("{low:.3} to {high:.3}"))
}

fn text(look: &Looked, known: &Knowledge, top: u32) -> String {
    let relations: std::collections::BTreeSet<&str> = known.facts.iter().map(|f| f.relation.as_str()).collect();
    let mut text = format!(
        "{}, {}: {} facts of {} relations\n\n",
        look.model.name,
        known.method.replace('-', " "),
        known.facts.len(),
        relations.len()
    );
    text += &layers(look, known, top);
    text.push('\n');
    for line in totals(look, known) {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    text += &listed(known);
    for (reason, count) in &known.left_out {
        let _ = writeln!(text, "left out: {count}: {reason}");
    }
    text + &look.foot()
}

fn layers(look: &Looked, known: &Knowledge, top: u32) -> String {
    let within = format!("p_at_{top}");
    let trained = overall(look, "held_out_nats", known.layers.last().copied()).is_some();
    let mut head = row(["layer", "P@1", "95% interval"]);
    head.extend((top > 1).then(|| format!("P@{top}")));
    head.push("MRR".into());
    head.extend(trained.then(|| "held-out loss, nats".into()));
    let mut rows = vec![head];
    for layer in &known.layers {
        let of = |metric: &str| overall(look, metric, Some(*layer));
        let mut cells = vec![layer.to_string(), value(of("p_at_1")), interval(of("p_at_1"))];
        cells.extend((top > 1).then(|| value(of(&within))));
        cells.push(value(of("mrr")));
        cells.extend(trained.then(|| value(of("held_out_nats"))));
        rows.push(cells);
    }
    columns(&rows)
}

fn totals(look: &Looked, known: &Knowledge) -> Vec<String> {
    let said = |name: &str, of: Option<&Observation>| format!("{name:34} {}  {}", value(of), interval(of));
    let total = overall(look, "p_at_1_total", None);
    let mut lines = vec![said("P@1 at any layer but the embedding", total)];
    lines.push(match overall(look, "p_at_1_total_null", None) {
        null @ Some(_) => said("the same of lenses on the last one", null),
        None => "(no null: the logit lens has no seed; layers that differ by chance inflate this)".into(),
    });
    let last = known.layers.last().copied();
    lines.push(said("P@1 at the last layer", overall(look, "p_at_1", last)));
    lines.push(said("of what is known, not at the last", overall(look, "intermediate_only", None)));
    let chance = total.and_then(|total| total.chance).map_or_else(|| "-".into(), |chance| format!("{chance:.3}"));
    lines.push(format!("{:34} {chance}", "always the most frequent object"));
    lines
}

/// Facts with the layers that know them.
fn listed(known: &Knowledge) -> String {
    let mut rows = vec![row(["fact", "object", "rank 1 at layers", "last rank", "the last layer says"])];
    for fact in known.facts.iter().take(LISTED) {
        let at: Vec<u32> = known.layers.iter().zip(&fact.ranks).filter(|(_, r)| **r == 1).map(|(l, _)| *l).collect();
        let rank = fact.ranks.last().map_or_else(String::new, u32::to_string);
        rows.push(vec![end(&fact.text), fact.object.clone(), runs(&at, &known.layers), rank, fact.said.clone()]);
    }
    let mut text = columns(&rows);
    if let more @ 1.. = known.facts.len().saturating_sub(LISTED) {
        let _ = writeln!(text, "... and {more} more (all of them with `--json`)");
    }
    text
}

/// The end of a long text.
fn end(text: &str) -> String {
    const MOST: usize = 44;
    let length = text.chars().count();
    match length > MOST {
        true => format!("...{}", text.chars().skip(length - MOST + 3).collect::<String>()),
        false => text.to_owned(),
    }
}

/// `9-12, 14`: neighbours among the layers that were read stand together.
fn runs(at: &[u32], layers: &[u32]) -> String {
    let place = |layer: u32| layers.iter().position(|l| *l == layer);
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for layer in at {
        match runs.last_mut() {
            Some(run) if place(run.1).map(|p| p + 1) == place(*layer) => run.1 = *layer,
            _ => runs.push((*layer, *layer)),
        }
    }
    let said = |(from, to): &(u32, u32)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    if runs.is_empty() { "none".into() } else { runs.iter().map(said).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stand_together() {
        assert_eq!(runs(&[1, 2, 3, 6], &[0, 1, 2, 3, 4, 5, 6]), "1-3, 6");
        assert_eq!(runs(&[1, 6, 12], &[1, 6, 12]), "1-12");
        assert_eq!(runs(&[], &[1, 2]), "none");
        assert_eq!(end(&"a".repeat(50)).len(), 44);
    }
}
