//! One small multiple for each ability; its other metrics one choice away.

use super::{Section, conditions, section, shape_pill};
use crate::chart;
use crate::findings::Ability;
use crate::html::{escape, slug};
use crate::page::Page;
use crate::words;

/// The section.
pub(crate) fn abilities(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    if f.abilities.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<p>Filled dots are means over seeds, with their 95% interval over items and seeds. Rings are single \
         seeds. The thick line is the fitted curve of the leading shape. The shaded column is the interval of the \
         size at which the ability emerges. Point at a figure to read values, drag to zoom, double-click to see all \
         of it again; the menu ⋯ has logarithmic axes and saves the picture.</p>\n\
         <p class=\"switches\"><label><input type=\"checkbox\" data-all=\"seeds\" checked> show seeds</label>\
         <label><input type=\"checkbox\" data-all=\"logx\" checked> logarithmic sizes</label> \
         <span>in all figures</span></p>\n",
    );
    let all = conditions(&f.abilities);
    let mut families: Vec<&str> = Vec::new();
    for c in &all {
        let family = f.abilities[c.members[0]].family.as_str();
        if !families.contains(&family) {
            families.push(family);
        }
    }
    for family in families {
        body.push_str(&format!("<h3 id=\"family-{}\">{}</h3>\n<div class=\"cards\">\n", slug(family), escape(family)));
        for c in all.iter().filter(|c| f.abilities[c.members[0]].family == family) {
            body.push_str(&card(page, &c.members));
        }
        body.push_str("</div>\n");
    }
    section("abilities", "Abilities, one by one", body)
}

/// A card: one condition, one of its metrics at a time.
fn card(page: &mut Page, members: &[usize]) -> String {
    let f = page.findings;
    let main = &f.abilities[members[0]];
    let name = words::ability_name(main);
    let short = name.strip_prefix(&format!("{}: ", main.family)).unwrap_or(&name).to_owned();
    let chooser = if members.len() < 2 {
        format!("<p class=\"metric\">{}</p>", escape(&words::metric(&main.metric).name))
    } else {
        let options: String = members
            .iter()
            .map(|&i| {
                let anchor = page.anchors.ability(i);
                format!("<option value=\"{anchor}\">{}</option>", escape(&words::metric(&f.abilities[i].metric).name))
            })
            .collect();
        format!("<select class=\"metric\" aria-label=\"Metric of {}\">{options}</select>", escape(&name))
    };
    let mut out = format!("<article class=\"card\"><div class=\"top\"><h4>{}</h4>{chooser}</div>\n", escape(&short));
    for (k, &i) in members.iter().enumerate() {
        let anchor = page.anchors.ability(i).to_owned();
        let hidden = if k == 0 { "" } else { " hidden" };
        out.push_str(&format!("<div class=\"view\" id=\"{anchor}\"{hidden}>\n{}", verdict(&f.abilities[i])));
        let figure = chart::ability::ability(&format!("{anchor}-plot"), &f.abilities[i]);
        out.push_str(&page.figure(figure));
        out.push_str(&format!("<p class=\"reason\">{}</p></div>\n", escape(&f.abilities[i].reason)));
    }
    out.push_str("</article>\n");
    out
}

fn verdict(a: &Ability) -> String {
    let mut out = format!("<p class=\"verdict\">{}", shape_pill(&a.shape, a.weights.get(&a.shape).copied()));
    if let Some(t) = a.threshold {
        out.push_str(&format!(" at {}", words::threshold(t)));
    }
    if let Some(r) = &a.artefact {
        out.push_str(&format!(" · made by the metric: <a href=\"#metric\">{}</a>", escape(&r.ruling)));
    }
    out.push_str("</p>\n");
    let mut others: Vec<_> = a.weights.iter().filter(|(s, w)| **s != a.shape && **w >= 0.01).collect();
    others.sort_by(|x, y| y.1.total_cmp(x.1));
    if !others.is_empty() {
        let list: Vec<String> = others.iter().map(|(s, w)| format!("{s} {}", words::share(**w))).collect();
        out.push_str(&format!("<p class=\"others\">Also possible: {}</p>\n", escape(&list.join(", "))));
    }
    out
}
