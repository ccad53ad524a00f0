//! In which layer knowledge sits: cloze facts asked behind every layer (BERTnesia, arXiv 2106.02902).
//!
//! A fact is known at a layer if its object has rank 1 among the whole vocabulary there. Ranks count from 1 (the released
//! code of the paper counts from 0 in some places), and among equals the object comes last: a lens that says nothing
//! knows nothing.

mod facts;
mod summary;

pub use facts::{BadLine, Fact, Facts, Speller, parse};
pub use summary::{Summary, summary};

use crate::{
    Error,
    lens::{
        Lens, Reader, Translator,
        streams::{Places, Streams, groups, streams},
        train::{School, head, shaken},
    },
};
use rayon::prelude::*;
use saltus_lm::TokenId;
use saltus_random::Key;
use saltus_transformer::{Model, Unembedding};
use std::sync::atomic::{AtomicU64, Ordering};

/// A fact as a question in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloze {
    /// What the model reads.
    pub tokens: Vec<TokenId>,
    /// The first token of the second sentence; the length, where there is one sentence.
    pub second: usize,
    /// The token behind which the object is asked: the last one of a causal model, the mask of a masked one.
    pub at: usize,
    /// The object.
    pub target: TokenId,
    /// Its relation.
    pub relation: String,
    /// Facts with the same number share their error: they are about one subject, for example.
    pub cluster: u32,
}

/// What was said of each fact behind each layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The layers, ascending; 0 is the embedding. The model's last one is always among them.
    pub layers: Vec<usize>,
    /// The object's rank, from 1, by layer and fact.
    pub ranks: Vec<Vec<u32>>,
    /// Its natural-log probability, by layer and fact.
    pub logprobs: Vec<Vec<f64>>,
    /// What the last layer says at each fact.
    pub said: Vec<TokenId>,
    /// The loss on held-out text of each layer's lens, nats for each place; empty where nothing is trained.
    pub losses: Vec<f64>,
    /// Ranks by as many lenses as there are layers without the embedding, all on the last layer, each from a seed of its
    /// own: by lens and fact. Empty where there is nothing to seed.
    pub null: Vec<Vec<u32>>,
}

/// Bytes of streams that are kept at a time.
const MEMORY: usize = 1 << 30;

/// What a layer counts in progress where nothing is trained; else it counts its steps. So does a reading of the text.
const UNTRAINED: u64 = 1000;

/// Facts whose logits lie in memory together.
const COLUMNS: usize = 64;

/// Asks facts behind some layers (none: all, with the embedding). `progress` is told the share that is done.
///
/// # Errors
/// For layers that there are not, facts that do not fit the model, and logits that are no numbers.
pub fn ask(
    model: &Model,
    clozes: &[Cloze],
    layers: &[usize],
    lens: Lens<'_>,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Answers, Error> {
    let last = model.config().layers;
    let layers = wanted(layers, last)?;
    check(model, clozes)?;
    let reseeded = if matches!(lens, Lens::Logit) { 0 } else { layers.iter().filter(|layer| **layer > 0).count() };
    let (steps, places) = match lens {
        Lens::Logit => (UNTRAINED, 0),
        Lens::Tuned(_, with) | Lens::Head(_, with, _) => (with.steps.max(1), School::places(&with)),
    };
    let groups = layers.chunks((MEMORY / (4 * model.config().width * (places + clozes.len()))).max(1));
    let readings = groups.len() + usize::from(reseeded > 0);
    let total = steps * (layers.len() + reseeded + readings) as u64;
    let decoder = (!matches!(lens, Lens::Logit)).then(|| model.unembedding());
    let work = Work { model, clozes, lens, decoder, progress, steps, done: AtomicU64::new(0), total };
    let mut probed = Vec::new();
    for group in groups {
        let probes: Vec<Probe> =
            (0..).zip(group).map(|(table, layer)| Probe { table, seed: *layer as u64, reseeded: false }).collect();
        let mut tables = group.to_vec();
        tables.extend((tables.last() != Some(&last)).then_some(last));
        probed.extend(work.probe(&tables, &probes)?);
    }
    let probes: Vec<Probe> = (0..reseeded as u64).map(|seed| Probe { table: 0, seed, reseeded: true }).collect();
    let null = if probes.is_empty() { Vec::new() } else { work.probe(&[last], &probes)? };
    let ranks = |probed: &Probed| probed.seen.iter().map(|seen| seen.rank).collect::<Vec<_>>();
    Ok(Answers {
        ranks: probed.iter().map(ranks).collect(),
        logprobs: probed.iter().map(|p| p.seen.iter().map(|seen| seen.logprob).collect()).collect(),
        said: probed.last().map_or_else(Vec::new, |p| p.seen.iter().map(|seen| seen.said).collect()),
        losses: probed.iter().filter_map(|p| p.loss).collect(),
        null: null.iter().map(ranks).collect(),
        layers,
    })
}

/// The layers asked for, ascending, the last one among them.
fn wanted(layers: &[usize], last: usize) -> Result<Vec<usize>, Error> {
    if let Some(layer) = layers.iter().find(|layer| **layer > last) {
        return Err(Error::Layer { layer: *layer, layers: last });
    }
    let mut layers = if layers.is_empty() { (0..=last).collect() } else { layers.to_vec() };
    layers.push(last);
    layers.sort_unstable();
    layers.dedup();
    Ok(layers)
}

fn check(model: &Model, clozes: &[Cloze]) -> Result<(), Error> {
    let vocabulary = model.config().vocabulary;
    if clozes.is_empty() {
        return Err(Error::Other("there is no fact to ask: give at least one".into()));
    }
    for cloze in clozes {
        if cloze.at >= cloze.tokens.len() {
            let (at, tokens) = (cloze.at, cloze.tokens.len());
            return Err(Error::Other(format!("a fact asked behind token {at} of {tokens}: give a place in the text")));
        }
        if cloze.target as usize >= vocabulary {
            return Err(Error::Vocabulary { token: cloze.target, vocabulary });
        }
    }
    Ok(())
}

/// What stays the same for all probes.
struct Work<'a> {
    model: &'a Model,
    clozes: &'a [Cloze],
    lens: Lens<'a>,
    /// The model's own head, where something is trained.
    decoder: Option<Unembedding>,
    progress: &'a (dyn Fn(f64) + Sync),
    /// Of one layer.
    steps: u64,
    done: AtomicU64,
    total: u64,
}

/// One reading of one layer.
struct Probe {
    table: usize,
    seed: u64,
    reseeded: bool,
}

struct Probed {
    seen: Vec<Seen>,
    loss: Option<f64>,
}

/// What is said of one fact.
struct Seen {
    rank: u32,
    logprob: f64,
    said: TokenId,
}

impl Work<'_> {
    /// Trains what is to be trained, each probe by itself, and asks the facts.
    fn probe(&self, tables: &[usize], probes: &[Probe]) -> Result<Vec<Probed>, Error> {
        let of = |cloze: &Cloze| Places { tokens: cloze.tokens.clone(), second: cloze.second, at: vec![cloze.at] };
        let places: Vec<Places> = self.clozes.iter().map(of).collect();
        let mut before = 0;
        let mut passed = |share: f64| {
            let now = (self.steps as f64 * share) as u64;
            self.step(now - std::mem::replace(&mut before, now));
        };
        let mut nobody = |_: f64| ();
        let (asked, school) = match (self.lens, &self.decoder) {
            (Lens::Tuned(text, with) | Lens::Head(text, with, _), Some(decoder)) => {
                let asked = streams(self.model, &places, tables, &mut nobody)?;
                (asked, Some(School::read(self.model, decoder, (text, with), tables, &mut passed)?))
            }
            _ => (streams(self.model, &places, tables, &mut passed)?, None),
        };
        let one = |probe: &Probe| {
            let (reader, loss) = self.reader(school.as_ref(), probe)?;
            let seen = self.seen(&reader, &asked, probe.table)?;
            Ok(Probed { seen, loss })
        };
        probes.par_iter().map(one).collect()
    }

    fn step(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        (self.progress)(done as f64 / self.total as f64);
    }

    fn reader(&self, school: Option<&School<'_>>, probe: &Probe) -> Result<(Reader, Option<f64>), Error> {
        let keyed = |key: Key| key.child(if probe.reseeded { "reseeded" } else { "layer" }).index(probe.seed);
        let width = self.model.config().width;
        let (start, key) = match (self.lens, &self.decoder) {
            (Lens::Tuned(_, with), _) => {
                let key = keyed(with.key);
                let shaken = || shaken(width, key.child("start"));
                let translator = if probe.reseeded { shaken() } else { Translator::identity(width) };
                (Reader::Tuned(translator), key)
            }
            (Lens::Head(_, with, start), Some(decoder)) => {
                let key = keyed(with.key);
                (Reader::Head(Box::new(head(decoder, start, key.child("start")))), key)
            }
            _ => {
                self.step(self.steps);
                return Ok((Reader::Logit, None));
            }
        };
        match school {
            Some(school) => {
                let step = |steps| self.step(steps);
                let (reader, loss) = school.train(start, probe.table, key.child("order"), &step)?;
                Ok((reader, Some(loss)))
            }
            None => Ok((start, None)),
        }
    }

    /// What a reader says of every fact.
    fn seen(&self, reader: &Reader, asked: &Streams, table: usize) -> Result<Vec<Seen>, Error> {
        let rows: Vec<u32> = (0..asked.places as u32).collect();
        let mut all = Vec::with_capacity(rows.len());
        for (rows, used) in groups(&rows, COLUMNS) {
            let logits = reader.logits(self.model, asked.columns(table, &rows), rows.len());
            let targets: Vec<TokenId> = rows[..used].iter().map(|row| self.clozes[*row as usize].target).collect();
            all.extend(seen(&logits, rows.len(), &targets)?);
        }
        Ok(all)
    }
}

/// Rank, log-probability and first choice in each column of logits `[vocabulary, columns]` that has a target.
fn seen(logits: &[f32], columns: usize, targets: &[TokenId]) -> Result<Vec<Seen>, Error> {
    let own: Vec<f32> = targets.iter().zip(0..).map(|(t, c): (_, usize)| logits[*t as usize * columns + c]).collect();
    let (mut rank, mut most) = (vec![0u32; own.len()], vec![(f32::NEG_INFINITY, 0); own.len()]);
    for (token, row) in (0..).zip(logits.chunks_exact(columns)) {
        for (((x, own), rank), most) in row.iter().zip(&own).zip(&mut rank).zip(&mut most) {
            // The object itself is counted too: ranks begin at 1, and equals come before it.
            *rank += u32::from(x >= own);
            if *x > most.0 {
                *most = (*x, token);
            }
        }
    }
    let mut total = vec![0.0f64; own.len()];
    for row in logits.chunks_exact(columns) {
        for ((total, x), most) in total.iter_mut().zip(row).zip(&most) {
            *total += f64::from(x - most.0).exp();
        }
    }
    let one = |fact: usize| {
        let logprob = f64::from(own[fact]) - f64::from(most[fact].0) - total[fact].ln();
        match logprob.is_finite() {
            true => Ok(Seen { rank: rank[fact], logprob, said: most[fact].1 }),
            false => Err(Error::Other(
                "the logits behind a layer are no numbers: look at the weights with `saltus models show`".into(),
            )),
        }
    };
    (0..own.len()).map(one).collect()
}
