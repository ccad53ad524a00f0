//! The parts of a logit: embedding, attention, MLPs, biases; and of these the heads and hidden units that add most.

use super::{Options, Seen, highest};
use saltus_lm::TokenId;
use saltus_transformer::{BLOCK, Model, Reading, Site};

/// What writes to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// The embedding, of layer 0.
    Embedding,
    /// All heads of a layer.
    Attention,
    /// All hidden units of a layer.
    Mlp,
    /// The biases of a layer's attention and MLP and of norms behind them; in layer 0 those of the final norm and of the
    /// head.
    Bias,
}

impl PartKind {
    /// Its name in records and on pages.
    pub fn name(self) -> &'static str {
        match self {
            PartKind::Embedding => "embedding",
            PartKind::Attention => "attention",
            PartKind::Mlp => "mlp",
            PartKind::Bias => "bias",
        }
    }
}

/// What one place adds to the logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Layer, from 1; 0 for what belongs to none.
    pub layer: u32,
    /// What it adds.
    pub amount: f64,
}

/// A head at work in one prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub head: u32,
    /// What it adds to the logit.
    pub amount: f64,
    /// Its attention to each token that it sees.
    pub attention: Vec<f32>,
}

/// A hidden unit at work in one prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub unit: u32,
    /// Its coefficient here.
    pub coefficient: f64,
    /// What it adds to the logit, where the logit is a sum.
    pub amount: Option<f64>,
    /// Length of what it writes: the coefficient's size times that of the value, gains of a norm behind it folded in.
    pub written: f64,
    /// What it votes for here: the top tokens of its value times the coefficient's sign.
    pub votes: Vec<TokenId>,
}

/// The parts that add up to the logit, biases where there are any, and the heads that add most.
pub(super) fn parts(model: &Model, seen: &Seen, reading: &Reading, count: usize) -> (Vec<Part>, Vec<Head>) {
    let whole = Reading { offset: 0.0, ..reading.clone() };
    let (mut parts, mut heads) = (Vec::new(), Vec::new());
    let mut add = |kind, layer: usize, amount: f64| parts.push(Part { kind, layer: layer as u32, amount });
    add(PartKind::Embedding, 0, whole.part(seen.at(Site::ResidualBefore(0))));
    for layer in 0..model.config().layers {
        let attention = model.head_contributions(layer, seen.at(Site::HeadOutput(layer)), &whole);
        let mlp = model.unit_contributions(layer, seen.at(Site::MlpHidden(layer)), &whole);
        add(PartKind::Attention, layer + 1, attention.inputs.iter().sum());
        add(PartKind::Mlp, layer + 1, mlp.inputs.iter().sum());
        add(PartKind::Bias, layer + 1, attention.rest + mlp.rest);
        heads.extend((0..).zip(attention.inputs).map(|(head, amount): (u32, f64)| (layer, head, amount)));
    }
    add(PartKind::Bias, 0, reading.offset);
    parts.retain(|part| part.kind != PartKind::Bias || part.amount != 0.0);
    heads.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()).then((a.0, a.1).cmp(&(b.0, b.1))));
    heads.truncate(count);
    let head = |(layer, head, amount): (usize, u32, f64)| {
        let attention = seen.attention[layer][head as usize].clone();
        Head { layer: layer as u32 + 1, head, amount, attention }
    };
    (parts, heads.into_iter().map(head).collect())
}

/// The memories that matter most.
pub(super) fn memories(model: &Model, seen: &Seen, reading: Option<&Reading>, options: &Options) -> Vec<Memory> {
    let config = model.config();
    let mut all: Vec<(f64, usize, usize)> = Vec::new();
    for layer in 0..config.layers {
        let hidden = seen.at(Site::MlpHidden(layer));
        let weight: Vec<f64> = match reading {
            Some(reading) => model.unit_contributions(layer, hidden, reading).inputs,
            None => written(model, layer, hidden),
        };
        all.extend((0..).zip(weight).map(|(unit, weight)| (weight, layer, unit)));
        all.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()).then((a.1, a.2).cmp(&(b.1, b.2))));
        all.truncate(options.parts);
    }
    let memory = |(weight, layer, unit): (f64, usize, usize)| {
        let coefficient = f64::from(seen.at(Site::MlpHidden(layer))[unit]);
        let value = model.values(layer, unit..unit + 1);
        let length = value.iter().step_by(BLOCK).map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        Memory {
            layer: layer as u32 + 1,
            unit: unit as u32,
            coefficient,
            amount: reading.map(|_| weight),
            written: coefficient.abs() * length,
            votes: votes(model, value, coefficient < 0.0, options.top),
        }
    };
    all.into_iter().map(memory).collect()
}

/// For each hidden unit the length of what it writes.
fn written(model: &Model, layer: usize, hidden: &[f32]) -> Vec<f64> {
    let values = model.values(layer, 0..hidden.len());
    let mut squares = vec![0.0; hidden.len()];
    for row in values.chunks_exact(hidden.len().next_multiple_of(BLOCK)) {
        squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x).powi(2));
    }
    squares.into_iter().zip(hidden).map(|(square, m)| square.sqrt() * f64::from(*m)).collect()
}

/// The top tokens of a value (one block), or of its opposite. Where a layer stands before the head, as in BERT, they are
/// those of the lens.
fn votes(model: &Model, mut value: Vec<f32>, against: bool, top: usize) -> Vec<TokenId> {
    if against {
        value.iter_mut().for_each(|x| *x = -*x);
    }
    let through_layer = model.config().architecture.head.transform;
    let logits = if through_layer { model.lens(&value, BLOCK) } else { model.votes(&value, BLOCK) };
    let first: Vec<f32> = logits.into_iter().step_by(BLOCK).collect();
    highest(&first, top)
}
