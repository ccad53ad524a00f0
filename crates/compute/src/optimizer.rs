//! AdamW (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2) as one pass over memory.

use crate::real::{Real, V, vectorized};
use pulp::Simd;

/// Constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW<T = f32> {
    /// Decay of the first moment.
    pub beta1: T,
    /// Decay of the second moment.
    pub beta2: T,
    /// Added to the root of the second moment.
    pub eps: T,
    /// Decoupled weight decay; a step multiplies the values by `1 - learning_rate * weight_decay`.
    pub weight_decay: T,
}

/// What a step changes: slices of one length.
#[derive(Debug)]
pub struct AdamWState<'a, T = f32> {
    /// The parameters.
    pub values: &'a mut [T],
    /// Running mean of the gradient.
    pub first_moment: &'a mut [T],
    /// Running mean of the squared gradient.
    pub second_moment: &'a mut [T],
}

/// Factors of one step that are the same for all values.
#[derive(Clone, Copy)]
struct Factors<T> {
    clip: T,
    beta1: T,
    beta2: T,
    eps: T,
    keep: T,
    rate: T,
    root: T,
}

/// One AdamW step on a flat range: `gradient` is multiplied by `clip`; `step` counts from 1.
pub fn adamw(settings: &AdamW, learning_rate: f32, step: u64, clip: f32, gradient: &[f32], state: AdamWState<'_>) {
    // Not generic, so that it is compiled in this crate and optimised in every profile.
    one_step(settings, learning_rate, step, clip, gradient, state);
}

/// [`adamw`] in either precision.
fn one_step<T: Real>(
    settings: &AdamW<T>,
    learning_rate: T,
    step: u64,
    clip: T,
    gradient: &[T],
    state: AdamWState<'_, T>,
) {
    let correction = |beta: T| 1.0 - beta.to_f64().powf(step as f64);
    let factors = Factors {
        clip,
        beta1: settings.beta1,
        beta2: settings.beta2,
        eps: settings.eps,
        keep: T::ONE - learning_rate * settings.weight_decay,
        rate: T::from_f64(-learning_rate.to_f64() / correction(settings.beta1)),
        root: T::from_f64(1.0 / correction(settings.beta2).sqrt()),
    };
    update(factors, gradient, state);
}

vectorized! {
    fn update<T>(simd, factors: Factors<T>, gradient: &'a [T], state: AdamWState<'a, T>) {
        let whole = gradient.len() / V::<S, T>::LANES * V::<S, T>::LANES;
        let moments = T::lanes_mut(simd, state.first_moment).iter_mut().zip(T::lanes_mut(simd, state.second_moment));
        let values = T::lanes_mut(simd, state.values).iter_mut().zip(T::lanes(simd, gradient));
        for ((x, g), (m, v)) in values.zip(moments) {
            let old = [V::new(simd, *g), V::new(simd, *x), V::new(simd, *m), V::new(simd, *v)];
            let new = updated(simd, factors, old);
            (*x, *m, *v) = (new[0].value, new[1].value, new[2].value);
        }
        // The rest fills one register, so that a value does not depend on where its range ends.
        for (i, g) in gradient.iter().enumerate().skip(whole) {
            let old = [*g, state.values[i], state.first_moment[i], state.second_moment[i]];
            let new = updated(simd, factors, [
                V::splat(simd, old[0]),
                V::splat(simd, old[1]),
                V::splat(simd, old[2]),
                V::splat(simd, old[3]),
            ]);
            (state.values[i], state.first_moment[i], state.second_moment[i]) =
                (new[0].first(), new[1].first(), new[2].first());
        }
    }
}

/// Value and moments after the step, from gradient, value and moments before.
#[inline(always)]
fn updated<S: Simd, T: Real>(simd: S, f: Factors<T>, [g, x, m, v]: [V<S, T>; 4]) -> [V<S, T>; 3] {
    let g = g * V::splat(simd, f.clip);
    let m = g.fma(V::splat(simd, T::ONE - f.beta1), m * V::splat(simd, f.beta1));
    let v = (g * g).fma(V::splat(simd, T::ONE - f.beta2), v * V::splat(simd, f.beta2));
    let root = v.sqrt().fma(V::splat(simd, f.root), V::splat(simd, f.eps));
    let x = (m / root).fma(V::splat(simd, f.rate), x * V::splat(simd, f.keep));
    [x, m, v]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_close, numbers};

    #[test]
    fn steps_follow_the_algorithm_and_do_not_depend_on_the_cut() {
        let settings = AdamW { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.1 };
        let (rate, clip, n) = (0.01, 0.5, 37);
        let mut state = [numbers(1, n), vec![0.0; n], vec![0.0; n]];
        let mut cut: [Vec<f32>; 3] = state.each_ref().map(|x| x.iter().map(|&x| x as f32).collect());
        let mut whole = cut.clone();
        let (mut x, mut m, mut v) = (state[0].clone(), vec![0.0; n], vec![0.0; n]);
        for step in 1..=5 {
            let gradient = numbers(10 + step, n);
            for i in 0..n {
                let g = gradient[i] * clip;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.98 * v[i] + 0.02 * g * g;
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(step as i32)), v[i] / (1.0 - 0.98f64.powi(step as i32)));
                x[i] -= rate * (mh / (vh.sqrt() + 1e-8) + 0.1 * x[i]);
            }
            let [values, first_moment, second_moment] = &mut state;
            one_step(&settings, rate, step, clip, &gradient, AdamWState { values, first_moment, second_moment });
            let single: Vec<f32> = gradient.iter().map(|&x| x as f32).collect();
            let settings = AdamW { beta1: 0.9f32, beta2: 0.98, eps: 1e-8, weight_decay: 0.1 };
            for (state, cuts) in [(&mut whole, vec![0, n]), (&mut cut, vec![0, 5, 24, n])] {
                for range in cuts.windows(2).map(|w| w[0]..w[1]) {
                    let [values, first_moment, second_moment] = state.each_mut().map(|x| &mut x[range.clone()]);
                    let state = AdamWState { values, first_moment, second_moment };
                    adamw(&settings, rate as f32, step, clip as f32, &single[range], state);
                }
            }
        }
        assert_close(&state[0], &x, 1e-13);
        assert_eq!(whole, cut);
        assert_close(&whole[0].iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), &x, 1e-5);
    }
}
