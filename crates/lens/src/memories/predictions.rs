//! Where predictions come from, at a sample of places: active memories, residual, feed-forward layer and output.

use super::{
    Corpus, LayerValues, PASS, Partial, Settings,
    triggers::read_pass,
    votes::{columns_at_once, tally},
};
use crate::Error;
use rand::seq::index;
use saltus_compute::BLOCK;
use saltus_lm::TokenId;
use saltus_transformer::{Activations, Model, Site, Taps};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// A position of a sentence, behind which the next token is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the sentence in the corpus.
    pub sentence: u32,
    /// Position in it, from 0.
    pub position: u32,
}

/// Predictions of one layer, place by place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerPredictions {
    /// What the residual says.
    pub residual: Vec<TokenId>,
    /// What the feed-forward layer votes for.
    pub ffn: Vec<TokenId>,
    /// What the layer's output says.
    pub output: Vec<TokenId>,
    /// Share of memories that are active.
    pub active: Vec<f64>,
    /// No active memory votes first for what the feed-forward layer does.
    pub zero_agreement: Vec<bool>,
    /// The same with what the layer votes for at another place.
    pub zero_by_chance: Vec<bool>,
}

/// The sampled places: of all positions of text, without replacement; ascending.
pub(super) fn places(corpus: &Corpus, settings: &Settings) -> Vec<Place> {
    let (all, count) = (corpus.positions(), settings.sample.min(corpus.positions()));
    let drawn = index::sample(&mut settings.key.child("places").rng(), all, count);
    let mut numbers = drawn.into_vec();
    numbers.sort_unstable();
    let place = |number| {
        let (sentence, position) = corpus.place(number);
        Place { sentence, position }
    };
    numbers.into_iter().map(place).collect()
}

/// Reads on the predictions of some layers at `places`, where a part has them so far; the number of places in a batch
/// depends on the model alone.
pub(super) fn read(
    model: &Model,
    corpus: &Corpus,
    layers: &[usize],
    places: &[Place],
    partial: &mut Partial,
    told: &mut dyn FnMut(f64, &Partial),
) -> Result<(), Error> {
    partial.predictions.resize(layers.len(), LayerPredictions::default());
    for batch in places[partial.said.len()..].chunks(columns_at_once(model.config().vocabulary)) {
        let streams = capture(model, corpus, layers, batch)?;
        let columns = batch.len().next_multiple_of(BLOCK);
        let by_lens = |site: Site| first(&model.lens(streams.at(site), columns), columns, batch.len());
        for ((layer, values), found) in layers.iter().zip(&partial.values).zip(&mut partial.predictions) {
            let votes = model.votes(streams.at(Site::MlpOutput(*layer)), columns);
            let ffn = first(&votes, columns, batch.len());
            let hidden = streams.at(Site::MlpHidden(*layer));
            for place in 0..batch.len() {
                let coefficients: Vec<f32> = hidden.iter().skip(place).step_by(columns).copied().collect();
                let other = ffn[(place + batch.len() / 2) % batch.len()];
                let active = Active::of(&coefficients, model.config().architecture.mlp.gated);
                found.active.push(active.share);
                found.zero_agreement.push(!active.votes(values, ffn[place]));
                found.zero_by_chance.push(!active.votes(values, other));
            }
            found.ffn.extend(ffn);
            found.residual.extend(by_lens(Site::ResidualBetween(*layer)));
            found.output.extend(by_lens(Site::ResidualAfter(*layer)));
        }
        partial.said.extend(by_lens(Site::FinalNormInput));
        told(partial.said.len() as f64 / places.len() as f64, partial);
    }
    Ok(())
}

/// The first choices of the columns in use.
fn first(logits: &[f32], columns: usize, used: usize) -> Vec<TokenId> {
    let mut first = tally(logits, columns, &[]).first;
    first.truncate(used);
    first
}

/// The active memories of a layer at one place.
struct Active<'a> {
    coefficients: &'a [f32],
    /// Active is a coefficient above this; of a gated MLP, one whose absolute value is.
    threshold: f32,
    gated: bool,
    share: f64,
}

impl<'a> Active<'a> {
    fn of(coefficients: &'a [f32], gated: bool) -> Self {
        let square = coefficients.iter().map(|m| f64::from(*m).powi(2)).sum::<f64>() / coefficients.len() as f64;
        let threshold = if gated { square.sqrt() as f32 } else { 0.0 };
        let mut active = Active { coefficients, threshold, gated, share: 0.0 };
        let count = coefficients.iter().filter(|m| active.is(**m)).count();
        active.share = count as f64 / coefficients.len() as f64;
        active
    }

    fn is(&self, coefficient: f32) -> bool {
        let size = if self.gated { coefficient.abs() } else { coefficient };
        size > self.threshold
    }

    /// Whether any of them votes first for `token`, all by itself.
    fn votes(&self, values: &LayerValues, token: TokenId) -> bool {
        let says = |(unit, m): (usize, &f32)| if *m > 0.0 { values.first[unit] } else { values.last[unit] };
        self.coefficients.iter().enumerate().any(|(unit, m)| self.is(*m) && says((unit, m)) == token)
    }
}

/// What stood at the places of a batch, `[channels, columns]` at each site.
struct Streams<'a> {
    layers: &'a [usize],
    columns: usize,
    /// Columns of the pass at work, and of the batch.
    places: Vec<(usize, usize)>,
    kept: BTreeMap<Site, Vec<f32>>,
}

impl Streams<'_> {
    fn at(&self, site: Site) -> &[f32] {
        self.kept.get(&site).map_or(&[], Vec::as_slice)
    }
}

impl Taps for Streams<'_> {
    fn wants(&self, site: Site) -> bool {
        match site {
            Site::FinalNormInput => true,
            Site::MlpHidden(layer)
            | Site::ResidualBetween(layer)
            | Site::MlpOutput(layer)
            | Site::ResidualAfter(layer) => self.layers.binary_search(&layer).is_ok(),
            _ => false,
        }
    }

    fn at(&mut self, site: Site, activations: Activations<'_>) {
        let kept = self.kept.entry(site).or_insert_with(|| vec![0.0; activations.channels * self.columns]);
        let rows = activations.values.chunks_exact(activations.columns).zip(kept.chunks_exact_mut(self.columns));
        for (values, kept) in rows {
            for (from, to) in &self.places {
                kept[*to] = values[*from];
            }
        }
    }
}

fn capture<'a>(model: &Model, corpus: &Corpus, layers: &'a [usize], batch: &[Place]) -> Result<Streams<'a>, Error> {
    let columns = batch.len().next_multiple_of(BLOCK);
    let mut streams = Streams { layers, columns, places: Vec::new(), kept: BTreeMap::new() };
    for places in passes(corpus, batch) {
        let (mut sequences, mut columns): (Vec<&[TokenId]>, usize) = (Vec::new(), 0);
        streams.places.clear();
        for (number, place) in places.clone().zip(&batch[places.clone()]) {
            let sentence = corpus.sentence(place.sentence as usize);
            if number == places.start || batch[number - 1].sentence != place.sentence {
                columns += sentence.len();
                sequences.push(sentence);
            }
            streams.places.push((columns - sentence.len() + place.position as usize, number));
        }
        read_pass(model, &sequences, &mut streams)?;
    }
    Ok(streams)
}

/// The places of a batch in groups whose sentences together have at most [`PASS`] tokens, or are one.
fn passes(corpus: &Corpus, batch: &[Place]) -> Vec<Range<usize>> {
    let mut passes: Vec<Range<usize>> = Vec::new();
    let mut columns = 0;
    let mut first = 0;
    for sentence in batch.chunk_by(|a, b| a.sentence == b.sentence) {
        let length = corpus.sentence(sentence[0].sentence as usize).len();
        let places = first..first + sentence.len();
        first = places.end;
        match passes.last_mut() {
            Some(last) if columns + length <= PASS => (last.end, columns) = (places.end, columns + length),
            _ => {
                passes.push(places);
                columns = length;
            }
        }
    }
    passes
}
