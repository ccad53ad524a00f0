//! Causal evidence for where an answer comes from (causal tracing, arXiv 2202.05262).
//!
//! *Restore*: the subject of a question is corrupted, so that its object is no longer said; then one activation of the
//! clean run is put back, and what that brings back of the object's log-probability is its effect. *Remove*: in the clean
//! run one activation is replaced by nothing (or by its mean over the questions); the effect is what that changes. A part
//! whose work others do too is needed by nobody: its removal shows nothing, its restoring does.

use crate::{
    Captured, Error, Patch, Patched, prompt,
    read::{fits, read},
};
use rand::{RngExt, seq::SliceRandom};
use saltus_lm::TokenId;
use saltus_random::Key;
use saltus_stats::normal_quantile;
use saltus_transformer::{BLOCK, Model, NoTaps, Site};
use std::{ops::Range, sync::Arc};

mod found;
mod moments;
mod observations;
mod run;

pub use found::{Effect, Peak, Probe, Traced};
use moments::Moments;
pub use observations::known;
use run::Runs;

/// A question about a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is read.
    pub tokens: Vec<TokenId>,
    /// The first token of the second sentence; as many as there are tokens, if there is one sentence.
    pub second: usize,
    /// The tokens that name the subject; not empty.
    pub subject: Range<usize>,
    /// The token whose prediction is asked for: for a model that reads from left to right not before the subject's end.
    pub at: usize,
    /// The object.
    pub target: TokenId,
    /// What shares its errors, as the questions of one relation do.
    pub cluster: u32,
}

/// How a subject is corrupted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Corruption {
    /// Normal noise on what enters the first layer at the subject's tokens, of so many standard deviations of that, over
    /// channels, tokens and questions.
    Noise {
        /// 3 in the paper.
        sigmas: f64,
    },
    /// The subject of another question of the cluster, of as many tokens and with another object.
    Swap,
}

/// What stands where something is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing: zero is added to the stream.
    Zero,
    /// The mean over the questions at this place.
    Mean,
}

/// How it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How subjects are corrupted.
    pub corruption: Corruption,
    /// Draws of the noise, or at most so many other subjects.
    pub draws: usize,
    /// What stands where something is removed.
    pub removal: Removal,
    /// Layers of MLPs or attention that are restored or removed together around each, odd: 1 is the layer alone. (10 in the
    /// paper.)
    pub window: usize,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intervention {
    /// The clean activation in the corrupted run.
    Restore,
    /// Nothing in the clean run.
    Remove,
}

/// To what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// What the MLP adds to the stream.
    Mlp,
    /// What attention adds to the stream.
    Attention,
    /// The stream behind the layer; it is only restored.
    Residual,
}

/// At which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The subject's last.
    Subject,
    /// The one whose prediction is asked for.
    Last,
}

/// One intervention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// What is done.
    pub intervention: Intervention,
    /// To what.
    pub component: Component,
    /// At which token.
    pub place: Place,
    /// In which layer, from 1; none: in all layers at once.
    pub layer: Option<u32>,
}

/// Asks every question with everything restored and removed; `progress` is told how many questions are done.
///
/// # Errors
/// No questions, those that do not fit the model, a window that is not odd, no draws; logits that are no numbers.
pub fn trace(
    model: &Model,
    cases: &[Case],
    options: &Options,
    key: Key,
    progress: &mut dyn FnMut(usize),
) -> Result<Traced, Error> {
    check(model, cases, options)?;
    let moments = Moments::of(model, cases)?;
    let kinds = kinds(model.config().layers);
    let (mut traces, mut left_out) = (Vec::new(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let tracer = Tracer { model, case, options, moments: &moments, kinds: &kinds };
        let key = key.index(number as u64);
        match options.corruption {
            Corruption::Noise { sigmas } => traces.push((number, tracer.with_noise(sigmas, key)?)),
            Corruption::Swap => match others(cases, number, options.draws, key) {
                others if others.is_empty() => left_out.push(number),
                others => traces.push((number, tracer.with_others(&others)?)),
            },
        }
        progress(number + 1);
    }
    if traces.is_empty() {
        return Err(Error::NoOther);
    }
    Ok(found::gather(cases, &kinds, traces, left_out))
}

/// The rank of each question's object, from 1 (equals share the worst of their ranks): who traces facts traces those that
/// the model knows.
///
/// # Errors
/// As [`trace`].
pub fn ranks(model: &Model, cases: &[Case]) -> Result<Vec<u32>, Error> {
    let rank = |case: &Case| {
        let hidden = read(model, &[(&case.tokens, case.second)], &mut NoTaps)?;
        fits(model.config(), &[case.target])?;
        let logits: Vec<f32> = model.logits(&hidden, case.at..case.at + 1).into_iter().step_by(BLOCK).collect();
        match logits.iter().all(|x| x.is_finite()) {
            true => Ok(prompt::rank(&logits, case.target)),
            false => Err(Error::Unsound),
        }
    };
    cases.iter().map(rank).collect()
}

fn check(model: &Model, cases: &[Case], options: &Options) -> Result<(), Error> {
    let Options { window, draws, corruption, .. } = *options;
    let causal = model.config().architecture.attention.causal;
    let other = |problem: String| Err(Error::Other(problem));
    if cases.is_empty() {
        return other("no questions: give at least one".into());
    }
    if window.is_multiple_of(2) {
        return other(format!("a window of {window} layers has no middle: write an odd number"));
    }
    if draws == 0 {
        return other("no draws of the corruption: write at least 1".into());
    }
    if let Corruption::Noise { sigmas } = corruption
        && !(sigmas.is_finite() && sigmas > 0.0)
    {
        return other(format!("noise of {sigmas} standard deviations: write a number above 0, 3 for example"));
    }
    for (number, Case { tokens, subject, at, target, .. }) in cases.iter().enumerate() {
        let inside = subject.start < subject.end && subject.end <= tokens.len() && *at < tokens.len();
        if !inside || (causal && *at + 1 < subject.end) {
            let problem = format!("the subject is tokens {subject:?} of {}, asked at {at}", tokens.len());
            return other(format!("question {number}: {problem}: a subject lies inside and before what is asked"));
        }
        fits(model.config(), tokens)?;
        fits(model.config(), &[*target])?;
    }
    Ok(())
}

/// All interventions in a model of so many layers.
fn kinds(layers: usize) -> Vec<Kind> {
    use Component::{Attention, Mlp, Residual};
    use Intervention::{Remove, Restore};
    let all = [(Restore, Mlp), (Restore, Attention), (Restore, Residual), (Remove, Mlp), (Remove, Attention)];
    let places = [Place::Subject, Place::Last];
    let layers_of = |component| {
        let together = (component != Residual).then_some(None);
        (1..=layers as u32).map(Some).chain(together)
    };
    all.into_iter()
        .flat_map(|of| places.into_iter().map(move |place| (of, place)))
        .flat_map(|((intervention, component), place)| {
            layers_of(component).map(move |layer| Kind { intervention, component, place, layer })
        })
        .collect()
}

impl Kind {
    /// The sites it changes.
    fn sites(&self, layers: usize, window: usize) -> Vec<Site> {
        let site = |layer| match self.component {
            Component::Mlp => Site::MlpOutput(layer),
            Component::Attention => Site::AttentionOutput(layer),
            Component::Residual => Site::ResidualAfter(layer),
        };
        match self.layer {
            None => (0..layers).map(site).collect(),
            Some(layer) if self.component == Component::Residual => vec![site(layer as usize - 1)],
            Some(layer) => {
                let layer = layer as usize - 1;
                (layer.saturating_sub(window / 2)..(layer + window / 2 + 1).min(layers)).map(site).collect()
            }
        }
    }
}

impl Case {
    /// The token of a place.
    fn token(&self, place: Place) -> usize {
        match place {
            Place::Subject => self.subject.end - 1,
            Place::Last => self.at,
        }
    }
}

/// Everything that one question told.
struct Trace {
    clean: f64,
    /// Mean over draws.
    corrupted: f64,
    /// One for each kind, mean over draws.
    effects: Vec<f64>,
    probe: Probe,
}

struct Tracer<'a> {
    model: &'a Model,
    case: &'a Case,
    options: &'a Options,
    moments: &'a Moments,
    kinds: &'a [Kind],
}

impl Tracer<'_> {
    fn with_noise(&self, sigmas: f64, key: Key) -> Result<Trace, Error> {
        let clean = self.clean()?;
        let sigma = sigmas * self.moments.sigma;
        let patches = |draw: u64| {
            let mut rng = key.child("noise").index(draw).rng();
            let mut noisy = |position: usize| {
                let mut patch = clean.seen.patch(Site::ResidualBefore(0), position);
                let mut noise = || (sigma * normal_quantile(rng.random::<f64>().max(f64::MIN_POSITIVE))) as f32;
                patch.values = patch.values.iter().map(|x| x + noise()).collect();
                patch
            };
            self.case.subject.clone().map(&mut noisy).collect::<Vec<Patch>>()
        };
        let runs = (0..self.options.draws as u64).map(|draw| (self.case.tokens.clone(), patches(draw)));
        let runs: Vec<_> = runs.collect();
        self.trace(clean, &runs)
    }

    fn with_others(&self, subjects: &[&[TokenId]]) -> Result<Trace, Error> {
        let other = |subject: &&[TokenId]| {
            let mut tokens = self.case.tokens.clone();
            tokens[self.case.subject.clone()].copy_from_slice(subject);
            (tokens, Vec::new())
        };
        let runs: Vec<_> = subjects.iter().map(other).collect();
        self.trace(self.clean()?, &runs)
    }

    fn clean(&self) -> Result<Clean<'_>, Error> {
        let (case, layers) = (self.case, self.model.config().layers);
        let sites = (0..layers)
            .flat_map(|layer| [Site::MlpOutput(layer), Site::AttentionOutput(layer), Site::ResidualAfter(layer)]);
        let sites = sites.chain(std::iter::once(Site::ResidualBefore(0))).collect();
        let mut seen = Captured::new(sites, case.subject.clone().chain([case.at]).collect());
        let (runs, logprob) = Runs::begin(self.model, &case.tokens, case, Vec::new(), &mut seen)?;
        Ok(Clean { seen, runs, logprob })
    }

    /// `corrupted`: for each draw what is read, and what is put in place.
    fn trace(&self, mut clean: Clean<'_>, corrupted: &[(Vec<TokenId>, Vec<Patch>)]) -> Result<Trace, Error> {
        let draws = corrupted.len() as f64;
        let of = |wanted| move |kind: &&Kind| kind.intervention == wanted;
        let restored: Vec<Vec<Patch>> =
            self.kinds.iter().filter(of(Intervention::Restore)).map(|kind| self.change(kind, &clean)).collect();
        let removed: Vec<Vec<Patch>> =
            self.kinds.iter().filter(of(Intervention::Remove)).map(|kind| self.change(kind, &clean)).collect();
        let mut effects = vec![0.0; restored.len()];
        let mut total = 0.0;
        for (tokens, patches) in corrupted {
            let mut taps = Patched::new(patches.iter().map(|patch| (0, patch.clone())));
            let (mut runs, said) = Runs::begin(self.model, tokens, self.case, patches.clone(), &mut taps)?;
            total += said / draws;
            let changed = runs.with(&restored)?;
            effects.iter_mut().zip(changed).for_each(|(effect, now)| *effect += (now - said) / draws);
        }
        effects.extend(clean.runs.with(&removed)?.into_iter().map(|now| now - clean.logprob));
        let probe = self.probe(&clean);
        Ok(Trace { clean: clean.logprob, corrupted: total, effects, probe })
    }

    /// What one intervention puts in place.
    fn change(&self, kind: &Kind, clean: &Clean<'_>) -> Vec<Patch> {
        let (layers, position) = (self.model.config().layers, self.case.token(kind.place));
        let patch = |site| match (kind.intervention, self.options.removal) {
            (Intervention::Restore, _) => clean.seen.patch(site, position),
            (Intervention::Remove, Removal::Zero) => {
                Patch { site, position, values: vec![0.0; self.model.config().width].into() }
            }
            (Intervention::Remove, Removal::Mean) => {
                Patch { site, position, values: self.moments.mean(site, kind.place) }
            }
        };
        kind.sites(layers, self.options.window).into_iter().map(patch).collect()
    }

    /// What the lens says of the target behind each layer of the clean run.
    fn probe(&self, clean: &Clean<'_>) -> Probe {
        let sites =
            std::iter::once(Site::ResidualBefore(0)).chain((0..self.model.config().layers).map(Site::ResidualAfter));
        let streams: Vec<Arc<[f32]>> = sites.map(|site| clean.seen.patch(site, self.case.at).values).collect();
        let streams: Vec<&[f32]> = streams.iter().map(|stream| &stream[..]).collect();
        let logits = prompt::through_lens(self.model, &streams);
        Probe { ranks: logits.iter().map(|logits| prompt::rank(logits, self.case.target)).collect() }
    }
}

/// Subjects that may stand in another's place, at most `count` of them.
fn others(cases: &[Case], number: usize, count: usize, key: Key) -> Vec<&[TokenId]> {
    let own = &cases[number];
    let fits = |other: &&Case| {
        other.cluster == own.cluster && other.subject.len() == own.subject.len() && other.target != own.target
    };
    let mut others: Vec<&[TokenId]> =
        cases.iter().filter(fits).map(|case| &case.tokens[case.subject.clone()]).collect();
    others.sort_unstable();
    others.dedup();
    others.shuffle(&mut key.child("swap").rng());
    others.truncate(count);
    others
}

/// The run in which nothing is corrupted.
struct Clean<'a> {
    seen: Captured,
    runs: Runs<'a>,
    logprob: f64,
}
