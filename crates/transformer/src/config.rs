//! The sizes of a transformer, and what follows from them: its tensors, where each lies, parameters, FLOPs.

use crate::architecture::{Architecture, NormKind, NormPlace, Positions, QkNorm, Residual};
use saltus_compute::Heads;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A transformer, described: its sizes and its [`Architecture`].
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
    /// The head is the embedding.
    pub tied_embedding: bool,
    /// Everything that is no size.
    pub architecture: Architecture,
}

/// One tensor, named and shaped as in a `LlamaForCausalLM` of `transformers`; what Llama has not is named in its manner.
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
        if let Some(problem) = self.architecture_problem() {
            return Some(problem);
        }
        let table = (self.vocabulary + self.context) as u128 * self.width as u128;
        let total = self.layers as u128 * self.layer_size_wide() + 2 * table;
        (total > 1 << 40).then(|| format!("{total} parameters are more than a trillion"))
    }

    fn architecture_problem(&self) -> Option<String> {
        let Architecture { norm, positions, attention, residual, .. } = &self.architecture;
        if let Positions::Rotary(rotary) = positions {
            if !(rotary.base.is_finite() && rotary.base > 0.0) {
                return Some(format!("a rotary base of {} is not positive", rotary.base));
            }
            let divisors = match &rotary.scaling {
                crate::architecture::Scaling::Divided { divisors } => Some(divisors.len()),
                _ => None,
            };
            if let Some(count) = divisors.filter(|count| *count != rotary.channels / 2) {
                return Some(format!("{count} divisors of frequencies, not {}", rotary.channels / 2));
            }
            if !rotary.channels.is_multiple_of(2) || rotary.channels > self.head_dim {
                let (turned, head_dim) = (rotary.channels, self.head_dim);
                return Some(format!("rotary positions turn pairs of channels, not {turned} of a head of {head_dim}"));
            }
        }
        if !(norm.eps.is_finite() && norm.eps >= 0.0) {
            return Some(format!("a norm epsilon of {} is negative", norm.eps));
        }
        if *residual == Residual::Parallel && norm.place != NormPlace::Before {
            return Some("attention and MLP side by side, with norms elsewhere than before them".into());
        }
        match &attention.window {
            Some(window) if window.size == 0 => Some("an attention window of 0 positions".into()),
            Some(window) if window.layers.len() != self.layers => {
                Some(format!("attention windows for {} layers, not {}", window.layers.len(), self.layers))
            }
            _ => None,
        }
    }

    /// Layer sizes in a type that does not overflow: matrices, and at most 12 vectors as long as the widest.
    fn layer_size_wide(&self) -> u128 {
        let [d, f, q, kv] =
            [self.width, self.mlp_hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim].map(|x| x as u128);
        12 * (d + f + q + kv) + 2 * d * q + 2 * d * kv + 3 * d * f
    }

    /// The window of a layer's attention, if it has one.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.architecture.attention.window.as_ref().filter(|window| window.layers[layer]).map(|window| window.size)
    }

    /// Parameters of a part of the tensors.
    fn count(&self, part: impl FnOnce(&mut List), wanted: impl Fn(&Tensor) -> bool) -> u64 {
        let mut list = List { tensors: Vec::new(), at: 0 };
        part(&mut list);
        list.tensors.iter().filter(|tensor| wanted(tensor)).map(|tensor| tensor.range.len() as u64).sum()
    }

    /// Parameters without embeddings (of tokens, positions, segments) and without an untied head; norms counted.
    pub fn params_non_embedding(&self) -> u64 {
        let inside = |tensor: &Tensor| !tensor.name.starts_with("model.embed_") && tensor.name != "lm_head.weight";
        self.layers as u64 * self.count(|list| self.layer_tensors("", list), |_| true)
            + self.count(|list| self.beginning(list), inside)
            + self.count(|list| self.end(list), inside)
    }

    /// All parameters; a tied head is not counted twice.
    pub fn params_total(&self) -> u64 {
        self.layers as u64 * self.count(|list| self.layer_tensors("", list), |_| true)
            + self.count(|list| self.beginning(list), |_| true)
            + self.count(|list| self.end(list), |_| true)
    }

    /// Counted FLOPs of forward and backward for one token of a full context: 6 for each weight of a matrix that it
    /// passes (the head, not the embedding), and the products of attention, 12 for each channel of the queries and each
    /// visible key, of which there are (context + 1) / 2 in the mean where attention is causal, else context.
    pub fn train_flops_per_token(&self) -> f64 {
        let inside = self.count(|list| self.layer_tensors("", list), |tensor| tensor.shape.len() == 2);
        let matrices = (self.layers as u64 * inside) as f64 + (self.vocabulary * self.width) as f64;
        let context = self.context as f64;
        let keys = if self.architecture.attention.causal { (context + 1.0) / 2.0 } else { context };
        6.0 * matrices + 12.0 * (self.layers * self.heads * self.head_dim) as f64 * keys
    }

    /// All tensors in the order in which they lie in [`crate::Weights::values`], without gaps.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut list = List { tensors: Vec::new(), at: 0 };
        self.beginning(&mut list);
        for layer in 0..self.layers {
            self.layer_tensors(&format!("model.layers.{layer}."), &mut list);
        }
        self.end(&mut list);
        list.tensors
    }

    fn beginning(&self, list: &mut List) {
        let Architecture { positions, embedding, .. } = &self.architecture;
        list.matrix("model.embed_tokens", self.vocabulary, self.width);
        if *positions == Positions::Learned {
            list.matrix("model.embed_positions", self.context, self.width);
        }
        if embedding.segments > 0 {
            list.matrix("model.embed_segments", embedding.segments, self.width);
        }
        if embedding.norm {
            list.norm("model.embed_norm", self.architecture.norm.kind, self.width);
        }
    }

    fn layer_tensors(&self, layer: &str, list: &mut List) {
        let (d, f) = (self.width, self.mlp_hidden);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let Architecture { norm, attention, mlp, .. } = &self.architecture;
        let name = |part: &str| format!("{layer}{part}");
        if norm.place.before() {
            list.norm(&name("input_layernorm"), norm.kind, d);
        }
        // Matrices that read the same input lie together.
        for (part, outputs) in [("q_proj", q), ("k_proj", kv), ("v_proj", kv)] {
            list.matrix(&name(&format!("self_attn.{part}")), outputs, d);
        }
        if attention.qkv_bias {
            for (part, outputs) in [("q_proj", q), ("k_proj", kv), ("v_proj", kv)] {
                list.vector(&name(&format!("self_attn.{part}.bias")), outputs);
            }
        }
        if attention.qk_norm != QkNorm::None {
            let whole = attention.qk_norm == QkNorm::Whole;
            list.vector(&name("self_attn.q_norm.weight"), if whole { q } else { self.head_dim });
            list.vector(&name("self_attn.k_norm.weight"), if whole { kv } else { self.head_dim });
        }
        list.matrix(&name("self_attn.o_proj"), d, q);
        list.bias(&name("self_attn.o_proj"), attention.out_bias, d);
        if norm.place.after() {
            list.norm(&name("after_attention_norm"), norm.kind, d);
        }
        if norm.place.before() {
            list.norm(&name("post_attention_layernorm"), norm.kind, d);
        }
        if mlp.gated {
            list.matrix(&name("mlp.gate_proj"), f, d);
        }
        list.matrix(&name("mlp.up_proj"), f, d);
        list.bias(&name("mlp.gate_proj"), mlp.gated && mlp.bias, f);
        list.bias(&name("mlp.up_proj"), mlp.bias, f);
        list.matrix(&name("mlp.down_proj"), d, f);
        list.bias(&name("mlp.down_proj"), mlp.bias, d);
        if norm.place.after() {
            list.norm(&name("after_mlp_norm"), norm.kind, d);
        }
    }

    fn end(&self, list: &mut List) {
        let Architecture { norm, head, .. } = &self.architecture;
        if norm.place != NormPlace::Stream {
            list.norm("model.norm", norm.kind, self.width);
        }
        if head.transform {
            list.matrix("lm_head.transform", self.width, self.width);
            list.bias("lm_head.transform", true, self.width);
            list.norm("lm_head.norm", norm.kind, self.width);
        }
        if !self.tied_embedding {
            list.matrix("lm_head", self.vocabulary, self.width);
        }
        list.bias("lm_head", head.bias, self.vocabulary);
    }

    pub(crate) fn attention_heads(&self) -> Heads {
        Heads { heads: self.heads, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }

    /// Parameters of one layer of [`Architecture::llama`], which is what gets trained.
    fn trained_layer_size(&self) -> usize {
        let (d, channels) = (self.width, (self.heads + self.kv_heads) * self.head_dim);
        2 * d + 2 * d * channels + 3 * d * self.mlp_hidden
    }

    /// Where the parts of layer `layer` of [`Architecture::llama`] lie; matrices that read the same input lie together.
    pub(crate) fn layer(&self, layer: usize) -> LayerRanges {
        let (d, f) = (self.width, self.mlp_hidden);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut at = self.vocabulary * d + layer * self.trained_layer_size();
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
        let norm = table + self.layers * self.trained_layer_size();
        let after = norm + self.width;
        Ends {
            embedding: 0..table,
            norm: norm..after,
            head: if self.tied_embedding { 0..table } else { after..after + table },
        }
    }
}

/// Tensors laid one behind another.
struct List {
    tensors: Vec<Tensor>,
    at: usize,
}

impl List {
    fn push(&mut self, name: String, shape: Vec<usize>) {
        let start = self.at;
        self.at += shape.iter().product::<usize>();
        self.tensors.push(Tensor { name, shape, range: start..self.at });
    }
    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.push(format!("{name}.weight"), vec![outputs, inputs]);
    }
    fn vector(&mut self, name: &str, size: usize) {
        self.push(name.into(), vec![size]);
    }
    fn bias(&mut self, name: &str, there: bool, size: usize) {
        if there {
            self.vector(&format!("{name}.bias"), size);
        }
    }
    fn norm(&mut self, name: &str, kind: NormKind, size: usize) {
        if kind != NormKind::LayerPlain {
            self.vector(&format!("{name}.weight"), size);
        }
        self.bias(name, kind == NormKind::Layer, size);
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
    use crate::architecture::Rotary;

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
            tied_embedding,
            architecture: Architecture::llama(4, 1000.0, 1e-5),
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
            tied_embedding: false,
            architecture: Architecture::llama(16, 1000.0, 1e-5),
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
        fn rotary(c: &mut Config, change: fn(&mut Rotary)) {
            match &mut c.architecture.positions {
                Positions::Rotary(rotary) => change(rotary),
                _ => unreachable!("small is a Llama"),
            }
        }
        check(|c| c.head_dim = 3, "not 4 of a head of 3");
        check(|c| rotary(c, |r| r.channels = 3), "pairs");
        check(|c| rotary(c, |r| r.base = f64::NAN), "NaN");
        check(|c| c.architecture.norm.eps = -1.0, "-1");
        check(|c| (c.width, c.mlp_hidden, c.layers) = (1 << 20, 1 << 20, 1 << 10), "trillion");
    }
}
