//! Attention against its definition, its gradient against differences, the cached step against the whole.

use super::*;
use crate::check::{assert_close, assert_gradient, numbers};
use proptest::prelude::*;

/// Sequences of these (keys, queried positions), packed one after another; causal, or each query sees all keys.
struct Case {
    heads: Heads,
    segments: Vec<Segment>,
    sees: Vec<u32>,
    keys: usize,
}

impl Case {
    fn new(heads: Heads, sequences: &[(usize, Vec<u32>)]) -> Self {
        let (mut segments, mut sees, mut keys) = (Vec::new(), Vec::new(), 0);
        for (length, queries) in sequences {
            segments.push(Segment { keys: keys..keys + length, queries: sees.len()..sees.len() + queries.len() });
            keys += length;
            sees.extend(queries);
        }
        sees.resize(sees.len().next_multiple_of(BLOCK), 0);
        Case { heads, segments, sees, keys: keys.next_multiple_of(BLOCK) }
    }
    fn bidirectional(mut self) -> Self {
        for Segment { keys, queries } in &self.segments {
            self.sees[queries.clone()].fill(keys.len() as u32 - 1);
        }
        self
    }
    fn of<'a, T>(&'a self, q: &'a [T], k: &'a [T], v: &'a [T]) -> Attention<'a, T> {
        Attention { heads: self.heads, segments: &self.segments, sees: &self.sees, q, k, v }
    }
    fn forward<T: Real>(&self, q: &[T], k: &[T], v: &[T]) -> (Vec<T>, Vec<T>, Vec<T>) {
        let rows = vec![T::ZERO; self.heads.heads * self.sees.len()];
        let (mut max, mut inverse, mut out) = (rows.clone(), rows, vec![T::ZERO; q.len()]);
        attention(self.of(q, k, v), Softmax { max: &mut max, inverse: &mut inverse }, &mut out);
        (max, inverse, out)
    }
    fn inputs(&self) -> [Vec<f64>; 3] {
        let kv = self.heads.kv_heads * self.heads.head_dim * self.keys;
        [numbers(1, self.heads.heads * self.heads.head_dim * self.sees.len()), numbers(2, kv), numbers(3, kv)]
    }
    /// The definition, one query at a time.
    fn plain(&self, q: &[f64], k: &[f64], v: &[f64]) -> Vec<f64> {
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let (columns, mut out) = (self.sees.len(), vec![0.0; q.len()]);
        for segment in &self.segments {
            for (h, i) in (0..heads).flat_map(|h| segment.queries.clone().map(move |i| (h, i))) {
                let g = h / (heads / kv_heads);
                let seen = segment.keys.start..=segment.keys.start + self.sees[i] as usize;
                let at =
                    |x: &[f64], head: usize, c: usize, stride: usize, i: usize| x[(head * head_dim + c) * stride + i];
                let weight: Vec<f64> = seen
                    .clone()
                    .map(|j| (0..head_dim).map(|c| at(q, h, c, columns, i) * at(k, g, c, self.keys, j)).sum::<f64>())
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
    dout.chunks_exact_mut(case.sees.len()).for_each(|row| row[used..].fill(0.0));
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
    check_gradient(&Case::new(heads, &[(5, vec![0, 1, 2, 3, 4]), (19, vec![2, 17, 18]), (3, vec![]), (2, vec![1])]));
    let whole = |n: u32| (n as usize, (0..n).collect());
    let one = Heads { heads: 1, kv_heads: 1, head_dim: 2 };
    check_gradient(&Case::new(one, &[whole(33), whole(16)]));
    let few = [(5, vec![0, 1, 2, 3, 4]), (19, vec![0, 17, 18]), (3, vec![]), (2, vec![1])];
    check_gradient(&Case::new(heads, &few).bidirectional());
    check_gradient(&Case::new(one, &[whole(33), whole(16)]).bidirectional());
}

#[test]
fn long_sequences_use_wider_blocks() {
    let whole = |n: u32| (n as usize, (0..n).collect());
    let heads = Heads { heads: 2, kv_heads: 1, head_dim: 5 };
    check(&Case::new(heads, &[whole(130), whole(7)]));
    check(&Case::new(heads, &[whole(300), (290, vec![3, 77, 250, 289])]));
    check(&Case::new(heads, &[whole(130), (290, vec![3, 77, 250, 289]), whole(7)]).bidirectional());
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
        let case = Case::new(Heads { heads: groups * kv_heads, kv_heads, head_dim }, &sequences);
        check(&case);
        check(&case.bidirectional());
    }
}
