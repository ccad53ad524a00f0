//! What was measured: one loss for each checkpoint of each run, with the conventions that its numbers follow.

use std::collections::BTreeMap;

/// A number of parameters, under the convention of its [`Conventions`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Params(pub f64);

/// A number of training tokens.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Tokens(pub f64);

/// Training compute in floating-point operations, 6 N D.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Flops(pub f64);

impl Flops {
    /// 6 N D (arXiv 2001.08361, section 2.1).
    pub fn six_nd(params: Params, tokens: Tokens) -> Self {
        Flops(6.0 * params.0 * tokens.0)
    }
}

/// Which parameters are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Without the embedding and the head, as in arXiv 2001.08361.
    NonEmbedding,
    /// All of them, as in arXiv 2203.15556.
    Total,
}

/// What the numbers mean. A law without its conventions cannot be compared with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conventions {
    /// Which parameters N counts.
    pub parameters: Parameters,
    /// What is averaged in the loss, for example `answer tokens of the held-out mix`; always in nats per token.
    pub loss: String,
    /// What a token is, for example `characters` or the name of a tokenizer.
    pub tokenizer: String,
}

impl Conventions {
    /// The conventions as named facts: `parameters`, `flops`, `loss`, `log_base`, `tokenizer`.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let parameters = match self.parameters {
            Parameters::NonEmbedding => "N without embedding and head",
            Parameters::Total => "N with embedding and head",
        };
        let facts = [
            ("parameters", parameters),
            ("flops", "C = 6 N D"),
            ("loss", self.loss.as_str()),
            ("log_base", "e (nats per token)"),
            ("tokenizer", self.tokenizer.as_str()),
        ];
        facts.map(|(name, fact)| (name.to_owned(), fact.to_owned())).into()
    }
}

/// The loss of one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Parameters of the model.
    pub params: Params,
    /// Training tokens up to this checkpoint.
    pub tokens: Tokens,
    /// Training compute up to this checkpoint.
    pub flops: Flops,
    /// Held-out loss, nats per token.
    pub loss: f64,
    /// Which training run: its checkpoints share their noise and are resampled together.
    pub run: u64,
    /// Seed of the run; carried along for plots.
    pub seed: u64,
}

/// Why no law was fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LawError {
    /// A number that cannot be.
    #[error(
        "observation {index} (run {run}) has {name} = {value}: it must be a positive finite number; leave the checkpoint out"
    )]
    BadNumber {
        /// Place in the observations given.
        index: usize,
        /// Its run.
        run: u64,
        /// Which number.
        name: &'static str,
        /// The number.
        value: f64,
    },
    /// A run that changes its size.
    #[error(
        "observation {index} says that run {run} has {found} parameters, an earlier one {expected}: give each training run its own number"
    )]
    RunChangesSize {
        /// Place in the observations given.
        index: usize,
        /// Its run.
        run: u64,
        /// Parameters here.
        found: f64,
        /// Parameters before.
        expected: f64,
    },
    /// Too few distinct sizes or token counts for the law.
    #[error(
        "{law} needs at least {needed} distinct {axis}, and there are {found}: train more {axis}, or leave this law out"
    )]
    TooFew {
        /// The law.
        law: &'static str,
        /// `sizes`, `token counts` or `observations`.
        axis: &'static str,
        /// How many it needs.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// A setting that makes no sense.
    #[error("the Huber threshold delta is {0}: it must be a positive finite number; the papers use 0.001")]
    BadDelta(f64),
}

/// Checked observations with their conventions.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    all: Vec<Observation>,
    conventions: Conventions,
}

/// One point of the lower envelope of the loss against compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnvelopePoint {
    /// Training compute.
    pub flops: Flops,
    /// Size of the model that has the least loss with it.
    pub params: Params,
    /// Its training tokens.
    pub tokens: Tokens,
    /// Its loss, averaged over its seeds.
    pub loss: f64,
}

impl Observations {
    /// Checks the observations. Leave out checkpoints inside the warm-up of the learning rate: no law describes them.
    ///
    /// # Errors
    /// [`LawError::BadNumber`] for a number that is not positive and finite, [`LawError::RunChangesSize`].
    pub fn new(all: Vec<Observation>, conventions: Conventions) -> Result<Self, LawError> {
        let mut sizes = BTreeMap::new();
        for (index, o) in all.iter().enumerate() {
            let numbers = [("params", o.params.0), ("tokens", o.tokens.0), ("flops", o.flops.0), ("loss", o.loss)];
            if let Some(&(name, value)) = numbers.iter().find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
                return Err(LawError::BadNumber { index, run: o.run, name, value });
            }
            let expected = *sizes.entry(o.run).or_insert(o.params.0);
            if expected != o.params.0 {
                return Err(LawError::RunChangesSize { index, run: o.run, found: o.params.0, expected });
            }
        }
        Ok(Observations { all, conventions })
    }

    /// The observations, in the order given.
    pub fn all(&self) -> &[Observation] {
        &self.all
    }

    /// What their numbers mean.
    pub fn conventions(&self) -> &Conventions {
        &self.conventions
    }

    /// The last checkpoint of each run, by rising run.
    pub fn last_checkpoints(&self) -> Observations {
        let mut last: BTreeMap<u64, Observation> = BTreeMap::new();
        for o in &self.all {
            let kept = last.entry(o.run).or_insert(*o);
            if o.tokens > kept.tokens {
                *kept = *o;
            }
        }
        Observations { all: last.into_values().collect(), conventions: self.conventions.clone() }
    }

    /// The lower envelope: by rising compute, every (size, tokens) whose mean loss over seeds is below that of all with
    /// less or equal compute (approach 1 of arXiv 2203.15556, without its interpolation between checkpoints).
    ///
    /// Averaging over seeds comes first, because the least of several noisy losses is too low. Checkpoints inside a
    /// cosine schedule have not been annealed: the envelope lies above what a run of that length would reach.
    pub fn envelope(&self) -> Vec<EnvelopePoint> {
        let mut cells: BTreeMap<(u64, u64, u64), (f64, f64)> = BTreeMap::new();
        for o in &self.all {
            // The bits of positive numbers are ordered as the numbers are.
            let cell = cells.entry((o.flops.0.to_bits(), o.params.0.to_bits(), o.tokens.0.to_bits())).or_default();
            *cell = (cell.0 + o.loss, cell.1 + 1.0);
        }
        let mut envelope: Vec<EnvelopePoint> = Vec::new();
        for ((flops, params, tokens), (sum, count)) in cells {
            let [flops, params, tokens] = [flops, params, tokens].map(f64::from_bits);
            let point = EnvelopePoint {
                flops: Flops(flops),
                params: Params(params),
                tokens: Tokens(tokens),
                loss: sum / count,
            };
            match envelope.last_mut() {
                Some(last) if point.loss >= last.loss => {}
                Some(last) if point.flops == last.flops => *last = point,
                _ => envelope.push(point),
            }
        }
        envelope
    }

    /// Distinct numbers of parameters, rising.
    pub(crate) fn sizes(&self) -> Vec<f64> {
        distinct(self.all.iter().map(|o| o.params.0))
    }

    /// Distinct numbers of tokens, rising.
    pub(crate) fn token_counts(&self) -> Vec<f64> {
        distinct(self.all.iter().map(|o| o.tokens.0))
    }

    /// The runs, numbered from 0 by rising name: for each observation its run, and for each run its parameters.
    pub(crate) fn runs(&self) -> (Vec<usize>, Vec<f64>) {
        let sizes: BTreeMap<u64, f64> = self.all.iter().map(|o| (o.run, o.params.0)).collect();
        let number: BTreeMap<u64, usize> = sizes.keys().enumerate().map(|(i, run)| (*run, i)).collect();
        (self.all.iter().map(|o| number[&o.run]).collect(), sizes.into_values().collect())
    }
}

fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}
