//! The two-step ladder: the loss of a larger model by its law, then its score by a sigmoid of the loss.

use crate::{
    abilities::Ability,
    forecast::{Prediction, Target},
    metric::Form,
};
use rand::RngExt;
use rayon::prelude::*;
use saltus_emergence::{Analysis, Kind, Refusal};
use saltus_law::{
    Conventions, Fit, Flops, Law, Observation, Observations, Parameters, Params, Settings, Tokens, fit_size,
    fit_size_tokens,
};
use saltus_random::Key;
use saltus_results::{Name, Score};
use saltus_stats::minimise::{Stop, nelder_mead};
use std::collections::BTreeMap;

/// One checkpoint of a training run with its loss and its score on a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// Parameters.
    pub params: f64,
    /// Training tokens so far; NaN if not told.
    pub tokens: f64,
    /// Loss, of the task's right answers or of held-out text.
    pub loss: f64,
    /// Score, a share of 1 where it is one.
    pub score: f64,
    /// Which run.
    pub run: u64,
    /// How much of its run was done, by tokens or steps: 1 at the end.
    pub done: f64,
}

impl Checkpoint {
    fn last(&self) -> bool {
        self.done >= 1.0
    }
}

/// A training run: the model's name, the bits of its size, its seed, and of its tokens where nothing else tells runs apart.
type RunName = (Option<Name>, u64, u64, u64);

/// The checkpoints with a loss: means over items where there are items. Scores are parts of `whole`.
pub(crate) fn checkpoints(rows: &[&Score], whole: f64) -> Vec<Checkpoint> {
    let mut all: BTreeMap<(RunName, u64), (f64, f64, &Score)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.scales.loss > 0.0 && row.scales.loss.is_finite()) {
        let s = &row.scales;
        let Some(params) = [s.params, s.params_non_embedding, s.scale].into_iter().find(|p| *p > 0.0) else {
            continue;
        };
        let time = if row.step.is_nan() { s.tokens } else { row.step };
        // Without a name and without steps, each token count is a run of its own.
        let alone = if row.model.is_none() && row.step.is_nan() { s.tokens.to_bits() } else { 0 };
        let (sum, count, _) =
            all.entry(((row.model, params.to_bits(), row.seed, alone), time.to_bits())).or_insert((0.0, 0.0, *row));
        (*sum, *count) = (*sum + row.score / whole, *count + 1.0);
    }
    let mut runs: Vec<RunName> = all.keys().map(|(run, _)| *run).collect();
    runs.dedup();
    let done = |run: &RunName, time: u64| {
        let times = all.range((*run, 0)..=(*run, u64::MAX)).map(|((_, t), _)| f64::from_bits(*t));
        let end = times.fold(f64::NAN, f64::max);
        if end > 0.0 { f64::from_bits(time) / end } else { 1.0 }
    };
    let one = |((run, time), (sum, count, row)): (&(RunName, u64), &(f64, f64, &Score))| Checkpoint {
        params: f64::from_bits(run.1),
        tokens: row.scales.tokens,
        loss: row.scales.loss,
        score: sum / count,
        run: runs.binary_search(run).map_or(0, |place| place as u64),
        done: done(run, *time),
    };
    all.iter().map(one).collect()
}

/// Checkpoints before this share of their run say nothing (arXiv 2412.04403, section 3.2).
const BURN_IN: f64 = 0.1;

/// Fewest runs whose losses and scores make a ladder.
const RUNS: usize = 5;

/// Foretells a score in two steps (arXiv 2412.04403, sections 3.1 and 3.2): L(N, D) = E + A/N^alpha + B/D^beta fitted to
/// the last checkpoint of each run (L(N) where every size has one token count), then score = c + (1 - c) / (1 + exp(k (L -
/// L0))) fitted by least squares to all checkpoints, c being the chance level, or fitted where it is not known. Where the
/// paper fits the upper end and ties it with a made-up point of loss 0 and score 1, here it is 1.
///
/// Every draw takes the law and the sigmoid of another resample of the runs, and adds the errors that each step makes in
/// foretelling the third of the runs with the most compute from the others, or the scatter about it if that is larger: a law
/// that bends away beyond its runs shows it there first.
pub(crate) fn forecast(
    ability: &Ability,
    analysis: &Analysis,
    target: &Target,
) -> Result<(Prediction, String), String> {
    let e = &ability.ability;
    if matches!(ability.form.form, Form::Unbounded | Form::Perplexity) {
        return Err("the second step is a sigmoid and needs a score between 0 and 1".into());
    }
    let chance = match e.kind {
        Kind::Proportion { chance } | Kind::Bounded { chance } => Some(chance),
        Kind::Unbounded => None,
    };
    let turn = |score: f64| if e.higher_is_better { score } else { 1.0 - score };
    let all: Vec<Checkpoint> = ability
        .checkpoints
        .iter()
        .filter(|c| c.done > BURN_IN)
        .map(|c| Checkpoint { score: turn(c.score), ..*c })
        .collect();
    let last: Vec<Checkpoint> = all.iter().copied().filter(|c| c.last()).collect();
    if all.is_empty() {
        return Err(
            "no score has both `params` and `loss`: write the loss of each model (of the right answers, if you \
                    have it, else of held-out text)"
                .into(),
        );
    }
    if last.len() < RUNS {
        return Err(format!("{} runs have a loss, and the two steps need {RUNS}", last.len()));
    }
    if last.iter().all(|c| c.score <= chance.unwrap_or(0.0) + analysis.delta) {
        return Err(Refusal::AllAtChance.to_string());
    }
    let losses = losses(&last, target, analysis)?;
    let (least, most) = all.iter().fold((f64::INFINITY, 0.0f64), |(a, b), c| (a.min(c.loss), b.max(c.loss)));
    if losses.value < least - (most - least) {
        return Err(format!(
            "its loss, {:.3}, lies further below the least measured, {least:.3}, than the measured ones reach",
            losses.value
        ));
    }
    let floor = chance.filter(|c| last.iter().all(|x| x.score > c - 2.0 * analysis.delta));
    let draws = draws(&all, &losses, floor, analysis);
    let back: Vec<f64> = draws.into_iter().map(turn).collect();
    let grounds = format!("loss {:.3} by {}, then a sigmoid of it", losses.value, losses.law);
    Ok((Prediction::of_draws(&back, true)?, grounds))
}

/// Step one: the loss of the larger model.
struct Losses {
    value: f64,
    /// By each refit of the law.
    resamples: Vec<f64>,
    /// ln measured - ln fitted, widened for the parameters fitted.
    scatter: Vec<f64>,
    law: &'static str,
}

fn losses(last: &[Checkpoint], target: &Target, analysis: &Analysis) -> Result<Losses, String> {
    let params = Params(target.params.ok_or("how many parameters has the larger model? Give --to-params")?);
    // Several token counts of one size tell the two apart.
    let apart = |c: &Checkpoint| last.iter().any(|o| o.params == c.params && (o.tokens / c.tokens).ln().abs() > 0.01);
    let both = last.iter().all(|c| c.tokens.is_finite()) && last.iter().any(apart);
    let observation = |c: &Checkpoint| {
        let (params, tokens) = (Params(c.params), Tokens(if both { c.tokens } else { 1.0 }));
        Observation { params, tokens, flops: Flops::six_nd(params, tokens), loss: c.loss, run: c.run, seed: 0 }
    };
    let told = String::from("as told");
    let conventions = Conventions { parameters: Parameters::Total, loss: told.clone(), tokenizer: told };
    let data = Observations::new(last.iter().map(observation).collect(), conventions).map_err(|e| e.to_string())?;
    let settings = Settings { delta: Settings::DELTA, resamples: analysis.resamples, key: analysis.key.child("loss") };
    let (rest, held) = apart_by_compute(last);
    let of = |c: &[Checkpoint]| Observations::new(c.iter().map(observation).collect(), data.conventions().clone());
    let backtest = Settings { resamples: 0, ..settings };
    if both {
        let tokens = target.tokens.ok_or("on how many tokens is the larger model trained? Give --to-tokens")?;
        let fit = fit_size_tokens(&data, &settings).map_err(|e| e.to_string())?;
        let earlier = of(&rest).and_then(|data| fit_size_tokens(&data, &backtest)).ok();
        let misses = earlier.map(|fit| misses(&fit, &of(&held)));
        Ok(of_fit(&fit, 5.0, misses, |law| law.loss(params, Tokens(tokens)), "L(N, D)"))
    } else {
        let fit = fit_size(&data, &settings).map_err(|e| e.to_string())?;
        let earlier = of(&rest).and_then(|data| fit_size(&data, &backtest)).ok();
        let misses = earlier.map(|fit| misses(&fit, &of(&held)));
        Ok(of_fit(&fit, 3.0, misses, |law| law.loss(params, Tokens(1.0)), "L(N)"))
    }
}

/// The two thirds of the runs with less compute, and the others.
fn apart_by_compute(last: &[Checkpoint]) -> (Vec<Checkpoint>, Vec<Checkpoint>) {
    let compute = |c: &Checkpoint| c.params * if c.tokens.is_nan() { 1.0 } else { c.tokens };
    let mut sorted = last.to_vec();
    sorted.sort_by(|a, b| compute(a).total_cmp(&compute(b)));
    let held = sorted.split_off(sorted.len() - sorted.len() / 3);
    (sorted, held)
}

/// ln measured - ln foretold.
fn misses<L: Law>(fit: &Fit<L>, held: &Result<Observations, saltus_law::LawError>) -> Vec<f64> {
    let miss = |o: &Observation| (o.loss / fit.law.loss(o.params, o.tokens)).ln();
    held.as_ref().map_or_else(|_| Vec::new(), |held| held.all().iter().map(miss).collect())
}

fn of_fit<L: Law>(
    fit: &Fit<L>,
    fitted: f64,
    misses: Option<Vec<f64>>,
    loss: impl Fn(&L) -> f64,
    law: &'static str,
) -> Losses {
    let data = fit.data.all();
    let n = data.len() as f64;
    let widen = (n / (n - fitted).max(1.0)).sqrt();
    let residual = |o: &Observation| widen * (o.loss / fit.law.loss(o.params, o.tokens)).ln();
    Losses {
        value: loss(&fit.law),
        resamples: fit.resamples.iter().map(&loss).collect(),
        scatter: larger(data.iter().map(residual).collect(), misses),
        law,
    }
}

/// The errors with the larger mean square.
fn larger(residuals: Vec<f64>, misses: Option<Vec<f64>>) -> Vec<f64> {
    let square = |errors: &[f64]| errors.iter().map(|e| e * e).sum::<f64>() / errors.len().max(1) as f64;
    misses.filter(|m| square(m) > square(&residuals)).unwrap_or(residuals)
}

/// c + (1 - c) / (1 + exp(k (L - L0))).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sigmoid {
    floor: f64,
    steepness: f64,
    middle: f64,
}

impl Sigmoid {
    fn at(&self, loss: f64) -> f64 {
        self.floor + (1.0 - self.floor) / (1.0 + (self.steepness * (loss - self.middle)).exp())
    }

    /// From (L0, ln k) and, where the floor is not known, its logit.
    fn of(theta: &[f64], floor: Option<f64>) -> Sigmoid {
        let floor = floor.unwrap_or_else(|| 1.0 / (1.0 + (-theta[2]).exp()));
        Sigmoid { floor, steepness: theta[1].exp(), middle: theta[0] }
    }

    /// By least squares, `weights` by checkpoint, from the best of `starts`.
    fn fit(all: &[Checkpoint], weights: &[f64], floor: Option<f64>, starts: &[Vec<f64>]) -> (Sigmoid, Vec<f64>) {
        let missed = |theta: &[f64]| -> f64 {
            let sigmoid = Sigmoid::of(theta, floor);
            all.iter().zip(weights).map(|(c, w)| w * (c.score - sigmoid.at(c.loss)).powi(2)).sum()
        };
        let stop = Stop { relative: 1e-9, absolute: 1e-14, evaluations: 2000 };
        let step: Vec<f64> = vec![0.3; if floor.is_some() { 2 } else { 3 }];
        let minima = starts.iter().map(|start| nelder_mead(missed, &start[..step.len()], &step, stop));
        let best = minima.min_by(|a, b| a.value.total_cmp(&b.value));
        let best = best.unwrap_or_else(|| unreachable!("there are starts"));
        (Sigmoid::of(&best.x, floor), best.x)
    }
}

/// Step two, with both steps' doubts: what a new model scores.
fn draws(all: &[Checkpoint], losses: &Losses, floor: Option<f64>, analysis: &Analysis) -> Vec<f64> {
    let (least, most) = all.iter().fold((f64::INFINITY, 0.0f64), |(a, b), c| (a.min(c.loss), b.max(c.loss)));
    let mut starts = Vec::new();
    for share in [-0.3, 0.2, 0.6] {
        for steepness in [2.0f64, 8.0, 30.0] {
            let range = (most - least).max(1e-6);
            starts.push(vec![least + share * range, (steepness / range).ln(), -2.0]);
        }
    }
    let (best, theta) = Sigmoid::fit(all, &vec![1.0; all.len()], floor, &starts);
    let mut runs: Vec<u64> = all.iter().map(|c| c.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let last: Vec<Checkpoint> = all.iter().copied().filter(|c| c.last()).collect();
    let n = last.len() as f64;
    let widen = (n / (n - theta.len() as f64).max(1.0)).sqrt();
    let (rest, held) = apart_by_compute(&last);
    let earlier: Vec<Checkpoint> = all.iter().copied().filter(|c| rest.iter().any(|r| r.run == c.run)).collect();
    let (before, _) = Sigmoid::fit(&earlier, &vec![1.0; earlier.len()], floor, &starts);
    let scatter = larger(
        last.iter().map(|c| widen * (c.score - best.at(c.loss))).collect(),
        Some(held.iter().map(|c| c.score - before.at(c.loss)).collect()),
    );
    let key: Key = analysis.key.child("two steps");
    let one = |b: usize| {
        let mut rng = key.index(b as u64).rng();
        let mut drawn = vec![0.0; runs.len()];
        (0..runs.len()).for_each(|_| drawn[rng.random_range(0..runs.len())] += 1.0);
        let weights: Vec<f64> =
            all.iter().map(|c| runs.binary_search(&c.run).map_or(0.0, |place| drawn[place])).collect();
        let (sigmoid, _) = Sigmoid::fit(all, &weights, floor, std::slice::from_ref(&theta));
        let law = losses.resamples[b % losses.resamples.len()];
        // An error may as well be to the other side.
        let mut error = |of: &[f64]| {
            if rng.random() { of[rng.random_range(0..of.len())] } else { -of[rng.random_range(0..of.len())] }
        };
        let loss = law * error(&losses.scatter).exp();
        (sigmoid.at(loss) + error(&scatter)).clamp(0.0, 1.0)
    };
    (0..analysis.resamples).into_par_iter().map(one).filter(|v| v.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric;
    use rand_distr::{Distribution, StandardNormal};
    use saltus_emergence as emergence;

    fn ladder(key: Key) -> Ability {
        let mut rng = key.rng();
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut checkpoints = Vec::new();
        for params in [1e8, 2e8, 4e8, 8e8, 1.6e9] {
            for ratio in [10.0, 20.0, 40.0, 100.0] {
                let loss = law(params, ratio * params) * (0.003 * normal()).exp();
                let score = truth(loss) + 0.01 * normal();
                let run = checkpoints.len() as u64;
                checkpoints.push(Checkpoint { params, tokens: ratio * params, loss, score, run, done: 1.0 });
            }
        }
        let measurements = Vec::new();
        let kind = Kind::Proportion { chance: 0.25 };
        Ability {
            family: "f".into(),
            task: "t".into(),
            metric: "acc".into(),
            by: String::new(),
            form: metric::of_name("acc"),
            ability: emergence::Ability {
                axis: emergence::Axis::Params,
                ceiling: 1.0,
                kind,
                higher_is_better: true,
                measurements,
            },
            length: None,
            notes: Vec::new(),
            one_class: None,
            checkpoints,
        }
    }

    fn law(n: f64, d: f64) -> f64 {
        0.4 + 60.0 / n.powf(0.25) + 200.0 / d.powf(0.3)
    }

    fn truth(loss: f64) -> f64 {
        0.25 + 0.75 / (1.0 + (4.0 * (loss - 1.1)).exp())
    }

    /// Of 40 simulated ladders the intervals hold what a new model would score as often as they should.
    #[test]
    fn intervals_hold_a_new_model() {
        let target = Target { scale: 1.3e10, params: Some(1.3e10), tokens: Some(5e11) };
        let mut held = 0;
        for seed in 0..40 {
            let key = Key::new(seed);
            let analysis = Analysis { key, resamples: 199, delta: 0.05, alpha: 0.05 };
            let (p, _) = forecast(&ladder(key.child("ladder")), &analysis, &target).unwrap();
            let mut rng = key.child("new").rng();
            let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
            let loss = law(1.3e10, 5e11) * (0.003 * normal()).exp();
            let score = truth(loss) + 0.01 * normal();
            held += usize::from(p.low <= score && score <= p.high);
            assert!(p.high - p.low < 0.25, "{p:?}");
        }
        println!("two steps: {held} of 40 intervals held");
        assert!((35..=40).contains(&held), "{held} of 40");
    }

    #[test]
    fn refuses_what_cannot_be_foretold() {
        let analysis = Analysis { key: Key::new(0), resamples: 49, delta: 0.05, alpha: 0.05 };
        let target = Target { scale: 1e10, params: Some(1e10), tokens: None };
        let whole = ladder(Key::new(1));
        let refused = |ability: &Ability| forecast(ability, &analysis, &target).unwrap_err();
        assert!(refused(&whole).contains("--to-tokens"));
        let four = Ability { checkpoints: whole.checkpoints[..4].to_vec(), ..whole.clone() };
        assert!(refused(&four).contains("4 runs"), "{}", refused(&four));
        let flat = whole.checkpoints.iter().map(|c| Checkpoint { score: 0.25, ..*c }).collect();
        assert!(refused(&Ability { checkpoints: flat, ..whole.clone() }).contains("at chance"));
        assert!(refused(&Ability { checkpoints: Vec::new(), ..whole }).contains("`loss`"));
    }
}
