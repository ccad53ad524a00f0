//! What the tests of every operation share: numbers, closeness, finite differences.

/// `count` numbers in about [-1, 1], the same for the same `seed`.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Each pair differs by at most `tolerance` times the larger of 1 and its size.
#[track_caller]
pub(crate) fn assert_close(is: &[f64], should: &[f64], tolerance: f64) {
    assert_eq!(is.len(), should.len());
    for (i, (a, b)) in is.iter().zip(should).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "at {i}: is {a}, should be {b}");
    }
}

/// `gradient` is that of `f` at `x` by central differences, at every coordinate.
#[track_caller]
pub(crate) fn assert_gradient(x: &[f64], gradient: &[f64], f: impl Fn(&[f64]) -> f64) {
    let step = 1e-5;
    let mut at = x.to_vec();
    let differences: Vec<f64> = (0..x.len())
        .map(|i| {
            let mut value = |x: f64| {
                at[i] = x;
                f(&at)
            };
            let difference = (value(x[i] + step) - value(x[i] - step)) / (2.0 * step);
            at[i] = x[i];
            difference
        })
        .collect();
    assert_close(gradient, &differences, 1e-8);
}
