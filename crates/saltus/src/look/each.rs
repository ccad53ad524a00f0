//! The same look at each of several models: what was found before is read, the rest is found.

use super::{Common, Folder, Found};
use crate::{available_cores, models};
use miette::{IntoDiagnostic, Result};
use saltus_checkpoint::FileTokenizer;
use saltus_lm::{TokenId, Tokenizer};
use saltus_record::{ModelKey, Observation};
use saltus_report::inside::Number;
use saltus_transformer::Model;
use std::path::PathBuf;

/// A model with its tokenizer and key.
pub(super) struct Opened {
    pub(super) model: Model,
    pub(super) tokenizer: FileTokenizer,
    pub(super) key: ModelKey,
    /// Where a long look keeps what it has so far; it is removed when the look is saved.
    pub(super) part: PathBuf,
}

/// One model's look.
pub(super) struct Looked {
    pub(super) model: ModelKey,
    pub(super) found: Found,
    /// Where it is saved.
    pub(super) file: PathBuf,
    /// Whether it was found by an earlier run.
    pub(super) before: bool,
}

impl Opened {
    /// The text of a token.
    pub(super) fn text(&self, token: TokenId) -> String {
        self.tokenizer.decode(&[token])
    }
}

/// Takes the look `find` at each model, unless it is there already; `options` is all that determines it beside the model.
pub(super) fn each(
    common: &Common,
    options: &[&str],
    find: &(dyn Fn(&Opened) -> Result<Found> + Sync),
) -> Result<Vec<Looked>> {
    let threads = common.threads.unwrap_or_else(available_cores);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().into_diagnostic()?;
    let mut looks = Vec::new();
    for source in &common.models {
        let (model, tokenizer, key) = models::parts(source)?;
        // The name stands in every observation.
        let address = Folder::key(&[&[&key.name[..], &key.weights, &key.tokenizer], options].concat());
        let folder = Folder(&common.out);
        let file = folder.path(&address, "parquet");
        let (found, before) = match folder.read(&address) {
            Some(found) => (found, true),
            None => {
                let opened = Opened { model, tokenizer, key: key.clone(), part: folder.path(&address, "part") };
                let found = pool.install(|| find(&opened))?;
                folder.write(&address, &found)?;
                // It was only there to go on from.
                let _ = std::fs::remove_file(&opened.part);
                (found, false)
            }
        };
        looks.push(Looked { model: key, found, file, before });
    }
    Ok(looks)
}

impl Looked {
    /// All numbers but those about single items.
    pub(super) fn numbers(&self) -> Vec<Number> {
        let numbers = self.found.observations.iter().filter(|o| o.item.is_none());
        numbers.map(saltus_study::inside::number).collect()
    }

    /// The number of this metric, method and layer.
    pub(super) fn number(&self, metric: &str, method: &str, layer: Option<u32>) -> Option<&Observation> {
        let same = |o: &&Observation| {
            (o.metric.as_str(), o.method.as_str(), o.layer) == (metric, method, layer)
                && o.unit.is_none()
                && o.item.is_none()
        };
        self.found.observations.iter().find(same)
    }

    /// Where it is.
    pub(super) fn foot(&self) -> String {
        let before = if self.before { " (of an earlier run)" } else { "" };
        format!("saved: {}{before}\n", self.file.display())
    }
}

/// A number with its interval.
pub(super) fn with_interval(observation: &Observation, digits: usize) -> String {
    let value = observation.value;
    match observation.interval {
        Some((low, high)) => format!("{value:.digits$} ({low:.digits$} to {high:.digits$})"),
        None => format!("{value:.digits$}"),
    }
}
