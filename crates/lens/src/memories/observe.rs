//! What was found of memories as numbers by layer, with intervals and what chance gives.

use super::{Findings, LayerFindings, LayerPredictions, LayerValues};
use saltus_lm::TokenId;
use saltus_record::{ModelKey, Observation};
use saltus_stats::{Interval, ln_gamma, mean, score_interval};
use std::collections::BTreeMap;

/// Two-sided confidence of all intervals.
const LEVEL: f64 = 0.95;

/// The numbers of all layers, `look` being `memories`:
///
/// | metric | mean over | clustered by |
/// |---|---|---|
/// | `agreement` | keys whose first trigger has a coefficient above 0 and a next token | its sentence |
/// | `agreement_rank`: geometric mean of the next token's rank among the value's votes | the same | the same |
/// | `active_share`, `zero_agreement`, `refined`, `from_residual`, `from_ffn`, `from_agreement`, `from_composition` | places | sentence |
/// | `removal` (groups `first`, `last`, `random`): relative change of the coefficient | keys | the trigger's sentence |
pub fn observe(model: &ModelKey, findings: &Findings) -> Vec<Observation> {
    let mut all = Vec::new();
    for layer in &findings.layers {
        let mut put = |group: &str, metric: &str, (found, n): (Interval, usize), chance: Option<f64>| {
            all.push(Observation {
                group: group.into(),
                layer: Some(layer.layer),
                interval: found.low.is_finite().then_some((found.low, found.high)),
                n: n as u64,
                chance,
                ..Observation::new(model, "memories", metric, found.value)
            });
        };
        agreement(&layer.values, findings.vocabulary, &mut put);
        predictions(&layer.predictions, findings, &mut put);
        removals(layer, &mut put);
    }
    all
}

/// Takes a number: its group, its metric, the value of so many, and that of chance.
type Put<'a> = dyn FnMut(&str, &str, (Interval, usize), Option<f64>) + 'a;

/// A mean with its interval, whose bounds are no numbers where nothing can be said.
fn estimate(scores: &[f64], clusters: &[u32], range: Option<(f64, f64)>) -> (Interval, usize) {
    let none = Interval { value: mean(scores), low: f64::NAN, high: f64::NAN };
    (score_interval(scores, Some(clusters), range, LEVEL).unwrap_or(none), scores.len())
}

fn agreement(values: &LayerValues, vocabulary: usize, put: &mut Put<'_>) {
    let of_units = values.next.iter().zip(&values.first).zip(&values.sentence);
    let keys: Vec<(TokenId, u32, TokenId, u32)> = of_units
        .filter_map(|((next, first), sentence)| next.map(|(next, rank)| (next, rank, *first, *sentence)))
        .collect();
    if keys.is_empty() {
        return;
    }
    let clusters: Vec<u32> = keys.iter().map(|key| key.3).collect();
    let agrees: Vec<f64> = keys.iter().map(|(next, _, first, _)| f64::from(u8::from(next == first))).collect();
    let chance = equal_by_chance(keys.iter().map(|key| key.0), keys.iter().map(|key| key.2));
    put("", "agreement", estimate(&agrees, &clusters, Some((0.0, 1.0))), Some(chance));
    let logs: Vec<f64> = keys.iter().map(|key| f64::from(key.1).ln()).collect();
    let (log, n) = estimate(&logs, &clusters, None);
    let rank = Interval { value: log.value.exp(), low: log.low.exp(), high: log.high.exp() };
    let vocabulary = vocabulary as f64;
    put("", "agreement_rank", (rank, n), Some((ln_gamma(vocabulary + 1.0) / vocabulary).exp()));
}

/// How often tokens of two lists are equal if one list is dealt out anew.
fn equal_by_chance(a: impl Iterator<Item = TokenId>, b: impl Iterator<Item = TokenId>) -> f64 {
    let mut counts: BTreeMap<TokenId, (u64, u64)> = BTreeMap::new();
    a.for_each(|token| counts.entry(token).or_default().0 += 1);
    b.for_each(|token| counts.entry(token).or_default().1 += 1);
    let (total, pairs) = counts.values().fold((0, 0), |(total, pairs), (a, b)| (total + a, pairs + a * b));
    pairs as f64 / (total * total) as f64
}

fn predictions(found: &LayerPredictions, findings: &Findings, put: &mut Put<'_>) {
    if findings.places.is_empty() {
        return;
    }
    let clusters: Vec<u32> = findings.places.iter().map(|place| place.sentence).collect();
    let share = |hits: &dyn Fn(usize) -> bool| {
        let scores: Vec<f64> = (0..clusters.len()).map(|place| f64::from(u8::from(hits(place)))).collect();
        estimate(&scores, &clusters, Some((0.0, 1.0)))
    };
    put("", "active_share", estimate(&found.active, &clusters, Some((0.0, 1.0))), None);
    let by_chance = found.zero_by_chance.iter().filter(|zero| **zero).count() as f64 / clusters.len() as f64;
    put("", "zero_agreement", share(&|place| found.zero_agreement[place]), Some(by_chance));
    let LayerPredictions { residual, ffn, output, .. } = found;
    let chance = equal_by_chance(residual.iter().copied(), findings.said.iter().copied());
    put("", "refined", share(&|place| residual[place] == findings.said[place]), Some(chance));
    for (metric, of_residual, of_ffn) in [
        ("from_residual", true, false),
        ("from_ffn", false, true),
        ("from_agreement", true, true),
        ("from_composition", false, false),
    ] {
        let is =
            |place: usize| (residual[place] == output[place], ffn[place] == output[place]) == (of_residual, of_ffn);
        put("", metric, share(&is), None);
    }
}

fn removals(layer: &LayerFindings, put: &mut Put<'_>) {
    if layer.removals.is_empty() {
        return;
    }
    let clusters: Vec<u32> = layer.removals.iter().map(|removal| removal.trigger.sentence).collect();
    for (which, group) in ["first", "last", "random"].into_iter().enumerate() {
        let changes: Vec<f64> = layer.removals.iter().map(|removal| removal.changes[which]).collect();
        put(group, "removal", estimate(&changes, &clusters, None), None);
    }
}
