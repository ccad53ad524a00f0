//! Verdicts on simulated ladders of known truth: how often each shape is named, and false positives above all.

mod common;

use common::{PARAMS, Truth, simulate, simulation_analysis};
use rayon::prelude::*;
use saltus_emergence::{Kind, Shape, judge};

/// Share of simulations with each verdict: the six candidates, then undetermined.
fn verdicts(truth: &Truth, trials: u64) -> [f64; 7] {
    let shapes: Vec<Shape> = (0..trials)
        .into_par_iter()
        .map(|t| judge(&simulate(truth, t), &simulation_analysis(t)).expect("a valid ability").shape)
        .collect();
    let mut counts = [0.0; 7];
    for shape in shapes {
        let i = Shape::CANDIDATES.iter().position(|s| *s == shape).unwrap_or(6);
        counts[i] += 1.0 / trials as f64;
    }
    counts
}

#[test]
fn table() {
    let chance = |c| Kind::Proportion { chance: c };
    let t = |name, kind, luck, rho, mean: fn(f64) -> f64| Truth { name, kind, luck, rho, items: 200, mean };
    let n = |x: f64| x.exp();
    let _ = n;
    let truths = [
        t("flat .1", chance(0.1), 0.0, 0.01, |_| 0.1),
        t("flat .3", chance(0.1), 0.0, 0.02, |_| 0.3),
        t("flat .5 rho .1", chance(0.0), 0.0, 0.1, |_| 0.5),
        t("flat nll", Kind::Unbounded, 0.0, 0.05, |_| 2.0),
        t("power a=.3", chance(0.0), 0.3, 0.0, |x| (-(2e4 / x).powf(0.3)).exp()),
        t("power a=.5", chance(0.0), 0.3, 0.0, |x| (-(2e4 / x).powf(0.5)).exp()),
        t("power a=1 N0 6k", chance(0.0), 0.3, 0.0, |x| (-6e3 / x).exp()),
        t("power a=1 N0 20k", chance(0.0), 0.3, 0.0, |x| (-2e4 / x).exp()),
        t("power a=1 luck 1", chance(0.0), 1.0, 0.0, |x| (-1.2e4 / x).exp()),
        t("power a=1 chance .25", chance(0.25), 0.3, 0.02, |x| 0.25 + 0.75 * (-1.2e4 / x).exp()),
        t("logistic x22", chance(0.0), 0.5, 0.0, |x| 1.0 / (1.0 + (x / 2e4).powf(-1.425))),
        t("line", chance(0.0), 0.3, 0.01, |x| ((x.ln() - PARAMS[0].ln()) / 4.45).clamp(0.0, 1.0) * 0.8),
        t("token .4-1", Kind::Bounded { chance: 0.1 }, 0.3, 0.0, |x| 0.4 + 0.6 / (1.0 + (x / 1e4).powf(-1.8))),
        t("jump x2", chance(0.0), 0.3, 0.0, |x| 1.0 / (1.0 + (x / 1.5e4).powf(-6.3))),
        t("jump x5", chance(0.1), 0.2, 0.01, |x| 0.1 + 0.9 / (1.0 + (x / 1.5e4).powf(-2.7))),
        t("jump x2 luck 1", chance(0.0), 1.0, 0.0, |x| 1.0 / (1.0 + (x / 1.5e4).powf(-6.3))),
        t("inverse", chance(0.0), 0.0, 0.02, |x| 0.8 - 0.1 * (x / 1.7e3).ln()),
        t("u", chance(0.0), 0.0, 0.02, |x| 0.2 + 0.15 * ((x / 1.5e4).ln()).abs()),
        t("u nll", Kind::Unbounded, 0.0, 0.1, |x| 2.0 + 0.8 * ((x / 1.5e4).ln()).abs()),
        t("inverted u", chance(0.0), 0.0, 0.02, |x| 0.8 - 0.15 * ((x / 1.5e4).ln()).abs()),
        t("power nll", Kind::Unbounded, 0.0, 0.02, |x| -0.7 - 9.75 * x.powf(-0.265)),
    ];
    let trials: u64 = std::env::var("N").map_or(60, |n| n.parse().unwrap());
    println!(
        "{:22} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6}",
        "truth", "flat", "smooth", "emerg", "invers", "u", "inv-u", "undet"
    );
    for truth in &truths {
        let start = std::time::Instant::now();
        let v = verdicts(truth, trials);
        let row: Vec<String> = v.iter().map(|v| format!("{v:6.3}")).collect();
        println!("{:22} {}   {:.1} s", truth.name, row.join(" "), start.elapsed().as_secs_f64());
    }
}
