//! The measured cells of a study: which there are, measuring the missing ones, reading all of them as metric values.

use crate::{
    error::Error,
    findings::label,
    plan::{ModelPlan, Study},
    run::Event,
    store::Store,
    training::{model_key, training_of},
};
use rayon::prelude::*;
use saltus_eval::{Boundary, Encoding, Metric, Overflow};
use saltus_record::{ModelKey, Outcome, Record, Training};
use saltus_train::{End, Trained, checkpoint_folder};
use saltus_transformer::{LocalModel, Weights};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The tokens of a prompt are the same for every candidate, and a question that is too long is none.
pub(crate) const ENCODING: Encoding = Encoding { boundary: Boundary::BigBench, overflow: Overflow::Refuse };

/// One cell: one checkpoint asked one set.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Content address.
    pub(crate) key: String,
    /// Index into the study's sets.
    pub(crate) set: usize,
    /// Which checkpoint.
    pub(crate) model: ModelKey,
    /// How it came to be.
    pub(crate) made: Training,
    /// Whether it is the trained model, not one along the way.
    pub(crate) last: bool,
    /// Whether it belongs to a control ladder.
    pub(crate) control: bool,
    /// The key of its training.
    trained: String,
}

/// A cell's records as metric values; NaN where an item could not be scored.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The cell.
    pub(crate) cell: Cell,
    /// In words.
    pub(crate) label: String,
    /// Each metric that applies, one value for each item.
    pub(crate) values: Vec<(Metric, Vec<f64>)>,
    /// Score of blind guessing for each metric that has one.
    pub(crate) chance: Vec<(Metric, f64)>,
    /// Tokens of the right answers.
    pub(crate) lengths: Vec<usize>,
    /// Why items are missing: the first reason, and how many.
    pub(crate) unscored: Option<(String, usize)>,
}

impl Measured {
    /// The values of `metric`, if it applies.
    pub(crate) fn values(&self, metric: Metric) -> Option<&[f64]> {
        self.values.iter().find(|(m, _)| *m == metric).map(|(_, v)| v.as_slice())
    }
}

/// Steps of `model` and the sets asked there: everything of the trained model, the loss along the way.
fn asked(study: &Study, steps: &[u64], last: Option<u64>) -> Vec<(u64, usize)> {
    let sets = |step: u64| {
        let wanted = move |set: &crate::plan::SetPlan| set.is_loss() || Some(step) == last;
        study.sets.iter().enumerate().filter(move |(_, s)| wanted(s)).map(move |(i, _)| (step, i))
    };
    steps.iter().flat_map(|&step| sets(step)).collect()
}

/// A model's cells, each as its key and its set; of those planned, where it is not trained yet.
pub(crate) fn planned(study: &Study, model: &ModelPlan, trained: Option<&Trained>) -> Vec<(String, usize)> {
    let (steps, last) = match trained {
        Some(t) if matches!(t.end, End::Diverged { .. }) => return Vec::new(),
        Some(t) => (t.checkpoints.iter().map(|c| c.step).collect(), t.checkpoints.last().map(|c| c.step)),
        None => (model.rung.checkpoints.clone(), model.rung.checkpoints.last().copied()),
    };
    asked(study, &steps, last).into_iter().map(|(step, set)| (study.sets[set].cell(&model.key, step), set)).collect()
}

/// All cells of the trained models.
pub(crate) fn wanted(study: &Study, trained: &[(&ModelPlan, Trained)]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (model, trained) in trained.iter().filter(|(_, t)| !matches!(t.end, End::Diverged { .. })) {
        let steps: Vec<u64> = trained.checkpoints.iter().map(|c| c.step).collect();
        for (step, set) in asked(study, &steps, steps.last().copied()) {
            let Some(checkpoint) = trained.checkpoints.iter().find(|c| c.step == step) else { continue };
            cells.push(Cell {
                key: study.sets[set].cell(&model.key, step),
                set,
                model: model_key(study, model, step, checkpoint.tokens, &checkpoint.weights),
                made: training_of(model, step, checkpoint.tokens),
                last: Some(&step) == steps.last(),
                control: model.control,
                trained: model.key.clone(),
            });
        }
    }
    cells
}

/// Measures the cells that have no part, then reads all. Returns how many were measured.
pub(crate) fn measure(
    study: &Study,
    store: &Store,
    cells: &[Cell],
    threads: usize,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<(Vec<Measured>, usize), Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::room)?;
    pool.install(|| {
        let mut computed = fill(study, store, cells, tell)?;
        loop {
            let parts: Vec<_> = cells.par_iter().map(|cell| read_one(study, store, cell)).collect();
            let damaged = parts.iter().zip(cells).filter(|(part, _)| matches!(part, Err(e) if is_damage(e)));
            let damaged: Vec<_> = damaged.map(|(_, cell)| store.part(&cell.key)).collect();
            if damaged.is_empty() {
                let measured = parts.into_iter().collect::<Result<_, _>>().map_err(Error::room)?;
                return Ok((measured, computed));
            }
            for path in damaged {
                tell(Event::Warning(format!("{} is damaged; it is measured again", path.display())));
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
            computed += fill(study, store, cells, tell)?;
        }
    })
}

/// Whether a part can only be measured again. A part of another schema can be read by another version: it stays.
fn is_damage(error: &saltus_record::Error) -> bool {
    matches!(error, saltus_record::Error::Damaged { .. } | saltus_record::Error::Foreign { .. })
}

/// Measures the cells that have no part: each checkpoint is loaded once.
fn fill(study: &Study, store: &Store, cells: &[Cell], tell: &(dyn Fn(Event) + Sync)) -> Result<usize, Error> {
    let missing: Vec<&Cell> = cells.iter().filter(|cell| !store.part(&cell.key).exists()).collect();
    let total = missing.len();
    let done = AtomicUsize::new(0);
    let checkpoints: Vec<&[&Cell]> =
        missing.chunk_by(|a, b| (&a.trained, a.made.step) == (&b.trained, b.made.step)).collect();
    checkpoints.par_iter().with_max_len(1).try_for_each(|cells| {
        let folder = checkpoint_folder(&store.models().join(&cells[0].trained), cells[0].made.step);
        let weights = Weights::load(&folder).map_err(Error::room)?;
        let model = LocalModel::new(weights, study.corpus.tokenizer());
        cells.iter().try_for_each(|cell| {
            let records = study.sets[cell.set].ask(&model, &cell.model, usize::MAX).map_err(Error::room)?;
            saltus_record::write_records(&store.part(&cell.key), &cell.key, &records).map_err(Error::room)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let detail = format!("{} {} seed {}", cell.made.ladder, cell.model.name, cell.made.seed);
            tell(Event::Progress { phase: "measuring", share: done as f64 / total as f64, detail });
            Ok(())
        })
    })?;
    Ok(total)
}

/// Reads the parts of `cells` as metric values.
pub(crate) fn read(study: &Study, store: &Store, cells: &[Cell]) -> Result<Vec<Measured>, Error> {
    cells.par_iter().map(|cell| read_one(study, store, cell).map_err(Error::room)).collect()
}

fn read_one(study: &Study, store: &Store, cell: &Cell) -> Result<Measured, saltus_record::Error> {
    let part = saltus_record::read_records(&store.part(&cell.key))?;
    Ok(reduce(study, cell, &part.rows))
}

fn reduce(study: &Study, cell: &Cell, records: &[Record]) -> Measured {
    let set = &study.sets[cell.set].set;
    let metrics = saltus_eval::applicable(records);
    let numbers = |metric: Metric| {
        let values = saltus_eval::values(metric, records);
        values.iter().map(|v| v.scored().unwrap_or(f64::NAN)).collect::<Vec<f64>>()
    };
    let mut reasons = records.iter().filter_map(|r| match &r.outcome {
        Outcome::Unscored(reason) => Some(reason.clone()),
        Outcome::Scored { .. } => None,
    });
    let first = reasons.next();
    let lengths = records.iter().map(|r| match &r.outcome {
        Outcome::Scored { candidates, .. } => {
            candidates.iter().max_by(|a, b| a.target_score.total_cmp(&b.target_score)).map_or(0, |c| c.tokens.len())
        }
        Outcome::Unscored(_) => 0,
    });
    Measured {
        label: label(&set.family, &set.task, &set.style.to_string(), set.shots),
        values: metrics.iter().map(|&m| (m, numbers(m))).collect(),
        chance: metrics.iter().filter_map(|&m| Some((m, saltus_eval::chance(m, records)?))).collect(),
        lengths: lengths.collect(),
        unscored: first.map(|reason| (reason, reasons.count() + 1)),
        cell: cell.clone(),
    }
}
