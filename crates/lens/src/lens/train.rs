//! Training what reads a layer, on streams that were read once.

use super::{
    Reader, Text, Translator,
    decoder::{add_rows, backward, backward_input, forward, parameters},
    streams::{Streams, groups, streams},
    text::Examples,
};
use crate::Error;
use rand::{Rng, RngExt};
use saltus_compute::{
    AdamW, AdamWState, IGNORE, Linear, adamw, cross_entropy, divergence, linear_backward_weight, softmax,
};
use saltus_lm::TokenId;
use saltus_random::Key;
use saltus_transformer::{Model, PlainNorm, Transform, Unembedding};

/// How a lens is trained: AdamW (0.9, 0.999, no decay), the rate falling to 0 in a line; the best on held-out text is kept,
/// and training ends when three of ten looks at it, in a row, were no better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Steps at most.
    pub steps: u64,
    /// Places of a step.
    pub batch: usize,
    /// Rate of the first step.
    pub learning_rate: f32,
    /// Different places trained at, at most.
    pub pool: usize,
    /// Decides the places, their order, and what begins at random.
    pub key: Key,
}

/// Where a decoding head begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As a copy of the model's own head; what the model has not (a transform) at random.
    Own,
    /// At random.
    Random,
}

/// Looks at held-out text in one training.
const LOOKS: u64 = 10;
const PATIENCE: u64 = 3;

/// Places held out.
const HELD_OUT: usize = 512;

/// Places whose logits lie in memory together.
const COLUMNS: usize = 64;

/// Streams at places, with what stands there.
pub(crate) struct Pool {
    pub(crate) streams: Streams,
    targets: Vec<TokenId>,
    /// The table of the last layer.
    last: usize,
}

/// What probes are trained with: places to train at, places held out, the model's own head.
pub(crate) struct School<'a> {
    pub(crate) training: Pool,
    held_out: Pool,
    decoder: &'a Unembedding,
    with: Training,
}

impl<'a> School<'a> {
    /// Reads the text; the tables are those of `layers`, of which the last is the model's last. `passed` is told the share
    /// that is read.
    pub(crate) fn read(
        model: &Model,
        decoder: &'a Unembedding,
        (text, with): (&Text, Training),
        layers: &[usize],
        passed: &mut dyn FnMut(f64),
    ) -> Result<Self, Error> {
        let pool = |Examples { texts, targets }: Examples, passed: &mut dyn FnMut(f64)| {
            let streams = streams(model, &texts, layers, passed)?;
            Ok::<_, Error>(Pool { streams, targets, last: layers.len() - 1 })
        };
        let held_out = pool(text.held_out(HELD_OUT, with.key.child("held-out")), &mut |_| ())?;
        let training = pool(text.training(with.pool, with.key.child("training")), passed)?;
        if training.targets.is_empty() || held_out.targets.is_empty() {
            return Err(Error::Other("no place of the text is asked: give more text".into()));
        }
        Ok(School { training, held_out, decoder, with })
    }

    /// Numbers that are kept for each layer.
    pub(crate) fn places(with: &Training) -> usize {
        with.pool + HELD_OUT
    }

    /// Trains `reader` on the streams of one table; the loss on held-out text of what it has become, in nats for each place.
    /// `step` is told of every step that is taken or saved.
    pub(crate) fn train(
        &self,
        mut reader: Reader,
        table: usize,
        key: Key,
        step: &dyn Fn(u64),
    ) -> Result<(Reader, f64), Error> {
        let mut state: Vec<[Vec<f32>; 3]> =
            values(&mut reader).iter().map(|values| std::array::from_fn(|_| vec![0.0; values.len()])).collect();
        let mut best = (self.loss(&reader, table)?, copy(&mut reader));
        let (every, mut worse) = ((self.with.steps / LOOKS).max(1), 0);
        let mut rng = key.rng();
        for number in 1..=self.with.steps {
            self.step(&mut reader, (table, number), &mut state, &mut rng);
            step(1);
            if number % every == 0 || number == self.with.steps {
                let loss = self.loss(&reader, table)?;
                worse = if loss < best.0 { 0 } else { worse + 1 };
                if worse == 0 {
                    best = (loss, copy(&mut reader));
                }
                if worse == PATIENCE {
                    step(self.with.steps - number);
                    break;
                }
            }
        }
        for (values, best) in values(&mut reader).into_iter().zip(best.1) {
            *values = best;
        }
        Ok((reader, best.0))
    }

    /// Mean loss on the held-out places.
    fn loss(&self, reader: &Reader, table: usize) -> Result<f64, Error> {
        let rows: Vec<u32> = (0..self.held_out.targets.len() as u32).collect();
        let nats: f64 =
            groups(&rows, COLUMNS).map(|group| self.nats(&self.held_out, reader, table, &group, None)).sum();
        let mean = nats / rows.len() as f64;
        match mean.is_finite() {
            true => Ok(mean),
            false => Err(Error::Other("a lens in training says what is no number: lower the learning rate".into())),
        }
    }

    fn step(&self, reader: &mut Reader, at: (usize, u64), state: &mut [[Vec<f32>; 3]], rng: &mut impl Rng) {
        let (table, number) = at;
        let places = self.training.targets.len() as u32;
        let rows: Vec<u32> = (0..self.with.batch).map(|_| rng.random_range(0..places)).collect();
        let mut gradients: Vec<Vec<f32>> = state.iter_mut().map(|[gradient, ..]| std::mem::take(gradient)).collect();
        gradients.iter_mut().for_each(|gradient| gradient.fill(0.0));
        for group in groups(&rows, COLUMNS) {
            self.nats(&self.training, reader, table, &group, Some(&mut gradients));
        }
        let left = 1.0 - (number - 1) as f32 / self.with.steps as f32;
        let settings = AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
        for ((values, gradient), state) in values(reader).into_iter().zip(gradients).zip(state) {
            let [kept, first_moment, second_moment] = state;
            let moments = AdamWState { values, first_moment, second_moment };
            adamw(&settings, self.with.learning_rate * left, number, 1.0, &gradient, moments);
            *kept = gradient;
        }
    }

    /// Summed loss at some places; where there are `gradients`, those of the mean over a step's places are added to them.
    fn nats(
        &self,
        pool: &Pool,
        reader: &Reader,
        table: usize,
        (rows, used): &(Vec<u32>, usize),
        gradients: Option<&mut Vec<Vec<f32>>>,
    ) -> f64 {
        let (columns, scale) = (rows.len(), 1.0 / self.with.batch as f32);
        let x = pool.streams.columns(table, rows);
        match reader {
            Reader::Logit => 0.0,
            Reader::Tuned(translator) => {
                let (mut wanted, _) = forward(self.decoder, pool.streams.columns(pool.last, rows), columns);
                softmax(&mut wanted, columns);
                let (mut logits, kept) = forward(self.decoder, translator.translate(&x, columns), columns);
                let weights: Vec<f32> = (0..columns).map(|c| if c < *used { scale } else { 0.0 }).collect();
                let nats = divergence(&wanted, &mut logits, &weights);
                if let Some(gradients) = gradients {
                    let d = backward_input(self.decoder, &kept, logits);
                    let width = self.decoder.width;
                    let shape = Linear { outputs: width, inputs: width, positions: columns };
                    linear_backward_weight(shape, &d, &x, &mut gradients[0]);
                    add_rows(&d, columns, &mut gradients[1]);
                }
                // A divergence is below 0 by rounding alone.
                nats[..*used].iter().map(|nats| nats.max(0.0)).sum()
            }
            Reader::Head(head) => {
                let (mut logits, kept) = forward(head, x, columns);
                let target = |(c, row): (usize, &u32)| if c < *used { pool.targets[*row as usize] } else { IGNORE };
                let targets: Vec<u32> = rows.iter().enumerate().map(target).collect();
                let (nats, _) = cross_entropy(&mut logits, &targets, scale);
                if let Some(gradients) = gradients {
                    backward(head, &kept, logits, gradients);
                }
                nats
            }
        }
    }
}

/// What is trained.
fn values(reader: &mut Reader) -> Vec<&mut Vec<f32>> {
    match reader {
        Reader::Logit => Vec::new(),
        Reader::Tuned(translator) => vec![&mut translator.matrix, &mut translator.bias],
        Reader::Head(head) => parameters(head),
    }
}

fn copy(reader: &mut Reader) -> Vec<Vec<f32>> {
    values(reader).into_iter().map(|values| values.clone()).collect()
}

/// A standard normal number (Box & Muller 1958).
fn normal(rng: &mut impl Rng) -> f32 {
    let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
}

fn normals(count: usize, deviation: f32, key: Key) -> Vec<f32> {
    let mut rng = key.rng();
    (0..count).map(|_| deviation * normal(&mut rng)).collect()
}

/// A translator that moves the stream by about a tenth of its length: where those that are to differ begin.
pub(crate) fn shaken(width: usize, key: Key) -> Translator {
    Translator { matrix: normals(width * width, 0.1 / (width as f32).sqrt(), key), bias: vec![0.0; width] }
}

/// A decoding head before training.
pub(crate) fn head(decoder: &Unembedding, start: Start, key: Key) -> Unembedding {
    let (width, vocabulary) = (decoder.width, decoder.head.len() / decoder.width);
    let own = start == Start::Own;
    let deviation = 1.0 / (width as f32).sqrt();
    let random = || Transform {
        matrix: normals(width * width, deviation, key.child("transform")),
        bias: vec![0.0; width],
        activation: saltus_compute::Activation::Gelu,
        norm: PlainNorm { centred: true, eps: 1e-12, gain: vec![1.0; width], bias: vec![0.0; width] },
    };
    let bias = if own && !decoder.bias.is_empty() { decoder.bias.clone() } else { vec![0.0; vocabulary] };
    Unembedding {
        width,
        norm: decoder.norm.clone(),
        transform: Some(decoder.transform.clone().filter(|_| own).unwrap_or_else(random)),
        head: if own { decoder.head.clone() } else { normals(width * vocabulary, deviation, key.child("head")) },
        bias,
        soft_cap: None,
    }
}
