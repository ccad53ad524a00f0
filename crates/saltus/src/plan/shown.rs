//! A plan as JSON and as text.

use super::{
    Plan,
    abilities::{Ability, Stands},
};
use crate::table::columns;
use saltus_law::Parameters;
use saltus_law::plan::{Answer, BudgetLaw, Estimate};
use serde::Serialize;
use std::fmt::Write;

/// One law's answer as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    law: String,
    title: String,
    source: String,
    params: Value,
    tokens: Value,
    loss: Value,
    tokens_per_param: Value,
    flops: Value,
    params_total: Value,
    params_non_embedding: Value,
    epochs: Option<Value>,
    in_use: Option<InUse>,
    growth: Option<Growth>,
    conventions: Conventions,
    interval: String,
    notes: Vec<String>,
    abilities: Vec<AbilityRow>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Value {
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Debug, Serialize)]
struct InUse {
    tokens: f64,
    total_flops: f64,
    unaware_params: f64,
    unaware_tokens: f64,
    unaware_total_flops: f64,
}

#[derive(Debug, Serialize)]
struct Growth {
    times: f64,
    params: Value,
    tokens: Value,
    loss: Value,
    readings: Vec<Reading>,
}

#[derive(Debug, Serialize)]
struct Reading {
    params: f64,
    tokens: f64,
    source: &'static str,
}

#[derive(Debug, Serialize)]
struct Conventions {
    parameters: &'static str,
    flops: &'static str,
    loss: String,
}

#[derive(Debug, Serialize)]
struct AbilityRow {
    #[serde(flatten)]
    ability: Ability,
    standing: Stands,
}

impl From<Estimate> for Value {
    fn from(e: Estimate) -> Self {
        Value { value: e.value, low: e.low, high: e.high }
    }
}

/// What `--json` prints.
pub(super) fn rows(plan: &Plan) -> Vec<Row> {
    plan.rows.iter().map(|(law, answer)| row(plan, law, answer)).collect()
}

fn row(plan: &Plan, law: &BudgetLaw, answer: &Answer) -> Row {
    let stands = |ability: &Ability| AbilityRow { ability: ability.clone(), standing: ability.stands(answer) };
    let growth = answer.growth.as_ref().map(|g| Growth {
        times: g.factor,
        params: g.params.into(),
        tokens: g.tokens.into(),
        loss: g.loss.into(),
        readings: g.readings.iter().map(|&(params, tokens, source)| Reading { params, tokens, source }).collect(),
    });
    let in_use = answer.in_use.map(|u| InUse {
        tokens: u.tokens,
        total_flops: u.total_flops,
        unaware_params: u.unaware_params,
        unaware_tokens: u.unaware_tokens,
        unaware_total_flops: u.unaware_flops,
    });
    Row {
        law: law.name.clone(),
        title: law.title.clone(),
        source: law.source.clone(),
        params: answer.params.into(),
        tokens: answer.tokens.into(),
        loss: answer.loss.into(),
        tokens_per_param: answer.tokens_per_param.into(),
        flops: answer.flops.into(),
        params_total: answer.params_total.into(),
        params_non_embedding: answer.params_non_embedding.into(),
        epochs: answer.epochs.map(Value::from),
        in_use,
        growth,
        conventions: Conventions {
            parameters: parameters(law),
            flops: "6 N D, N as in `parameters`",
            loss: format!("nats per token of {}", law.text),
        },
        interval: law.interval.clone(),
        notes: law.notes.iter().chain(&answer.notes).cloned().collect(),
        abilities: plan.abilities.iter().map(stands).collect(),
    }
}

/// Which parameters a law counts.
pub(super) fn parameters(law: &BudgetLaw) -> &'static str {
    match law.parameters {
        Parameters::Total => "total",
        Parameters::NonEmbedding => "non-embedding",
    }
}

/// What is printed for people.
pub(super) fn text(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(budget) = &plan.budget {
        let _ = writeln!(text, "budget: {budget}\n");
    }
    let _ = writeln!(text, "{}", columns(&table(plan)));
    text += &in_use(plan);
    text += &growth(plan);
    text += &conventions(plan);
    text += &abilities(plan);
    for (law, why) in &plan.left_out {
        let _ = writeln!(text, "left out: {law}: {why}");
    }
    text
}

fn table(plan: &Plan) -> Vec<Vec<String>> {
    let spent = plan.question.known().flops.is_none() || plan.question.known().inference.is_some();
    let repeats = plan.question.known().unique.is_some();
    let mut head = vec!["law", "parameters", "tokens", "tokens/param", "loss"];
    head.extend(spent.then_some("training FLOPs"));
    head.extend(repeats.then_some("passes"));
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (law, answer) in &plan.rows {
        let mark = if law.parameters == Parameters::NonEmbedding { "*" } else { "" };
        let mut row = vec![
            law.name.clone(),
            interval(answer.params, count) + mark,
            interval(answer.tokens, count),
            interval(answer.tokens_per_param, ratio),
            interval(answer.loss, |l| format!("{l:.3}")),
        ];
        row.extend(spent.then(|| interval(answer.flops, flops)));
        row.extend(answer.epochs.map(|epochs| interval(epochs, ratio)));
        rows.push(row);
    }
    rows
}

fn in_use(plan: &Plan) -> String {
    let mut rows = vec![
        ["law", "training and use", "best split alone", "its training and use", "saved"].map(str::to_owned).to_vec(),
    ];
    for (law, answer) in &plan.rows {
        if let Some(u) = answer.in_use {
            rows.push(vec![
                law.name.clone(),
                format!("{} FLOPs", flops(u.total_flops)),
                format!("{} on {} tokens", count(u.unaware_params), count(u.unaware_tokens)),
                format!("{} FLOPs", flops(u.unaware_flops)),
                format!("{:.1}%", 100.0 * (1.0 - u.total_flops / u.unaware_flops)),
            ]);
        }
    }
    match plan.question.known().inference {
        Some(tokens) if rows.len() > 1 => format!(
            "The cheapest model of the same loss in training and use, 6 N D + 2 N D' for D' = {} tokens in use (arXiv \
             2401.00448):\n{}\n",
            count(tokens),
            columns(&rows)
        ),
        _ => String::new(),
    }
}

fn growth(plan: &Plan) -> String {
    let Some(times) = plan.times else { return String::new() };
    let mut text = format!("{times} times the compute:\n");
    let mut rows = Vec::new();
    for (law, answer) in &plan.rows {
        let Some(g) = &answer.growth else { continue };
        let factor = |value: f64| format!("{value:.2}x");
        rows.push(vec![
            law.name.clone(),
            format!("{} parameters", interval(g.params, factor)),
            format!("{} tokens", interval(g.tokens, factor)),
            format!("loss {}", interval(g.loss, |l| format!("{l:.3}"))),
        ]);
        for (params, tokens, source) in &g.readings {
            rows.push(vec![
                "  read as".to_owned(),
                format!("{} parameters", factor(*params)),
                format!("{} tokens", factor(*tokens)),
                format!("({source})"),
            ]);
        }
    }
    let _ = writeln!(text, "{}", columns(&rows));
    text
}

fn conventions(plan: &Plan) -> String {
    let mut text = String::new();
    let without: Vec<String> = plan
        .rows
        .iter()
        .filter(|(law, _)| law.parameters == Parameters::NonEmbedding)
        .map(|(law, answer)| format!("{} {} with them", law.name, count(answer.params_total.value)))
        .collect();
    if !without.is_empty() {
        let _ = writeln!(
            text,
            "* Without embeddings ({}; N + 47491 N^(1/3), arXiv 2406.12907); the others count all parameters.",
            without.join(", ")
        );
    }
    text += "Training FLOPs are 6 N D. Losses are nats per token of each law's own text, and cannot be compared between texts.\n\n";
    for (law, answer) in &plan.rows {
        let _ = writeln!(text, "{}: {}; loss on {}", law.name, law.source, law.text);
        let _ = writeln!(text, "  intervals: {}", law.interval);
        for note in law.notes.iter().chain(&answer.notes) {
            let _ = writeln!(text, "  {note}");
        }
    }
    text + "\n"
}

/// Abilities by where they stand: each by name where they stand alike for all laws, else numbers for each law.
fn abilities(plan: &Plan) -> String {
    let mut groups: Vec<(Vec<Stands>, Vec<&str>)> = Vec::new();
    for (law, answer) in &plan.rows {
        let standing: Vec<Stands> = plan.abilities.iter().map(|ability| ability.stands(answer)).collect();
        match groups.iter_mut().find(|(other, _)| *other == standing) {
            Some((_, laws)) => laws.push(&law.name),
            None => groups.push((standing, vec![&law.name])),
        }
    }
    let mut text = String::from(
        "Abilities by then. Each was seen at some size of one family and not at the next smaller one: it emerges somewhere \
         between, and another recipe may differ.\n",
    );
    if let [(standing, _)] = &groups[..] {
        for stands in Stands::ALL {
            text += &listed(plan, standing, stands);
        }
        return text;
    }
    for (standing, laws) in &groups {
        let count = |stands| standing.iter().filter(|s| **s == stands).count();
        let counts = Stands::ALL.map(|stands| format!("{} {}", count(stands), stands.words()));
        let _ = writeln!(text, "  by {}: {}", laws.join(", "), counts.join(", "));
    }
    text + "  (--json and --page name them; --law chooses one law)\n"
}

fn listed(plan: &Plan, standing: &[Stands], stands: Stands) -> String {
    let mut here: Vec<&Ability> =
        plan.abilities.iter().zip(standing).filter(|(_, s)| **s == stands).map(|(a, _)| a).collect();
    if here.is_empty() {
        return String::new();
    }
    here.sort_by(|a, b| a.seen_at.total_cmp(&b.seen_at));
    here.iter().fold(format!("  {}:\n", stands.words()), |text, ability| text + "    " + &sentence(ability) + "\n")
}

/// `MMLU, 26 topics (few-shot, Gopher): seen at 5.0e23 FLOPs, not at 1.3e22`.
fn sentence(ability: &Ability) -> String {
    let (unit, write): (&str, fn(f64) -> String) = match ability.axis {
        super::abilities::Axis::Flops => (" FLOPs", flops),
        super::abilities::Axis::Params => (" parameters", count),
        super::abilities::Axis::ParamsNonEmbedding => (" non-embedding parameters", count),
        super::abilities::Axis::Tokens => (" tokens", count),
        super::abilities::Axis::Loss => (" nats of loss", ratio),
    };
    let absent = ability.absent_at.map_or(String::new(), |absent| format!(", not at {}", write(absent)));
    format!(
        "{} ({}, {}): seen at {}{unit}{absent}",
        ability.ability,
        ability.asked,
        ability.family,
        write(ability.seen_at)
    )
}

fn interval(e: Estimate, write: impl Fn(f64) -> String) -> String {
    match (e.low, e.high) {
        (None, None) => write(e.value),
        (low, high) => {
            let end = |end: Option<f64>| end.map_or("?".to_owned(), &write);
            let (low, high) = (end(low), end(high));
            // An interval of no width is a number that was given.
            if low == high { write(e.value) } else { format!("{} ({low} to {high})", write(e.value)) }
        }
    }
}

/// `67B`, `1.5T`: three significant digits, with the units of the field.
pub(super) fn count(value: f64) -> String {
    for (unit, name) in [(1e15, "Q"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")] {
        if value >= unit * 0.9995 {
            return format!("{}{name}", ratio(value / unit));
        }
    }
    ratio(value)
}

/// `5.76e23`.
pub(super) fn flops(value: f64) -> String {
    format!("{value:.2e}")
}

/// Three significant digits.
fn ratio(value: f64) -> String {
    let digits = (2 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}
