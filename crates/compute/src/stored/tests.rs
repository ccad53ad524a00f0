//! Formats against blocks made by hand, products against expanded weights.

use super::*;
use crate::check::numbers;

const ALL: [Format; 13] = [
    Format::F32,
    Format::F16,
    Format::BF16,
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q8_0,
    Format::Q2K,
    Format::Q3K,
    Format::Q4K,
    Format::Q5K,
    Format::Q6K,
];

/// Bytes without infinite scales: every two bytes could be a half.
fn bytes(format: Format, count: usize) -> Vec<u8> {
    let byte = |x: &f64| (x.to_bits() >> 20) as u8 & 0xbb;
    numbers(5, format.bytes(count)).iter().map(byte).collect()
}

#[test]
fn half_precision_is_exact() {
    let cases =
        [(0x0000, 0.0), (0x8000, -0.0), (0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x3555, 0.333_251_95)];
    for (bits, expect) in cases {
        assert_eq!(blocks::half(bits).to_bits(), f32::to_bits(expect), "{bits:x}");
    }
    assert_eq!(blocks::half(0x0001), 2.0f32.powi(-24));
    assert_eq!(blocks::half(0x03ff), 1023.0 * 2.0f32.powi(-24));
    assert_eq!((blocks::half(0x7c00), blocks::half(0xfc00)), (f32::INFINITY, f32::NEG_INFINITY));
    assert!(blocks::half(0x7e00).is_nan());
}

/// Blocks made by hand: the scale is 0.5, the minimum 1, every quantised number has a different place.
#[test]
fn blocks_mean_what_they_say() {
    let half_one = 0x3800u16.to_le_bytes();
    let one = 0x3c00u16.to_le_bytes();
    let counting: Vec<u8> = (0..16).map(|i| i | (15 - i) << 4).collect();
    let check = |format: Format, block: &[u8], expect: &dyn Fn(usize) -> f32| {
        let mut to = vec![0.0; format.block().0];
        expand(format, block, &mut to);
        for (i, x) in to.iter().enumerate() {
            assert_eq!(*x, expect(i), "{format:?} {i}");
        }
    };
    let four = |i: usize| if i < 16 { i as f32 } else { 31.0 - i as f32 };
    check(Format::Q4_0, &[&half_one[..], &counting].concat(), &|i| 0.5 * (four(i) - 8.0));
    check(Format::Q4_1, &[&half_one[..], &one, &counting].concat(), &|i| 0.5 * four(i) + 1.0);
    // The fifth bits: of every third number.
    let fifth = (0..32).filter(|i: &u32| i.is_multiple_of(3)).fold(0u32, |bits, i| bits | 1 << i).to_le_bytes();
    let five = |i: usize| four(i) + if i.is_multiple_of(3) { 16.0 } else { 0.0 };
    check(Format::Q5_0, &[&half_one[..], &fifth, &counting].concat(), &|i| 0.5 * (five(i) - 16.0));
    check(Format::Q5_1, &[&half_one[..], &one, &fifth, &counting].concat(), &|i| 0.5 * five(i) + 1.0);
    let signed: Vec<u8> = (0..32).map(|i| (i * 8 - 128i32) as i8 as u8).collect();
    check(Format::Q8_0, &[&half_one[..], &signed].concat(), &|i| 0.5 * (i as f32 * 8.0 - 128.0));
}

#[test]
fn products_are_those_of_the_expanded_weights() {
    for format in ALL {
        let shape = Linear { outputs: 29, inputs: 512, positions: 2 * BLOCK };
        let bytes = bytes(format, shape.outputs * shape.inputs);
        let mut values = vec![0.0; shape.outputs * shape.inputs];
        expand(format, &bytes, &mut values);
        // Any bits are a float, but not any float is a weight.
        if format == Format::F32 || values.iter().any(|x| !x.is_finite() || x.abs() > 1e6) {
            values = numbers(3, values.len()).iter().map(|x| *x as f32).collect();
        }
        let bytes = match format {
            Format::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Format::BF16 => {
                values.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits() & 0xffff_0000));
                values.iter().flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect()
            }
            _ => bytes,
        };
        let rows = StoredRows { format, bytes: &bytes };
        let x: Vec<f32> = numbers(2, shape.inputs * shape.positions).iter().map(|x| *x as f32).collect();
        let mut expect = vec![1.0; shape.outputs * shape.positions];
        linear_exact(shape, &values, &x, &mut expect, Write::Add);
        for used in [1, 3, FEW, FEW + 1, 20, shape.positions] {
            let mut y = vec![1.0; expect.len()];
            let input = MapInput { values: &x, parts: None, used };
            linear_stored(shape, rows, input, &mut y, Write::Add);
            let scale = expect.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for (row, expect) in y.chunks(shape.positions).zip(expect.chunks(shape.positions)) {
                for (y, expect) in row.iter().zip(expect).take(used) {
                    assert!((y - expect).abs() < 2e-6 * scale, "{format:?} {used} {y} {expect}");
                }
            }
        }
        parts_made_before_change_no_bit(rows, shape, &x);
        let mut row = vec![0.0; shape.inputs];
        stored_row(rows, shape.inputs, 7, &mut row);
        assert_eq!(row, values[7 * shape.inputs..8 * shape.inputs], "{format:?}");
    }
}

fn parts_made_before_change_no_bit(weight: StoredRows<'_>, shape: Linear, x: &[f32]) {
    for positions in [NARROW + BLOCK, 3 * NARROW, 1100] {
        let shape = Linear { positions, ..shape };
        let x: Vec<f32> = x.iter().cycle().take(shape.inputs * shape.positions).copied().collect();
        for shares in [1, 3] {
            let Some(mut parts) = Parts::room(shape.inputs, positions) else {
                assert!(!tiles::serves(shape.inputs));
                return;
            };
            parts.shares(shares).for_each(|share| share.make(&x));
            let of = |parts| {
                let mut y = vec![0.5; shape.outputs * positions];
                let input = MapInput { values: &x, parts, used: positions };
                linear_stored(shape, weight, input, &mut y, Write::Add);
                y
            };
            assert_eq!(of(Some(&parts)), of(None), "{:?} {positions}", weight.format);
        }
    }
    assert!(Parts::room(shape.inputs, NARROW).is_none());
}
