//! Title, what was run, and the findings in sentences.

use super::{Section, section};
use crate::chart::distinct;
use crate::findings::{Findings, Headline};
use crate::html::escape;
use crate::page::Page;
use crate::words;
use std::collections::BTreeSet;

/// The title block: what was run, in one sentence and five numbers.
pub(crate) fn header(f: &Findings) -> String {
    if f.models.is_empty() && f.provenance.study_file.is_empty() {
        return header_of_scores(f);
    }
    let sizes = distinct(f.models.iter().map(|m| m.params_non_embedding as f64));
    let mut seeds: Vec<u64> = f.models.iter().map(|m| m.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let range = match (sizes.first(), sizes.last()) {
        (Some(a), Some(b)) if a < b => {
            format!("from {} to {} non-embedding parameters", words::count(*a), words::count(*b))
        }
        (Some(a), _) => format!("of {} non-embedding parameters", words::count(*a)),
        _ => "none finished".to_owned(),
    };
    let lead = format!(
        "{} {range} were trained and asked {} questions. This page shows which abilities grow smoothly, \
         which appear at a size, and which jumps the metric made.",
        words::plural(f.models.len(), "language model"),
        words::whole(f.provenance.items)
    );
    let unfinished: Vec<_> = f.models.iter().filter(|m| m.state != "finished").collect();
    let warning = if unfinished.is_empty() {
        String::new()
    } else {
        let list: Vec<String> =
            unfinished.iter().map(|m| format!("{} {} seed {}: {}", m.ladder, m.rung, m.seed, m.state)).collect();
        format!(
            "<p class=\"warning\">{} did not finish. {}.</p>\n",
            words::plural(unfinished.len(), "model"),
            escape(&list.join("; "))
        )
    };
    let conditions = super::conditions(&f.abilities).len();
    let numbers: String = [
        (f.models.len().to_string(), "models"),
        (sizes.len().to_string(), "sizes"),
        (seeds.len().to_string(), "seeds"),
        (conditions.to_string(), "abilities"),
        (words::count(f.provenance.items as f64), "questions asked"),
    ]
    .iter()
    .map(|(n, name)| format!("<div><dd>{n}</dd><dt>{name}</dt></div>"))
    .collect();
    format!(
        "<header>\n<p class=\"kicker\">Saltus <span>how the abilities of language models appear as they grow</span></p>\n\
         <h1>{}</h1>\n<p class=\"lead\">{}</p>\n<dl class=\"numbers\">{numbers}</dl>\n{warning}</header>\n",
        escape(&f.study),
        escape(&lead)
    )
}

/// The title block of abilities judged from scores of others: their models are not known one by one.
fn header_of_scores(f: &Findings) -> String {
    let count = |of: fn(&crate::findings::Ability) -> &str| f.abilities.iter().map(of).collect::<BTreeSet<_>>().len();
    let lead = format!(
        "{} abilities, judged over {} from saved scores: which grow smoothly, which appear at a size, which get worse, and where the \
         metric makes a jump.",
        f.abilities.len(),
        words::scale_name(f.abilities.first().map_or("", |a| &a.scale))
    );
    let numbers: String = [
        (count(|a| &a.family), "families"),
        (count(|a| &a.task), "tasks"),
        (count(|a| &a.metric), "metrics"),
        (f.abilities.iter().map(|a| a.points.len()).sum(), "points"),
    ]
    .iter()
    .map(|(n, name)| format!("<div><dd>{n}</dd><dt>{name}</dt></div>"))
    .collect();
    format!(
        "<header>\n<p class=\"kicker\">Saltus <span>how the abilities of language models appear as they grow</span></p>\n\
         <h1>{}</h1>\n<p class=\"lead\">{}</p>\n<dl class=\"numbers\">{numbers}</dl>\n</header>\n",
        escape(&f.study),
        escape(&lead)
    )
}

/// The headline findings.
pub(crate) fn headlines(page: &Page) -> Option<Section> {
    let items: String = page.findings.headlines.iter().map(|h| headline(page, h)).collect();
    let body = if items.is_empty() {
        "<p id=\"findings-list\">No finding stands out. The verdicts below say what was measured.</p>\n".to_owned()
    } else {
        format!("<ol class=\"headlines\" id=\"findings-list\">{items}</ol>\n")
    };
    section("found", "What was found", body)
}

/// How many places a headline links to before it says "and more".
const LINKS: usize = 4;

fn headline(page: &Page, h: &Headline) -> String {
    let mut links = String::new();
    let targets: Vec<(&str, &str)> =
        h.about.iter().filter_map(|a| Some((a.as_str(), page.anchors.named(a)?))).collect();
    for (name, anchor) in targets.iter().take(LINKS) {
        let name = page.findings.abilities.iter().find(|a| a.id == *name).map_or_else(
            || words::label(name),
            |a| format!("{}, {}", words::ability_name(a), words::metric(&a.metric).name),
        );
        links.push_str(&format!("<a href=\"#{anchor}\">{}</a>", escape(&name)));
    }
    if targets.len() > LINKS {
        links.push_str(&format!("<a href=\"#verdicts\">and {} more</a>", targets.len() - LINKS));
    }
    let links = if links.is_empty() { links } else { format!("<p class=\"see\">{links}</p>") };
    format!(
        "<li><p class=\"kind {}\">{}</p><p class=\"claim\">{}</p>{links}</li>\n",
        colour(&h.kind),
        escape(&h.kind.replace('-', " ")),
        escape(&h.text)
    )
}

fn colour(kind: &str) -> &'static str {
    match kind {
        "emergent" => "emergent",
        "loss" | "smooth" => "smooth",
        "artefact" => "inverted-u",
        "u-shape" | "u-shaped" => "u-shaped",
        "inverse" => "inverse",
        _ => "undetermined",
    }
}
