//! Attention of one new position with a cache, for many sequences side by side.

use super::Heads;
use crate::real::{Real, V, vectorized};
use pulp::Simd;

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
    /// [`crate::attention`] for one new position of many sequences of equal length: q and out `[heads * head_dim, columns]`;
    /// the cache holds the new position too. The same bits as [`crate::attention`].
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
