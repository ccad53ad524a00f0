//! The masked objective of BERT (Devlin et al., arXiv 1810.04805, section 3.1): some tokens of a text are hidden, and
//! what stood there is to be told from what stands on both sides.

use crate::{Batch, Corpus, Error, IGNORE, TextFiles, Vocabulary};
use rand::RngExt;
use saltus_lm::{FillRequest, TokenId, Tokenizer};
use saltus_random::Key;
use saltus_task::{Candidate, QuestionSet};
use serde::Deserialize;
use std::sync::Arc;

/// What models of a text learn to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Each token, from those before it.
    #[default]
    NextToken,
    /// Hidden tokens, from those on both sides: [`Masked`].
    Masked,
}

/// Share of a row's positions that are predicted.
const PREDICTED: f64 = 0.15;
/// Share of these that read the mask token.
const HIDDEN: f64 = 0.8;
/// Share of these that read a random token; the rest reads what stands there.
const RANDOM: f64 = 0.1;

/// Text files with some of their tokens hidden: rows as [`TextFiles`] deals them out, of which 15% of the positions (to
/// the nearest whole number, at least one) are predicted; of these, each reads the mask token with probability 0.8, a
/// random other token with 0.1, and what stands there with 0.1. A row that comes again in a later epoch hides others.
#[derive(Debug)]
pub struct Masked {
    files: TextFiles,
    vocabulary: Arc<Vocabulary>,
    hiding: Hiding,
}

/// Held-out windows with hidden tokens, always the same.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenWindows {
    /// What is asked, in words: the prompt is the window as it is read, the answer what was hidden.
    pub set: QuestionSet,
    /// For each question what a model is asked.
    pub requests: Vec<FillRequest>,
}

impl Masked {
    /// The corpus `files` with hidden tokens. Its tokenizer is that of the files with a token `[MASK]`, unless it has one.
    ///
    /// # Errors
    /// A tokenizer that can be given no such token.
    pub fn new(files: TextFiles) -> Result<Self, Error> {
        let (vocabulary, mask) = Vocabulary::with_mask(&files.vocabulary())?;
        let hiding = Hiding { mask, vocabulary: vocabulary.vocabulary() as TokenId };
        Ok(Masked { files, vocabulary: Arc::new(vocabulary), hiding })
    }

    /// The tokenizer, which can be [saved](Vocabulary::save).
    pub fn vocabulary(&self) -> Arc<Vocabulary> {
        self.vocabulary.clone()
    }

    /// At most `items` held-out windows as long as a row (shorter only where a whole chunk of held-out text is), with
    /// tokens hidden as in training, by `key`. Different chunks come before more of the same.
    ///
    /// # Errors
    /// If the tokenizer fails on the held-out text.
    pub fn held_out(&self, items: usize, key: Key) -> Result<HiddenWindows, Error> {
        let (mut questions, mut requests) = (Vec::new(), Vec::new());
        for (number, window) in (0..).zip(self.files.held_out_tokens(items)?) {
            let (mut tokens, mut targets) = (window.clone(), vec![IGNORE; window.len()]);
            self.hiding.hide(key.index(number), &mut tokens, &mut targets);
            let targets: Vec<(usize, TokenId)> =
                targets.into_iter().enumerate().filter(|(_, t)| *t != IGNORE).collect();
            let hidden: Vec<TokenId> = targets.iter().map(|(_, token)| *token).collect();
            let answer = Candidate::target(self.vocabulary.decode(&hidden));
            questions.push((self.vocabulary.decode(&tokens), vec![answer], None));
            requests.push(FillRequest { second: tokens.len(), tokens, targets });
        }
        Ok(HiddenWindows { set: QuestionSet::direct("text", "held-out, masked", 0.0, questions), requests })
    }
}

impl Corpus for Masked {
    fn batch(&self, key: Key, step: u64, rows: usize, batch: &mut Batch) {
        self.files.batch(key, step, rows, batch);
        batch.targets.fill(IGNORE);
        let context = batch.context;
        let in_batch = batch.tokens.chunks_exact_mut(context).zip(batch.targets.chunks_exact_mut(context));
        for (number, (tokens, targets)) in (step * rows as u64..).zip(in_batch) {
            self.hiding.hide(key.child("masks").index(number), tokens, targets);
        }
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.vocabulary.clone()
    }

    fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 masked text");
        let Hiding { mask, vocabulary } = self.hiding;
        let files = self.files.identity();
        hasher.update(format!("1 {files} {mask} {vocabulary} {PREDICTED} {HIDDEN} {RANDOM}").as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    fn unique_tokens(&self) -> Option<u64> {
        self.files.unique_tokens()
    }

    fn mask(&self) -> Option<TokenId> {
        Some(self.hiding.mask)
    }
}

/// What tokens are hidden with.
#[derive(Clone, Copy, Debug)]
struct Hiding {
    mask: TokenId,
    /// Number of tokens, the mask among them.
    vocabulary: TokenId,
}

impl Hiding {
    /// Hides some of `tokens`, and writes what stood there into `targets`, which come as [`IGNORE`].
    fn hide(self, key: Key, tokens: &mut [TokenId], targets: &mut [u32]) {
        let mut rng = key.rng();
        let count = ((PREDICTED * tokens.len() as f64).round() as usize).clamp(1, tokens.len());
        let mut places = rand::seq::index::sample(&mut rng, tokens.len(), count).into_vec();
        places.sort_unstable();
        for at in places {
            targets[at] = tokens[at];
            let share: f64 = rng.random();
            if share < HIDDEN {
                tokens[at] = self.mask;
            } else if share < HIDDEN + RANDOM {
                // All but the mask: the last one takes its place.
                let drawn = rng.random_range(0..self.vocabulary - 1);
                tokens[at] = if drawn == self.mask { self.vocabulary - 1 } else { drawn };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within four standard deviations of a binomial share.
    #[track_caller]
    fn assert_share(count: usize, of: usize, expect: f64) {
        let (share, deviation) = (count as f64 / of as f64, (expect * (1.0 - expect) / of as f64).sqrt());
        assert!((share - expect).abs() < 4.0 * deviation, "{share} of {of}, not {expect}");
    }

    #[test]
    fn shares_are_those_of_bert_and_places_are_uniform() {
        let hiding = Hiding { mask: 30, vocabulary: 64 };
        let (rows, context) = (4000, 40);
        let (mut hidden, mut random, mut kept) = (0, 0, 0);
        let (mut at_place, mut drawn) = (vec![0; context], vec![0; 64]);
        for row in 0..rows {
            let text: Vec<TokenId> = (0..context as u32).map(|i| (row + i) % 30).collect();
            let (mut tokens, mut targets) = (text.clone(), vec![IGNORE; context]);
            hiding.hide(Key::new(1).index(u64::from(row)), &mut tokens, &mut targets);
            assert_eq!(targets.iter().filter(|t| **t != IGNORE).count(), 6);
            for i in 0..context {
                if targets[i] == IGNORE {
                    assert_eq!(tokens[i], text[i]);
                    continue;
                }
                assert_eq!(targets[i], text[i]);
                at_place[i] += 1;
                match tokens[i] {
                    30 => hidden += 1,
                    token if token == text[i] => kept += 1,
                    token => {
                        random += 1;
                        drawn[token as usize] += 1;
                    }
                }
            }
        }
        let all = rows as usize * 6;
        assert_share(hidden, all, 0.8);
        // A random token is the right one once in 63.
        assert_share(random, all, 0.1 * 62.0 / 63.0);
        assert_share(kept, all, 0.1 + 0.1 / 63.0);
        at_place.iter().for_each(|count| assert_share(*count, rows as usize, 0.15));
        assert_eq!(drawn[30], 0);
        drawn[31..].iter().for_each(|count| assert_share(*count, random, 1.0 / 62.0));
    }

    #[test]
    fn the_shortest_row_hides_one_token() {
        let (mut tokens, mut targets) = ([7], [IGNORE]);
        Hiding { mask: 9, vocabulary: 10 }.hide(Key::new(2), &mut tokens, &mut targets);
        assert_eq!(targets, [7]);
    }
}
