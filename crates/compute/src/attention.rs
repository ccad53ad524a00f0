//! Causal or bidirectional attention with grouped queries and its gradient (Vaswani et al., arXiv 1706.03762; Ainslie
//! et al., arXiv 2305.13245), in blocks that skip what is not seen and never store the whole attention matrix (Dao et
//! al., arXiv 2205.14135).
//!
//! Forward, the lanes run along a block of queries, so that the softmax over keys is made of whole-register
//! operations; backward, along a block of keys. Queries may be fewer than keys: with a loss on some positions alone,
//! the last layer needs no others.

mod backward;
mod paged;
#[cfg(test)]
mod tests;

pub use backward::{Attended, AttentionGradient, attention_backward};
pub use paged::{PAGE, Pages, Reader, SECOND_POOL, Weighing, attention_paged, value_stride};

use crate::{
    BLOCK, Write,
    matmul::{Matrix, MatrixMut, Size, product},
    real::{Real, V, vectorized},
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
    /// For each query column the last key of its sequence that it sees, with all before it; in order within a sequence.
    /// Its own position where attention is causal, the sequence's last where it is bidirectional. `sees.len()` is the
    /// number of query columns.
    pub sees: &'a [u32],
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
        (h * head_dim * self.sees.len(), h / (heads / kv_heads) * head_dim * self.key_columns())
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
        let columns = of.sees.len();
        for segment in of.segments {
            for head in 0..of.heads.heads {
                for start in segment.queries.clone().step_by(width) {
                    let block = start..segment.queries.end.min(start + width);
                    let (at, row) = (of.offsets(head).0, head * columns);
                    scratch.block(simd, &of, segment.keys.start, head, block.clone());
                    scratch.results(simd, &mut out[at..], columns, block.clone());
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
        let (columns, key_columns, scale) = (of.sees.len(), of.key_columns(), of.scale());
        let (at, kv_at) = of.offsets(head);
        let rows = self.query.chunks_exact_mut(width).enumerate();
        let scale_by = V::<S, T>::splat(simd, scale);
        for (c, to) in rows {
            let from = &of.q[at + c * columns..][block.clone()];
            if from.len() == width {
                for (to, from) in T::lanes_mut(simd, to).iter_mut().zip(T::lanes(simd, from)) {
                    *to = (V::new(simd, *from) * scale_by).value;
                }
            } else {
                to[from.len()..].fill(T::ZERO);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from * scale);
            }
        }
        let positions = &of.sees[block.clone()];
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
    }

    /// Divides the block's results by their sums, into the columns `block` of rows `columns` apart.
    #[inline(always)]
    fn results<S: Simd>(&self, simd: S, out: &mut [T], columns: usize, block: Range<usize>) {
        let width = self.position.len();
        for (row, to) in self.query.chunks_exact(width).zip(out.chunks_mut(columns)) {
            let to = &mut to[block.clone()];
            if to.len() == width {
                let lanes = T::lanes(simd, row).iter().zip(T::lanes(simd, &self.inverse));
                for (to, (x, inverse)) in T::lanes_mut(simd, to).iter_mut().zip(lanes) {
                    *to = (V::<S, T>::new(simd, *x) * V::new(simd, *inverse)).value;
                }
            } else {
                to.iter_mut().zip(row).zip(&self.inverse).for_each(|((to, x), inverse)| *to = *x * *inverse);
            }
        }
    }
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
        let (far, zero) = (V::<S, T>::splat(simd, T::from_f64(-1e30)), V::zero(simd));
        let (first, one) = (V::splat(simd, T::from_f64(all_see as f64)), V::splat(simd, T::ONE));
        let mut most = far;
        for x in scores[v..].iter().step_by(registers).take(all_see) {
            most = most.max(V::new(simd, *x));
        }
        let mut j = first;
        for x in scores[v..].iter().step_by(registers).skip(all_see) {
            most = most.max(V::new(simd, *x).where_at_most(j, position, far));
            j = j + one;
        }
        let mut total = zero;
        for x in scores[v..].iter_mut().step_by(registers).take(all_see) {
            let e = (V::<S, T>::new(simd, *x) - most).exp();
            *x = e.value;
            total = total + e;
        }
        let mut j = first;
        for x in scores[v..].iter_mut().step_by(registers).skip(all_see) {
            let e = (V::<S, T>::new(simd, *x) - most).exp().where_at_most(j, position, zero);
            *x = e.value;
            total = total + e;
            j = j + one;
        }
        *max = most.value;
        *inverse = (one / total).value;
    }
}
