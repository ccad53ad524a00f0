//! Known laws recovered from simulated ladders, and the measured coverage of the intervals.

use rand::RngExt;
use rand_distr::StandardNormal;
use saltus_law::*;
use saltus_random::Key;

/// The sizes of the pocket ladder, non-embedding parameters.
const SIZES: [f64; 9] = [1.7e3, 3.5e3, 5.9e3, 14e3, 25e3, 55e3, 97e3, 146e3, 332e3];

/// A ladder: `seeds` runs of each size, each with checkpoints up to 4M tokens.
#[derive(Clone, Copy)]
struct Ladder {
    sizes: &'static [f64],
    seeds: u64,
    checkpoints: usize,
    /// Standard deviation of the log loss shared by a run.
    run_noise: f64,
    /// And of each checkpoint.
    point_noise: f64,
}

const POCKET: Ladder = Ladder { sizes: &SIZES, seeds: 3, checkpoints: 12, run_noise: 0.01, point_noise: 0.003 };

fn simulate(truth: &impl Law, ladder: &Ladder, key: Key) -> Observations {
    let mut all = Vec::new();
    for (rung, &size) in ladder.sizes.iter().enumerate() {
        for seed in 0..ladder.seeds {
            let mut rng = key.index(rung as u64).index(seed).rng();
            let shared: f64 = rng.sample(StandardNormal);
            for checkpoint in 0..ladder.checkpoints {
                let tokens = Tokens(4e6 * 0.65f64.powi((ladder.checkpoints - 1 - checkpoint) as i32));
                let own: f64 = rng.sample(StandardNormal);
                let noise = ladder.run_noise * shared + ladder.point_noise * own;
                let loss = truth.loss(Params(size), tokens) * noise.exp();
                let (params, run) = (Params(size), rung as u64 * 100 + seed);
                all.push(Observation { params, tokens, flops: Flops::six_nd(params, tokens), loss, run, seed });
            }
        }
    }
    Observations::new(all, conventions()).expect("simulated losses are positive")
}

fn conventions() -> Conventions {
    Conventions { parameters: Parameters::NonEmbedding, loss: "simulated".into(), tokenizer: "none".into() }
}

fn settings(resamples: usize, seed: u64) -> Settings {
    Settings { delta: Settings::DELTA, resamples, key: Key::new(seed).child("resamples") }
}

const POCKET_SIZE_LAW: SizeLaw = SizeLaw { e: 0.69, a: 9.75, alpha: 0.265 };
const POCKET_LAW: SizeTokenLaw = SizeTokenLaw { e: 0.65, a: 9.75, alpha: 0.265, b: 150.0, beta: 0.45 };

/// Without noise every law comes back to six digits, steep and shallow, with and without an irreducible loss.
#[test]
fn exact_data_give_the_law_back() {
    let exact = Ladder { seeds: 1, run_noise: 0.0, point_noise: 0.0, ..POCKET };
    let truths = [
        POCKET_LAW,
        SizeTokenLaw { e: 1.8172, a: 482.0, alpha: 0.3478, b: 2085.4, beta: 0.3658 },
        SizeTokenLaw { e: 0.05, a: 40.0, alpha: 0.5, b: 3e4, beta: 0.9 },
        SizeTokenLaw { e: 3.0, a: 3.0, alpha: 0.1, b: 20.0, beta: 0.2 },
    ];
    for truth in truths {
        let fit = fit_size_tokens(&simulate(&truth, &exact, Key::new(1)), &settings(0, 1)).unwrap();
        for ((name, found), (_, expected)) in fit.parameters().into_iter().zip(truth.named()) {
            assert!((found.value / expected - 1.0).abs() < 1e-6, "{truth:?}: {name} = {}", found.value);
        }
        assert!(fit.r_squared > 1.0 - 1e-12);
    }
    let fit = fit_size(&simulate(&POCKET_SIZE_LAW, &exact, Key::new(1)), &settings(0, 1)).unwrap();
    assert_eq!(fit.data.all().len(), 9);
    assert!((fit.law.alpha / 0.265 - 1.0).abs() < 1e-6 && (fit.law.e / 0.69 - 1.0).abs() < 1e-6, "{:?}", fit.law);
}

/// What a study is asked: a named quantity of the law.
type Quantity<L> = (&'static str, fn(&L) -> f64);

/// Prints and returns the share of 95% intervals that contain the truth, quantity by quantity, over simulated ladders.
fn coverage<L: Law>(
    ladder: &Ladder,
    truth: &L,
    quantities: &[Quantity<L>],
    studies: u64,
    fit: impl Fn(&Observations, &Settings) -> Result<Fit<L>, LawError>,
) -> Vec<f64> {
    let mut inside = vec![0u32; quantities.len()];
    let mut widths = vec![Vec::new(); quantities.len()];
    for study in 0..studies {
        let data = simulate(truth, ladder, Key::new(7).index(study));
        let fit = fit(&data, &settings(200, study)).expect("the ladder is large enough");
        for (i, (_, quantity)) in quantities.iter().enumerate() {
            let (interval, expected) = (fit.interval(quantity), quantity(truth));
            inside[i] += u32::from(interval.low <= expected && expected <= interval.high);
            widths[i].push((interval.high - interval.low) / expected);
        }
    }
    println!("{}, {} seeds, noise {} + {}:", L::NAME, ladder.seeds, ladder.run_noise, ladder.point_noise);
    for (i, (name, _)) in quantities.iter().enumerate() {
        widths[i].sort_by(f64::total_cmp);
        let share = 100.0 * f64::from(inside[i]) / studies as f64;
        println!("  {name:>10} {share:5.1}% inside, median width / truth {:.3}", widths[i][widths[i].len() / 2]);
    }
    inside.iter().map(|n| f64::from(*n) / studies as f64).collect()
}

/// With 240 studies the standard error of a coverage of 95% is 1.4%. The loss of the smallest and largest size hangs on
/// three runs each, of which the fit takes nearly the median: there 87-91% was measured, and that is what is asserted.
#[test]
fn size_intervals_cover() {
    let quantities: [Quantity<SizeLaw>; 7] = [
        ("E", |law| law.e),
        ("A", |law| law.a),
        ("alpha", |law| law.alpha),
        ("L(25k)", |law| law.loss(Params(25e3), Tokens(4e6))),
        ("L(1.7k)", |law| law.loss(Params(1.7e3), Tokens(4e6))),
        ("L(332k)", |law| law.loss(Params(332e3), Tokens(4e6))),
        ("L(1M)", |law| law.loss(Params(1e6), Tokens(4e6))),
    ];
    for (run_noise, seeds) in [(0.003, 3), (0.01, 3), (0.03, 3), (0.01, 5)] {
        let ladder = Ladder { run_noise, seeds, checkpoints: 1, point_noise: 0.0, ..POCKET };
        let shares = coverage(&ladder, &POCKET_SIZE_LAW, &quantities, 240, fit_size);
        let (parameters, ends) = shares.split_at(4);
        assert!(parameters.iter().all(|share| (0.90..=0.99).contains(share)), "{shares:?}");
        assert!(ends.iter().all(|share| (0.83..=0.97).contains(share)), "{shares:?}");
    }
}

/// The intervals are on the safe side: 95-100% was measured. Those of B and beta are wider than they need be: a run's level is shared by all its checkpoints, so it hardly
/// moves the exponent of the tokens, but the resampled medians of three runs do.
#[test]
fn size_token_intervals_cover() {
    let quantities: [Quantity<SizeTokenLaw>; 7] = [
        ("E", |law| law.e),
        ("A", |law| law.a),
        ("alpha", |law| law.alpha),
        ("B", |law| law.b),
        ("beta", |law| law.beta),
        ("a", SizeTokenLaw::params_exponent),
        ("N*(1e12)", |law| law.optimum(Flops(1e12)).params.0),
    ];
    for (run_noise, point_noise) in [(0.003, 0.003), (0.01, 0.003)] {
        let ladder = Ladder { run_noise, point_noise, checkpoints: 4, ..POCKET };
        for (share, (name, _)) in
            coverage(&ladder, &POCKET_LAW, &quantities, 60, fit_size_tokens).into_iter().zip(quantities)
        {
            assert!(share >= 0.90, "{name}: {share}");
        }
    }
}

/// Two runs of 27 that went wrong move the exponent by less than its interval is wide.
#[test]
fn bad_runs_do_not_move_the_law() {
    let clean = simulate(&POCKET_LAW, &POCKET, Key::new(3));
    let spoilt =
        |o: &Observation| Observation { loss: o.loss * if o.run == 102 || o.run == 600 { 1.3 } else { 1.0 }, ..*o };
    let dirty = Observations::new(clean.all().iter().map(spoilt).collect(), conventions()).unwrap();
    let expected = fit_size_tokens(&clean, &settings(200, 1)).unwrap().interval(|law| law.alpha);
    let found = fit_size_tokens(&dirty, &settings(0, 1)).unwrap();
    assert!(expected.low < found.law.alpha && found.law.alpha < expected.high, "{expected:?} {}", found.law.alpha);
    assert!([102, 600].contains(&found.residuals.largest.0.run));
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let data = simulate(&POCKET_LAW, &Ladder { checkpoints: 4, ..POCKET }, Key::new(3));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit_size_tokens(&data, &settings(50, 1)).unwrap())
    };
    let one = on(1);
    assert!(on(2) == one && on(4) == one);
    assert_ne!(fit_size_tokens(&data, &settings(50, 2)).unwrap().resamples, one.resamples);
}

/// The false-positive rates of the residual tests, and that they see a law that is wrong.
#[test]
fn residual_tests_keep_their_level_and_see_a_wrong_law() {
    let (mut size, mut bends) = (0, 0);
    let studies = 200;
    let ladder = Ladder { checkpoints: 4, ..POCKET };
    for study in 0..studies {
        let data = simulate(&POCKET_LAW, &ladder, Key::new(11).index(study));
        let fit = fit_size_tokens(&data, &settings(0, 1)).unwrap();
        size += u32::from(fit.residuals.lack_of_fit.unwrap().p < 0.01);
        bends += u32::from(fit.warnings.iter().any(|w| matches!(w, Warning::BendsAlongTraining { .. })));
    }
    println!("false alarms in {studies} true laws: lack of fit at p < 0.01 {size}, bends along training {bends}");
    assert!(size <= 8 && bends <= 8);

    /// A loss that falls with size in two steps.
    #[derive(Clone, Copy)]
    struct Steps;
    impl Law for Steps {
        const NAME: &'static str = "steps";
        const FORMULA: &'static str = "";
        fn loss(&self, params: Params, _: Tokens) -> f64 {
            3.0 - if params.0 > 1e4 { 1.0 } else { 0.0 } - if params.0 > 1e5 { 1.0 } else { 0.0 }
        }
        fn named(&self) -> Vec<(&'static str, f64)> {
            Vec::new()
        }
    }
    let fit = fit_size(&simulate(&Steps, &ladder, Key::new(1)), &settings(100, 1)).unwrap();
    assert!(fit.warnings.iter().any(|w| matches!(w, Warning::LackOfFit(_))), "{:?}", fit.warnings);
}

/// Every warning comes when it should, says the facts and ends with a remedy; a good ladder has none.
#[test]
fn warnings() {
    let one = Ladder { checkpoints: 1, run_noise: 0.002, ..POCKET };
    let check = |truth: SizeLaw, ladder: Ladder, expected: &[&str]| {
        let fit = fit_size(&simulate(&truth, &ladder, Key::new(2)), &settings(200, 1)).unwrap();
        let found: Vec<String> = fit.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        found.iter().zip(expected).for_each(|(found, expected)| assert!(found.contains(expected), "{found}"));
    };
    check(POCKET_SIZE_LAW, one, &[]);
    check(SizeLaw { e: 0.0, a: 30.0, alpha: 0.2 }, one, &["irreducible loss is not identified"]);
    check(SizeLaw { e: 2.0, a: 0.0, alpha: 0.3 }, one, &["irreducible loss", "alpha is not identified"]);
    check(POCKET_SIZE_LAW, Ladder { seeds: 1, ..one }, &["9 of 9 sizes have a single run"]);
    let short = Ladder { sizes: &SIZES[4..8], ..one };
    check(POCKET_SIZE_LAW, short, &["irreducible", "alpha", "only 4 sizes", "the sizes span a factor of 5.8"]);

    let fit = fit_size_tokens(&simulate(&POCKET_LAW, &POCKET, Key::new(2)), &settings(50, 1)).unwrap();
    let told = fit.warnings.iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("324 checkpoints come from 27 runs"), "{told}");
}

#[test]
fn impossible_data_are_refused_with_a_remedy() {
    let good = simulate(&POCKET_LAW, &POCKET, Key::new(1)).all().to_vec();
    let new = |spoil: fn(&mut Vec<Observation>)| {
        let mut all = good.clone();
        spoil(&mut all);
        Observations::new(all, conventions())
    };
    let refused = |error: LawError, expected: &str| assert_eq!(error.to_string(), expected);
    refused(
        new(|all| all[3].loss = f64::NAN).unwrap_err(),
        "observation 3 (run 0) has loss = NaN: it must be a positive finite number; leave the checkpoint out",
    );
    refused(
        new(|all| all[40].tokens = Tokens(0.0)).unwrap_err(),
        "observation 40 (run 100) has tokens = 0: it must be a positive finite number; leave the checkpoint out",
    );
    refused(
        new(|all| all[40].run = 0).unwrap_err(),
        "observation 40 says that run 0 has 3500 parameters, an earlier one 1700: give each training run its own number",
    );
    let three = new(|all| all.retain(|o| o.params.0 < 1e4)).unwrap();
    refused(
        fit_size(&three, &settings(0, 1)).unwrap_err(),
        "L(N) needs at least 4 distinct sizes, and there are 3: train more sizes, or leave this law out",
    );
    let none = new(Vec::clear).unwrap();
    refused(
        fit_size_tokens(&none, &settings(0, 1)).unwrap_err(),
        "L(N,D) needs at least 3 distinct sizes, and there are 0: train more sizes, or leave this law out",
    );
    let delta = Settings { delta: 0.0, ..settings(0, 1) };
    refused(
        fit_size(&new(|_| ()).unwrap(), &delta).unwrap_err(),
        "the Huber threshold delta is 0: it must be a positive finite number; the papers use 0.001",
    );
}

/// On the frontier's own budgets no split is better, its bands hold its estimate, and extrapolation is marked.
#[test]
fn the_frontier_says_what_was_measured() {
    let fit = fit_size_tokens(&simulate(&POCKET_LAW, &POCKET, Key::new(2)), &settings(200, 1)).unwrap();
    let frontier = frontier(&fit, &[Flops(1e11), Flops(1e21)]);
    assert_eq!(frontier.points.iter().map(|p| p.measured).collect::<Vec<_>>(), [true, false]);
    for point in &frontier.points {
        for Interval { value, low, high } in [point.params, point.tokens, point.loss] {
            assert!(low <= value && value <= high);
        }
        assert!((6.0 * point.params.value * point.tokens.value / point.flops.0 - 1.0).abs() < 1e-9);
    }
    let wide = |i: &Interval| i.high / i.low;
    assert!(wide(&frontier.points[1].params) > wide(&frontier.points[0].params));
    assert!((frontier.params_exponent.value + frontier.tokens_exponent.value - 1.0).abs() < 1e-12);
}

/// The envelope falls, starts at the least compute, and no mean over seeds lies below it.
#[test]
fn the_envelope_is_the_lower_edge() {
    let data = simulate(&POCKET_LAW, &POCKET, Key::new(5));
    let envelope = data.envelope();
    assert!(envelope.len() > 9, "{}", envelope.len());
    assert!(envelope.windows(2).all(|w| w[0].flops < w[1].flops && w[0].loss > w[1].loss));
    assert_eq!(envelope[0].params, Params(1.7e3));
    for cell in data.all().chunks(12 * 3).flat_map(|size| (0..12).map(move |c| [size[c], size[c + 12], size[c + 24]])) {
        let loss = cell.iter().map(|o| o.loss).sum::<f64>() / 3.0;
        let edge = envelope.iter().rev().find(|p| p.flops <= cell[0].flops).unwrap();
        assert!(edge.loss <= loss + 1e-12, "{edge:?} {cell:?}");
    }
}
