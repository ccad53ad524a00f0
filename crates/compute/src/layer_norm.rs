//! LayerNorm (Ba et al., arXiv 1607.06450).

use crate::real::{V, vectorized};

vectorized! {
    /// `y[c] = gain[c] * (x[c] - mean) / sqrt(variance + eps) + bias[c]` at each position; x and y are `[channels,
    /// positions]`; gain and bias are `[channels]`, or empty: 1 and 0.
    pub fn layer_norm<T>(simd, positions: usize, x: &'a [T], gain: &'a [T], bias: &'a [T], eps: T, y: &'a mut [T]) {
        let channels = x.len() / positions.max(1);
        let (mut mean, mut root) = (vec![T::ZERO; positions], vec![T::ZERO; positions]);
        let (mean, root) = (T::lanes_mut(simd, &mut mean), T::lanes_mut(simd, &mut root));
        let share = V::<S, T>::splat(simd, T::from_f64(1.0 / channels as f64));
        for row in x.chunks_exact(positions) {
            for (mean, x) in mean.iter_mut().zip(T::lanes(simd, row)) {
                *mean = (V::<S, T>::new(simd, *mean) + V::new(simd, *x)).value;
            }
        }
        for mean in mean.iter_mut() {
            *mean = (V::<S, T>::new(simd, *mean) * share).value;
        }
        for row in x.chunks_exact(positions) {
            for ((root, mean), x) in root.iter_mut().zip(mean.iter()).zip(T::lanes(simd, row)) {
                let away = V::<S, T>::new(simd, *x) - V::new(simd, *mean);
                *root = away.fma(away, V::new(simd, *root)).value;
            }
        }
        let (eps, one) = (V::splat(simd, eps), V::splat(simd, T::ONE));
        for root in root.iter_mut() {
            *root = (one / V::<S, T>::new(simd, *root).fma(share, eps).sqrt()).value;
        }
        for (channel, (row, y)) in x.chunks_exact(positions).zip(y.chunks_exact_mut(positions)).enumerate() {
            let gain = V::<S, T>::splat(simd, gain.get(channel).copied().unwrap_or(T::ONE));
            let bias = V::<S, T>::splat(simd, bias.get(channel).copied().unwrap_or(T::ZERO));
            let lanes = T::lanes(simd, row).iter().zip(mean.iter().zip(root.iter()));
            for (y, (x, (mean, root))) in T::lanes_mut(simd, y).iter_mut().zip(lanes) {
                let away = (V::<S, T>::new(simd, *x) - V::new(simd, *mean)) * V::new(simd, *root);
                *y = away.fma(gain, bias).value;
            }
        }
    }
}

vectorized! {
    /// `y[c] += bias[c]` at each position; y is `[channels, positions]`.
    pub fn add_bias<T>(simd, bias: &'a [T], positions: usize, y: &'a mut [T]) {
        for (row, bias) in y.chunks_exact_mut(positions).zip(bias) {
            let bias = V::<S, T>::splat(simd, *bias);
            for y in T::lanes_mut(simd, row) {
                *y = (V::new(simd, *y) + bias).value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BLOCK,
        check::{assert_close, numbers},
    };

    #[test]
    fn columns_are_centred_and_scaled() {
        let (channels, positions) = (7, 2 * BLOCK);
        let (x, gain, bias) = (numbers(1, channels * positions), numbers(2, channels), numbers(3, channels));
        let (mut plain, mut y) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        layer_norm(positions, &x, &[], &[], 1e-3, &mut plain);
        layer_norm(positions, &x, &gain, &bias, 1e-3, &mut y);
        for p in 0..positions {
            let column: Vec<f64> = (0..channels).map(|c| x[c * positions + p]).collect();
            let mean = column.iter().sum::<f64>() / channels as f64;
            let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
            for c in 0..channels {
                let expect = (column[c] - mean) / (variance + 1e-3).sqrt();
                assert_close(&[plain[c * positions + p]], &[expect], 1e-12);
                assert_close(&[y[c * positions + p]], &[expect * gain[c] + bias[c]], 1e-12);
            }
        }
        let mut moved = x.clone();
        add_bias(&bias, positions, &mut moved);
        assert_eq!(moved[positions + 3], x[positions + 3] + bias[1]);
    }
}
