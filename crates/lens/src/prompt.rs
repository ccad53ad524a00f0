//! One prediction taken apart: what each layer would say, what embedding, heads and hidden units add to the logit of a
//! token, and which memories and heads add most.
//!
//! The logit is that before a soft cap. The last norm's statistics are held at those of this prediction, which makes the
//! logit a sum (direct logit attribution): nothing is left over but rounding.

use crate::{Error, read};
use saltus_lm::TokenId;
use saltus_transformer::{Activations, BLOCK, Model, NormPlace, Reading, Site, Taps};
use std::collections::BTreeMap;

mod observations;
mod parts;
mod target;

pub use parts::{Head, Memory, Part, PartKind};
pub use target::token_behind;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The first token of the second sentence; as many as there are tokens, if there is one sentence.
    pub second: usize,
    /// The token whose prediction is asked for: the last, for a model that reads from left to right; a mask, for one that
    /// sees both ways.
    pub at: usize,
    /// The token that is explained; none: the model's first choice.
    pub target: Option<TokenId>,
    /// Tokens at each layer and of each memory.
    pub top: usize,
    /// Memories and heads.
    pub parts: usize,
}

/// One prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The token that is explained.
    pub target: TokenId,
    /// What is said, most probable first: tokens with their probabilities.
    pub said: Vec<(TokenId, f64)>,
    /// What each layer says through the lens, from layer 0 (the embedding) on.
    pub lens: Vec<Lens>,
    /// The logit of the target and its parts; none where it is no sum of what was written to the stream, as in BERT.
    pub attribution: Option<Attribution>,
    /// The memories that matter most: those that add most to the logit, either way; without an attribution, those that
    /// write the longest vectors.
    pub memories: Vec<Memory>,
}

/// What one layer says.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// Most probable first.
    pub said: Vec<(TokenId, f64)>,
    /// Rank of the target, from 1; equals share the worst of their ranks.
    pub rank: u32,
    /// Logit of the target, within the soft cap, if there is one.
    pub logit: f64,
    /// Natural-log probability of the target.
    pub logprob: f64,
}

/// A logit as a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// The logit, before a soft cap, as the reading of the last stream.
    pub logit: f64,
    /// What it is held within, if the model does that.
    pub soft_cap: Option<f64>,
    /// All that adds up to the logit.
    pub parts: Vec<Part>,
    /// The heads that add most, either way.
    pub heads: Vec<Head>,
}

/// Takes the prediction at one token of `tokens` apart.
///
/// # Errors
/// Those of [`read`]; a place outside the text; a target outside the vocabulary; logits that are no numbers.
pub fn take_apart(model: &Model, tokens: &[TokenId], options: &Options) -> Result<Prediction, Error> {
    let config = model.config();
    if options.at >= tokens.len() {
        let (at, count) = (options.at + 1, tokens.len());
        return Err(Error::Other(format!("there is no token {at} in a text of {count}: write 1 to {count}")));
    }
    if let Some(token) = options.target.filter(|token| *token as usize >= config.vocabulary) {
        return Err(Error::Vocabulary { token, vocabulary: config.vocabulary });
    }
    let mut seen = Seen { heads: config.heads, at: options.at, columns: BTreeMap::new(), attention: Vec::new() };
    read(model, &[(tokens, options.second)], &mut seen)?;
    let sites = std::iter::once(Site::ResidualBefore(0)).chain((0..config.layers).map(Site::ResidualAfter));
    let mut logits = through_lens(model, &sites.map(|site| seen.at(site)).collect::<Vec<_>>());
    let last = logits.pop().filter(|last| last.iter().all(|x| x.is_finite())).ok_or(Error::Unsound)?;
    let said = ranked(&last, options.top.max(1));
    let target = options.target.unwrap_or(said[0].0);
    logits.push(last);
    let lens: Vec<Lens> = logits.iter().map(|logits| lens(logits, target, options.top)).collect();
    if lens.iter().any(|lens| !lens.logprob.is_finite()) {
        return Err(Error::Unsound);
    }
    let stream = seen.at(Site::FinalNormInput);
    // Where norms are of the stream itself, what was written is rescaled later on: the stream is no sum.
    let summed = config.architecture.norm.place != NormPlace::Stream;
    let reading = model.logit_reading(stream, target).filter(|_| summed);
    let memories = parts::memories(model, &seen, reading.as_ref(), options);
    let attribution = reading.map(|reading| attribution(model, &seen, &reading, options.parts));
    Ok(Prediction { target, said, lens, attribution, memories })
}

fn attribution(model: &Model, seen: &Seen, reading: &Reading, count: usize) -> Attribution {
    let (parts, heads) = parts::parts(model, seen, reading, count);
    let soft_cap = model.config().architecture.head.soft_cap;
    Attribution { logit: reading.of(seen.at(Site::FinalNormInput)), soft_cap, parts, heads }
}

/// Everything at one token.
struct Seen {
    heads: usize,
    at: usize,
    columns: BTreeMap<Site, Vec<f32>>,
    /// For each layer and head what the token attends to.
    attention: Vec<Vec<Vec<f32>>>,
}

impl Seen {
    fn at(&self, site: Site) -> &[f32] {
        &self.columns[&site]
    }
}

impl Taps for Seen {
    fn wants(&self, site: Site) -> bool {
        match site {
            Site::ResidualBefore(layer) => layer == 0,
            Site::MlpInput(_) | Site::ResidualBetween(_) => false,
            _ => true,
        }
    }

    fn at(&mut self, site: Site, activations: Activations<'_>) {
        let column = activations.spans[0].start + self.at;
        self.columns.insert(site, activations.column(column));
    }

    fn pattern(&mut self, _layer: usize, _chunk: usize, keys: usize, pattern: &[f32]) {
        let row = |head: &[f32]| head[self.at * keys..(self.at + 1) * keys].to_vec();
        let rows = pattern.chunks_exact(pattern.len() / self.heads).map(row).collect();
        self.attention.push(rows);
    }
}

/// For each of `streams`, all of one text's layers say, the logits that the lens sees in it.
pub(crate) fn through_lens(model: &Model, streams: &[&[f32]]) -> Vec<Vec<f32>> {
    let columns = streams.len().next_multiple_of(BLOCK);
    let mut side_by_side = vec![0.0; model.config().width * columns];
    for (number, stream) in streams.iter().enumerate() {
        for (to, from) in side_by_side[number..].iter_mut().step_by(columns).zip(*stream) {
            *to = *from;
        }
    }
    let logits = model.lens(&side_by_side, columns);
    (0..streams.len()).map(|number| logits.iter().skip(number).step_by(columns).copied().collect()).collect()
}

/// Rank of a token, from 1. Equals share the worst of their ranks: where nothing is said, nothing is known.
pub(crate) fn rank(logits: &[f32], token: TokenId) -> u32 {
    let own = logits[token as usize];
    logits.iter().filter(|logit| **logit >= own).count() as u32
}

fn lens(logits: &[f32], target: TokenId, top: usize) -> Lens {
    let logit = f64::from(logits[target as usize]);
    Lens { said: ranked(logits, top), rank: rank(logits, target), logit, logprob: logit - log_sum_exp(logits) }
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    most + logits.iter().map(|x| (f64::from(*x) - most).exp()).sum::<f64>().ln()
}

/// The most probable tokens with their probabilities, the lowest of equals first.
fn ranked(logits: &[f32], top: usize) -> Vec<(TokenId, f64)> {
    let total = log_sum_exp(logits);
    let probability = |token: TokenId| (token, (f64::from(logits[token as usize]) - total).exp());
    highest(logits, top).into_iter().map(probability).collect()
}

/// The places of the highest of `values`, highest first, the first of equals first.
fn highest(values: &[f32], count: usize) -> Vec<TokenId> {
    let mut places: Vec<TokenId> = (0..values.len() as TokenId).collect();
    let order = |a: &TokenId, b: &TokenId| values[*b as usize].total_cmp(&values[*a as usize]).then(a.cmp(b));
    let count = count.min(places.len());
    if 0 < count && count < places.len() {
        places.select_nth_unstable_by(count - 1, order);
    }
    places.truncate(count);
    places.sort_by(order);
    places
}
