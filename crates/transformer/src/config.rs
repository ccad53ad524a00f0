//! The sizes of a decoder, and what follows from them: where each tensor lies, parameters, FLOPs.

use saltus_compute::Heads;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The sizes of a decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Longest sequence, in tokens.
    pub context: usize,
    /// Channels of the residual stream.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Channels of one head; even.
    pub head_dim: usize,
    /// Hidden units of each MLP.
    pub mlp_hidden: usize,
    /// Base of the rotary angles.
    pub rope_base: f64,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f64,
    /// The head is the embedding.
    pub tied_embedding: bool,
}

/// One tensor of a checkpoint, named and shaped as in a `LlamaForCausalLM` of `transformers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// For example `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// `[outputs, inputs]` of a matrix, `[channels]` of a norm's gain.
    pub shape: Vec<usize>,
    /// Where it lies in [`crate::Weights::values`].
    pub range: Range<usize>,
}

/// No size may exceed this: what is larger is a mistake, and products of sizes stay far from overflow.
const LARGEST: usize = 1 << 24;

impl Config {
    /// What makes these sizes impossible, if anything does.
    pub fn problem(&self) -> Option<String> {
        let sizes = [
            ("vocabulary", self.vocabulary),
            ("context", self.context),
            ("width", self.width),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("mlp_hidden", self.mlp_hidden),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| !(1..=LARGEST).contains(size)) {
            return Some(format!("{name} is {size}, not between 1 and {LARGEST}"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Some(format!("{} heads cannot share {} key heads evenly", self.heads, self.kv_heads));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Some(format!("a head dimension of {} is odd, and rotary positions turn pairs", self.head_dim));
        }
        if !(self.rope_base.is_finite() && self.rope_base > 0.0) {
            return Some(format!("a rotary base of {} is not positive", self.rope_base));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return Some(format!("a norm epsilon of {} is negative", self.norm_eps));
        }
        let total = self.layers as u128 * self.layer_size_wide() + 2 * self.vocabulary as u128 * self.width as u128;
        (total > 1 << 40).then(|| format!("{total} parameters are more than a trillion"))
    }

    fn layer_size_wide(&self) -> u128 {
        let [d, f, q, kv] =
            [self.width, self.mlp_hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim].map(|x| x as u128);
        2 * d + 2 * d * q + 2 * d * kv + 3 * d * f
    }

    /// Parameters without embedding and head (norms counted).
    pub fn params_non_embedding(&self) -> u64 {
        self.layers as u64 * self.layer_size_wide() as u64 + self.width as u64
    }

    /// All parameters; a tied head is not counted twice.
    pub fn params_total(&self) -> u64 {
        let tables = if self.tied_embedding { 1 } else { 2 };
        self.params_non_embedding() + tables * (self.vocabulary * self.width) as u64
    }

    /// Counted FLOPs of forward and backward for one token of a full context: 6 for each weight of a matrix that it
    /// passes (the head, not the embedding), and the products of causal attention, 12 for each channel of the queries
    /// and each visible key, of which there are (context + 1) / 2 in the mean.
    pub fn train_flops_per_token(&self) -> f64 {
        let gains = self.layers * 2 * self.width + self.width;
        let matrices = self.params_non_embedding() as f64 - gains as f64 + (self.vocabulary * self.width) as f64;
        let keys = (self.context as f64 + 1.0) / 2.0;
        6.0 * matrices + 12.0 * (self.layers * self.heads * self.head_dim) as f64 * keys
    }

    /// All tensors in the order in which they lie in [`crate::Weights::values`], without gaps.
    pub fn tensors(&self) -> Vec<Tensor> {
        let (d, f) = (self.width, self.mlp_hidden);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut list = vec![("model.embed_tokens".into(), vec![self.vocabulary, d])];
        for layer in 0..self.layers {
            let in_layer: [(&str, Vec<usize>); 9] = [
                ("input_layernorm", vec![d]),
                ("self_attn.q_proj", vec![q, d]),
                ("self_attn.k_proj", vec![kv, d]),
                ("self_attn.v_proj", vec![kv, d]),
                ("self_attn.o_proj", vec![d, q]),
                ("post_attention_layernorm", vec![d]),
                ("mlp.gate_proj", vec![f, d]),
                ("mlp.up_proj", vec![f, d]),
                ("mlp.down_proj", vec![d, f]),
            ];
            list.extend(in_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}"), shape)));
        }
        list.push(("model.norm".into(), vec![d]));
        if !self.tied_embedding {
            list.push(("lm_head".into(), vec![self.vocabulary, d]));
        }
        let mut at = 0;
        list.into_iter()
            .map(|(name, shape)| {
                let start = at;
                at += shape.iter().product::<usize>();
                Tensor { name: format!("{name}.weight"), shape, range: start..at }
            })
            .collect()
    }

    pub(crate) fn attention_heads(&self) -> Heads {
        Heads { heads: self.heads, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }

    /// Where the parts of layer `layer` lie; matrices that read the same input lie together.
    pub(crate) fn layer(&self, layer: usize) -> LayerRanges {
        let (d, f) = (self.width, self.mlp_hidden);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut at = self.vocabulary * d + layer * self.layer_size_wide() as usize;
        let mut next = |size: usize| {
            at += size;
            at - size..at
        };
        LayerRanges {
            attention_norm: next(d),
            q: next(q * d),
            kv: next(2 * kv * d),
            o: next(d * q),
            mlp_norm: next(d),
            gate_up: next(2 * f * d),
            down: next(d * f),
        }
    }

    /// Where embedding, final norm and head lie.
    pub(crate) fn ends(&self) -> Ends {
        let table = self.vocabulary * self.width;
        let norm = table + self.layers * self.layer_size_wide() as usize;
        let after = norm + self.width;
        Ends {
            embedding: 0..table,
            norm: norm..after,
            head: if self.tied_embedding { 0..table } else { after..after + table },
        }
    }
}

/// Ranges of one layer in the flat vector.
pub(crate) struct LayerRanges {
    pub(crate) attention_norm: Range<usize>,
    pub(crate) q: Range<usize>,
    pub(crate) kv: Range<usize>,
    pub(crate) o: Range<usize>,
    pub(crate) mlp_norm: Range<usize>,
    pub(crate) gate_up: Range<usize>,
    pub(crate) down: Range<usize>,
}

/// Ranges outside the layers.
pub(crate) struct Ends {
    pub(crate) embedding: Range<usize>,
    pub(crate) norm: Range<usize>,
    pub(crate) head: Range<usize>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small decoder with grouped queries.
    pub(crate) fn small(tied_embedding: bool) -> Config {
        Config {
            vocabulary: 11,
            context: 24,
            width: 6,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 4,
            mlp_hidden: 10,
            rope_base: 1000.0,
            norm_eps: 1e-5,
            tied_embedding,
        }
    }

    #[test]
    fn tensors_fill_the_vector_and_agree_with_the_ranges() {
        for config in [small(false), small(true)] {
            let tensors = config.tensors();
            assert!(tensors.windows(2).all(|w| w[0].range.end == w[1].range.start));
            assert_eq!(tensors.last().unwrap().range.end as u64, config.params_total());
            let range = |name: &str| tensors.iter().find(|t| t.name == name).unwrap().range.clone();
            let layer = config.layer(1);
            assert_eq!(layer.attention_norm, range("model.layers.1.input_layernorm.weight"));
            assert_eq!(layer.kv.start, range("model.layers.1.self_attn.k_proj.weight").start);
            assert_eq!(layer.kv.end, range("model.layers.1.self_attn.v_proj.weight").end);
            assert_eq!(layer.gate_up.start, range("model.layers.1.mlp.gate_proj.weight").start);
            assert_eq!(layer.down, range("model.layers.1.mlp.down_proj.weight"));
            assert_eq!(config.ends().norm, range("model.norm.weight"));
            let head = if config.tied_embedding { "model.embed_tokens.weight" } else { "lm_head.weight" };
            assert_eq!(config.ends().head, range(head));
        }
    }

    #[test]
    fn pocket_sizes_have_the_parameters_of_the_recipe() {
        let config = |width: usize, layers| Config {
            vocabulary: 64,
            context: 64,
            width,
            layers,
            heads: width / 16,
            kv_heads: width / 16,
            head_dim: 16,
            mlp_hidden: (8.0 * width as f64 / 24.0).round() as usize * 8,
            rope_base: 1000.0,
            norm_eps: 1e-5,
            tied_embedding: false,
        };
        let thousands = |c: Config| c.params_non_embedding() / 1000;
        assert_eq!(
            [(32, 2), (48, 2), (64, 2), (64, 3), (96, 3)].map(|(d, l)| thousands(config(d, l))),
            [25, 55, 97, 146, 332]
        );
    }

    #[test]
    fn impossible_sizes_are_named() {
        let check = |change: fn(&mut Config), expect: &str| {
            let mut config = small(false);
            change(&mut config);
            let problem = config.problem().unwrap_or_default();
            assert!(problem.contains(expect), "{problem}");
        };
        assert_eq!(small(false).problem(), None);
        check(|c| c.width = 0, "width is 0");
        check(|c| c.vocabulary = usize::MAX, "vocabulary is");
        check(|c| c.kv_heads = 3, "4 heads cannot share 3");
        check(|c| c.head_dim = 3, "odd");
        check(|c| c.rope_base = f64::NAN, "NaN");
        check(|c| c.norm_eps = -1.0, "-1");
        check(|c| (c.width, c.mlp_hidden, c.layers) = (1 << 20, 1 << 20, 1 << 10), "trillion");
    }
}
