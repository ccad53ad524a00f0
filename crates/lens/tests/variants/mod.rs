//! The architectures of the families on one small shape, with random weights.
#![allow(dead_code, clippy::unwrap_used)]

use rand::RngExt;
use saltus_random::Key;
use saltus_transformer::{
    Activation, Architecture, Config, EmbeddingKind, Error, Format, Head, Mlp, Model, Norm, NormKind, NormPlace, Piece,
    Positions, QkNorm, Residual, Source, Tensor, Window,
};

pub(crate) const VOCABULARY: usize = 23;

/// Random tensors, each hanging on its name.
pub(crate) struct Chance(pub(crate) u64);

impl Source for Chance {
    fn pieces(&self, tensor: &Tensor) -> Result<Vec<Piece>, Error> {
        let mut rng = Key::new(self.0).child(&tensor.name).rng();
        let vector = tensor.shape.len() == 1;
        let scale = if vector { 0.3 } else { 1.5 / (tensor.shape[1] as f32).sqrt() };
        let middle = f32::from(u8::from(vector && tensor.name.ends_with("weight")));
        let value = |_| (middle + scale * (rng.random::<f32>() * 2.0 - 1.0)).to_le_bytes();
        let bytes: Vec<u8> = tensor.range.clone().flat_map(value).collect();
        Ok(vec![Piece { format: Format::F32, bytes: bytes.into() }])
    }
}

pub(crate) fn llama() -> Config {
    Config {
        vocabulary: VOCABULARY,
        context: 32,
        width: 12,
        layers: 3,
        heads: 4,
        kv_heads: 2,
        head_dim: 4,
        mlp_hidden: 20,
        tied_embedding: false,
        architecture: Architecture::llama(4, 1000.0, 1e-5),
    }
}

fn classic(a: &mut Architecture) {
    a.norm.kind = NormKind::Layer;
    a.mlp = Mlp { activation: Activation::Gelu, gated: false, bias: true };
    (a.attention.qkv_bias, a.attention.out_bias) = (true, true);
}

fn gemma3(a: &mut Architecture) {
    a.norm = Norm { kind: NormKind::RmsPlusOne, eps: 1e-6, place: NormPlace::Both };
    a.attention.qk_norm = QkNorm::Head;
    a.attention.window = Some(Window { size: 5, layers: vec![true, true, false] });
    a.attention.soft_cap = Some(4.0);
    a.mlp.activation = Activation::GeluTanh;
    a.embedding.scale = Some(2.4);
    a.head.soft_cap = Some(3.0);
}

fn bert(a: &mut Architecture) {
    classic(a);
    a.positions = Positions::Learned;
    a.norm.place = NormPlace::Stream;
    a.attention.causal = false;
    a.embedding = EmbeddingKind { scale: None, norm: true, segments: 2 };
    a.head = Head { bias: true, soft_cap: None, transform: true };
}

/// Every family's name with its architecture.
pub(crate) fn variants() -> Vec<(&'static str, Config)> {
    type Change = fn(&mut Architecture);
    let changes: [(&str, Change); 9] = [
        ("llama", |_| {}),
        ("gpt2", |a| (classic(a), a.positions = Positions::Learned).1),
        ("neox", |a| (classic(a), a.residual = Residual::Parallel).1),
        ("bloom", |a| (classic(a), a.positions = Positions::Alibi, a.embedding.norm = true).2),
        ("olmo", |a| (a.norm.kind = NormKind::LayerPlain, a.attention.clip = Some(0.8)).1),
        ("olmo2", |a| (a.norm.place = NormPlace::After, a.attention.qk_norm = QkNorm::Whole).1),
        ("phi", |a| (classic(a), a.residual = Residual::Parallel, a.head.bias = true).2),
        ("gemma3", gemma3),
        ("bert", bert),
    ];
    let of = |(name, change): (&'static str, Change)| {
        let mut config = llama();
        change(&mut config.architecture);
        (name, config)
    };
    let tied = ("tied", Config { tied_embedding: true, ..llama() });
    changes.into_iter().map(of).chain(std::iter::once(tied)).collect()
}

pub(crate) fn model(config: Config, seed: u64) -> Model {
    Model::new(config, &Chance(seed)).unwrap()
}
