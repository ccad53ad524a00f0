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
            "Thin lines are training runs, one colour for each size. The frontier is the lowest loss that the fitted law gives for that compute, at the best split between parameters and tokens.",
        ),
        other => (other, ""),
    };
    let mut out = format!("<h3 id=\"law-{id}\">{}</h3>\n<p>{what}</p>\n<div class=\"law\"><div>\n", escape(heading));
    let plot = format!("figure-law-{id}");
    match law.law.as_str() {
        "L(N,D)" => out.push_str(&page.figure(chart::law::loss_by_tokens(&plot, law))),
        "frontier" => {
            let runs = page.findings.laws.iter().find(|l| l.law == "L(N,D)");
            out.push_str(&page.figure(chart::law::loss_by_compute(&plot, law, runs)));
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
    out.push_str(&format!("<p class=\"formula\">{}</p>\n", formula(&law.formula)));
    let mut rows: Vec<(&str, String)> = law.params.iter().map(|(k, v)| (greek(k), words::interval(*v))).collect();
    if let Some(r) = law.r_squared {
        rows.push(("R² on log loss", words::number(r)));
    }
    out.push_str(&facts("Fitted parameters, 95% intervals", rows));
    let conventions = facts("What the numbers mean", law.conventions.iter().map(|(k, v)| (k.as_str(), v.clone())));
    out.push_str(&format!("<details><summary>Conventions</summary>{conventions}</details>\n"));
    out.push_str("</aside></div>\n");
    out
}

/// The sign of a Greek letter that is written out.
pub(crate) fn greek(name: &str) -> &str {
    match name {
        "alpha" => "α",
        "beta" => "β",
        "gamma" => "γ",
        other => other,
    }
}

/// A plain-text formula as HTML: Greek letters as signs, what follows `^` raised.
pub(crate) fn formula(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('^').enumerate() {
        let raised =
            if i == 0 { 0 } else { part.find(|c: char| !(c.is_alphanumeric() || c == '.')).unwrap_or(part.len()) };
        if raised > 0 {
            out.push_str(&format!("<sup>{}</sup>", escape(greek(&part[..raised]))));
        } else if i > 0 {
            out.push('^');
        }
        out.push_str(&escape(&part[raised..]));
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn formulas_are_set_and_stay_safe() {
        assert_eq!(super::formula("E + A / N^alpha < 1^"), "E + A / N<sup>α</sup> &lt; 1^");
        assert_eq!(super::formula("C^0.5, N^<b>"), "C<sup>0.5</sup>, N^&lt;b&gt;");
    }
}
