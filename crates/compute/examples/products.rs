//! Speed of the matrix products at the sizes of real work, one thread, beside the FMA peak measured in the same run:
//! `cargo run --release -p saltus-compute --example products [-- PART]`, PART being a part of a work's name.
//!
//! Each number is the best of many short rounds, because other programs can only make a round slower.

use pulp::{Arch, Simd, WithSimd};
use saltus_compute::{
    Format, Linear, MapInput, StoredRows, Weight, WeightParts, Write, as_bytes, linear, linear_backward_input,
    linear_backward_weight, linear_stored,
};
use std::{hint::black_box, time::Instant};

/// What asks for the product, outputs, inputs, positions.
const WORK: [(&str, [usize; 3]); 18] = [
    ("xs q", [64, 64, 256]),
    ("xs gate_up", [352, 64, 256]),
    ("xs down", [64, 176, 256]),
    ("s q", [128, 128, 256]),
    ("s gate_up", [704, 128, 256]),
    ("s down", [128, 352, 256]),
    ("s head", [256, 128, 256]),
    ("m q", [384, 384, 256]),
    ("m gate_up", [2048, 384, 256]),
    ("m down", [384, 1024, 256]),
    ("m head", [4096, 384, 256]),
    ("score gate_up", [1024, 576, 4096]),
    ("score down", [96, 1536, 4096]),
    ("score head", [1024, 576, 512]),
    ("generate gate_up", [512, 576, 32]),
    ("generate down", [96, 1536, 32]),
    ("generate head", [49152, 576, 32]),
    ("generate down all", [576, 1536, 32]),
];

fn main() {
    let part = std::env::args().nth(1).unwrap_or_default();
    println!("FMA peak {:.0} GFLOP/s; each product in GFLOP/s", peak());
    println!(
        "{:<18}{:>22}{:>9}{:>9}{:>9}{:>9}",
        "", "outputs inputs columns", "forward", "by input", "by weight", "bf16"
    );
    for (name, [outputs, inputs, positions]) in WORK.into_iter().filter(|(name, _)| name.contains(&part)) {
        let shape = Linear { outputs, inputs, positions };
        let (weight, x, dy) = (numbers(outputs * inputs), numbers(inputs * positions), numbers(outputs * positions));
        let half: Vec<u8> = as_bytes(&weight).chunks(4).flat_map(|bytes| [bytes[2], bytes[3]]).collect();
        let stored = StoredRows { format: Format::BF16, bytes: &half };
        let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), weight.clone());
        let mut parts = WeightParts::default();
        parts.make(outputs, inputs, &weight);
        let of = Weight { values: &weight[..], parts: Some(&parts) };
        let flops = 2.0 * (outputs * inputs * positions) as f64;
        let forward = best(flops, || linear(shape, of, &x, &mut y, Write::Set));
        let by_input = best(flops, || linear_backward_input(shape, of, &dy, &mut dx, Write::Set));
        let by_weight = best(flops, || linear_backward_weight(shape, &dy, &x, &mut dw));
        let input = MapInput { values: &x, parts: None, used: positions };
        let bf16 = best(flops, || linear_stored(shape, stored, input, &mut y, Write::Set));
        println!(
            "{name:<18}{outputs:>8}{inputs:>7}{positions:>7}{forward:>9.0}{by_input:>9.0}{by_weight:>9.0}{bf16:>9.0}"
        );
    }
}

/// Numbers of about unit size, without zeros.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0001).collect()
}

/// GFLOP/s of the fastest of many rounds.
fn best(flops: f64, mut work: impl FnMut()) -> f64 {
    let rounds = (2e9 / flops).clamp(5.0, 400.0) as usize;
    let mut least = f64::INFINITY;
    for _ in 0..4 * rounds {
        let begun = Instant::now();
        work();
        least = least.min(begun.elapsed().as_secs_f64());
    }
    flops / least / 1e9
}

fn peak() -> f64 {
    (0..300).map(|_| Arch::new().dispatch(FmaLoop)).fold(0.0, f64::max)
}

/// Independent chains of multiply-adds, enough to hide their latency; gives GFLOP/s.
struct FmaLoop;

impl WithSimd for FmaLoop {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        const CHAINS: usize = 12;
        const ROUNDS: usize = 50_000;
        let (a, b) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut sums = [simd.splat_f32s(black_box(0.5)); CHAINS];
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, a, b);
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        black_box(sums);
        (2 * CHAINS * ROUNDS * S::F32_LANES) as f64 / seconds / 1e9
    }
}
