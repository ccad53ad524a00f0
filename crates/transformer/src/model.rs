//! A model to be asked: any [`Config`] with its weights as they are stored.

use crate::{
    Config, Error, Weights,
    architecture::{Architecture, NormKind, Positions, QkNorm, alibi_slopes},
    config::Tensor,
};
use bytes::Bytes;
use rayon::prelude::*;
use saltus_checkpoint::Checkpoint;
use saltus_compute::{
    Format, Linear, MapInput, NARROW, Parts, PartsShare, StoredRows, Write, add_bias, expand, layer_norm,
    linear_stored, rms_norm, stored_row,
};
use std::{
    ops::Range,
    sync::{Arc, atomic::AtomicU64},
};

/// Some rows of a tensor as they lie in a file or in memory.
#[derive(Clone, Debug)]
pub struct Piece {
    /// How the numbers are written.
    pub format: Format,
    /// The rows, whole blocks each.
    pub bytes: Bytes,
}

/// Where a model's tensors come from: for each tensor of [`Config::tensors`] the pieces that make it up, in the order
/// of its rows.
pub trait Source {
    /// The pieces of `tensor`.
    fn pieces(&self, tensor: &Tensor) -> Result<Vec<Piece>, Error>;
}

/// A model to be asked: any [`Config`] with its weights as they are stored, shared and never copied.
pub struct Model {
    pub(crate) config: Config,
    pub(crate) embedding: Matrix,
    pub(crate) positions: Option<Matrix>,
    pub(crate) segments: Option<Matrix>,
    pub(crate) embedding_norm: Option<NormWeights>,
    pub(crate) layers: Vec<LayerWeights>,
    pub(crate) norm: Option<NormWeights>,
    pub(crate) transform: Option<(Affine, NormWeights)>,
    pub(crate) head: Affine,
    /// Frequencies and factor of rotary positions, without and with a window.
    pub(crate) frequencies: [(Vec<f64>, f64); 2],
    pub(crate) slopes: Vec<f32>,
    /// What it was opened from, to say what is wrong with it.
    pub(crate) files: Option<Arc<Checkpoint>>,
    /// Tokens read so far.
    pub(crate) tokens_read: AtomicU64,
}

/// The weights of one layer.
pub(crate) struct LayerWeights {
    pub(crate) attention_norm: Option<NormWeights>,
    pub(crate) q: Affine,
    /// Keys and then values.
    pub(crate) kv: Affine,
    /// Gains of the norms of queries and of keys.
    pub(crate) qk_gains: Option<(Vec<f32>, Vec<f32>)>,
    pub(crate) o: Affine,
    pub(crate) after_attention: Option<NormWeights>,
    pub(crate) mlp_norm: Option<NormWeights>,
    /// Gate, if there is one, and then up.
    pub(crate) gate_up: Affine,
    pub(crate) down: Affine,
    pub(crate) after_mlp: Option<NormWeights>,
}

/// A matrix in pieces.
pub(crate) struct Matrix {
    inputs: usize,
    pieces: Vec<Piece>,
}

/// A matrix and its bias, which may be empty.
pub(crate) struct Affine {
    pub(crate) matrix: Matrix,
    pub(crate) bias: Vec<f32>,
}

/// Gain and bias of a norm; either may be empty.
pub(crate) struct NormWeights {
    pub(crate) kind: NormKind,
    pub(crate) eps: f32,
    pub(crate) gain: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Model {
    /// A model whose tensors come from `source`. Nothing of a matrix is read yet.
    pub fn new(config: Config, source: &dyn Source) -> Result<Self, Error> {
        let tensors: Vec<Tensor> = config.tensors();
        let loader =
            Loader { config: &config, source, tensors: tensors.iter().map(|t| (t.name.as_str(), t)).collect() };
        let layers = (0..config.layers)
            .map(|number| loader.layer(&format!("model.layers.{number}")))
            .collect::<Result<_, _>>()?;
        let embedding = loader.matrix(&["model.embed_tokens"])?;
        let head = if config.tied_embedding {
            loader.matrix(&["model.embed_tokens"])?
        } else {
            loader.matrix(&["lm_head"])?
        };
        let transform = config
            .architecture
            .head
            .transform
            .then(|| Ok::<_, Error>((loader.affine(&["lm_head.transform"])?, loader.norm("lm_head.norm")?)));
        let optional = |name: &str| match loader.has(name) {
            true => loader.matrix(&[name]).map(Some),
            false => Ok(None),
        };
        let rotary = |windowed: bool| match &config.architecture.positions {
            Positions::Rotary(rotary) => rotary.frequencies(windowed),
            _ => (Vec::new(), 1.0),
        };
        let alibi = config.architecture.positions == Positions::Alibi;
        Ok(Model {
            embedding,
            positions: optional("model.embed_positions")?,
            segments: optional("model.embed_segments")?,
            embedding_norm: config.architecture.embedding.norm.then(|| loader.norm("model.embed_norm")).transpose()?,
            layers,
            norm: loader.optional_norm(
                "model.norm",
                config.architecture.norm.place != crate::architecture::NormPlace::Stream,
            )?,
            transform: transform.transpose()?,
            head: Affine { matrix: head, bias: loader.biases(&["lm_head"])? },
            frequencies: [rotary(false), rotary(true)],
            slopes: if alibi { alibi_slopes(config.heads) } else { Vec::new() },
            files: None,
            tokens_read: AtomicU64::new(0),
            config,
        })
    }

    /// Its description.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether threads share the products of a single token.
    pub(crate) fn shares(&self) -> bool {
        self.layers.iter().any(|layer| worth_sharing(layer.gate_up.matrix.rows() * layer.gate_up.matrix.inputs(), 1))
    }

    /// Bytes of all weights as stored.
    pub fn stored_bytes(&self) -> usize {
        let layers = self.layers.iter().flat_map(|l| [&l.q, &l.kv, &l.o, &l.gate_up, &l.down]);
        let tables = [Some(&self.embedding), self.positions.as_ref(), self.segments.as_ref()];
        let head = (!self.config.tied_embedding).then_some(&self.head.matrix);
        layers.map(|affine| &affine.matrix).chain(tables.into_iter().flatten()).chain(head).map(Matrix::bytes).sum()
    }
}

impl From<Weights<f32>> for Model {
    fn from(weights: Weights<f32>) -> Self {
        let config = weights.config.clone();
        let whole = Whole(Bytes::from_owner(Values(weights.values)));
        match Model::new(config, &whole) {
            Ok(model) => model,
            // Every tensor of the configuration lies in the vector.
            Err(error) => unreachable!("weights in memory: {error}"),
        }
    }
}

/// Values in memory, seen as bytes.
struct Values(Vec<f32>);

impl AsRef<[u8]> for Values {
    fn as_ref(&self) -> &[u8] {
        saltus_compute::as_bytes(&self.0)
    }
}

/// All tensors in one vector.
struct Whole(Bytes);

impl Source for Whole {
    fn pieces(&self, tensor: &Tensor) -> Result<Vec<Piece>, Error> {
        let bytes = self.0.slice(4 * tensor.range.start..4 * tensor.range.end);
        Ok(vec![Piece { format: Format::F32, bytes }])
    }
}

/// Picks tensors by their names.
struct Loader<'a> {
    config: &'a Config,
    source: &'a dyn Source,
    tensors: std::collections::HashMap<&'a str, &'a Tensor>,
}

impl Loader<'_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(format!("{name}.weight").as_str())
    }

    /// Matrices one below the other.
    fn matrix(&self, names: &[&str]) -> Result<Matrix, Error> {
        let (mut pieces, mut inputs) = (Vec::new(), 0);
        for name in names {
            let tensor = self.tensors[format!("{name}.weight").as_str()];
            inputs = tensor.shape[1];
            pieces.extend(self.source.pieces(tensor)?);
        }
        Ok(Matrix { inputs, pieces })
    }

    /// A vector, or an empty one where the configuration has none of this name.
    fn vector(&self, name: &str) -> Result<Vec<f32>, Error> {
        let Some(tensor) = self.tensors.get(name) else { return Ok(Vec::new()) };
        let mut values = Vec::with_capacity(tensor.range.len());
        for piece in self.source.pieces(tensor)? {
            let (numbers, bytes) = piece.format.block();
            let at = values.len();
            values.resize(at + piece.bytes.len() / bytes * numbers, 0.0);
            expand(piece.format, &piece.bytes, &mut values[at..]);
        }
        Ok(values)
    }

    fn biases(&self, names: &[&str]) -> Result<Vec<f32>, Error> {
        let mut all = Vec::new();
        for name in names {
            all.extend(self.vector(&format!("{name}.bias"))?);
        }
        Ok(all)
    }

    fn affine(&self, names: &[&str]) -> Result<Affine, Error> {
        Ok(Affine { matrix: self.matrix(names)?, bias: self.biases(names)? })
    }

    fn norm(&self, name: &str) -> Result<NormWeights, Error> {
        let norm = self.config.architecture.norm;
        let mut gain = self.vector(&format!("{name}.weight"))?;
        if norm.kind == NormKind::RmsPlusOne {
            gain.iter_mut().for_each(|x| *x += 1.0);
        }
        Ok(NormWeights { kind: norm.kind, eps: norm.eps as f32, gain, bias: self.vector(&format!("{name}.bias"))? })
    }

    fn optional_norm(&self, name: &str, there: bool) -> Result<Option<NormWeights>, Error> {
        there.then(|| self.norm(name)).transpose()
    }

    fn layer(&self, layer: &str) -> Result<LayerWeights, Error> {
        let Architecture { norm, attention, mlp, .. } = &self.config.architecture;
        let name = |part: &str| format!("{layer}.{part}");
        let (q, k, v) = (name("self_attn.q_proj"), name("self_attn.k_proj"), name("self_attn.v_proj"));
        let (gate, up) = (name("mlp.gate_proj"), name("mlp.up_proj"));
        let gate_up: &[&str] = if mlp.gated { &[&gate, &up] } else { &[&up] };
        let qk_gains = (attention.qk_norm != QkNorm::None).then(|| {
            let mut gains =
                (self.vector(&name("self_attn.q_norm.weight"))?, self.vector(&name("self_attn.k_norm.weight"))?);
            if norm.kind == NormKind::RmsPlusOne {
                gains.0.iter_mut().chain(&mut gains.1).for_each(|x| *x += 1.0);
            }
            Ok::<_, Error>(gains)
        });
        let (before, after) = (norm.place.before(), norm.place.after());
        Ok(LayerWeights {
            attention_norm: self.optional_norm(&name("input_layernorm"), before)?,
            q: self.affine(&[&q])?,
            kv: self.affine(&[&k, &v])?,
            qk_gains: qk_gains.transpose()?,
            o: self.affine(&[&name("self_attn.o_proj")])?,
            after_attention: self.optional_norm(&name("after_attention_norm"), after)?,
            mlp_norm: self.optional_norm(&name("post_attention_layernorm"), before)?,
            gate_up: self.affine(gate_up)?,
            down: self.affine(&[&name("mlp.down_proj")])?,
            after_mlp: self.optional_norm(&name("after_mlp_norm"), after)?,
        })
    }
}

/// Products of fewer multiplications than this are not shared between threads.
const WORTH_SHARING: usize = 1 << 21;

fn worth_sharing(numbers: usize, columns: usize) -> bool {
    numbers * columns.clamp(8, 16) >= WORTH_SHARING
}

impl Matrix {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    /// Columns.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many there are.
    pub(crate) fn rows(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len() / piece.format.bytes(self.inputs)).sum()
    }

    fn shape(&self, y: &[f32], columns: usize) -> Linear {
        Linear { outputs: y.len() / columns, inputs: self.inputs, positions: columns }
    }

    /// Row `row` as f32.
    pub(crate) fn row(&self, row: usize, to: &mut [f32]) {
        let mut before = 0;
        for piece in &self.pieces {
            let rows = piece.bytes.len() / piece.format.bytes(self.inputs);
            if row < before + rows {
                let stored = StoredRows { format: piece.format, bytes: &piece.bytes };
                return stored_row(stored, self.inputs, row - before, to);
            }
            before += rows;
        }
    }
}

/// `y = W x + b` in the first `used` of `columns` columns, for maps that read the same x: their rows are shared between
/// the threads all at once.
pub(crate) fn apply_all(maps: &mut [(&Affine, &mut [f32])], (columns, used): (usize, usize), x: &[f32]) {
    apply_matrices(maps, (columns, used), x);
    for (map, y) in maps.iter_mut().filter(|(map, _)| !map.bias.is_empty()) {
        add_bias(&map.bias, columns, y);
    }
}

/// The parts of x, all threads making them, where its products are made of parts.
pub(crate) fn parts_of(x: &[f32], columns: usize) -> Option<Parts> {
    let mut parts = Parts::room(x.len() / columns.max(1), columns)?;
    let shares: Vec<PartsShare<'_>> = parts.shares(4 * rayon::current_num_threads()).collect();
    shares.into_par_iter().for_each(|share| share.make(x));
    Some(parts)
}

/// [`apply_all`] without the biases.
fn apply_matrices(maps: &mut [(&Affine, &mut [f32])], (columns, used): (usize, usize), x: &[f32]) {
    let parts = parts_of(x, columns);
    let input = MapInput { values: x, parts: parts.as_ref(), used };
    let product = |(matrix, format, bytes, y): (&Matrix, Format, &[u8], &mut [f32])| {
        linear_stored(matrix.shape(y, columns), StoredRows { format, bytes }, input, y, Write::Set);
    };
    let outputs: usize = maps.iter().map(|(_, y)| y.len() / columns).sum();
    let inputs = x.len() / columns;
    let threads = rayon::current_num_threads();
    let alone = threads == 1 || !worth_sharing(outputs * inputs, used);
    // A few shares for each thread, so that none waits long for the last; whole tiles, of the tile unit or of registers.
    // Few columns are not packed for each share: there may be more.
    let whole = if parts.is_some() { 32 } else { 48 };
    let each = if columns > NARROW { 3 } else { 8 };
    let rows = if alone { outputs } else { outputs.div_ceil(each * threads).next_multiple_of(whole) };
    let mut shares = Vec::new();
    for (map, y) in maps.iter_mut() {
        let mut rest = &mut **y;
        for piece in &map.matrix.pieces {
            let row_bytes = piece.format.bytes(inputs);
            let (y, later) = rest.split_at_mut(piece.bytes.len() / row_bytes * columns);
            rest = later;
            let parts = piece.bytes.chunks(rows * row_bytes).zip(y.chunks_mut(rows * columns));
            shares.extend(parts.map(|(bytes, y)| (&map.matrix, piece.format, bytes, y)));
        }
    }
    if alone {
        shares.into_iter().for_each(product);
    } else {
        shares.into_par_iter().for_each(product);
    }
}

impl Affine {
    /// [`apply_all`] of this map alone.
    pub(crate) fn apply(&self, columns: (usize, usize), x: &[f32], y: &mut [f32]) {
        apply_all(&mut [(self, y)], columns, x);
    }

    /// `y = W x`.
    pub(crate) fn apply_linear(&self, columns: (usize, usize), x: &[f32], y: &mut [f32]) {
        apply_matrices(&mut [(self, y)], columns, x);
    }

    /// All outputs in slabs of at most about `rows`: the piece each lies in, and which outputs.
    pub(crate) fn slabs(&self, rows: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        // Whole tiles, of registers and of the tile unit.
        let rows = (rows / 96 * 96).max(96);
        let mut from = 0;
        self.matrix.pieces.iter().enumerate().flat_map(move |(number, piece)| {
            let first = from;
            from += piece.bytes.len() / piece.format.bytes(self.matrix.inputs);
            let end = from;
            (first..end).step_by(rows).map(move |start| (number, start..(start + rows).min(end)))
        })
    }

    /// `y = W x + b` for the outputs of one slab, `[rows, columns]`.
    pub(crate) fn apply_slab(
        &self,
        (number, rows): (usize, Range<usize>),
        columns: usize,
        input: MapInput<'_>,
        y: &mut [f32],
    ) {
        let (matrix, piece) = (&self.matrix, &self.matrix.pieces[number]);
        let row_bytes = piece.format.bytes(matrix.inputs);
        let before: usize = matrix.pieces[..number].iter().map(|p| p.bytes.len() / p.format.bytes(matrix.inputs)).sum();
        let bytes = &piece.bytes[(rows.start - before) * row_bytes..(rows.end - before) * row_bytes];
        let stored = StoredRows { format: piece.format, bytes };
        linear_stored(matrix.shape(y, columns), stored, input, y, Write::Set);
        if !self.bias.is_empty() {
            add_bias(&self.bias[rows], columns, y);
        }
    }
}

impl NormWeights {
    /// `y = norm(x)`, both `[channels, columns]`.
    pub(crate) fn apply(&self, columns: usize, x: &[f32], y: &mut [f32]) {
        match self.kind {
            NormKind::Rms | NormKind::RmsPlusOne => {
                let mut inverse = vec![0.0; columns];
                rms_norm(x, &self.gain, self.eps, &mut inverse, y);
            }
            NormKind::Layer | NormKind::LayerPlain => layer_norm(columns, x, &self.gain, &self.bias, self.eps, y),
        }
    }
}
