//! Operating characteristics: ladders of many designs are simulated from known truths, judged and forecast, and what came
//! of it is printed as tables. `cargo xtask calibrate judge` runs it; `--ladders N` says how many of each.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use saltus_emergence::{Ability, Analysis, Kind, Measurement, Scores, Shape, forecast, judge};
use saltus_random::Key;
use saltus_stats::beta_binomial;

/// A truth: mean performance over u, which goes from 0 at the smallest size to 1 at the largest; sizes span `SPAN`.
struct Truth {
    name: &'static str,
    shape: Shape,
    chance: f64,
    /// Mean at ln(scale / smallest scale).
    mean: fn(f64) -> f64,
}

/// ln(largest / smallest scale): a factor of 1,000.
const SPAN: f64 = 6.908;

/// A seed's luck in ln(scale), and the overdispersion of seeds: a standard deviation of .01 at a score of one half.
const LUCK: f64 = 0.15;
const RHO: f64 = 4e-4;

const TRUTHS: [Truth; 13] = [
    Truth { name: "flat at chance .25", shape: Shape::Flat, chance: 0.25, mean: |_| 0.25 },
    Truth { name: "flat .5 above chance .25", shape: Shape::Flat, chance: 0.25, mean: |_| 0.5 },
    Truth { name: "line .3 to .7", shape: Shape::Smooth, chance: 0.25, mean: |x| 0.3 + 0.4 * x / SPAN },
    Truth { name: "surprise ~ N^-.3", shape: Shape::Smooth, chance: 0.0, mean: |x| (-5.0 * (-0.3 * x).exp()).exp() },
    Truth {
        name: "logistic, a factor of 100",
        shape: Shape::Smooth,
        chance: 0.25,
        mean: |x| 0.25 + 0.7 / (1.0 + (-4.394 * (x - 0.5 * SPAN) / 4.605).exp()),
    },
    Truth {
        name: "edge of smooth: surprise ~ N^-1",
        shape: Shape::Smooth,
        chance: 0.0,
        mean: |x| (-(0.5 * SPAN - x).exp()).exp(),
    },
    Truth {
        name: "jump within a factor of 2, in the middle",
        shape: Shape::Emergent,
        chance: 0.0,
        mean: |x| 0.8 / (1.0 + (-6.34 * (x - 0.55 * SPAN)).exp()),
    },
    Truth {
        name: "jump within a factor of 2, chance .25",
        shape: Shape::Emergent,
        chance: 0.25,
        mean: |x| 0.25 + 0.6 / (1.0 + (-6.34 * (x - 0.55 * SPAN)).exp()),
    },
    Truth {
        name: "jump within a factor of 2, late",
        shape: Shape::Emergent,
        chance: 0.0,
        mean: |x| 0.8 / (1.0 + (-6.34 * (x - 0.85 * SPAN)).exp()),
    },
    Truth { name: "inverse .6 to .3", shape: Shape::Inverse, chance: 0.25, mean: |x| 0.6 - 0.3 * x / SPAN },
    Truth {
        name: "U, .6 to .3 to .6",
        shape: Shape::UShaped,
        chance: 0.25,
        mean: |x| 0.3 + 0.3 * (2.0 * x / SPAN - 1.0).abs(),
    },
    Truth {
        name: "inverted U",
        shape: Shape::InvertedU,
        chance: 0.25,
        mean: |x| 0.6 - 0.3 * (2.0 * x / SPAN - 1.0).abs(),
    },
    Truth { name: "saturating early", shape: Shape::Smooth, chance: 0.0, mean: |x| 0.9 - 0.7 * (-0.8 * x).exp() },
];

/// Bends whose arms bend themselves, for forecasts.
const ARCS: [Truth; 4] = [
    Truth {
        name: "U, half a sine",
        shape: Shape::UShaped,
        chance: 0.25,
        mean: |x| 0.6 - 0.3 * (std::f64::consts::PI * x / SPAN).sin(),
    },
    Truth {
        name: "inverted U, half a sine",
        shape: Shape::InvertedU,
        chance: 0.25,
        mean: |x| 0.3 + 0.3 * (std::f64::consts::PI * x / SPAN).sin(),
    },
    Truth {
        name: "U, a parabola",
        shape: Shape::UShaped,
        chance: 0.25,
        mean: |x| 0.3 + 0.3 * (2.0 * x / SPAN - 1.0).powi(2),
    },
    Truth {
        name: "U, levels off",
        shape: Shape::UShaped,
        chance: 0.25,
        mean: |x| 0.45 + 0.15 * (2.0 * std::f64::consts::PI * x / SPAN).cos(),
    },
];

#[derive(Clone, Copy)]
struct Design {
    sizes: usize,
    items: u32,
    seeds: u64,
}

const DESIGNS: [Design; 8] = [
    Design { sizes: 5, items: 100, seeds: 1 },
    Design { sizes: 5, items: 1000, seeds: 1 },
    Design { sizes: 8, items: 100, seeds: 1 },
    Design { sizes: 8, items: 1000, seeds: 1 },
    Design { sizes: 8, items: 200, seeds: 3 },
    Design { sizes: 8, items: 2000, seeds: 3 },
    Design { sizes: 12, items: 100, seeds: 1 },
    Design { sizes: 12, items: 1000, seeds: 3 },
];

fn scale(x: f64) -> f64 {
    1e7 * x.exp()
}

/// A ladder as a table of results has it: means alone.
fn ladder(truth: &Truth, design: Design, sizes: usize, trial: u64) -> Ability {
    let mut rng =
        Key::new(2026).child(truth.name).index(design.sizes as u64).index(u64::from(design.items)).index(trial).rng();
    let mut measurements = Vec::new();
    for j in 0..sizes {
        let x = SPAN * j as f64 / (design.sizes - 1) as f64;
        for seed in 0..design.seeds {
            let z: f64 = StandardNormal.sample(&mut rng);
            let mu = (truth.mean)(x + LUCK * z).clamp(1e-6, 1.0 - 1e-6);
            let right = beta_binomial::draw(&mut rng, design.items, mu, RHO);
            let value = f64::from(right) / f64::from(design.items);
            let scores = Scores::Mean { value, items: design.items, standard_error: f64::NAN };
            measurements.push(Measurement { scale: scale(x), seed, scores });
        }
    }
    Ability::over_params(Kind::Proportion { chance: truth.chance }, true, measurements)
}

fn analysis(trial: u64) -> Analysis {
    Analysis { key: Key::new(5).index(trial), resamples: 99, delta: 0.05, alpha: 0.05 }
}

/// Mean over the luck of seeds.
fn mean(truth: &Truth, x: f64) -> f64 {
    let z = |i: usize| saltus_stats::normal_quantile((i as f64 + 0.5) / 41.0);
    (0..41).map(|i| (truth.mean)(x + LUCK * z(i))).sum::<f64>() / 41.0
}

fn confusion(ladders: u64) {
    for design in DESIGNS {
        println!("\n{} sizes, {} items, {} seeds:\n", design.sizes, design.items, design.seeds);
        println!(
            "| truth | flat | smooth | emergent | inverse | u | inverted u | undetermined | points hold | thresholds hold |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        let (mut false_emergent, mut false_bend, mut others, mut straight) = (0.0, 0.0, 0.0, 0.0);
        for truth in &TRUTHS {
            let verdicts: Vec<_> = (0..ladders)
                .into_par_iter()
                .filter_map(|t| judge(&ladder(truth, design, design.sizes, t), &analysis(t)).ok())
                .collect();
            let n = verdicts.len() as f64;
            let share = |shape: Shape| verdicts.iter().filter(|v| v.shape == shape).count() as f64 / n;
            let held = |v: &saltus_emergence::Verdict| {
                v.points
                    .iter()
                    .filter(|p| {
                        let m = mean(truth, (p.scale / 1e7).ln());
                        p.low <= m && m <= p.high
                    })
                    .count() as f64
                    / v.points.len() as f64
            };
            let points = verdicts.iter().map(held).sum::<f64>() / n;
            let crossing =
                (0..2000).map(|i| SPAN * f64::from(i) / 2000.0).find(|x| mean(truth, *x) > truth.chance + 0.05);
            let given: Vec<bool> = verdicts
                .iter()
                .filter_map(|v| v.threshold)
                .map(|t| crossing.is_some_and(|c| t.low <= scale(c) * 1.000001 && scale(c) <= t.high * 1.000001))
                .collect();
            let thresholds = if given.is_empty() {
                "".to_owned()
            } else {
                format!("{:.2} of {}", given.iter().filter(|g| **g).count() as f64 / given.len() as f64, given.len())
            };
            let shapes = [
                Shape::Flat,
                Shape::Smooth,
                Shape::Emergent,
                Shape::Inverse,
                Shape::UShaped,
                Shape::InvertedU,
                Shape::Undetermined,
            ];
            let cells: Vec<String> = shapes.iter().map(|s| format!("{:.2}", share(*s))).collect();
            println!("| {} | {} | {points:.2} | {thresholds} |", truth.name, cells.join(" | "));
            if truth.shape != Shape::Emergent {
                false_emergent += share(Shape::Emergent);
                others += 1.0;
            }
            if !matches!(truth.shape, Shape::UShaped | Shape::InvertedU) {
                false_bend += share(Shape::UShaped) + share(Shape::InvertedU);
                straight += 1.0;
            }
        }
        println!("\nfalse emergent {:.3}, false U or inverted U {:.3}", false_emergent / others, false_bend / straight);
    }
}

fn forecasts(ladders: u64) {
    println!("\nForecasts of the next size from the others, {ladders} ladders:\n");
    println!("| truth | design | interval holds | refused | mean width |");
    println!("|---|---|---|---|---|");
    for design in [Design { sizes: 8, items: 400, seeds: 1 }, DESIGNS[3], DESIGNS[4], DESIGNS[6], DESIGNS[7]] {
        for truth in TRUTHS.iter().chain(&ARCS) {
            let results: Vec<Option<(bool, f64)>> = (0..ladders)
                .into_par_iter()
                .map(|t| {
                    let known = ladder(truth, design, design.sizes - 1, t);
                    let all = ladder(truth, design, design.sizes, t);
                    let target = scale(SPAN);
                    let found = forecast(&known, &analysis(t), target).ok()?;
                    let next = all.measurements.iter().find(|m| m.scale == target)?;
                    let Scores::Mean { value, .. } = next.scores else { return None };
                    Some((found.low <= value && value <= found.high, found.high - found.low))
                })
                .collect();
            let given: Vec<(bool, f64)> = results.iter().flatten().copied().collect();
            let n = given.len() as f64;
            println!(
                "| {} | {} x {} x {} | {:.2} | {:.2} | {:.2} |",
                truth.name,
                design.sizes - 1,
                design.items,
                design.seeds,
                given.iter().filter(|g| g.0).count() as f64 / n,
                1.0 - n / results.len() as f64,
                given.iter().map(|g| g.1).sum::<f64>() / n
            );
        }
    }
}

fn main() {
    let ladders = std::env::args().skip_while(|a| a != "--ladders").nth(1).and_then(|n| n.parse().ok()).unwrap_or(100);
    println!(
        "Simulated ladders over a factor of 1,000 of scale, {ladders} of each; a seed's luck is {LUCK} in ln(scale)."
    );
    confusion(ladders);
    forecasts(ladders);
}
