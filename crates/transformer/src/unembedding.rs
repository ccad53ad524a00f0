//! What turns the stream into logits, as plain numbers: to train what stands before it, or copies of it.

use crate::{
    Model,
    architecture::NormKind,
    infer::compute_activation,
    model::{Affine, NormWeights},
};

/// Everything behind the residual stream, in f32: final norm, transform, head.
#[derive(Clone, Debug, PartialEq)]
pub struct Unembedding {
    /// Channels of the stream.
    pub width: usize,
    /// The final norm, where there is one.
    pub norm: Option<PlainNorm>,
    /// What stands before the head in BERT's masked-language head.
    pub transform: Option<Transform>,
    /// `[vocabulary, width]`.
    pub head: Vec<f32>,
    /// `[vocabulary]`, or empty.
    pub bias: Vec<f32>,
    /// Logits are held within this.
    pub soft_cap: Option<f32>,
}

/// A norm with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainNorm {
    /// LayerNorm, which takes the mean out; else RMSNorm.
    pub centred: bool,
    /// Added to the mean square or the variance.
    pub eps: f32,
    /// `[width]`; empty: 1.
    pub gain: Vec<f32>,
    /// `[width]`; empty: 0.
    pub bias: Vec<f32>,
}

/// `norm(activation(W x + b))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    /// `[width, width]`.
    pub matrix: Vec<f32>,
    /// `[width]`.
    pub bias: Vec<f32>,
    /// The nonlinearity.
    pub activation: saltus_compute::Activation,
    /// The norm behind it.
    pub norm: PlainNorm,
}

impl Model {
    /// A copy of what turns the stream into logits. It takes 4 bytes for each number of the head's matrix.
    pub fn unembedding(&self) -> Unembedding {
        Unembedding {
            width: self.config.width,
            norm: self.norm.as_ref().map(PlainNorm::of),
            transform: self.transform.as_ref().map(|(affine, norm)| Transform {
                matrix: values(affine),
                bias: affine.bias.clone(),
                activation: compute_activation(self.config.architecture.mlp.activation),
                norm: PlainNorm::of(norm),
            }),
            head: values(&self.head),
            bias: self.head.bias.clone(),
            soft_cap: self.config.architecture.head.soft_cap.map(|cap| cap as f32),
        }
    }
}

impl PlainNorm {
    fn of(norm: &NormWeights) -> Self {
        let centred = matches!(norm.kind, NormKind::Layer | NormKind::LayerPlain);
        PlainNorm { centred, eps: norm.eps, gain: norm.gain.clone(), bias: norm.bias.clone() }
    }
}

fn values(affine: &Affine) -> Vec<f32> {
    let inputs = affine.matrix.inputs();
    let mut values = vec![0.0; affine.matrix.rows() * inputs];
    for (row, to) in values.chunks_exact_mut(inputs).enumerate() {
        affine.matrix.row(row, to);
    }
    values
}
