//! The page of a budget: what each law makes of it, the surfaces of the laws, the abilities seen by then.

use crate::chart::budget as chart;
use crate::html::{escape, json_block};
use crate::page::{assemble, frame};
use crate::words;
use serde::{Deserialize, Serialize};

/// A plan as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Version of Saltus that computed this.
    pub saltus: String,
    /// What was asked, in a few words: the heading.
    pub title: String,
    /// The budget in words, where one was given.
    pub budget: Option<String>,
    /// One for each law.
    pub laws: Vec<LawPlan>,
    /// Laws without an answer, and why.
    pub left_out: Vec<(String, String)>,
    /// Abilities, by the scale at which they were seen.
    pub abilities: Vec<Seen>,
}

/// A value, with its 95% interval where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Point estimate.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// What one law says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPlan {
    /// Short name.
    pub law: String,
    /// For people.
    pub title: String,
    /// The paper or file.
    pub source: String,
    /// `total` or `non-embedding`.
    pub parameters: String,
    /// The text of the loss.
    pub text: String,
    /// How the intervals come about.
    pub interval: String,
    /// What else a reader must know.
    pub notes: Vec<String>,
    /// N in the law's own convention.
    pub params: Estimate,
    /// N with embeddings.
    pub params_total: Estimate,
    /// D.
    pub tokens: Estimate,
    /// D / N.
    pub tokens_per_param: Estimate,
    /// Nats per token.
    pub loss: Estimate,
    /// Training FLOPs.
    pub flops: Estimate,
    /// Budgets, a factor of ten apart, whose lines the surface shows.
    pub budgets: Vec<f64>,
    /// (loss, its points (N, D)).
    pub contours: Vec<(f64, Vec<(f64, f64)>)>,
    /// Best splits (N, D).
    pub frontier: Vec<(f64, f64)>,
    /// (N, loss) along the plan's own budget.
    pub profile: Vec<(f64, f64)>,
}

/// An ability, where it was seen, and where the plan stands to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// What was asked.
    pub ability: String,
    /// How, and of which family.
    pub asked: String,
    /// Quantity and unit of the scale: `FLOPs`, `parameters`.
    pub unit: String,
    /// Smallest scale known to have it.
    pub seen_at: f64,
    /// Largest scale known to lack it.
    pub absent_at: Option<f64>,
    /// Where the plan stands, in words, by law where laws differ.
    pub standing: String,
    /// Paper or file.
    pub source: String,
}

/// The page as HTML. The same plan gives the same bytes.
pub fn page(plan: &Budget) -> String {
    let figures: Vec<_> = std::iter::once(chart::together(plan))
        .chain(chart::profiles(plan))
        .chain(plan.laws.iter().filter(|law| !law.contours.is_empty()).map(chart::surface))
        .collect();
    let mut main = header(plan);
    main.push_str("<section id=\"laws\"><h2>What the laws say</h2>\n");
    main.push_str(&table(plan));
    main.push_str(&figures.first().map_or(String::new(), frame));
    main.push_str("</section>\n<section id=\"surface\"><h2>The surface of the loss</h2>\n");
    main.push_str(
        "<p>Lines of equal loss, each through the best split of one budget, and straight lines of equal compute, 6 N D, a \
         factor of ten apart. The valley is flat: a size off by a factor of two costs little. Losses are those of each \
         law's own text.</p>\n<div class=\"pair\">\n",
    );
    figures.iter().skip(1).for_each(|figure| main.push_str(&frame(figure)));
    main.push_str("</div></section>\n");
    main.push_str(&abilities(plan));
    main.push_str(&sources(plan));
    let data = json_block("figures", &figures) + &json_block("findings", plan);
    assemble(&plan.title, &plan.saltus, &main, &data)
}

fn header(plan: &Budget) -> String {
    let budget = plan.budget.as_ref().map_or(String::new(), |b| format!("<p class=\"lead\">{}</p>\n", escape(b)));
    format!(
        "<header><p class=\"kicker\">Saltus <span>A plan for training</span></p>\n<h1>{}</h1>\n{budget}\
         <nav aria-label=\"Contents\"><ul><li><a href=\"#laws\">Laws</a></li><li><a href=\"#surface\">Surface</a></li>\
         <li><a href=\"#abilities\">Abilities</a></li><li><a href=\"#sources\">Sources</a></li></ul></nav></header>\n",
        escape(&plan.title)
    )
}

fn table(plan: &Budget) -> String {
    let heads = ["Law", "Parameters", "Tokens", "Tokens per parameter", "Loss", "Training FLOPs"];
    let head: String = heads.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
    let row = |law: &LawPlan| {
        let parameters = match law.parameters.as_str() {
            "total" => String::new(),
            other => format!("<small>{}; {} in all</small>", escape(other), tokens(law.params_total.value)),
        };
        let cells = [
            cell(heads[1], law.params, tokens, &parameters),
            cell(heads[2], law.tokens, tokens, ""),
            cell(heads[3], law.tokens_per_param, words::number, ""),
            cell(heads[4], law.loss, |l| format!("{l:.3}"), ""),
            cell(heads[5], law.flops, words::number, ""),
        ];
        format!(
            "<tr><th scope=\"row\">{}<small>{}</small></th>{}</tr>\n",
            escape(&law.title),
            escape(&law.law),
            cells.concat()
        )
    };
    let rows: String = plan.laws.iter().map(row).collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of laws\"><table class=\"blocks\">\
         <caption>Parameters with embeddings where nothing else is said; 95% intervals where the law's uncertainty is \
         published. Losses of different texts cannot be compared.</caption><thead><tr>{head}</tr></thead><tbody>\n{rows}\
         </tbody></table></div>\n"
    )
}

fn cell(label: &str, e: Estimate, write: impl Fn(f64) -> String, more: &str) -> String {
    let interval = match (e.low, e.high) {
        (Some(low), Some(high)) if write(low) != write(high) => {
            format!("<small>{} to {}</small>", write(low), write(high))
        }
        (Some(low), None) => format!("<small>{} at least</small>", write(low)),
        _ => String::new(),
    };
    format!("<td class=\"n\" data-label=\"{label}\">{}{interval}{more}</td>", write(e.value))
}

/// `1.4T`; [`words::count`] ends at billions, which is enough for sizes of a study.
pub(crate) fn tokens(v: f64) -> String {
    if (0.9995e12..1e18).contains(&v) { format!("{}T", words::number(v / 1e12)) } else { words::count(v) }
}

fn abilities(plan: &Budget) -> String {
    let mut out = String::from(
        "<section id=\"abilities\"><h2>Abilities by then</h2>\n<p>Each was seen at some size of one family and not at the \
         next smaller one that was tested: it emerges somewhere between, and another recipe may differ.</p>\n",
    );
    let row = |s: &Seen| {
        let absent = s.absent_at.map_or("–".to_owned(), |at| format!("{} {}", words::number(at), s.unit));
        format!(
            "<tr><th scope=\"row\">{}<small>{}</small></th><td data-label=\"Stands\">{}</td>\
             <td data-label=\"Not seen at\">{absent}</td><td data-label=\"Seen at\">{} {}</td><td data-label=\"Source\">{}</td></tr>\n",
            escape(&s.ability),
            escape(&s.asked),
            escape(&s.standing),
            words::number(s.seen_at),
            escape(&s.unit),
            escape(&s.source)
        )
    };
    let rows: String = plan.abilities.iter().map(row).collect();
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of abilities\"><table class=\"blocks\">\
         <thead><tr><th scope=\"col\">Ability</th><th scope=\"col\">This plan</th><th scope=\"col\">Not seen at</th>\
         <th scope=\"col\">Seen at</th><th scope=\"col\">Source</th></tr></thead><tbody>\n{rows}</tbody></table></div></section>\n"
    ));
    out
}

fn sources(plan: &Budget) -> String {
    let mut out = String::from("<section id=\"sources\"><h2>Sources and conventions</h2>\n");
    for law in &plan.laws {
        let notes: String = law.notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
        out.push_str(&format!(
            "<h3>{}</h3>\n<p>{}. Parameters: {}. Loss: nats per token of {}. Intervals: {}.</p>\n<ul>{notes}</ul>\n",
            escape(&law.title),
            escape(&law.source),
            escape(&law.parameters),
            escape(&law.text),
            escape(&law.interval)
        ));
    }
    for (law, why) in &plan.left_out {
        out.push_str(&format!("<p class=\"note\">Left out: {}: {}.</p>\n", escape(law), escape(why)));
    }
    out + "</section>\n"
}
