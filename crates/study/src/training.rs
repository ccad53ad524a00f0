//! Trains what is missing, and keeps how each training went as records: they outlive the models.

use crate::{
    error::Error,
    plan::{ModelPlan, Study},
    run::Event,
    store::{Store, write_atomically},
};
use saltus_record::{LossPoint, ModelKey, Training};
use saltus_train::{Checkpoint, CurvePoint, End, Job, Trained, checkpoint_folder};
use serde::{Deserialize, Serialize};
use std::{fs, io, ops::ControlFlow};

/// How a training ended and which models it kept: what `curves/KEY.json` says beside the curve in `curves/KEY.parquet`.
#[derive(Serialize, Deserialize)]
struct Ending {
    key: String,
    end: End,
    checkpoints: Vec<Checkpoint>,
}

/// Trains what is missing; divergence is a gap, a failure of the disk an error once all others are done.
pub(crate) fn train<'a>(
    study: &'a Study,
    store: &Store,
    threads: usize,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Vec<(&'a ModelPlan, Trained)>, Error> {
    let jobs: Vec<_> = study.models.iter().map(|m| Job { rung: &m.rung, corpus: study.corpus.as_ref() }).collect();
    let progress = |p: saltus_train::Progress<'_>| {
        let rung = &study.models[p.job].rung;
        let name = format!("{} {} seed {}", rung.ladder, rung.name, rung.seed);
        match p.event {
            saltus_train::Event::Warning(text) => tell(Event::Warning(format!("{name}: {text}"))),
            saltus_train::Event::Step { step, .. } if step % 16 != 0 => {}
            _ => tell(Event::Progress { phase: "training", share: p.work_done / p.work_total.max(1.0), detail: name }),
        }
        ControlFlow::Continue(())
    };
    let results = saltus_train::grow(&jobs, &store.models(), threads, &progress);
    let mut trained = Vec::new();
    for (model, result) in study.models.iter().zip(results) {
        let result = result.map_err(Error::room)?;
        if let End::Diverged { .. } = result.end {
            tell(Event::Warning(format!("{} {}: {}", model.rung.name, model.rung.seed, result.end)));
        }
        save(study, store, model, &result)?;
        add_tokenizer(study, store, model, &result)?;
        trained.push((model, result));
    }
    Ok(trained)
}

/// Puts the tokenizer beside the weights of each checkpoint, so that its folder is a whole model.
fn add_tokenizer(study: &Study, store: &Store, model: &ModelPlan, trained: &Trained) -> Result<(), Error> {
    for checkpoint in &trained.checkpoints {
        let folder = checkpoint_folder(&store.models().join(&model.key), checkpoint.step);
        if folder.exists() && !folder.join("tokenizer_config.json").exists() {
            study.vocabulary.save(&folder).map_err(Error::room)?;
        }
    }
    Ok(())
}

/// The finished training of `model` with its weights, if it is there.
pub(crate) fn found(study: &Study, store: &Store, model: &ModelPlan) -> Option<Trained> {
    saltus_train::find(&store.models(), &model.rung, &study.corpus.identity())
}

/// Writes the curve and the ending of a training, unless they are there.
fn save(study: &Study, store: &Store, model: &ModelPlan, trained: &Trained) -> Result<(), Error> {
    let (curve, ending) = (store.curve(&model.key), store.ending(&model.key));
    if curve.exists() && ending.exists() {
        return Ok(());
    }
    let point = |p: &CurvePoint| LossPoint {
        model: model_key(study, model, p.step, p.tokens, ""),
        train_loss: p.loss,
        learning_rate: p.learning_rate,
        gradient_norm: p.gradient_norm,
    };
    let points: Vec<_> = trained.curve.iter().map(point).collect();
    saltus_record::write_losses(&curve, &model.key, &points).map_err(Error::room)?;
    let Trained { key, end, checkpoints, .. } = trained.clone();
    write_atomically(&ending, &serde_json::to_vec(&Ending { key, end, checkpoints }).map_err(Error::room)?)
}

/// The training of `model` as its records tell it, if it ended. Its weights may be gone.
pub(crate) fn recorded(store: &Store, model: &ModelPlan) -> Result<Option<Trained>, Error> {
    let path = store.ending(&model.key);
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(Error::io("read", &path))?,
    };
    let damaged = |found: String| Error::Output {
        message: format!("{} does not tell how a training ended: {found}", path.display()),
        help: "delete it and run the study again: it is written from the trained model".into(),
    };
    let Ending { key, end, checkpoints } = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    if key != model.key {
        return Err(damaged(format!("it is about the model {key}")));
    }
    let point = |p: LossPoint| {
        let Training { step, tokens, .. } = p.model.training?;
        let (learning_rate, gradient_norm) = (p.learning_rate, p.gradient_norm);
        Some(CurvePoint { step, tokens, loss: p.train_loss, learning_rate, gradient_norm })
    };
    let part = saltus_record::read_losses(&store.curve(&model.key)).map_err(Error::room)?;
    Ok(Some(Trained { key, end, checkpoints, curve: part.rows.into_iter().filter_map(point).collect() }))
}

/// The key of a checkpoint in records.
pub(crate) fn model_key(study: &Study, model: &ModelPlan, step: u64, tokens: u64, weights: &str) -> ModelKey {
    let config = &model.rung.config;
    ModelKey {
        name: model.rung.name.clone(),
        width: config.width as u32,
        layers: config.layers as u32,
        params_non_embedding: config.params_non_embedding(),
        params_total: config.params_total(),
        weights: weights.to_string(),
        tokenizer: study.corpus.tokenizer().identity(),
        training: Some(training_of(model, step, tokens)),
    }
}

/// How a checkpoint came to be.
pub(crate) fn training_of(model: &ModelPlan, step: u64, tokens: u64) -> Training {
    let params = model.rung.config.params_non_embedding();
    Training {
        ladder: model.rung.ladder.clone(),
        seed: model.rung.seed,
        step,
        tokens,
        flops_6nd: 6.0 * params as f64 * tokens as f64,
    }
}
