//! Attention to keys and values in pages: sequences of any lengths, each with its own list of pages, which several
//! sequences may share (Kwon et al., arXiv 2309.06180). The lanes run along the keys of a page, so that a single query
//! is as well served as many.

use super::Heads;
use crate::{
    BLOCK,
    activation::cap_lanes,
    matmul::prefetch,
    real::{Real, V, vectorized},
};
use pulp::Simd;
use std::ops::Range;

/// Positions of one page.
pub const PAGE: usize = BLOCK;

/// The keys and values of one layer, page after page, in two pools: one's own, and one that others read too.
///
/// A page of keys is `[kv_heads * head_dim, PAGE]`, one of values `[kv_heads, PAGE, value_stride(head_dim)]`.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a, T> {
    /// Keys, after positions have been turned in.
    pub k: [&'a [T]; 2],
    /// Values.
    pub v: [&'a [T]; 2],
}

/// Set in the numbers of pages that lie in the second pool.
pub const SECOND_POOL: u32 = 1 << 31;

/// The pool of a page, and its number there.
#[inline(always)]
fn pool_and_number(page: u32) -> (usize, usize) {
    (usize::from(page & SECOND_POOL != 0), (page & !SECOND_POOL) as usize)
}

/// Channels of one value in its page: whole registers.
pub fn value_stride(head_dim: usize) -> usize {
    head_dim.next_multiple_of(BLOCK)
}

/// Which keys a query weighs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Weighing<'a, T> {
    /// Division of the channels.
    pub heads: Heads,
    /// Factor of the products.
    pub scale: T,
    /// Scores are held within this: `cap * tanh(score / cap)` (Gemma 2, arXiv 2408.00118).
    pub soft_cap: Option<T>,
    /// A query sees its own position and those before it; without this, all of them.
    pub causal: bool,
    /// A query sees at most so many positions up to its own.
    pub window: Option<usize>,
    /// For each query head the slope of ALiBi (Press et al., arXiv 2108.12409); empty without.
    pub slopes: &'a [T],
}

/// The queries of one sequence among the columns.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// Its pages.
    pub pages: &'a [u32],
    /// Its keys; those of the queries are among them.
    pub keys: usize,
    /// The columns that hold its queries.
    pub columns: Range<usize>,
    /// The position of each of those queries.
    pub positions: &'a [u32],
    /// The query heads at work: whole groups that share a key head, or some heads of one group.
    pub heads: Range<usize>,
}

impl Reader<'_> {
    /// The same reader where its columns lie `by` further left.
    pub fn moved_left(self, by: usize) -> Self {
        Reader { columns: self.columns.start - by..self.columns.end - by, ..self }
    }
}

/// Rows (a query of one head) weighed together.
const ROWS: usize = 8;

vectorized! {
    /// Attention of the reader's heads. `q` and `out` hold these heads alone, `[heads.len() * head_dim, columns]`; `pattern`,
    /// if not empty, gets the weights `[heads.len(), queries, keys]`.
    pub fn attention_paged<T>(
        simd,
        by: Weighing<'a, T>,
        pages: Pages<'a, T>,
        reader: Reader<'a>,
        q: &'a [T],
        out: &'a mut [T],
        pattern: &'a mut [T],
    ) {
        let lanes = V::<S, T>::LANES;
        let room = vec![T::ZERO; by.heads.heads / by.heads.kv_heads * by.heads.head_dim * BLOCK];
        let work = Work { by, pages, reader, q, out, pattern, asked: room.clone(), mixed: room };
        // Accumulators must fit the registers: a page is one or more of them.
        match (BLOCK / lanes, S::REGISTER_COUNT >= 32) {
            (1, _) => work.run::<S, 1>(simd),
            (2, _) => work.run::<S, 2>(simd),
            (4, _) => work.run::<S, 4>(simd),
            (8, _) => work.run::<S, 8>(simd),
            _ => work.run::<S, 16>(simd),
        }
    }
}

/// Copies as many queries as there are, often one, for which a call would take longer than the copy.
#[inline(always)]
fn copy<T: Real>(from: &[T], to: &mut [T]) {
    match (from, to) {
        ([from], [to]) => *to = *from,
        (from, to) => to.copy_from_slice(from),
    }
}

struct Work<'a, T> {
    by: Weighing<'a, T>,
    pages: Pages<'a, T>,
    reader: Reader<'a>,
    q: &'a [T],
    out: &'a mut [T],
    pattern: &'a mut [T],
    /// A block of queries of the heads of one group, `[group * head_dim, BLOCK]`: columns may lie far apart in memory.
    asked: Vec<T>,
    /// What they get.
    mixed: Vec<T>,
}

/// One row: a query of one head.
#[derive(Clone, Copy)]
struct Row {
    /// Among the heads of the call.
    head: usize,
    /// Among the sequence's queries.
    query: usize,
    /// Where its first channel lies in a block of queries.
    at: usize,
}

impl<T: Real> Work<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(mut self, simd: S) {
        // Whole groups, or a part of one.
        let group = (self.by.heads.heads / self.by.heads.kv_heads).min(self.reader.heads.len());
        let queries = self.reader.columns.len();
        let keys = self.reader.keys.next_multiple_of(PAGE);
        let mut scores = vec![T::ZERO; ROWS * keys];
        let mut tile = vec![T::ZERO; ROWS * self.by.heads.head_dim];
        let mut rows = [Row { head: 0, query: 0, at: 0 }; ROWS];
        for first in (0..self.reader.heads.len()).step_by(group) {
            for begin in (0..queries).step_by(BLOCK) {
                let block = begin..(begin + BLOCK).min(queries);
                self.ask(first, group, block.clone());
                // The heads of a group for one query, then for the next: neighbours see nearly the same keys.
                let count = group * block.len();
                for from in (0..count).step_by(ROWS) {
                    let used = ROWS.min(count - from);
                    for (i, row) in rows.iter_mut().enumerate() {
                        let number = from + i.min(used - 1);
                        let (head, query) = (number % group, number / group);
                        let at = head * self.by.heads.head_dim * BLOCK + query;
                        *row = Row { head: first + head, query: begin + query, at };
                    }
                    self.tile::<S, R>(simd, &rows, used, &mut tile, &mut scores);
                }
                self.answer(first, group, block);
            }
        }
    }

    /// Where some queries of a channel of the call's heads lie in `q` and `out`.
    #[inline(always)]
    fn place(&self, channel: usize, queries: &Range<usize>) -> Range<usize> {
        let columns = self.q.len() / (self.reader.heads.len() * self.by.heads.head_dim);
        let start = channel * columns + self.reader.columns.start;
        start + queries.start..start + queries.end
    }

    /// Takes a block of queries of a group of heads.
    #[inline(always)]
    fn ask(&mut self, first: usize, group: usize, queries: Range<usize>) {
        let head_dim = self.by.heads.head_dim;
        for c in 0..group * head_dim {
            let from = &self.q[self.place(first * head_dim + c, &queries)];
            copy(from, &mut self.asked[c * BLOCK..][..queries.len()]);
        }
    }

    /// Hands out what they get.
    #[inline(always)]
    fn answer(&mut self, first: usize, group: usize, queries: Range<usize>) {
        let head_dim = self.by.heads.head_dim;
        for c in 0..group * head_dim {
            let to = self.place(first * head_dim + c, &queries);
            copy(&self.mixed[c * BLOCK..][..queries.len()], &mut self.out[to]);
        }
    }

    /// The keys that a row sees.
    #[inline(always)]
    fn seen(&self, row: Row) -> Range<usize> {
        let position = self.reader.positions[row.query] as usize;
        let end = if self.by.causal { (position + 1).min(self.reader.keys) } else { self.reader.keys };
        let start = self.by.window.map_or(0, |window| (position + 1).saturating_sub(window));
        start.min(end)..end
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize>(
        &mut self,
        simd: S,
        rows: &[Row; ROWS],
        used: usize,
        tile: &mut [T],
        scores: &mut [T],
    ) {
        let head_dim = self.by.heads.head_dim;
        for (c, to) in tile.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            for (to, row) in to.iter_mut().zip(rows) {
                *to = self.asked[row.at + c * BLOCK] * self.by.scale;
            }
        }
        let all = rows.iter().map(|row| self.seen(*row));
        let start = all.clone().map(|seen| seen.start).min().unwrap_or(0) / PAGE;
        let end = all.map(|seen| seen.end).max().unwrap_or(0).div_ceil(PAGE);
        let kv_head = (self.reader.heads.start + rows[0].head) / (self.by.heads.heads / self.by.heads.kv_heads);
        let stride = scores.len() / ROWS;
        if used <= ROWS / 2 {
            self.products::<S, R, { ROWS / 2 }>(simd, kv_head, start..end, tile, scores);
        } else {
            self.products::<S, R, ROWS>(simd, kv_head, start..end, tile, scores);
        }
        let mut totals = [T::ONE; ROWS];
        for ((row, scores), total) in rows.iter().zip(scores.chunks_exact_mut(stride)).zip(&mut totals).take(used) {
            *total = self.softmax(simd, *row, start * PAGE..end * PAGE, scores);
        }
        for ((row, scores), total) in rows.iter().zip(scores.chunks_exact(stride)).zip(totals).take(used) {
            self.note(*row, scores, total);
        }
        for at in (0..head_dim).step_by(BLOCK) {
            if used <= ROWS / 2 {
                self.mix::<S, R, { ROWS / 2 }>(simd, (kv_head, at), start..end, (rows, used, &totals), scores);
            } else {
                self.mix::<S, R, ROWS>(simd, (kv_head, at), start..end, (rows, used, &totals), scores);
            }
        }
    }

    /// Scores of `N` rows for the keys of some pages.
    #[inline(always)]
    fn products<S: Simd, const R: usize, const N: usize>(
        &self,
        simd: S,
        kv_head: usize,
        pages: Range<usize>,
        tile: &[T],
        scores: &mut [T],
    ) {
        let Heads { kv_heads, head_dim, .. } = self.by.heads;
        let (size, stride) = (kv_heads * head_dim * PAGE, scores.len() / ROWS);
        for number in pages {
            let (pool, page) = pool_and_number(self.reader.pages[number]);
            let values = (page * kv_heads + kv_head) * PAGE * value_stride(head_dim);
            let page = page * size + kv_head * head_dim * PAGE;
            let keys = T::lanes(simd, &self.pages.k[pool][page..][..head_dim * PAGE]).as_chunks::<R>().0;
            let next = self.reader.pages.get(number + 1).map(|page| pool_and_number(*page));
            let mut sums = [[V::<S, T>::zero(simd); R]; N];
            for (c, (key, queries)) in keys.iter().zip(tile.as_chunks::<ROWS>().0).enumerate() {
                // Few queries wait for memory: the next page's keys and this one's values are asked for.
                if N < ROWS {
                    if let Some((pool, page)) = next {
                        prefetch(self.pages.k[pool], page * size + (kv_head * head_dim + c) * PAGE);
                    }
                    prefetch(self.pages.v[pool], values + c * PAGE);
                }
                for (sums, query) in sums.iter_mut().zip(queries) {
                    let query = V::splat(simd, *query);
                    for (sum, key) in sums.iter_mut().zip(key) {
                        *sum = query.fma(V::new(simd, *key), *sum);
                    }
                }
            }
            for (sums, scores) in sums.iter().zip(scores.chunks_exact_mut(stride)) {
                for (to, sum) in T::lanes_mut(simd, &mut scores[number * PAGE..][..PAGE]).iter_mut().zip(sums) {
                    *to = sum.value;
                }
            }
        }
    }

    /// Turns the scores of one row over `keys` into e^(score - max), 0 where it does not see; returns their sum.
    #[inline(always)]
    fn softmax<S: Simd>(&self, simd: S, row: Row, keys: Range<usize>, scores: &mut [T]) -> T {
        let seen = self.seen(row);
        let far = T::from_f64(-1e30);
        if let Some(cap) = self.by.soft_cap {
            cap_lanes(simd, &mut scores[keys.clone()], cap);
        }
        if let Some(slope) = self.by.slopes.get(self.reader.heads.start + row.head) {
            for (j, x) in scores[seen.clone()].iter_mut().enumerate() {
                let back = f64::from(self.reader.positions[row.query]) - (seen.start + j) as f64;
                *x = *x - *slope * T::from_f64(back);
            }
        }
        scores[keys.start..seen.start].fill(far);
        scores[seen.end..keys.end].fill(far);
        let registers = T::lanes_mut(simd, &mut scores[keys.clone()]);
        let mut most = V::<S, T>::splat(simd, far);
        for x in registers.iter() {
            most = most.max(V::new(simd, *x));
        }
        let most = V::splat(simd, most.largest());
        for x in registers {
            *x = (V::<S, T>::new(simd, *x) - most).exp().value;
        }
        scores[keys.start..seen.start].fill(T::ZERO);
        scores[seen.end..keys.end].fill(T::ZERO);
        let mut total = V::<S, T>::zero(simd);
        for x in T::lanes(simd, &scores[keys]) {
            total = total + V::new(simd, *x);
        }
        total.sum()
    }

    /// Hands out the row's weights, where they are wanted.
    #[inline(always)]
    fn note(&mut self, row: Row, scores: &[T], total: T) {
        if self.pattern.is_empty() {
            return;
        }
        let (queries, seen) = (self.reader.columns.len(), self.seen(row));
        let to = &mut self.pattern[(row.head * queries + row.query) * self.reader.keys..][..self.reader.keys];
        to.fill(T::ZERO);
        for (to, score) in to[seen.clone()].iter_mut().zip(&scores[seen]) {
            *to = *score / total;
        }
    }

    /// The weighted mean of the values, channels `at` to `at + BLOCK` of the head.
    #[inline(always)]
    fn mix<S: Simd, const R: usize, const N: usize>(
        &mut self,
        simd: S,
        (kv_head, at): (usize, usize),
        pages: Range<usize>,
        (rows, used, totals): (&[Row; ROWS], usize, &[T; ROWS]),
        scores: &[T],
    ) {
        let Heads { kv_heads, head_dim, .. } = self.by.heads;
        let (width, stride) = (value_stride(head_dim), scores.len() / ROWS);
        let mut sums = [[V::<S, T>::zero(simd); R]; N];
        let weights: [&[T]; N] = std::array::from_fn(|r| &scores[r * stride..][..stride]);
        for number in pages {
            let (pool, page) = pool_and_number(self.reader.pages[number]);
            let page = (page * kv_heads + kv_head) * PAGE * width;
            for key in 0..PAGE {
                let value = T::lanes(simd, &self.pages.v[pool][page + key * width + at..][..BLOCK]).as_chunks::<R>().0;
                for (sums, weights) in sums.iter_mut().zip(&weights) {
                    let weight = V::splat(simd, weights[number * PAGE + key]);
                    for (sum, value) in sums.iter_mut().zip(value.iter().flatten()) {
                        *sum = weight.fma(V::new(simd, *value), *sum);
                    }
                }
            }
        }
        let mut mixed = [T::ZERO; BLOCK];
        for ((sums, row), total) in sums.iter().zip(rows).zip(totals).take(used) {
            for (to, sum) in T::lanes_mut(simd, &mut mixed).iter_mut().zip(sums) {
                *to = sum.value;
            }
            for (c, x) in (at..head_dim).zip(&mixed) {
                self.mixed[row.at + c * BLOCK] = *x / *total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attention, Segment, Softmax, attention, check::numbers};
    use proptest::prelude::*;

    /// Keys and values `[channels, keys]` laid into pages in an odd order, with spoiled room between.
    fn pages(heads: Heads, keys: usize, k: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<u32>) {
        let (channels, width) = (heads.kv_heads * heads.head_dim, value_stride(heads.head_dim));
        let count = keys.div_ceil(PAGE);
        let list: Vec<u32> = (0..count as u32).rev().map(|p| 2 * p + 1).collect();
        let mut pk = vec![1e6; 2 * count * channels * PAGE];
        let mut pv = vec![1e6; 2 * count * heads.kv_heads * width * PAGE];
        for j in 0..keys {
            let page = list[j / PAGE] as usize;
            for c in 0..channels {
                pk[(page * channels + c) * PAGE + j % PAGE] = k[c * keys + j];
                let (head, c_in) = (c / heads.head_dim, c % heads.head_dim);
                pv[((page * heads.kv_heads + head) * PAGE + j % PAGE) * width + c_in] = v[c * keys + j];
            }
        }
        (pk, pv, list)
    }

    /// The definition, one query of one head at a time.
    fn plain(by: Weighing<'_, f64>, keys: usize, positions: &[u32], q: &[f64], k: &[f64], v: &[f64]) -> Vec<f64> {
        let Heads { heads, kv_heads, head_dim } = by.heads;
        let columns = positions.len();
        let mut out = vec![0.0; q.len()];
        for (head, (i, position)) in (0..heads).flat_map(|h| positions.iter().enumerate().map(move |p| (h, p))) {
            let kv = head / (heads / kv_heads) * head_dim;
            let score = |j: usize| {
                let dot: f64 =
                    (0..head_dim).map(|c| q[(head * head_dim + c) * columns + i] * k[(kv + c) * keys + j]).sum();
                let dot = dot * by.scale;
                let dot = by.soft_cap.map_or(dot, |cap| cap * (dot / cap).tanh());
                let position = f64::from(*position);
                let hidden = by.causal && j as f64 > position;
                let outside = by.window.is_some_and(|w| j as f64 <= position - w as f64);
                let slope = by.slopes.get(head).copied().unwrap_or(0.0);
                if hidden || outside { 0.0 } else { (dot - slope * (position - j as f64)).exp() }
            };
            let total: f64 = (0..keys).map(score).sum();
            for c in 0..head_dim {
                let sum: f64 = (0..keys).map(|j| score(j) * v[(kv + c) * keys + j]).sum();
                out[(head * head_dim + c) * columns + i] = sum / total;
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn equals_the_definition(
            groups in 1usize..4, kv_heads in 1usize..3, half in 1usize..20, keys in 1usize..70, late in 0usize..60,
            variant in 0usize..5,
        ) {
            let heads = Heads { heads: groups * kv_heads, kv_heads, head_dim: 2 * half };
            let slopes: Vec<f64> = (0..heads.heads).map(|h| 0.5f64.powi(h as i32 + 1)).collect();
            let by = Weighing {
                heads,
                scale: 0.4,
                soft_cap: (variant == 1).then_some(1.5),
                causal: variant != 2,
                window: (variant == 3).then_some(7),
                slopes: if variant == 4 { &slopes } else { &[] },
            };
            let first = late.min(keys - 1);
            let positions: Vec<u32> = (first as u32..keys as u32).collect();
            let queries = positions.len();
            let q = numbers(1, heads.heads * heads.head_dim * queries);
            let k = numbers(2, kv_heads * heads.head_dim * keys);
            let v = numbers(3, kv_heads * heads.head_dim * keys);
            let (pk, pv, list) = pages(heads, keys, &k, &v);
            let expect = plain(by, keys, &positions, &q, &k, &v);
            let reader = Reader { pages: &list, keys, columns: 0..queries, positions: &positions, heads: 0..heads.heads };
            let mut out = vec![0.0; q.len()];
            let mut pattern = vec![0.0; heads.heads * queries * keys];
            // Every third page lies in the second pool, and is spoiled in the first.
            let (mut own_k, mut own_v, mut both) = (pk.clone(), pv.clone(), list.clone());
            for page in both.iter_mut().step_by(3) {
                for pool in [&mut own_k, &mut own_v] {
                    let size = pool.len() / (2 * list.len());
                    pool[*page as usize * size..][..size].fill(1e6);
                }
                *page |= SECOND_POOL;
            }
            let reader = Reader { pages: &both, ..reader };
            let pool = Pages { k: [&own_k, &pk], v: [&own_v, &pv] };
            attention_paged(by, pool, reader.clone(), &q, &mut out, &mut pattern);
            for (is, should) in out.iter().zip(&expect) {
                prop_assert!((is - should).abs() < 1e-12, "{is} {should}");
            }
            for weights in pattern.chunks(keys) {
                prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
            // One group of heads alone.
            let one = groups * heads.head_dim * queries;
            let mut part = vec![0.0; one];
            let again = reader.clone();
            attention_paged(by, pool, Reader { heads: 0..groups, ..reader }, &q[..one], &mut part, &mut []);
            prop_assert_eq!(&part[..], &out[..one]);
            // The last head alone.
            let last = (heads.heads - 1) * heads.head_dim * queries;
            let mut part = vec![0.0; q.len() - last];
            let reader = Reader { heads: heads.heads - 1..heads.heads, ..again };
            attention_paged(by, pool, reader, &q[last..], &mut part, &mut []);
            prop_assert_eq!(&part[..], &out[last..]);
        }
    }

    #[test]
    fn agrees_with_attention_over_columns() {
        let heads = Heads { heads: 4, kv_heads: 2, head_dim: 8 };
        let keys = 3 * BLOCK;
        let positions: Vec<u32> = (0..keys as u32).collect();
        let [q, k, v] = [(1, 4), (2, 2), (3, 2)].map(|(seed, heads)| numbers(seed, heads * 8 * keys));
        let mut expect = vec![0.0; q.len()];
        let (mut max, mut inverse) = (vec![0.0; 4 * keys], vec![0.0; 4 * keys]);
        let segments = [Segment { keys: 0..keys, queries: 0..keys }];
        let of = Attention { heads, segments: &segments, sees: &positions, q: &q, k: &k, v: &v };
        attention(of, Softmax { max: &mut max, inverse: &mut inverse }, &mut expect);
        let (pk, pv, list) = pages(heads, keys, &k, &v);
        let by = Weighing { heads, scale: 1.0 / 8f64.sqrt(), soft_cap: None, causal: true, window: None, slopes: &[] };
        let reader = Reader { pages: &list, keys, columns: 0..keys, positions: &positions, heads: 0..4 };
        let mut out = vec![0.0; q.len()];
        attention_paged(by, Pages { k: [&pk, &[]], v: [&pv, &[]] }, reader, &q, &mut out, &mut []);
        assert!(out.iter().zip(&expect).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
