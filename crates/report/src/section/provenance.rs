//! Where the numbers come from, the models, and the data to take away.

use super::{Section, facts, section};
use crate::findings::Model;
use crate::html::escape;
use crate::page::Page;
use crate::words;

/// The section.
pub(crate) fn provenance(page: &Page) -> Option<Section> {
    let f = page.findings;
    let p = &f.provenance;
    let mut rows = vec![
        ("Study", f.study.clone()),
        ("Saltus version", f.saltus.clone()),
        ("Schema of the findings", f.schema.to_string()),
    ];
    // Scores that others measured have no cells.
    if p.cells > 0 {
        rows.push(("Measured cells", words::whole(p.cells)));
        rows.push(("Questions asked, over all models", words::whole(p.items)));
        rows.push(("Hash over all cells", p.records_hash.clone()));
    }
    rows.extend(p.facts.iter().map(|(k, v)| (k.as_str(), v.clone())));
    let (losses, study) = (!f.curves.is_empty(), !p.study_file.is_empty());
    let save = |what: &str, name: &str| format!("<button type=\"button\" data-save=\"{what}\">{name}</button>");
    let mut downloads = vec![save("findings", "findings.json"), save("points", "points.csv")];
    downloads.extend(losses.then(|| save("losses", "losses.csv")));
    downloads.extend(study.then(|| save("study", "study.toml")));
    let mut body = format!(
        "<p>Every number on this page was read from the saved findings; none was computed by the page. Missing measurements are left out, never shown as zero.</p>\n\
         <p class=\"downloads\">Download {}</p>\n{}",
        downloads.join(""),
        facts("The study and its records", rows),
    );
    if !f.models.is_empty() {
        body.push_str(&models(&f.models));
    }
    if study {
        body.push_str(&format!(
            "<h3>The study file</h3>\n<pre class=\"study\" tabindex=\"0\" aria-label=\"The study file, verbatim\">{}</pre>\n",
            escape(&p.study_file)
        ));
    }
    section("provenance", "Where the numbers come from", body)
}

fn models(models: &[Model]) -> String {
    let rows: String = models
        .iter()
        .map(|m| {
            format!(
                "<tr><th scope=\"row\">{} {}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td><code>{}</code></td></tr>\n",
                escape(&m.ladder),
                escape(&m.rung),
                m.seed,
                words::whole(m.params_non_embedding),
                words::whole(m.params_total),
                words::count(m.tokens as f64),
                words::number(m.flops_6nd),
                escape(&m.state),
                escape(&m.weights.chars().take(12).collect::<String>())
            )
        })
        .collect();
    format!(
        "<details><summary>The {}</summary><div class=\"scroll\"><table><caption>Models, smallest first. FLOPs are 6 N D with \
         N without embeddings.</caption><thead><tr><th scope=\"col\">Rung</th><th scope=\"col\">Seed</th>\
         <th scope=\"col\">Non-embedding parameters</th><th scope=\"col\">All parameters</th><th scope=\"col\">Tokens</th>\
         <th scope=\"col\">FLOPs</th><th scope=\"col\">State</th><th scope=\"col\">Weights (hash)</th></tr></thead>\
         <tbody>\n{rows}</tbody></table></div></details>\n",
        words::plural(models.len(), "model")
    )
}
