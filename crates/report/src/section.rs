//! The sections of the page, one file each.

pub(crate) mod abilities;
pub(crate) mod changes;
pub(crate) mod inside;
pub(crate) mod losses;
pub(crate) mod metric;
pub(crate) mod provenance;
pub(crate) mod summary;
pub(crate) mod training;
pub(crate) mod verdicts;

use crate::findings::Ability;
use crate::html::escape;
use crate::words;

/// A section: its anchor, its heading (plain ASCII of ours, not escaped) and its HTML.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: String,
}

/// A section that has something to say.
pub(crate) fn section(id: &'static str, title: &'static str, body: String) -> Option<Section> {
    Some(Section { id, title, body })
}

/// The sign of a shape: a small drawing, the word, and where known its weight.
pub(crate) fn shape_pill(shape: &str, weight: Option<f64>) -> String {
    let weight = weight.map_or(String::new(), |w| format!(" <span class=\"weight\">{}</span>", words::share(w)));
    format!("<span class=\"pill {}\">{}{}{weight}</span>", known(shape), glyph(shape), escape(shape))
}

/// The sign of an ability's verdict. Shapes speak of performance: where lower is better the drawing is turned over, as
/// the values are.
pub(crate) fn ability_pill(a: &Ability) -> String {
    let pill = shape_pill(&a.shape, a.weights.get(&a.shape).copied());
    if a.higher_is_better { pill } else { pill.replacen("class=\"pill", "class=\"pill down", 1) }
}

/// The drawing of a shape, 20 by 12 units.
pub(crate) fn glyph(shape: &str) -> String {
    let path = match shape {
        "flat" => "M2 6H18",
        "smooth" => "M2 10L18 2",
        "emergent" => "M2 10H9C12 10 10 2 13 2H18",
        "inverse" => "M2 2L18 10",
        "u-shaped" => "M2 2C5 13 13 13 18 2",
        "inverted-u" => "M2 10C5 -1 13 -1 18 10",
        _ => "M3 6H4M9.5 6H10.500M16 6H17",
    };
    format!(
        "<svg class=\"glyph\" viewBox=\"0 0 20 12\" width=\"20\" height=\"12\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>"
    )
}

/// The class of a shape; an unknown word gets the look of `undetermined`.
pub(crate) fn known(shape: &str) -> &'static str {
    match shape {
        "flat" => "flat",
        "smooth" => "smooth",
        "emergent" => "emergent",
        "inverse" => "inverse",
        "u-shaped" => "u-shaped",
        "inverted-u" => "inverted-u",
        _ => "undetermined",
    }
}

/// Abilities of one condition (family, task, style, shots), by index, the main metric first.
pub(crate) struct Condition {
    pub(crate) members: Vec<usize>,
}

/// All conditions in the order of the findings.
pub(crate) fn conditions(abilities: &[Ability]) -> Vec<Condition> {
    let key = |a: &Ability| (a.family.clone(), a.task.clone(), a.style.clone(), a.shots);
    let mut all: Vec<(_, Condition)> = Vec::new();
    for (i, a) in abilities.iter().enumerate() {
        match all.iter_mut().find(|(k, _)| *k == key(a)) {
            Some((_, c)) => c.members.push(i),
            None => all.push((key(a), Condition { members: vec![i] })),
        }
    }
    for (_, c) in &mut all {
        c.members.sort_by_key(|&i| words::metric_rank(&abilities[i].metric));
    }
    all.into_iter().map(|(_, c)| c).collect()
}

/// One ability of each condition, by the metric that the page shows first.
pub fn shown_first(abilities: &[Ability]) -> impl Iterator<Item = &Ability> {
    conditions(abilities).into_iter().map(|c| &abilities[c.members[0]])
}

/// A table of names and values; both sides are escaped here.
pub(crate) fn facts<'a>(caption: &str, rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: String = rows
        .into_iter()
        .map(|(name, value)| format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(name), escape(&value)))
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"facts\"><caption>{}</caption><tbody>{rows}</tbody></table></div>\n",
        escape(caption)
    )
}
