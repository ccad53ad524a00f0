//! One prediction on the terminal.

use crate::look::{
    each::Looked,
    paint::{Paint, cell, visible},
};
use saltus_report::inside::{Detail, PromptHead, PromptMemory, PromptPicture, Vote};
use std::fmt::Write;

/// Width of a token with its probability.
const CELL: usize = 15;
/// Tokens in a row.
const SHOWN: usize = 5;

pub(super) fn text(look: &Looked) -> String {
    let pictures = look.found.details.iter().filter_map(|detail| match detail {
        Detail::Prompt(picture) => Some(picture),
        _ => None,
    });
    let paint = Paint::stdout();
    pictures.map(|picture| one(look, picture, paint)).collect::<String>() + &look.foot()
}

fn one(look: &Looked, picture: &PromptPicture, paint: Paint) -> String {
    let mut text = format!("{}\n\n", paint.bold(&look.model.name));
    let tokens: Vec<String> = picture.tokens.iter().map(|token| visible(token)).collect();
    let last = (picture.lens.len() - 1) as u32;
    let probability = look.number("target_logprob", "", Some(last)).map_or(f64::NAN, |o| o.value.exp());
    let _ = writeln!(
        text,
        "{} → {}   logit {:.2}, {}\n",
        tokens.join(&paint.dim("|")),
        paint.bold(&visible(&picture.target)),
        picture.logit,
        percent(probability)
    );
    text += &layers(look, picture, paint);
    text += &heads(picture, paint);
    text += &memories(picture, paint);
    let _ = writeln!(text, "{}", paint.dim(&picture.definition));
    text
}

/// A row for each layer: what its parts add, the target's rank, what the lens says.
fn layers(look: &Looked, picture: &PromptPicture, paint: Paint) -> String {
    let attributed = !picture.parts.is_empty();
    let biased = picture.parts.iter().any(|part| part.name == "bias");
    let bias = if biased { format!("{:>7}  ", "bias") } else { String::new() };
    let amounts = if attributed { format!("{:>9}  {:>7}  {bias}", "attention", "mlp") } else { String::new() };
    let mut text = paint.dim(&format!("layer  {amounts}{:>6}  the lens says", "rank")) + "\n";
    for (layer, said) in (0..).zip(&picture.lens) {
        let name = if layer == 0 { "embed".into() } else { layer.to_string() };
        let rank = look.number("target_rank", "", Some(layer)).map_or(0, |o| o.value as u64);
        let rank = format!("{rank:>6}");
        let rank = if rank.trim() == "1" { paint.bold(&rank) } else { rank };
        let amounts = if attributed { amounts_of(picture, layer, biased, paint) } else { String::new() };
        let _ = writeln!(text, "{name:>5}  {amounts}{rank}  {}", row(said, &picture.target, paint));
    }
    if attributed {
        let sum: f64 = picture.parts.iter().map(|part| part.amount).sum();
        let _ = writeln!(
            text,
            "{}",
            paint.dim(&format!("  sum of all that is added: {sum:.4}, the logit: {:.4}", picture.logit))
        );
    }
    text + "\n"
}

/// What a layer adds; for the embedding, under the MLPs.
fn amounts_of(picture: &PromptPicture, layer: u32, biased: bool, paint: Paint) -> String {
    let most = picture.parts.iter().map(|part| part.amount.abs()).fold(0.0, f64::max);
    let of = |names: &[&str], width: usize| {
        let here = picture.parts.iter().filter(|part| part.layer == layer && names.contains(&part.name.as_str()));
        let amounts: Vec<f64> = here.map(|part| part.amount).collect();
        let amount: f64 = amounts.iter().sum();
        match amounts.is_empty() {
            true => " ".repeat(width),
            false => paint.signed(&format!("{amount:>+width$.2}"), amount, most),
        }
    };
    let bias = if biased { format!("{}  ", of(&["bias"], 7)) } else { String::new() };
    format!("{}  {}  {bias}", of(&["attention"], 9), of(&["embedding", "mlp"], 7))
}

fn row(said: &[Vote], target: &str, paint: Paint) -> String {
    let one = |vote: &Vote| {
        let token = cell(&visible(&vote.token), CELL - 6);
        let text = format!("{token} {:>5}", percent(vote.score));
        if vote.token == target { paint.bold(&text) } else { text }
    };
    said.iter().take(SHOWN).map(one).collect::<Vec<_>>().join("  ")
}

fn heads(picture: &PromptPicture, paint: Paint) -> String {
    let Some(first) = picture.heads.first() else { return String::new() };
    let mut text = paint.dim("head          adds  attends to") + "\n";
    for head in &picture.heads {
        let PromptHead { layer, head: number, amount, attention } = head;
        let mut seen: Vec<(usize, f64)> = attention.iter().copied().enumerate().collect();
        seen.sort_by(|a, b| b.1.total_cmp(&a.1));
        let token = |(at, share): &(usize, f64)| {
            let token = picture.tokens.get(*at).map_or(String::new(), |token| visible(token));
            format!("{token} {:>3}", percent(*share))
        };
        let seen: Vec<String> = seen.iter().filter(|(_, share)| *share >= 0.05).take(SHOWN).map(token).collect();
        let amount = paint.signed(&format!("{amount:>+7.2}"), *amount, first.amount);
        let _ = writeln!(text, "{:10} {amount}  {}", format!("{layer}.{number}"), seen.join(", "));
    }
    text + "\n"
}

fn memories(picture: &PromptPicture, paint: Paint) -> String {
    let Some(first) = picture.memories.first() else { return String::new() };
    let mut text = paint.dim("memory        adds  coefficient  votes for") + "\n";
    for PromptMemory { layer, unit, coefficient, amount, votes } in &picture.memories {
        let amount = amount.map_or(format!("{:>7}", "-"), |amount| {
            paint.signed(&format!("{amount:>+7.2}"), amount, first.amount.unwrap_or(amount))
        });
        let votes: Vec<String> = votes.iter().take(SHOWN).map(|token| visible(token)).collect();
        let _ = writeln!(text, "{:10} {amount}  {coefficient:>+11.2}  {}", format!("{layer}.{unit}"), votes.join(" "));
    }
    text + "\n"
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        share if share >= 9.95 => format!("{share:.0}%"),
        share => format!("{share:.1}%"),
    }
}
