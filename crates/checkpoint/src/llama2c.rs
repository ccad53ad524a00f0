//! The format of llama2.c (version 0): seven numbers, then F32 weights one after the other.

use crate::{
    DAMAGED, Dtype, Error,
    listing::{Entry, Listing},
    mapped::Mapped,
};
use std::path::Path;

/// What a llama2.c file says of its model: its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Llama2cHeader {
    /// Width of the residual stream.
    pub dim: usize,
    /// Width inside the feed-forward layer.
    pub hidden_dim: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// The longest sequence.
    pub context: usize,
    /// The classifier is the embedding. (In the file: the vocabulary's size is positive.)
    pub tied: bool,
}

/// Bytes of the header.
const HEADER: usize = 28;
/// More layers than any model has.
const MOST_LAYERS: usize = 1000;
/// How files of the later versions begin.
const MAGIC_OF_LATER: u32 = 0x616b_3432;
const FIELDS: [&str; 7] = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"];
const NOT_ONE: &str = "give a llama2.c checkpoint of version 0 (`export.py --version 0`), a GGUF file or a folder";

/// Reads the header and lists the tensors of a mapped file.
pub(crate) fn list(file: &Mapped, listing: &mut Listing) -> Result<Llama2cHeader, Error> {
    let header = header(&file.path, file.bytes())?;
    let mut layout = Layout { listing, at: Some(HEADER) };
    tensors(&header, &mut layout);
    let (expected, found) = (layout.at, file.bytes().len());
    if expected == Some(found) {
        return Ok(header);
    }
    let expected = expected.map_or("more bytes than can be counted".into(), |n| format!("{n} bytes"));
    Err(Error::damaged(&file.path, "", format!("expected {expected} by the header ({header:?}), found {found}")))
}

fn header(path: &Path, bytes: &[u8]) -> Result<Llama2cHeader, Error> {
    let Some(bytes) = bytes.first_chunk::<HEADER>() else {
        let problem = format!("expected the {HEADER} bytes of a llama2.c header, found {}", bytes.len());
        return Err(Error::file(path, problem, DAMAGED));
    };
    let field = |i: usize| i32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
    if field(0) as u32 == MAGIC_OF_LATER {
        let problem = format!("expected llama2.c's version 0, found its version {}", field(1));
        return Err(Error::file(path, problem, NOT_ONE));
    }
    let size = |i: usize| {
        let value = if i == 5 { field(i).unsigned_abs() as usize } else { field(i).max(0) as usize };
        if value > 0 { Ok(value) } else { Err(at(path, i, format!("expected more than 0, found {}", field(i)))) }
    };
    let header = Llama2cHeader {
        dim: size(0)?,
        hidden_dim: size(1)?,
        layers: size(2)?,
        heads: size(3)?,
        kv_heads: size(4)?,
        vocabulary: size(5)?,
        context: size(6)?,
        tied: field(5) > 0,
    };
    if header.layers > MOST_LAYERS {
        return Err(at(path, 2, format!("expected at most {MOST_LAYERS}, found {}", header.layers)));
    }
    if !header.dim.is_multiple_of(header.heads) || !(header.dim / header.heads).is_multiple_of(2) {
        let problem = format!("expected {} to be a multiple of twice the {} heads", header.dim, header.heads);
        return Err(at(path, 0, problem));
    }
    if !header.heads.is_multiple_of(header.kv_heads) {
        return Err(at(
            path,
            4,
            format!("expected a divisor of the {} heads, found {}", header.heads, header.kv_heads),
        ));
    }
    Ok(header)
}

fn at(path: &Path, field: usize, problem: String) -> Error {
    Error::part(path, &format!("header field {}", FIELDS[field]), problem, NOT_ONE)
}

/// Where the next tensor begins; `None` once that is more than can be counted.
struct Layout<'a> {
    listing: &'a mut Listing,
    at: Option<usize>,
}

impl Layout<'_> {
    /// The bytes from here on that a tensor of this shape takes.
    fn take(&mut self, shape: &[usize]) -> Option<std::ops::Range<usize>> {
        let begin = self.at?;
        self.at = Dtype::F32.bytes(shape).ok().and_then(|bytes| begin.checked_add(bytes));
        Some(begin..self.at?)
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) {
        if let Some(range) = self.take(shape) {
            let (name, shape) = (name.to_owned(), shape.into());
            self.listing.tensors.push(Entry { name, dtype: Dtype::F32, shape, file: 0, range });
        }
    }

    /// One tensor of each layer, stored together.
    fn layers(&mut self, layers: usize, name: &str, shape: &[usize]) {
        for layer in 0..layers {
            self.tensor(&format!("layers.{layer}.{name}"), shape);
        }
    }
}

/// The tensors in the order of the file, by Meta's names.
fn tensors(header: &Llama2cHeader, layout: &mut Layout) {
    let Llama2cHeader { dim, hidden_dim: hidden, layers, heads, kv_heads, vocabulary, context, tied } = *header;
    let kv = dim / heads * kv_heads;
    layout.tensor("tok_embeddings.weight", &[vocabulary, dim]);
    for (name, shape) in [
        ("attention_norm.weight", &[dim] as &[usize]),
        ("attention.wq.weight", &[dim, dim]),
        ("attention.wk.weight", &[kv, dim]),
        ("attention.wv.weight", &[kv, dim]),
        ("attention.wo.weight", &[dim, dim]),
        ("ffn_norm.weight", &[dim]),
        ("feed_forward.w1.weight", &[hidden, dim]),
        ("feed_forward.w2.weight", &[dim, hidden]),
        ("feed_forward.w3.weight", &[hidden, dim]),
    ] {
        layout.layers(layers, name, shape);
    }
    layout.tensor("norm.weight", &[dim]);
    // Cosines and sines of the rotation, which everyone computes anew.
    layout.take(&[context, dim / heads]);
    if !tied {
        layout.tensor("output.weight", &[vocabulary, dim]);
    }
}
