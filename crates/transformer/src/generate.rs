//! Greedy generation with a key-value cache, many requests side by side.
//!
//! Requests run in lockstep from position 0, one column each: at every step all have equally many keys, so that nothing
//! is masked or padded; a request reads its context first and its own answer then. What it computes has the same bits
//! as the forward pass over the whole sequence.

use crate::{Config, Weights};
use saltus_compute::{
    Cached, Linear, Real, Turn, Write, attention_step, embed, linear, predictions, rms_norm, rope, rope_table, swiglu,
};
use saltus_lm::{GenerateRequest, TokenId};

/// Answers to `requests`, at most as many as `stepper` has columns, each of which fits the context.
pub(crate) fn greedy<T: Real>(
    weights: &Weights<T>,
    requests: &[&GenerateRequest],
    stepper: &mut Stepper<T>,
) -> Vec<Vec<TokenId>> {
    let mut answers = vec![Vec::new(); requests.len()];
    let mut done: Vec<bool> = requests.iter().map(|r| r.max_tokens == 0).collect();
    let first = requests.iter().map(|r| r.context.len()).min().unwrap_or(0);
    let mut tokens = vec![0; stepper.columns];
    stepper.forget();
    for position in 0.. {
        for (token, (request, answer)) in tokens.iter_mut().zip(requests.iter().zip(&answers)) {
            *token = match request.context.get(position) {
                Some(token) => *token,
                // Done requests repeat what they said last; nobody listens.
                None => answer.last().copied().unwrap_or(0),
            };
        }
        if done.iter().all(|d| *d) {
            return answers;
        }
        let wanted = position + 1 >= first;
        stepper.step(weights, position, &tokens, wanted);
        if !wanted {
            continue;
        }
        let said = stepper.predictions(weights);
        for ((request, answer), (done, said)) in requests.iter().zip(&mut answers).zip(done.iter_mut().zip(said)) {
            if !*done && position + 1 >= request.context.len() {
                if request.stop.contains(&said) {
                    *done = true;
                } else {
                    answer.push(said);
                    *done = answer.len() == request.max_tokens;
                }
            }
        }
    }
    answers
}

/// The cache and the activations of one position, allocated once.
pub(crate) struct Stepper<T> {
    columns: usize,
    /// Rotary cosines and sines of the whole context, `[head_dim / 2, context]`.
    tables: (Vec<T>, Vec<T>),
    /// For each layer the keys and the values so far, `[positions, kv_heads * head_dim, columns]`.
    caches: Vec<(Vec<T>, Vec<T>)>,
    /// Those of the position, in every column.
    cos: Vec<T>,
    sin: Vec<T>,
    /// `[width, columns]`: the residual stream, and normed; `[columns]`: inverse root mean squares.
    x: Vec<T>,
    normed: Vec<T>,
    inverse: Vec<T>,
    q: Vec<T>,
    kv: Vec<T>,
    attended: Vec<T>,
    gate_up: Vec<T>,
    hidden: Vec<T>,
    logits: Vec<T>,
}

impl<T: Real> Stepper<T> {
    /// For so many requests side by side, a multiple of [`saltus_compute::BLOCK`].
    pub(crate) fn new(config: &Config, columns: usize) -> Self {
        let positions: Vec<u32> = (0..config.context as u32).collect();
        let zeros = |channels: usize| vec![T::ZERO; channels * columns];
        let q = config.heads * config.head_dim;
        Stepper {
            columns,
            tables: rope_table(config.head_dim, config.rope_base, &positions),
            caches: vec![(Vec::new(), Vec::new()); config.layers],
            cos: zeros(config.head_dim / 2),
            sin: zeros(config.head_dim / 2),
            x: zeros(config.width),
            normed: zeros(config.width),
            inverse: zeros(1),
            q: zeros(q),
            kv: zeros(2 * config.kv_heads * config.head_dim),
            attended: zeros(q),
            gate_up: zeros(2 * config.mlp_hidden),
            hidden: zeros(config.mlp_hidden),
            logits: zeros(config.vocabulary),
        }
    }

    /// Empties the cache.
    fn forget(&mut self) {
        for (k, v) in &mut self.caches {
            k.clear();
            v.clear();
        }
    }

    /// Reads one token for each column, all at `position`; where no prediction is wanted, the last layer computes only
    /// its keys and values.
    fn step(&mut self, weights: &Weights<T>, position: usize, tokens: &[TokenId], wanted: bool) {
        let Weights { config, values } = weights;
        for (table, to) in [(&self.tables.0, &mut self.cos), (&self.tables.1, &mut self.sin)] {
            for (row, to) in table.chunks_exact(config.context).zip(to.chunks_exact_mut(self.columns)) {
                to.fill(row[position]);
            }
        }
        embed(&values[config.ends().embedding], config.width, tokens, &mut self.x);
        for layer in 0..config.layers {
            self.layer(weights, layer, wanted || layer + 1 < config.layers);
        }
    }

    fn layer(&mut self, weights: &Weights<T>, layer: usize, whole: bool) {
        let Weights { config, values } = weights;
        let (ranges, heads) = (config.layer(layer), config.attention_heads());
        let eps = T::from_f64(config.norm_eps);
        let columns = self.columns;
        let apply = |range: std::ops::Range<usize>, inputs: usize, x: &[T], y: &mut [T], write: Write| {
            let shape = Linear { outputs: range.len() / inputs, inputs, positions: columns };
            linear(shape, &values[range], x, y, write);
        };
        rms_norm(&self.x, &values[ranges.attention_norm], eps, &mut self.inverse, &mut self.normed);
        apply(ranges.kv, config.width, &self.normed, &mut self.kv, Write::Set);
        let (k, v) = self.kv.split_at_mut(heads.kv_heads * heads.head_dim * columns);
        rope(k, &self.cos, &self.sin, Turn::Forward);
        let (keys, of_values) = &mut self.caches[layer];
        keys.extend_from_slice(k);
        of_values.extend_from_slice(v);
        if !whole {
            return;
        }
        apply(ranges.q, config.width, &self.normed, &mut self.q, Write::Set);
        rope(&mut self.q, &self.cos, &self.sin, Turn::Forward);
        attention_step(heads, &self.q, Cached { k: keys, v: of_values, columns }, &mut self.attended);
        apply(ranges.o, heads.heads * heads.head_dim, &self.attended, &mut self.x, Write::Add);
        rms_norm(&self.x, &values[ranges.mlp_norm], eps, &mut self.inverse, &mut self.normed);
        apply(ranges.gate_up, config.width, &self.normed, &mut self.gate_up, Write::Set);
        swiglu(&self.gate_up, &mut self.hidden);
        apply(ranges.down, config.mlp_hidden, &self.hidden, &mut self.x, Write::Add);
    }

    /// The logits behind the last position read, `[vocabulary, columns]`.
    fn logits(&mut self, weights: &Weights<T>) -> &mut [T] {
        let Weights { config, values } = weights;
        let ends = config.ends();
        let eps = T::from_f64(config.norm_eps);
        rms_norm(&self.x, &values[ends.norm], eps, &mut self.inverse, &mut self.normed);
        let shape = Linear { outputs: config.vocabulary, inputs: config.width, positions: self.columns };
        linear(shape, &values[ends.head], &self.normed, &mut self.logits, Write::Set);
        &mut self.logits
    }

    /// The most probable next token of each column.
    fn predictions(&mut self, weights: &Weights<T>) -> Vec<TokenId> {
        let targets = vec![0; self.columns];
        predictions(self.logits(weights), &targets).into_iter().map(|p| p.argmax).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::tests::small,
        forward::{Activations, forward},
        plan::Plan,
    };
    use saltus_compute::BLOCK;
    use saltus_random::Key;

    #[test]
    fn the_cached_forward_has_the_bits_of_the_plain_one() {
        for config in [small(false), Config { width: 40, head_dim: 16, mlp_hidden: 104, ..small(true) }] {
            let weights = Weights::init(&config, Key::new(1));
            let columns = BLOCK;
            let token = |column: usize, t: usize| ((column * 5 + t * t) % config.vocabulary) as u32;
            let mut stepper = Stepper::new(&config, columns);
            let mut plan = Plan::new(&config, config.context);
            for length in 1..=config.context {
                let tokens: Vec<u32> = (0..columns).map(|c| token(c, length - 1)).collect();
                stepper.step(&weights, length - 1, &tokens, length % 4 > 0);
                if length % 4 == 0 {
                    continue;
                }
                let stepped = stepper.logits(&weights).to_vec();
                let whole: Vec<Vec<u32>> = (0..columns).map(|c| (0..length).map(|t| token(c, t)).collect()).collect();
                let mut targets = vec![crate::IGNORE; length];
                targets[length - 1] = 0;
                plan.lay(whole.iter().map(|tokens| (&tokens[..], &targets[..])));
                let mut activations = Activations::new(1);
                forward(&weights, &plan, &mut activations);
                assert_eq!(activations.logits, stepped, "{length}");
            }
        }
    }
}
