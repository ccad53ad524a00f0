//! Causal attention with grouped queries and its gradient (Vaswani et al., arXiv 1706.03762; Ainslie et al.,
//! arXiv 2305.13245), in blocks that skip the future and never store the whole attention matrix (Dao et al.,
//! arXiv 2205.14135).
//!
//! Forward, the lanes run along a block of queries, so that the softmax over keys is made of whole-register
//! operations; backward, along a block of keys. Queries may be fewer than keys: with a loss on some positions alone,
//! the last layer needs no others.

use crate::{
    BLOCK, Write,
    matmul::{Matrix, MatrixMut, Size, product},
    real::{Real, V, vectorized},
    transpose::transpose,
};
use pulp::Simd;
use std::ops::Range;

/// How channels are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`: query head h reads key head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Channels of one head.
    pub head_dim: usize,
}

/// Columns of one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its keys and values: one column for each position of the sequence, in order.
    pub keys: Range<usize>,
    /// Its queries, in order of position.
    pub queries: Range<usize>,
}

/// What attention reads, after RoPE.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, T> {
    /// Division of the channels.
    pub heads: Heads,
    /// The sequences.
    pub segments: &'a [Segment],
    /// For each query column its position in its sequence: it sees the keys up to there. `positions.len()` is the
    /// number of query columns.
    pub positions: &'a [u32],
    /// `[heads * head_dim, query columns]`.
    pub q: &'a [T],
    /// `[kv_heads * head_dim, key columns]`.
    pub k: &'a [T],
    /// `[kv_heads * head_dim, key columns]`.
    pub v: &'a [T],
}

impl<T: Real> Attention<'_, T> {
    fn key_columns(&self) -> usize {
        self.k.len() / (self.heads.kv_heads * self.heads.head_dim)
    }
    /// Offsets of head `h` in the query and in the key arrays.
    fn offsets(&self, h: usize) -> (usize, usize) {
        let Heads { heads, kv_heads, head_dim } = self.heads;
        (h * head_dim * self.positions.len(), h / (heads / kv_heads) * head_dim * self.key_columns())
    }
    /// Scores are scaled by 1 / sqrt(head_dim).
    fn scale(&self) -> T {
        T::from_f64(1.0 / (self.heads.head_dim as f64).sqrt())
    }
    fn longest(&self) -> (usize, usize) {
        let most = |f: fn(&Segment) -> usize| self.segments.iter().map(f).max().unwrap_or(0);
        (most(|s| s.keys.len()), most(|s| s.queries.len()).next_multiple_of(BLOCK))
    }
}

/// What the softmax leaves for the gradient, `[heads, query columns]` each.
#[derive(Debug)]
pub struct Softmax<'a, T> {
    /// The largest score.
    pub max: &'a mut [T],
    /// 1 / the sum of e^(score - max).
    pub inverse: &'a mut [T],
}

vectorized! {
    /// `out[h] = sum over visible keys of softmax(q k / sqrt(head_dim)) v`, `[heads * head_dim, query columns]`.
    pub fn attention<T>(simd, of: Attention<'a, T>, softmax: Softmax<'a, T>, out: &'a mut [T]) {
        let (keys, _) = of.longest();
        let width = query_block(keys);
        let mut scratch = Forward {
            query: vec![T::ZERO; of.heads.head_dim * width],
            scores: vec![T::ZERO; keys * width],
            position: vec![T::ZERO; width],
            max: vec![T::ZERO; width],
            inverse: vec![T::ZERO; width],
        };
        let columns = of.positions.len();
        for segment in of.segments {
            for head in 0..of.heads.heads {
                for start in segment.queries.clone().step_by(width) {
                    let block = start..segment.queries.end.min(start + width);
                    let (at, row) = (of.offsets(head).0, head * columns);
                    scratch.block(simd, &of, segment.keys.start, head, block.clone());
                    for (c, values) in scratch.query.chunks_exact(width).enumerate() {
                        out[at + c * columns..][block.clone()].copy_from_slice(&values[..block.len()]);
                    }
                    softmax.max[row..][block.clone()].copy_from_slice(&scratch.max[..block.len()]);
                    softmax.inverse[row..][block.clone()].copy_from_slice(&scratch.inverse[..block.len()]);
                }
            }
        }
    }
}

/// Queries done together: more for longer sequences, where the triangle that a block computes in vain weighs less.
fn query_block(keys: usize) -> usize {
    match keys {
        0..128 => BLOCK,
        128..256 => 2 * BLOCK,
        _ => 4 * BLOCK,
    }
}

struct Forward<T> {
    /// The block's queries, then its results: `[head_dim, width]`.
    query: Vec<T>,
    /// `[keys, width]`.
    scores: Vec<T>,
    position: Vec<T>,
    max: Vec<T>,
    inverse: Vec<T>,
}

impl<T: Real> Forward<T> {
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, of: &Attention<'_, T>, first_key: usize, head: usize, block: Range<usize>) {
        let (width, head_dim) = (self.position.len(), of.heads.head_dim);
        let (columns, key_columns, scale) = (of.positions.len(), of.key_columns(), of.scale());
        let (at, kv_at) = of.offsets(head);
        for (c, to) in self.query.chunks_exact_mut(width).enumerate() {
            let from = &of.q[at + c * columns..][block.clone()];
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from * scale;
            }
            to[block.len()..].fill(T::ZERO);
        }
        let positions = &of.positions[block.clone()];
        self.position.fill(T::ZERO);
        for (to, from) in self.position.iter_mut().zip(positions) {
            *to = T::from_f64(f64::from(*from));
        }
        let visible = positions.last().map_or(0, |p| *p as usize + 1);
        let all_see = positions.first().map_or(0, |p| *p as usize + 1);
        let scores = &mut self.scores[..visible * width];
        let k = Matrix { data: &of.k[kv_at + first_key..], stride: key_columns };
        let size = Size { m: visible, k: head_dim, n: width };
        let query = Matrix { data: &self.query, stride: width };
        product::<S, T, true>(simd, size, k, query, MatrixMut { data: scores, stride: width }, Write::Set);
        softmax(simd, scores, all_see, &self.position, &mut self.max, &mut self.inverse);
        let v = Matrix { data: &of.v[kv_at + first_key..], stride: key_columns };
        let size = Size { m: head_dim, k: visible, n: width };
        let out = MatrixMut { data: &mut self.query, stride: width };
        product::<S, T, false>(simd, size, v, Matrix { data: scores, stride: width }, out, Write::Set);
        for row in self.query.chunks_exact_mut(width) {
            for (x, inverse) in T::lanes_mut(simd, row).iter_mut().zip(T::lanes(simd, &self.inverse)) {
                *x = (V::<S, T>::new(simd, *x) * V::new(simd, *inverse)).value;
            }
        }
    }
}

/// 1 where key `j` is visible from `position`, else 0; both are whole numbers.
#[inline(always)]
fn visible<S: Simd, T: Real>(simd: S, position: V<S, T>, j: V<S, T>) -> V<S, T> {
    let one = V::<S, T>::splat(simd, T::ONE);
    let above = (position - j + one).max(V::zero(simd));
    one - (one - above).max(V::zero(simd))
}

/// Turns scores `[keys, width]` into e^(score - max), 0 where a key lies in the future; the first `all_see` keys are
/// visible from the whole block.
#[inline(always)]
fn softmax<S: Simd, T: Real>(
    simd: S,
    scores: &mut [T],
    all_see: usize,
    position: &[T],
    max: &mut [T],
    inverse: &mut [T],
) {
    let registers = position.len() / V::<S, T>::LANES;
    let scores = T::lanes_mut(simd, scores);
    let each = T::lanes(simd, position).iter().zip(T::lanes_mut(simd, max)).zip(T::lanes_mut(simd, inverse));
    for (v, ((position, max), inverse)) in each.enumerate() {
        let position = V::<S, T>::new(simd, *position);
        let far = V::<S, T>::splat(simd, T::from_f64(-1e30));
        let mut most = far;
        for x in scores[v..].iter().step_by(registers).take(all_see) {
            most = most.max(V::new(simd, *x));
        }
        for (j, x) in scores[v..].iter_mut().step_by(registers).enumerate().skip(all_see) {
            let seen = visible(simd, position, V::splat(simd, T::from_f64(j as f64)));
            let masked = (V::splat(simd, T::ONE) - seen).fma(far, V::new(simd, *x) * seen);
            *x = masked.value;
            most = most.max(masked);
        }
        let mut total = V::<S, T>::zero(simd);
        for x in scores[v..].iter_mut().step_by(registers).take(all_see) {
            let e = (V::<S, T>::new(simd, *x) - most).exp();
            *x = e.value;
            total = total + e;
        }
        for (j, x) in scores[v..].iter_mut().step_by(registers).enumerate().skip(all_see) {
            let seen = visible(simd, position, V::splat(simd, T::from_f64(j as f64)));
            let e = (V::<S, T>::new(simd, *x) - most).exp() * seen;
            *x = e.value;
            total = total + e;
        }
        *max = most.value;
        *inverse = (V::splat(simd, T::ONE) / total).value;
    }
}

/// What [`attention`] gave and the gradient of its result; both `[heads * head_dim, query columns]`, and the softmax's
/// two rows for each head.
#[derive(Clone, Copy, Debug)]
pub struct Attended<'a, T> {
    /// The largest scores.
    pub max: &'a [T],
    /// The inverse sums.
    pub inverse: &'a [T],
    /// The result.
    pub out: &'a [T],
    /// The gradient of the result.
    pub dout: &'a [T],
}

/// Where the gradients are added; shapes of q, k and v.
#[derive(Debug)]
pub struct AttentionGradient<'a, T> {
    /// Gradient of q.
    pub dq: &'a mut [T],
    /// Gradient of k.
    pub dk: &'a mut [T],
    /// Gradient of v.
    pub dv: &'a mut [T],
}

vectorized! {
    /// Gradient of [`attention`], added to `to`.
    pub fn attention_backward<T>(simd, of: Attention<'a, T>, made: Attended<'a, T>, to: AttentionGradient<'a, T>) {
        let (_, queries) = of.longest();
        let head_dim = of.heads.head_dim;
        let mut scratch = Backward {
            keys: vec![T::ZERO; head_dim * BLOCK],
            values: vec![T::ZERO; head_dim * BLOCK],
            weights: vec![T::ZERO; queries * BLOCK],
            dweights: vec![T::ZERO; queries * BLOCK],
            turned: vec![T::ZERO; queries * BLOCK],
            along: vec![T::ZERO; queries],
            dquery: vec![T::ZERO; head_dim * queries],
        };
        let mut to = to;
        for segment in of.segments.iter().filter(|s| !s.queries.is_empty()) {
            for head in 0..of.heads.heads {
                scratch.head(simd, &of, &made, segment, head, &mut to);
            }
        }
    }
}

struct Backward<T> {
    /// One block of keys, then of their gradients: `[head_dim, BLOCK]`.
    keys: Vec<T>,
    values: Vec<T>,
    /// Attention weights and the gradients of the scores: `[queries, BLOCK]`.
    weights: Vec<T>,
    dweights: Vec<T>,
    /// The gradients of the scores turned: `[BLOCK, queries]`.
    turned: Vec<T>,
    /// For each query the sum over channels of out * dout.
    along: Vec<T>,
    /// The gradient of this head's queries: `[head_dim, queries]`.
    dquery: Vec<T>,
}

impl<T: Real> Backward<T> {
    #[inline(always)]
    fn head<S: Simd>(
        &mut self,
        simd: S,
        of: &Attention<'_, T>,
        made: &Attended<'_, T>,
        segment: &Segment,
        head: usize,
        to: &mut AttentionGradient<'_, T>,
    ) {
        let (columns, key_columns, scale) = (of.positions.len(), of.key_columns(), of.scale());
        let (at, kv_at) = of.offsets(head);
        let queries = segment.queries.len();
        let padded = queries.next_multiple_of(BLOCK);
        self.along.fill(T::ZERO);
        for c in 0..of.heads.head_dim {
            let row = at + c * columns;
            let pairs = made.out[row..][segment.queries.clone()].iter().zip(&made.dout[row..][segment.queries.clone()]);
            for (along, (out, dout)) in self.along.iter_mut().zip(pairs) {
                *along += *out * *dout;
            }
        }
        self.dquery.fill(T::ZERO);
        let first = kv_at + segment.keys.start;
        for start in (0..segment.keys.len()).step_by(BLOCK) {
            let count = BLOCK.min(segment.keys.len() - start);
            for (c, (k, v)) in self.keys.chunks_exact_mut(BLOCK).zip(self.values.chunks_exact_mut(BLOCK)).enumerate() {
                let from = first + c * key_columns + start;
                k[..count].copy_from_slice(&of.k[from..][..count]);
                v[..count].copy_from_slice(&of.v[from..][..count]);
                k[count..].fill(T::ZERO);
                v[count..].fill(T::ZERO);
            }
            self.key_block(simd, of, made, segment, head, start);
            for c in 0..of.heads.head_dim {
                let row = first + c * key_columns + start;
                let gradients = self.keys[c * BLOCK..].iter().zip(&self.values[c * BLOCK..]);
                let to = to.dk[row..][..count].iter_mut().zip(&mut to.dv[row..][..count]);
                for ((dk, dv), (key, value)) in to.zip(gradients) {
                    *dk += *key * scale;
                    *dv += *value;
                }
            }
        }
        for (c, row) in self.dquery[..of.heads.head_dim * padded].chunks_exact(padded).enumerate() {
            for (dq, x) in to.dq[at + c * columns..][segment.queries.clone()].iter_mut().zip(row) {
                *dq += *x * scale;
            }
        }
    }

    /// One block of keys, from `start`: leaves the gradients of keys (not yet scaled) and values in their places.
    #[inline(always)]
    fn key_block<S: Simd>(
        &mut self,
        simd: S,
        of: &Attention<'_, T>,
        made: &Attended<'_, T>,
        segment: &Segment,
        head: usize,
        start: usize,
    ) {
        let (columns, head_dim) = (of.positions.len(), of.heads.head_dim);
        let positions = &of.positions[segment.queries.clone()];
        let padded = positions.len().next_multiple_of(BLOCK);
        // Queries before `from` see nothing of this block.
        let from = positions.partition_point(|p| (*p as usize) < start) / BLOCK * BLOCK;
        let rows = positions.len() - from.min(positions.len());
        let query = of.offsets(head).0 + segment.queries.start + from;
        let left = |data| Matrix { data, stride: columns };
        let size = Size { m: rows, k: head_dim, n: BLOCK };
        let (weights, dweights) = (&mut self.weights[..rows * BLOCK], &mut self.dweights[..rows * BLOCK]);
        if rows > 0 {
            let to = MatrixMut { data: &mut *weights, stride: BLOCK };
            product::<S, T, true>(simd, size, left(&of.q[query..]), block(&self.keys), to, Write::Set);
            let to = MatrixMut { data: &mut *dweights, stride: BLOCK };
            product::<S, T, true>(simd, size, left(&made.dout[query..]), block(&self.values), to, Write::Set);
        }
        let softmax = head * columns + segment.queries.start + from;
        let each = EachQuery {
            positions: &positions[from.min(positions.len())..],
            max: &made.max[softmax..],
            inverse: &made.inverse[softmax..],
            along: &self.along[from..],
        };
        scores_backward(simd, &each, start, of.scale(), weights, dweights);
        if rows > 0 {
            self.dweights[rows * BLOCK..(padded - from) * BLOCK].fill(T::ZERO);
            let turned = &mut self.turned[..(padded - from) * BLOCK];
            let to = MatrixMut { data: &mut *turned, stride: padded - from };
            transpose(simd, (padded - from, BLOCK), block(&self.dweights), to);
            let size = Size { m: head_dim, k: BLOCK, n: padded - from };
            let keys = Matrix { data: &self.keys, stride: BLOCK };
            let to = MatrixMut { data: &mut self.dquery[from..], stride: padded };
            product::<S, T, false>(simd, size, keys, Matrix { data: turned, stride: padded - from }, to, Write::Add);
        }
        let (weights, dweights) = (&self.weights[..rows * BLOCK], &self.dweights[..rows * BLOCK]);
        let size = Size { m: head_dim, k: rows, n: BLOCK };
        let q = left(of.q.get(query..).unwrap_or_default());
        let to = MatrixMut { data: &mut self.keys, stride: BLOCK };
        product::<S, T, false>(simd, size, q, block(dweights), to, Write::Set);
        let dout = left(made.dout.get(query..).unwrap_or_default());
        let to = MatrixMut { data: &mut self.values, stride: BLOCK };
        product::<S, T, false>(simd, size, dout, block(weights), to, Write::Set);
    }
}

/// Rows of [`BLOCK`].
fn block<T>(data: &[T]) -> Matrix<'_, T> {
    Matrix { data, stride: BLOCK }
}

/// What belongs to each query of a block, in order.
struct EachQuery<'a, T> {
    positions: &'a [u32],
    max: &'a [T],
    inverse: &'a [T],
    along: &'a [T],
}

/// Turns products q k and dout v `[queries, BLOCK]` into attention weights and the gradients of the scores (before
/// scaling), for the keys from `start`.
#[inline(always)]
fn scores_backward<S: Simd, T: Real>(
    simd: S,
    each: &EachQuery<'_, T>,
    start: usize,
    scale: T,
    weights: &mut [T],
    dweights: &mut [T],
) {
    let scale = V::<S, T>::splat(simd, scale);
    let key: [T; BLOCK] = std::array::from_fn(|j| T::from_f64((start + j) as f64));
    let rows = weights.chunks_exact_mut(BLOCK).zip(dweights.chunks_exact_mut(BLOCK));
    for (i, (weights, dweights)) in rows.enumerate() {
        let max = V::<S, T>::splat(simd, each.max[i]);
        let inverse = V::<S, T>::splat(simd, each.inverse[i]);
        let along = V::<S, T>::splat(simd, each.along[i]);
        let position = each.positions[i] as usize;
        let here = V::<S, T>::splat(simd, T::from_f64(position as f64));
        let lanes = T::lanes_mut(simd, weights).iter_mut().zip(T::lanes_mut(simd, dweights));
        for ((weight, dweight), key) in lanes.zip(T::lanes(simd, &key)) {
            let mut x = (V::<S, T>::new(simd, *weight) * scale - max).exp() * inverse;
            if position < start + BLOCK - 1 {
                x = x * visible(simd, here, V::new(simd, *key));
            }
            *weight = x.value;
            *dweight = (x * (V::new(simd, *dweight) - along)).value;
        }
    }
}

/// Keys and values of `steps` positions for many sequences side by side, one column each: `[steps, kv_heads *
/// head_dim, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct Cached<'a, T> {
    /// Keys, after RoPE.
    pub k: &'a [T],
    /// Values.
    pub v: &'a [T],
    /// Sequences.
    pub columns: usize,
}

vectorized! {
    /// [`attention`] for one new position of many sequences of equal length: q and out `[heads * head_dim, columns]`;
    /// the cache holds the new position too. The same bits as [`attention`].
    pub fn attention_step<T>(simd, heads: Heads, q: &'a [T], cached: Cached<'a, T>, out: &'a mut [T]) {
        let Heads { heads, kv_heads, head_dim } = heads;
        let Cached { k, v, columns } = cached;
        let (lanes, at_once) = (V::<S, T>::LANES, kv_heads * head_dim * columns);
        let scale = V::<S, T>::splat(simd, T::from_f64(1.0 / (head_dim as f64).sqrt()));
        let mut scores = vec![V::<S, T>::zero(simd); k.len() / at_once];
        let mut query = vec![V::<S, T>::zero(simd); head_dim];
        for (head, column) in (0..heads).flat_map(|h| (0..columns).step_by(lanes).map(move |c| (h, c))) {
            let channel = |c: usize| (head * head_dim + c) * columns + column;
            let kv_channel = |c: usize| (head / (heads / kv_heads) * head_dim + c) * columns + column;
            for (c, query) in query.iter_mut().enumerate() {
                *query = vector(simd, q, channel(c)) * scale;
            }
            let mut most = V::<S, T>::splat(simd, T::from_f64(-1e30));
            for (score, k) in scores.iter_mut().zip(k.chunks_exact(at_once)) {
                *score = V::zero(simd);
                for (c, q) in query.iter().enumerate() {
                    *score = vector(simd, k, kv_channel(c)).fma(*q, *score);
                }
                most = most.max(*score);
            }
            let mut total = V::<S, T>::zero(simd);
            for score in &mut scores {
                *score = (*score - most).exp();
                total = total + *score;
            }
            let inverse = V::<S, T>::splat(simd, T::ONE) / total;
            for c in 0..head_dim {
                let mut sum = V::<S, T>::zero(simd);
                for (score, v) in scores.iter().zip(v.chunks_exact(at_once)) {
                    sum = vector(simd, v, kv_channel(c)).fma(*score, sum);
                }
                T::lanes_mut(simd, &mut out[channel(c)..][..lanes])[0] = (sum * inverse).value;
            }
        }
    }
}

/// One register from `at` on.
#[inline(always)]
fn vector<S: Simd, T: Real>(simd: S, x: &[T], at: usize) -> V<S, T> {
    V::new(simd, T::lanes(simd, &x[at..][..V::<S, T>::LANES])[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_close, assert_gradient, numbers};
    use proptest::prelude::*;

    /// Sequences of these (keys, queried positions), packed one after another.
    struct Case {
        heads: Heads,
        segments: Vec<Segment>,
        positions: Vec<u32>,
        keys: usize,
    }

    impl Case {
        fn new(heads: Heads, sequences: &[(usize, Vec<u32>)]) -> Self {
            let (mut segments, mut positions, mut keys) = (Vec::new(), Vec::new(), 0);
            for (length, queries) in sequences {
                segments.push(Segment {
                    keys: keys..keys + length,
                    queries: positions.len()..positions.len() + queries.len(),
                });
                keys += length;
                positions.extend(queries);
            }
            positions.resize(positions.len().next_multiple_of(BLOCK), 0);
            Case { heads, segments, positions, keys: keys.next_multiple_of(BLOCK) }
        }
        fn of<'a, T>(&'a self, q: &'a [T], k: &'a [T], v: &'a [T]) -> Attention<'a, T> {
            Attention { heads: self.heads, segments: &self.segments, positions: &self.positions, q, k, v }
        }
        fn forward<T: Real>(&self, q: &[T], k: &[T], v: &[T]) -> (Vec<T>, Vec<T>, Vec<T>) {
            let rows = vec![T::ZERO; self.heads.heads * self.positions.len()];
            let (mut max, mut inverse, mut out) = (rows.clone(), rows, vec![T::ZERO; q.len()]);
            attention(self.of(q, k, v), Softmax { max: &mut max, inverse: &mut inverse }, &mut out);
            (max, inverse, out)
        }
        fn inputs(&self) -> [Vec<f64>; 3] {
            let kv = self.heads.kv_heads * self.heads.head_dim * self.keys;
            [numbers(1, self.heads.heads * self.heads.head_dim * self.positions.len()), numbers(2, kv), numbers(3, kv)]
        }
        /// The definition, one query at a time.
        fn plain(&self, q: &[f64], k: &[f64], v: &[f64]) -> Vec<f64> {
            let Heads { heads, kv_heads, head_dim } = self.heads;
            let (columns, mut out) = (self.positions.len(), vec![0.0; q.len()]);
            for segment in &self.segments {
                for (h, i) in (0..heads).flat_map(|h| segment.queries.clone().map(move |i| (h, i))) {
                    let g = h / (heads / kv_heads);
                    let seen = segment.keys.start..=segment.keys.start + self.positions[i] as usize;
                    let at = |x: &[f64], head: usize, c: usize, stride: usize, i: usize| {
                        x[(head * head_dim + c) * stride + i]
                    };
                    let weight: Vec<f64> = seen
                        .clone()
                        .map(|j| {
                            (0..head_dim).map(|c| at(q, h, c, columns, i) * at(k, g, c, self.keys, j)).sum::<f64>()
                        })
                        .map(|s| (s / (head_dim as f64).sqrt()).exp())
                        .collect();
                    let total: f64 = weight.iter().sum();
                    for c in 0..head_dim {
                        let sum: f64 = seen.clone().zip(&weight).map(|(j, w)| w * at(v, g, c, self.keys, j)).sum();
                        out[(h * head_dim + c) * columns + i] = sum / total;
                    }
                }
            }
            out
        }
    }

    fn check(case: &Case) {
        let [q, k, v] = case.inputs();
        let (_, _, out) = case.forward(&q, &k, &v);
        assert_close(&out, &case.plain(&q, &k, &v), 1e-11);
        let single = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let (_, _, out32) = case.forward(&single(&q), &single(&k), &single(&v));
        assert_close(&out32.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), &out, 1e-5);
    }

    fn check_gradient(case: &Case) {
        let [q, k, v] = case.inputs();
        // Columns that belong to no sequence carry no gradient.
        let mut dout = numbers(4, q.len());
        let used = case.segments.last().unwrap().queries.end;
        dout.chunks_exact_mut(case.positions.len()).for_each(|row| row[used..].fill(0.0));
        let (max, inverse, out) = case.forward(&q, &k, &v);
        let [mut dq, mut dk, mut dv] = [&q, &k, &v].map(|x| vec![0.0; x.len()]);
        let made = Attended { max: &max, inverse: &inverse, out: &out, dout: &dout };
        let to = AttentionGradient { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        attention_backward(case.of(&q, &k, &v), made, to);
        let loss = |q: &[f64], k: &[f64], v: &[f64]| -> f64 {
            case.forward(q, k, v).2.iter().zip(&dout).map(|(y, dy)| y * dy).sum()
        };
        assert_gradient(&q, &dq, |q| loss(q, &k, &v));
        assert_gradient(&k, &dk, |k| loss(&q, k, &v));
        assert_gradient(&v, &dv, |v| loss(&q, &k, v));
    }

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let heads = Heads { heads: 4, kv_heads: 2, head_dim: 3 };
        check_gradient(&Case::new(
            heads,
            &[(5, vec![0, 1, 2, 3, 4]), (19, vec![2, 17, 18]), (3, vec![]), (2, vec![1])],
        ));
        let whole = |n: u32| (n as usize, (0..n).collect());
        check_gradient(&Case::new(Heads { heads: 1, kv_heads: 1, head_dim: 2 }, &[whole(33), whole(16)]));
    }

    #[test]
    fn a_step_with_the_cache_has_the_same_bits() {
        let (heads, columns, length) = (Heads { heads: 4, kv_heads: 2, head_dim: 3 }, BLOCK, 37);
        let (channels, kv) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
        let single = |seed, n| numbers(seed, n).iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let (q, k, v) =
            (single(1, channels * columns), single(2, length * kv * columns), single(3, length * kv * columns));
        let mut out = vec![0.0; q.len()];
        attention_step(heads, &q, Cached { k: &k, v: &v, columns }, &mut out);
        for column in [0, 5, columns - 1] {
            let case = Case::new(heads, &[(length, vec![length as u32 - 1])]);
            let turned = |x: &[f32]| -> Vec<f32> {
                let mut to = vec![0.0; kv * case.keys];
                for (t, c) in (0..length).flat_map(|t| (0..kv).map(move |c| (t, c))) {
                    to[c * case.keys + t] = x[(t * kv + c) * columns + column];
                }
                to
            };
            let mut one = vec![0.0; channels * BLOCK];
            (0..channels).for_each(|c| one[c * BLOCK] = q[c * columns + column]);
            let (_, _, whole) = case.forward(&one, &turned(&k), &turned(&v));
            let of = |x: &[f32], at: usize| (0..channels).map(|c| x[c * BLOCK + at].to_bits()).collect::<Vec<_>>();
            assert_eq!(of(&out, column), of(&whole, 0));
        }
    }

    #[test]
    fn long_sequences_use_wider_blocks() {
        let whole = |n: u32| (n as usize, (0..n).collect());
        let heads = Heads { heads: 2, kv_heads: 1, head_dim: 5 };
        check(&Case::new(heads, &[whole(130), whole(7)]));
        check(&Case::new(heads, &[whole(300), (290, vec![3, 77, 250, 289])]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocks_equal_the_definition(
            groups in 1usize..3, kv_heads in 1usize..3, head_dim in 1usize..9,
            sequences in proptest::collection::vec((1usize..70, 0u32..4), 1..4),
        ) {
            let queries = |n: usize, skip: u32| (0..n as u32).filter(|p| p % (skip + 1) == 0).collect();
            let sequences: Vec<_> = sequences.iter().map(|&(n, skip)| (n, queries(n, skip))).collect();
            check(&Case::new(Heads { heads: groups * kv_heads, kv_heads, head_dim }, &sequences));
        }
    }
}
