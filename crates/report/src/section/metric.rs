//! What the metric does: jumps that per-token accuracy explains, and abilities that fall before they rise.

use super::{Section, ability_pill, conditions, section};
use crate::chart;
use crate::findings::Ability;
use crate::html::escape;
use crate::page::Page;
use crate::words;

/// Exact match beside its smooth twin and p^L, for abilities with a ruling.
pub(crate) fn artefacts(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    let mut body = String::new();
    for condition in conditions(&f.abilities) {
        let find = |metric: &str| condition.members.iter().copied().find(|&i| f.abilities[i].metric == metric);
        for &i in &condition.members {
            let a = &f.abilities[i];
            let Some(artefact) = &a.artefact else { continue };
            let anchor = page.anchors.ability(i).to_owned();
            let smooth = find("token_accuracy").map(|k| &f.abilities[k]);
            let curves = chart::ability::twin_curves(&format!("{anchor}-twin"), a, smooth, artefact);
            let scatter = chart::ability::twin_scatter(&format!("{anchor}-against"), a, artefact);
            let pair = page.figure(curves) + &page.figure(scatter);
            body.push_str(&format!(
                "<h3>{}</h3>\n<p><strong>Made by the metric: {}.</strong> {}</p>\n<div class=\"pair\">{pair}</div>\n",
                escape(&words::ability_name(a)),
                escape(&artefact.ruling),
                escape(&artefact.evidence),
            ));
        }
    }
    if body.is_empty() {
        return None;
    }
    let intro = "<p>An answer of L tokens is an exact match only when all L are right. If tokens were right \
        independently with probability p, exact match would be p^L: a smooth rise in p would look like a jump. Where the \
        measured dots lie on the diagonal, the metric made the jump. Where they lie above it, the model does better on \
        whole answers than its tokens foretell.</p>\n";
    section("metric", "Is the jump made by the metric?", format!("{intro}{body}"))
}

/// Abilities that fall before they rise: accuracy and its negative log-likelihood.
pub(crate) fn u_shapes(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    let turns = |a: &Ability| a.shape == "u-shaped";
    let mut body = String::new();
    for condition in conditions(&f.abilities) {
        let members: Vec<usize> = condition.members.clone();
        if !members.iter().any(|&i| turns(&f.abilities[i])) {
            continue;
        }
        let main = members[0];
        let shown: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&i| i == main || turns(&f.abilities[i]) || f.abilities[i].metric == "nll")
            .collect();
        body.push_str(&format!("<h3>{}</h3>\n<div class=\"pair\">", escape(&words::ability_name(&f.abilities[main]))));
        for i in shown {
            let a = &f.abilities[i];
            let anchor = page.anchors.ability(i).to_owned();
            // Here the fall matters, not its place between 0 and 100%.
            let mut figure = chart::ability::ability(&format!("{anchor}-u"), a);
            (figure.y.hi, figure.quiet) = (None, false);
            let figure = page.figure(figure);
            let pill = ability_pill(a);
            let reason = escape(&a.reason);
            body.push_str(&format!(
                "<div><p class=\"verdict\">{pill}</p>{figure}<p class=\"reason\">{reason}</p></div>"
            ));
        }
        body.push_str("</div>\n");
    }
    if body.is_empty() {
        return None;
    }
    let intro = "<p>Some abilities get worse with size before they get better: a middling model has learnt a rule well \
        enough to apply it where an exception holds. Accuracy cannot fall far below guessing, so the negative \
        log-likelihood, which is better when lower, often shows it more clearly as a hump.</p>\n";
    section("u-shape", "Worse before better", format!("{intro}{body}"))
}
