//! Models whose every weight is set by hand, so that what is inside is known.
#![allow(dead_code, clippy::unwrap_used)]

use saltus_transformer::{Activation, Architecture, Config, Error, Format, Mlp, Model, Piece, Source, Tensor};
use std::collections::BTreeMap;

/// A model of zeros, gains of 1, and what has been planted.
pub(crate) struct Planted {
    config: Config,
    tensors: BTreeMap<String, Vec<f32>>,
}

/// The value of a tensor at `[row, column]`.
pub(crate) type Value<'a> = &'a dyn Fn(usize, usize) -> f32;

impl Planted {
    pub(crate) fn new(config: Config) -> Self {
        let zeros = |tensor: Tensor| {
            let gain = tensor.shape.len() == 1 && tensor.name.ends_with("norm.weight");
            (tensor.name, vec![if gain { 1.0 } else { 0.0 }; tensor.range.len()])
        };
        let tensors = config.tensors().into_iter().map(zeros).collect();
        Planted { config, tensors }
    }

    /// Sets all of a tensor, for example `model.layers.0.mlp.down_proj.weight`.
    pub(crate) fn plant(mut self, name: &str, value: Value<'_>) -> Self {
        let tensor = self.config.tensors().into_iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}"));
        let columns = tensor.shape.get(1).copied().unwrap_or(1);
        let values = (0..tensor.range.len()).map(|i| value(i / columns, i % columns)).collect();
        self.tensors.insert(name.into(), values);
        self
    }

    pub(crate) fn model(self) -> Model {
        Model::new(self.config.clone(), &self).unwrap()
    }
}

impl Source for Planted {
    fn pieces(&self, tensor: &Tensor) -> Result<Vec<Piece>, Error> {
        let bytes: Vec<u8> = self.tensors[&tensor.name].iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(vec![Piece { format: Format::F32, bytes: bytes.into() }])
    }
}

/// A small decoder with plain (not gated) ReLU MLPs and no positions' help beyond RoPE: `vocabulary` tokens, a stream as
/// wide as that.
pub(crate) fn plain(vocabulary: usize, layers: usize, units: usize) -> Config {
    let mut architecture = Architecture::llama(vocabulary / 2, 10_000.0, 1e-5);
    architecture.mlp = Mlp { activation: Activation::Relu, gated: false, bias: true };
    Config {
        vocabulary,
        context: 64,
        width: vocabulary,
        layers,
        heads: 2,
        kv_heads: 2,
        head_dim: vocabulary / 2,
        mlp_hidden: units,
        tied_embedding: false,
        architecture,
    }
}
