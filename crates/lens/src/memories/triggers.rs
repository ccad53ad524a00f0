//! The prefixes with the greatest coefficients of every key, streamed: memory grows with keys and k, not with the corpus.

use super::Corpus;
use crate::{Error, read};
use rayon::prelude::*;
use saltus_compute::NARROW;
use saltus_lm::TokenId;
use saltus_transformer::{Activations, Model, Site, Taps};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Columns of a pass that keep the processor busy. The number changes no bit of a result.
pub const PASS: usize = 1024;

/// Keys looked at by one thread at a time.
const KEYS: usize = 32;

/// A prefix that a key reacts to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The coefficient behind its last token.
    pub coefficient: f32,
    /// Number of the sentence in the corpus.
    pub sentence: u32,
    /// Its last token in the sentence, from 0; tokens that are no text count.
    pub position: u32,
}

/// Where no sentence has been read yet.
const VACANT: Trigger = Trigger { coefficient: f32::NEG_INFINITY, sentence: u32::MAX, position: 0 };

/// The top triggers of all keys in some layers, after some sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Triggers {
    /// From 0, ascending.
    layers: Vec<usize>,
    units: usize,
    top: usize,
    /// Sentences read.
    read: usize,
    /// `[layers, units, top]`, the greatest first.
    all: Vec<Trigger>,
}

impl Triggers {
    /// None yet, for `top` triggers of every key in `layers` (from 0, ascending).
    ///
    /// # Errors
    /// [`Error::BothWays`] for a model that sees what follows: it has no prefixes.
    ///
    /// # Panics
    /// When `top` is 0.
    pub fn new(model: &Model, layers: &[usize], top: usize) -> Result<Self, Error> {
        assert!(top > 0, "at least one trigger");
        if !model.config().architecture.attention.causal {
            return Err(Error::BothWays);
        }
        let units = model.config().mlp_hidden;
        Ok(Triggers { layers: layers.to_vec(), units, top, read: 0, all: vec![VACANT; layers.len() * units * top] })
    }

    /// The layers, from 0.
    pub fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// Sentences read so far.
    pub fn sentences(&self) -> usize {
        self.read
    }

    /// The triggers of the units of the layer `slot` of [`Triggers::layers`], `[units, top]`, the greatest first.
    pub fn layer(&self, slot: usize) -> impl ExactSizeIterator<Item = &[Trigger]> {
        self.all[slot * self.units * self.top..][..self.units * self.top].chunks_exact(self.top)
    }

    /// Reads on to the sentence `until`, about `columns` tokens ([`PASS`]) at a time. The result has the same bits however
    /// the sentences are divided, and at any number of threads.
    ///
    /// # Errors
    /// As [`read`](crate::read()).
    pub fn read(&mut self, model: &Model, corpus: &Corpus, until: usize, columns: usize) -> Result<(), Error> {
        for pass in corpus.passes(self.read..until, columns) {
            let sentences: Vec<&[TokenId]> = pass.clone().map(|number| corpus.sentence(number)).collect();
            read_pass(model, &sentences, &mut Watch { triggers: self, pass: pass.clone(), begin: corpus.begin() })?;
            self.read = pass.end;
        }
        Ok(())
    }

    /// Says what is missing, if anything is.
    pub(crate) fn complete(&self, corpus: &Corpus) -> Result<(), Error> {
        if corpus.sentences() < self.top {
            return Err(Error::FewSentences { sentences: corpus.sentences(), top: self.top });
        }
        assert_eq!(self.read, corpus.sentences(), "triggers are read from all of the corpus first");
        match self.all.iter().position(|trigger| !trigger.coefficient.is_finite()) {
            Some(at) => Err(Error::NotFinite { layer: self.layers[at / (self.units * self.top)] + 1 }),
            None => Ok(()),
        }
    }

    /// All of it as bytes, to go on from later.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.header().iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend((self.read as u64).to_le_bytes());
        for Trigger { coefficient, sentence, position } in &self.all {
            bytes.extend(coefficient.to_le_bytes());
            bytes.extend(sentence.to_le_bytes());
            bytes.extend(position.to_le_bytes());
        }
        bytes
    }

    /// Goes on from what [`Triggers::to_bytes`] gave of the same model and corpus; false, and nothing is changed, for
    /// anything else.
    pub fn resume(&mut self, bytes: &[u8], corpus: &Corpus) -> bool {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let header = self.header();
        let (head, triggers) = (header.len() + 1, self.all.len() * 12);
        if numbers.len() < head || (numbers.len() - head) * 8 + rest.len() != triggers {
            return false;
        }
        let read = u64::from_le_bytes(numbers[header.len()]) as usize;
        if header.iter().zip(numbers).any(|(own, found)| own.to_le_bytes() != *found) || read > corpus.sentences() {
            return false;
        }
        let word = |bytes: &[u8], at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let trigger = |bytes: &[u8]| Trigger {
            coefficient: f32::from_le_bytes(word(bytes, 0)),
            sentence: u32::from_le_bytes(word(bytes, 4)),
            position: u32::from_le_bytes(word(bytes, 8)),
        };
        let all: Vec<Trigger> = bytes[head * 8..].chunks_exact(12).map(trigger).collect();
        let known = |t: &Trigger| {
            let sentence = t.sentence as usize;
            *t == VACANT || sentence < read && (t.position as usize) < corpus.sentence(sentence).len()
        };
        if !all.iter().all(known) {
            return false;
        }
        (self.all, self.read) = (all, read);
        true
    }

    /// What must be the same for two states to be of one reading.
    fn header(&self) -> Vec<u64> {
        let sizes = [self.layers.len(), self.units, self.top];
        sizes.iter().chain(&self.layers).map(|number| *number as u64).collect()
    }
}

/// Reads sequences in one pass; those that come after them in the pass are to be ignored.
pub(crate) fn read_pass(model: &Model, sequences: &[&[TokenId]], taps: &mut dyn Taps) -> Result<(), Error> {
    let mut texts: Vec<(&[TokenId], usize)> = sequences.iter().map(|tokens| (*tokens, tokens.len())).collect();
    // Few columns may be multiplied in another order, to other last bits: there are always more.
    let columns: usize = texts.iter().map(|(tokens, _)| tokens.len()).sum();
    if let (1..=NARROW, Some(first)) = (columns, texts.first().copied()) {
        texts.extend(std::iter::repeat_n(first, NARROW / first.0.len().max(1)));
    }
    read(model, &texts, taps).map(drop)
}

/// Takes the best prefix of each sentence of a pass.
struct Watch<'a> {
    triggers: &'a mut Triggers,
    pass: Range<usize>,
    begin: usize,
}

impl Taps for Watch<'_> {
    fn wants(&self, site: Site) -> bool {
        matches!(site, Site::MlpHidden(layer) if self.triggers.layers.binary_search(&layer).is_ok())
    }

    fn at(&mut self, site: Site, activations: Activations<'_>) {
        let Site::MlpHidden(layer) = site else { return };
        let Ok(slot) = self.triggers.layers.binary_search(&layer) else { return };
        let Triggers { units, top, all, .. } = &mut *self.triggers;
        let (top, spans, columns) = (*top, activations.spans, activations.columns);
        let layer = &mut all[slot * *units * top..][..*units * top];
        let parts = layer.par_chunks_mut(KEYS * top).zip(activations.values.par_chunks(KEYS * columns));
        parts.for_each(|(triggers, values)| {
            for (triggers, values) in triggers.chunks_exact_mut(top).zip(values.chunks_exact(columns)) {
                for (sentence, span) in self.pass.clone().zip(spans) {
                    enter(triggers, &values[span.start + self.begin..span.end], (sentence, self.begin));
                }
            }
        });
    }
}

/// Enters the best prefix of one sentence, whose coefficients are `values`, if it is among the top. Sentences come in
/// order, so that an equal coefficient of a later one is no better.
fn enter(triggers: &mut [Trigger], values: &[f32], (sentence, begin): (usize, usize)) {
    let coefficient = greatest(values);
    if triggers.last().is_none_or(|least| coefficient <= least.coefficient) {
        return;
    }
    let Some(at) = values.iter().position(|x| *x == coefficient) else { return };
    let place = triggers.partition_point(|other| other.coefficient >= coefficient);
    triggers[place..].rotate_right(1);
    triggers[place] = Trigger { coefficient, sentence: sentence as u32, position: (begin + at) as u32 };
}

/// The greatest of some numbers; negative infinity of none.
fn greatest(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<8>();
    // Lanes that a compiler turns into registers: the greatest does not depend on the order.
    let mut lanes = [f32::NEG_INFINITY; 8];
    let wider = |most: f32, x: f32| if x > most { x } else { most };
    for block in blocks {
        for (most, x) in lanes.iter_mut().zip(block) {
            *most = wider(*most, *x);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, x| wider(most, *x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Few different values, so that there are ties.
        #[test]
        fn the_stream_gives_what_a_full_sort_gives(
            sentences in prop::collection::vec(prop::collection::vec(-3i8..4, 1..20), 1..60),
            top in 1usize..12,
            begin in 0usize..2,
        ) {
            let sentences: Vec<Vec<f32>> =
                sentences.iter().map(|s| s.iter().map(|x| f32::from(*x)).collect()).collect();
            let mut streamed = vec![VACANT; top];
            for (number, values) in sentences.iter().enumerate() {
                enter(&mut streamed, values, (number, begin));
            }
            let best = |(number, values): (usize, &Vec<f32>)| {
                let all = values.iter().enumerate().map(|(at, x)| (-x, at));
                let (coefficient, at) = all.min_by(|a, b| a.partial_cmp(b).unwrap()).unwrap();
                Trigger { coefficient: -coefficient, sentence: number as u32, position: (at + begin) as u32 }
            };
            let mut sorted: Vec<Trigger> = sentences.iter().enumerate().map(best).collect();
            sorted.sort_by(|a, b| b.coefficient.total_cmp(&a.coefficient).then(a.sentence.cmp(&b.sentence)));
            sorted.resize(top, VACANT);
            prop_assert_eq!(streamed, sorted);
        }
    }
}
