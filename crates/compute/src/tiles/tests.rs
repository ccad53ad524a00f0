//! The products of this room against f64, beside chains of fused multiply-adds. On a CPU without a tile unit they say
//! the same of the vector units.

use crate::{
    Format, Linear, MapInput, StoredRows, Weight, WeightParts, Write, check::numbers, expand, linear,
    linear_backward_input, linear_backward_weight, linear_stored, matmul::linear_exact, tiles::serves,
};

/// Which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    Forward,
    ByInput,
    ByWeight,
}

/// The two factors of each kind, of the sizes (rows, contracted, columns): as the product is computed, and as `[rows,
/// contracted]` and `[columns, contracted]`.
fn factors(kind: Kind, (m, k, n): (usize, usize, usize), left: &[f32], right: &[f32]) -> [Vec<f32>; 2] {
    let turn = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
        (0..columns).flat_map(|j| (0..rows).map(move |i| x[i * columns + j])).collect()
    };
    match kind {
        Kind::Exact | Kind::Forward => [left.to_vec(), turn(right, n, k)],
        Kind::ByInput => [turn(left, m, k), turn(right, n, k)],
        Kind::ByWeight => [left.to_vec(), right.to_vec()],
    }
}

fn product(kind: Kind, (m, k, n): (usize, usize, usize), [left, right]: &[Vec<f32>; 2]) -> Vec<f32> {
    let mut to = vec![0.0; m * n];
    match kind {
        Kind::Exact => {
            linear_exact(Linear { outputs: m, inputs: k, positions: n }, left, right, &mut to, Write::Set);
        }
        Kind::Forward => {
            linear(Linear { outputs: m, inputs: k, positions: n }, left[..].into(), right, &mut to, Write::Set);
        }
        Kind::ByInput => {
            let shape = Linear { outputs: k, inputs: m, positions: n };
            linear_backward_input(shape, left[..].into(), right, &mut to, Write::Set);
        }
        Kind::ByWeight => linear_backward_weight(Linear { outputs: m, inputs: n, positions: k }, left, right, &mut to),
    }
    to
}

/// Errors, each as a part of the sum of the magnitudes that were added.
#[derive(Debug, Default)]
struct Errors {
    mean: f64,
    root_mean_square: f64,
    most: f64,
}

/// Errors of the product and of chains of multiply-adds.
fn errors(kind: Kind, (m, k, n): (usize, usize, usize), left: &[f32], right: &[f32]) -> [Errors; 2] {
    let is = product(kind, (m, k, n), &factors(kind, (m, k, n), left, right));
    let mut errors = [Errors::default(), Errors::default()];
    for (number, is) in is.iter().enumerate() {
        let (a, b) = (&left[number / n * k..][..k], &right[number % n * k..][..k]);
        let pairs = || a.iter().zip(b);
        let exact: f64 = pairs().map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let size: f64 = pairs().map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum();
        let chain = pairs().fold(0.0f32, |sum, (a, b)| a.mul_add(*b, sum));
        for (errors, value) in errors.iter_mut().zip([*is, chain]) {
            let error = (f64::from(value) - exact) / size;
            errors.mean += error / (m * n) as f64;
            errors.root_mean_square += error * error / (m * n) as f64;
            errors.most = errors.most.max(error.abs());
        }
    }
    errors.map(|errors| Errors { root_mean_square: errors.root_mean_square.sqrt(), ..errors })
}

/// Makes a number from two in [-1, 1].
type Sort = fn(f64, f64) -> f64;

/// Alike; all of one sign, where errors of one sign would add up; of exponents far apart; nearly cancelling.
const SORTS: [(&str, Sort); 4] = [
    ("alike", |x, _| x),
    ("positive", |x, _| x.abs() + 0.5),
    ("wide", |x, y| x * (40.0 * y).exp2()),
    ("cancelling", |x, y| if y > 0.0 { 1.0 + x * 1e-3 } else { -1.0 + x * 1e-3 }),
];

fn sorted(sort: Sort, seed: u64, count: usize) -> Vec<f32> {
    numbers(seed, count).iter().zip(numbers(seed + 9, count)).map(|(x, y)| sort(*x, y) as f32).collect()
}

#[test]
fn exact_products_are_as_exact_as_chains_of_multiply_adds() {
    for (name, sort) in SORTS {
        for size in [(37, 64, 80), (64, 1100, 96), (33, 75, 112)] {
            let (m, k, n) = size;
            let [is, chain] = errors(Kind::Exact, size, &sorted(sort, 1, m * k), &sorted(sort, 2, n * k));
            let holds = is.root_mean_square <= 2.0 * chain.root_mean_square && is.most <= 2.0 * chain.most;
            assert!(holds, "{name} {size:?}: {is:?}, a chain {chain:?}");
        }
    }
}

/// What the documentation of the room says of them: 16 bits, and no bias.
#[test]
fn products_in_training_count_sixteen_bits_of_each_factor() {
    for (name, sort) in SORTS {
        for (kind, size) in [
            (Kind::Forward, (37, 64, 80)),
            (Kind::Forward, (64, 1100, 96)),
            (Kind::ByInput, (37, 75, 48)),
            (Kind::ByInput, (33, 576, 16)),
            (Kind::ByWeight, (21, 80, 33)),
            (Kind::ByWeight, (40, 256, 176)),
        ] {
            let (m, k, n) = size;
            let [is, chain] = errors(kind, size, &sorted(sort, 1, m * k), &sorted(sort, 2, n * k));
            let last_bit = if serves(k) { 0.5f64.powi(16) } else { 0.0 };
            assert!(is.most <= 3.0 * last_bit + 2.0 * chain.most, "{name} {kind:?} {size:?}: {is:?}, {chain:?}");
            let root = 0.5 * last_bit + 2.0 * chain.root_mean_square;
            assert!(is.root_mean_square <= root, "{name} {kind:?} {size:?}: {is:?}, a chain {chain:?}");
            let mean = last_bit / 16.0 + 2.0 * chain.mean.abs().max(chain.root_mean_square);
            assert!(is.mean.abs() <= mean, "{name} {kind:?} {size:?}: {is:?}, a chain {chain:?}");
        }
    }
}

#[test]
fn what_is_not_finite_is_not_hidden() {
    let size = (33, 70, 80);
    let (m, k, n) = size;
    let strange = [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0x7fff_ffff), f32::INFINITY];
    for (kind, k) in [(Kind::Exact, k), (Kind::Forward, k), (Kind::ByInput, k), (Kind::ByWeight, 80)] {
        for strange in strange.into_iter().chain([f32::NEG_INFINITY]) {
            for on_left in [true, false] {
                let (mut left, mut right) = (vec![1.5f32; m * k], vec![0.75f32; n * k]);
                let (row, side) = if on_left { (32, &mut left) } else { (9, &mut right) };
                side[row * k + 66] = strange;
                let is = product(kind, (m, k, n), &factors(kind, (m, k, n), &left, &right));
                for (number, x) in is.iter().enumerate() {
                    let here = if on_left { number / n == row } else { number % n == row };
                    assert_eq!(x.is_finite(), !here, "{kind:?} {strange} at {number}: {x}");
                }
            }
        }
    }
    // An overflow is one here too.
    let is = product(Kind::Forward, size, &[vec![1e30; m * k], vec![1e30; n * k]]);
    assert!(is.iter().all(|x| !x.is_finite()));
}

#[test]
fn every_stored_format_equals_its_numbers() {
    let shape = Linear { outputs: 45, inputs: 768, positions: 48 };
    let x: Vec<f32> = numbers(3, shape.inputs * shape.positions).iter().map(|x| *x as f32).collect();
    for format in [Format::F32, Format::F16, Format::BF16, Format::Q4_1, Format::Q8_0, Format::Q6K] {
        // Small positive halves wherever a format has its scales.
        let bytes: Vec<u8> =
            (0..format.bytes(shape.outputs * shape.inputs)).map(|i| if i % 2 == 1 { 0x2c } else { i as u8 }).collect();
        let mut weight = vec![0.0; shape.outputs * shape.inputs];
        expand(format, &bytes, &mut weight);
        assert!(weight.iter().all(|x| x.is_finite()), "{format:?}");
        let (mut is, mut should) =
            (vec![1.0; shape.outputs * shape.positions], vec![1.0; shape.outputs * shape.positions]);
        linear_exact(shape, &weight, &x, &mut should, Write::Add);
        let input = MapInput { values: &x, parts: None, used: shape.positions };
        linear_stored(shape, StoredRows { format, bytes: &bytes }, input, &mut is, Write::Add);
        let size = should.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (is, should) in is.iter().zip(&should) {
            assert!((is - should).abs() <= 4e-7 * size, "{format:?}: {is} {should}");
        }
    }
}

#[test]
fn parts_of_weights_made_before_change_no_bit() {
    let mut parts = WeightParts::default();
    for seed in [1, 2] {
        let shape = Linear { outputs: 77, inputs: 600, positions: 96 };
        let numbers = |seed, count| sorted(|x, _| x, seed, count);
        let weight = numbers(seed, shape.outputs * shape.inputs);
        let (x, dy) = (numbers(3, shape.inputs * shape.positions), numbers(4, shape.outputs * shape.positions));
        parts.make(shape.outputs, shape.inputs, &weight);
        let of = |parts| {
            let weight = Weight { values: &weight[..], parts };
            let (mut y, mut dx) = (dy.clone(), x.clone());
            linear(shape, weight, &x, &mut y, Write::Add);
            linear_backward_input(shape, weight, &dy, &mut dx, Write::Set);
            (y, dx)
        };
        assert!(of(Some(&parts)) == of(None), "bits differ");
    }
}
