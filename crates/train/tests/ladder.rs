//! Ladder policy: shapes, budgets, rules, and what is said about ladders that make no sense.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use saltus_train::{
    Batch, Budget, Ladder, Optimiser, PeakRate, Rung, Shape, Size, check_memory, checkpoint_steps, curve_steps,
    learning_rate, memory_needed,
};

fn pocket() -> Ladder {
    Ladder {
        name: "main".into(),
        sizes: [(8, 2), (12, 2), (16, 2), (24, 2), (32, 2), (48, 2), (64, 2), (64, 3)]
            .map(|(width, layers)| Size::Shape { width, layers })
            .to_vec(),
        seeds: vec![1, 2, 3],
        shape: Shape {
            aspect: 32.0,
            head_dim: 16,
            queries_per_kv: 1,
            rope_base: 1000.0,
            norm_eps: 1e-5,
            tied_embedding: false,
            causal: true,
        },
        context: 64,
        batch: Batch::Rows(16),
        budget: Budget::Tokens(4_000_000),
        learning_rate: PeakRate::AtWidth64(0.004),
        warmup: 0.05,
        final_rate: 0.02,
        optimiser: Optimiser { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.1, clip: 1.0 },
        early_stop: None,
        checkpoints: 10,
        initial_checkpoint: false,
    }
}

fn one(change: impl FnOnce(&mut Ladder)) -> Rung {
    let mut ladder = pocket();
    change(&mut ladder);
    ladder.rungs(64).unwrap().remove(0)
}

#[test]
fn the_pocket_ladder_is_the_recipe() {
    let rungs = pocket().rungs(64).unwrap();
    assert_eq!(rungs.len(), 24);
    let shapes: Vec<_> =
        rungs.iter().step_by(3).map(|r| (r.config.head_dim, r.config.heads, r.config.mlp_hidden)).collect();
    assert_eq!(
        shapes,
        [(4, 2, 24), (6, 2, 32), (8, 2, 40), (12, 2, 64), (16, 2, 88), (16, 3, 128), (16, 4, 168), (16, 4, 168)]
    );
    let params: Vec<u64> = rungs.iter().step_by(3).map(|r| r.config.params_non_embedding()).collect();
    assert_eq!(params, [1_704, 3_516, 5_968, 13_944, 25_248, 55_536, 97_600, 146_368]);
    assert!(rungs.iter().all(|r| r.steps == 3906 && r.tokens() == 3906 * 1024 && r.warmup_steps == 196));
    assert_eq!((rungs[0].seed, rungs[1].seed, rungs[0].name.as_str()), (1, 2, "8x2"));
    assert!((rungs[0].peak_learning_rate - 0.004 * 8f64.sqrt()).abs() < 1e-12);
}

#[test]
fn target_parameters_are_met_near_the_aspect() {
    for target in [5_000, 50_000, 1_000_000, 30_000_000, 135_000_000] {
        let config = one(|l| l.sizes = vec![Size::Params(target)]).config;
        let miss = (config.params_non_embedding() as f64 / target as f64).ln().abs();
        let aspect = (config.width as f64 / config.layers as f64 / 32.0).ln().abs();
        assert!(miss < 0.12 && aspect < 1.2, "{target}: {}x{} misses by {miss}", config.width, config.layers);
    }
}

#[test]
fn budgets_rates_and_batches_follow_their_rules() {
    let per_parameter = one(|l| l.budget = Budget::TokensPerParameter(20_000.0));
    assert_eq!(per_parameter.steps, (20_000.0 * 1704.0 / 1024.0f64).round() as u64);
    assert_eq!(one(|l| l.learning_rate = PeakRate::Fixed(0.01)).peak_learning_rate, 0.01);
    let compute = 6.0 * 1704.0 * 4e6;
    assert_eq!(one(|l| l.batch = Batch::Compute { rows: 16, flops: compute }).rows, 16);
    assert_eq!(one(|l| l.batch = Batch::Compute { rows: 16, flops: compute / 1000.0 }).rows, 152);
    assert_eq!(one(|l| l.batch = Batch::Compute { rows: 16, flops: compute * 1e9 }).rows, 4);
    let grouped = one(|l| (l.sizes, l.shape.queries_per_kv) = (vec![Size::Shape { width: 64, layers: 1 }], 2));
    assert_eq!((grouped.config.heads, grouped.config.kv_heads), (4, 2));
}

#[test]
fn what_makes_no_sense_is_told_with_what_to_write_instead() {
    let check = |change: fn(&mut Ladder), field: &str, expect: &str| {
        let mut ladder = pocket();
        change(&mut ladder);
        let error = ladder.rungs(64).unwrap_err();
        assert_eq!((error.field, error.to_string().as_str()), (field, expect));
    };
    check(
        |l| l.sizes.push(Size::Shape { width: 50, layers: 2 }),
        "sizes",
        "ladder `main`: 50x2: a width of 50 cannot be divided into heads of even width 16: give a multiple of 16, for \
         example \"48x2\"",
    );
    check(
        |l| l.sizes.push(Size::Shape { width: 10, layers: 2 }),
        "sizes",
        "ladder `main`: 10x2: a width of 10 cannot be divided into heads of even width 5: give a multiple of 4, for \
         example \"12x2\"",
    );
    check(
        |l| l.sizes.push(Size::Shape { width: 48, layers: 2 }),
        "sizes",
        "ladder `main`: two sizes both mean 48x2: write each size once; targets must be far enough apart to give \
         different shapes",
    );
    check(
        |l| l.sizes.push(Size::Params(10)),
        "sizes",
        "ladder `main`: no model of about 10 non-embedding parameters has this shape: give a larger target, or width \
         and layers, for example \"48x2\"",
    );
    check(
        |l| l.budget = Budget::Tokens(0),
        "budget",
        "ladder `main`: 0 tokens: give a number above 0, for example 4_000_000",
    );
    check(
        |l| l.budget = Budget::Tokens(300),
        "budget",
        "ladder `main`: 300 tokens are not even one step of 16 rows x 64 positions: give more tokens or smaller batches",
    );
    check(
        |l| l.shape.queries_per_kv = 3,
        "shape",
        "ladder `main`: 8x2 has 2 heads, which 3 queries for each key-value head do not divide: give a number that \
         divides the heads of every size, or 1",
    );
    check(|l| l.seeds = vec![1, 2, 1], "seeds", "ladder `main`: [1, 2, 1] repeats a seed: write each seed once");
    check(
        |l| l.early_stop = Some(0.0),
        "early_stop",
        "ladder `main`: a loss that must fall by 0: give a share between 0 and 1",
    );
    check(
        |l| l.learning_rate = PeakRate::Fixed(f64::NAN),
        "learning_rate",
        "ladder `main`: a rate of NaN: give a number above 0, for example 0.004",
    );
}

#[test]
fn a_model_that_does_not_fit_the_memory_is_refused() {
    let rung = one(|l| l.sizes = vec![Size::Params(1_000_000_000)]);
    // Weights, two moments and four gradients of at least 10^9 values of 4 bytes each.
    assert!(memory_needed(&rung) > 24 << 30);
    let error = check_memory(&rung, 8 << 30).unwrap_err().to_string();
    assert!(error.contains("GiB to train and 8.0 GiB are free: leave it out"), "{error}");
    check_memory(&one(|_| {}), 8 << 30).unwrap();
}

#[test]
fn keys_are_of_what_determines_the_weights() {
    let rung = one(|_| {});
    let key = rung.key("corpus");
    assert_eq!(key.len(), 64);
    let renamed = Rung { ladder: "other".into(), name: "other".into(), ..rung.clone() };
    assert_eq!(renamed.key("corpus"), key);
    let json = serde_json::to_string(&rung).unwrap();
    assert_eq!(serde_json::from_str::<Rung>(&json).unwrap().key("corpus"), key);
    let changed = [
        rung.key("other"),
        Rung { seed: 2, ..rung.clone() }.key("corpus"),
        Rung { steps: rung.steps + 1, ..rung.clone() }.key("corpus"),
        Rung { early_stop: Some(0.01), ..rung.clone() }.key("corpus"),
        one(|l| l.optimiser.beta2 = 0.95).key("corpus"),
        one(|l| l.shape.tied_embedding = true).key("corpus"),
    ];
    assert!(changed.iter().all(|other| *other != key));
}

#[test]
fn the_learning_rate_warms_up_and_falls_as_a_cosine() {
    let rung = Rung { steps: 100, warmup_steps: 10, peak_learning_rate: 1.0, final_rate: 0.1, ..one(|_| {}) };
    for (step, expect) in [(1, 0.1), (5, 0.5), (10, 1.0), (55, 0.55), (100, 0.1)] {
        assert!((learning_rate(&rung, step) - expect).abs() < 1e-12, "{step}");
    }
    assert!((11..=100).all(|s| learning_rate(&rung, s) < learning_rate(&rung, s - 1)));
    let all_warmup = Rung { steps: 10, ..rung.clone() };
    assert_eq!(learning_rate(&all_warmup, 10), 1.0);
    let no_warmup = Rung { warmup_steps: 0, ..rung };
    assert!(learning_rate(&no_warmup, 1) > 0.999);
}

#[test]
fn checkpoints_halve_and_curves_have_both_ends() {
    assert_eq!(checkpoint_steps(3906, 5, false), [244, 488, 977, 1953, 3906]);
    assert_eq!(checkpoint_steps(3, 10, true), [0, 1, 2, 3]);
    assert_eq!(checkpoint_steps(100, 1, false), [100]);
    for steps in [1, 2, 7, 99, 3906, 1_000_000] {
        let points = curve_steps(steps);
        assert!(points.is_sorted_by(|a, b| a < b) && points.len() <= 200);
        assert_eq!((points[0], points[points.len() - 1]), (1, steps));
        assert!(checkpoint_steps(steps, 12, true).is_sorted_by(|a, b| a < b));
    }
}
