//! What is looked at inside the models of a study: which looks there are, taking the missing ones, reading all of them.
//!
//! A look is a cell like any other: its key is all that determines what it finds, its part lies in `inside/`, and what
//! stands beside its numbers on the page in a file next to it.

mod questions;
mod read;
mod spec;
mod take;

pub(crate) use read::looked;
pub(crate) use spec::{LookPlan, LookSpec, Subject, plan};

use crate::{
    error::Error,
    plan::{ModelPlan, Study},
    run::Event,
    store::{Store, write_atomically},
    training::model_key,
};
use rayon::prelude::*;
use saltus_record::{ModelKey, Observation};
use saltus_report::inside::Detail;
use saltus_train::{End, Trained, checkpoint_folder};
use saltus_transformer::{Model, Weights};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Version of what looks find: a change of their arithmetic raises it.
const SCHEMA: u32 = 1;

/// One look at one checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct LookCell {
    /// Content address.
    pub(crate) key: String,
    /// Index into the study's looks.
    look: usize,
    /// Which checkpoint.
    pub(crate) model: ModelKey,
    /// Its step.
    step: u64,
    /// Whether it is the trained model, not one along the way.
    last: bool,
    /// The key of its training.
    trained: String,
}

/// What a look found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where.
    pub(crate) cell: LookCell,
    /// The numbers.
    pub(crate) observations: Vec<Observation>,
    /// What the page shows beside them.
    pub(crate) details: Vec<Detail>,
}

fn key(look: &LookPlan, model: &str, step: u64) -> String {
    let all = format!("look {SCHEMA}\n{}\n{model}\n{step}\n{}", saltus_record::SCHEMA, look.identity);
    blake3::hash(all.as_bytes()).to_hex()[..32].to_string()
}

/// Steps of a model and the looks taken there: heads at every checkpoint, the rest at the last.
fn asked(study: &Study, steps: &[u64]) -> Vec<(u64, usize)> {
    let last = steps.last().copied();
    let wanted = |step: u64, look: &LookPlan| Some(step) == last || look.along_training();
    let at = |step: u64| {
        let looks = study.looks.iter().enumerate().filter(move |(_, look)| wanted(step, look));
        looks.map(move |(number, _)| (step, number))
    };
    steps.iter().flat_map(|step| at(*step)).collect()
}

/// The keys of a model's looks; of those planned, where it is not trained yet.
pub(crate) fn planned(study: &Study, model: &ModelPlan, trained: Option<&Trained>) -> Vec<String> {
    let steps: Vec<u64> = match trained {
        Some(t) if matches!(t.end, End::Diverged { .. }) => return Vec::new(),
        Some(t) => t.checkpoints.iter().map(|c| c.step).collect(),
        None => model.rung.checkpoints.clone(),
    };
    asked(study, &steps).into_iter().map(|(step, look)| key(&study.looks[look], &model.key, step)).collect()
}

/// All looks at the trained models. Controls are looked into like the others.
pub(crate) fn wanted(study: &Study, trained: &[(&ModelPlan, Trained)]) -> Vec<LookCell> {
    let mut cells = Vec::new();
    for (model, trained) in trained.iter().filter(|(_, t)| !matches!(t.end, End::Diverged { .. })) {
        let steps: Vec<u64> = trained.checkpoints.iter().map(|c| c.step).collect();
        for (step, look) in asked(study, &steps) {
            let Some(checkpoint) = trained.checkpoints.iter().find(|c| c.step == step) else { continue };
            cells.push(LookCell {
                key: key(&study.looks[look], &model.key, step),
                look,
                model: model_key(study, model, step, checkpoint.tokens, &checkpoint.weights),
                step,
                last: Some(&step) == steps.last(),
                trained: model.key.clone(),
            });
        }
    }
    cells
}

/// Takes the looks that are missing, then reads all. Returns how many were taken.
pub(crate) fn take(
    study: &Study,
    store: &Store,
    cells: &[LookCell],
    threads: usize,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<(Vec<Found>, usize), Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::room)?;
    pool.install(|| {
        let there = |cell: &LookCell| store.inside_part(&cell.key).exists().then(|| read_one(store, cell));
        let there: Vec<Option<Result<Found, Error>>> = cells.par_iter().map(there).collect();
        for (cell, _) in cells.iter().zip(&there).filter(|(_, found)| matches!(found, Some(Err(_)))) {
            let path = store.inside_part(&cell.key);
            tell(Event::Warning(format!("{} is damaged; it is looked at again", path.display())));
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        let there: Vec<Option<Found>> = there.into_iter().map(|found| found?.ok()).collect();
        let missing: Vec<&LookCell> =
            cells.iter().zip(&there).filter(|(_, found)| found.is_none()).map(|(cell, _)| cell).collect();
        fill(study, store, &missing, tell)?;
        let all = there.into_iter().zip(cells).map(|(found, cell)| found.map_or_else(|| read_one(store, cell), Ok));
        Ok((all.collect::<Result<_, _>>()?, missing.len()))
    })
}

/// Takes the looks that have no part: each checkpoint is loaded once.
fn fill(study: &Study, store: &Store, missing: &[&LookCell], tell: &(dyn Fn(Event) + Sync)) -> Result<(), Error> {
    let (total, done) = (missing.len(), AtomicUsize::new(0));
    let checkpoints: Vec<&[&LookCell]> =
        missing.chunk_by(|a, b| (&a.trained, a.step) == (&b.trained, b.step)).collect();
    checkpoints.par_iter().with_max_len(1).try_for_each(|cells| {
        let folder = checkpoint_folder(&store.models().join(&cells[0].trained), cells[0].step);
        let model = Model::from(Weights::load(&folder).map_err(Error::room)?);
        cells.iter().try_for_each(|cell| {
            let (observations, details) = take::take(study, &study.looks[cell.look], &model, &cell.model)?;
            let details = serde_json::to_vec(&details).map_err(Error::room)?;
            write_atomically(&store.inside_detail(&cell.key), &details)?;
            // The numbers last: they say that the look is done.
            saltus_record::write_observations(&store.inside_part(&cell.key), &cell.key, &observations)
                .map_err(Error::room)?;
            let share = (done.fetch_add(1, Ordering::Relaxed) + 1) as f64 / total as f64;
            tell(Event::Progress { phase: "looking", share, detail: cell.model.name.clone() });
            Ok(())
        })
    })
}

/// Reads the parts of `cells`.
pub(crate) fn read(store: &Store, cells: &[LookCell]) -> Result<Vec<Found>, Error> {
    cells.par_iter().map(|cell| read_one(store, cell)).collect()
}

fn read_one(store: &Store, cell: &LookCell) -> Result<Found, Error> {
    let part = saltus_record::read_observations(&store.inside_part(&cell.key)).map_err(Error::room)?;
    let path = store.inside_detail(&cell.key);
    let details = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let details = serde_json::from_slice(&details).map_err(|e| Error::Output {
        message: format!("{} does not tell what was found: {e}", path.display()),
        help: "delete it and the Parquet file of its name, and run the study again".into(),
    })?;
    Ok(Found { cell: cell.clone(), observations: part.rows, details })
}
