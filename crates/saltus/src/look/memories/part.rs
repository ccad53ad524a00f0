//! What a look at memories has so far, on the disk.

use saltus_lens::memories::{Corpus, Partial, Settings, Triggers};
use saltus_transformer::Model;
use std::{
    fs, io,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// Work that a kill may cost, at most: this and one step.
const EVERY: Duration = Duration::from_secs(20);

/// A file with a seal, the length of the triggers, the triggers, and the rest as JSON.
pub(super) struct Kept<'a> {
    path: &'a Path,
    saved: Instant,
}

impl<'a> Kept<'a> {
    pub(super) fn at(path: &'a Path) -> Self {
        Kept { path, saved: Instant::now() }
    }

    /// Brings `triggers` to where an earlier run was; what it had of the rest. Nothing of a file that is damaged or of
    /// something else.
    pub(super) fn resume(
        &self,
        model: &Model,
        corpus: &Corpus,
        triggers: &mut Triggers,
        settings: &Settings,
    ) -> Partial {
        let Ok(bytes) = fs::read(self.path) else { return Partial::default() };
        match unsealed(&bytes) {
            Some((state, rest)) if triggers.resume(state, corpus) => {
                let partial: Partial = serde_json::from_slice(rest).unwrap_or_default();
                if partial.fits(model, corpus, triggers, settings) { partial } else { Partial::default() }
            }
            _ => Partial::default(),
        }
    }

    /// Saves it, unless that was done shortly before.
    pub(super) fn now_and_then(&mut self, triggers: &Triggers, partial: &Partial) {
        if self.saved.elapsed() >= EVERY {
            self.save(triggers, partial);
        }
    }

    /// Saves it. A disk that takes nothing is told of when the look itself is saved.
    pub(super) fn save(&mut self, triggers: &Triggers, partial: &Partial) {
        let _ = self.try_to_save(triggers, partial);
        self.saved = Instant::now();
    }

    fn try_to_save(&self, triggers: &Triggers, partial: &Partial) -> Result<(), Box<dyn std::error::Error>> {
        let (state, rest) = (triggers.to_bytes(), serde_json::to_vec(partial)?);
        let body = [&(state.len() as u64).to_le_bytes()[..], &state, &rest].concat();
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        let put = |file: &mut fs::File| -> io::Result<()> {
            file.write_all(blake3::hash(&body).as_bytes())?;
            file.write_all(&body)
        };
        Ok(saltus_record::write_atomically(self.path, put)?)
    }
}

/// The triggers and the rest, of a file that is whole.
fn unsealed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (seal, body) = bytes.split_first_chunk::<32>()?;
    let (length, body_left) = body.split_first_chunk::<8>()?;
    let whole = blake3::hash(body).as_bytes() == seal;
    whole.then(|| body_left.split_at_checked(u64::from_le_bytes(*length) as usize)).flatten()
}
