//! Feed-forward layers as key-value memories (arXiv 2012.14913): what triggers each key, what each value votes for, and
//! where predictions come from.
//!
//! ```text
//! texts ── Corpus ──▶ sentences ── Triggers::read ──▶ top prefixes of every key ── look ──▶ Findings ── observe ──▶ Observations
//! ```
//!
//! A hidden unit of an MLP is a memory: row i of the first matrix is its key, column i of the second its value v_i, and
//! the coefficient m_i says how strongly a prefix calls it. What the layer adds is the sum of m_i v_i, and a bias.
//!
//! - **Coefficient**: what multiplies the value. `m = f(K x)` of plain MLPs, `m = f(G x) * (U x)` of gated ones
//!   (arXiv 2002.05202), whose key is the pair of rows; x is the MLP's normed input. It may be negative unless f is ReLU:
//!   a memory then speaks for what its value votes against most.
//! - **Trigger**: a prefix of a sentence with a great coefficient; of each sentence the best one (the earliest on ties),
//!   of all sentences the top k (the earlier sentence on ties). The whole sentence is a prefix too; no token follows it.
//! - **Vote**: the logits of a value, the final norm's gain folded in, biases left out.
//! - **Agreement**: the value's first vote is the token that follows the key's first trigger; of keys that have one: a
//!   sentence may end there, or no coefficient be above 0. By chance: what it would be if the layer's triggers were dealt
//!   out to its values anew.
//! - **Active**: m > 0 of plain MLPs; of gated ones |m| above the root mean square of the layer's coefficients there.
//! - **Residual** r, **feed-forward** y, **output** o = r + y of a layer, read as predictions: r and o through the lens,
//!   y by its votes. r is everything that stands in the stream behind the layer but what the MLP wrote. Where attention and
//!   MLP stand in parallel (arXiv 2204.06745), r has attention's output too, although the MLP did not read it.
//! - **Zero agreement**: no active memory's vote (the last one of a negative m) is y's first vote. By chance: with the y of
//!   another place.
//! - **Cases** of a layer's prediction top(o): *residual* (it is top(r), not top(y)), *ffn* (top(y), not top(r)),
//!   *agreement* (both), *composition* (neither).
//! - **Refined**: top(r) is already what the model says in the end. By chance: what it says at another place.

mod corpus;
mod observe;
mod partial;
mod predictions;
mod removal;
mod triggers;
mod values;
mod votes;

pub use corpus::{Corpus, sentences};
pub use observe::observe;
pub use partial::Partial;
pub use predictions::{LayerPredictions, Place};
pub use removal::Removal;
pub use triggers::{PASS, Trigger, Triggers};
pub use values::{LayerValues, Memory};

use crate::Error;
use saltus_random::Key;
use saltus_transformer::{Activation, Config, Model, NormPlace, Residual};

/// How much is looked at, beside the triggers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Places whose predictions are taken apart (fewer, if there are fewer).
    pub sample: usize,
    /// Keys of each layer whose triggers lose a token (fewer, if there are fewer).
    pub keys: usize,
    /// Of each layer so many memories are kept whole: those whose triggers' mean coefficient times the length of their
    /// value is greatest.
    pub kept: usize,
    /// What is drawn hangs on this.
    pub key: Key,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Of each layer that was looked at.
    pub layers: Vec<LayerFindings>,
    /// The places whose predictions were taken apart.
    pub places: Vec<Place>,
    /// What the model says there.
    pub said: Vec<saltus_lm::TokenId>,
    /// Tokens that it knows.
    pub vocabulary: usize,
}

/// What was found in one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerFindings {
    /// From 1.
    pub layer: u32,
    /// Values and what they vote for.
    pub values: LayerValues,
    /// What became of coefficients when a token was taken away.
    pub removals: Vec<Removal>,
    /// Predictions, in the order of the places.
    pub predictions: LayerPredictions,
}

/// Reads everything but the triggers, which have been read from all of the corpus: the values' votes, the coefficients
/// of triggers that lose a token, and predictions at a sample of places. It goes on from `partial`, which is empty at the
/// beginning; `told` hears the share that is done, what is at work, and what there is so far: every few seconds.
///
/// # Errors
/// [`Error::FewSentences`]; [`Error::NotFinite`] where coefficients are no numbers.
pub fn look(
    model: &Model,
    corpus: &Corpus,
    triggers: &Triggers,
    settings: &Settings,
    mut partial: Partial,
    told: &mut dyn FnMut(f64, &'static str, &Partial),
) -> Result<Findings, Error> {
    triggers.complete(corpus)?;
    let layers = triggers.layers();
    for (slot, layer) in layers.iter().enumerate().skip(partial.values.len()) {
        partial.values.push(values::read(model, corpus, triggers.layer(slot), *layer, settings.kept));
        told((slot + 1) as f64 / layers.len() as f64, "values", &partial);
    }
    let mut say = |share: f64, partial: &Partial| told(share, "removals", partial);
    let removals = removal::read(model, corpus, triggers, settings, &mut partial, &mut say)?;
    let places = predictions::places(corpus, settings);
    let mut say = |share: f64, partial: &Partial| told(share, "predictions", partial);
    predictions::read(model, corpus, layers, &places, &mut partial, &mut say)?;
    let Partial { values, predictions, said, .. } = partial;
    let parts = layers.iter().zip(values).zip(removals).zip(predictions);
    let layers = parts
        .map(|(((layer, values), removals), predictions)| LayerFindings {
            layer: *layer as u32 + 1,
            values,
            removals,
            predictions,
        })
        .collect();
    Ok(Findings { layers, places, said, vocabulary: model.config().vocabulary })
}

/// What a coefficient is in this architecture, in words.
pub fn definition(config: &Config) -> String {
    let mlp = config.architecture.mlp;
    let activation = match mlp.activation {
        Activation::Silu => "silu",
        Activation::Gelu | Activation::GeluTanh => "gelu",
        Activation::Relu => "relu",
    };
    let coefficient = match mlp.gated {
        true => format!("m = {activation}(G x) * (U x), x being what the MLP reads"),
        false => format!("m = {activation}(K x), x being what the MLP reads"),
    };
    let active = match mlp.gated {
        true => "|m| above the root mean square of the layer's coefficients",
        false => "m > 0",
    };
    let residual = match config.architecture.residual {
        Residual::Serial => "the stream between attention and MLP",
        Residual::Parallel => "the layer's input and what attention adds, in parallel to the MLP",
    };
    let norm = match config.architecture.norm.place {
        NormPlace::After | NormPlace::Both => "; the norm behind the MLP scales all of a layer's values by one factor",
        _ => "",
    };
    format!("{coefficient}; active: {active}; residual: {residual}{norm}")
}
