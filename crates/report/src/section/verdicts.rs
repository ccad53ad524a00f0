//! The table of verdicts, sortable and filterable, and the map of where abilities emerge.

use super::{Section, ability_pill, conditions, known, section, shape_pill, shown_first};
use crate::chart;
use crate::findings::{Ability, Findings, Threshold};
use crate::html::escape;
use crate::page::Page;
use crate::words;

const SHAPES: [&str; 7] = ["emergent", "smooth", "u-shaped", "inverted-u", "inverse", "flat", "undetermined"];

/// The section.
pub(crate) fn verdicts(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    if f.abilities.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<p>Each row is one ability. The verdict is the shape with the largest weight. The weight says how \
         strongly the data prefer it to the other shapes. <em>Undetermined</em> is a verdict too: the sizes and seeds \
         measured do not decide, and the row says why.</p>\n",
    );
    let rows = emerging(f);
    if !rows.is_empty() {
        body.push_str(&page.figure(chart::ability::thresholds("figure-thresholds", &rows)));
        body.push_str(
            "<p class=\"note\">Dot: estimated size. Bar: 95% interval, never finer than the sizes tested. \
             Only abilities judged emergent by their main metric are shown, and no jump that the metric alone has \
             made.</p>\n",
        );
    }
    body.push_str(&filters(f));
    body.push_str(&table(page));
    section("verdicts", "Verdicts", body)
}

/// Emergent abilities by main metric, earliest first.
fn emerging(f: &Findings) -> Vec<(String, Threshold)> {
    let mut rows: Vec<(String, Threshold)> = shown_first(&f.abilities)
        .filter(|a| a.shape == "emergent" && !a.is_ruled("yes"))
        .filter_map(|a| Some((words::ability_name(a), a.threshold?)))
        .collect();
    rows.sort_by(|a, b| a.1.scale.total_cmp(&b.1.scale));
    rows
}

fn filters(f: &Findings) -> String {
    let all: Vec<&Ability> = shown_first(&f.abilities).collect();
    let main = |shape: &str| all.iter().filter(|a| known(&a.shape) == shape).count();
    let buttons: String = SHAPES
        .iter()
        .filter(|s| f.abilities.iter().any(|a| known(&a.shape) == **s))
        .map(|s| {
            format!(
                "<button type=\"button\" data-shape=\"{s}\" aria-pressed=\"false\">{} <b>{}</b></button>",
                shape_pill(s, None),
                main(s)
            )
        })
        .collect();
    format!(
        "<div class=\"filters\" role=\"group\" aria-label=\"Filter the table by shape\">\
         <button type=\"button\" data-shape=\"\" aria-pressed=\"true\">All <b>{}</b></button>{buttons}\
         <label><input type=\"checkbox\" id=\"all-metrics\"> every metric</label>\
         <input type=\"search\" id=\"search\" placeholder=\"Search\" aria-label=\"Search the table by name\"></div>\n",
        all.len()
    )
}

fn table(page: &Page) -> String {
    let f = page.findings;
    let mut rows = String::new();
    for condition in conditions(&f.abilities) {
        for (k, &i) in condition.members.iter().enumerate() {
            rows.push_str(&row(&f.abilities[i], page.anchors.ability(i), k == 0));
        }
    }
    let heads: String =
        ["Ability", "Verdict, weight", "Course", "Emerges at", "Smallest to largest", "Made by the metric?"]
            .iter()
            .map(|h| match *h {
                "Course" => format!("<th scope=\"col\" class=\"plain\">{h}</th>"),
                h => format!("<th scope=\"col\"><button type=\"button\" class=\"sort\">{h}</button></th>"),
            })
            .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of verdicts\"><table class=\"verdicts\">\
         <caption>Verdicts over {scale}; intervals are 95%.</caption>\
         <thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table></div>\n\
         <p class=\"note\" id=\"shown\" aria-live=\"polite\"></p>\n",
        scale = words::scale_name(f.abilities.first().map_or("", |a| &a.scale))
    )
}

fn row(a: &Ability, anchor: &str, main: bool) -> String {
    let metric = words::metric(&a.metric);
    let weight = a.weights.get(&a.shape).copied();
    let (ends, last) = match (a.points.first(), a.points.last()) {
        (Some(x), Some(y)) => (
            format!("{} to {}", words::value(metric.format, x.value), words::value(metric.format, y.value)),
            y.value.to_string(),
        ),
        _ => ("not measured".to_owned(), String::new()),
    };
    let threshold = a.threshold.map_or("–".to_owned(), words::threshold);
    let at = a.threshold.map_or(String::new(), |t| t.scale.to_string());
    let none = " class=\"none\"";
    let ruling = a.artefact.as_ref().map_or("–", |r| r.ruling.as_str());
    format!(
        "<tr data-shape=\"{shape}\"{hidden}><th scope=\"row\"><a href=\"#{anchor}\">{name}</a><small>{metric}</small>{why}</th>\
         <td class=\"shape\" data-v=\"{rank}\">{pill}</td><td class=\"course\">{spark}</td>\
         <td data-label=\"Emerges at\" data-v=\"{at}\"{no_threshold}>{threshold}</td>\
         <td data-label=\"Smallest to largest\" data-v=\"{last}\">{ends}</td>\
         <td data-label=\"Made by the metric\"{no_ruling}>{ruling}</td></tr>\n",
        shape = known(&a.shape),
        hidden = if main { "" } else { " data-secondary hidden" },
        name = escape(&words::ability_name(a)),
        metric = escape(&format!("{}{}", metric.name, if a.higher_is_better { "" } else { ", lower is better" })),
        spark = sparkline(a),
        rank = rank(a, weight),
        why = why(a),
        no_threshold = if a.threshold.is_some() { "" } else { none },
        no_ruling = if a.artefact.is_some() { "" } else { none },
        pill = ability_pill(a),
        ruling = escape(ruling),
    )
}

/// Why an ability is undetermined.
fn why(a: &Ability) -> String {
    if known(&a.shape) == "undetermined" && !a.reason.is_empty() {
        format!("<small class=\"why\">{}</small>", escape(&a.reason))
    } else {
        String::new()
    }
}

/// Sorts by shape, within a shape by weight.
fn rank(a: &Ability, weight: Option<f64>) -> String {
    let place = SHAPES.iter().position(|s| *s == known(&a.shape)).unwrap_or(SHAPES.len());
    format!("{:.4}", place as f64 + 1.0 - weight.unwrap_or(0.0).clamp(0.0, 0.9999))
}

/// The course of the values over log size in 84 by 22 units, on the axis 0 to 1 where values are shares.
fn sparkline(a: &Ability) -> String {
    let finite: Vec<_> = a.points.iter().filter(|p| p.params > 0.0 && p.value.is_finite()).collect();
    let (Some(first), Some(last)) = (finite.first(), finite.last()) else { return String::new() };
    let share = words::metric(&a.metric).format == crate::figure::Format::Share;
    let top = finite.iter().map(|p| p.value).fold(if share { 1.0 } else { f64::MIN }, f64::max);
    let bottom = finite.iter().map(|p| p.value).fold(if share { 0.0 } else { f64::MAX }, f64::min);
    let width = (last.params / first.params).ln().max(1e-9);
    let x = |params: f64| 2.0 + 80.0 * ((params / first.params).ln() / width).clamp(0.0, 1.0);
    let y = |v: f64| 20.0 - 18.0 * (v - bottom) / (top - bottom).max(1e-9);
    let line: Vec<String> = finite.iter().map(|p| format!("{:.1},{:.1}", x(p.params), y(p.value))).collect();
    let band = a.threshold.filter(|t| t.low > 0.0 && t.high >= t.low).map_or(String::new(), |t| {
        let (low, high) = (x(t.low), x(t.high));
        format!("<rect x=\"{low:.1}\" y=\"0\" width=\"{:.1}\" height=\"22\"/>", (high - low).max(1.0))
    });
    format!(
        "<svg class=\"spark {}\" viewBox=\"0 0 84 22\" width=\"84\" height=\"22\" aria-hidden=\"true\">{band}\
         <polyline points=\"{}\"/></svg>",
        known(&a.shape),
        line.join(" ")
    )
}
