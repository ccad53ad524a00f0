//! A weighted mix of generated families, packed into rows as they are asked for.

use crate::{Batch, Corpus, Error, PADDING, Vocabulary, vocabulary};
use rand::distr::{Distribution, weighted::WeightedIndex};
use saltus_random::Key;
use saltus_task::{Family, Generator, Segment};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One family of a mix, as a study file gives it: `weight = 1.5`, `family = "addition"`, and the family's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// How often an item is drawn from this family, relative to the others' weights.
    pub weight: f64,
    /// The family.
    #[serde(flatten)]
    pub family: Family,
}

/// Generated items of several families in rows of characters, each item ended by `;`. Items in a row follow each other
/// without a barrier. An item that does not fit into what is left of a row is replaced by padding.
#[derive(Clone, Debug)]
pub struct Mix {
    generators: Vec<Generator>,
    weights: WeightedIndex<f64>,
    context: usize,
    identity: String,
}

impl Mix {
    /// The mix of `components` in rows of `context` characters; the families' tables hang on `world`, which is also
    /// what [`Family::generator`] has to be given for evaluation.
    ///
    /// # Errors
    /// [`Error`] for parameters out of range, weights that are not positive, or items longer than a row.
    pub fn new(components: &[Component], context: usize, world: Key) -> Result<Self, Error> {
        if !(8..=65_536).contains(&context) {
            return Err(Error::setting("context", format!("{context} characters"), "write a number from 8 to 65536"));
        }
        let mut generators = Vec::with_capacity(components.len());
        for (i, component) in components.iter().enumerate() {
            let Component { weight, family } = component;
            if !(weight.is_finite() && *weight > 0.0) {
                let place = format!("mix[{i}].weight ({})", family.name());
                return Err(Error::setting(place, format!("{weight}"), "write a positive number, such as 1.5"));
            }
            let generator = family.generator(world)?;
            if generator.longest() > context + 1 {
                let problem = format!("an item can have {} characters, a row holds {context}", generator.longest());
                let remedy = "make the items shorter or the context longer";
                return Err(Error::setting(format!("mix[{i}] ({})", family.name()), problem, remedy));
            }
            generators.push(generator);
        }
        let weights = WeightedIndex::new(components.iter().map(|c| c.weight)).map_err(|_| {
            Error::setting("mix", "no families", r#"list at least one, such as { weight = 1, family = "copy", ... }"#)
        })?;
        let mut mix = Mix { generators, weights, context, identity: String::new() };
        mix.identity = mix.fingerprint(components);
        Ok(mix)
    }

    /// Hash of the settings and of some rows: if the code that draws is changed, so is what is drawn, and the identity
    /// with it.
    fn fingerprint(&self, components: &[Component]) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 mix");
        hasher.update(format!("{} {components:?}", self.context).as_bytes());
        let mut batch = Batch::default();
        self.batch(Key::new(0).child("fingerprint"), 0, 64 * self.generators.len(), &mut batch);
        for token in batch.tokens.iter().chain(&batch.targets) {
            hasher.update(&token.to_le_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Fills one row: `tokens` and `targets` of `context` positions, which come as padding, not scored.
    fn row(&self, key: Key, tokens: &mut [u32], targets: &mut [u32], segment: &mut Segment) {
        let mut rng = key.rng();
        // A row is cut from context + 1 characters: all but the last are read, all but the first can be predicted.
        let (mut at, length) = (0, self.context + 1);
        loop {
            self.generators[self.weights.sample(&mut rng)].segment_into(&mut rng, segment);
            let text = segment.text.as_bytes();
            if at + text.len() > length {
                return;
            }
            for (token, &byte) in tokens[at..].iter_mut().zip(text) {
                *token = vocabulary::char_token(byte);
            }
            for range in &segment.scored {
                // What is first in the row has nothing before it to be predicted from.
                for i in range.clone().filter(|i| at + i > 0) {
                    targets[at + i - 1] = vocabulary::char_token(text[i]);
                }
            }
            at += text.len();
        }
    }
}

impl Corpus for Mix {
    fn batch(&self, key: Key, step: u64, rows: usize, batch: &mut Batch) {
        batch.reset(self.context, rows, PADDING);
        let key = key.index(step);
        let mut segment = Segment::default();
        let rows = batch.tokens.chunks_exact_mut(self.context).zip(batch.targets.chunks_exact_mut(self.context));
        for (row, (tokens, targets)) in (0..).zip(rows) {
            self.row(key.index(row), tokens, targets, &mut segment);
        }
    }

    fn tokenizer(&self) -> Arc<dyn saltus_lm::Tokenizer> {
        Arc::new(Vocabulary::Char)
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    /// Drawn without end.
    fn unique_tokens(&self) -> Option<u64> {
        None
    }
}
