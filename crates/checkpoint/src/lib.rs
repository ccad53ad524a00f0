//! Model files of others: tensors as they are stored, the description as it is found, the tokenizer. Knows no
//! architecture's arithmetic and computes nothing: what the names and numbers mean is for others to say.
//!
//! [`Checkpoint::open`] takes a folder as `transformers` writes it, a GGUF file, or a llama2.c file; [`resolve`] finds
//! or fetches a model by its name on the Hugging Face Hub first.
//!
//! # Trust
//! A model's files may come from anyone. Every count, offset and length is checked against the size of its file before
//! anything is allocated or read by it, and what is wrong is an [`Error`] that names file, tensor, expected and found.
//! Files are never executed: pickled weights (`pytorch_model.bin`) are refused.
//!
//! # Files that change
//! Weights are mapped into memory, as every program that loads large models does: opening takes milliseconds, and the
//! memory is the system's page cache, shared between processes. The price: while a [`Checkpoint`] is open its files must
//! not be written to in place. Another program that does so changes weights under a running measurement, and one that
//! cuts a file short ends this process with SIGBUS (a page that is no longer there can't be read); no check can rule
//! that out, and locks bind only programs that ask for them. Replacing a file by renaming another over it, which is how
//! Saltus, `transformers` and the Hub's clients write, is safe: the old file stays mapped until it is let go.
//!
//! # Alignment
//! A tensor's bytes begin wherever its file puts them: in safetensors at any byte. Nothing may assume alignment.

mod dtype;
mod error;
mod folder;
mod gguf;
mod hub;
mod listing;
mod llama2c;
mod mapped;
mod safetensors;
mod tokenizer;

pub use dtype::Dtype;
pub use error::Error;
pub use gguf::{Array, Metadata, Value};
pub use hub::{Hub, Progress, resolve};
pub use llama2c::Llama2cHeader;
pub use tokenizer::{Beginning, FileTokenizer};

pub(crate) use error::DAMAGED;

use listing::Listing;
use mapped::Mapped;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// A tensor as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorView<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its values are stored.
    pub dtype: Dtype,
    /// Outermost dimension first, row-major (the order of a GGUF file's description is reversed).
    pub shape: &'a [usize],
    /// Its bytes in the mapped file, of any alignment, little-endian: exactly as many as `dtype` and `shape` say.
    pub bytes: &'a [u8],
}

/// What a model's files say about it.
#[derive(Clone, Debug)]
pub enum Description {
    /// `config.json`, an object.
    HuggingFace(serde_json::Value),
    /// A GGUF file's metadata.
    Gguf(Metadata),
    /// A llama2.c file's header. Its tensors go by Meta's names (`tok_embeddings.weight`,
    /// `layers.0.attention.wq.weight`, `layers.0.feed_forward.w1.weight`, `norm.weight`, `output.weight` where it is not
    /// tied), and queries and keys are stored for Meta's rotation of neighbouring pairs, as in a GGUF file of a Llama
    /// and unlike in a `transformers` folder, where halves of a head are rotated against each other.
    Llama2c(Llama2cHeader),
}

/// An open model: its weights mapped, its description read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    description: Description,
    listing: Listing,
    weights: Vec<Arc<Mapped>>,
    /// `config.json`, where there is one.
    config: Option<PathBuf>,
    identity: OnceLock<String>,
}

impl Checkpoint {
    /// Opens a folder (`config.json` with `model.safetensors` or a sharded index; or one GGUF file), a GGUF file, a
    /// safetensors file beside its `config.json`, or a llama2.c file. Reads headers only; what is wrong with them is an
    /// error, so that every tensor of an open checkpoint is whole.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return if path.join(folder::CONFIG).exists() {
                Self::open_folder(path)
            } else {
                Self::open(&folder::only_gguf(path)?)
            };
        }
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            return Self::open_folder(folder::of_weights(path)?);
        }
        let file = Arc::new(Mapped::open(path)?);
        let mut listing = Listing::default();
        let description = if file.bytes().starts_with(gguf::MAGIC) {
            Description::Gguf(gguf::list(&file, &mut listing)?)
        } else if path.extension().is_some_and(|extension| extension == "bin") {
            Description::Llama2c(llama2c::list(&file, &mut listing)?)
        } else {
            let begin = &file.bytes()[..file.bytes().len().min(8)];
            let problem = format!(
                "expected a GGUF or llama2.c (.bin) file, found one that begins with \"{}\"",
                begin.escape_ascii()
            );
            return Err(Error::file(
                path,
                problem,
                "give a folder with config.json and model.safetensors, or such a file",
            ));
        };
        Self::assembled(path, description, listing, vec![file], None)
    }

    fn open_folder(folder: &Path) -> Result<Self, Error> {
        let config = folder.join(folder::CONFIG);
        let description = Description::HuggingFace(folder::object(&config, folder::LONGEST_CONFIG)?);
        let mut listing = Listing::default();
        let weights = folder::weights(folder, &mut listing)?;
        Self::assembled(folder, description, listing, weights, Some(config))
    }

    fn assembled(
        path: &Path,
        description: Description,
        mut listing: Listing,
        weights: Vec<Arc<Mapped>>,
        config: Option<PathBuf>,
    ) -> Result<Self, Error> {
        listing.sort(|file| weights.get(file).map_or_else(PathBuf::new, |weights| weights.path.clone()))?;
        if listing.tensors.is_empty() {
            let problem = format!("expected weights, found {} tensors, none of floats", listing.others.len());
            return Err(Error::file(path, problem, "give a model's file"));
        }
        Ok(Checkpoint { path: path.into(), description, listing, weights, config, identity: OnceLock::new() })
    }

    /// What was opened: a folder or a file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the files say about the model.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Every tensor of floats, sorted by name. Masks and position numbers, which some folders hold as tensors of
    /// integers, are left out.
    pub fn tensors(&self) -> impl Iterator<Item = TensorView<'_>> {
        self.listing.tensors.iter().map(|entry| self.view(entry))
    }

    /// The tensor of this name, if there is one of floats.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.listing.get(name).map(|entry| self.view(entry))
    }

    /// The tensor of this name and shape. Errors: there is none, it is of a type that can't be computed with, or it has
    /// another shape.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<TensorView<'_>, Error> {
        let part = format!("tensor `{name}`");
        let Some(tensor) = self.tensor(name) else {
            return Err(match self.listing.others.iter().find(|other| other.name == name) {
                Some(other) => Error::part(
                    &self.weights[other.file].path,
                    &part,
                    format!("expected F32, F16 or BF16, found {} of shape {:?}", other.dtype, other.shape),
                    "convert the weights to one of these",
                ),
                None => Error::part(
                    &self.path,
                    &part,
                    format!("expected shape {shape:?}, found no such tensor among {}", self.listing.tensors.len()),
                    DAMAGED,
                ),
            });
        };
        if tensor.shape == shape {
            Ok(tensor)
        } else {
            let problem = format!("expected shape {shape:?}, found {:?}", tensor.shape);
            Err(Error::part(
                &self.path,
                &part,
                problem,
                "the description and the weights are of two models; give both of one",
            ))
        }
    }

    fn view<'a>(&'a self, entry: &'a listing::Entry) -> TensorView<'a> {
        let bytes = &self.weights[entry.file].bytes()[entry.range.clone()];
        TensorView { name: &entry.name, dtype: entry.dtype, shape: &entry.shape, bytes }
    }

    /// The files that hold the description and the weights, with their sizes in bytes.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let config = self.config.iter().map(|path| (path.clone(), std::fs::metadata(path).map_or(0, |m| m.len())));
        config.chain(self.weights.iter().map(|file| (file.path.clone(), file.bytes().len() as u64))).collect()
    }

    /// BLAKE3 over the description and every byte of the weights, in hex: the same for the same model wherever it lies.
    /// The first call reads all files (on all threads); later ones remember.
    pub fn identity(&self) -> String {
        let compute = || {
            let mut hasher = blake3::Hasher::new();
            if let Description::HuggingFace(config) = &self.description {
                // As a value, not as text: white space does not make another model.
                hasher.update(config.to_string().as_bytes());
            }
            for file in &self.weights {
                hasher.update(&(file.bytes().len() as u64).to_le_bytes());
                hasher.update_rayon(file.bytes());
            }
            hasher.finalize().to_hex().to_string()
        };
        self.identity.get_or_init(compute).clone()
    }

    /// The model's tokenizer: of a folder its `tokenizer.json`, of a GGUF file its own, of a llama2.c file the
    /// `tokN.bin` (N the vocabulary) or `tokenizer.bin` beside it.
    pub fn tokenizer(&self) -> Result<FileTokenizer, Error> {
        match &self.description {
            Description::HuggingFace(config) => FileTokenizer::from_folder(&self.path_of_folder(), config),
            Description::Gguf(metadata) => FileTokenizer::from_gguf(metadata),
            Description::Llama2c(header) => FileTokenizer::beside_llama2c(&self.path, header.vocabulary),
        }
    }

    fn path_of_folder(&self) -> PathBuf {
        self.config.as_deref().and_then(Path::parent).unwrap_or(&self.path).to_owned()
    }
}
