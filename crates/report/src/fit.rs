//! The page of a fitted law: data and curves, parameters with intervals, residuals, best splits.

use crate::budget::Estimate;
use crate::chart::fit as chart;
use crate::html::{escape, json_block};
use crate::page::{assemble, frame};
use crate::section::losses::{formula, greek};
use crate::words;
use serde::{Deserialize, Serialize};

/// A fit as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawFit {
    /// Version of Saltus that computed this.
    pub saltus: String,
    /// The law and the data: the heading.
    pub title: String,
    /// `240 runs, 5 left out`, and what else opens the page.
    pub lead: String,
    /// Formula in plain text, `E + A / N^alpha`; several are told apart by semicolons.
    pub formula: String,
    /// Named parameters and exponents.
    pub params: Vec<(String, Estimate)>,
    /// Objective, delta, starts, R squared and the like, in words.
    pub facts: Vec<(String, String)>,
    /// What the numbers mean.
    pub conventions: Vec<(String, String)>,
    /// What a reader must know before using the law.
    pub warnings: Vec<String>,
    /// Name and unit of the horizontal axis of `groups`.
    pub x_label: String,
    /// Name and unit of the vertical axis of `groups`.
    pub y_label: String,
    /// The data, a colour for each group: sizes, or budgets.
    pub groups: Vec<Group>,
    /// What is left of each run.
    pub residuals: Vec<Residual>,
    /// How the best size, tokens or loss go with the budget: minima of isoFLOP curves, the envelope, the closed form.
    pub splits: Vec<Split>,
}

/// Data of one size or budget, and the fitted curve through them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// `1.4B parameters`.
    pub name: String,
    /// (x, y) of the data.
    pub points: Vec<(f64, f64)>,
    /// (x, y) of the curve.
    pub curve: Vec<(f64, f64)>,
}

/// What the law leaves of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Names the run: `row 17`.
    pub name: String,
    /// N.
    pub params: f64,
    /// D.
    pub tokens: f64,
    /// C.
    pub flops: f64,
    /// ln of the loss less ln of the law's.
    pub value: f64,
    /// Whether the run moves an exponent by more than its standard error.
    pub influential: bool,
}

/// A quantity that goes with the budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// `Best size for a budget`.
    pub title: String,
    /// Name and unit.
    pub label: String,
    /// (C, value) as found in the data: minima, points of the envelope.
    pub found: Vec<(f64, Estimate)>,
    /// (C, value) of the fitted power law, by rising C.
    pub line: Vec<(f64, Estimate)>,
}

/// The page as HTML. The same fit gives the same bytes.
pub fn page(fit: &LawFit) -> String {
    let fitted = chart::fitted(fit);
    let splits: Vec<_> = fit.splits.iter().enumerate().map(|(i, split)| chart::split(i, split)).collect();
    let residuals = chart::residuals(fit);
    let mut main = header(fit);
    main.push_str("<section id=\"fit\"><h2>Data and law</h2>\n<div class=\"law\"><div>\n");
    main.push_str(&frame(&fitted));
    main.push_str("</div><aside>\n");
    main.push_str(&aside(fit));
    main.push_str("</aside></div></section>\n");
    main.push_str(&figures("splits", "Best splits of a budget", "", &splits));
    main.push_str(&figures(
        "residuals",
        "Residuals",
        "<p>The logarithm of each loss less that of the law. A law that is right leaves no trend; a run far out, or one of \
         the marked ones, deserves a look before the law is used.</p>\n",
        &residuals,
    ));
    let all: Vec<_> = std::iter::once(fitted).chain(splits).chain(residuals).collect();
    let data = json_block("figures", &all) + &json_block("findings", fit);
    assemble(&fit.title, &fit.saltus, &main, &data)
}

fn header(fit: &LawFit) -> String {
    let warnings: String =
        fit.warnings.iter().map(|warning| format!("<p class=\"warning\">{}</p>\n", escape(warning))).collect();
    format!(
        "<header><p class=\"kicker\">Saltus <span>A law of the loss</span></p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n\
         {warnings}</header>\n",
        escape(&fit.title),
        escape(&fit.lead)
    )
}

fn aside(fit: &LawFit) -> String {
    let mut out: String =
        fit.formula.split(';').map(|one| format!("<p class=\"formula\">{}</p>\n", formula(one.trim()))).collect();
    let value = |e: &Estimate| match (e.low, e.high) {
        (Some(low), Some(high)) => {
            format!("{} ({} to {})", words::number(e.value), words::number(low), words::number(high))
        }
        _ => words::number(e.value),
    };
    out.push_str(&crate::section::facts(
        "Fitted parameters, 95% intervals",
        fit.params.iter().map(|(name, e)| (greek(name), value(e))),
    ));
    let told = |rows: &[(String, String)], caption| {
        crate::section::facts(caption, rows.iter().map(|(name, fact)| (name.as_str(), fact.clone())))
    };
    out.push_str(&told(&fit.facts, "How it was fitted"));
    let conventions = told(&fit.conventions, "What the numbers mean");
    out + &format!("<details><summary>Conventions</summary>{conventions}</details>\n")
}

fn figures(id: &str, title: &str, text: &str, figures: &[crate::figure::Figure]) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let frames: String = figures.iter().map(frame).collect();
    format!("<section id=\"{id}\"><h2>{title}</h2>\n{text}<div class=\"pair\">\n{frames}</div></section>\n")
}
