//! What the values of a layer vote for, beside the triggers of their keys.

use super::{
    Corpus, Trigger,
    votes::{columns_at_once, strongest, tally},
};
use saltus_lm::TokenId;
use saltus_transformer::Model;
use serde::{Deserialize, Serialize};

/// Votes kept of a memory, each way.
const VOTES: usize = 10;

/// The values of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerValues {
    /// The first vote of each value.
    pub first: Vec<TokenId>,
    /// What it votes against most.
    pub last: Vec<TokenId>,
    /// The token behind the key's first trigger and its rank among the value's votes, from 1. None where the sentence ends
    /// there, and where no coefficient is above 0: nothing calls the key.
    pub next: Vec<Option<(TokenId, u32)>>,
    /// The sentence of the key's first trigger.
    pub sentence: Vec<u32>,
    /// Memories that are kept whole, by unit.
    pub kept: Vec<Memory>,
}

/// A memory that is kept whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// From 0.
    pub unit: u32,
    /// The greatest first.
    pub triggers: Vec<Trigger>,
    /// The strongest votes for tokens.
    pub top: Vec<(TokenId, f32)>,
    /// The strongest votes against tokens.
    pub bottom: Vec<(TokenId, f32)>,
}

impl Memory {
    /// Whether it can be of a layer of so many units, over this corpus.
    pub(super) fn fits(&self, units: usize, corpus: &Corpus, known: &dyn Fn(&TokenId) -> bool) -> bool {
        let there = |t: &Trigger| {
            let sentence = t.sentence as usize;
            sentence < corpus.sentences() && (t.position as usize) < corpus.sentence(sentence).len()
        };
        (self.unit as usize) < units
            && self.triggers.iter().all(there)
            && self.top.iter().chain(&self.bottom).all(|(token, _)| known(token))
    }
}

/// Reads the votes of all values of `layer` (from 0), whose keys have these triggers.
pub(super) fn read<'t>(
    model: &Model,
    corpus: &Corpus,
    triggers: impl ExactSizeIterator<Item = &'t [Trigger]>,
    layer: usize,
    kept: usize,
) -> LayerValues {
    let triggers: Vec<&[Trigger]> = triggers.collect();
    let keep = strongest_units(model, &triggers, layer, kept);
    let next = |first: &Trigger| corpus.next(first.sentence, first.position).filter(|_| first.coefficient > 0.0);
    let next: Vec<Option<TokenId>> = triggers.iter().map(|triggers| next(&triggers[0])).collect();
    let mut found = LayerValues {
        first: Vec::with_capacity(next.len()),
        last: Vec::with_capacity(next.len()),
        next: Vec::with_capacity(next.len()),
        sentence: triggers.iter().map(|t| t[0].sentence).collect(),
        kept: Vec::with_capacity(keep.len()),
    };
    let (width, most) = (model.config().width, columns_at_once(model.config().vocabulary));
    for from in (0..next.len()).step_by(most) {
        let units = from..(from + most).min(next.len());
        let values = model.values(layer, units.clone());
        let columns = values.len() / width;
        let votes = model.votes(&values, columns);
        let said = tally(&votes, columns, &next[units.clone()]);
        found.first.extend(&said.first[..units.len()]);
        found.last.extend(&said.last[..units.len()]);
        found.next.extend(next[units.clone()].iter().zip(&said.ranks).map(|(token, rank)| token.map(|t| (t, *rank))));
        for unit in keep.iter().copied().filter(|unit| units.contains(unit)) {
            let [top, bottom] = strongest(&votes, columns, unit - from, VOTES);
            found.kept.push(Memory { unit: unit as u32, triggers: triggers[unit].to_vec(), top, bottom });
        }
    }
    found
}

/// The units whose triggers' mean coefficient times the length of their value is greatest, ascending.
fn strongest_units(model: &Model, triggers: &[&[Trigger]], layer: usize, count: usize) -> Vec<usize> {
    let values = model.values(layer, 0..triggers.len());
    let columns = values.len() / model.config().width;
    let mut squares = vec![0f64; columns];
    for row in values.chunks_exact(columns) {
        squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x).powi(2));
    }
    let sum = |triggers: &[Trigger]| triggers.iter().map(|t| f64::from(t.coefficient)).sum::<f64>();
    let strength: Vec<f64> = triggers.iter().zip(&squares).map(|(t, square)| sum(t) * square.sqrt()).collect();
    let mut units: Vec<usize> = (0..triggers.len()).collect();
    units.sort_by(|a, b| strength[*b].total_cmp(&strength[*a]).then(a.cmp(b)));
    units.truncate(count);
    units.sort_unstable();
    units
}
