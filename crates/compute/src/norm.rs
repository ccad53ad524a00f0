//! RMSNorm and its gradient (Zhang & Sennrich, arXiv 1910.07467).

use crate::real::{Real, V, vectorized};
use pulp::Simd;

vectorized! {
    /// `y[c] = gain[c] * x[c] / sqrt(mean over channels of x^2 + eps)` at each position; x and y are
    /// `[channels, positions]` with `channels = gain.len()`; the inverse root goes to `inverse` `[positions]`.
    pub fn rms_norm<T>(simd, x: &'a [T], gain: &'a [T], eps: T, inverse: &'a mut [T], y: &'a mut [T]) {
        let positions = inverse.len();
        inverse.fill(T::ZERO);
        let root = T::lanes_mut(simd, inverse);
        for row in x.chunks_exact(positions) {
            for (sum, x) in root.iter_mut().zip(T::lanes(simd, row)) {
                let x = V::<S, T>::new(simd, *x);
                *sum = x.fma(x, V::new(simd, *sum)).value;
            }
        }
        let (eps, one) = (V::<S, T>::splat(simd, eps), V::splat(simd, T::ONE));
        let mean = V::<S, T>::splat(simd, T::from_f64(1.0 / gain.len() as f64));
        for sum in root.iter_mut() {
            *sum = (one / V::new(simd, *sum).fma(mean, eps).sqrt()).value;
        }
        scale(simd, Normed { x, gain, inverse }, y);
    }
}

vectorized! {
    /// The result of [`rms_norm`] once more from the inverse roots that it left, the same bits: what need not be kept.
    pub fn rms_norm_again<T>(simd, of: Normed<'a, T>, y: &'a mut [T]) {
        scale(simd, of, y);
    }
}

#[inline(always)]
fn scale<S: Simd, T: Real>(simd: S, of: Normed<'_, T>, y: &mut [T]) {
    let Normed { x, gain, inverse } = of;
    let positions = inverse.len();
    for ((row, y), gain) in x.chunks_exact(positions).zip(y.chunks_exact_mut(positions)).zip(gain) {
        let gain = V::<S, T>::splat(simd, *gain);
        let lanes = T::lanes(simd, row).iter().zip(T::lanes(simd, inverse));
        for (y, (x, root)) in T::lanes_mut(simd, y).iter_mut().zip(lanes) {
            *y = (V::new(simd, *x) * V::new(simd, *root) * gain).value;
        }
    }
}

/// What [`rms_norm_backward`] reads: the input, its gain, the inverse roots that [`rms_norm`] left.
#[derive(Clone, Copy, Debug)]
pub struct Normed<'a, T> {
    /// `[channels, positions]`.
    pub x: &'a [T],
    /// `[channels]`.
    pub gain: &'a [T],
    /// `[positions]`.
    pub inverse: &'a [T],
}

vectorized! {
    /// Gradient of [`rms_norm`]: `dx += ...`, `dgain += ...`.
    pub fn rms_norm_backward<T>(simd, of: Normed<'a, T>, dy: &'a [T], dx: &'a mut [T], dgain: &'a mut [T]) {
        let Normed { x, gain, inverse } = of;
        let positions = inverse.len();
        let root = T::lanes(simd, inverse);
        // The sum over channels of gain * dy * x, and each channel's sum over positions of dy * x / rms.
        let mut along = vec![T::ZERO; positions];
        let along = T::lanes_mut(simd, &mut along);
        let rows = x.chunks_exact(positions).zip(dy.chunks_exact(positions));
        for ((x, dy), (gain, dgain)) in rows.clone().zip(gain.iter().zip(dgain)) {
            let gain = V::<S, T>::splat(simd, *gain);
            let mut total = V::<S, T>::zero(simd);
            let lanes = T::lanes(simd, x).iter().zip(T::lanes(simd, dy));
            for ((x, dy), (root, along)) in lanes.zip(root.iter().zip(along.iter_mut())) {
                let both = V::<S, T>::new(simd, *x) * V::new(simd, *dy);
                total = both.fma(V::new(simd, *root), total);
                *along = both.fma(gain, V::new(simd, *along)).value;
            }
            *dgain += total.sum();
        }
        let mean = V::<S, T>::splat(simd, T::from_f64(-1.0 / gain.len() as f64));
        for (along, root) in along.iter_mut().zip(root) {
            let root = V::<S, T>::new(simd, *root);
            *along = (V::new(simd, *along) * mean * root * root * root).value;
        }
        for (((x, dy), gain), dx) in rows.zip(gain).zip(dx.chunks_exact_mut(positions)) {
            let gain = V::<S, T>::splat(simd, *gain);
            let lanes = T::lanes(simd, x).iter().zip(T::lanes(simd, dy));
            for ((x, dy), ((root, along), dx)) in lanes.zip(root.iter().zip(along.iter()).zip(T::lanes_mut(simd, dx))) {
                let old = V::<S, T>::new(simd, *x).fma(V::new(simd, *along), V::new(simd, *dx));
                *dx = (V::new(simd, *dy) * gain).fma(V::new(simd, *root), old).value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_gradient, numbers};

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let (channels, positions) = (5, crate::BLOCK);
        let (x, gain, dy) = (numbers(1, channels * positions), numbers(2, channels), numbers(3, channels * positions));
        let loss = |x: &[f64], gain: &[f64]| -> f64 {
            let (mut y, mut inverse) = (vec![0.0; x.len()], vec![0.0; positions]);
            rms_norm(x, gain, 1e-3, &mut inverse, &mut y);
            y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
        };
        let (mut y, mut inverse) = (vec![0.0; x.len()], vec![0.0; positions]);
        rms_norm(&x, &gain, 1e-3, &mut inverse, &mut y);
        let (mut dx, mut dgain) = (vec![0.0; x.len()], vec![0.0; channels]);
        rms_norm_backward(Normed { x: &x, gain: &gain, inverse: &inverse }, &dy, &mut dx, &mut dgain);
        assert_gradient(&x, &dx, |x| loss(x, &gain));
        assert_gradient(&gain, &dgain, |gain| loss(&x, gain));
    }
}
