//! What heads attend to on repeated random tokens, and how much better a model gets along a text: previous-token heads,
//! duplicate-token heads, induction heads and the in-context-learning score (arXiv 2209.11895).
//!
//! A sequence is the beginning that the model expects, if any, then `length` different tokens drawn at random, then the
//! same tokens once more. Nothing but the copy tells what comes next, so whoever predicts it looks back.

use crate::{Error, Mean, mean::UNIT, read};
use rand::seq::index;
use saltus_lm::TokenId;
use saltus_random::Key;
use saltus_transformer::{Activations, Model, NoTaps, Site, Taps};

mod observations;

/// The scores of a head, in order: to what it attends, in the mean over queries.
///
/// - `previous_token`: to the token before, from every token behind a random one;
/// - `duplicate_token`: to the earlier copy of the token, from the second copy;
/// - `induction`: to the token after the earlier copy, from the second copy ("prefix matching").
pub const SCORES: [&str; 3] = ["previous_token", "duplicate_token", "induction"];

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Sequences, at least 2 (or nothing shows how they differ).
    pub sequences: usize,
    /// Tokens of a copy, at least 2.
    pub length: usize,
    /// What the model expects before a text.
    pub beginning: Option<TokenId>,
    /// Tokens to draw from: different from each other, none of them special; at least `length`.
    pub tokens: Vec<TokenId>,
}

/// What one head attends to.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadScore {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub head: u32,
    /// Those of [`SCORES`], each in [0, 1], over sequences.
    pub scores: [Mean; 3],
}

/// All heads of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// By layer and head.
    pub heads: Vec<HeadScore>,
    /// What a head scores that attends to all it sees alike, for each of [`SCORES`].
    pub chance: [f64; 3],
    /// The highest induction score. Its interval is that of this head alone: that it was chosen is not in it.
    pub induction_max: Mean,
    /// Induction in the mean over heads.
    pub induction_mean: Mean,
    /// How the loss goes along the repeated sequences. Early is the first copy, late the second, each without its first
    /// token.
    pub repeated: ByPosition,
}

/// How a model's loss goes along texts of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct ByPosition {
    /// Mean loss of the token at each position, from the second token on, nats.
    pub loss: Vec<Mean>,
    /// Loss at late positions less that at early ones, nats: below 0 where the model learns from its context.
    pub icl_score: Mean,
}

/// The scores of all heads, and the loss along the sequences. The same for equal keys.
///
/// # Errors
/// A model that sees both ways; sequences longer than the context; too few tokens to draw from; tokens that the model
/// does not know; logits that are no numbers.
pub fn scores(model: &Model, options: &Options, key: Key) -> Result<Scores, Error> {
    check(model, options)?;
    let texts = texts(options, key);
    let (config, first) = (model.config(), usize::from(options.beginning.is_some()));
    let seen = vec![Vec::new(); config.layers];
    let mut patterns = Patterns { heads: config.heads, first, length: options.length, seen };
    let losses = losses(model, &texts, &mut patterns)?;
    let seen = patterns.seen;
    if seen.iter().flatten().flatten().flatten().any(|score| !score.is_finite()) {
        return Err(Error::Unsound);
    }
    let of = |layer: usize, head: usize| {
        let over = |score: usize| seen[layer].iter().map(|heads| heads[head][score]).collect::<Vec<f64>>();
        let scores = [0, 1, 2].map(|score| Mean::of(&over(score), None, UNIT));
        HeadScore { layer: layer as u32 + 1, head: head as u32, scores }
    };
    let heads: Vec<HeadScore> = (0..config.layers)
        .flat_map(|layer| (0..config.heads).map(move |head| (layer, head)))
        .map(|(l, h)| of(l, h))
        .collect();
    let mean_of = |sequence: usize| {
        let scores = seen.iter().flat_map(|layer| layer[sequence].iter().map(|head| head[2]));
        scores.sum::<f64>() / heads.len() as f64
    };
    let means: Vec<f64> = (0..texts.len()).map(mean_of).collect();
    let Some(induction_max) = heads.iter().map(|h| h.scores[2]).max_by(|a, b| a.value.total_cmp(&b.value)) else {
        unreachable!("a model has heads")
    };
    let (early, late) = (first + 1, first + options.length + 1);
    Ok(Scores {
        induction_max,
        induction_mean: Mean::of(&means, None, UNIT),
        heads,
        chance: chance(first, options.length),
        repeated: by_position(&losses, early..early + options.length - 1, late..late + options.length - 1),
    })
}

/// How the loss goes along texts of one length, of which the first token may be a beginning. Early are the positions from
/// a sixteenth to an eighth of the text, late the last sixteenth: of 512 tokens the 33rd to 64th and the 481st to 512th,
/// around the 50th and 500th of arXiv 2209.11895.
///
/// # Errors
/// Fewer than two texts, texts of different lengths or of fewer than 32 tokens; those of [`read`]; a model that sees both
/// ways; logits that are no numbers.
pub fn text_loss(model: &Model, texts: &[Vec<TokenId>]) -> Result<ByPosition, Error> {
    left_to_right(model)?;
    let length = texts.first().map_or(0, Vec::len);
    if texts.len() < 2 || length < 32 || texts.iter().any(|text| text.len() != length) {
        let problem = format!("{} texts, the first of {length} tokens", texts.len());
        return Err(Error::Other(format!("{problem}: give at least two, all of one length, of 32 tokens or more")));
    }
    let losses = losses(model, texts, &mut NoTaps)?;
    Ok(by_position(&losses, length / 16..length / 8, length - length / 16..length))
}

fn left_to_right(model: &Model) -> Result<(), Error> {
    match model.config().architecture.attention.causal {
        true => Ok(()),
        false => Err(Error::Other(
            "the model sees both ways: what it attends to behind a token is no memory; give one that reads from left to \
             right"
                .into(),
        )),
    }
}

fn check(model: &Model, options: &Options) -> Result<(), Error> {
    left_to_right(model)?;
    let Options { sequences, length, beginning, tokens } = options;
    let context = model.config().context;
    let (first, most) = (usize::from(beginning.is_some()), tokens.len());
    if *sequences < 2 || *length < 2 {
        let problem = format!("{sequences} sequences of {length} tokens, twice");
        return Err(Error::Other(format!("{problem}: give at least 2 of each")));
    }
    if first + 2 * length > context {
        let problem = format!("{length} tokens twice do not fit the model's context of {context}");
        return Err(Error::Other(format!("{problem}: give at most {}", (context - first) / 2)));
    }
    if *length > most {
        let problem = format!("{length} different tokens cannot be drawn from {most}");
        return Err(Error::Other(format!("{problem}: give at most {most}")));
    }
    Ok(())
}

/// The sequences.
fn texts(options: &Options, key: Key) -> Vec<Vec<TokenId>> {
    let text = |number: usize| {
        let mut rng = key.index(number as u64).rng();
        let drawn = index::sample(&mut rng, options.tokens.len(), options.length);
        let copy: Vec<TokenId> = drawn.into_iter().map(|at| options.tokens[at]).collect();
        options.beginning.into_iter().chain(copy.iter().copied()).chain(copy.iter().copied()).collect()
    };
    (0..options.sequences).map(text).collect()
}

/// Scores of uniform attention.
fn chance(first: usize, length: usize) -> [f64; 3] {
    let mean = |queries: std::ops::Range<usize>| {
        let count = queries.len() as f64;
        queries.map(|t| 1.0 / (t + 1) as f64).sum::<f64>() / count
    };
    let end = first + 2 * length;
    let second = mean(first + length..end);
    [mean(first + 1..end), second, second]
}

/// Reads attention while sequences go by.
struct Patterns {
    heads: usize,
    /// Tokens before the first copy.
    first: usize,
    length: usize,
    /// For each layer, of each sequence in the order of reading, the scores of each head.
    seen: Vec<Vec<Vec<[f64; 3]>>>,
}

impl Taps for Patterns {
    fn wants(&self, site: Site) -> bool {
        matches!(site, Site::AttentionPattern(_))
    }

    fn at(&mut self, _: Site, _: Activations<'_>) {}

    fn pattern(&mut self, layer: usize, _chunk: usize, keys: usize, pattern: &[f32]) {
        let (first, length) = (self.first, self.length);
        let of = |head: &[f32]| {
            let to = |query: usize, key: usize| f64::from(head[query * keys + key]);
            let mean = |queries: std::ops::Range<usize>, back: usize| {
                let count = queries.len() as f64;
                queries.map(|t| to(t, t - back)).sum::<f64>() / count
            };
            let second = first + length..first + 2 * length;
            [mean(first + 1..second.end, 1), mean(second.clone(), length), mean(second, length - 1)]
        };
        let scores = pattern.chunks_exact(pattern.len() / self.heads).map(of).collect();
        self.seen[layer].push(scores);
    }
}

/// Tokens read in one pass.
const PASS: usize = 512;

/// For each text the loss of each of its tokens but the first, in nats.
fn losses(model: &Model, texts: &[Vec<TokenId>], taps: &mut dyn Taps) -> Result<Vec<Vec<f64>>, Error> {
    let length = texts[0].len();
    let mut losses = Vec::new();
    for group in texts.chunks((PASS / length).max(1)) {
        let whole: Vec<(&[TokenId], usize)> = group.iter().map(|text| (&text[..], text.len())).collect();
        let hidden = read(model, &whole, taps)?;
        let targets: Vec<(usize, TokenId)> = (0..)
            .zip(group)
            .flat_map(|(number, text): (usize, _)| {
                (0..).zip(&text[1..]).map(move |(t, token): (usize, _)| (number * length + t, *token))
            })
            .collect();
        let said = model.predictions(&hidden, &targets);
        losses.extend(said.chunks(length - 1).map(|said| said.iter().map(|p| -p.logprob).collect::<Vec<f64>>()));
    }
    match losses.iter().flatten().all(|loss| loss.is_finite()) {
        true => Ok(losses),
        false => Err(Error::Unsound),
    }
}

/// Of the losses of each text; `early` and `late` are positions in the text, from 0.
fn by_position(losses: &[Vec<f64>], early: std::ops::Range<usize>, late: std::ops::Range<usize>) -> ByPosition {
    let at = |t: usize| Mean::of(&losses.iter().map(|text| text[t]).collect::<Vec<_>>(), None, None);
    // The loss of the token at position p is the one numbered p - 1.
    let mean = |text: &[f64], part: &std::ops::Range<usize>| saltus_stats::mean(&text[part.start - 1..part.end - 1]);
    let rise: Vec<f64> = losses.iter().map(|text| mean(text, &late) - mean(text, &early)).collect();
    ByPosition { loss: (0..losses[0].len()).map(at).collect(), icl_score: Mean::of(&rise, None, None) }
}
