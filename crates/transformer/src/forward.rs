//! The forward pass: tokens to logits at the wanted columns, keeping what the backward pass needs.

use crate::{
    Weights,
    config::LayerRanges,
    plan::{Columns, Plan},
    prepared::Ready,
};
use saltus_compute::{
    Attention, Linear, Real, Softmax, Turn, Write, attention, embed, gather, linear, rms_norm, rope, swiglu,
};

/// What one layer computes. `positions` are all columns for what keys and values need, and, in the last layer, the
/// scored columns for everything else.
#[derive(Default)]
pub(crate) struct Layer<T> {
    /// Input `[width, all]` and its inverse root mean squares `[all]`.
    pub(crate) x: Vec<T>,
    pub(crate) inverse: Vec<T>,
    /// After RoPE.
    pub(crate) q: Vec<T>,
    pub(crate) kv: Vec<T>,
    /// The softmax's rows and the result of attention.
    pub(crate) max: Vec<T>,
    pub(crate) sum: Vec<T>,
    pub(crate) attended: Vec<T>,
    /// After attention: residual stream and its inverse root mean squares.
    pub(crate) middle: Vec<T>,
    pub(crate) middle_inverse: Vec<T>,
    /// Gate and up.
    pub(crate) gate_up: Vec<T>,
}

/// What the whole pass computes.
#[derive(Default)]
pub(crate) struct Activations<T> {
    /// One for each layer, or a single one that all layers use in turn where no gradient is wanted.
    pub(crate) layers: Vec<Layer<T>>,
    /// Output of the last layer `[width, scored]`, and its inverse root mean squares.
    pub(crate) x: Vec<T>,
    pub(crate) inverse: Vec<T>,
    /// What is cheap to compute again is not kept for each layer, so that more of the rest stays in the cache: the
    /// normed input of the part at work, that at the queries alone (empty where these are all columns), and the hidden
    /// units.
    pub(crate) normed: Vec<T>,
    pub(crate) normed_queries: Vec<T>,
    pub(crate) hidden: Vec<T>,
    /// `[vocabulary, scored]`.
    pub(crate) logits: Vec<T>,
}

/// Gives `buffer` this length; what it holds is left to be overwritten.
pub(crate) fn fit<T: Real>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    buffer.resize(length, T::ZERO);
    buffer
}

impl<T: Real> Activations<T> {
    /// `kept`: how many layers' activations are kept apart.
    pub(crate) fn new(kept: usize) -> Self {
        Activations {
            layers: (0..kept).map(|_| Layer::default()).collect(),
            x: Vec::new(),
            inverse: Vec::new(),
            normed: Vec::new(),
            normed_queries: Vec::new(),
            hidden: Vec::new(),
            logits: Vec::new(),
        }
    }
}

/// Computes the logits at the scored columns of `plan`, of which there is at least one.
pub(crate) fn forward<T: Real>(weights: Ready<'_, T>, plan: &Plan<T>, to: &mut Activations<T>) {
    let Weights { config, values } = weights.weights;
    let ends = config.ends();
    let kept = to.layers.len();
    let x = fit(&mut to.layers[0].x, config.width * plan.all.count);
    embed(&values[ends.embedding], config.width, &plan.tokens, x);
    for number in 0..config.layers {
        layer(weights, number, plan, to);
        if number + 1 < config.layers {
            std::mem::swap(&mut to.x, &mut to.layers[(number + 1) % kept].x);
        }
    }
    let count = plan.scored.count;
    let normed = fit(&mut to.normed, config.width * count);
    let eps = T::from_f64(config.architecture.norm.eps);
    rms_norm(&to.x, &values[ends.norm], eps, fit(&mut to.inverse, count), normed);
    let shape = Linear { outputs: config.vocabulary, inputs: config.width, positions: count };
    linear(shape, weights.matrix(&ends.head), normed, fit(&mut to.logits, config.vocabulary * count), Write::Set);
}

/// One layer, from its input in its `x` to the pass's `x`.
fn layer<T: Real>(weights: Ready<'_, T>, number: usize, plan: &Plan<T>, pass: &mut Activations<T>) {
    let Weights { config, values } = weights.weights;
    let kept = pass.layers.len();
    let Activations { layers, x: out, normed, normed_queries, hidden, .. } = pass;
    let to = &mut layers[number % kept];
    let ranges = config.layer(number);
    let last = number + 1 == config.layers;
    let queries = if last { &plan.scored } else { &plan.all };
    let eps = T::from_f64(config.architecture.norm.eps);
    let (width, all, count) = (config.width, plan.all.count, queries.count);
    let all_normed = fit(normed, width * all);
    rms_norm(&to.x, &values[ranges.attention_norm.clone()], eps, fit(&mut to.inverse, all), all_normed);
    let middle = fit(&mut to.middle, width * count);
    if last {
        gather(&to.x, all, &plan.columns, count, middle);
        gather(all_normed, all, &plan.columns, count, fit(normed_queries, width * count));
        attend(weights, &ranges, (&plan.all, all_normed), (queries, normed_queries), to);
    } else {
        middle.copy_from_slice(&to.x);
        attend(weights, &ranges, (&plan.all, all_normed), (queries, all_normed), to);
    }

    let middle_normed = fit(normed, width * count);
    rms_norm(&to.middle, &values[ranges.mlp_norm], eps, fit(&mut to.middle_inverse, count), middle_normed);
    let gate_up = fit(&mut to.gate_up, 2 * config.mlp_hidden * count);
    let shape = Linear { outputs: 2 * config.mlp_hidden, inputs: width, positions: count };
    linear(shape, weights.matrix(&ranges.gate_up), middle_normed, gate_up, Write::Set);
    swiglu(gate_up, fit(hidden, config.mlp_hidden * count));
    fit(out, width * count).copy_from_slice(&to.middle);
    let shape = Linear { outputs: width, inputs: config.mlp_hidden, positions: count };
    linear(shape, weights.matrix(&ranges.down), hidden, out, Write::Add);
}

/// Adds attention to the residual stream `to.middle`; from the normed input at all columns and at the queries.
fn attend<T: Real>(
    weights: Ready<'_, T>,
    ranges: &LayerRanges,
    (all, normed): (&Columns<T>, &[T]),
    (queries, normed_queries): (&Columns<T>, &[T]),
    to: &mut Layer<T>,
) {
    let config = &weights.weights.config;
    let heads = config.attention_heads();
    let (q_channels, kv_channels) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
    let kv = fit(&mut to.kv, 2 * kv_channels * all.count);
    let shape = Linear { outputs: 2 * kv_channels, inputs: config.width, positions: all.count };
    linear(shape, weights.matrix(&ranges.kv), normed, kv, Write::Set);
    let (k, v) = kv.split_at_mut(kv_channels * all.count);
    rope(k, &all.cos, &all.sin, Turn::Forward);

    let q = fit(&mut to.q, q_channels * queries.count);
    let shape = Linear { outputs: q_channels, inputs: config.width, positions: queries.count };
    linear(shape, weights.matrix(&ranges.q), normed_queries, q, Write::Set);
    rope(q, &queries.cos, &queries.sin, Turn::Forward);

    let attended = fit(&mut to.attended, q_channels * queries.count);
    if queries.used < queries.count {
        // Attention leaves alone what fills up; it must be finite all the same, or it would spoil gradients.
        attended.fill(T::ZERO);
    }
    let max = fit(&mut to.max, heads.heads * queries.count);
    let inverse = fit(&mut to.sum, heads.heads * queries.count);
    let of = Attention { heads, segments: &queries.segments, sees: &queries.sees, q, k, v };
    attention(of, Softmax { max, inverse }, attended);
    let shape = Linear { outputs: config.width, inputs: q_channels, positions: queries.count };
    linear(shape, weights.matrix(&ranges.o), attended, &mut to.middle, Write::Add);
}
