//! What restoring and removing parts does, as a page shows it.

use saltus_lens::causal::{Corruption, Options, Removal, Traced};
use saltus_report::inside;
use std::collections::BTreeMap;

/// Effects with what they mean, and where the probe and they differ.
pub fn causal(traced: &Traced, options: &Options, left_out: &BTreeMap<String, u64>) -> inside::Causal {
    let effects = traced.effects.iter().filter_map(|effect| {
        let (mean, kind) = (effect.mean, effect.kind);
        Some(inside::Effect {
            intervention: kind.intervention.name().into(),
            part: kind.component.name().into(),
            place: kind.place.name().into(),
            layer: kind.layer?,
            effect: mean.value,
            interval: mean.interval,
        })
    });
    inside::Causal {
        definition: definition(traced, options, left_out),
        effects: effects.collect(),
        disagreements: traced.sentences(),
    }
}

fn definition(traced: &Traced, options: &Options, left_out: &BTreeMap<String, u64>) -> String {
    let Options { corruption, draws, removal, window } = options;
    let corrupted = match corruption {
        Corruption::Noise { sigmas } => {
            format!("noise of {sigmas} standard deviations on the subject's embeddings (draws: {draws})")
        }
        Corruption::Swap => format!("the subject of another fact in its place, at most {draws} of them"),
    };
    let removed = match removal {
        Removal::Zero => "nothing",
        Removal::Mean => "its mean over the facts",
    };
    let around = if *window > 1 { format!(", {window} layers of MLPs or attention at once") } else { String::new() };
    let mut text = format!(
        "{} facts. Restore: in a run with {corrupted}, one clean activation is put back{around}. Remove: in the clean run \
         {removed} stands in its place. Effects are changes of the object's log-probability in nats, with 95% intervals over \
         facts, clustered by relation where there are several; each interval is that of one effect alone, and among hundreds \
         some miss.",
        traced.traced.len()
    );
    for (reason, count) in left_out {
        text += &format!(" Left out: {count} ({reason}).");
    }
    text
}
