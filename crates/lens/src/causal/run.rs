//! One question asked many times, each time with something else changed inside: what comes before the first change is
//! read once.

use super::Case;
use crate::{Error, Patch, Patched};
use saltus_lm::TokenId;
use saltus_transformer::{Cache, Chunk, Model, Sequence, Taps};

/// Tokens read in one pass.
const PASS: usize = 512;

/// A text that was read, with patches, and is read again with more of them.
pub(super) struct Runs<'a> {
    model: &'a Model,
    tokens: &'a [TokenId],
    case: &'a Case,
    patches: Vec<Patch>,
    cache: Cache,
    /// What was read; nothing where the model sees both ways, and every change reaches everything.
    read: Option<Sequence>,
    /// Runs in one pass.
    together: usize,
}

impl<'a> Runs<'a> {
    /// Reads `tokens` as `case` is asked, under the eyes of `taps`, which put `patches` in place; with the log-probability of
    /// the target.
    pub(super) fn begin(
        model: &'a Model,
        tokens: &'a [TokenId],
        case: &'a Case,
        patches: Vec<Patch>,
        taps: &mut dyn Taps,
    ) -> Result<(Self, f64), Error> {
        let causal = model.config().architecture.attention.causal;
        // What stands behind the place asked does not matter to a model that reads from left to right.
        let tokens = if causal { &tokens[..=case.at] } else { tokens };
        let together = (PASS / tokens.len()).max(1);
        let cache = Cache::new(model.config(), (together + 2) * Cache::pages_of(tokens.len()));
        let mut runs = Runs { model, tokens, case, patches, cache, read: None, together };
        let mut sequence = runs.cache.begin();
        let said = runs.pass(&mut [(&mut sequence, 0)], taps)?;
        match causal {
            true => runs.read = Some(sequence),
            false => runs.cache.end(sequence),
        }
        Ok((runs, said[0]))
    }

    /// The log-probability of the target with each of `changes`, on top of the patches there are.
    pub(super) fn with(&mut self, changes: &[Vec<Patch>]) -> Result<Vec<f64>, Error> {
        let mut said = Vec::new();
        for group in changes.chunks(self.together) {
            let mut sequences: Vec<(Sequence, usize)> = group.iter().map(|patches| self.fork(patches)).collect();
            let all = sequences.iter().zip(group).enumerate().flat_map(|(text, ((_, start), own))| {
                let before = self.patches.iter().filter(|patch| patch.position >= *start);
                before.chain(own).map(move |patch| (text, patch.clone()))
            });
            let mut taps = Patched::new(all.collect::<Vec<_>>());
            let mut borrowed: Vec<(&mut Sequence, usize)> =
                sequences.iter_mut().map(|(s, start)| (s, *start)).collect();
            said.extend(self.pass(&mut borrowed, &mut taps)?);
            sequences.into_iter().for_each(|(sequence, _)| self.cache.end(sequence));
        }
        Ok(said)
    }

    /// What has read everything before the first of `patches`, and where that is.
    fn fork(&mut self, patches: &[Patch]) -> (Sequence, usize) {
        let Some(read) = &self.read else { return (self.cache.begin(), 0) };
        let start = patches.iter().map(|patch| patch.position).min().unwrap_or(self.case.at);
        let mut sequence = self.cache.fork(read);
        self.cache.truncate(&mut sequence, start);
        (sequence, start)
    }

    /// Each sequence goes on from its place to the end.
    fn pass(&mut self, sequences: &mut [(&mut Sequence, usize)], taps: &mut dyn Taps) -> Result<Vec<f64>, Error> {
        let (tokens, case) = (self.tokens, self.case);
        let mut chunks: Vec<Chunk<'_>> = sequences
            .iter_mut()
            .map(|(sequence, start)| Chunk {
                sequence,
                tokens: &tokens[*start..],
                wanted: case.at - *start..case.at - *start + 1,
                second: case.second.saturating_sub(*start),
            })
            .collect();
        let Some(hidden) = self.model.forward(&mut chunks, &mut self.cache, taps) else {
            unreachable!("the cache was made for these runs")
        };
        let targets: Vec<(usize, TokenId)> = (0..chunks.len()).map(|text| (text, case.target)).collect();
        let said: Vec<f64> = self.model.predictions(&hidden, &targets).iter().map(|p| p.logprob).collect();
        if said.iter().all(|x| x.is_finite()) { Ok(said) } else { Err(Error::Unsound) }
    }
}
