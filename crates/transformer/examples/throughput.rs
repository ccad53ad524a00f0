//! Whole training steps (4 fixed shards over 2 threads, AdamW) at fixed shapes: positions a second, and the share of
//! the multiply-add peak that two threads reach at the same time.
//!
//! `cargo run --release -p saltus-transformer --example throughput [SHAPE...] [--threads N]`

use saltus_compute::{AdamW, AdamWState, adamw};
use saltus_random::Key;
use saltus_transformer::{Config, IGNORE, Rows, Weights, Workspace, loss_and_gradient};
use std::time::{Duration, Instant};

const SHARDS: usize = 4;

struct Shape {
    name: String,
    config: Config,
    rows: usize,
    scored: f64,
}

fn shape(name: &str, sizes: [usize; 7], rows: usize, scored: f64) -> Shape {
    let [width, layers, heads, head_dim, context, vocabulary, mlp_hidden] = sizes;
    let config = Config {
        vocabulary,
        context,
        width,
        layers,
        heads,
        kv_heads: heads,
        head_dim,
        mlp_hidden,
        rope_base: 1000.0,
        norm_eps: 1e-5,
        tied_embedding: false,
    };
    Shape { name: name.into(), config, rows, scored }
}

fn shapes() -> Vec<Shape> {
    let mut all = vec![
        shape("xs", [64, 2, 2, 32, 64, 64, 176], 64, 1.0),
        shape("s", [128, 4, 4, 32, 128, 256, 352], 32, 1.0),
        shape("m", [384, 6, 6, 64, 256, 4096, 1024], 8, 1.0),
    ];
    for (width, layers) in [(8, 2), (12, 2), (16, 2), (24, 2), (32, 2), (48, 2), (64, 2), (64, 3), (96, 3)] {
        let head_dim = 16.min(width / 2);
        let hidden = (8.0 * width as f64 / 24.0).round() as usize * 8;
        let sizes = [width, layers, width / head_dim, head_dim, 64, 64, hidden];
        all.push(shape(&format!("{width}x{layers}"), sizes, 16, 0.3));
    }
    all
}

struct Trainer {
    weights: Weights<f32>,
    shards: Vec<(Workspace<f32>, Vec<f32>)>,
    moments: [Vec<f32>; 2],
    tokens: Vec<u32>,
    targets: Vec<u32>,
    step: u64,
}

impl Trainer {
    fn new(shape: &Shape) -> Self {
        let Config { context, vocabulary, .. } = shape.config;
        let weights = Weights::init(&shape.config, Key::new(1));
        let zeros = vec![0.0; weights.values.len()];
        let at = |i: usize| (i * 2_654_435_761 % 1_000_003 % vocabulary) as u32;
        let positions = shape.rows * context;
        let scored = |i: usize| (i * 40_503 % 1000) as f64 <= shape.scored * 1000.0;
        Trainer {
            shards: (0..SHARDS).map(|_| (Workspace::new(&shape.config, context), zeros.clone())).collect(),
            moments: [zeros.clone(), zeros],
            tokens: (0..positions).map(at).collect(),
            targets: (0..positions).map(|i| if scored(i) { at(i + 1) } else { IGNORE }).collect(),
            step: 0,
            weights,
        }
    }

    fn step(&mut self, threads: usize) {
        self.step += 1;
        let context = self.weights.config.context;
        let span = self.tokens.len() / SHARDS;
        let scale = 1.0 / self.targets.iter().filter(|t| **t != IGNORE).count() as f32;
        let (weights, tokens, targets) = (&self.weights, &self.tokens, &self.targets);
        let mut shards: Vec<_> = self.shards.iter_mut().enumerate().collect();
        each(&mut shards, threads, |(number, (workspace, gradient))| {
            let at = *number * span;
            let (tokens, targets) = (&tokens[at..at + span], &targets[at..at + span]);
            gradient.fill(0.0);
            loss_and_gradient(weights, Rows { context, tokens, targets }, scale, workspace, gradient);
        });
        let chunk = self.weights.values.len().div_ceil(threads);
        let mut gradients: Vec<_> = self.shards.iter_mut().map(|(_, g)| g.chunks_mut(chunk)).collect();
        let [first, second] = &mut self.moments;
        let values = self.weights.values.chunks_mut(chunk).zip(first.chunks_mut(chunk).zip(second.chunks_mut(chunk)));
        let step = self.step;
        let mut parts: Vec<_> = values
            .map(|(values, (first_moment, second_moment))| {
                let gradients: Vec<_> = gradients.iter_mut().filter_map(Iterator::next).collect();
                Some((gradients, AdamWState { values, first_moment, second_moment }))
            })
            .collect();
        each(&mut parts, threads, |part| {
            if let Some((gradients, state)) = part.take() {
                update(gradients, step, state);
            }
        });
    }
}

/// Calls `f` on each task, equally many on each of so many threads; one thread is the calling one.
fn each<T: Send>(tasks: &mut [T], threads: usize, f: impl Fn(&mut T) + Sync) {
    if threads == 1 {
        return tasks.iter_mut().for_each(f);
    }
    let (share, f) = (tasks.len().div_ceil(threads), &f);
    std::thread::scope(|scope| {
        for tasks in tasks.chunks_mut(share) {
            scope.spawn(move || tasks.iter_mut().for_each(f));
        }
    });
}

/// Seconds that this thread was on a processor, or elapsed seconds where the system does not say: with one thread, what
/// else the machine does then counts less.
fn seconds(start: Instant) -> f64 {
    let on_processor = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = on_processor.and_then(|s| s.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| start.elapsed().as_secs_f64(), |n| n * 1e-9)
}

fn update(mut parts: Vec<&mut [f32]>, step: u64, state: AdamWState<'_>) {
    let (sum, rest) = parts.split_at_mut(1);
    for part in rest {
        for (sum, x) in sum[0].iter_mut().zip(part.iter()) {
            *sum += *x;
        }
    }
    let settings = AdamW { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.1 };
    adamw(&settings, 1e-4, step, 1.0, sum[0], state);
}

/// Fused multiply-adds on registers alone, FLOPs a second of one thread.
struct Peak;
impl pulp::WithSimd for Peak {
    type Output = f64;
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> f64 {
        let [a, b, c] = std::hint::black_box([0.999, 0.002, 1.0]).map(|x| simd.splat_f32s(x));
        let mut sums = [c; 12];
        let steps = 4_000_000;
        let start = Instant::now();
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, a, b);
            }
        }
        let time = start.elapsed().as_secs_f64();
        std::hint::black_box(sums.map(|s| simd.reduce_sum_f32s(s)));
        (steps * sums.len() * S::F32_LANES * 2) as f64 / time
    }
}

fn peak(threads: usize) -> f64 {
    let once = || -> f64 {
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(|| pulp::Arch::new().dispatch(Peak))).collect();
            all.into_iter().filter_map(|t| t.join().ok()).sum()
        })
    };
    (0..5).map(|_| once()).fold(0.0, f64::max)
}

/// The share of the peak, where the counted FLOPs hold: they suppose that every position is scored.
fn share(shape: &Shape, rate: f64, peak: f64) -> String {
    let share = 100.0 * shape.config.train_flops_per_token() * rate / peak;
    if shape.scored == 1.0 { format!(", {share:.0}% of the peak") } else { String::new() }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.iter().position(|a| a == "--threads").and_then(|i| arguments.get(i + 1)?.parse().ok());
    let threads: usize = threads.unwrap_or(2);
    let wanted = |name: &str| {
        let names = arguments.iter().filter(|a| !a.starts_with("--") && a.parse::<usize>().is_err());
        names.clone().next().is_none() || names.clone().any(|a| a == name)
    };
    let peak = peak(threads);
    println!("{threads} threads, peak {:.0} GFLOP/s", peak / 1e9);
    for shape in shapes().iter().filter(|s| wanted(&s.name)) {
        let mut trainer = Trainer::new(shape);
        trainer.step(threads);
        let begin = Instant::now();
        let now = || if threads == 1 { seconds(begin) } else { begin.elapsed().as_secs_f64() };
        // The system counts a thread's time in ticks of some milliseconds: many steps make one measurement.
        let before = now();
        let mut steps = 0;
        while begin.elapsed() < Duration::from_millis(300) {
            trainer.step(threads);
            steps += 1;
        }
        let steps = (0.15 / (now() - before).max(0.01) * f64::from(steps)).ceil() as usize;
        let mut times = Vec::new();
        for _ in 0..9 {
            let before = now();
            (0..steps).for_each(|_| trainer.step(threads));
            times.push((now() - before) / steps as f64);
        }
        times.sort_by(f64::total_cmp);
        let positions = trainer.tokens.len() as f64;
        let rate = |time: f64| positions / time;
        let median = times[times.len() / 2];
        println!(
            "{:5} {:9.0} positions/s (median; best {:9.0}), {:7.2} ms a step, 4M positions {:6.1} s{}",
            shape.name,
            rate(median),
            rate(times[0]),
            median * 1e3,
            4e6 / rate(median),
            share(shape, rate(median), peak)
        );
    }
}
