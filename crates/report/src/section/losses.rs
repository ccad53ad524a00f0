//! Loss against size, tokens and compute, with the fitted laws.

use super::{Section, facts, section};
use crate::chart;
use crate::findings::Law;
use crate::html::{escape, slug};
use crate::page::Page;
use crate::words;

/// The section.
pub(crate) fn losses(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    if f.laws.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<p>The held-out loss is what training lowers. A law is a curve fitted to it; bands and intervals are \
         bootstrap intervals at 95%. A law says nothing reliable far outside the sizes measured.</p>\n",
    );
    for law in &f.laws {
        body.push_str(&one(page, law));
    }
    section("loss", "Loss, size and compute", body)
}

fn one(page: &mut Page, law: &Law) -> String {
    let id = slug(&law.law);
    let (heading, what) = match law.law.as_str() {
        "L(N)" => ("Loss against size", "One dot is one trained model."),
        "L(N,D)" => (
            "Loss against size and tokens",
            "Checkpoints along the training of each model: a marker is one checkpoint, a colour is one size.",
        ),
        "frontier" => (
            "The compute frontier",
            "Thin lines are training runs. The frontier is the lowest loss that any size reaches with that compute.",
        ),
        other => (other, ""),
    };
    let mut out = format!("<h3 id=\"law-{id}\">{}</h3>\n<p>{what}</p>\n<div class=\"law\"><div>\n", escape(heading));
    let plot = format!("figure-law-{id}");
    match law.law.as_str() {
        "L(N,D)" => out.push_str(&page.figure(chart::law::loss_by_tokens(&plot, law))),
        "frontier" => {
            out.push_str(&page.figure(chart::law::loss_by_compute(&plot, law)));
            if !law.allocation.is_empty() {
                let rows = &law.allocation;
                let size = chart::law::split(
                    &format!("{plot}-n"),
                    "Best size for a budget",
                    "Non-embedding parameters",
                    rows,
                    |a| a.params,
                );
                let tokens = chart::law::split(
                    &format!("{plot}-d"),
                    "Best number of tokens for a budget",
                    "Training tokens",
                    rows,
                    |a| a.tokens,
                );
                let pair = page.figure(size) + &page.figure(tokens);
                out.push_str(&format!("<div class=\"pair\">{pair}</div>"));
            }
        }
        _ => out.push_str(&page.figure(chart::law::loss_by_size(&plot, law))),
    }
    out.push_str("</div><aside>\n");
    for warning in &law.warnings {
        out.push_str(&format!("<p class=\"warning\">{}</p>\n", escape(warning)));
    }
    out.push_str(&format!("<p class=\"formula\">{}</p>\n", escape(&law.formula)));
    let mut rows: Vec<(&str, String)> = law.params.iter().map(|(k, v)| (k.as_str(), words::interval(*v))).collect();
    if let Some(r) = law.r_squared {
        rows.push(("R² on log loss", words::number(r)));
    }
    out.push_str(&facts("Fitted parameters, 95% intervals", rows));
    out.push_str(&facts("Conventions", law.conventions.iter().map(|(k, v)| (k.as_str(), v.clone()))));
    out.push_str("</aside></div>\n");
    out
}
