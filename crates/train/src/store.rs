//! A rung's folder: checkpoints, the resumable state, the curve, the mark of a finished training.
//!
//! ```text
//! <store>/<rung key>/rung.json                      what is trained here
//!                    step-00000123/config.json      a checkpoint, readable by `transformers`
//!                    step-00000123/model.safetensors
//!                    state                          how far it has come; gone when done
//!                    curve.json                     the training curve
//!                    done                           how it ended, and the checkpoints' hashes
//! ```
//! Everything is written beside its place and renamed into it, so that a reader sees all of it or none.

use crate::{
    error::Error,
    rung::{Rung, canonical_json},
    step::Trainer,
};
use saltus_transformer::Weights;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// One point of the training curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimiser step.
    pub step: u64,
    /// Training positions seen.
    pub tokens: u64,
    /// Mean training loss since the point before, nats per scored position.
    pub loss: f64,
    /// Learning rate at this step.
    pub learning_rate: f64,
    /// Mean gradient norm before clipping since the point before.
    pub gradient_norm: f64,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum End {
    /// After all its steps.
    Completed,
    /// By [`Rung::early_stop`], after `step`.
    StoppedEarly {
        /// Optimiser steps done.
        step: u64,
    },
    /// Loss or gradient were no number any more; checkpoints from before may be kept, the trained model is missing.
    Diverged {
        /// The step that failed.
        step: u64,
        /// Its learning rate.
        learning_rate: f64,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Completed => write!(f, "trained"),
            End::StoppedEarly { step } => write!(f, "stopped early at step {step}"),
            End::Diverged { step, learning_rate } => write!(
                f,
                "diverged at step {step} (learning rate {learning_rate:.2e}): the loss is not a number any more; lower \
                 the learning rate, for example by half, or lengthen the warm-up"
            ),
        }
    }
}

/// A model kept along the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Optimiser step; 0 is the untrained model.
    pub step: u64,
    /// Training positions seen.
    pub tokens: u64,
    /// [`weights_identity`] of the weights, which are in [`checkpoint_folder`].
    pub weights: String,
}

/// A finished training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// [`Rung::key`].
    pub key: String,
    /// How it ended.
    pub end: End,
    /// The checkpoints, ascending; the last one is the trained model unless the training diverged.
    pub checkpoints: Vec<Checkpoint>,
    /// The training curve.
    pub curve: Vec<CurvePoint>,
}

/// A checkpoint as listed in `done` and `state`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) step: u64,
    pub(crate) weights: String,
}

/// The content of `done`.
#[derive(Serialize, Deserialize)]
struct Done {
    key: String,
    end: End,
    checkpoints: Vec<Kept>,
}

/// Hash of a model, in hex: blake3 of its configuration as JSON and its values as little-endian bytes.
pub fn weights_identity(weights: &Weights<f32>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(canonical_json(&weights.config).as_bytes());
    hash_values(&mut hasher, &weights.values);
    hasher.finalize().to_hex().to_string()
}

/// The finished training of `rung` on the corpus called `corpus_identity`, if `store` holds it.
pub fn find(store: &Path, rung: &Rung, corpus_identity: &str) -> Option<Trained> {
    let key = rung.key(corpus_identity);
    read_done(&store.join(&key), rung, &key)
}

/// A finished training in `folder`; nothing when it is not finished, or when a part of it is missing or damaged.
pub(crate) fn read_done(folder: &Path, rung: &Rung, key: &str) -> Option<Trained> {
    let done: Done = serde_json::from_slice(&fs::read(folder.join("done")).ok()?).ok()?;
    let curve = serde_json::from_slice(&fs::read(folder.join("curve.json")).ok()?).ok()?;
    let smallest_file = 4 * rung.config.params_total();
    let whole = |kept: &Kept| {
        let file = checkpoint_folder(folder, kept.step).join("model.safetensors");
        fs::metadata(file).is_ok_and(|m| m.len() >= smallest_file)
    };
    let sound = done.key == key && done.checkpoints.iter().all(whole);
    sound.then(|| trained(rung, done, curve))
}

fn trained(rung: &Rung, done: Done, curve: Vec<CurvePoint>) -> Trained {
    let checkpoints = done.checkpoints.into_iter().map(|kept| Checkpoint {
        step: kept.step,
        tokens: kept.step * rung.tokens_per_step(),
        weights: kept.weights,
    });
    let checkpoints = checkpoints.collect();
    Trained { key: done.key, end: done.end, checkpoints, curve }
}

/// Makes the rung's folder, says in it what is trained there, and clears what a killed run left half-written.
pub(crate) fn open(folder: &Path, rung: &Rung) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))?.flatten() {
        if entry.file_name().to_string_lossy().ends_with(PARTIAL) {
            remove(&entry.path())?;
        }
    }
    write_json(&folder.join("rung.json"), rung)
}

/// Writes the curve and the mark, and removes the state.
pub(crate) fn finish(folder: &Path, rung: &Rung, key: &str, log: Log, end: End) -> Result<Trained, Error> {
    write_json(&folder.join("curve.json"), &log.curve)?;
    let done = Done { key: key.to_string(), end, checkpoints: log.checkpoints };
    write_json(&folder.join("done"), &done)?;
    remove(&folder.join(STATE))?;
    Ok(trained(rung, done, log.curve))
}

/// Saves a checkpoint; `mask` is the token that marks the gaps which it fills, if it is trained to fill some.
pub(crate) fn save_checkpoint(
    folder: &Path,
    step: u64,
    weights: &Weights<f32>,
    mask: Option<u32>,
) -> Result<Kept, Error> {
    let place = checkpoint_folder(folder, step);
    let partial = place.with_extension(PARTIAL);
    remove(&partial)?;
    fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
    let saved = weights.save_masked(&partial, mask);
    if saved.is_err() {
        remove(&partial)?;
    }
    saved.map_err(|source| Error::Model { path: place.clone(), source: Arc::new(source) })?;
    // A resumed training comes by the same step again, with the same bits.
    remove(&place)?;
    fs::rename(&partial, &place).map_err(Error::io("write", &place))?;
    Ok(Kept { step, weights: weights_identity(weights) })
}

/// Where the checkpoint of `step` lies in its rung's folder: a folder with `config.json` and `model.safetensors`.
pub fn checkpoint_folder(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("step-{step:08}"))
}

/// What has been noted on the way; part of the state, so that a resumed training has the whole curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) curve: Vec<CurvePoint>,
    pub(crate) checkpoints: Vec<Kept>,
    /// Since the last point of the curve.
    pub(crate) point: Tally,
    /// Since the last window of early stopping began.
    pub(crate) window: Tally,
    /// Mean loss of the window before.
    pub(crate) last_window: Option<f64>,
}

/// Sums over some steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) nats: f64,
    pub(crate) scored: u64,
    pub(crate) norms: f64,
    pub(crate) steps: u64,
}

#[derive(Serialize, Deserialize)]
struct StateHeader {
    key: String,
    step: u64,
    values: usize,
    log: Log,
}

const STATE: &str = "state";
const PARTIAL: &str = "partial";
const MAGIC: &[u8; 8] = b"SALTUS\x00\x01";

/// Saves what is needed to go on to the same bits: magic, length of the header, header (JSON), weights, both moments
/// (little-endian f32), blake3 of all that.
pub(crate) fn save_state(folder: &Path, key: &str, trainer: &Trainer, log: &Log) -> Result<(), Error> {
    let values = trainer.weights.values.len();
    let header = StateHeader { key: key.to_string(), step: trainer.step, values, log: log.clone() };
    let header = canonical_json(&header);
    write_atomically(&folder.join(STATE), |file| {
        let mut out = Hashing { file: io::BufWriter::with_capacity(1 << 18, file), hasher: blake3::Hasher::new() };
        out.put(MAGIC)?;
        out.put(&(header.len() as u64).to_le_bytes())?;
        out.put(header.as_bytes())?;
        for values in [&trainer.weights.values, &trainer.first_moment, &trainer.second_moment] {
            for chunk in values.chunks(1 << 14) {
                out.put(&le_bytes(chunk))?;
            }
        }
        let hash = *out.hasher.finalize().as_bytes();
        out.file.write_all(&hash)?;
        out.file.flush()
    })
}

/// Puts the saved state into `trainer` and returns its log; nothing when there is none, what is wrong when it is
/// damaged (the trainer is then unchanged).
pub(crate) fn load_state(folder: &Path, key: &str, trainer: &mut Trainer) -> Result<Option<Log>, String> {
    let path = folder.join(STATE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("the saved state {} cannot be read: {e}", path.display())),
    };
    let damaged = |what: &str| format!("the saved state {} is damaged ({what})", path.display());
    let (body, hash) = bytes.split_last_chunk::<32>().ok_or_else(|| damaged("too short"))?;
    if blake3::hash(body).as_bytes() != hash {
        return Err(damaged("its checksum is wrong"));
    }
    let (header, values) = parse_state(body).ok_or_else(|| damaged("it has another format"))?;
    let n = trainer.weights.values.len();
    if header.key != key || header.values != n || values.len() != 12 * n {
        return Err(damaged("it belongs to another training"));
    }
    let targets = [&mut trainer.weights.values, &mut trainer.first_moment, &mut trainer.second_moment];
    for (target, bytes) in targets.into_iter().zip(values.chunks_exact(4 * n)) {
        let (words, _) = bytes.as_chunks::<4>();
        target.iter_mut().zip(words).for_each(|(x, word)| *x = f32::from_le_bytes(*word));
    }
    trainer.step = header.step;
    Ok(Some(header.log))
}

fn parse_state(body: &[u8]) -> Option<(StateHeader, &[u8])> {
    let rest = body.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (header, values) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((serde_json::from_slice(header).ok()?, values))
}

struct Hashing<W> {
    file: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }
}

fn hash_values(hasher: &mut blake3::Hasher, values: &[f32]) {
    for chunk in values.chunks(1 << 14) {
        hasher.update(&le_bytes(chunk));
    }
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = canonical_json(value);
    write_atomically(path, |file| file.write_all(text.as_bytes()))
}

fn write_atomically(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
    let partial = path.with_extension(PARTIAL);
    let written = File::create(&partial).and_then(|mut file| write(&mut file).and_then(|()| file.sync_all()));
    if written.is_err() {
        // What is half-written only takes room that the next attempt needs; the first error is the one to tell.
        let _ = fs::remove_file(&partial);
    }
    written.and_then(|()| fs::rename(&partial, path)).map_err(Error::io("write", path))
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}
