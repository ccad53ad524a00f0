//! The headline findings in sentences, from the verdicts alone: nothing is said here that no verdict says.

use crate::findings::{is_main, label};
use saltus_report::findings::{Ability, Effect, Findings, Headline, Threshold};

/// One sentence for each finding that a reader should see first.
pub(crate) fn headlines(findings: &Findings) -> Vec<Headline> {
    let mut all = Vec::new();
    all.extend(loss(findings));
    all.extend(emergent(findings));
    all.extend(made_by_metric(findings));
    all.extend(switches(findings, "chain-of-thought"));
    all.extend(switches(findings, "shots"));
    all.extend(shaped(findings, "u-shaped", "falls before it rises with size"));
    all.extend(shaped(findings, "inverse", "gets worse with size"));
    all.extend(shaped(findings, "inverted-u", "rises, then falls with size"));
    all.extend(switches(findings, "depth"));
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
    let text = format!(
        "The held-out loss follows a power law of size over {} sizes: exponent {:.2} ({:.2} to {:.2}), irreducible loss \
         {:.2} ({:.2} to {:.2}) nats per token{fit}.",
        sizes.len(),
        alpha.value,
        alpha.low,
        alpha.high,
        e.value,
        e.low,
        e.high
    );
    Some(headline("loss", text, vec!["L(N)".into()]))
}

fn main_abilities<'a>(findings: &'a Findings, shape: &'a str) -> impl Iterator<Item = &'a Ability> {
    findings.abilities.iter().filter(move |a| is_main(&a.metric) && a.shape == shape)
}

fn name(a: &Ability) -> String {
    label(&a.family, &a.task, &a.style, a.shots)
}

fn emergent(findings: &Findings) -> Option<Headline> {
    let found: Vec<&Ability> = main_abilities(findings, "emergent").collect();
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

fn made_by_metric(findings: &Findings) -> Vec<Headline> {
    let ruled = findings.abilities.iter().filter_map(|a| Some((a, a.artefact.as_ref()?)));
    ruled
        .filter(|(_, ruling)| ruling.ruling != "no")
        .map(|(a, ruling)| {
            let how = if ruling.ruling == "yes" { "is made by the metric" } else { "is in part made by the metric" };
            headline("artefact", format!("The jump of {} {how}: {}", name(a), ruling.evidence), vec![a.id.clone()])
        })
        .collect()
}

fn switches(findings: &Findings, kind: &str) -> Vec<Headline> {
    let effects = findings.effects.iter().filter(|e| e.kind == kind && e.switches_on.is_some());
    effects.map(|e: &Effect| headline(kind, e.summary.clone(), vec![e.label.clone()])).collect()
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
