//! Lenses: from the residual stream behind any layer to logits.
//!
//! - The **logit lens** (nostalgebraist 2020) reads every layer as if it were the last one.
//! - A **tuned lens** (arXiv 2303.08112) puts an affine map for each layer in front, h + A h + b, that starts as the
//!   identity and is trained to say what the last layer says (KL divergence).
//! - A **decoding head** (BERTnesia, arXiv 2106.02902) is a head of its own for each layer, Linear(d, d), GELU, LayerNorm,
//!   Linear(d, vocabulary), trained to say what the text says: the masked tokens of a masked model, the next ones of a
//!   causal one. Where the model norms its stream before its head, that norm, standing still, comes first.
//!
//! The model is never changed.

pub(crate) mod decoder;
pub(crate) mod streams;
mod text;
pub(crate) mod train;

pub use text::{Frame, Text};
pub use train::{Start, Training};

use decoder::{forward, map};
use saltus_transformer::{Model, Unembedding};

/// How layers are read.
#[derive(Clone, Copy)]
pub enum Lens<'a> {
    /// As if each were the last.
    Logit,
    /// Through an affine map trained on a text.
    Tuned(&'a Text, Training),
    /// By a head of its own, trained on a text.
    Head(&'a Text, Training, Start),
}

impl Lens<'_> {
    /// `logit-lens`, `tuned-lens`, `masked-head`, `next-token-head`.
    pub fn method(&self) -> &'static str {
        match self {
            Lens::Logit => "logit-lens",
            Lens::Tuned(..) => "tuned-lens",
            Lens::Head(text, ..) if text.masks() => "masked-head",
            Lens::Head(..) => "next-token-head",
        }
    }
}

/// What reads one layer.
pub(crate) enum Reader {
    Logit,
    Tuned(Translator),
    Head(Box<Unembedding>),
}

/// The map h + A h + b of a tuned lens.
#[derive(Clone)]
pub(crate) struct Translator {
    /// A: `[width, width]`.
    pub(crate) matrix: Vec<f32>,
    /// b: `[width]`.
    pub(crate) bias: Vec<f32>,
}

impl Translator {
    /// Changes nothing, to the bit.
    pub(crate) fn identity(width: usize) -> Self {
        Translator { matrix: vec![0.0; width * width], bias: vec![0.0; width] }
    }

    /// Of a stream `[width, columns]`.
    pub(crate) fn translate(&self, stream: &[f32], columns: usize) -> Vec<f32> {
        let mut moved = map(&self.matrix, &self.bias, (self.bias.len(), columns), stream);
        moved.iter_mut().zip(stream).for_each(|(moved, x)| *moved += x);
        moved
    }
}

impl Reader {
    /// Logits `[vocabulary, columns]` of a stream `[width, columns]`; `columns` is a multiple of the block.
    pub(crate) fn logits(&self, model: &Model, stream: Vec<f32>, columns: usize) -> Vec<f32> {
        match self {
            Reader::Logit => model.lens(&stream, columns),
            Reader::Tuned(translator) => model.lens(&translator.translate(&stream, columns), columns),
            Reader::Head(head) => forward(head, stream, columns).0,
        }
    }
}
