//! For each family the names of its tensors: tables from ours to theirs.

use crate::{Config, config::Tensor};
use saltus_checkpoint::Checkpoint;
use std::ops::Range;

/// How queries, keys and values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fused {
    /// In tensors of their own.
    No,
    /// All queries, then all keys, then all values.
    Stacked,
    /// For each head its query, key and value.
    ByHead,
}

/// The names of one family's tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Put before every name; the first that is there counts.
    pub(super) roots: &'static [&'static str],
    /// What stands before the layer's number.
    pub(super) layer: &'static str,
    /// Outside the layers: ours and theirs; what is not in the table has our name.
    pub(super) outside: &'static [(&'static str, &'static str)],
    /// Inside: likewise.
    pub(super) inside: &'static [(&'static str, &'static str)],
    /// How queries, keys and values lie; their tensor is `qkv` in the table.
    pub(super) fused: Fused,
    /// Matrices inside the layers are stored `[inputs, outputs]`.
    pub(super) turned: bool,
    /// Rows of the table of positions that come before position 0.
    pub(super) skipped_positions: usize,
}

/// Rows of a tensor.
pub(super) struct Place {
    pub(super) name: String,
    /// These rows, or all.
    pub(super) rows: Option<Vec<Range<usize>>>,
    /// All rows of the tensor.
    pub(super) of: usize,
    pub(super) turned: bool,
}

impl Names {
    /// Where `tensor` lies.
    pub(super) fn place(&self, config: &Config, tensor: &Tensor) -> Place {
        let (base, kind) = tensor.name.rsplit_once('.').unwrap_or((&tensor.name, ""));
        let size = tensor.shape[0];
        let whole = |name: String| Place { name, rows: None, of: size, turned: false };
        let find = |table: &[(&str, &'static str)], ours: &str| {
            table.iter().find(|(name, _)| *name == ours).map(|(_, theirs)| *theirs)
        };
        let Some((layer, part)) = base.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) else {
            // The bias of a head may have a name of its own.
            let exact = find(self.outside, &tensor.name).map(str::to_owned);
            let theirs = || format!("{}.{kind}", find(self.outside, base).unwrap_or(base));
            let mut place = whole(exact.unwrap_or_else(theirs));
            if base == "model.embed_positions" && self.skipped_positions > 0 {
                place.of += self.skipped_positions;
                place.rows = Some(std::iter::once(self.skipped_positions..place.of).collect());
            }
            return place;
        };
        let name = |ours: &str| format!("{}{layer}.{}.{kind}", self.layer, find(self.inside, ours).unwrap_or(ours));
        let turned = self.turned && tensor.shape.len() == 2;
        let fused = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].iter().position(|name| *name == part);
        let Some(which) = fused.filter(|_| self.fused != Fused::No) else {
            return Place { turned, ..whole(name(part)) };
        };
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let rows = match self.fused {
            Fused::ByHead => {
                let head = |h: usize| (3 * h + which) * config.head_dim;
                (0..config.heads).map(|h| head(h)..head(h) + config.head_dim).collect()
            }
            _ => [[0..q, q..q + kv, q + kv..q + 2 * kv][which].clone()].into(),
        };
        Place { name: name("qkv"), rows: Some(rows), of: q + 2 * kv, turned }
    }

    /// The name with the first root that is there, or with the first of all.
    pub(super) fn first_there(&self, checkpoint: &Checkpoint, name: &str) -> String {
        let with = |root: &&str| format!("{root}{name}");
        // Files converted from TensorFlow call gain and bias of a norm gamma and beta.
        let old = |name: String| {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        };
        let candidates = self.roots.iter().map(with).chain(self.roots.iter().map(with).map(old));
        let there = candidates.into_iter().find(|name| checkpoint.tensor(name).is_some());
        there.unwrap_or_else(|| format!("{}{name}", self.roots.first().copied().unwrap_or_default()))
    }
}

/// The names of `LlamaForCausalLM`, which are ours.
pub(super) const LLAMA: Names = Names {
    // Models that also see images keep their text part below `language_model`.
    roots: &["", "language_model.", "model."],
    layer: "model.layers.",
    outside: &[],
    inside: &[],
    fused: Fused::No,
    turned: false,
    skipped_positions: 0,
};

/// Gemma 2 and 3, OLMo 2: norms after the parts, too, or only there.
pub(super) const NORMED_AFTER: Names = Names {
    inside: &[
        ("after_attention_norm", "post_attention_layernorm"),
        ("post_attention_layernorm", "pre_feedforward_layernorm"),
        ("after_mlp_norm", "post_feedforward_layernorm"),
    ],
    ..LLAMA
};

pub(super) const GPT2: Names = Names {
    roots: &["transformer.", ""],
    layer: "h.",
    outside: &[("model.embed_tokens", "wte"), ("model.embed_positions", "wpe"), ("model.norm", "ln_f")],
    inside: &[
        ("input_layernorm", "ln_1"),
        ("qkv", "attn.c_attn"),
        ("self_attn.o_proj", "attn.c_proj"),
        ("post_attention_layernorm", "ln_2"),
        ("mlp.up_proj", "mlp.c_fc"),
        ("mlp.down_proj", "mlp.c_proj"),
    ],
    fused: Fused::Stacked,
    turned: true,
    skipped_positions: 0,
};

pub(super) const GPT_NEOX: Names = Names {
    roots: &["gpt_neox.", ""],
    layer: "layers.",
    outside: &[("model.embed_tokens", "embed_in"), ("model.norm", "final_layer_norm"), ("lm_head", "embed_out")],
    inside: &[
        ("qkv", "attention.query_key_value"),
        ("self_attn.o_proj", "attention.dense"),
        ("mlp.up_proj", "mlp.dense_h_to_4h"),
        ("mlp.down_proj", "mlp.dense_4h_to_h"),
    ],
    fused: Fused::ByHead,
    turned: false,
    skipped_positions: 0,
};

pub(super) const OPT: Names = Names {
    roots: &["model.decoder.", "decoder.", ""],
    layer: "layers.",
    outside: &[
        ("model.embed_tokens", "embed_tokens"),
        ("model.embed_positions", "embed_positions"),
        ("model.norm", "final_layer_norm"),
    ],
    inside: &[
        ("input_layernorm", "self_attn_layer_norm"),
        ("self_attn.o_proj", "self_attn.out_proj"),
        ("post_attention_layernorm", "final_layer_norm"),
        ("mlp.up_proj", "fc1"),
        ("mlp.down_proj", "fc2"),
    ],
    fused: Fused::No,
    turned: false,
    skipped_positions: 2,
};

pub(super) const BLOOM: Names = Names {
    roots: &["transformer.", ""],
    layer: "h.",
    outside: &[
        ("model.embed_tokens", "word_embeddings"),
        ("model.embed_norm", "word_embeddings_layernorm"),
        ("model.norm", "ln_f"),
    ],
    inside: &[
        ("qkv", "self_attention.query_key_value"),
        ("self_attn.o_proj", "self_attention.dense"),
        ("mlp.up_proj", "mlp.dense_h_to_4h"),
        ("mlp.down_proj", "mlp.dense_4h_to_h"),
    ],
    fused: Fused::ByHead,
    turned: false,
    skipped_positions: 0,
};

pub(super) const BERT: Names = Names {
    roots: &["bert.", "", "cls."],
    layer: "encoder.layer.",
    outside: &[
        ("model.embed_tokens", "embeddings.word_embeddings"),
        ("model.embed_positions", "embeddings.position_embeddings"),
        ("model.embed_segments", "embeddings.token_type_embeddings"),
        ("model.embed_norm", "embeddings.LayerNorm"),
        ("lm_head.transform", "predictions.transform.dense"),
        ("lm_head.norm", "predictions.transform.LayerNorm"),
        ("lm_head.bias", "predictions.bias"),
        ("lm_head", "predictions.decoder"),
    ],
    inside: &[
        ("self_attn.q_proj", "attention.self.query"),
        ("self_attn.k_proj", "attention.self.key"),
        ("self_attn.v_proj", "attention.self.value"),
        ("self_attn.o_proj", "attention.output.dense"),
        ("after_attention_norm", "attention.output.LayerNorm"),
        ("mlp.up_proj", "intermediate.dense"),
        ("mlp.down_proj", "output.dense"),
        ("after_mlp_norm", "output.LayerNorm"),
    ],
    fused: Fused::No,
    turned: false,
    skipped_positions: 0,
};

/// llama.cpp's names, with queries, keys and values apart.
pub(super) const GGUF: Names = Names {
    roots: &[""],
    layer: "blk.",
    outside: &[
        ("model.embed_tokens", "token_embd"),
        ("model.embed_positions", "position_embd"),
        ("model.embed_norm", "token_embd_norm"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
    ],
    inside: &[
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("qkv", "attn_qkv"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("after_attention_norm", "post_attention_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("after_mlp_norm", "post_ffw_norm"),
    ],
    fused: Fused::No,
    turned: false,
    skipped_positions: 0,
};

/// Meta's names, which llama2.c's files go by here.
pub(super) const META: Names = Names {
    roots: &[""],
    layer: "layers.",
    outside: &[("model.embed_tokens", "tok_embeddings"), ("model.norm", "norm"), ("lm_head", "output")],
    inside: &[
        ("input_layernorm", "attention_norm"),
        ("self_attn.q_proj", "attention.wq"),
        ("self_attn.k_proj", "attention.wk"),
        ("self_attn.v_proj", "attention.wv"),
        ("self_attn.o_proj", "attention.wo"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "feed_forward.w1"),
        ("mlp.up_proj", "feed_forward.w3"),
        ("mlp.down_proj", "feed_forward.w2"),
    ],
    fused: Fused::No,
    turned: false,
    skipped_positions: 0,
};
