//! Causal effects on the terminal.

use crate::look::{
    each::{Looked, with_interval},
    paint::Paint,
};
use saltus_report::inside::{Causal, Detail, Effect};
use std::fmt::Write;

/// Intervention, part and place of each column.
const COLUMNS: [(&str, &str, &str); 7] = [
    ("restore", "mlp", "subject"),
    ("restore", "attention", "last"),
    ("restore", "residual", "subject"),
    ("restore", "residual", "last"),
    ("remove", "mlp", "subject"),
    ("remove", "mlp", "last"),
    ("remove", "attention", "last"),
];
/// Width of a column.
const WIDTH: usize = 9;

pub(super) fn text(look: &Looked) -> String {
    let paint = Paint::stdout();
    let mut text = format!("{}\n\n", paint.bold(&look.model.name));
    let numbers = [
        ("log-probability of the object", "clean_logprob"),
        ("the same, subject corrupted", "corrupted_logprob"),
        ("lost (nats)", "lost"),
    ];
    for (name, metric) in numbers {
        if let Some(found) = look.number(metric, "", None) {
            let _ = writeln!(text, "{name:30}  {}", with_interval(found, 2));
        }
    }
    for detail in &look.found.details {
        if let Detail::Causal(causal) = detail {
            text += &table(look, causal, paint);
            causal.disagreements.iter().for_each(|sentence| text += &format!("- {sentence}\n"));
            let _ = writeln!(text, "\n{}", paint.dim(&causal.definition));
        }
    }
    text + &look.foot()
}

/// A row for each layer; `*` where the interval leaves 0 out.
fn table(look: &Looked, causal: &Causal, paint: Paint) -> String {
    let head = |words: [&str; 7]| words.map(|word| format!("{word:>WIDTH$} ")).join(" ");
    let mut text = String::from("\n");
    for (name, words) in [
        ("", COLUMNS.map(|column| column.0)),
        ("", COLUMNS.map(|column| column.1)),
        ("layer", COLUMNS.map(|column| column.2)),
    ] {
        let lens = if name.is_empty() { "" } else { "lens P@1" };
        text += &paint.dim(format!("{name:5}  {}  {lens:>8}", head(words)).trim_end());
        text.push('\n');
    }
    let layers = causal.effects.iter().map(|effect| effect.layer).max().unwrap_or(0);
    let most = causal.effects.iter().map(|effect| effect.effect.abs()).fold(0.0, f64::max);
    for layer in 1..=layers {
        let cells = COLUMNS.map(|(intervention, part, place)| {
            let here = |e: &&Effect| {
                (e.intervention.as_str(), e.part.as_str(), e.place.as_str(), e.layer)
                    == (intervention, part, place, layer)
            };
            causal.effects.iter().find(here).map_or(" ".repeat(WIDTH + 1), |effect| {
                let sure = effect.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
                let sure = if sure { "*" } else { " " };
                paint.signed(&format!("{:>+WIDTH$.2}{sure}", effect.effect), effect.effect, most)
            })
        });
        let lens = look.number("lens_p_at_1", "", Some(layer)).map_or(String::new(), |o| format!("{:.2}", o.value));
        let _ = writeln!(text, "{layer:>5}  {}  {lens:>8}", cells.join(" "));
    }
    text + &paint.dim("* the 95% interval of this effect alone leaves 0 out") + "\n\n"
}
