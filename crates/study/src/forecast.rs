//! What a run would do, and how long it would take: a few steps and a few questions of each size are timed.

use crate::{
    cells,
    error::Error,
    plan::{ModelPlan, Study},
    run::{StatusRow, status},
    store::Store,
    training::{self, model_key},
};
use saltus_train::{Job, Plan, Rung};
use saltus_transformer::{Config, LocalModel, Weights};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlanSummary {
    /// Every size.
    pub rungs: Vec<RungSummary>,
    /// Models to train.
    pub models_missing: usize,
    /// Models that are trained.
    pub models_done: usize,
    /// Cells to measure.
    pub cells_missing: usize,
    /// Cells that are measured.
    pub cells_done: usize,
    /// Threads.
    pub threads: usize,
    /// Expected seconds of training what is missing.
    pub training_seconds: f64,
    /// Expected seconds of measuring what is missing.
    pub measuring_seconds: f64,
}

/// One size of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct RungSummary {
    /// Ladder.
    pub ladder: String,
    /// Rung.
    pub rung: String,
    /// Number of seeds.
    pub seeds: usize,
    /// Parameters without embedding and head.
    pub params_non_embedding: u64,
    /// All parameters.
    pub params_total: u64,
    /// Training tokens of one model.
    pub tokens: u64,
    /// Training FLOPs of one model by 6 N D.
    pub flops_6nd: f64,
    /// Training FLOPs of one model, counted.
    pub flops_counted: f64,
    /// Expected seconds of training one model on one thread.
    pub training_seconds: f64,
    /// Expected seconds of asking one model everything on one thread.
    pub measuring_seconds: f64,
}

/// How long each size's steps are timed.
const CALIBRATE: Duration = Duration::from_millis(100);

/// How many questions of each set are timed.
const QUESTIONS: usize = 16;

/// What a run would do, with the time expected from a few steps and a few questions of each size. Looks only.
pub fn dry_run(study: &Study, threads: usize) -> Result<PlanSummary, Error> {
    let status = status(study)?;
    let mut clock = Clock { study, steps: Vec::new(), questions: Vec::new() };
    let mut rungs: Vec<RungSummary> = Vec::new();
    for model in &study.models {
        match rungs.iter_mut().find(|r| r.ladder == model.rung.ladder && r.rung == model.rung.name) {
            Some(known) => known.seeds += 1,
            None => rungs.push(rung_summary(&mut clock, model)?),
        }
    }
    let missing = |row: &StatusRow| row.training == "missing" || row.training == "started";
    let jobs = study.models.iter().zip(&status.models).filter(|(_, row)| missing(row));
    let jobs: Vec<_> = jobs.map(|(m, _)| Job { rung: &m.rung, corpus: study.corpus.as_ref() }).collect();
    let cells = |count: fn(&StatusRow) -> usize| status.models.iter().map(count).sum();
    Ok(PlanSummary {
        rungs,
        models_missing: jobs.len(),
        models_done: study.models.len() - jobs.len(),
        cells_missing: cells(|row| row.cells_missing),
        cells_done: cells(|row| row.cells_done),
        threads,
        training_seconds: saltus_train::foretell(&jobs, threads, |rung, threads| clock.step(rung, threads))
            .map_err(Error::room)?,
        measuring_seconds: measuring(study, &mut clock)? / threads as f64,
    })
}

fn rung_summary(clock: &mut Clock<'_>, model: &ModelPlan) -> Result<RungSummary, Error> {
    let plan = Plan::of(&model.rung);
    let asked = clock.questions(model)?;
    Ok(RungSummary {
        ladder: model.rung.ladder.clone(),
        rung: model.rung.name.clone(),
        seeds: 1,
        params_non_embedding: plan.params_non_embedding,
        params_total: plan.params_total,
        tokens: plan.tokens,
        flops_6nd: plan.flops_6nd,
        flops_counted: plan.flops_counted,
        training_seconds: clock.step(&model.rung, 1).map_err(Error::room)? * model.rung.steps as f64,
        measuring_seconds: cells::planned(clock.study, model, None).iter().map(|(_, set)| asked[*set]).sum(),
    })
}

/// Seconds that the missing cells take on one thread.
fn measuring(study: &Study, clock: &mut Clock<'_>) -> Result<f64, Error> {
    let store = Store::peek(&study.root, &study.name)?;
    let finished = store.as_ref().map(Store::finished).unwrap_or_default();
    let mut seconds = 0.0;
    for model in &study.models {
        let trained = store.as_ref().and_then(|s| training::found(study, s, model));
        let asked = clock.questions(model)?;
        let cells = cells::planned(study, model, trained.as_ref());
        seconds += cells.iter().filter(|(key, _)| !finished.contains(key)).map(|(_, set)| asked[*set]).sum::<f64>();
    }
    Ok(seconds)
}

/// Times each size once.
struct Clock<'a> {
    study: &'a Study,
    /// Seconds for a step of a model with so many rows, on so many threads.
    steps: Vec<((Config, usize, usize), f64)>,
    /// Seconds for each set of questions, on one thread.
    questions: Vec<(Config, Vec<f64>)>,
}

impl Clock<'_> {
    fn step(&mut self, rung: &Rung, threads: usize) -> Result<f64, saltus_train::Error> {
        let what = (rung.config.clone(), rung.rows, threads);
        if let Some((_, seconds)) = self.steps.iter().find(|(known, _)| *known == what) {
            return Ok(*seconds);
        }
        let speed = saltus_train::calibrate(rung, self.study.corpus.as_ref(), threads, CALIBRATE)?;
        self.steps.push((what, speed.seconds_per_step));
        Ok(speed.seconds_per_step)
    }

    /// An untrained model is asked: answers take as long whatever they are.
    fn questions(&mut self, model: &ModelPlan) -> Result<Vec<f64>, Error> {
        let config = &model.rung.config;
        if let Some((_, seconds)) = self.questions.iter().find(|(known, _)| known == config) {
            return Ok(seconds.clone());
        }
        let weights = Weights::init(config, self.study.key.child("forecast"));
        let (asked, key) =
            (LocalModel::new(weights, self.study.corpus.tokenizer()), model_key(self.study, model, 0, 0, ""));
        let times = self.study.sets.iter().map(|plan| {
            let all = plan.set.questions.len();
            let few = all.min(QUESTIONS);
            let begun = Instant::now();
            plan.ask(&asked, &key, few).map_err(Error::room)?;
            Ok(begun.elapsed().as_secs_f64() * all as f64 / few as f64)
        });
        let seconds = times.collect::<Result<Vec<f64>, Error>>()?;
        self.questions.push((config.clone(), seconds.clone()));
        Ok(seconds)
    }
}
