//! What changes an ability on the same models: steps written out, shots, depth.

use super::{Section, conditions, section};
use crate::chart;
use crate::findings::{Ability, Effect};
use crate::html::{escape, slug};
use crate::page::Page;
use crate::words;

/// With and without chain of thought.
pub(crate) fn chain_of_thought(page: &mut Page) -> Option<Section> {
    let body = effects(page, "chain-of-thought");
    let intro = "<p>The same questions are answered at once, or with the intermediate results written out first. \
        The difference is taken on the same models and questions; its interval resamples both.</p>\n";
    (!body.is_empty())
        .then(|| format!("{intro}{body}"))
        .and_then(|b| section("chain-of-thought", "With and without chain of thought", b))
}

/// Solved examples in the prompt.
pub(crate) fn shots(page: &mut Page) -> Option<Section> {
    let body = shot_curves(page) + &effects(page, "shots");
    let intro = "<p>A shot is one solved example in the prompt. Each line is a number of shots; the models are the same. \
        Lines that part with size show that larger models make more use of examples.</p>\n";
    (!body.is_empty()).then(|| format!("{intro}{body}")).and_then(|b| section("shots", "Examples in the prompt", b))
}

/// Depth at equal parameters.
pub(crate) fn depth(page: &mut Page) -> Option<Section> {
    let body = effects(page, "depth");
    let intro = "<p>A control: models with about as many parameters, but fewer layers. Where they \
        differ, size alone is not the cause.</p>\n";
    (!body.is_empty()).then(|| format!("{intro}{body}")).and_then(|b| section("depth", "Depth at equal size", b))
}

/// Effects of kinds that this page does not know by name.
pub(crate) fn others(page: &mut Page) -> Option<Section> {
    let mut kinds: Vec<String> = page.findings.effects.iter().map(|e| e.kind.clone()).collect();
    kinds.retain(|k| !["chain-of-thought", "shots", "depth"].contains(&k.as_str()));
    kinds.sort();
    kinds.dedup();
    let body: String = kinds.iter().map(|k| effects(page, k)).collect();
    (!body.is_empty()).then_some(body).and_then(|b| section("other-effects", "Other effects", b))
}

fn effects(page: &mut Page, kind: &str) -> String {
    let f = page.findings;
    let chosen: Vec<(usize, &Effect)> = f.effects.iter().enumerate().filter(|(_, e)| e.kind == kind).collect();
    if chosen.is_empty() {
        return String::new();
    }
    let mut out = format!("<div id=\"effects-{}\">\n", slug(kind));
    // A curve needs three sizes; what has fewer becomes a row.
    let (curves, rows): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(_, e)| e.points.len() > 2);
    for (i, e) in curves {
        let base = format!("effect-{i}-{}", slug(&e.kind));
        let pair = page.figure(chart::effect::both(&format!("{base}-both"), e))
            + &page.figure(chart::effect::difference(&format!("{base}-difference"), e));
        out.push_str(&format!(
            "<h3>{}</h3>\n<p>{}</p>\n<div class=\"pair\">{pair}</div>\n",
            escape(&words::label(&e.label)),
            escape(words::summary(&e.label, &e.summary))
        ));
    }
    let mut metrics: Vec<&str> = rows.iter().map(|(_, e)| e.metric.as_str()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    for (i, metric) in metrics.into_iter().enumerate() {
        let same: Vec<&Effect> = rows.iter().map(|(_, e)| *e).filter(|e| e.metric == metric).collect();
        out.push_str(&page.figure(chart::effect::rows(&format!("effects-{}-rows-{i}", slug(kind)), &same)));
        out.push_str(&row_table(&same));
    }
    out.push_str("</div>\n");
    out
}

/// The effects of [`chart::effect::rows`] in numbers.
fn row_table(effects: &[&Effect]) -> String {
    let (with, without) = chart::effect::sides(effects[0].kind.as_str());
    let metric = words::metric(&effects[0].metric);
    let write = |v: f64| words::value(metric.format, v);
    let mut rows = String::new();
    for (e, p) in effects.iter().flat_map(|e| e.points.iter().map(move |p| (e, p))) {
        let d = p.difference;
        rows.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{} ({})</td><td>{}</td><td>{}</td><td>{} ({} to {})</td><td>{}</td></tr>\n",
            escape(&words::label(&e.label)),
            escape(&p.rung),
            words::count(p.params),
            write(p.with),
            write(p.without),
            write(d.value),
            write(d.low),
            write(d.high),
            escape(words::summary(&e.label, &e.summary))
        ));
    }
    format!(
        "<div class=\"scroll\"><table><caption>{}, with 95% intervals of the difference</caption><thead><tr>\
         <th scope=\"col\">Compared</th><th scope=\"col\">Size</th><th scope=\"col\">{with}</th>\
         <th scope=\"col\">{without}</th><th scope=\"col\">Difference</th><th scope=\"col\">In words</th></tr></thead>\
         <tbody>\n{rows}</tbody></table></div>\n",
        escape(&metric.axis)
    )
}

/// One figure for each task that was measured, by its main metric, with several numbers of shots.
fn shot_curves(page: &mut Page) -> String {
    let f = page.findings;
    let mut groups: Vec<Vec<&Ability>> = Vec::new();
    for condition in conditions(&f.abilities) {
        let a = &f.abilities[condition.members[0]];
        let same = |b: &Ability| (&a.family, &a.task, &a.style, &a.metric) == (&b.family, &b.task, &b.style, &b.metric);
        match groups.iter_mut().find(|g| same(g[0])) {
            Some(group) => group.push(a),
            None => groups.push(vec![a]),
        }
    }
    let mut out = String::new();
    for (i, mut group) in groups.into_iter().filter(|g| g.len() > 1).enumerate() {
        group.sort_by_key(|a| a.shots);
        let title = format!("{}: {} by size and shots", group[0].family, words::metric(&group[0].metric).name);
        out.push_str(&page.figure(chart::ability::shots(&format!("figure-shots-{i}"), &title, &group)));
    }
    out
}
