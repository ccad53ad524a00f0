//! Whether 95% intervals hold the truth about 95% of the time: of points and of thresholds. Prints what was measured.

mod common;

use common::{PARAMS, Truth, proportion_truth, simulate, simulation_analysis};
use rayon::prelude::*;
use saltus_emergence::{Kind, Verdict, judge};

const TRIALS: u64 = 80;

/// The mean over seeds' luck at a scale, by 401 quantiles.
fn mean_over_luck(truth: &Truth, scale: f64) -> f64 {
    let z = |i: usize| saltus_stats::normal_quantile((i as f64 + 0.5) / 401.0);
    (0..401).map(|i| (truth.mean)(scale * (truth.luck * z(i)).exp())).sum::<f64>() / 401.0
}

/// Share of intervals that hold the true mean, over all sizes; prints it by size.
fn points(truth: &Truth, verdicts: &[Verdict]) -> f64 {
    let held = |j: usize| {
        let mean = mean_over_luck(truth, PARAMS[j]);
        let hit = verdicts.iter().filter(|v| v.points[j].low <= mean && mean <= v.points[j].high).count();
        hit as f64 / verdicts.len() as f64
    };
    let by_size: Vec<f64> = (0..PARAMS.len()).map(held).collect();
    let all = by_size.iter().sum::<f64>() / by_size.len() as f64;
    println!("  {:26} points {all:.3}  by size {by_size:.2?}", truth.name);
    all
}

/// Of the thresholds given, the share whose interval holds the scale at which the true mean passes chance + delta.
fn thresholds(truth: &Truth, verdicts: &[Verdict]) -> (usize, f64) {
    let Kind::Proportion { chance } = truth.kind else { return (0, f64::NAN) };
    let scale = |i: i32| PARAMS[0] * (PARAMS[7] / PARAMS[0]).powf(f64::from(i) / 500.0);
    let crossing = (0..500).map(scale).find(|s| mean_over_luck(truth, *s) > chance + 0.05);
    let given: Vec<bool> = verdicts
        .iter()
        .filter_map(|v| v.threshold)
        .map(|t| crossing.is_some_and(|c| t.low <= c && c <= t.high))
        .collect();
    let held = given.iter().filter(|h| **h).count() as f64 / given.len() as f64;
    println!("  {:26} thresholds {held:.3} of {} given; true crossing {crossing:.0?}", "", given.len());
    (given.len(), held)
}

#[test]
fn intervals_hold_the_truth() {
    let p = proportion_truth;
    let unbounded = |t: Truth| Truth { kind: Kind::Unbounded, ..t };
    // (truth, least coverage of points, least coverage of thresholds where any are expected)
    let cases = [
        (p("flat .1", 0.1, (0.0, 0.01), |_| 0.1), 0.9, None),
        (p("flat .3", 0.1, (0.0, 0.02), |_| 0.3), 0.9, None),
        (p("flat .5, rho .1", 0.0, (0.0, 0.1), |_| 0.5), 0.9, None),
        (p("flat .5, rho .5", 0.0, (0.0, 0.5), |_| 0.5), 0.9, None),
        (p("surprise ~ N^-1, luck .3", 0.0, (0.3, 0.0), |x| (-1.2e4 / x).exp()), 0.9, None),
        (p("surprise ~ N^-1, luck 1", 0.0, (1.0, 0.0), |x| (-1.2e4 / x).exp()), 0.9, None),
        (p("jump within x2, luck .3", 0.0, (0.3, 0.0), |x| 1.0 / (1.0 + (x / 1.5e4).powf(-6.3))), 0.9, Some(0.95)),
        (
            p("jump within x5, chance .1", 0.1, (0.2, 0.01), |x| 0.1 + 0.9 / (1.0 + (x / 1.5e4).powf(-2.7))),
            0.9,
            Some(0.9),
        ),
        // All-or-none seeds: where one in ten has the ability, three seeds mostly show none, and no interval can know.
        (p("jump within x2, luck 1", 0.0, (1.0, 0.0), |x| 1.0 / (1.0 + (x / 1.5e4).powf(-6.3))), 0.8, Some(0.5)),
        (unbounded(p("loss ~ N^-.265", 0.0, (0.0, 0.02), |x| -0.7 - 9.75 * x.powf(-0.265))), 0.9, None),
        (unbounded(p("u in loss", 0.0, (0.0, 0.1), |x| -4.4 + (x / 1.5e4).ln().abs())), 0.9, None),
    ];
    println!("coverage of 95% intervals, 8 sizes x 3 seeds x 200 items, {TRIALS} ladders each");
    for (truth, least, of_thresholds) in cases {
        let verdicts: Vec<Verdict> = (0..TRIALS)
            .into_par_iter()
            .map(|t| judge(&simulate(&truth, t), &simulation_analysis(t)).expect("a valid ability"))
            .collect();
        let held = points(&truth, &verdicts);
        assert!(held >= least, "{}: {held}", truth.name);
        if let Some(least) = of_thresholds {
            let (given, held) = thresholds(&truth, &verdicts);
            assert!(given >= 20 && held >= least, "{}: {held} of {given}", truth.name);
        }
    }
}
