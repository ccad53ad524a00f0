//! The headline findings in sentences, from the verdicts alone: nothing is said here that no verdict says.

use crate::findings::{is_main, label};
use saltus_report::{
    findings::{Ability, Effect, Findings, Headline, Threshold},
    shown_first,
};

/// One sentence for each finding that a reader should see first.
pub(crate) fn headlines(findings: &Findings) -> Vec<Headline> {
    let mut all = Vec::new();
    all.extend(loss(findings));
    all.extend(emergent(findings));
    all.extend(made_by_metric(findings));
    all.extend(switches(findings, "chain-of-thought", "Writing out the steps helps beyond doubt"));
    all.extend(switches(findings, "shots", "Examples in the prompt help beyond doubt"));
    all.extend(shaped(findings, "u-shaped", "falls before it rises with size"));
    all.extend(shaped(findings, "inverse", "gets worse with size"));
    all.extend(shaped(findings, "inverted-u", "rises, then falls with size"));
    all.extend(switches(findings, "depth", "More layers with about the same number of parameters help"));
    all.extend(undetermined(findings));
    all
}

fn headline(kind: &str, text: String, about: Vec<String>) -> Headline {
    Headline { kind: kind.into(), text, about }
}

fn loss(findings: &Findings) -> Option<Headline> {
    let law = findings.laws.iter().find(|l| l.law == "L(N)")?;
    let (alpha, e) = (law.params.get("alpha")?, law.params.get("E")?);
    let mut sizes: Vec<u64> = law.points.iter().map(|p| p.params as u64).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let fit = law.r_squared.map(|r| format!(", R² {r:.3}")).unwrap_or_default();
    let irreducible = match law.warnings.iter().any(|w| w.contains("irreducible loss is not identified")) {
        true => "the irreducible loss is not identified by these sizes".to_string(),
        false => format!("irreducible loss {:.2} ({:.2} to {:.2}) nats per token", e.value, e.low, e.high),
    };
    let text = format!(
        "The held-out loss falls as a power of size over {} sizes: exponent {:.2} ({:.2} to {:.2}), {irreducible}{fit}.",
        sizes.len(),
        alpha.value,
        alpha.low,
        alpha.high
    );
    Some(headline("loss", text, vec!["L(N)".into()]))
}

/// Abilities of a shape by the metrics that people quote, each by the one that the page shows first: a final answer rather
/// than the exact match of all its steps.
fn main_abilities<'a>(findings: &'a Findings, shape: &'a str) -> impl Iterator<Item = &'a Ability> {
    shown_first(&findings.abilities).filter(move |a| a.shape == shape && is_main(&a.metric))
}

fn name(a: &Ability) -> String {
    label(&a.family, &a.task, &a.style, a.shots)
}

fn emergent(findings: &Findings) -> Option<Headline> {
    // A jump that the metric alone has made is told as that.
    let found: Vec<&Ability> = main_abilities(findings, "emergent").filter(|a| !a.is_ruled("yes")).collect();
    let tell = |a: &Ability| match &a.threshold {
        Some(t) => format!("{} ({})", name(a), range(t)),
        None => name(a),
    };
    let list: Vec<String> = found.iter().map(|a| tell(a)).collect();
    let text = match found.len() {
        0 => return None,
        1 => format!("One ability emerges: {}.", list[0]),
        n => format!("{n} abilities emerge, each between two tested sizes (parameters): {}.", list.join("; ")),
    };
    Some(headline("emergent", text, found.iter().map(|a| a.id.clone()).collect()))
}

/// One headline for each ruling: the evidence of each ability is on its card.
fn made_by_metric(findings: &Findings) -> Vec<Headline> {
    let of = |ruling: &str, how: &str| {
        let ruled: Vec<&Ability> = findings.abilities.iter().filter(|a| a.is_ruled(ruling)).collect();
        let names: Vec<String> = ruled.iter().map(|a| name(a)).collect();
        let text = format!(
            "Exact match jumps {how} because of the metric: {}. There each token's accuracy to the power of the answer's \
             length (p^L), measured for each model, gives the exact match that was measured.",
            names.join("; ")
        );
        let about = ruled.iter().map(|a| a.id.clone()).collect();
        (!ruled.is_empty()).then(|| headline("artefact", text, about))
    };
    of("yes", "only").into_iter().chain(of("in part", "in part")).collect()
}

/// One headline for each kind of effect: where it switches on.
fn switches(findings: &Findings, kind: &str, what: &str) -> Option<Headline> {
    let effects = findings.effects.iter().filter(|e| e.kind == kind);
    let on: Vec<(&Effect, &Threshold)> = effects.filter_map(|e| Some((e, e.switches_on.as_ref()?))).collect();
    let tell = |(e, t): &(&Effect, &Threshold)| match e.points.len() {
        1 => format!("{} ({:+.2} at {})", e.label, e.points[0].difference.value, short(t.scale)),
        _ if t.low < t.scale => format!("{} (from {} on, not yet at {})", e.label, short(t.scale), short(t.low)),
        _ => format!("{} (from {} on)", e.label, short(t.scale)),
    };
    let list: Vec<String> = on.iter().map(tell).collect();
    let about = on.iter().map(|(e, _)| e.label.clone()).collect();
    (!on.is_empty()).then(|| headline(kind, format!("{what}: {}.", list.join("; ")), about))
}

fn shaped(findings: &Findings, shape: &str, how: &str) -> Option<Headline> {
    let of_interest = |a: &&Ability| a.shape == shape && (is_main(&a.metric) || a.metric == "nll");
    let found: Vec<&Ability> = findings.abilities.iter().filter(of_interest).collect();
    let list: Vec<String> = found.iter().map(|a| format!("{} ({})", name(a), a.metric)).collect();
    let about = found.iter().map(|a| a.id.clone()).collect();
    (!found.is_empty()).then(|| headline(shape, format!("Performance {how}: {}.", list.join("; ")), about))
}

fn undetermined(findings: &Findings) -> Option<Headline> {
    let found: Vec<&Ability> = main_abilities(findings, "undetermined").collect();
    let list: Vec<String> = found.iter().map(|a| name(a)).collect();
    let about = found.iter().map(|a| a.id.clone()).collect();
    let text =
        format!("These data do not decide how {} grow{}.", list.join("; "), if found.len() == 1 { "s" } else { "" });
    (!found.is_empty()).then(|| headline("undetermined", text, about))
}

/// `5.9k, within 3.5k to 14k`.
fn range(t: &Threshold) -> String {
    format!("at {}, within {} to {}", short(t.scale), short(t.low), short(t.high))
}

/// A number of parameters with two or three digits.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 999.5e6 => (v / 1e9, "G"),
        v if v >= 999.5e3 => (v / 1e6, "M"),
        v if v >= 999.5 => (v / 1e3, "k"),
        v => (v, ""),
    };
    format!("{scaled:.*}{unit}", usize::from(scaled < 9.95))
}
