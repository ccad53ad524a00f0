//! What was found inside models: knowledge by layer, memories, heads, causes, one prediction.

use crate::chart::inside as chart;
use crate::chart::inside::Drawn;
use crate::figure::{Figure, Format};
use crate::html::{escape, slug};
use crate::inside::{Causal, Detail, Fact, HeadScores, Knowledge, Looked, MemoryBook, Number, PromptPicture, Vote};
use crate::page::frame;
use crate::section::Section;
use crate::words;

/// A metric of a look: its key, its name, how it is written, and the ends of its scale where they are fixed.
type Metric = (&'static str, &'static str, Format, Option<(f64, f64)>);

const SHARE: Option<(f64, f64)> = Some((0.0, 1.0));

/// A look: its key in the numbers, anchor, heading, a sentence, the metrics that have a layer, and those of whole models.
struct Look {
    key: &'static str,
    id: &'static str,
    title: &'static str,
    text: &'static str,
    by_layer: &'static [Metric],
    whole: &'static [Metric],
}

const LOOKS: [Look; 5] = [
    Look {
        key: "knowledge",
        id: "inside-knowledge",
        title: "Where knowledge sits",
        text: "Facts are asked at every layer: a lens reads what the model would say if that layer were its last.",
        by_layer: &[
            ("p_at_1", "Facts at rank 1", Format::Share, SHARE),
            ("mrr", "Mean reciprocal rank", Format::Number, SHARE),
        ],
        whole: &[
            ("p_at_1_total", "Facts at rank 1 in any layer", Format::Share, SHARE),
            ("intermediate_only", "Of these, lost by the last layer", Format::Share, SHARE),
        ],
    },
    Look {
        key: "memories",
        id: "inside-memories",
        title: "Feed-forward memories",
        text: "Each hidden unit of an MLP is a memory: its key reacts to prefixes of the text, its value votes for tokens.",
        by_layer: &[
            ("agreement", "Values that vote for the token behind their key's first trigger", Format::Share, None),
            ("active_share", "Active memories", Format::Share, None),
            ("zero_agreement", "Predictions that are no single memory's", Format::Share, SHARE),
            ("refined", "Predictions that are the final ones already", Format::Share, SHARE),
        ],
        whole: &[],
    },
    Look {
        key: "heads",
        id: "inside-heads",
        title: "Heads",
        text: "What heads attend to in sequences of random tokens that are repeated: the token before, the same token, or \
               the token that came after its earlier copy, as an induction head does.",
        by_layer: &[
            ("previous_token", "Attention to the token before", Format::Share, SHARE),
            ("duplicate_token", "Attention to the same token", Format::Share, SHARE),
            ("induction", "Attention to what followed the earlier copy", Format::Share, SHARE),
        ],
        whole: &[
            ("induction_max", "Strongest induction head", Format::Share, SHARE),
            ("icl_score", "In-context learning: late loss less early loss", Format::Number, None),
        ],
    },
    Look {
        key: "causal",
        id: "inside-causal",
        title: "Causes",
        text: "A part is restored in a spoiled run, or removed from a clean one: what that does to the right answer says \
               whether the answer hangs on it. A probe says only what can be read there.",
        by_layer: &[("effect", "Change of the answer's log-probability, nats", Format::Number, None)],
        whole: &[
            ("known", "Questions that are answered, and traced", Format::Share, SHARE),
            ("lens_layer", "Layer behind which the lens first has the answer", Format::Number, None),
        ],
    },
    Look {
        key: "prompt",
        id: "inside-prompt",
        title: "One prediction taken apart",
        text: "What each layer would say, were it the last, and what its parts add to the logit of one token.",
        by_layer: &[("target_logprob", "Log-probability of the token, nats", Format::Number, None)],
        whole: &[],
    },
];

/// The sections of all looks.
pub(crate) fn sections(models: &[Looked], figures: &mut Vec<Figure>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for look in &LOOKS {
        let body = numbers(look, models, figures) + &details(look.key, models, figures);
        if !body.is_empty() {
            let body = format!("<p>{}</p>\n{body}", look.text);
            sections.push(Section { id: look.id, title: look.title, body });
        }
    }
    sections
}

/// The models as they were last, where some were looked into along their training.
pub(crate) fn last(models: &[Looked]) -> Vec<&Looked> {
    let later = |a: &Looked, b: &Looked| (&a.family, &a.model) == (&b.family, &b.model) && b.tokens > a.tokens;
    models.iter().filter(|a| !models.iter().any(|b| later(a, b))).collect()
}

/// The methods of a look, in the order in which they come.
fn methods<'a>(look: &str, models: &'a [Looked]) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for number in models.iter().flat_map(|m| &m.numbers).filter(|n| n.look == look) {
        if !found.contains(&number.method.as_str()) {
            found.push(&number.method);
        }
    }
    found
}

fn numbers(look: &Look, models: &[Looked], figures: &mut Vec<Figure>) -> String {
    let mut made = Vec::new();
    for method in methods(look.key, models) {
        for metric in look.by_layer {
            made.extend(match look.key {
                "causal" | "prompt" => by_place(look, method, metric, models),
                _ => layered(look, method, metric, models),
            });
        }
        for metric in look.whole {
            made.extend(whole(look, method, metric, models));
        }
    }
    let frames: String = made.iter().map(frame).collect();
    figures.extend(made);
    if frames.is_empty() { frames } else { format!("<div class=\"pair\">\n{frames}</div>\n") }
}

fn drawn<'a>(look: &Look, method: &str, metric: &Metric, extra: &str) -> Drawn<'a> {
    let method_words = if method.is_empty() { String::new() } else { format!(" ({method})") };
    let extra_words = if extra.is_empty() { String::new() } else { format!(": {extra}") };
    Drawn {
        id: slug(&format!("figure-{}-{method}-{}-{extra}", look.key, metric.0)),
        title: format!("{}{method_words}{extra_words}", metric.1),
        format: metric.2,
        unit: metric.1,
        range: metric.3,
    }
}

/// The figures of one metric by layer: over models, over the groups and the heads of the largest model.
fn layered(look: &Look, method: &str, metric: &Metric, models: &[Looked]) -> Vec<Figure> {
    let of = |n: &&Number| n.look == look.key && n.method == method && n.metric == metric.0 && n.layer.is_some();
    let mut figures = Vec::new();
    let last = last(models);
    let rows: Vec<chart::Row<'_>> = last
        .iter()
        .map(|m| {
            (m.model.clone(), m.numbers.iter().filter(of).filter(|n| n.group.is_empty() && n.unit.is_none()).collect())
        })
        .filter(|(_, numbers): &chart::Row<'_>| !numbers.is_empty())
        .collect();
    match rows.len() {
        0 => {}
        1 => figures.push(chart::by_layer(drawn(look, method, metric, ""), &rows)),
        _ => figures.push(chart::heat_map(drawn(look, method, metric, ""), &rows)),
    }
    let Some(largest) = last.iter().rev().find(|m| m.numbers.iter().any(|n| of(&n))) else { return figures };
    let mut groups: Vec<chart::Row<'_>> = Vec::new();
    for number in largest.numbers.iter().filter(of) {
        let name = match number.unit {
            Some(unit) => format!("head {unit}"),
            None => number.group.clone(),
        };
        match groups.iter_mut().find(|(known, _)| *known == name) {
            _ if name.is_empty() => {}
            Some((_, row)) => row.push(number),
            None => groups.push((name, vec![number])),
        }
    }
    if groups.len() > 1 || (rows.is_empty() && !groups.is_empty()) {
        figures.push(chart::heat_map(drawn(look, method, metric, &largest.model), &groups));
    }
    figures
}

/// A figure for each place or prompt that several models were asked about: such a group is no part of a whole.
fn by_place(look: &Look, method: &str, metric: &Metric, models: &[Looked]) -> Vec<Figure> {
    let of = |n: &&Number| n.look == look.key && n.method == method && n.metric == metric.0 && n.layer.is_some();
    let mut groups: Vec<(&str, Vec<chart::Row<'_>>)> = Vec::new();
    for model in last(models) {
        for number in model.numbers.iter().filter(of) {
            let at = groups.iter().position(|(group, _)| *group == number.group).unwrap_or_else(|| {
                groups.push((&number.group, Vec::new()));
                groups.len() - 1
            });
            let rows = &mut groups[at].1;
            match rows.last_mut() {
                Some((name, row)) if *name == model.model => row.push(number),
                _ => rows.push((model.model.clone(), vec![number])),
            }
        }
    }
    groups.retain(|(_, rows)| rows.len() > 1);
    groups.iter().map(|(group, rows)| chart::heat_map(drawn(look, method, metric, group), rows)).collect()
}

/// The figures of one metric of whole models: over their sizes, and along training.
fn whole(look: &Look, method: &str, metric: &Metric, models: &[Looked]) -> Vec<Figure> {
    let of = |n: &&Number| {
        n.look == look.key && n.method == method && n.metric == metric.0 && n.layer.is_none() && n.group.is_empty()
    };
    let one = |m: &'_ Looked| m.numbers.iter().position(|n| of(&n));
    let mut figures = Vec::new();
    let points: Vec<(&Looked, &Number)> =
        last(models).into_iter().filter_map(|m| Some((m, &m.numbers[one(m)?]))).collect();
    if points.len() > 1 {
        figures.push(chart::over_size(drawn(look, method, metric, "by size"), &points));
    }
    let mut curves: Vec<(String, Vec<(f64, &Number)>)> = Vec::new();
    for model in models {
        let (Some(tokens), Some(at)) = (model.tokens, one(model)) else { continue };
        let point = (tokens as f64, &model.numbers[at]);
        match curves.iter_mut().find(|(name, _)| *name == model.model) {
            Some((_, curve)) => curve.push(point),
            None => curves.push((model.model.clone(), vec![point])),
        }
    }
    curves.retain(|(_, curve)| curve.len() > 1);
    if !curves.is_empty() {
        curves.iter_mut().for_each(|(_, curve)| curve.sort_by(|a, b| a.0.total_cmp(&b.0)));
        figures.push(chart::over_training(drawn(look, method, metric, "along training"), &curves));
    }
    figures
}

fn details(look: &str, models: &[Looked], figures: &mut Vec<Figure>) -> String {
    let mut out = String::new();
    for (number, model) in models.iter().enumerate() {
        for (i, detail) in model.details.iter().enumerate() {
            let id = format!("{number}-{i}");
            out.push_str(&match (look, detail) {
                ("knowledge", Detail::Knowledge(found)) => knowledge(&model.model, found),
                ("memories", Detail::Memories(book)) => memories(&model.model, book, &id),
                ("heads", Detail::Heads(scores)) => heads(&model.model, scores, &id, figures),
                ("causal", Detail::Causal(causal)) => causes(&model.model, causal, &id, figures),
                ("prompt", Detail::Prompt(picture)) => prompt(&model.model, picture, &id, figures),
                _ => continue,
            });
        }
    }
    out
}

/// Facts with their ranks, those known somewhere first.
fn knowledge(model: &str, found: &Knowledge) -> String {
    const MOST: usize = 200;
    let first = |fact: &Fact| {
        let known = fact.ranks.iter().zip(&found.layers).find(|(rank, _)| **rank == 1);
        known.map_or(u32::MAX, |(_, layer)| *layer)
    };
    let mut facts: Vec<&Fact> = found.facts.iter().collect();
    facts.sort_by_key(|fact| (first(fact), fact.ranks.last().copied()));
    let row = |fact: &&Fact| {
        let known = match first(fact) {
            u32::MAX => "in none".to_owned(),
            layer => format!("layer {layer}"),
        };
        let ranks: Vec<String> = fact.ranks.iter().map(u32::to_string).collect();
        format!(
            "<tr><th scope=\"row\">{} <b>{}</b><small>{}</small></th><td data-label=\"first right\">{known}</td>\
             <td data-label=\"ranks by layer\"><code>{}</code></td><td data-label=\"the model says\">{}</td></tr>",
            escape(&fact.text),
            escape(&fact.object),
            escape(&fact.relation),
            ranks.join(" "),
            escape(&fact.said),
        )
    };
    let left: String = found
        .left_out
        .iter()
        .map(|(why, n)| format!("<li>{} not asked: {}</li>", words::whole(*n), escape(why)))
        .collect();
    let left = if left.is_empty() { left } else { format!("<ul class=\"note\">{left}</ul>\n") };
    format!(
        "{left}<details><summary>{}, {}: {} of {} facts, where each is right first</summary><div class=\"scroll\">\
         <table class=\"blocks\"><thead><tr><th>Fact</th><th>First right</th><th>Rank at layers {}</th>\
         <th>The model says</th></tr></thead><tbody>{}</tbody></table></div></details>\n",
        escape(model),
        escape(&found.method),
        facts.len().min(MOST),
        facts.len(),
        found.layers.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
        facts.iter().take(MOST).map(row).collect::<String>(),
    )
}

/// The frame that the memory browser fills.
fn memories(model: &str, book: &MemoryBook, id: &str) -> String {
    if book.memories.is_empty() {
        return String::new();
    }
    format!(
        "<h3>Memories of {}</h3>\n<p class=\"note\">{} of {} memories are kept here. {}</p>\n\
         <div class=\"browser\" data-memories=\"{id}\"><noscript>The browser of memories needs scripts; the numbers above \
         do not.</noscript></div>\n",
        escape(model),
        words::whole(book.memories.len() as u64),
        words::whole(u64::from(book.layers) * u64::from(book.units)),
        escape(&book.definition),
    )
}

fn heads(model: &str, scores: &HeadScores, id: &str, figures: &mut Vec<Figure>) -> String {
    let rows = scores.definitions.iter().map(|(name, text)| (name.as_str(), text.clone()));
    let mut out = crate::section::facts(&format!("What the scores of {model} are"), rows);
    if scores.loss_by_position.len() > 1 {
        let drawn = Drawn {
            id: format!("figure-loss-by-position-{id}"),
            title: format!("Loss by position: {model}"),
            format: Format::Number,
            unit: "Nats per token",
            range: None,
        };
        let figure = chart::over_position(drawn, "Position", &scores.loss_by_position);
        out.push_str(&frame(&figure));
        figures.push(figure);
    }
    out
}

fn causes(model: &str, causal: &Causal, id: &str, figures: &mut Vec<Figure>) -> String {
    let mut out = format!("<h3>{}</h3>\n<p class=\"note\">{}</p>\n", escape(model), escape(&causal.definition));
    for intervention in ["restore", "remove"] {
        let mut curves: Vec<(String, Vec<Number>)> = Vec::new();
        for effect in causal.effects.iter().filter(|e| e.intervention == intervention) {
            let name = format!("{} at {}", effect.part, effect.place);
            let number = Number {
                look: "causal".to_owned(),
                method: intervention.to_owned(),
                group: name.clone(),
                metric: "effect".to_owned(),
                layer: Some(effect.layer),
                unit: None,
                value: effect.effect,
                interval: effect.interval,
                n: 0,
                chance: None,
            };
            match curves.iter_mut().find(|(known, _)| *known == name) {
                Some((_, curve)) => curve.push(number),
                None => curves.push((name, vec![number])),
            }
        }
        if curves.is_empty() {
            continue;
        }
        let drawn = Drawn {
            id: format!("figure-causal-{intervention}-{id}"),
            title: format!("What it does to {intervention} a part: {model}"),
            format: Format::Number,
            unit: "Change of the answer's log-probability, nats",
            range: None,
        };
        let rows: Vec<_> = curves.iter().map(|(name, curve)| (name.clone(), curve.iter().collect())).collect();
        let figure = chart::by_layer(drawn, &rows);
        out.push_str(&frame(&figure));
        figures.push(figure);
    }
    let items: String = causal.disagreements.iter().map(|text| format!("<li>{}</li>", escape(text))).collect();
    if !items.is_empty() {
        out.push_str(&format!("<p>Where the probe and the intervention differ:</p>\n<ul>{items}</ul>\n"));
    }
    out
}

fn votes(votes: &[Vote]) -> String {
    let one = |v: &Vote| format!("{} <small>{}</small>", escape(&visible(&v.token)), words::share(v.score));
    votes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// White space as something to be seen.
fn visible(token: &str) -> String {
    token.replace('\n', "⏎").replace(' ', "␣")
}

fn prompt(model: &str, picture: &PromptPicture, id: &str, figures: &mut Vec<Figure>) -> String {
    let figure = (!picture.parts.is_empty()).then(|| chart::attribution(format!("figure-prompt-{id}"), picture));
    let lens: String = picture
        .lens
        .iter()
        .enumerate()
        .map(|(layer, said)| format!("<tr><th scope=\"row\">{layer}</th><td>{}</td></tr>", votes(said)))
        .collect();
    let memory = |m: &crate::inside::PromptMemory| {
        format!(
            "<tr><th scope=\"row\">layer {}, unit {}</th><td class=\"n\" data-label=\"coefficient\">{}</td>\
             <td class=\"n\" data-label=\"adds\">{}</td><td data-label=\"votes for\">{}</td></tr>",
            m.layer,
            m.unit,
            words::number(m.coefficient),
            m.amount.map_or_else(|| "-".to_owned(), words::number),
            escape(&m.votes.iter().map(|v| visible(v)).collect::<Vec<_>>().join(", ")),
        )
    };
    let memories: String = picture.memories.iter().map(memory).collect();
    let body = format!(
        "<h3>{} reads: <q>{}</q></h3>\n<p>It says {}. What follows takes the logit of <b>{}</b> apart, which is {}.</p>\n\
         <p class=\"note\">{}</p>\n{}<div class=\"browser attention\" data-attention=\"{id}\"></div>\n\
         <div class=\"scroll\"><table class=\"lens\"><caption>What each layer would say, were it the last</caption><thead><tr>\
         <th>Layer</th><th>Said</th></tr></thead><tbody>{lens}</tbody></table></div>\n<div class=\"scroll\">\
         <table class=\"blocks\"><caption>The memories that add most, either way</caption><thead><tr><th>Memory</th>\
         <th>Coefficient</th><th>Adds to the logit</th><th>Votes for</th></tr></thead><tbody>{memories}</tbody></table></div>\n",
        escape(model),
        escape(&picture.tokens.concat()),
        votes(&picture.said),
        escape(&visible(&picture.target)),
        words::number(picture.logit),
        escape(&picture.definition),
        figure.as_ref().map(frame).unwrap_or_default(),
    );
    figures.extend(figure);
    body
}
