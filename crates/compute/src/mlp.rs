//! SwiGLU and its gradient (Shazeer, arXiv 2002.05202, eq. 6, without the matrices).

use crate::real::{Real, V, vectorized};
use pulp::Simd;

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd, T: Real>(simd: S, x: V<S, T>) -> V<S, T> {
    let one = V::splat(simd, T::ONE);
    one / (one + (V::zero(simd) - x).exp())
}

vectorized! {
    /// `y = silu(gate) * up`, all of one length; `gate_up` holds the gate and then `up`.
    pub fn swiglu<T>(simd, gate_up: &'a [T], y: &'a mut [T]) {
        let (gate, up) = gate_up.split_at(y.len());
        for ((gate, up), y) in T::lanes(simd, gate).iter().zip(T::lanes(simd, up)).zip(T::lanes_mut(simd, y)) {
            let gate = V::<S, T>::new(simd, *gate);
            *y = (gate * sigmoid(simd, gate) * V::new(simd, *up)).value;
        }
    }
}

vectorized! {
    /// Gradient of [`swiglu`]: replaces gate and `up` by their gradients, and `dy` by y, which need not be kept.
    pub fn swiglu_backward<T>(simd, gate_up: &'a mut [T], dy: &'a mut [T]) {
        let (gate, up) = gate_up.split_at_mut(dy.len());
        let lanes = T::lanes_mut(simd, gate).iter_mut().zip(T::lanes_mut(simd, up));
        for ((gate, up), y) in lanes.zip(T::lanes_mut(simd, dy)) {
            let (g, u, dy) = (V::<S, T>::new(simd, *gate), V::new(simd, *up), V::new(simd, *y));
            let s = sigmoid(simd, g);
            let silu = g * s;
            *y = (silu * u).value;
            *up = (dy * silu).value;
            *gate = (dy * u * s * (V::splat(simd, T::ONE) + g - silu)).value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_gradient, numbers};

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let x = numbers(1, 4 * crate::BLOCK);
        let dy = numbers(2, 2 * crate::BLOCK);
        let loss = |x: &[f64]| -> f64 {
            let mut y = vec![0.0; dy.len()];
            swiglu(x, &mut y);
            y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
        };
        let (mut dx, mut y, mut again) = (x.clone(), dy.clone(), dy.clone());
        swiglu(&x, &mut y);
        swiglu_backward(&mut dx, &mut again);
        assert_eq!(y, again);
        assert_gradient(&x, &dx, loss);
    }

    #[test]
    fn large_gates_saturate_without_nan() {
        let mut x = vec![0.0f32; 2 * crate::BLOCK];
        x[0] = -1e30;
        x[1] = 1e4;
        x[crate::BLOCK..].fill(1.0);
        let mut y = vec![0.0; crate::BLOCK];
        swiglu(&x, &mut y);
        assert!(y[0].abs() < 1e-6, "{}", y[0]);
        assert_eq!(y[1], 1e4);
    }
}
