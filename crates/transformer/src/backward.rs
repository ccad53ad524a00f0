//! The backward pass, and the two together: one shard of a training step.

use crate::{
    Config, IGNORE, Weights,
    config::LayerRanges,
    forward::{Activations, Layer, fit, forward},
    plan::{Columns, Plan},
    prepared::{Prepared, Ready},
};
use saltus_compute::{
    Attended, Attention, AttentionGradient, Linear, Normed, Real, Turn, Write, attention_backward, cross_entropy,
    embed_backward, gather, linear_backward_input, linear_backward_weight, rms_norm_again, rms_norm_backward, rope,
    scatter_add, swiglu_backward,
};

/// Rows of equal length: `tokens[r * context + t]` is read, `targets[r * context + t]` is predicted there
/// ([`IGNORE`]: not scored).
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Positions of a row.
    pub context: usize,
    /// What is read; below the vocabulary.
    pub tokens: &'a [u32],
    /// What is predicted; below the vocabulary, or [`IGNORE`].
    pub targets: &'a [u32],
}

/// Summed (not mean) loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Summed cross-entropy, in nats.
    pub nats: f64,
    /// Scored positions.
    pub scored: u64,
}

/// Activations and scratch of one shard, allocated once.
pub struct Workspace<T = f32> {
    plan: Plan<T>,
    activations: Activations<T>,
    gradients: Gradients<T>,
    /// Rows of one micro-batch.
    rows: usize,
}

/// Gradients of activations, shared by the layers.
#[derive(Default)]
struct Gradients<T> {
    /// Of the residual stream behind and before the layer.
    stream: Vec<T>,
    before: Vec<T>,
    /// Of a normed input, and of that at the queries alone.
    normed: Vec<T>,
    normed_queries: Vec<T>,
    attended: Vec<T>,
    q: Vec<T>,
    kv: Vec<T>,
    hidden: Vec<T>,
}

/// Positions of a micro-batch: enough that sums over positions are long, few enough that its activations stay in a
/// core's cache.
const MICRO_BATCH: usize = 256;

impl<T: Real> Workspace<T> {
    /// For rows of `context` positions.
    pub fn new(config: &Config, context: usize) -> Self {
        let gradients = Gradients {
            stream: Vec::new(),
            before: Vec::new(),
            normed: Vec::new(),
            normed_queries: Vec::new(),
            attended: Vec::new(),
            q: Vec::new(),
            kv: Vec::new(),
            hidden: Vec::new(),
        };
        Workspace {
            plan: Plan::new(config, context),
            activations: Activations::new(config.layers),
            gradients,
            rows: (MICRO_BATCH / context.max(1)).max(1),
        }
    }
}

/// Adds the gradient of `scale * summed loss` over `rows` to `gradient` ([`Config::params_total`] values); returns the
/// summed loss. One thread; the same bits for the same arguments, and whether or not the matrices of `weights` were
/// `prepared` before.
///
/// # Panics
/// When a token or a target is not below the vocabulary, or the lengths disagree with `rows.context` and the workspace.
pub fn loss_and_gradient(
    weights: &Weights<f32>,
    prepared: Option<&Prepared>,
    rows: Rows<'_>,
    scale: f32,
    workspace: &mut Workspace<f32>,
    gradient: &mut [f32],
) -> LossSum {
    // Not generic, so that it is compiled in this crate, once, and optimised in every profile.
    shard(Ready { weights, prepared }, rows, scale, workspace, gradient)
}

/// [`loss_and_gradient`] in either precision.
fn shard<T: Real>(
    ready: Ready<'_, T>,
    rows: Rows<'_>,
    scale: T,
    workspace: &mut Workspace<T>,
    gradient: &mut [T],
) -> LossSum {
    let weights = ready.weights;
    assert_eq!(rows.tokens.len(), rows.targets.len(), "as many targets as tokens");
    assert_eq!(gradient.len(), weights.values.len(), "as many gradients as weights");
    let vocabulary = weights.config.vocabulary as u32;
    let known = rows.tokens.iter().all(|t| *t < vocabulary);
    assert!(known && rows.targets.iter().all(|t| *t < vocabulary || *t == IGNORE), "tokens below {vocabulary}");
    let mut loss = LossSum::default();
    let span = workspace.rows * rows.context;
    for (tokens, targets) in rows.tokens.chunks(span).zip(rows.targets.chunks(span)) {
        workspace.plan.lay(tokens.chunks(rows.context).zip(targets.chunks(rows.context)));
        if workspace.plan.columns.is_empty() {
            continue;
        }
        forward(ready, &workspace.plan, &mut workspace.activations);
        let (nats, scored) = cross_entropy(&mut workspace.activations.logits, &workspace.plan.targets, scale);
        loss.nats += nats;
        loss.scored += scored;
        backward(ready, workspace, gradient);
    }
    loss
}

/// From the gradient of the logits, which stands in their place, to `gradient`.
fn backward<T: Real>(ready: Ready<'_, T>, workspace: &mut Workspace<T>, gradient: &mut [T]) {
    let Workspace { plan, activations, gradients, .. } = workspace;
    let Weights { config, values } = ready.weights;
    let ends = config.ends();
    let count = plan.scored.count;
    let shape = Linear { outputs: config.vocabulary, inputs: config.width, positions: count };
    linear_backward_weight(shape, &activations.logits, &activations.normed, &mut gradient[ends.head.clone()]);
    let dnormed = &mut activations.normed;
    linear_backward_input(shape, ready.matrix(&ends.head), &activations.logits, dnormed, Write::Set);
    let stream = fit(&mut gradients.stream, config.width * count);
    stream.fill(T::ZERO);
    let of = Normed { x: &activations.x, gain: &values[ends.norm.clone()], inverse: &activations.inverse };
    rms_norm_backward(of, dnormed, stream, &mut gradient[ends.norm]);
    for number in (0..config.layers).rev() {
        let last = number + 1 == config.layers;
        let mut pass = Pass { ready, ranges: config.layer(number), plan, last, gradient: &mut *gradient };
        let layer = &mut activations.layers[number];
        pass.mlp(layer, gradients);
        pass.attention(layer, gradients);
        std::mem::swap(&mut gradients.stream, &mut gradients.before);
    }
    embed_backward(&gradients.stream, config.width, &plan.tokens, &mut gradient[ends.embedding]);
}

/// The backward pass of one layer.
struct Pass<'a, T> {
    ready: Ready<'a, T>,
    ranges: LayerRanges,
    plan: &'a Plan<T>,
    last: bool,
    gradient: &'a mut [T],
}

impl<'a, T: Real> Pass<'a, T> {
    /// The columns of the layer's queries.
    fn queries(&self) -> &'a Columns<T> {
        if self.last { &self.plan.scored } else { &self.plan.all }
    }

    /// From the gradient of the layer's output in `stream` to that of the stream between attention and MLP, in place.
    fn mlp(&mut self, layer: &mut Layer<T>, to: &mut Gradients<T>) {
        let Weights { config, values } = self.ready.weights;
        let count = layer.middle_inverse.len();
        let (down, gate_up, norm) = (&self.ranges.down, &self.ranges.gate_up, &self.ranges.mlp_norm);
        let shape = Linear { outputs: config.width, inputs: config.mlp_hidden, positions: count };
        let hidden = fit(&mut to.hidden, config.mlp_hidden * count);
        linear_backward_input(shape, self.ready.matrix(down), &to.stream, hidden, Write::Set);
        swiglu_backward(&mut layer.gate_up, hidden);
        linear_backward_weight(shape, &to.stream, hidden, &mut self.gradient[down.clone()]);

        let of = Normed { x: &layer.middle, gain: &values[norm.clone()], inverse: &layer.middle_inverse };
        let shape = Linear { outputs: 2 * config.mlp_hidden, inputs: config.width, positions: count };
        let normed = fit(&mut to.normed, config.width * count);
        rms_norm_again(of, normed);
        linear_backward_weight(shape, &layer.gate_up, normed, &mut self.gradient[gate_up.clone()]);
        linear_backward_input(shape, self.ready.matrix(gate_up), &layer.gate_up, normed, Write::Set);
        rms_norm_backward(of, normed, &mut to.stream, &mut self.gradient[norm.clone()]);
    }

    /// From the gradient of the stream behind attention, in `stream`, to that of the layer's input, in `before`.
    fn attention(&mut self, layer: &Layer<T>, to: &mut Gradients<T>) {
        let config = &self.ready.weights.config;
        let (all, queries) = (&self.plan.all, self.queries());
        let heads = config.attention_heads();
        let (q_channels, kv_channels) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
        let o = Linear { outputs: config.width, inputs: q_channels, positions: queries.count };
        let dattended = fit(&mut to.attended, q_channels * queries.count);
        linear_backward_weight(o, &to.stream, &layer.attended, &mut self.gradient[self.ranges.o.clone()]);
        linear_backward_input(o, self.ready.matrix(&self.ranges.o), &to.stream, dattended, Write::Set);

        fit(&mut to.q, q_channels * queries.count).fill(T::ZERO);
        fit(&mut to.kv, 2 * kv_channels * all.count).fill(T::ZERO);
        let (k, v) = layer.kv.split_at(kv_channels * all.count);
        let (dk, dv) = to.kv.split_at_mut(kv_channels * all.count);
        let of = Attention { heads, segments: &queries.segments, sees: &queries.sees, q: &layer.q, k, v };
        let made = Attended { max: &layer.max, inverse: &layer.sum, out: &layer.attended, dout: dattended };
        attention_backward(of, made, AttentionGradient { dq: &mut to.q, dk, dv });
        rope(&mut to.q, &queries.cos, &queries.sin, Turn::Backward);
        rope(dk, &all.cos, &all.sin, Turn::Backward);
        self.projections(layer, to);
    }

    /// From the gradients of queries, keys and values to that of the layer's input, in `before`.
    fn projections(&mut self, layer: &Layer<T>, to: &mut Gradients<T>) {
        let Weights { config, values } = self.ready.weights;
        let (width, all, count) = (config.width, self.plan.all.count, self.queries().count);
        let (q_range, kv_range, norm) = (&self.ranges.q, &self.ranges.kv, &self.ranges.attention_norm);
        let of = Normed { x: &layer.x, gain: &values[norm.clone()], inverse: &layer.inverse };
        let normed = fit(&mut to.normed, width * all);
        let before = fit(&mut to.before, width * all);
        let q = Linear { outputs: config.heads * config.head_dim, inputs: width, positions: count };
        let kv = Linear { outputs: 2 * config.kv_heads * config.head_dim, inputs: width, positions: all };
        rms_norm_again(of, normed);
        linear_backward_weight(kv, &to.kv, normed, &mut self.gradient[kv_range.clone()]);
        if self.last {
            let at_queries = fit(&mut to.normed_queries, width * count);
            gather(normed, all, &self.plan.columns, count, at_queries);
            linear_backward_weight(q, &to.q, at_queries, &mut self.gradient[q_range.clone()]);
            linear_backward_input(q, self.ready.matrix(q_range), &to.q, at_queries, Write::Set);
            linear_backward_input(kv, self.ready.matrix(kv_range), &to.kv, normed, Write::Set);
            scatter_add(at_queries, count, &self.plan.columns, all, normed);
            before.fill(T::ZERO);
            scatter_add(&to.stream, count, &self.plan.columns, all, before);
        } else {
            linear_backward_weight(q, &to.q, normed, &mut self.gradient[q_range.clone()]);
            linear_backward_input(q, self.ready.matrix(q_range), &to.q, normed, Write::Set);
            linear_backward_input(kv, self.ready.matrix(kv_range), &to.kv, normed, Write::Add);
            before.copy_from_slice(&to.stream);
        }
        rms_norm_backward(of, normed, before, &mut self.gradient[norm.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, config::tests::small};
    use saltus_random::Key;

    /// Tokens and targets of `rows` rows of `context`, about a third scored.
    fn data(config: &Config, rows: usize, context: usize) -> (Vec<u32>, Vec<u32>) {
        let at = |i: usize| (i * i * 7 + i / 3) as u32 % config.vocabulary as u32;
        let tokens: Vec<u32> = (0..rows * context).map(at).collect();
        let targets = (0..rows * context).map(|i| if i % 3 == 1 { at(i + 1) } else { IGNORE }).collect();
        (tokens, targets)
    }

    fn bidirectional(tied_embedding: bool) -> Config {
        let config = small(tied_embedding);
        Config { architecture: config.architecture.clone().bidirectional(), ..config }
    }

    fn run<T: Real>(weights: &Weights<T>, rows: Rows<'_>, scale: T) -> (LossSum, Vec<T>) {
        let mut gradient = vec![T::ZERO; weights.values.len()];
        let mut workspace = Workspace::new(&weights.config, rows.context);
        (shard(Ready { weights, prepared: None }, rows, scale, &mut workspace, &mut gradient), gradient)
    }

    /// Every coordinate against central differences of fourth order.
    fn check(config: &Config, rows: usize, context: usize) {
        let (tokens, targets) = data(config, rows, context);
        check_targets(config, Rows { context, tokens: &tokens, targets: &targets });
    }

    fn check_targets(config: &Config, rows: Rows<'_>) {
        let (targets, mut weights) = (rows.targets, Weights::init(config, Key::new(3)).cast::<f64>());
        let (loss, gradient) = run(&weights, rows, 0.5);
        assert_eq!(loss.scored, targets.iter().filter(|t| **t != IGNORE).count() as u64);
        let step = 1e-4;
        for (i, gradient) in gradient.iter().enumerate() {
            let old = weights.values[i];
            let mut at = |x: f64| {
                weights.values[i] = x;
                run(&weights, rows, 0.5).0.nats * 0.5
            };
            let mut across = |step: f64| at(old + step) - at(old - step);
            let difference = (8.0 * across(step) - across(2.0 * step)) / (12.0 * step);
            weights.values[i] = old;
            assert!((gradient - difference).abs() < 1e-9 * difference.abs().max(1.0), "{i}: {gradient} {difference}");
        }
    }

    #[test]
    fn gradient_is_that_of_finite_differences() {
        check(&small(false), 2, 9);
        check(&small(true), 2, 9);
        check(&Config { layers: 1, kv_heads: 4, ..small(false) }, 1, 20);
    }

    #[test]
    fn bidirectional_gradient_is_that_of_finite_differences() {
        check(&bidirectional(false), 2, 9);
        check(&bidirectional(true), 2, 18);
        // A row without a target, and one whose only target is its first token.
        let config = bidirectional(false);
        let (tokens, _) = data(&config, 3, 9);
        let targets: Vec<u32> = (0..27).map(|i| if i == 0 || i == 22 { 4 } else { IGNORE }).collect();
        check_targets(&config, Rows { context: 9, tokens: &tokens, targets: &targets });
    }

    /// What stands behind a target counts, and rows know nothing of each other.
    #[test]
    fn bidirectional_predictions_depend_on_their_whole_row_alone() {
        let config = bidirectional(false);
        let weights = Weights::init(&config, Key::new(5));
        let (tokens, _) = data(&config, 2, 12);
        let targets: Vec<u32> = (0..24).map(|i| if i == 3 { 4 } else { IGNORE }).collect();
        let nats = |tokens: &[u32]| run(&weights, Rows { context: 12, tokens, targets: &targets }, 1.0).0.nats;
        for at in 0..24 {
            let mut other = tokens.clone();
            other[at] = (other[at] + 1) % config.vocabulary as u32;
            assert_eq!(nats(&other) != nats(&tokens), at < 12, "{at}");
        }
    }

    /// Scored positions in runs of 16 fill the queries' blocks exactly, which once left keys and values with what was in
    /// the buffers before.
    #[test]
    fn gradient_holds_where_scored_positions_fill_blocks() {
        let (config, context) = (small(false), 52);
        for runs in [vec![(0, 16)], vec![(20, 36)], vec![(0, 16), (36, 52)], vec![(0, 32), (40, 41)]] {
            let (tokens, _) = data(&config, 1, context);
            let scored = |i: usize| runs.iter().any(|&(from, to)| (from..to).contains(&i));
            let target = |i: usize| if scored(i) { tokens[(i + 1) % context] } else { IGNORE };
            let targets: Vec<u32> = (0..context).map(target).collect();
            check_targets(&config, Rows { context, tokens: &tokens, targets: &targets });
        }
    }

    #[test]
    fn single_precision_agrees_with_double() {
        let architecture = Architecture::llama(8, 1000.0, 1e-5);
        let config = Config { width: 16, head_dim: 8, mlp_hidden: 24, architecture, ..small(false) };
        let weights = Weights::init(&config, Key::new(3));
        let (tokens, targets) = data(&config, 30, 24);
        let rows = Rows { context: 24, tokens: &tokens, targets: &targets };
        let (single, gradient) = run(&weights, rows, 0.01);
        let (double, exact) = run(&weights.cast::<f64>(), rows, 0.01);
        assert!((single.nats / double.nats - 1.0).abs() < 1e-6);
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
        let error = norm(&mut gradient.iter().zip(&exact).map(|(a, b)| f64::from(*a) - b));
        let most = if saltus_compute::training_bits() == 24 { 2e-6 } else { 4e-5 };
        assert!(error < most * norm(&mut exact.iter().copied()), "{error}");
    }

    #[test]
    fn the_same_call_gives_the_same_bits_in_a_used_workspace() {
        let config = small(false);
        let weights = Weights::init(&config, Key::new(5));
        let (tokens, targets) = data(&config, 13, 24);
        let rows = Rows { context: 24, tokens: &tokens, targets: &targets };
        let (loss, first) = run(&weights, rows, 1.0);
        let mut workspace = Workspace::new(&config, 24);
        for spoil in [f32::NAN, 1.0] {
            let mut spoiled = weights.clone();
            spoiled.values.iter_mut().for_each(|x| *x *= spoil);
            let mut gradient = vec![0.0; first.len()];
            let short = Rows { context: 21, tokens: &tokens[..5 * 21], targets: &targets[..5 * 21] };
            loss_and_gradient(&spoiled, None, short, 1.0, &mut workspace, &mut gradient);
            gradient.fill(0.0);
            assert_eq!(loss_and_gradient(&weights, None, rows, 1.0, &mut workspace, &mut gradient), loss);
            assert_eq!(gradient, first);
        }
    }

    #[test]
    fn matrices_made_ready_before_change_no_bit() {
        // Wide enough for a tile unit, and queries of another width than the stream.
        let config = Config { width: 80, mlp_hidden: 112, vocabulary: 300, ..small(true) };
        let mut prepared = Prepared::new(&config);
        for seed in [1, 2] {
            let weights = Weights::init(&config, Key::new(seed));
            prepared.matrices().iter_mut().for_each(|matrix| matrix.make(&weights));
            let (tokens, targets) = data(&config, 20, 24);
            let rows = Rows { context: 24, tokens: &tokens, targets: &targets };
            let (loss, expect) = run(&weights, rows, 1.0);
            let (mut workspace, mut gradient) = (Workspace::new(&config, 24), vec![0.0; expect.len()]);
            assert_eq!(loss_and_gradient(&weights, Some(&prepared), rows, 1.0, &mut workspace, &mut gradient), loss);
            assert!(gradient == expect, "bits differ");
        }
    }

    #[test]
    fn positions_that_are_not_scored_and_nothing_scored() {
        let config = small(false);
        let weights = Weights::init(&config, Key::new(5));
        let (tokens, targets) = data(&config, 2, 24);
        let none = vec![IGNORE; targets.len()];
        let (loss, gradient) = run(&weights, Rows { context: 24, tokens: &tokens, targets: &none }, 1.0);
        assert_eq!((loss, gradient.iter().all(|x| *x == 0.0)), (LossSum::default(), true));
        // What comes after the last scored position of a row changes nothing.
        let mut other = tokens.clone();
        let last = targets[..24].iter().rposition(|t| *t != IGNORE).unwrap();
        other[last + 1..24].fill(3);
        let rows = |tokens| Rows { context: 24, tokens, targets: &targets };
        assert_eq!(run(&weights, rows(&tokens), 1.0), run(&weights, rows(&other), 1.0));
    }
}
