//! Answers have the same bits whatever the number of threads, also where these are more than the key heads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use saltus_random::Key;
use saltus_transformer::{Architecture, Cache, Chunk, Config, Model, NoTaps, Weights};

fn config(kv_heads: usize, width: usize) -> Config {
    Config {
        vocabulary: 50,
        context: 200,
        width,
        layers: 2,
        heads: 4,
        kv_heads,
        head_dim: 16,
        mlp_hidden: 64,
        tied_embedding: true,
        architecture: Architecture::llama(16, 10_000.0, 1e-6),
    }
}

/// Logits of rows that are long enough for attention to be shared between threads.
fn logits(model: &Model, threads: usize) -> Vec<u32> {
    let rows: Vec<Vec<u32>> = [200, 3, 150].iter().map(|n| (0..*n).map(|i| i * 7 % 50).collect()).collect();
    let pages = rows.iter().map(|row| Cache::pages_of(row.len())).sum();
    let mut cache = Cache::new(model.config(), pages);
    let mut sequences: Vec<_> = rows.iter().map(|_| cache.begin()).collect();
    let chunk = |(tokens, sequence)| {
        let tokens: &Vec<u32> = tokens;
        Chunk { sequence, tokens, wanted: 0..tokens.len(), second: tokens.len() }
    };
    let mut chunks: Vec<_> = rows.iter().zip(&mut sequences).map(chunk).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let logits = pool.install(|| {
        let hidden = model.forward(&mut chunks, &mut cache, &mut NoTaps).unwrap();
        model.logits(&hidden, 0..hidden.wanted())
    });
    logits.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn threads_change_no_bit() {
    // The wider model's products run on a tile unit, if there is one: few threads share columns, more share rows.
    for (kv_heads, width) in [(1, 32), (2, 32), (4, 32), (4, 64)] {
        let model = Model::from(Weights::init(&config(kv_heads, width), Key::new(3)));
        let alone = logits(&model, 1);
        assert!(alone.iter().all(|bits| f32::from_bits(*bits).is_finite()));
        for threads in [2, 3, 8] {
            assert_eq!(logits(&model, threads), alone, "width {width}, {kv_heads} key heads, {threads} threads");
        }
    }
}
