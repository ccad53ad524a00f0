//! Operating characteristics: runs are simulated from known laws, fitted, and it is counted how often the 95% intervals of
//! the parameters hold the truth. `cargo xtask calibrate law` runs it; `--ladders N` says how many simulations of each.

use rand_distr::{Distribution, StandardNormal, StudentT};
use rayon::prelude::*;
use saltus_law::{
    Conventions, Flops, Observation, Observations, Parameters, Params, Run, Settings, Shape, SizeTokenLaw, Tokens,
    fit_size_tokens, search,
};
use saltus_random::Key;

/// Refits of each simulation, as many as give percentiles.
const RESAMPLES: usize = 199;

/// How runs scatter about their law, in ln(loss).
#[derive(Clone, Copy)]
enum Noise {
    Normal(f64),
    /// Student's t of three degrees of freedom, of this scale.
    Heavy(f64),
}

impl Noise {
    fn draw(self, rng: &mut impl rand::Rng) -> f64 {
        match self {
            Noise::Normal(sd) => sd * Distribution::<f64>::sample(&StandardNormal, rng),
            Noise::Heavy(scale) => scale * StudentT::new(3.0).map_or(f64::NAN, |t: StudentT<f64>| t.sample(rng)),
        }
    }

    fn name(self) -> String {
        match self {
            Noise::Normal(sd) => format!("normal, {sd}"),
            Noise::Heavy(scale) => format!("Student's t (3), {scale}"),
        }
    }
}

/// Sizes by lengths: a factor of 100 of each, lengths about 20 tokens for each parameter.
fn grid(sizes: usize, lengths: usize) -> Vec<(f64, f64)> {
    let spread = |i: usize, of: usize| i as f64 / (of.max(2) - 1) as f64;
    let n = |i: usize| 5e7 * 100f64.powf(spread(i, sizes));
    let m = |j: usize| 2.0 * 100f64.powf(spread(j, lengths));
    (0..sizes).flat_map(|i| (0..lengths).map(move |j| (n(i), n(i) * m(j)))).collect()
}

fn chinchilla(simulations: u64) {
    let truth = SizeTokenLaw { e: 1.8172, a: 477.83, b: 2143.42, alpha: 0.3473, beta: 0.3672 };
    let exponent = |law: &SizeTokenLaw| law.beta / (law.alpha + law.beta);
    println!("\nE + A/N^alpha + B/D^beta, the refit of arXiv 2404.10102 for a truth:\n");
    println!("| runs | noise of ln(loss) | E | A | B | alpha | beta | a |\n|---|---|---|---|---|---|---|---|");
    for (sizes, lengths) in [(5, 4), (6, 10), (12, 20)] {
        for noise in [Noise::Normal(0.003), Noise::Heavy(0.003), Noise::Normal(0.01)] {
            let hold = |t: u64| -> Option<[bool; 6]> {
                let key = Key::new(2027).child(&noise.name()).index(sizes as u64).index(t);
                let mut rng = key.rng();
                let one = |(run, (n, d)): (usize, &(f64, f64))| {
                    let (params, tokens) = (Params(*n), Tokens(*d));
                    let loss = (truth.e + truth.a / n.powf(truth.alpha) + truth.b / d.powf(truth.beta))
                        * noise.draw(&mut rng).exp();
                    Observation { params, tokens, flops: Flops::six_nd(params, tokens), loss, run: run as u64, seed: 0 }
                };
                let all = grid(sizes, lengths).iter().enumerate().map(one).collect();
                let told = String::from("simulated");
                let conventions = Conventions { parameters: Parameters::Total, loss: told.clone(), tokenizer: told };
                let settings = Settings { delta: Settings::DELTA, resamples: RESAMPLES, key: key.child("fit") };
                let fit = fit_size_tokens(&Observations::new(all, conventions).ok()?, &settings).ok()?;
                let quantities: [fn(&SizeTokenLaw) -> f64; 6] =
                    [|l| l.e, |l| l.a, |l| l.b, |l| l.alpha, |l| l.beta, |l| l.beta / (l.alpha + l.beta)];
                Some(quantities.map(|of| {
                    let i = fit.interval(of);
                    i.low <= of(&truth) && of(&truth) <= i.high
                }))
            };
            let held: Vec<[bool; 6]> = (0..simulations).into_par_iter().filter_map(hold).collect();
            let share = |k: usize| held.iter().filter(|h| h[k]).count() as f64 / held.len() as f64;
            let shares: Vec<String> = (0..6).map(|k| format!("{:.2}", share(k))).collect();
            println!("| {sizes} x {lengths} | {} | {} |", noise.name(), shares.join(" | "));
        }
    }
    println!("\na = beta / (alpha + beta) is {:.3} in truth.", exponent(&truth));
}

fn searched(simulations: u64) {
    println!("\nLaws fitted by search, noise of ln(loss) normal, 0.003:\n");
    println!("| law | runs | share of intervals that hold the truth |\n|---|---|---|");
    // Published constants: arXiv 2001.08361 (joint fit), 2305.16264, 2403.08540.
    let laws: [(Shape, Vec<f64>); 3] = [
        (Shape::Kaplan, vec![6.4e13, 0.076, 1.8e13, 0.103]),
        (Shape::DataConstrained, vec![1.8692, 520.8, 1488.0, 0.35266, 15.3878, 5.3097]),
        (Shape::OverTrained, vec![1.8, 120.0, 190.0, 0.15]),
    ];
    for (shape, truth) in laws {
        let runs = |key: Key| -> Vec<Run> {
            let mut rng = key.rng();
            let mut all = Vec::new();
            for (i, (params, tokens)) in grid(8, 8).into_iter().enumerate() {
                // Half of the runs repeat their data, up to fifty times.
                let epochs = if i % 2 == 0 { 1.0 } else { 50f64.powf((i % 8) as f64 / 8.0) };
                let mut run = Run { params, tokens, unique: tokens / epochs, loss: 1.0, cluster: i as u64 };
                run.loss = shape.loss(&truth, &run) * Noise::Normal(0.003).draw(&mut rng).exp();
                all.push(run);
            }
            all
        };
        let hold = |t: u64| -> Option<Vec<bool>> {
            let key = Key::new(2028).child(shape.name()).index(t);
            let fit = search(shape, &runs(key.child("runs")), Settings::DELTA, 99, key.child("fit")).ok()?;
            let held = |k: usize| {
                let i = fit.interval(|p| p[k]);
                i.low <= truth[k] && truth[k] <= i.high
            };
            Some((0..truth.len()).map(held).collect())
        };
        let held: Vec<Vec<bool>> = (0..simulations).into_par_iter().filter_map(hold).collect();
        let share = |k: usize| held.iter().filter(|h| h[k]).count() as f64 / held.len() as f64;
        let named: Vec<String> =
            shape.names().iter().enumerate().map(|(k, name)| format!("{name} {:.2}", share(k))).collect();
        println!("| {} | 64 | {} |", shape.name(), named.join(", "));
    }
}

fn main() {
    let simulations =
        std::env::args().skip_while(|a| a != "--ladders").nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    println!("{simulations} simulations of each; 95% intervals of {RESAMPLES} resamples (99 by search).");
    chinchilla(simulations);
    searched(simulations);
}
