//! Rotary position embedding in the rotate-half convention (Su et al., arXiv 2104.09864; the pairing of Llama in
//! `transformers`: channel c of a head turns with channel c + head_dim / 2).

use crate::real::{Real, V, vectorized};

/// Cosines and sines `[head_dim / 2, positions.len()]` of the angles `position * base^(-2c / head_dim)`.
pub fn rope_table<T: Real>(head_dim: usize, base: f64, positions: &[u32]) -> (Vec<T>, Vec<T>) {
    let angle = |c: usize, position: u32| f64::from(position) * base.powf(-2.0 * c as f64 / head_dim as f64);
    let table = |f: fn(f64) -> f64| {
        (0..head_dim / 2).flat_map(|c| positions.iter().map(move |&p| T::from_f64(f(angle(c, p))))).collect()
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
