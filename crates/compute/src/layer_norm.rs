//! LayerNorm and its gradient (Ba et al., arXiv 1607.06450).

use crate::real::{Real, V, vectorized};
use pulp::Simd;

/// Mean over channels and 1 / sqrt(variance + eps) at each position of x `[channels, positions]`.
#[inline(always)]
fn moments<S: Simd, T: Real>(simd: S, positions: usize, x: &[T], eps: T) -> (Vec<T>, Vec<T>) {
    let channels = x.len() / positions.max(1);
    let (mut means, mut roots) = (vec![T::ZERO; positions], vec![T::ZERO; positions]);
    let (mean, root) = (T::lanes_mut(simd, &mut means), T::lanes_mut(simd, &mut roots));
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
    (means, roots)
}

vectorized! {
    /// `y[c] = gain[c] * (x[c] - mean) / sqrt(variance + eps) + bias[c]` at each position; x and y are `[channels,
    /// positions]`; gain and bias are `[channels]`, or empty: 1 and 0.
    pub fn layer_norm<T>(simd, positions: usize, x: &'a [T], gain: &'a [T], bias: &'a [T], eps: T, y: &'a mut [T]) {
        let (mean, root) = moments(simd, positions, x, eps);
        let (mean, root) = (T::lanes(simd, &mean), T::lanes(simd, &root));
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

/// What [`layer_norm_backward`] reads: the input of [`layer_norm`], and how it was normed.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormed<'a, T> {
    /// `[channels, positions]`.
    pub x: &'a [T],
    /// Positions.
    pub positions: usize,
    /// `[channels]`, or empty: 1.
    pub gain: &'a [T],
    /// As it was given.
    pub eps: T,
}

vectorized! {
    /// Gradient of [`layer_norm`]: dy is replaced by that of x; `dgain += ...`, `dbias += ...` where these are not empty.
    pub fn layer_norm_backward<T>(
        simd,
        of: LayerNormed<'a, T>,
        dy: &'a mut [T],
        dgain: &'a mut [T],
        dbias: &'a mut [T],
    ) {
        let LayerNormed { x, positions, gain, eps } = of;
        let (mean, root) = moments(simd, positions, x, eps);
        let (mean, root) = (T::lanes(simd, &mean), T::lanes(simd, &root));
        // At each position the means over channels of g = gain * dy, and of g times the normed x.
        let (mut plain, mut along) = (vec![T::ZERO; positions], vec![T::ZERO; positions]);
        let (plain, along) = (T::lanes_mut(simd, &mut plain), T::lanes_mut(simd, &mut along));
        let share = V::<S, T>::splat(simd, T::from_f64(positions as f64 / x.len().max(1) as f64));
        for (channel, (x, dy)) in x.chunks_exact(positions).zip(dy.chunks_exact_mut(positions)).enumerate() {
            let gain = V::<S, T>::splat(simd, gain.get(channel).copied().unwrap_or(T::ONE));
            let (mut for_gain, mut for_bias) = (V::<S, T>::zero(simd), V::<S, T>::zero(simd));
            let sums = plain.iter_mut().zip(along.iter_mut()).zip(mean.iter().zip(root));
            for ((x, dy), ((plain, along), (mean, root))) in
                T::lanes(simd, x).iter().zip(T::lanes_mut(simd, dy)).zip(sums)
            {
                let normed = (V::<S, T>::new(simd, *x) - V::new(simd, *mean)) * V::new(simd, *root);
                let d = V::new(simd, *dy);
                for_gain = normed.fma(d, for_gain);
                for_bias = for_bias + d;
                let g = gain * d * share;
                *dy = (gain * d).value;
                *plain = (g + V::new(simd, *plain)).value;
                *along = g.fma(normed, V::new(simd, *along)).value;
            }
            if let Some(dgain) = dgain.get_mut(channel) {
                *dgain += for_gain.sum();
            }
            if let Some(dbias) = dbias.get_mut(channel) {
                *dbias += for_bias.sum();
            }
        }
        for (x, dy) in x.chunks_exact(positions).zip(dy.chunks_exact_mut(positions)) {
            let sums = plain.iter().zip(along.iter()).zip(mean.iter().zip(root));
            for ((x, dy), ((plain, along), (mean, root))) in
                T::lanes(simd, x).iter().zip(T::lanes_mut(simd, dy)).zip(sums)
            {
                let root = V::<S, T>::new(simd, *root);
                let normed = (V::new(simd, *x) - V::new(simd, *mean)) * root;
                *dy = ((V::new(simd, *dy) - V::new(simd, *plain) - normed * V::new(simd, *along)) * root).value;
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
        check::{assert_close, assert_gradient, numbers},
    };

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let (channels, positions) = (5, BLOCK);
        let (x, dy) = (numbers(1, channels * positions), numbers(2, channels * positions));
        let (gain, bias) = (numbers(3, channels), numbers(4, channels));
        let loss = |x: &[f64], gain: &[f64], bias: &[f64]| -> f64 {
            let mut y = vec![0.0; x.len()];
            layer_norm(positions, x, gain, bias, 1e-3, &mut y);
            y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
        };
        let (mut dx, mut dgain, mut dbias) = (dy.clone(), vec![0.0; channels], vec![0.0; channels]);
        let of = LayerNormed { x: &x, positions, gain: &gain, eps: 1e-3 };
        layer_norm_backward(of, &mut dx, &mut dgain, &mut dbias);
        assert_gradient(&x, &dx, |x| loss(x, &gain, &bias));
        assert_gradient(&gain, &dgain, |gain| loss(&x, gain, &bias));
        assert_gradient(&bias, &dbias, |bias| loss(&x, &gain, bias));
        let mut plain = dy.clone();
        layer_norm_backward(LayerNormed { gain: &[], ..of }, &mut plain, &mut [], &mut []);
        assert_gradient(&x, &plain, |x| loss(x, &[], &[]));
    }

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
