//! Whole sequences through a model, side by side, under the eyes of taps.

use crate::Error;
use saltus_lm::TokenId;
use saltus_transformer::{Cache, Chunk, Config, Hidden, Model, Taps};

/// Reads `texts` in one pass; the columns of `texts[i]` are `spans[i]` of what the taps see, and the stream behind every
/// token is wanted. Each text with the first token of its second sentence (its length, where there is one sentence).
///
/// # Errors
/// An empty text, one longer than the context, a token outside the vocabulary.
pub fn read(model: &Model, texts: &[(&[TokenId], usize)], taps: &mut dyn Taps) -> Result<Hidden, Error> {
    let config = model.config();
    for (tokens, _) in texts {
        fits(config, tokens)?;
    }
    let pages = texts.iter().map(|(tokens, _)| Cache::pages_of(tokens.len())).sum();
    let mut cache = Cache::new(config, pages);
    let mut sequences: Vec<_> = texts.iter().map(|_| cache.begin()).collect();
    let mut chunks: Vec<Chunk<'_>> = sequences
        .iter_mut()
        .zip(texts)
        .map(|(sequence, (tokens, second))| Chunk { sequence, tokens, wanted: 0..tokens.len(), second: *second })
        .collect();
    match model.forward(&mut chunks, &mut cache, taps) {
        Some(hidden) => Ok(hidden),
        None => unreachable!("the cache was made for these texts"),
    }
}

/// Whether a text can be read.
pub(crate) fn fits(config: &Config, tokens: &[TokenId]) -> Result<(), Error> {
    if tokens.is_empty() {
        return Err(Error::Empty);
    }
    if tokens.len() > config.context {
        return Err(Error::TooLong { tokens: tokens.len(), context: config.context });
    }
    match tokens.iter().find(|token| **token as usize >= config.vocabulary) {
        Some(token) => Err(Error::Vocabulary { token: *token, vocabulary: config.vocabulary }),
        None => Ok(()),
    }
}
