//! Scores of heads on the terminal.

use crate::look::{
    each::{Looked, with_interval},
    paint::Paint,
};
use saltus_lens::heads::SCORES;
use saltus_record::Observation;
use std::fmt::Write;

/// Heads named for each score.
const NAMED: usize = 5;
/// Maps are drawn of so many heads in a layer at most.
const DRAWN: u32 = 32;
/// Shades of a score, from what they begin at.
const SHADES: [(f64, char); 5] = [(0.75, '█'), (0.5, '▓'), (0.25, '▒'), (0.1, '░'), (f64::NEG_INFINITY, '·')];

pub(super) fn text(look: &Looked) -> String {
    let paint = Paint::stdout();
    let of = |metric: &str| -> Vec<&Observation> {
        look.found.observations.iter().filter(|o| o.metric == metric && o.unit.is_some()).collect()
    };
    let mut text = format!("{}\n\n{}\n", paint.bold(&look.model.name), map(&of, paint));
    text += &paint.dim("score            chance  highest: layer.head");
    text.push('\n');
    for score in SCORES {
        let mut heads = of(score);
        heads.sort_by(|a, b| b.value.total_cmp(&a.value));
        let name =
            |o: &&Observation| format!("{}.{} {:.2}", o.layer.unwrap_or_default(), o.unit.unwrap_or_default(), o.value);
        let chance = heads.first().and_then(|o| o.chance).map_or("-".into(), |chance| format!("{chance:.3}"));
        let named: Vec<String> = heads.iter().take(NAMED).map(name).collect();
        let _ = writeln!(text, "{:15}  {chance:>6}  {}", score.replace('_', "-"), named.join("  "));
    }
    text.push('\n');
    let numbers = [
        ("strongest induction head", "induction_max", "", 3),
        ("induction, mean of all heads", "induction_mean", "", 3),
        ("in-context learning, repeated random tokens (nats)", "icl_score", "repeated", 2),
        ("in-context learning, text (nats)", "icl_score", "text", 2),
    ];
    for (name, metric, method, digits) in numbers {
        if let Some(found) = look.number(metric, method, None) {
            let _ = writeln!(text, "{name:50}  {}", with_interval(found, digits));
        }
    }
    text + &look.foot()
}

/// A row for each layer, a sign for each head.
fn map<'a>(of: &dyn Fn(&str) -> Vec<&'a Observation>, paint: Paint) -> String {
    let heads = of("induction").iter().filter_map(|o| o.unit).max().unwrap_or_default() + 1;
    if heads > DRAWN {
        return String::new();
    }
    let width = (heads as usize).max("duplicate".len());
    let mut text = paint.dim(&format!("layer  {:width$}  {:width$}  induction", "previous", "duplicate")) + "\n";
    let scores = SCORES.map(of);
    let layers = scores[0].iter().filter_map(|o| o.layer).max().unwrap_or_default();
    for layer in 1..=layers {
        let signs = scores.iter().map(|score| {
            let here = score.iter().filter(|o| o.layer == Some(layer)).map(|o| shade(o.value));
            format!("{:width$}", here.collect::<String>())
        });
        let _ = writeln!(text, "{layer:>5}  {}", signs.collect::<Vec<_>>().join("  ").trim_end());
    }
    let legend: Vec<String> = SHADES.iter().rev().skip(1).map(|(from, sign)| format!("{sign} from {from}")).collect();
    let _ = writeln!(text, "{}", paint.dim(&format!("       {}", legend.join("  "))));
    text
}

fn shade(score: f64) -> char {
    SHADES.iter().find(|(from, _)| score >= *from).map_or('·', |(_, sign)| *sign)
}
