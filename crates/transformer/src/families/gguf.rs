//! What a GGUF file's metadata means, and a llama2.c header. Keys and their meaning are llama.cpp's
//! (`docs/gguf.md` of ggml; `llama-model.cpp`).

use super::{
    Described,
    names::{self, Fused, Names},
};
use crate::{
    Activation, Architecture, AttentionKind, Config, EmbeddingKind, Head, Mlp, Norm, NormKind, NormPlace, Pairing,
    Positions, QkNorm, Residual, Rotary, Scaling, Window,
};
use saltus_checkpoint::{Checkpoint, Llama2cHeader, Metadata};

const KNOWN: &[&str] =
    &["bloom", "gemma", "gemma2", "gemma3", "gpt2", "gptneox", "llama", "olmo", "olmo2", "qwen2", "qwen3"];

/// The keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata,
    name: &'a str,
}

impl Keys<'_> {
    fn size(&self, key: &str, absent: Option<usize>) -> Result<usize, String> {
        let key = format!("{}.{key}", self.name);
        match self.metadata.unsigned(&key).map_err(|e| e.to_string())? {
            Some(size) => usize::try_from(size).map_err(|_| format!("{key} is {size}")),
            None => absent.ok_or(format!("{key} is missing")),
        }
    }
    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.metadata.float(&format!("{}.{key}", self.name)).map_err(|e| e.to_string())
    }
    fn text(&self, key: &str) -> Result<Option<&str>, String> {
        self.metadata.text(&format!("{}.{key}", self.name)).map_err(|e| e.to_string())
    }
    fn flag(&self, key: &str, absent: bool) -> Result<bool, String> {
        Ok(self.metadata.bool(&format!("{}.{key}", self.name)).map_err(|e| e.to_string())?.unwrap_or(absent))
    }
}

pub(super) fn describe(metadata: &Metadata, checkpoint: &Checkpoint) -> Result<Described, String> {
    let key = "general.architecture";
    let name = metadata.text(key).map_err(|e| e.to_string())?.ok_or(format!("{key} is missing"))?;
    if !KNOWN.contains(&name) {
        return Err(format!("{key} is {name:?}, which is not known; known are {}", KNOWN.join(", ")));
    }
    let config = config(&Keys { metadata, name }, checkpoint)?;
    let there = |name: &str| checkpoint.tensor(name).is_some();
    let fused = if there("blk.0.attn_qkv.weight") { Fused::Stacked } else { Fused::No };
    Ok(Described { config, names: Names { fused, ..names::GGUF } })
}

fn config(keys: &Keys<'_>, checkpoint: &Checkpoint) -> Result<Config, String> {
    let name = keys.name;
    let (width, layers) = (keys.size("embedding_length", None)?, keys.size("block_count", None)?);
    let heads = keys.size("attention.head_count", None)?;
    let head_dim = keys.size("attention.key_length", Some(width / heads.max(1)))?;
    let values = keys.size("attention.value_length", Some(head_dim))?;
    if values != head_dim {
        return Err(format!(
            "{name}.attention.value_length is {values}, not the {head_dim} of keys, which is not supported"
        ));
    }
    let there = |tensor: &str| checkpoint.tensor(tensor).is_some();
    let Some(embedding) = checkpoint.tensor("token_embd.weight") else {
        return Err("tensor token_embd.weight is missing".into());
    };
    let classic = matches!(name, "gpt2" | "gptneox" | "bloom");
    let gemma = name.starts_with("gemma");
    let (bias, out_bias) = ("blk.0.attn_q.bias", "blk.0.attn_output.bias");
    Ok(Config {
        vocabulary: embedding.shape.first().copied().unwrap_or(0),
        context: keys.size("context_length", None)?,
        width,
        layers,
        heads,
        kv_heads: keys.size("attention.head_count_kv", Some(heads))?,
        head_dim,
        mlp_hidden: keys.size("feed_forward_length", None)?,
        tied_embedding: !there("output.weight"),
        architecture: Architecture {
            norm: norm(keys, classic)?,
            positions: positions(keys, head_dim, checkpoint)?,
            attention: AttentionKind {
                qkv_bias: there(bias) || there("blk.0.attn_qkv.bias"),
                out_bias: there(out_bias),
                qk_norm: match name {
                    "olmo2" => QkNorm::Whole,
                    "qwen3" | "gemma3" => QkNorm::Head,
                    _ => QkNorm::None,
                },
                window: window(keys, layers)?,
                soft_cap: if name == "gemma2" {
                    Some(keys.number("attn_logit_softcapping")?.unwrap_or(50.0))
                } else {
                    None
                },
                scale: scale(keys, (width, layers, heads))?,
                clip: keys.number("attention.clamp_kqv")?.filter(|most| *most > 0.0),
                causal: true,
            },
            mlp: Mlp {
                // llama.cpp has one GELU, the tanh.
                activation: if classic || gemma { Activation::GeluTanh } else { Activation::Silu },
                gated: !classic,
                bias: there("blk.0.ffn_up.bias"),
            },
            residual: match name == "gptneox" && keys.flag("use_parallel_residual", true)? {
                true => Residual::Parallel,
                false => Residual::Serial,
            },
            embedding: EmbeddingKind {
                scale: gemma.then_some((width as f64).sqrt()),
                norm: there("token_embd_norm.weight"),
                segments: 0,
            },
            head: Head {
                bias: false,
                soft_cap: if name == "gemma2" {
                    Some(keys.number("final_logit_softcapping")?.unwrap_or(30.0))
                } else {
                    None
                },
                transform: false,
            },
        },
    })
}

fn norm(keys: &Keys<'_>, classic: bool) -> Result<Norm, String> {
    let eps = |key: &str| keys.number(key)?.ok_or(format!("{}.{key} is missing", keys.name));
    let layer = "attention.layer_norm_epsilon";
    Ok(match keys.name {
        "olmo" => Norm { kind: NormKind::LayerPlain, eps: eps(layer)?, place: NormPlace::Before },
        _ if classic => Norm { kind: NormKind::Layer, eps: eps(layer)?, place: NormPlace::Before },
        // The converter has added Gemma's one to the gains.
        name => Norm {
            kind: NormKind::Rms,
            eps: eps("attention.layer_norm_rms_epsilon")?,
            place: match name {
                "gemma2" | "gemma3" => NormPlace::Both,
                "olmo2" => NormPlace::After,
                _ => NormPlace::Before,
            },
        },
    })
}

fn positions(keys: &Keys<'_>, head_dim: usize, checkpoint: &Checkpoint) -> Result<Positions, String> {
    let name = keys.name;
    match name {
        "gpt2" => return Ok(Positions::Learned),
        "bloom" => return Ok(Positions::Alibi),
        _ => {}
    }
    let factor = keys.number("rope.scaling.factor")?.unwrap_or(1.0);
    let scaling = match keys.text("rope.scaling.type")? {
        // Llama 3.1's stretching, one divisor for each pair, worked out by the converter.
        _ if checkpoint.tensor("rope_freqs.weight").is_some() => divisors(checkpoint)?,
        None | Some("none") => Scaling::None,
        Some("linear") => Scaling::Linear { factor },
        Some(other) => {
            return Err(format!("{name}.rope.scaling.type is {other:?}, which is not supported: none and linear are"));
        }
    };
    Ok(Positions::Rotary(Rotary {
        base: keys.number("rope.freq_base")?.unwrap_or(10_000.0),
        windowed_base: (name == "gemma3").then_some(10_000.0),
        channels: keys.size("rope.dimension_count", Some(head_dim))?,
        // The converter reorders queries and keys of these for neighbouring pairs.
        pairing: if matches!(name, "llama" | "olmo") { Pairing::Neighbours } else { Pairing::Halves },
        scaling,
    }))
}

fn divisors(checkpoint: &Checkpoint) -> Result<Scaling, String> {
    match checkpoint.tensor("rope_freqs.weight") {
        Some(tensor) if tensor.dtype == saltus_checkpoint::Dtype::F32 => {
            let divisors = tensor.bytes.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
            Ok(Scaling::Divided { divisors: divisors.collect() })
        }
        _ => Err("tensor rope_freqs.weight is not F32".into()),
    }
}

fn window(keys: &Keys<'_>, layers: usize) -> Result<Option<Window>, String> {
    let size = keys.size("attention.sliding_window", Some(0))?;
    let every = match keys.name {
        "gemma2" => 2,
        "gemma3" => 6,
        _ => return Ok(None),
    };
    let layers = (1..=layers).map(|layer: usize| !layer.is_multiple_of(every)).collect();
    Ok((size > 0).then_some(Window { size, layers }))
}

/// Gemma's largest models divide by another number than the head's.
fn scale(keys: &Keys<'_>, (width, layers, heads): (usize, usize, usize)) -> Result<Option<f64>, String> {
    let largest = match keys.name {
        "gemma2" => layers == 46,
        "gemma3" => layers == 62,
        _ => false,
    };
    Ok(largest.then(|| (width as f64 / heads as f64).powf(-0.5)))
}

pub(super) fn describe_llama2c(header: &Llama2cHeader) -> Described {
    let head_dim = header.dim / header.heads.max(1);
    let mut architecture = Architecture::llama(head_dim, 10_000.0, 1e-5);
    if let Positions::Rotary(rotary) = &mut architecture.positions {
        rotary.pairing = Pairing::Neighbours;
    }
    let config = Config {
        vocabulary: header.vocabulary,
        context: header.context,
        width: header.dim,
        layers: header.layers,
        heads: header.heads,
        kv_heads: header.kv_heads,
        head_dim,
        mlp_hidden: header.hidden_dim,
        tied_embedding: header.tied,
        architecture,
    };
    Described { config, names: names::META }
}
