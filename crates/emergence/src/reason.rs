//! The sentence that says how a verdict came about.

use crate::judge::{DECISIVE, Findings, Test, passed, present};
use crate::{Kind, Shape};

/// One or two plain sentences: weights, the test, seeds that disagree.
pub(crate) fn sentence(found: &Findings, shape: Shape) -> String {
    if found.sample.sizes.len() < 3 {
        return format!("Undetermined: {} tested sizes, and a shape needs at least three.", found.sample.sizes.len());
    }
    let weight = found.weights.iter().copied().fold(0.0, f64::max);
    let mut text = if shape == Shape::Undetermined {
        format!("Undetermined: {}", doubt(found, weight))
    } else {
        format!("{} (weight {weight:.2}): {}", capital(shape.name()), grounds(found))
    };
    if !found.disagreement.is_empty() {
        let at: Vec<String> = found.disagreement.iter().map(|&j| scale(found.sample.sizes[j].scale)).collect();
        text.push_str(&format!(" Seeds disagree at {}: some models have it, some do not.", at.join(", ")));
    }
    if !found.sample.has_seeds() {
        text.push_str(" One seed for each size: how models differ is only seen in how the sizes scatter.");
    }
    text
}

fn doubt(found: &Findings, weight: f64) -> String {
    if weight < DECISIVE {
        let mut order: Vec<(Shape, f64)> = Shape::CANDIDATES.into_iter().zip(found.weights).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let named: Vec<String> =
            order.iter().take_while(|(_, w)| *w >= 0.05).map(|(s, w)| format!("{s} {w:.2}")).collect();
        let late = late(found).unwrap_or_default();
        return format!("no shape reaches weight {DECISIVE:.2} ({}).{late}", named.join(", "));
    }
    let leads = format!("{} leads (weight {weight:.2}) but ", found.leading);
    if matches!(found.test, Test::Break(p) if p <= found.analysis.alpha) && !present(found) {
        return format!("{leads}the ability is not there beyond doubt at the largest size.");
    }
    let late = if found.leading == Shape::Emergent { late(found).unwrap_or_default() } else { String::new() };
    format!("{leads}{}{late}", grounds(found))
}

/// An ability that is absent at the smallest sizes and present at the largest appears, however steeply.
fn late(found: &Findings) -> Option<String> {
    let place = Shape::CANDIDATES.iter().zip(found.weights);
    let growth: f64 = place.filter(|(s, _)| matches!(s, Shape::Smooth | Shape::Emergent)).map(|(_, w)| w).sum();
    let certified = found.certified.filter(|&j| j >= 2 && growth >= DECISIVE)?;
    let sizes = &found.sample.sizes;
    let at = scale(sizes[certified].scale);
    let alone = if certified + 1 == sizes.len() { ", the largest size alone" } else { "" };
    Some(format!(
        " It is not there at the smallest sizes and is there from {at} on{alone}: how suddenly cannot be told."
    ))
}

/// What the test of the leading shape says.
fn grounds(found: &Findings) -> String {
    let alpha = found.analysis.alpha;
    match found.test {
        Test::TooFew => "there are too few models for its test.".to_string(),
        Test::Slope(p) if p <= alpha && !passed(found) => {
            "at the same size some models have the ability and others have not, so no model grows smoothly.".to_string()
        }
        Test::Slope(p) => {
            let verb = if p <= alpha { "changes" } else { "does not clearly change" };
            format!("performance {verb} along ln(scale) ({}).", p_text(p))
        }
        Test::Change(low, high) if passed(found) => {
            format!("the change over all sizes is between {low:+.2} and {high:+.2}.")
        }
        Test::Change(low, high) => {
            format!("a change between {low:+.2} and {high:+.2} over all sizes is not excluded.")
        }
        Test::Break(p) if p <= alpha => {
            let floor = if found.sample.kind == Kind::Unbounded { "level" } else { "at chance" };
            format!("{floor} at the smallest sizes, then a rise that smooth growth does not explain ({}).", p_text(p))
        }
        Test::Break(p) => format!("smooth growth may explain the rise ({}).", p_text(p)),
        Test::TwoLines(before, after, opposite) => {
            let slopes = if opposite { "opposite slopes" } else { "no opposite slopes" };
            format!("{slopes} on the two sides of the bend (two-lines test, {} and {}).", p_text(before), p_text(after))
        }
    }
}

pub(crate) fn p_text(p: f64) -> String {
    if p < 0.001 { "p < .001".to_string() } else { format!("p = {p:.3}") }
}

/// A scale for reading: 5.9k, 146k, 1.3B.
pub(crate) fn scale(value: f64) -> String {
    let (unit, suffix) = match value {
        v if v >= 1e12 => return format!("{v:.1e}"),
        v if v >= 1e9 => (1e9, "B"),
        v if v >= 1e6 => (1e6, "M"),
        v if v >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let v = value / unit;
    if v >= 10.0 || v.fract() == 0.0 { format!("{v:.0}{suffix}") } else { format!("{v:.1}{suffix}") }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
