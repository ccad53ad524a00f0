//! The gradient of attention, in blocks of keys: the lanes run along a block's keys, so that the gradients of keys and
//! values need no sums over lanes; the gradients of the scores are turned once for those of the queries.

use super::{Attention, Segment};
use crate::{
    BLOCK, Write,
    matmul::{Matrix, MatrixMut, Size, product},
    real::{Real, V, vectorized},
    transpose::transpose,
};
use pulp::Simd;

/// What [`crate::attention`] gave and the gradient of its result; both `[heads * head_dim, query columns]`, and the softmax's
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
    /// Gradient of [`crate::attention`], added to `to`.
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
                scratch.head(simd, &Head { of: &of, made: &made, segment, head }, &mut to);
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

/// One head of one sequence.
struct Head<'a, T> {
    of: &'a Attention<'a, T>,
    made: &'a Attended<'a, T>,
    segment: &'a Segment,
    head: usize,
}

impl<T: Real> Head<'_, T> {
    /// Columns of the queries, rounded up.
    fn padded(&self) -> usize {
        self.segment.queries.len().next_multiple_of(BLOCK)
    }
}

impl<T: Real> Backward<T> {
    #[inline(always)]
    fn head<S: Simd>(&mut self, simd: S, at: &Head<'_, T>, to: &mut AttentionGradient<'_, T>) {
        let Head { of, made, segment, head } = *at;
        let (columns, key_columns, scale, head_dim) = (of.sees.len(), of.key_columns(), of.scale(), of.heads.head_dim);
        let (query, kv) = of.offsets(head);
        self.along.fill(T::ZERO);
        for row in (query..).step_by(columns).take(head_dim) {
            let pairs = made.out[row..][segment.queries.clone()].iter().zip(&made.dout[row..][segment.queries.clone()]);
            for (along, (out, dout)) in self.along.iter_mut().zip(pairs) {
                *along += *out * *dout;
            }
        }
        self.dquery.fill(T::ZERO);
        let first = kv + segment.keys.start;
        for start in (0..segment.keys.len()).step_by(BLOCK) {
            let count = BLOCK.min(segment.keys.len() - start);
            for (c, (k, v)) in self.keys.chunks_exact_mut(BLOCK).zip(self.values.chunks_exact_mut(BLOCK)).enumerate() {
                let from = first + c * key_columns + start;
                copy_block(&of.k[from..][..count], k);
                copy_block(&of.v[from..][..count], v);
            }
            self.key_block(simd, at, start);
            for (c, (dk, dv)) in self.keys.chunks_exact(BLOCK).zip(self.values.chunks_exact(BLOCK)).enumerate() {
                let row = first + c * key_columns + start;
                add_scaled(simd, dk, scale, &mut to.dk[row..][..count]);
                add_scaled(simd, dv, T::ONE, &mut to.dv[row..][..count]);
            }
        }
        for (c, row) in self.dquery.chunks_exact(at.padded()).take(head_dim).enumerate() {
            add_scaled(simd, row, scale, &mut to.dq[query + c * columns..][segment.queries.clone()]);
        }
    }

    /// One block of keys, from `start`: leaves the gradients of keys (not yet scaled) and values in their places.
    #[inline(always)]
    fn key_block<S: Simd>(&mut self, simd: S, at: &Head<'_, T>, start: usize) {
        let Head { of, made, segment, head } = *at;
        let (columns, head_dim) = (of.sees.len(), of.heads.head_dim);
        let positions = &of.sees[segment.queries.clone()];
        // Queries before `from` see nothing of this block.
        let from = positions.partition_point(|p| (*p as usize) < start) / BLOCK * BLOCK;
        let Some(positions) = positions.get(from..).filter(|p| !p.is_empty()) else {
            self.keys.fill(T::ZERO);
            self.values.fill(T::ZERO);
            return;
        };
        let (rows, padded) = (positions.len(), at.padded() - from);
        let first = of.offsets(head).0 + segment.queries.start + from;
        let (q, dout) = (left(&of.q[first..], columns), left(&made.dout[first..], columns));
        let size = Size { m: rows, k: head_dim, n: BLOCK };
        product::<S, T, true>(simd, size, q, block(&self.keys), block_mut(&mut self.weights), Write::Set);
        product::<S, T, true>(simd, size, dout, block(&self.values), block_mut(&mut self.dweights), Write::Set);
        let softmax = head * columns + segment.queries.start + from;
        let each = EachQuery {
            positions,
            max: &made.max[softmax..],
            inverse: &made.inverse[softmax..],
            along: &self.along[from..],
        };
        let (weights, dweights) = (&mut self.weights[..rows * BLOCK], &mut self.dweights[..padded * BLOCK]);
        scores_backward(simd, &each, start, of.scale(), weights, dweights);
        dweights[rows * BLOCK..].fill(T::ZERO);

        let turned = &mut self.turned[..padded * BLOCK];
        transpose(simd, (padded, BLOCK), block(dweights), MatrixMut { data: &mut *turned, stride: padded });
        let size = Size { m: head_dim, k: BLOCK, n: padded };
        let to = MatrixMut { data: &mut self.dquery[from..], stride: at.padded() };
        product::<S, T, false>(simd, size, block(&self.keys), left(turned, padded), to, Write::Add);
        let size = Size { m: head_dim, k: rows, n: BLOCK };
        product::<S, T, false>(simd, size, q, block(dweights), block_mut(&mut self.keys), Write::Set);
        product::<S, T, false>(simd, size, dout, block(weights), block_mut(&mut self.values), Write::Set);
    }
}

/// Copies at most [`BLOCK`] numbers, and zeros behind them.
#[inline(always)]
pub(super) fn copy_block<T: Real>(from: &[T], to: &mut [T]) {
    // A length known to the compiler: one register instead of a call.
    match (from.first_chunk::<BLOCK>(), to.first_chunk_mut::<BLOCK>()) {
        (Some(from), Some(to)) => *to = *from,
        _ => {
            to[..from.len()].copy_from_slice(from);
            to[from.len()..].fill(T::ZERO);
        }
    }
}

/// `to += factor * from` over the length of `to`.
#[inline(always)]
fn add_scaled<S: Simd, T: Real>(simd: S, from: &[T], factor: T, to: &mut [T]) {
    let whole = to.len() / V::<S, T>::LANES * V::<S, T>::LANES;
    let scale = V::<S, T>::splat(simd, factor);
    for (to, from) in T::lanes_mut(simd, &mut to[..whole]).iter_mut().zip(T::lanes(simd, &from[..whole])) {
        *to = V::new(simd, *from).fma(scale, V::new(simd, *to)).value;
    }
    for (to, from) in to[whole..].iter_mut().zip(&from[whole..]) {
        *to += *from * factor;
    }
}

/// Rows `stride` apart.
fn left<T>(data: &[T], stride: usize) -> Matrix<'_, T> {
    Matrix { data, stride }
}

/// Rows of [`BLOCK`].
fn block_mut<T>(data: &mut [T]) -> MatrixMut<'_, T> {
    MatrixMut { data, stride: BLOCK }
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
    let key: [T; BLOCK] = std::array::from_fn(|j| T::from_f64((start + j) as f64));
    let scale = V::<S, T>::splat(simd, scale);
    let partly = each.positions.partition_point(|p| (*p as usize) < start + BLOCK - 1);
    let rows = weights.chunks_exact_mut(BLOCK).zip(dweights.chunks_exact_mut(BLOCK)).enumerate();
    for (i, (weights, dweights)) in rows {
        let max = V::<S, T>::splat(simd, each.max[i]);
        let inverse = V::<S, T>::splat(simd, each.inverse[i]);
        let along = V::<S, T>::splat(simd, each.along[i]);
        let lanes = T::lanes_mut(simd, weights).iter_mut().zip(T::lanes_mut(simd, dweights));
        for ((weight, dweight), key) in lanes.zip(T::lanes(simd, &key)) {
            let mut x = (V::<S, T>::new(simd, *weight) * scale - max).exp() * inverse;
            if i < partly {
                let here = V::splat(simd, T::from_f64(f64::from(each.positions[i])));
                x = x.where_at_most(V::new(simd, *key), here, V::zero(simd));
            }
            *weight = x.value;
            *dweight = (x * (V::new(simd, *dweight) - along)).value;
        }
    }
}
