//! What a transformer is made of, apart from its sizes: the choices in which the families differ.

use saltus_compute::Pairing;
use serde::{Deserialize, Serialize};

/// The choices in which families of transformers differ. A family is a value of this type, not code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// What norms do, and where they stand.
    pub norm: Norm,
    /// How positions enter.
    pub positions: Positions,
    /// What attention does.
    pub attention: AttentionKind,
    /// What the MLPs do.
    pub mlp: Mlp,
    /// How attention and MLP write to the residual stream.
    pub residual: Residual,
    /// What happens to the embedding.
    pub embedding: EmbeddingKind,
    /// What turns the stream into logits.
    pub head: Head,
}

/// What norms do, and where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// Which one.
    pub kind: NormKind,
    /// Added to the mean square or the variance.
    pub eps: f64,
    /// Where.
    pub place: NormPlace,
}

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormKind {
    /// RMSNorm (arXiv 1910.07467).
    Rms,
    /// RMSNorm whose stored gain is one less (Gemma, arXiv 2403.08295).
    RmsPlusOne,
    /// LayerNorm (arXiv 1607.06450) with gain and bias.
    Layer,
    /// LayerNorm with neither (OLMo, arXiv 2402.00838).
    LayerPlain,
}

/// Where norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormPlace {
    /// Before each part, and before the head.
    Before,
    /// After each part, before it is added to the stream (OLMo 2, arXiv 2501.00656), and before the head.
    After,
    /// Both (Gemma 2, arXiv 2408.00118).
    Both,
    /// Of the stream, after each part was added; not before the head (BERT, arXiv 1810.04805).
    Stream,
}

/// How positions enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Positions {
    /// A vector for each position, added to the embedding.
    Learned,
    /// Queries and keys are turned (RoPE, arXiv 2104.09864).
    Rotary(Rotary),
    /// Scores fall with distance (ALiBi, arXiv 2108.12409).
    Alibi,
}

/// RoPE and its variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rotary {
    /// Base of the angles.
    pub base: f64,
    /// Another base in the layers with a window, which then know no scaling (Gemma 3, arXiv 2503.19786).
    pub windowed_base: Option<f64>,
    /// Channels of each head that turn; even.
    pub channels: usize,
    /// Which of them turn together.
    pub pairing: Pairing,
    /// How the angles were stretched to a longer context.
    pub scaling: Scaling,
}

/// How the angles of RoPE were stretched to a longer context, as `transformers`' `modeling_rope_utils` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All by one factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Low frequencies by the factor, high ones not (Llama 3.1, arXiv 2407.21783).
    Llama3 {
        /// The factor of low frequencies.
        factor: f64,
        /// Wavelengths longer than the original context divided by this are low.
        low: f64,
        /// Wavelengths shorter than the original context divided by this are high.
        high: f64,
        /// The original context.
        original: f64,
    },
    /// Each by a number of its own.
    Divided {
        /// One for each pair of channels.
        divisors: Vec<f64>,
    },
    /// YaRN (arXiv 2309.00071).
    Yarn {
        /// The factor of low frequencies.
        factor: f64,
        /// Rotations over the original context above which a frequency is high.
        fast: f64,
        /// Rotations below which it is low.
        slow: f64,
        /// The original context.
        original: f64,
        /// Factor of cosines and sines.
        attention: f64,
    },
}

/// What attention does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionKind {
    /// Queries, keys and values have biases.
    pub qkv_bias: bool,
    /// The output has a bias.
    pub out_bias: bool,
    /// Queries and keys are normed.
    pub qk_norm: QkNorm,
    /// A window, and the layers that have it.
    pub window: Option<Window>,
    /// Scores are held within this.
    pub soft_cap: Option<f64>,
    /// Factor of the scores; absent: 1 / sqrt(head_dim).
    pub scale: Option<f64>,
    /// Queries, keys and values are clipped to this (OLMo).
    pub clip: Option<f64>,
    /// A position sees itself and those before it; else all.
    pub causal: bool,
}

/// Whether queries and keys are normed, with RMSNorm, before positions are turned in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNorm {
    /// No.
    None,
    /// Each head by itself (Qwen 3, Gemma 3).
    Head,
    /// All heads together (OLMo 2).
    Whole,
}

/// Sliding-window attention (arXiv 2004.05150) in some layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// A query sees so many positions up to its own.
    pub size: usize,
    /// For each layer whether it has the window.
    pub layers: Vec<bool>,
}

/// What the MLPs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mlp {
    /// The nonlinearity.
    pub activation: Activation,
    /// Hidden units are `activation(gate) * up` (arXiv 2002.05202), not `activation(up)`.
    pub gated: bool,
    /// The matrices have biases.
    pub bias: bool,
}

/// The nonlinearities; see [`saltus_compute::Activation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented where they are computed")]
pub enum Activation {
    Silu,
    Gelu,
    GeluTanh,
    Relu,
}

/// How attention and MLP write to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Residual {
    /// The MLP reads what attention wrote.
    Serial,
    /// Both read the layer's input (GPT-NeoX, arXiv 2204.06745), each through its own norm.
    Parallel,
}

/// What happens to the embedding before the first layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingKind {
    /// It is multiplied by this (Gemma: sqrt(width)).
    pub scale: Option<f64>,
    /// It is normed, together with what was added (BLOOM, BERT).
    pub norm: bool,
    /// Segments that have a vector of their own (BERT: 2); 0: none.
    pub segments: usize,
}

/// What turns the residual stream into logits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// A bias on the logits.
    pub bias: bool,
    /// Logits are held within this.
    pub soft_cap: Option<f64>,
    /// A matrix, the MLP's nonlinearity and a norm come first (BERT's masked-language head).
    pub transform: bool,
}

impl Architecture {
    /// Llama's (arXiv 2302.13971): RMSNorm before each part, rotary positions, SwiGLU, no biases. That of the trained
    /// ladders.
    pub fn llama(head_dim: usize, rope_base: f64, norm_eps: f64) -> Self {
        Architecture {
            norm: Norm { kind: NormKind::Rms, eps: norm_eps, place: NormPlace::Before },
            positions: Positions::Rotary(Rotary {
                base: rope_base,
                windowed_base: None,
                channels: head_dim,
                pairing: Pairing::Halves,
                scaling: Scaling::None,
            }),
            attention: AttentionKind {
                qkv_bias: false,
                out_bias: false,
                qk_norm: QkNorm::None,
                window: None,
                soft_cap: None,
                scale: None,
                clip: None,
                causal: true,
            },
            mlp: Mlp { activation: Activation::Silu, gated: true, bias: false },
            residual: Residual::Serial,
            embedding: EmbeddingKind { scale: None, norm: false, segments: 0 },
            head: Head { bias: false, soft_cap: None, transform: false },
        }
    }

    /// The same, but each position sees all others (EuroBERT, arXiv 2503.05500): with a masked objective, that of the
    /// ladders that fill gaps.
    pub fn bidirectional(mut self) -> Self {
        self.attention.causal = false;
        self
    }

    /// Base and epsilon, if this is [`Architecture::llama`]'s, causal or bidirectional: what can be trained.
    pub(crate) fn trained(&self, head_dim: usize) -> Option<(f64, f64)> {
        let Positions::Rotary(rotary) = &self.positions else { return None };
        let (base, eps) = (rotary.base, self.norm.eps);
        let llama = Architecture::llama(head_dim, base, eps);
        (*self == llama || *self == llama.bidirectional()).then_some((base, eps))
    }
}

impl NormPlace {
    /// A norm before each part.
    pub(crate) fn before(self) -> bool {
        matches!(self, NormPlace::Before | NormPlace::Both)
    }
    /// A norm of each part, or of the stream behind it.
    pub(crate) fn after(self) -> bool {
        self != NormPlace::Before
    }
}

impl Rotary {
    /// The angle of each pair of channels at position 1, and the factor of cosines and sines.
    pub fn frequencies(&self, windowed: bool) -> (Vec<f64>, f64) {
        let local = self.windowed_base.filter(|_| windowed);
        let base = local.unwrap_or(self.base);
        let plain = (0..self.channels / 2).map(|c| base.powf(-2.0 * c as f64 / self.channels as f64));
        if local.is_some() {
            return (plain.collect(), 1.0);
        }
        match &self.scaling {
            Scaling::None => (plain.collect(), 1.0),
            Scaling::Linear { factor } => (plain.map(|w| w / factor).collect(), 1.0),
            Scaling::Divided { divisors } => (plain.zip(divisors).map(|(w, divisor)| w / divisor).collect(), 1.0),
            Scaling::Llama3 { factor, low, high, original } => {
                let stretch = |w: f64| {
                    let turns = original * w / std::f64::consts::TAU;
                    let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    w * (share + (1.0 - share) / factor)
                };
                (plain.map(stretch).collect(), 1.0)
            }
            Scaling::Yarn { factor, fast, slow, original, attention } => {
                let pair = |rotations: f64| {
                    let turns = original / (rotations * std::f64::consts::TAU);
                    self.channels as f64 * turns.ln() / (2.0 * base.ln())
                };
                let first = pair(*fast).floor().max(0.0);
                let last = pair(*slow).ceil().min(self.channels as f64 - 1.0);
                let width = if first == last { 0.001 } else { last - first };
                let stretch = |(c, w): (usize, f64)| {
                    let low = ((c as f64 - first) / width).clamp(0.0, 1.0);
                    w * (1.0 - low) + w / factor * low
                };
                (plain.enumerate().map(stretch).collect(), *attention)
            }
        }
    }
}

/// The slope of each head of ALiBi, as BLOOM has it for head counts that are no power of two (arXiv 2108.12409,
/// section 3; `build_alibi_tensor` of `transformers`).
pub(crate) fn alibi_slopes(heads: usize) -> Vec<f32> {
    let power = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let slope = |of: usize, step: f64, i: usize| 2f64.powf(-8.0 / of as f64 * (1.0 + step * i as f64)) as f32;
    let first = (0..power).map(|i| slope(power, 1.0, i));
    first.chain((0..heads - power).map(|i| slope(2 * power, 2.0, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_paper() {
        assert_eq!(alibi_slopes(8), [1, 2, 3, 4, 5, 6, 7, 8].map(|i| 0.5f32.powi(i)));
        let twelve = alibi_slopes(12);
        assert_eq!(twelve[..8], alibi_slopes(8));
        assert_eq!(twelve[8..], [1, 3, 5, 7].map(|i| 2f64.powf(-0.5 * f64::from(i)) as f32));
    }

    #[test]
    fn scaled_frequencies_keep_the_fast_and_stretch_the_slow() {
        let rotary = |scaling| Rotary {
            base: 500_000.0,
            windowed_base: Some(10_000.0),
            channels: 128,
            pairing: Pairing::Halves,
            scaling,
        };
        let (plain, _) = rotary(Scaling::None).frequencies(false);
        for scaling in [
            Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 },
            Scaling::Yarn { factor: 8.0, fast: 32.0, slow: 1.0, original: 8192.0, attention: 1.2 },
        ] {
            let (scaled, _) = rotary(scaling.clone()).frequencies(false);
            assert_eq!(scaled[0], plain[0]);
            assert!((scaled[63] * 8.0 / plain[63] - 1.0).abs() < 1e-12);
            assert!(scaled.windows(2).all(|w| w[0] > w[1]));
            assert_eq!(rotary(scaling).frequencies(true), rotary(Scaling::None).frequencies(true));
        }
        assert_eq!(rotary(Scaling::Linear { factor: 4.0 }).frequencies(false).0[5], plain[5] / 4.0);
    }
}
