//! The nonlinearities of MLPs, plain and gated (Shazeer, arXiv 2002.05202), other than the SwiGLU of the trained ladder.

use crate::{
    mlp::sigmoid,
    real::{Real, V, vectorized},
};
use pulp::Simd;

/// A nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Phi(x)` (Hendrycks & Gimpel, arXiv 1606.08415), to 2e-7.
    Gelu,
    /// Its approximation with a tanh, equation 2 there: `x * sigmoid(2 u)`, `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

vectorized! {
    /// `y = activation(x)`, both of one length.
    pub fn activate<T>(simd, activation: Activation, x: &'a [T], y: &'a mut [T]) {
        for (x, y) in T::lanes(simd, x).iter().zip(T::lanes_mut(simd, y)) {
            *y = apply(simd, activation, V::<S, T>::new(simd, *x)).value;
        }
    }
}

vectorized! {
    /// `y = activation(gate) * up`, all of one length.
    pub fn activate_gated<T>(simd, activation: Activation, gate: &'a [T], up: &'a [T], y: &'a mut [T]) {
        for ((gate, up), y) in T::lanes(simd, gate).iter().zip(T::lanes(simd, up)).zip(T::lanes_mut(simd, y)) {
            *y = (apply(simd, activation, V::<S, T>::new(simd, *gate)) * V::new(simd, *up)).value;
        }
    }
}

vectorized! {
    /// `x = cap * tanh(x / cap)`, in place: Gemma 2's cap of logits (arXiv 2408.00118).
    pub fn soft_cap<T>(simd, x: &'a mut [T], cap: T) {
        cap_lanes(simd, x, cap);
    }
}

/// The body of [`soft_cap`].
#[inline(always)]
pub(crate) fn cap_lanes<S: Simd, T: Real>(simd: S, x: &mut [T], cap: T) {
    let (cap, one, two) = (V::<S, T>::splat(simd, cap), V::splat(simd, T::ONE), V::splat(simd, T::from_f64(2.0)));
    for x in T::lanes_mut(simd, x) {
        // tanh(u) = 1 - 2 / (1 + e^2u)
        let e = (two * V::new(simd, *x) / cap).exp();
        *x = (cap * (one - two / (one + e))).value;
    }
}

/// A constant in every lane.
#[inline(always)]
fn c<S: Simd, T: Real>(simd: S, value: f64) -> V<S, T> {
    V::splat(simd, T::from_f64(value))
}

// No closures: what is not inlined into the instruction set chosen outside is a call for every instruction.
#[inline(always)]
fn apply<S: Simd, T: Real>(simd: S, activation: Activation, x: V<S, T>) -> V<S, T> {
    let zero = V::zero(simd);
    match activation {
        Activation::Silu => x * sigmoid(simd, x),
        Activation::Relu => x.max(zero),
        Activation::GeluTanh => {
            let cubic = (x * x).fma(c(simd, 0.044_715), c(simd, 1.0)) * x;
            x * sigmoid(simd, cubic * c(simd, 2.0 * (2.0 / std::f64::consts::PI).sqrt()))
        }
        Activation::Gelu => {
            // Phi(-z) = erfc(z / sqrt 2) / 2, by Abramowitz & Stegun 7.1.26.
            let z = x.max(zero - x);
            let scaled = z * c(simd, std::f64::consts::FRAC_1_SQRT_2);
            let t = c::<S, T>(simd, 1.0) / scaled.fma(c(simd, 0.327_591_1), c(simd, 1.0));
            let mut sum = c(simd, 1.061_405_429);
            for k in [-1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592] {
                sum = sum.fma(t, c(simd, k));
            }
            let tail = sum * t * (zero - scaled * scaled).exp() * c(simd, 0.5);
            x.max(zero) - z * tail
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the definitions, made with Python's `math.erf` and `math.tanh`.
    #[test]
    fn activations_have_their_values() {
        let x = [-4.0, -1.5, -0.3, 0.0, 0.2, 1.0, 3.0, 8.0];
        let expect = |activation: Activation| match activation {
            Activation::Gelu => {
                [-1.266_849e-4, -0.100_210_8, -0.114_626_6, 0.0, 0.115_851_9, 0.841_344_7, 2.995_950_3, 8.0]
            }
            Activation::GeluTanh => {
                [-7.024_595e-5, -0.100_428_4, -0.114_629_1, 0.0, 0.115_851_4, 0.841_192, 2.996_362_6, 8.0]
            }
            Activation::Relu => [0.0, 0.0, 0.0, 0.0, 0.2, 1.0, 3.0, 8.0],
            Activation::Silu => {
                [-0.071_944_8, -0.273_638_5, -0.127_667_6, 0.0, 0.109_966_8, 0.731_058_6, 2.857_722_4, 7.997_317_2]
            }
        };
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu] {
            let mut wide = [0.0f32; 2 * crate::BLOCK];
            wide[..8].copy_from_slice(&x);
            wide[crate::BLOCK..].fill(2.0);
            let (mut y, mut gated) = ([0.0; crate::BLOCK], [0.0; crate::BLOCK]);
            activate(activation, &wide[..crate::BLOCK], &mut y);
            activate_gated(activation, &wide[..crate::BLOCK], &wide[crate::BLOCK..], &mut gated);
            for ((y, gated), expect) in y.iter().zip(&gated).zip(expect(activation)) {
                assert!((y - expect).abs() < 1e-6, "{activation:?} {y} {expect}");
                assert!((gated - 2.0 * y).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn caps_hold() {
        let mut x = [0.0f32; crate::BLOCK];
        x[..4].copy_from_slice(&[1e9, -1e9, 0.5, 30.0]);
        soft_cap(&mut x, 30.0);
        for (x, expect) in x.iter().zip([30.0, -30.0, 0.499_953_7, 22.847_825]) {
            assert!((x - expect).abs() < 1e-5, "{x} {expect}");
        }
    }
}
