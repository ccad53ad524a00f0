//! The linear map and its gradients against their definition.

use super::*;
use crate::check::{assert_close, numbers};
use proptest::prelude::*;

fn plain(shape: Linear, weight: &[f64], x: &[f64]) -> Vec<f64> {
    let Linear { outputs, inputs, positions } = shape;
    let mut y = vec![0.0; outputs * positions];
    for o in 0..outputs {
        for i in 0..inputs {
            for p in 0..positions {
                y[o * positions + p] += weight[o * inputs + i] * x[i * positions + p];
            }
        }
    }
    y
}

/// f64 against the plain loops, and f32 against f64; `y` starts at one to see that it is kept or not. Where 16 bits count
/// in training, products of two numbers in [-1, 1] are wrong by either sign alike: of n, the worst of 80,000 sums was off
/// by 1.1e-5 times the root of n (the tests of the tile unit hold each to what is certain).
fn check(shape: Linear) {
    let Linear { outputs, inputs, positions } = shape;
    let (w, x, dy) = (numbers(1, outputs * inputs), numbers(2, inputs * positions), numbers(3, outputs * positions));
    let single = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let double = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let (mut y, mut y32) = (vec![1.0; outputs * positions], vec![1.0f32; outputs * positions]);
    let expected = plain(shape, &w, &x);
    linear(shape, w[..].into(), &x, &mut y, Write::Set);
    assert_close(&y, &expected, 1e-12);
    linear_exact(shape, &single(&w), &single(&x), &mut y32, Write::Set);
    assert_close(&double(&y32), &expected, 1e-4);
    let most = |contracted: usize| match contracted {
        _ if training_bits() == 24 => 1e-4,
        ..tiles::LEAST => 1e-6 * contracted as f64,
        _ => 1.5e-5 * (contracted as f64).sqrt(),
    };
    linear(shape, single(&w)[..].into(), &single(&x), &mut y32, Write::Set);
    assert_close(&double(&y32), &expected, most(inputs));
    linear(shape, w[..].into(), &x, &mut y, Write::Add);
    assert_close(&y, &expected.iter().map(|v| 2.0 * v).collect::<Vec<_>>(), 1e-12);

    // The two gradients are the adjoints: <dy, W x> = <W^T dy, x> = <dy x^T, W>.
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    linear_backward_input(shape, w[..].into(), &dy, &mut dx, Write::Set);
    linear_backward_weight(shape, &dy, &x, &mut dw);
    assert_close(&[dot(&dx, &x), dot(&dw, &w)], &[dot(&dy, &expected); 2], 1e-10);
    let (mut dx32, mut dw32) = (vec![0.0f32; x.len()], vec![0.0f32; w.len()]);
    linear_backward_input(shape, single(&w)[..].into(), &single(&dy), &mut dx32, Write::Set);
    linear_backward_weight(shape, &single(&dy), &single(&x), &mut dw32);
    assert_close(&double(&dx32), &dx, most(outputs));
    assert_close(&double(&dw32), &dw, most(positions));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn linear_and_its_gradients_equal_the_definition(outputs in 1usize..40, inputs in 1usize..40, blocks in 1usize..12) {
        check(Linear { outputs, inputs, positions: blocks * crate::BLOCK });
    }
}

#[test]
fn what_does_not_fit_the_caches_is_cut() {
    // Several parts of the contraction, blocks of rows, groups of panels; nothing comes out even.
    check(Linear { outputs: 17, inputs: 1027, positions: 5 * crate::BLOCK });
    check(Linear { outputs: 101, inputs: 610, positions: 40 * crate::BLOCK });
    check(Linear { outputs: 650, inputs: 61, positions: 4 * crate::BLOCK });
}

#[test]
fn a_column_does_not_depend_on_its_neighbours() {
    let shape = Linear { outputs: 29, inputs: 600, positions: 9 * crate::BLOCK };
    let w: Vec<f32> = numbers(1, shape.outputs * shape.inputs).iter().map(|&v| v as f32).collect();
    let x: Vec<f32> = numbers(2, shape.inputs * shape.positions).iter().map(|&v| v as f32).collect();
    let mut y = vec![0.0; shape.outputs * shape.positions];
    linear(shape, w[..].into(), &x, &mut y, Write::Set);
    let one = Linear { positions: NARROW + crate::BLOCK, ..shape };
    let from = 3 * crate::BLOCK;
    let columns = |v: &[f32]| -> Vec<f32> {
        v.chunks(shape.positions).flat_map(|row| row[from..from + one.positions].to_vec()).collect()
    };
    let mut few = vec![0.0; one.outputs * one.positions];
    linear(one, w[..].into(), &columns(&x), &mut few, Write::Set);
    assert_eq!(few, columns(&y));
}
