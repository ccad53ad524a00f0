//! Findings that need not be made again: those of the same models, measurements and looks, by the same program.

use crate::{
    cells::Measured,
    error::Error,
    looks::Found,
    plan::{ModelPlan, Study},
    store::{Store, write_atomically},
};
use rayon::prelude::*;
use saltus_report::Findings;
use saltus_train::Trained;
use std::{
    fmt::{Debug, Write},
    fs,
};

/// What findings are made from, as a hash: everything that is read for them, and this program's own bytes, so that another
/// build judges anew. `None` if the program cannot be read.
pub(crate) fn basis(
    study: &Study,
    trained: &[(&ModelPlan, Trained)],
    measured: &[Measured],
    found: &[Found],
) -> Option<String> {
    let program = blake3::hash(&fs::read(std::env::current_exe().ok()?).ok()?);
    let trained = trained.par_iter().map(|(model, trained)| hash(&(&model.rung, &model.key, model.control, trained)));
    let mut parts: Vec<blake3::Hash> = trained.collect();
    parts.par_extend(measured.par_iter().map(hash));
    parts.par_extend(found.par_iter().map(hash));
    let study = (&study.name, &study.source.text, study.delta, study.resamples);
    Some(hash(&(program, study, parts)).to_hex().to_string())
}

/// A type says all of itself in its `Debug`, floats to the last bit.
fn hash(of: &impl Debug) -> blake3::Hash {
    struct Hashing(blake3::Hasher);
    impl Write for Hashing {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }
    let mut hashing = Hashing(blake3::Hasher::new());
    // Nothing here fails, and a `Debug` that did would only lead to another hash.
    let _ = write!(hashing, "{of:?}");
    hashing.0.finalize()
}

/// The findings that lie in `store`, if they were made from `basis` and are as they were written.
pub(crate) fn read(store: &Store, basis: &str) -> Option<Findings> {
    let bytes = fs::read(store.findings()).ok()?;
    (fs::read_to_string(store.basis()).ok()? == line(basis, &bytes)).then(|| serde_json::from_slice(&bytes).ok())?
}

/// Writes `findings`, and what they were made from.
pub(crate) fn write(store: &Store, basis: Option<&str>, findings: &Findings) -> Result<(), Error> {
    let bytes = serde_json::to_vec_pretty(findings).map_err(Error::room)?;
    write_atomically(&store.findings(), &bytes)?;
    match basis {
        Some(basis) => write_atomically(&store.basis(), line(basis, &bytes).as_bytes()),
        None => Ok(()),
    }
}

fn line(basis: &str, findings: &[u8]) -> String {
    format!("{basis} {}\n", blake3::hash(findings).to_hex())
}
