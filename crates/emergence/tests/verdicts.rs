//! Verdicts, rulings and effects on ladders like the pocket family's, and what every verdict must keep to.

mod common;

use common::{PARAMS, analysis, bounded, proportion, unbounded};
use proptest::prelude::*;
use saltus_emergence::{
    Ability, Analysis, Axis, DECISIVE, Kind, Measurement, Ruling, Scores, Shape, TokenScores, Unjudgeable, Verdict,
    effect, effect_between_ladders, judge, p_power_l, rule_artefact,
};

type Means<'a> = [&'a [f64]; 8];

fn verdict(ability: &Ability) -> Verdict {
    judge(ability, &analysis()).expect("a valid ability")
}

#[track_caller]
fn check(ability: &Ability, expect: Shape) -> Verdict {
    let v = verdict(ability);
    assert_eq!(v.shape, expect, "{} {:?}", v.reason, v.weights);
    v
}

/// Three seeds around each mean, `gap` apart.
fn around(means: [f64; 8], gap: f64) -> [[f64; 3]; 8] {
    means.map(|m| [(m - gap).max(0.0), m, (m + gap).min(1.0)])
}

fn rows(means: &[[f64; 3]; 8]) -> Means<'_> {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|j| means[j].as_slice())
}

const ADDITION: [f64; 8] = [0.01, 0.0, 0.28, 0.62, 0.64, 0.99, 0.97, 1.0];
const TOKENS: [f64; 8] = [0.40, 0.36, 0.72, 0.89, 0.90, 0.99, 0.99, 1.0];
const STEP_BY_STEP: Means = [
    &[0.0, 0.0, 0.0],
    &[0.0, 0.0, 0.0],
    &[0.01, 0.02, 0.99],
    &[1.0, 1.0, 1.0],
    &[0.72, 0.98, 1.0],
    &[0.99, 0.98, 1.0],
    &[1.0, 1.0, 1.0],
    &[1.0, 1.0, 1.0],
];
const DIRECT: [f64; 8] = [0.09, 0.09, 0.10, 0.11, 0.10, 0.10, 0.11, 0.09];

#[test]
fn addition_is_emergent_between_the_sizes_that_show_it() {
    let v = check(&proportion(0.0, 300, &rows(&around(ADDITION, 0.08))), Shape::Emergent);
    let t = v.threshold.expect("an emergence scale");
    assert!(t.scale == PARAMS[2] && t.low <= PARAMS[1] && t.high >= PARAMS[2], "{t:?}");
    assert!(v.p_value.is_some_and(|p| p <= 0.05) && v.weight(Shape::Emergent) >= DECISIVE);
    assert!((v.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!((v.points.len(), v.points[0].by_seed.len(), v.points[0].items), (8, 3, 300.0));
    assert!(v.curve.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1 + 1e-12));
}

#[test]
fn seeds_that_disagree_within_the_transition_are_named() {
    let v = check(&proportion(0.0, 300, &STEP_BY_STEP), Shape::Emergent);
    assert_eq!(v.disagreement, [PARAMS[2]]);
    assert!(v.reason.contains("Seeds disagree at 5.9k"), "{}", v.reason);
    assert!(v.points[2].high - v.points[2].low > 0.6, "one of three seeds says little: {:?}", v.points[2]);
}

#[test]
fn seeds_that_disagree_at_the_largest_size_leave_it_open() {
    let mut means = STEP_BY_STEP;
    means[6] = &[0.0, 1.0, 1.0];
    means[7] = &[0.0, 1.0, 1.0];
    let v = check(&proportion(0.0, 300, &means), Shape::Undetermined);
    assert!(v.threshold.is_none());
}

#[test]
fn growth_from_above_chance_is_smooth_however_steep() {
    check(&bounded(0.1, 300, &rows(&around(TOKENS, 0.02))), Shape::Smooth);
    let facts = [0.06, 0.13, 0.18, 0.27, 0.39, 0.89, 0.94, 0.97];
    check(&proportion(0.04, 600, &rows(&around(facts, 0.01))), Shape::Smooth);
    let loss = [2.07, 1.79, 1.68, 1.53, 1.38, 1.18, 1.11, 1.11].map(|m| [m - 0.01, m, m + 0.01]);
    check(&unbounded(false, 2000, 1.0, &rows(&loss)), Shape::Smooth);
}

#[test]
fn a_hump_of_the_loss_is_a_u_of_performance() {
    let hump = [2.3, 3.5, 3.6, 4.4, 4.4, 3.2, 2.4, 2.4].map(|m| [m - 0.2, m, m + 0.2]);
    let v = check(&unbounded(false, 300, 1.5, &rows(&hump)), Shape::UShaped);
    let peak = v.curve.iter().copied().fold((0.0, f64::NEG_INFINITY), |a, b| if b.1 > a.1 { b } else { a });
    assert!((1e4..4e4).contains(&peak.0) && peak.1 > 4.0, "the curve is in the metric's own direction: {peak:?}");
    // Models too small for the rule that misleads the larger ones; seeds that disagree where it is overcome.
    let late: Means = [
        &[2.5, 2.3, 2.4],
        &[2.3, 2.2, 2.3],
        &[3.2, 3.1, 2.6],
        &[4.8, 5.6, 3.1],
        &[5.0, 4.4, 4.7],
        &[3.7, 3.6, 4.3],
        &[4.2, 3.7, 0.4],
        &[1.1, 1.8, 2.2],
    ];
    check(&unbounded(false, 300, 1.5, &late), Shape::UShaped);
}

#[test]
fn chance_everywhere_is_flat() {
    let v = check(&proportion(0.1, 300, &rows(&around(DIRECT, 0.01))), Shape::Flat);
    assert!(v.threshold.is_none() && v.p_value.is_none());
    // Nothing but item noise: no seeds disagree, though some lie furthest apart.
    let noise = [0.10, 0.12, 0.09, 0.11, 0.10, 0.13, 0.09, 0.10].map(|m| [m - 0.08, m + 0.08, m + 0.06]);
    assert!(verdict(&proportion(0.1, 40, &rows(&noise))).disagreement.is_empty());
}

fn tokens(means: [f64; 8], length: f64) -> Vec<TokenScores> {
    let mut all = Vec::new();
    for (j, m) in around(means, 0.0).iter().enumerate() {
        for seed in 0..3 {
            let correct = vec![m[1] * length; 300];
            all.push(TokenScores { scale: PARAMS[j], seed, correct, length: vec![length; 300] });
        }
    }
    all
}

#[test]
fn the_ruling_follows_the_tokens_and_the_twins() {
    let exact = proportion(0.0, 300, &rows(&around(TOKENS.map(|p| p.powi(4)), 0.0)));
    // An emergent verdict is given, so that the ruling alone is tested.
    let jump = verdict(&proportion(0.0, 300, &STEP_BY_STEP));
    let smooth = verdict(&bounded(0.1, 300, &rows(&around(TOKENS, 0.02))));
    let rule = |tokens: &[TokenScores], twin: &Verdict| {
        rule_artefact(&exact, &jump, tokens, &[("token accuracy", twin)]).expect("a valid ability").expect("a ruling")
    };
    let made = rule(&tokens(TOKENS, 4.0), &smooth);
    assert_eq!(made.ruling, Ruling::Yes, "{}", made.evidence);
    assert!(made.evidence.contains("token accuracy grows smoothly") && made.twin.len() == 24, "{}", made.evidence);
    assert_eq!(rule(&tokens(TOKENS, 4.0), &jump).ruling, Ruling::No, "the twin jumps too");
    let unclear = verdict(&bounded(0.1, 300, &rows(&around([0.5, 0.4, 0.6, 0.4, 0.5, 0.6, 0.4, 0.5], 0.1))));
    assert_eq!(rule(&tokens(TOKENS, 4.0), &unclear).ruling, Ruling::InPart);
    // Tokens that are all right at any size cannot make a jump.
    assert_eq!(rule(&tokens([0.99; 8], 4.0), &smooth).ruling, Ruling::No);
    // No jump, no ruling.
    let none = rule_artefact(&exact, &smooth, &tokens(TOKENS, 4.0), &[]).expect("a valid ability");
    assert!(none.is_none());
}

#[test]
fn p_power_l_averages_over_lengths() {
    let t = TokenScores { scale: 1.0, seed: 0, correct: vec![1.0, 2.0, f64::NAN], length: vec![2.0, 4.0, 3.0] };
    assert!((p_power_l(&t) - 0.5 * (0.25 + 0.0625)).abs() < 1e-12);
}

#[test]
fn chain_of_thought_switches_on_at_a_size() {
    let (step, direct) = (proportion(0.0, 300, &STEP_BY_STEP), proportion(0.1, 300, &rows(&around(DIRECT, 0.01))));
    let e = effect(&step, &direct, 0.0).expect("valid abilities");
    let t = e.switches_on.expect("a scale");
    assert_eq!((t.low, t.scale, t.high), (PARAMS[2], PARAMS[3], PARAMS[3]));
    assert!((e.points[7].difference.value - 0.91).abs() < 1e-9 && e.points[7].difference.low > 0.7);
    assert!(e.points[2].difference.contains(0.0), "one lucky seed is no effect: {:?}", e.points[2]);
    assert!(e.points[0].difference.high < 0.0, "below chance is harm: {:?}", e.points[0]);
    let none = effect(&direct, &direct, 0.0).expect("valid abilities");
    assert!(none.switches_on.is_none() && none.points.iter().all(|p| p.difference.contains(0.0)));
    // A loss: less is better, and the difference stays in the metric's own direction.
    let loss = |m: f64| unbounded(false, 300, 0.5, &rows(&[[m - 0.02, m, m + 0.02]; 8]));
    let better = effect(&loss(1.0), &loss(2.0), 0.0).expect("valid abilities");
    assert!(better.switches_on.is_some() && better.points[0].difference.high < -0.8, "{}", better.summary);
}

#[test]
fn depth_compares_models_of_similar_size() {
    let deep = proportion(0.0, 300, &STEP_BY_STEP);
    let mut shallow = proportion(0.0, 300, &rows(&around([0.13; 8], 0.1)));
    shallow.measurements.retain(|m| m.scale == PARAMS[5]);
    shallow.measurements.iter_mut().for_each(|m| m.scale = 4.9e4);
    let e = effect_between_ladders(&deep, &shallow, 0.0).expect("valid abilities");
    assert_eq!(e.points.len(), 1);
    assert!(e.points[0].scale == PARAMS[5] && e.points[0].difference.low > 0.3, "{:?}", e.points[0]);
}

#[test]
fn pairing_tells_what_separate_intervals_cannot() {
    // 5% of the items gained, all others alike, in every seed.
    let base = proportion(0.0, 300, &rows(&[[0.5; 3]; 8]));
    let mut more = base.clone();
    for m in &mut more.measurements {
        items_mut(m).iter_mut().filter(|s| **s == 0.0).take(15).for_each(|s| *s = 1.0);
    }
    let e = effect(&more, &base, 0.0).expect("valid abilities");
    assert!(e.points.iter().all(|p| p.difference.low > 0.0), "{:?}", e.points[0]);
    let (more, base) = (verdict(&more), verdict(&base));
    assert!(more.points[0].low < base.points[0].high, "the separate intervals overlap");
}

#[test]
fn too_little_is_said_to_be_too_little() {
    let mut two = proportion(0.0, 100, &rows(&around(ADDITION, 0.0)));
    two.measurements.retain(|m| m.scale <= PARAMS[1]);
    assert_eq!(
        check(&two, Shape::Undetermined).reason,
        "Undetermined: 2 tested sizes, and a shape needs at least three."
    );
    let mut one_seed = proportion(0.0, 300, &rows(&around(ADDITION, 0.0)));
    one_seed.measurements.retain(|m| m.seed == 0);
    let v = verdict(&one_seed);
    assert!(v.reason.contains("One seed for each size") && v.points[3].low < 0.62 && v.points[3].high > 0.62);
}

fn items_mut(m: &mut Measurement) -> &mut Vec<f64> {
    match &mut m.scores {
        Scores::Items(scores) => scores,
        Scores::Mean { .. } => panic!("no items"),
    }
}

/// A table of means says what the items' own scores say.
#[test]
fn means_are_judged_as_their_items_are() {
    for means in [ADDITION, [0.1, 0.17, 0.24, 0.31, 0.38, 0.45, 0.52, 0.59]] {
        let items = proportion(0.0, 300, &rows(&around(means, 0.0)));
        let mut aggregated = items.clone();
        for m in &mut aggregated.measurements {
            let value = m.scores.items().iter().sum::<f64>() / 300.0;
            m.scores = Scores::Mean { value, items: 300, standard_error: f64::NAN };
        }
        let (a, b) = (verdict(&items), verdict(&aggregated));
        assert_eq!((a.shape, a.threshold), (b.shape, b.threshold));
        for (p, q) in a.points.iter().zip(&b.points) {
            // The items of these seeds are hard independently; of means that is not known, and the worst is assumed.
            assert!(p.value == q.value && q.low <= p.low + 1e-9 && p.high <= q.high + 1e-9, "{p:?} {q:?}");
        }
        aggregated.measurements[3].scores = Scores::Items(vec![0.0; 300]);
        assert!(matches!(judge(&aggregated, &analysis()), Err(Unjudgeable::Mixed { .. })));
    }
}

/// The same curve over parameters, over FLOPs that grow as their square, and over the loss that falls as their power.
#[test]
fn a_verdict_does_not_depend_on_the_axis() {
    let over_params = proportion(0.0, 300, &rows(&around(ADDITION, 0.0)));
    let expect = verdict(&over_params);
    for (axis, exponent) in [(Axis::Flops, 2.0), (Axis::Loss, -0.076)] {
        let mut other = over_params.clone();
        other.axis = axis;
        other.measurements.iter_mut().for_each(|m| m.scale = m.scale.powf(exponent));
        let found = verdict(&other);
        assert_eq!(found.shape, expect.shape);
        let values = |v: &Verdict| v.points.iter().map(|p| p.value).collect::<Vec<_>>();
        assert_eq!(values(&found), values(&expect));
        let (a, b) = (found.threshold.map(|t| t.scale), expect.threshold.map(|t| t.scale.powf(exponent)));
        assert_eq!(a, b);
        assert!((found.curve[9].0 / expect.curve[9].0.powf(exponent) - 1.0).abs() < 1e-9);
    }
}

/// Without any word on their noise, means are as noisy as they scatter.
#[test]
fn means_of_unknown_noise_are_judged_by_their_scatter() {
    let losses = |scatter: f64| {
        let mean = |i: usize| Scores::Mean {
            value: 5.0 - 0.2 * (PARAMS[i] / PARAMS[0]).ln() + scatter * f64::from([1, -1, -1, 1, 0, 1, -1, 0][i]),
            items: 1,
            standard_error: f64::NAN,
        };
        let measurements = (0..8).map(|i| Measurement { scale: PARAMS[i], seed: 0, scores: mean(i) }).collect();
        verdict(&Ability::over_params(Kind::Unbounded, false, measurements))
    };
    let (clean, noisy) = (losses(0.01), losses(0.2));
    assert_eq!(clean.shape, Shape::Smooth);
    let width = |v: &Verdict| v.points[4].high - v.points[4].low;
    assert!(width(&noisy) > 10.0 * width(&clean), "{} {}", width(&noisy), width(&clean));
}

#[test]
fn scores_that_cannot_be_judged_are_refused_with_the_place() {
    let good = proportion(0.0, 10, &rows(&around(ADDITION, 0.0)));
    let refuse = |change: fn(&mut Vec<Measurement>)| {
        let mut bad = good.clone();
        change(&mut bad.measurements);
        judge(&bad, &analysis()).expect_err("refused")
    };
    assert_eq!(refuse(Vec::clear), Unjudgeable::Empty);
    assert!(matches!(refuse(|m| items_mut(&mut m[4]).truncate(9)), Unjudgeable::Ragged { found: 9, expected: 10, .. }));
    assert!(matches!(refuse(|m| items_mut(&mut m[4])[3] = 1.5), Unjudgeable::OutOfRange { item: 3, .. }));
    assert!(matches!(refuse(|m| items_mut(&mut m[4]).fill(f64::NAN)), Unjudgeable::Unscored { .. }));
    assert!(matches!(refuse(|m| m[4].scale = 0.0), Unjudgeable::BadScale { .. }));
    let twice = refuse(|m| m[1].seed = 0);
    assert_eq!(
        twice.to_string(),
        "scale 1700, seed 0 occurs twice; measure each model once, or tell equal sizes apart by scale"
    );
}

/// Constant scores, one item, few sizes, uneven seeds: odd, but never a NaN or a panic.
#[test]
fn degenerate_ladders_have_finite_verdicts() {
    let kinds = [
        Kind::Proportion { chance: 0.0 },
        Kind::Proportion { chance: 0.5 },
        Kind::Bounded { chance: 0.1 },
        Kind::Unbounded,
    ];
    for kind in kinds {
        for (sizes, seeds, items) in [(1, 1, 1), (3, 1, 1), (3, 3, 1), (4, 2, 5), (8, 1, 50), (30, 2, 3)] {
            for value in [0.0f64, 0.5, 1.0] {
                let value = if matches!(kind, Kind::Proportion { .. }) { value.round() } else { value };
                let model = |i: u64| Measurement {
                    scale: 10f64.powi((i / seeds) as i32 + 1),
                    seed: i % seeds,
                    scores: Scores::Items(vec![value; items]),
                };
                // The last size has one seed fewer, where there are several.
                let measurements = (0..sizes * seeds - u64::from(seeds > 1)).map(model).collect();
                let v = verdict(&Ability::over_params(kind, true, measurements));
                assert!((v.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{kind:?} {v:?}");
                assert!(v.points.iter().all(|p| p.low <= p.value && p.value <= p.high), "{kind:?} {v:?}");
                assert!(v.curve.iter().all(|c| c.0.is_finite() && c.1.is_finite()), "{kind:?} {v:?}");
                assert!(![Shape::Emergent, Shape::UShaped, Shape::InvertedU].contains(&v.shape), "{kind:?} {v:?}");
            }
        }
    }
}

/// A hundred abilities, every fourth of them a jump that needs the resampling test.
#[test]
fn a_study_is_judged_in_seconds() {
    use rayon::prelude::*;
    let jump = proportion(0.0, 300, &STEP_BY_STEP);
    let smooth = proportion(0.04, 300, &rows(&around([0.06, 0.13, 0.18, 0.27, 0.39, 0.89, 0.94, 0.97], 0.01)));
    let all: Vec<&Ability> = (0..100).map(|i| if i % 4 == 0 { &jump } else { &smooth }).collect();
    let start = std::time::Instant::now();
    let shapes: Vec<Shape> = all.par_iter().map(|a| verdict(a).shape).collect();
    println!("100 abilities x 8 sizes x 3 seeds x 300 items: {:.2} s", start.elapsed().as_secs_f64());
    assert_eq!(shapes.iter().filter(|s| **s == Shape::Emergent).count(), 25);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The order of the models does not matter, and a score and its complement are judged alike.
    #[test]
    fn verdicts_do_not_depend_on_order_or_direction(
        means in prop::collection::vec(0.0..=1.0f64, 24),
        swaps in prop::collection::vec((0..24usize, 0..24usize), 30),
    ) {
        let rows: Vec<&[f64]> = means.chunks(3).collect();
        let ability = proportion(0.0, 40, &rows);
        let quick = Analysis { resamples: 19, ..analysis() };
        let plain = judge(&ability, &quick).expect("a valid ability");
        let mut shuffled = ability.clone();
        swaps.iter().for_each(|&(a, b)| shuffled.measurements.swap(a, b));
        prop_assert_eq!(&judge(&shuffled, &quick).expect("a valid ability"), &plain);

        let mut errors = ability.clone();
        errors.higher_is_better = false;
        errors.kind = Kind::Proportion { chance: 1.0 };
        errors.measurements.iter_mut().flat_map(items_mut).for_each(|s| *s = 1.0 - *s);
        let turned = judge(&errors, &quick).expect("a valid ability");
        prop_assert_eq!(turned.shape, plain.shape);
        for (a, b) in turned.points.iter().zip(&plain.points) {
            prop_assert!((a.value + b.value - 1.0).abs() < 1e-12 && (a.low + b.high - 1.0).abs() < 1e-9);
        }
        for p in &plain.points {
            prop_assert!(0.0 <= p.low && p.low <= p.value && p.value <= p.high && p.high <= 1.0);
        }
    }

    /// An item that was not scored is left out; it is not a wrong answer.
    #[test]
    fn missing_is_never_zero(share in 0.1..0.9f64) {
        let base = proportion(0.0, 200, &rows(&around([0.3; 8], 0.05)));
        let mut holes = base.clone();
        for m in &mut holes.measurements {
            let right = m.scores.items().iter().sum::<f64>();
            let drop = (share * (200.0 - right)) as usize;
            items_mut(m).iter_mut().filter(|s| **s == 0.0).take(drop).for_each(|s| *s = f64::NAN);
        }
        let (full, less) = (verdict(&base), verdict(&holes));
        for (a, b) in full.points.iter().zip(&less.points) {
            prop_assert!(b.value > a.value && b.items < a.items);
        }
    }
}
