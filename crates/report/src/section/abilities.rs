//! One small multiple for each ability; its other metrics one choice away.

use super::{Section, ability_pill, conditions, section};
use crate::chart;
use crate::findings::Ability;
use crate::html::escape;
use crate::page::Page;
use crate::words;

/// The section.
pub(crate) fn abilities(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    if f.abilities.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<p>One figure for each ability. The word is the verdict, the percentage its weight, then the size \
         at which the ability emerges, with its interval. Point at a figure to read values. Drag to zoom, double-click to \
         zoom out. The menu ⋯ switches logarithmic axes and saves the picture.</p>\n\
         <ul class=\"legend\"><li><i class=\"mean\"></i>mean over seeds, with its 95% interval over items and seeds</li>\
         <li><i class=\"ring\"></i>one seed</li><li><i class=\"fit\"></i>fitted curve of the leading shape</li>\
         <li><i class=\"span\"></i>interval of the size at which it emerges</li>\
         <li><i class=\"chance\"></i>blind guessing</li></ul>\n\
         <p class=\"switches\"><label><input type=\"checkbox\" data-all=\"seeds\" checked> show seeds</label>\
         <label><input type=\"checkbox\" data-all=\"logx\" checked> logarithmic sizes</label> \
         <span>in all figures</span></p>\n",
    );
    body.push_str("<div class=\"cards\">\n");
    for c in conditions(&f.abilities) {
        body.push_str(&card(page, &c.members));
    }
    body.push_str("</div>\n");
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
    let mut out = format!(
        "<article class=\"card\"><p class=\"family\">{}</p><div class=\"top\"><h3>{}</h3>{chooser}</div>\n",
        escape(if short == name { "" } else { &main.family }),
        escape(&short)
    );
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
    let mut out = format!("<p class=\"verdict\">{}", ability_pill(a));
    if let Some(t) = a.threshold {
        out.push_str(&format!(" at {}", words::threshold(t)));
    }
    if let Some(r) = &a.artefact {
        out.push_str(&format!(" · made by the metric: <a href=\"#metric\">{}</a>", escape(&r.ruling)));
    }
    out.push_str("</p>\n");
    // What is undetermined has no weight of its own: the shapes it stands between are named.
    let undetermined = !a.weights.contains_key(&a.shape);
    let mut others: Vec<_> = a.weights.iter().filter(|(s, w)| **s != a.shape && **w >= 0.01).collect();
    others.sort_by(|x, y| y.1.total_cmp(x.1));
    if !others.is_empty() {
        let list: Vec<String> = others.iter().map(|(s, w)| format!("{s} {}", words::share(**w))).collect();
        let lead = if undetermined { "Weights:" } else { "Also possible:" };
        out.push_str(&format!("<p class=\"others\">{lead} {}</p>\n", escape(&list.join(", "))));
    }
    out
}
