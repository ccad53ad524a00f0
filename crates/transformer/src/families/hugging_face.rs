//! What a `config.json` means. Absent keys mean what they mean to `transformers`.

use super::{
    Described,
    json::{flag, number, only, optional_number, size, text, wrong},
    names,
};
use crate::{
    Activation, Architecture, AttentionKind, Config, EmbeddingKind, Head, Mlp, Norm, NormKind, NormPlace, Pairing,
    Positions, QkNorm, Residual, Rotary, Scaling, Window,
};
use serde_json::Value;

/// The families that are known.
pub(super) const KNOWN: &[&str] = &[
    "bert",
    "bloom",
    "eurobert",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "llama",
    "mistral",
    "olmo",
    "olmo2",
    "opt",
    "qwen2",
    "qwen3",
];

pub(super) fn describe(json: &Value) -> Result<Described, String> {
    // A model that also sees images keeps the description of its text part apart.
    let json = if json["text_config"].is_object() { &json["text_config"] } else { json };
    let family = text(json, "model_type", None)?;
    let (config, names) = match family {
        "eurobert" => (eurobert(json)?, names::LLAMA),
        "llama" | "mistral" | "qwen2" | "qwen3" | "olmo" | "olmo2" | "gemma" | "gemma2" | "gemma3" | "gemma3_text" => {
            let after = matches!(family, "olmo2" | "gemma2" | "gemma3" | "gemma3_text");
            (modern(json, family)?, if after { names::NORMED_AFTER } else { names::LLAMA })
        }
        "gpt2" => (gpt2(json)?, names::GPT2),
        "gpt_neox" => (gpt_neox(json)?, names::GPT_NEOX),
        "opt" => (opt(json)?, names::OPT),
        "bloom" => (bloom(json)?, names::BLOOM),
        "bert" => (bert(json)?, names::BERT),
        other => {
            return Err(format!("model_type is {other:?}, which is not known; known are {}", KNOWN.join(", ")));
        }
    };
    Ok(Described { config, names })
}

fn activation(json: &Value, key: &str, absent: Option<&str>) -> Result<Activation, String> {
    match text(json, key, absent)? {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        _ => wrong(json, key, "silu, gelu, gelu_new, gelu_pytorch_tanh or relu"),
    }
}

/// A `config.json` of `LlamaForCausalLM`.
pub(crate) fn llama(json: &Value) -> Result<Config, String> {
    modern(json, "llama")
}

/// A `config.json` of `EuroBertForMaskedLM` (arXiv 2503.05500): a Llama that sees both ways and fills gaps.
pub(crate) fn eurobert(json: &Value) -> Result<Config, String> {
    let mut config = modern(json, "eurobert")?;
    config.architecture = config.architecture.bidirectional();
    config.architecture.head.bias = config.architecture.mlp.bias;
    Ok(config)
}

/// Llama and what follows its plan.
fn modern(json: &Value, family: &str) -> Result<Config, String> {
    let gemma = family.starts_with("gemma");
    let gemma3 = family.starts_with("gemma3");
    let (width, layers) = (size(json, "hidden_size", None)?, size(json, "num_hidden_layers", None)?);
    let heads = size(json, "num_attention_heads", None)?;
    let head_dim = size(json, "head_dim", Some(if gemma { 256 } else { width / heads.max(1) }))?;
    let qk_norm = match family {
        "olmo2" => QkNorm::Whole,
        "qwen3" | "gemma3" | "gemma3_text" => QkNorm::Head,
        _ => QkNorm::None,
    };
    let norm = match family {
        "olmo" => Norm { kind: NormKind::LayerPlain, eps: 1e-5, place: NormPlace::Before },
        _ => Norm {
            kind: if gemma { NormKind::RmsPlusOne } else { NormKind::Rms },
            eps: number(json, "rms_norm_eps", Some(if matches!(family, "olmo2" | "eurobert") { 1e-5 } else { 1e-6 }))?,
            place: match family {
                "olmo2" => NormPlace::After,
                "gemma2" | "gemma3" | "gemma3_text" => NormPlace::Both,
                _ => NormPlace::Before,
            },
        },
    };
    let bias = flag(json, "attention_bias", false)?;
    let act = match json["hidden_activation"].is_string() {
        true => activation(json, "hidden_activation", None)?,
        // Gemma 1 says "gelu" and means the tanh.
        false if gemma => Activation::GeluTanh,
        false => activation(json, "hidden_act", Some("silu"))?,
    };
    let scalar = match gemma && family != "gemma" {
        true => Some(number(json, "query_pre_attn_scalar", Some(256.0))?.powf(-0.5)),
        false => None,
    };
    let capped = family == "gemma2";
    let cap = |key: &str| if gemma { optional_number(json, key) } else { Ok(None) };
    Ok(Config {
        vocabulary: size(json, "vocab_size", None)?,
        context: size(
            json,
            "max_position_embeddings",
            Some(match family {
                "eurobert" => 8192,
                _ if gemma3 => 131_072,
                _ => 2048,
            }),
        )?,
        width,
        layers,
        heads,
        kv_heads: size(json, "num_key_value_heads", Some(heads))?,
        head_dim,
        mlp_hidden: size(json, "intermediate_size", None)?,
        tied_embedding: flag(json, "tie_word_embeddings", gemma)?,
        architecture: Architecture {
            norm,
            positions: Positions::Rotary(rotary(json, head_dim, gemma3)?),
            attention: AttentionKind {
                qkv_bias: bias || family == "qwen2",
                out_bias: bias,
                qk_norm,
                window: window(json, family, layers)?,
                soft_cap: if capped { cap("attn_logit_softcapping")? } else { None },
                scale: scalar,
                clip: if family == "olmo" { optional_number(json, "clip_qkv")? } else { None },
                causal: true,
            },
            mlp: Mlp { activation: act, gated: true, bias: flag(json, "mlp_bias", false)? },
            residual: Residual::Serial,
            embedding: EmbeddingKind { scale: gemma.then_some((width as f64).sqrt()), norm: false, segments: 0 },
            head: Head { bias: false, soft_cap: cap("final_logit_softcapping")?, transform: false },
        },
    })
}

/// Which layers attend to a window.
fn window(json: &Value, family: &str, layers: usize) -> Result<Option<Window>, String> {
    let size = match &json["sliding_window"] {
        Value::Null => return Ok(None),
        _ => size(json, "sliding_window", None)?,
    };
    if let Value::Array(types) = &json["layer_types"] {
        let windowed = types.iter().map(|kind| match kind.as_str() {
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            _ => Err(format!("layer_types has {kind}, which is neither sliding_attention nor full_attention")),
        });
        return Ok(Some(Window { size, layers: windowed.collect::<Result<_, _>>()? }));
    }
    let from = match family {
        "mistral" => 0,
        "qwen2" | "qwen3" if flag(json, "use_sliding_window", false)? => {
            self::size(json, "max_window_layers", Some(28))?
        }
        "gemma2" | "gemma3" | "gemma3_text" => {
            // Every so many layers one sees everything.
            let every =
                self::size(json, "sliding_window_pattern", Some(if family == "gemma2" { 2 } else { 6 }))?.max(1);
            return Ok(Some(Window { size, layers: (1..=layers).map(|layer| !layer.is_multiple_of(every)).collect() }));
        }
        _ => return Ok(None),
    };
    Ok(Some(Window { size, layers: (0..layers).map(|layer| layer >= from).collect() }))
}

/// RoPE's settings. transformers 5 keeps them together in `rope_parameters`, and apart for layers with a window.
fn rotary(json: &Value, head_dim: usize, windowed: bool) -> Result<Rotary, String> {
    let together = &json["rope_parameters"];
    let by_kind = together["full_attention"].is_object();
    let full = if by_kind { &together["full_attention"] } else { together };
    let base = number(json, "rope_theta", Some(number(full, "rope_theta", Some(if windowed { 1e6 } else { 1e4 }))?))?;
    let share = number(json, "partial_rotary_factor", Some(number(full, "partial_rotary_factor", Some(1.0))?))?;
    let local = number(&together["sliding_attention"], "rope_theta", Some(10_000.0))?;
    let scaling = if json["rope_scaling"].is_object() { &json["rope_scaling"] } else { full };
    Ok(Rotary {
        base,
        windowed_base: if windowed { Some(number(json, "rope_local_base_freq", Some(local))?) } else { None },
        channels: (head_dim as f64 * share) as usize,
        pairing: Pairing::Halves,
        scaling: scaling_of(scaling, size(json, "max_position_embeddings", Some(2048))?)?,
    })
}

fn scaling_of(json: &Value, context: usize) -> Result<Scaling, String> {
    let kind = match &json["rope_type"] {
        Value::Null => text(json, "type", Some("default"))?,
        _ => text(json, "rope_type", None)?,
    };
    let factor = || number(json, "factor", None);
    let original = || number(json, "original_max_position_embeddings", Some(context as f64));
    match kind {
        "default" => Ok(Scaling::None),
        "linear" => Ok(Scaling::Linear { factor: factor()? }),
        "llama3" => Ok(Scaling::Llama3 {
            factor: factor()?,
            low: number(json, "low_freq_factor", None)?,
            high: number(json, "high_freq_factor", None)?,
            original: original()?,
        }),
        "yarn" => {
            let factor = factor()?;
            Ok(Scaling::Yarn {
                factor,
                fast: number(json, "beta_fast", Some(32.0))?,
                slow: number(json, "beta_slow", Some(1.0))?,
                original: original()?,
                attention: number(json, "attention_factor", Some(0.1 * factor.ln() + 1.0))?,
            })
        }
        other => {
            Err(format!("rope scaling is {other:?}, which is not supported: default, linear, llama3 and yarn are"))
        }
    }
}

/// LayerNorm before each part, biases everywhere, all heads with keys of their own: the plan of GPT-2.
struct Classic {
    width: usize,
    layers: usize,
    heads: usize,
    mlp_hidden: usize,
    context: usize,
    eps: f64,
    activation: Activation,
    positions: Positions,
}

impl Classic {
    fn config(self, json: &Value, tied: bool) -> Result<Config, String> {
        Ok(Config {
            vocabulary: size(json, "vocab_size", None)?,
            context: self.context,
            width: self.width,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.width / self.heads.max(1),
            mlp_hidden: self.mlp_hidden,
            tied_embedding: flag(json, "tie_word_embeddings", tied)?,
            architecture: Architecture {
                norm: Norm { kind: NormKind::Layer, eps: self.eps, place: NormPlace::Before },
                positions: self.positions,
                attention: AttentionKind {
                    qkv_bias: true,
                    out_bias: true,
                    qk_norm: QkNorm::None,
                    window: None,
                    soft_cap: None,
                    scale: None,
                    clip: None,
                    causal: true,
                },
                mlp: Mlp { activation: self.activation, gated: false, bias: true },
                residual: Residual::Serial,
                embedding: EmbeddingKind { scale: None, norm: false, segments: 0 },
                head: Head { bias: false, soft_cap: None, transform: false },
            },
        })
    }
}

fn must(json: &Value, key: &str, value: bool, absent: bool) -> Result<(), String> {
    match flag(json, key, absent)? == value {
        true => Ok(()),
        false => Err(format!("{key} is {}, which is not supported", !value)),
    }
}

fn gpt2(json: &Value) -> Result<Config, String> {
    must(json, "scale_attn_weights", true, true)?;
    must(json, "scale_attn_by_inverse_layer_idx", false, false)?;
    let width = size(json, "n_embd", Some(768))?;
    let classic = Classic {
        width,
        layers: size(json, "n_layer", Some(12))?,
        heads: size(json, "n_head", Some(12))?,
        mlp_hidden: size(json, "n_inner", Some(4 * width))?,
        context: size(json, "n_positions", Some(1024))?,
        eps: number(json, "layer_norm_epsilon", Some(1e-5))?,
        activation: activation(json, "activation_function", Some("gelu_new"))?,
        positions: Positions::Learned,
    };
    classic.config(json, true)
}

fn gpt_neox(json: &Value) -> Result<Config, String> {
    let (width, heads) = (size(json, "hidden_size", None)?, size(json, "num_attention_heads", None)?);
    let head_dim = width / heads.max(1);
    let together = &json["rope_parameters"];
    let base = number(json, "rotary_emb_base", Some(number(together, "rope_theta", Some(10_000.0))?))?;
    let share = number(json, "rotary_pct", Some(number(together, "partial_rotary_factor", Some(0.25))?))?;
    let scaling = if json["rope_scaling"].is_object() { &json["rope_scaling"] } else { together };
    let context = size(json, "max_position_embeddings", Some(2048))?;
    let classic = Classic {
        width,
        layers: size(json, "num_hidden_layers", None)?,
        heads,
        mlp_hidden: size(json, "intermediate_size", None)?,
        context,
        eps: number(json, "layer_norm_eps", Some(1e-5))?,
        activation: activation(json, "hidden_act", Some("gelu"))?,
        positions: Positions::Rotary(Rotary {
            base,
            windowed_base: None,
            channels: (head_dim as f64 * share) as usize,
            pairing: Pairing::Halves,
            scaling: scaling_of(scaling, context)?,
        }),
    };
    let mut config = classic.config(json, false)?;
    let bias = flag(json, "attention_bias", true)?;
    (config.architecture.attention.qkv_bias, config.architecture.attention.out_bias) = (bias, bias);
    if flag(json, "use_parallel_residual", true)? {
        config.architecture.residual = Residual::Parallel;
    }
    Ok(config)
}

fn opt(json: &Value) -> Result<Config, String> {
    must(json, "do_layer_norm_before", true, true)?;
    must(json, "_remove_final_layer_norm", false, false)?;
    must(json, "layer_norm_elementwise_affine", true, true)?;
    must(json, "enable_bias", true, true)?;
    let width = size(json, "hidden_size", None)?;
    let embedded = size(json, "word_embed_proj_dim", Some(width))?;
    if embedded != width {
        return Err(format!("word_embed_proj_dim is {embedded}, not the width {width}, which is not supported"));
    }
    let classic = Classic {
        width,
        layers: size(json, "num_hidden_layers", None)?,
        heads: size(json, "num_attention_heads", None)?,
        mlp_hidden: size(json, "ffn_dim", None)?,
        context: size(json, "max_position_embeddings", Some(2048))?,
        eps: 1e-5,
        activation: activation(json, "activation_function", Some("relu"))?,
        positions: Positions::Learned,
    };
    classic.config(json, true)
}

fn bloom(json: &Value) -> Result<Config, String> {
    must(json, "apply_residual_connection_post_layernorm", false, false)?;
    let width = match &json["hidden_size"] {
        Value::Null => size(json, "n_embed", None)?,
        _ => size(json, "hidden_size", None)?,
    };
    let either =
        |one: &str, other: &str| if json[one].is_null() { size(json, other, None) } else { size(json, one, None) };
    let classic = Classic {
        width,
        layers: either("n_layer", "num_hidden_layers")?,
        heads: either("n_head", "num_attention_heads")?,
        mlp_hidden: 4 * width,
        // ALiBi knows no end; this is what the models were trained on.
        context: size(json, "seq_length", Some(2048))?,
        eps: number(json, "layer_norm_epsilon", Some(1e-5))?,
        activation: Activation::GeluTanh,
        positions: Positions::Alibi,
    };
    let mut config = classic.config(json, true)?;
    config.architecture.embedding.norm = true;
    Ok(config)
}

fn bert(json: &Value) -> Result<Config, String> {
    only(json, "position_embedding_type", "absolute", Some("absolute"))?;
    let classic = Classic {
        width: size(json, "hidden_size", None)?,
        layers: size(json, "num_hidden_layers", None)?,
        heads: size(json, "num_attention_heads", None)?,
        mlp_hidden: size(json, "intermediate_size", None)?,
        context: size(json, "max_position_embeddings", Some(512))?,
        eps: number(json, "layer_norm_eps", Some(1e-12))?,
        activation: activation(json, "hidden_act", Some("gelu"))?,
        positions: Positions::Learned,
    };
    let mut config = classic.config(json, true)?;
    let architecture = &mut config.architecture;
    architecture.norm.place = NormPlace::Stream;
    architecture.attention.causal = false;
    architecture.embedding =
        EmbeddingKind { scale: None, norm: true, segments: size(json, "type_vocab_size", Some(2))? };
    architecture.head = Head { bias: true, soft_cap: None, transform: true };
    Ok(config)
}
