//! Rotary position embedding in the rotate-half convention (Su et al., arXiv 2104.09864; the pairing of Llama in
//! `transformers`: channel c of a head turns with channel c + head_dim / 2).

use crate::real::{Real, V, vectorized};

/// Cosines and sines `[head_dim / 2, positions.len()]` of the angles `position * base^(-2c / head_dim)`.
pub fn rope_table<T: Real>(head_dim: usize, base: f64, positions: &[u32]) -> (Vec<T>, Vec<T>) {
    let frequencies: Vec<f64> = (0..head_dim / 2).map(|c| base.powf(-2.0 * c as f64 / head_dim as f64)).collect();
    angle_table(&frequencies, 1.0, positions)
}

/// Cosines and sines `[frequencies.len(), positions.len()]`, times `factor`, of the angles `position * frequency`.
pub fn angle_table<T: Real>(frequencies: &[f64], factor: f64, positions: &[u32]) -> (Vec<T>, Vec<T>) {
    let table = |f: fn(f64) -> f64| {
        let row = |w: &f64| positions.iter().map(|p| T::from_f64(factor * f(f64::from(*p) * *w))).collect::<Vec<_>>();
        frequencies.iter().flat_map(row).collect()
    };
    (table(f64::cos), table(f64::sin))
}

/// Which way to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Forward.
    Forward,
    /// Back: the gradient of the forward turn.
    Backward,
}

/// Which channels of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Pairing {
    /// Channel c with channel c + turned / 2.
    Halves,
    /// Channel 2c with channel 2c + 1, as the paper has it.
    Neighbours,
}

/// [`rope`] of the first channels of each head alone, as many as the tables turn; x is `[heads * head_dim, positions]`.
pub fn rope_partial<T: Real>(
    x: &mut [T],
    head_dim: usize,
    positions: usize,
    pairing: Pairing,
    (cos, sin): (&[T], &[T]),
) {
    let turned = 2 * cos.len();
    for head in x.chunks_exact_mut(head_dim * positions) {
        match pairing {
            Pairing::Halves => rope(&mut head[..turned], cos, sin, Turn::Forward),
            Pairing::Neighbours => {
                let rows = cos.chunks_exact(positions).zip(sin.chunks_exact(positions));
                for (pair, (cos, sin)) in head[..turned].chunks_exact_mut(2 * positions).zip(rows) {
                    rope(pair, cos, sin, Turn::Forward);
                }
            }
        }
    }
}

vectorized! {
    /// Turns x `[heads * head_dim, positions]` in place; the tables are `[head_dim / 2, positions]`.
    pub fn rope<T>(simd, x: &'a mut [T], cos: &'a [T], sin: &'a [T], turn: Turn) {
        let half = cos.len();
        let sign = V::<S, T>::splat(simd, if turn == Turn::Forward { T::ONE } else { -T::ONE });
        for head in x.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            let pairs = T::lanes_mut(simd, low).iter_mut().zip(T::lanes_mut(simd, high));
            for ((low, high), (cos, sin)) in pairs.zip(T::lanes(simd, cos).iter().zip(T::lanes(simd, sin))) {
                let (a, b) = (V::<S, T>::new(simd, *low), V::new(simd, *high));
                let (cos, sin) = (V::new(simd, *cos), V::new(simd, *sin) * sign);
                *low = (a * cos - b * sin).value;
                *high = b.fma(cos, a * sin).value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_close, numbers};

    #[test]
    fn parts_of_a_head_turn_in_either_pairing() {
        let positions: Vec<u32> = (0..crate::BLOCK as u32).collect();
        let (n, head_dim) = (crate::BLOCK, 6);
        let (cos, sin) = angle_table::<f64>(&[1.0, 0.1], 1.0, &positions);
        let x = numbers(1, 2 * head_dim * n);
        for (pairing, pairs) in [(Pairing::Halves, [(0, 2), (1, 3)]), (Pairing::Neighbours, [(0, 1), (2, 3)])] {
            let mut turned = x.clone();
            rope_partial(&mut turned, head_dim, n, pairing, (&cos, &sin));
            for (head, p) in (0..2).flat_map(|h| (0..n).map(move |p| (h * head_dim, p))) {
                for ((a, b), frequency) in pairs.into_iter().zip([1.0, 0.1]) {
                    let (sin, cos) = (p as f64 * frequency).sin_cos();
                    let (low, high) = (x[(head + a) * n + p], x[(head + b) * n + p]);
                    let expect = [low * cos - high * sin, low * sin + high * cos];
                    assert_close(&[turned[(head + a) * n + p], turned[(head + b) * n + p]], &expect, 1e-12);
                }
                assert_eq!(turned[(head + 5) * n + p], x[(head + 5) * n + p]);
            }
        }
    }

    #[test]
    fn turning_back_undoes_and_products_depend_on_distance() {
        let positions: Vec<u32> = (0..crate::BLOCK as u32).collect();
        let (cos, sin) = rope_table::<f64>(6, 1000.0, &positions);
        let x = numbers(1, 2 * 6 * crate::BLOCK);
        let mut turned = x.clone();
        rope(&mut turned, &cos, &sin, Turn::Forward);
        assert!((turned[3] - x[3]).abs() > 1e-3);
        rope(&mut turned, &cos, &sin, Turn::Backward);
        assert_close(&turned, &x, 1e-13);

        // The same two vectors at every position: their product depends on the distance alone.
        let same = |seed| numbers(seed, 6).iter().flat_map(|&v| vec![v; crate::BLOCK]).collect::<Vec<f64>>();
        let (mut q, mut k) = (same(2), same(3));
        rope(&mut q, &cos, &sin, Turn::Forward);
        rope(&mut k, &cos, &sin, Turn::Forward);
        let dot =
            |i: usize, j: usize| -> f64 { (0..6).map(|c| q[c * crate::BLOCK + i] * k[c * crate::BLOCK + j]).sum() };
        assert_close(&[dot(7, 2), dot(15, 10)], &[dot(5, 0); 2], 1e-12);
        assert!((dot(7, 3) - dot(7, 2)).abs() > 1e-3);
    }
}
