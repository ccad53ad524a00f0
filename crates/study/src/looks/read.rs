//! What was found inside the models of a study, as its page shows it: one entry for each size, over its seeds.

use super::Found;
use crate::inside;
use saltus_record::Observation;
use saltus_report::inside::{Looked, Number};
use std::collections::BTreeMap;

/// A ladder, a rung and the tokens that its models have seen.
type Place = (String, String, u64);
/// Everything that says what a number is, but not of which model.
type Meaning = (String, String, String, String, Option<u32>, Option<u32>);

/// One entry for each ladder, rung and number of training tokens: means over seeds, with the least and the greatest of
/// them as the interval (of a single seed its own). Rows about single items stay in the records. The largest model, of the
/// first seed, keeps its details.
pub(crate) fn looked(found: &[Found]) -> Vec<Looked> {
    let mut places: BTreeMap<Place, Vec<&Found>> = BTreeMap::new();
    for one in found {
        let Some(training) = &one.cell.model.training else { continue };
        let place = (training.ladder.clone(), one.cell.model.name.clone(), training.tokens);
        places.entry(place).or_default().push(one);
    }
    let mut all: Vec<Looked> = places
        .into_iter()
        .map(|((family, model, tokens), found)| {
            let first = &found[0].cell.model;
            let seeds = found.iter().filter_map(|f| f.cell.model.training.as_ref()).map(|t| t.seed);
            Looked {
                params_non_embedding: first.params_non_embedding,
                layers: first.layers,
                tokens: Some(tokens),
                seeds: seeds.collect::<std::collections::BTreeSet<u64>>().len() as u32,
                numbers: over_seeds(found.iter().flat_map(|f| &f.observations)),
                details: Vec::new(),
                family,
                model,
            }
        })
        .collect();
    all.sort_by(|a, b| {
        (a.params_non_embedding, &a.family, a.tokens).cmp(&(b.params_non_embedding, &b.family, b.tokens))
    });
    if let Some(largest) = all.last_mut() {
        let of_largest = |f: &&Found| f.cell.last && f.cell.model.name == largest.model;
        let seed = found.iter().filter(of_largest).filter_map(|f| f.cell.model.training.as_ref()).map(|t| t.seed).min();
        let of_seed = |f: &&Found| f.cell.model.training.as_ref().map(|t| t.seed) == seed;
        largest.details = found.iter().filter(of_largest).filter(of_seed).flat_map(|f| f.details.clone()).collect();
    }
    all
}

fn over_seeds<'a>(observations: impl Iterator<Item = &'a Observation>) -> Vec<Number> {
    // In the order in which they come first.
    let mut order: Vec<Meaning> = Vec::new();
    let mut groups: BTreeMap<Meaning, Vec<&Observation>> = BTreeMap::new();
    for o in observations.filter(|o| o.item.is_none()) {
        let meaning = (o.look.clone(), o.method.clone(), o.group.clone(), o.metric.clone(), o.layer, o.unit);
        let group = groups.entry(meaning.clone()).or_default();
        if group.is_empty() {
            order.push(meaning);
        }
        group.push(o);
    }
    order.iter().map(|meaning| number(&groups[meaning])).collect()
}

fn number(of_seeds: &[&Observation]) -> Number {
    let o = of_seeds[0];
    let mean = |of: &dyn Fn(&Observation) -> f64| of_seeds.iter().map(|o| of(o)).sum::<f64>() / of_seeds.len() as f64;
    let values = || of_seeds.iter().map(|o| o.value);
    let spread = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    Number {
        value: mean(&|o| o.value),
        interval: if of_seeds.len() > 1 { Some(spread) } else { o.interval },
        n: of_seeds.iter().map(|o| o.n).sum(),
        chance: o.chance.map(|_| mean(&|o| o.chance.unwrap_or(f64::NAN))),
        ..inside::number(o)
    }
}
