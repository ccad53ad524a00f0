//! What the weights make of a direction of the stream: the arithmetic of taking a prediction apart.
//!
//! With its statistics held fixed, a norm is linear. So a logit is a linear reading of the last residual stream, and
//! that stream is a sum of what embedding, heads and hidden units have written: "direct logit attribution". Nothing is
//! approximated: the parts add up to the logit.

use crate::{
    Model,
    architecture::{NormKind, NormPlace},
    model::{Affine, NormWeights},
};
use saltus_compute::BLOCK;
use saltus_lm::TokenId;
use std::ops::Range;

/// A linear reading of a vector x: `offset + direction · x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// As long as x.
    pub direction: Vec<f64>,
    /// What is read of zero.
    pub offset: f64,
}

/// What each input of a linear map contributes to a reading of its output; all of it adds up to that reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// Of each input.
    pub inputs: Vec<f64>,
    /// Of biases, and the reading's own offset.
    pub rest: f64,
}

impl Reading {
    /// What is read of `x`.
    pub fn of(&self, x: &[f32]) -> f64 {
        self.offset + self.part(x)
    }

    /// What one of several vectors contributes, if x is their sum.
    pub fn part(&self, x: &[f32]) -> f64 {
        self.direction.iter().zip(x).map(|(d, x)| d * f64::from(*x)).sum()
    }
}

impl Model {
    /// The logit of `token` (before a soft cap) as a reading of the stream, which is the input of the final norm. `None`
    /// where another layer stands between them, as in BERT's head.
    pub fn logit_reading(&self, stream: &[f32], token: TokenId) -> Option<Reading> {
        if self.transform.is_some() {
            return None;
        }
        let mut row = vec![0.0; self.config.width];
        self.head.matrix.row(token as usize, &mut row);
        let offset = self.head.bias.get(token as usize).map_or(0.0, |b| f64::from(*b));
        let reading = Reading { direction: row.into_iter().map(f64::from).collect(), offset };
        Some(match &self.norm {
            Some(norm) => norm.behind(stream, reading),
            None => reading,
        })
    }

    /// What each hidden unit (`hidden`, `[mlp_hidden]`) contributes to a reading of what the MLP of `layer` adds.
    pub fn unit_contributions(&self, layer: usize, hidden: &[f32], reading: &Reading) -> Contributions {
        let weights = &self.layers[layer];
        self.contributions((&weights.down, weights.after_mlp.as_ref()), hidden, reading)
    }

    /// What each head contributes to a reading of what attention of `layer` adds; `mixed` is `[heads * head_dim]`.
    pub fn head_contributions(&self, layer: usize, mixed: &[f32], reading: &Reading) -> Contributions {
        let weights = &self.layers[layer];
        let channels = self.contributions((&weights.o, weights.after_attention.as_ref()), mixed, reading);
        let inputs = channels.inputs.chunks(self.config.head_dim).map(|head| head.iter().sum()).collect();
        Contributions { inputs, ..channels }
    }

    fn contributions(
        &self,
        (map, norm): (&Affine, Option<&NormWeights>),
        inputs: &[f32],
        reading: &Reading,
    ) -> Contributions {
        let mut reading = reading.clone();
        // BERT norms the stream instead: what is added to it is the map's output itself.
        if let (Some(norm), true) = (norm, self.config.architecture.norm.place != NormPlace::Stream) {
            reading = norm.behind(&map.column(inputs), reading);
        }
        let mut pulled = vec![0.0; inputs.len()];
        let mut row = vec![0.0; inputs.len()];
        for (output, d) in reading.direction.iter().enumerate() {
            map.matrix.row(output, &mut row);
            pulled.iter_mut().zip(&row).for_each(|(sum, w)| *sum += d * f64::from(*w));
        }
        let bias = reading.part(&map.bias);
        let inputs = pulled.iter().zip(inputs).map(|(w, x)| w * f64::from(*x)).collect();
        Contributions { inputs, rest: bias + reading.offset }
    }

    /// The value vectors of some hidden units of `layer`, `[width, columns]`, `columns` being their number rounded up to
    /// whole blocks: what a coefficient of 1 adds to the stream, up to a positive factor where a norm stands behind.
    pub fn values(&self, layer: usize, units: Range<usize>) -> Vec<f32> {
        let (weights, columns) = (&self.layers[layer], units.len().next_multiple_of(BLOCK));
        let mut values = vec![0.0; self.config.width * columns];
        let mut row = vec![0.0; self.config.mlp_hidden];
        for (output, to) in values.chunks_exact_mut(columns).enumerate() {
            weights.down.matrix.row(output, &mut row);
            to[..units.len()].copy_from_slice(&row[units.clone()]);
        }
        if let (Some(norm), true) = (&weights.after_mlp, self.config.architecture.norm.place != NormPlace::Stream) {
            norm.fold(columns, &mut values);
        }
        values
    }

    /// What vectors `[width, columns]` written to the stream vote for: logits `[vocabulary, columns]` up to a positive
    /// factor for each column, the final norm's gain folded in. Biases vote for no vector and are left out.
    pub fn votes(&self, vectors: &[f32], columns: usize) -> Vec<f32> {
        let mut folded = vectors.to_vec();
        if let Some(norm) = &self.norm {
            norm.fold(columns, &mut folded);
        }
        let mut logits = vec![0.0; self.config.vocabulary * columns];
        self.head.apply_linear((columns, columns), &folded, &mut logits);
        logits
    }
}

impl Affine {
    /// `W x + b` for one x.
    fn column(&self, x: &[f32]) -> Vec<f32> {
        let outputs = self.matrix.rows();
        let mut padded = vec![0.0; x.len() * BLOCK];
        padded.iter_mut().step_by(BLOCK).zip(x).for_each(|(to, from)| *to = *from);
        let mut y = vec![0.0; outputs * BLOCK];
        self.apply((BLOCK, 1), &padded, &mut y);
        y.into_iter().step_by(BLOCK).collect()
    }
}

impl NormWeights {
    /// A reading of `norm(x)` as a reading of x, the norm's statistics held at those of `x`.
    fn behind(&self, x: &[f32], reading: Reading) -> Reading {
        let count = x.len() as f64;
        let centred = matches!(self.kind, NormKind::Layer | NormKind::LayerPlain);
        let mean = if centred { x.iter().map(|x| f64::from(*x)).sum::<f64>() / count } else { 0.0 };
        let square = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
        let inverse = 1.0 / (square + f64::from(self.eps)).sqrt();
        let offset = reading.offset + reading.part(&self.bias);
        let gain = |channel: usize| self.gain.get(channel).map_or(1.0, |g| f64::from(*g));
        let mut direction: Vec<f64> =
            reading.direction.iter().enumerate().map(|(c, d)| d * gain(c) * inverse).collect();
        if centred {
            let middle = direction.iter().sum::<f64>() / count;
            direction.iter_mut().for_each(|d| *d -= middle);
        }
        Reading { direction, offset }
    }

    /// The norm's linear part at scale 1: the mean taken out where it does so, and the gain.
    fn fold(&self, columns: usize, x: &mut [f32]) {
        let channels = x.len() / columns;
        if matches!(self.kind, NormKind::Layer | NormKind::LayerPlain) {
            for column in 0..columns {
                let mean = x.iter().skip(column).step_by(columns).sum::<f32>() / channels as f32;
                x.iter_mut().skip(column).step_by(columns).for_each(|x| *x -= mean);
            }
        }
        for (row, gain) in x.chunks_exact_mut(columns).zip(&self.gain) {
            row.iter_mut().for_each(|x| *x *= gain);
        }
    }
}
