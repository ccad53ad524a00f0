//! What a look at memories has so far, to go on from later.

use super::{Corpus, LayerPredictions, LayerValues, Settings, Triggers};
use saltus_lm::TokenId;
use saltus_transformer::Model;
use serde::{Deserialize, Serialize};

/// What [`look`](super::look) has so far; empty at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Of the first layers.
    pub(super) values: Vec<LayerValues>,
    /// Coefficients behind the first shortened triggers.
    pub(super) coefficients: Vec<f32>,
    /// Of every layer at the first places; none before the first batch.
    pub(super) predictions: Vec<LayerPredictions>,
    /// What the model says at these places.
    pub(super) said: Vec<TokenId>,
}

impl Partial {
    /// Whether this can be of a look at `model` with these triggers: what was saved of another is no help.
    pub fn fits(&self, model: &Model, corpus: &Corpus, triggers: &Triggers, settings: &Settings) -> bool {
        let Partial { values, coefficients, predictions, said } = self;
        let (units, layers) = (model.config().mlp_hidden, triggers.layers().len());
        let known = |token: &TokenId| (*token as usize) < model.config().vocabulary;
        let of_layer = |values: &LayerValues| {
            let LayerValues { first, last, next, sentence, kept } = values;
            let counts = [first.len(), last.len(), next.len(), sentence.len()];
            counts == [units; 4]
                && first.iter().chain(last).all(known)
                && next.iter().flatten().all(|(token, _)| known(token))
                && kept.iter().all(|memory| memory.fits(units, corpus, &known))
        };
        let at_places = |found: &LayerPredictions| {
            let LayerPredictions { residual, ffn, output, active, zero_agreement, zero_by_chance } = found;
            let tokens = [residual, ffn, output];
            let counts = [active.len(), zero_agreement.len(), zero_by_chance.len()];
            counts == [said.len(); 3] && tokens.iter().all(|list| list.len() == said.len() && list.iter().all(known))
        };
        let asked = 3 * settings.keys.min(units) * layers;
        values.len() <= layers
            && values.iter().all(of_layer)
            && coefficients.len() <= asked
            && said.len() <= settings.sample.min(corpus.positions())
            && said.iter().all(known)
            && (said.is_empty() || values.len() == layers)
            && (predictions.len() == layers || predictions.is_empty() && said.is_empty())
            && predictions.iter().all(at_places)
    }
}
