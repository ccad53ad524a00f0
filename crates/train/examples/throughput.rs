//! Training speed at three fixed shapes, as one JSON line: real steps (forward, backward, AdamW) on random tokens, all
//! positions scored. `cargo run --release -p saltus-train --example throughput -- --shape xs --seconds 5 --threads 2`

use pulp::{Arch, Simd, WithSimd};
use saltus_corpus::Batch;
use saltus_train::{Optimiser, Rung, Trainer};
use saltus_transformer::{Architecture, Config};
use std::{error::Error, hint::black_box, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|a| a == name).ok_or(format!("missing {name}: {USAGE}"))?;
        arguments.get(at + 1).ok_or(format!("{name} without a value: {USAGE}"))
    };
    let shape = option("--shape")?;
    let seconds: f64 = option("--seconds")?.parse()?;
    let threads: usize = option("--threads")?.parse()?;
    let rung = rung(shape).ok_or(format!("no shape {shape:?}: {USAGE}"))?;
    let tokens_per_s = tokens_per_second(&rung, seconds, threads)?;
    let gflops = tokens_per_s * rung.config.train_flops_per_token() / 1e9;
    let peak = fma_peak_gflops(threads);
    let line = serde_json::json!({
        "shape": shape, "tokens_per_s": tokens_per_s, "threads": threads, "gflops": gflops,
        "fma_peak_gflops_measured": peak, "share_of_peak": gflops / peak,
    });
    println!("{line}");
    Ok(())
}

const USAGE: &str = "give --shape xs|s|m --seconds SECONDS --threads THREADS";

/// The shapes: width, layers, heads, context, vocabulary, hidden width, rows.
fn rung(shape: &str) -> Option<Rung> {
    let (width, layers, heads, context, vocabulary, mlp_hidden, rows) = match shape {
        "xs" => (64, 2, 2, 64, 64, 176, 64),
        "s" => (128, 4, 4, 128, 256, 352, 32),
        "m" => (384, 6, 6, 256, 4096, 1024, 8),
        _ => return None,
    };
    let head_dim = width / heads;
    let config = Config {
        vocabulary,
        context,
        width,
        layers,
        heads,
        kv_heads: heads,
        head_dim,
        mlp_hidden,
        tied_embedding: false,
        architecture: Architecture::llama(head_dim, 10_000.0, 1e-5),
    };
    Some(Rung {
        ladder: "throughput".into(),
        name: shape.into(),
        seed: 1,
        config,
        rows,
        steps: 1_000_000,
        peak_learning_rate: 1e-3,
        warmup_steps: 100,
        final_rate: 0.1,
        optimiser: Optimiser { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip: 1.0 },
        early_stop: None,
        checkpoints: vec![1_000_000],
    })
}

/// Positions per second over whole steps, after two steps of warm-up.
fn tokens_per_second(rung: &Rung, seconds: f64, threads: usize) -> Result<f64, saltus_train::Error> {
    let mut trainer = Trainer::new(rung, threads);
    let batches: Vec<Batch> = (0..8).map(|i| random_batch(rung, i)).collect();
    for batch in &batches[..2] {
        trainer.step(rung, batch)?;
    }
    let begun = Instant::now();
    let mut steps = 0u64;
    while begun.elapsed().as_secs_f64() < seconds || steps < 2 {
        trainer.step(rung, &batches[steps as usize % batches.len()])?;
        steps += 1;
    }
    Ok((steps * rung.tokens_per_step()) as f64 / begun.elapsed().as_secs_f64())
}

/// Tokens without structure from a multiplicative hash; every position is scored.
fn random_batch(rung: &Rung, number: u64) -> Batch {
    let n = rung.tokens_per_step();
    let token =
        |i: u64| ((number * n + i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as u32 % rung.config.vocabulary as u32;
    Batch {
        context: rung.config.context,
        tokens: (0..n).map(token).collect(),
        targets: (0..n).map(|i| token(i + 1)).collect(),
    }
}

/// The most multiply-adds that `threads` threads do at once from registers, in GFLOP/s (two FLOPs each): the sum of each
/// thread's best of many short rounds, because other programs can only make a round slower.
fn fma_peak_gflops(threads: usize) -> f64 {
    let best = || (0..300).map(|_| Arch::new().dispatch(FmaLoop)).fold(0.0, f64::max);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(best)).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).sum()
    })
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
        let total = sums.into_iter().fold(simd.splat_f32s(0.0), |x, y| simd.add_f32s(x, y));
        black_box(simd.reduce_sum_f32s(total));
        (2 * CHAINS * ROUNDS * S::F32_LANES) as f64 / seconds / 1e9
    }
}
