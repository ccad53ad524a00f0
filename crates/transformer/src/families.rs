//! Models of others: what their description means as a [`Config`], and which of their tensors are which of ours.
//!
//! A family is a value ([`crate::Architecture`]) and a table of names; there is no code for one family alone but the
//! reading of its description.

mod gguf;
mod hugging_face;
pub(crate) mod json;
mod names;

pub(crate) use hugging_face::{eurobert, llama};

use crate::{Config, Error, Format, Model, Piece, Source, config::Tensor};
use bytes::Bytes;
use names::{Names, Place};
use saltus_checkpoint::{Checkpoint, Description, Dtype, TensorView};
use saltus_compute::expand;
use std::sync::Arc;

/// A described model: what it is, and where its tensors lie.
struct Described {
    config: Config,
    names: Names,
}

/// What a checkpoint's description means.
///
/// # Errors
/// An architecture that is not known, a description that lacks something or contradicts itself.
pub fn config_of(checkpoint: &Checkpoint) -> Result<Config, Error> {
    describe(checkpoint).map(|described| described.config)
}

/// The families that are known, by their `model_type` in `config.json`.
pub fn known_families() -> &'static [&'static str] {
    hugging_face::KNOWN
}

fn describe(checkpoint: &Checkpoint) -> Result<Described, Error> {
    let described = match checkpoint.description() {
        Description::HuggingFace(json) => hugging_face::describe(json),
        Description::Gguf(metadata) => gguf::describe(metadata, checkpoint),
        Description::Llama2c(header) => Ok(gguf::describe_llama2c(header)),
    };
    let malformed = |problem| {
        let remedy = "give a model of a family in the guide \"Bring your own models\", with its own description";
        Error::malformed(checkpoint.path(), problem, remedy)
    };
    let described = described.map_err(malformed)?;
    match described.config.problem() {
        Some(problem) => Err(malformed(problem)),
        None => Ok(described),
    }
}

impl Model {
    /// A model as its files hold it: nothing of its matrices is copied, and nothing of them is read yet.
    ///
    /// # Errors
    /// An unknown architecture, or a tensor that is missing or of another shape than the description says.
    pub fn open(checkpoint: Arc<Checkpoint>) -> Result<Self, Error> {
        let Described { config, names } = describe(&checkpoint)?;
        let source = Files { checkpoint: Arc::clone(&checkpoint), names, config: config.clone() };
        Ok(Model { files: Some(checkpoint), ..Model::new(config, &source)? })
    }

    /// Why its logits are no numbers, as far as its files say it: all of them are read.
    pub(crate) fn why_unsound(&self) -> String {
        let bad = self.files.iter().find_map(|files| files.tensors().find_map(|tensor| no_number(files, &tensor)));
        bad.unwrap_or_else(|| {
            "its weights are numbers, so that an activation must overflow: look at it with another type of weights"
                .into()
        })
    }
}

/// The first value of a tensor that is no number, with its place.
fn no_number(files: &Checkpoint, tensor: &TensorView<'_>) -> Option<String> {
    let format = format(tensor.dtype);
    let (numbers, size) = format.block();
    let at_once = 4096 / numbers;
    let mut values = vec![0.0f32; at_once * numbers];
    for (chunk, bytes) in tensor.bytes.chunks(at_once * size).enumerate() {
        let values = &mut values[..bytes.len() / size * numbers];
        expand(format, bytes, values);
        if let Some((at, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let (name, at, path) = (tensor.name, chunk * at_once * numbers + at, files.path().display());
            return Some(format!("{path}: tensor `{name}`: value {at} is {value}: get the file again"));
        }
    }
    None
}

struct Files {
    checkpoint: Arc<Checkpoint>,
    names: Names,
    config: Config,
}

/// The bytes of one tensor, which keep its files open.
struct Held {
    checkpoint: Arc<Checkpoint>,
    name: String,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.checkpoint.tensor(&self.name).map_or(&[], |tensor| tensor.bytes)
    }
}

impl Source for Files {
    fn pieces(&self, tensor: &Tensor) -> Result<Vec<Piece>, Error> {
        let Place { name, rows, of, turned } = self.names.place(&self.config, tensor);
        let name = self.names.first_there(&self.checkpoint, &name);
        let inputs = tensor.shape.get(1).copied();
        let shape: Vec<usize> = match inputs {
            Some(inputs) if turned => vec![inputs, of],
            Some(inputs) => vec![of, inputs],
            None => vec![of],
        };
        let view = self.checkpoint.expect(&name, &shape).map_err(|e| Error::Checkpoint(Box::new(e)))?;
        let format = format(view.dtype);
        if turned {
            let all = 0..of;
            return Ok(vec![turn(&view, format, rows.as_deref().unwrap_or(std::slice::from_ref(&all)))]);
        }
        let held = Bytes::from_owner(Held { checkpoint: Arc::clone(&self.checkpoint), name: name.clone() });
        let Some(rows) = rows else { return Ok(vec![Piece { format, bytes: held }]) };
        let inputs = inputs.unwrap_or(1);
        if !inputs.is_multiple_of(format.block().0) {
            let problem = format!("tensor {name} is {} and must be cut within a block", view.dtype.name());
            return Err(Error::malformed(self.checkpoint.path(), problem, "convert it with this tensor in F16 or F32"));
        }
        let row = format.bytes(inputs);
        Ok(rows.iter().map(|r| Piece { format, bytes: held.slice(r.start * row..r.end * row) }).collect())
    }
}

/// Some columns of a matrix that is stored `[inputs, outputs]`, as rows.
fn turn(view: &TensorView<'_>, format: Format, columns: &[std::ops::Range<usize>]) -> Piece {
    // Blocks lie along the wrong way: only plain numbers are stored like this.
    let size = format.block().1;
    let (inputs, outputs) = (view.shape[0], view.shape[1]);
    let count: usize = columns.iter().map(ExactSizeIterator::len).sum();
    let mut bytes = Vec::with_capacity(inputs * count * size);
    for column in columns.iter().cloned().flatten() {
        for row in 0..inputs {
            bytes.extend_from_slice(&view.bytes[(row * outputs + column) * size..][..size]);
        }
    }
    Piece { format, bytes: bytes.into() }
}

fn format(dtype: Dtype) -> Format {
    match dtype {
        Dtype::F32 => Format::F32,
        Dtype::F16 => Format::F16,
        Dtype::BF16 => Format::BF16,
        Dtype::Q4_0 => Format::Q4_0,
        Dtype::Q4_1 => Format::Q4_1,
        Dtype::Q5_0 => Format::Q5_0,
        Dtype::Q5_1 => Format::Q5_1,
        Dtype::Q8_0 => Format::Q8_0,
        Dtype::Q2K => Format::Q2K,
        Dtype::Q3K => Format::Q3K,
        Dtype::Q4K => Format::Q4K,
        Dtype::Q5K => Format::Q5K,
        Dtype::Q6K => Format::Q6K,
    }
}
