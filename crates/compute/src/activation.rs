//! The nonlinearities of MLPs, plain and gated (Shazeer, arXiv 2002.05202), other than the SwiGLU of the trained ladder;
//! the gradients of the plain ones.

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
    /// Gradient of [`activate`]: dy is replaced by that of x.
    pub fn activate_backward<T>(simd, activation: Activation, x: &'a [T], dy: &'a mut [T]) {
        for (x, dy) in T::lanes(simd, x).iter().zip(T::lanes_mut(simd, dy)) {
            *dy = (slope(simd, activation, V::<S, T>::new(simd, *x)) * V::new(simd, *dy)).value;
        }
    }
}

vectorized! {
    /// `x = cap * tanh(x / cap)`, in place: Gemma 2's cap of logits (arXiv 2408.00118).
    pub fn soft_cap<T>(simd, x: &'a mut [T], cap: T) {
        cap_lanes(simd, x, cap);
    }
}

vectorized! {
    /// Gradient of [`soft_cap`], whose result was y: dy is replaced by that of x.
    pub fn soft_cap_backward<T>(simd, y: &'a [T], cap: T, dy: &'a mut [T]) {
        let (cap, one) = (V::<S, T>::splat(simd, cap), V::splat(simd, T::ONE));
        for (y, dy) in T::lanes(simd, y).iter().zip(T::lanes_mut(simd, dy)) {
            let share = V::new(simd, *y) / cap;
            *dy = ((one - share * share) * V::new(simd, *dy)).value;
        }
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
            let z = x.max(zero - x);
            x.max(zero) - z * tail(simd, z).0
        }
    }
}

/// Phi(-z) = erfc(z / sqrt 2) / 2 for z >= 0, by Abramowitz & Stegun 7.1.26, and its slope.
#[inline(always)]
fn tail<S: Simd, T: Real>(simd: S, z: V<S, T>) -> (V<S, T>, V<S, T>) {
    let (zero, p) = (V::zero(simd), 0.327_591_1);
    let scaled = z * c(simd, std::f64::consts::FRAC_1_SQRT_2);
    let t = c::<S, T>(simd, 1.0) / scaled.fma(c(simd, p), c(simd, 1.0));
    let (mut sum, mut slope) = (c(simd, 1.061_405_429), V::zero(simd));
    for k in [-1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592] {
        slope = slope.fma(t, sum);
        sum = sum.fma(t, c(simd, k));
    }
    let bell = (zero - scaled * scaled).exp() * c(simd, 0.5);
    let value = sum * t * bell;
    // Of the polynomial sum * t in t, then of t = 1 / (1 + p z / sqrt 2), then of the bell.
    let inner = slope.fma(t, sum) * (t * t * c(simd, -p * std::f64::consts::FRAC_1_SQRT_2));
    (value, inner.fma(bell, zero - z * value))
}

/// The derivative of what [`apply`] computes; that of ReLU is 0 at 0.
#[inline(always)]
fn slope<S: Simd, T: Real>(simd: S, activation: Activation, x: V<S, T>) -> V<S, T> {
    let (zero, one) = (V::zero(simd), c(simd, 1.0));
    match activation {
        Activation::Silu => {
            let s = sigmoid(simd, x);
            s * x.fma(one - s, one)
        }
        Activation::Relu => zero.where_at_most(x, zero, one),
        Activation::GeluTanh => {
            let (square, k) = (x * x, c(simd, 2.0 * (2.0 / std::f64::consts::PI).sqrt()));
            let s = sigmoid(simd, square.fma(c(simd, 0.044_715), one) * x * k);
            let inner = square.fma(c(simd, 3.0 * 0.044_715), one) * k;
            s * (x * inner).fma(one - s, one)
        }
        Activation::Gelu => {
            let z = x.max(zero - x);
            let (tail, falling) = tail(simd, z);
            let below = z.fma(falling, tail);
            below.where_at_most(x, zero, one - below)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_gradient, numbers};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (x, dy) = (numbers(1, 2 * crate::BLOCK), numbers(2, 2 * crate::BLOCK));
        let x: Vec<f64> = x.iter().map(|x| 4.0 * x).collect();
        let sum = |y: &[f64]| y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu] {
            let mut dx = dy.clone();
            activate_backward(activation, &x, &mut dx);
            assert_gradient(&x, &dx, |x| {
                let mut y = vec![0.0; x.len()];
                activate(activation, x, &mut y);
                sum(&y)
            });
        }
        let capped = |x: &[f64]| {
            let mut y = x.to_vec();
            soft_cap(&mut y, 3.0);
            y
        };
        let mut dx = dy.clone();
        soft_cap_backward(&capped(&x), 3.0, &mut dx);
        assert_gradient(&x, &dx, |x| sum(&capped(x)));
    }

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
