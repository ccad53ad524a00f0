//! The GGUF format, versions 2 and 3: metadata by key, tensor descriptions, then aligned tensor data.
//!
//! Specification: `docs/gguf.md` of ggml. Nothing is allocated that the file's own length does not account for: a count is
//! held against the bytes left before anything is read by it.

mod metadata;
mod reader;

pub use metadata::{Array, Metadata, Value};

use crate::{
    Dtype, Error,
    listing::{Entry, Listing, overlap},
    mapped::Mapped,
};
use reader::Reader;
use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc};

/// How a file begins.
pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
/// Where nothing else is said.
const ALIGNMENT: u64 = 32;
/// More dimensions than ggml has.
const MOST_DIMENSIONS: u32 = 4;
/// Bytes of the shortest tensor description: length of the name, dimensions, one size, type, offset.
const SHORTEST_TENSOR: u64 = 8 + 4 + 8 + 4 + 8;
/// Bytes of the shortest metadata entry: length of the key, type, value.
const SHORTEST_ENTRY: u64 = 8 + 4 + 1;

const NO_SPLIT: &str = "join the parts with llama.cpp's `gguf-split --merge` and give the whole";
const CONVERT_AGAIN: &str =
    "convert the model again to F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 or Q2_K to Q6_K (llama.cpp's `quantize`)";

/// A tensor as described, its offset still unchecked.
struct Info {
    name: String,
    dtype: Dtype,
    shape: Box<[usize]>,
    offset: u64,
}

/// Reads the metadata and lists the tensors of a mapped file.
pub(crate) fn list(file: &Arc<Mapped>, listing: &mut Listing) -> Result<Metadata, Error> {
    let path = &file.path;
    let mut reader = Reader::new(path, file.bytes());
    version(path, &mut reader)?;
    let tensors = reader.count("number of tensors", SHORTEST_TENSOR)?;
    let entries = reader.count("number of metadata entries", SHORTEST_ENTRY)?;
    let mut values = BTreeMap::new();
    for index in 0..entries {
        let (key, value) = metadata::entry(&mut reader, index)?;
        if values.contains_key(&key) {
            let problem = "expected one entry of this key, found two";
            return Err(Error::damaged(path, &format!("metadata `{key}`"), problem));
        }
        values.insert(key, value);
    }
    let metadata = Metadata::new(file.clone(), values);
    if metadata.get("split.count").is_some_and(|value| value.unsigned() != Some(1)) {
        let problem = "expected a whole model, found a part of one that was split";
        return Err(Error::part(path, "metadata `split.count`", problem, NO_SPLIT));
    }
    let mut infos = Vec::new();
    for index in 0..tensors {
        infos.push(info(&mut reader, index)?);
    }
    let alignment = alignment(path, &metadata)?;
    let start = (reader.at() as u64).next_multiple_of(alignment);
    let mut ranges = Vec::with_capacity(infos.len());
    for info in infos {
        let range = range(path, &info, alignment, start, file.bytes().len() as u64)?;
        ranges.push((range.clone(), info.name.clone()));
        listing.tensors.push(Entry { name: info.name, dtype: info.dtype, shape: info.shape, file: 0, range });
    }
    overlap(path, &mut ranges)?;
    Ok(metadata)
}

fn version(path: &Path, reader: &mut Reader) -> Result<(), Error> {
    let magic: [u8; 4] = reader.take("magic")?;
    if &magic != MAGIC {
        let problem = format!("expected it to begin with `GGUF`, found {:?}", magic.escape_ascii().to_string());
        return Err(Error::file(path, problem, "give a GGUF file"));
    }
    let remedy = "convert the model again with a current llama.cpp, on a little-endian machine";
    match reader.u32("version")? {
        2 | 3 => Ok(()),
        swapped if (1..=3).contains(&swapped.swap_bytes()) => {
            Err(Error::file(path, "expected a little-endian file, found a big-endian one", remedy))
        }
        other => Err(Error::file(path, format!("expected GGUF version 2 or 3, found {other}"), remedy)),
    }
}

fn alignment(path: &Path, metadata: &Metadata) -> Result<u64, Error> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(ALIGNMENT) };
    match value.unsigned().filter(|n| n.is_power_of_two() && *n <= 1 << 20) {
        Some(alignment) => Ok(alignment),
        None => {
            let problem = format!("expected a power of two up to 1048576, found {value}");
            Err(Error::damaged(path, "metadata `general.alignment`", problem))
        }
    }
}

fn info(reader: &mut Reader, index: u64) -> Result<Info, Error> {
    let path = reader.path();
    let name = reader.text(&format!("name of tensor {index}"))?;
    let part = format!("tensor `{name}`");
    let dimensions = reader.u32(&part)?;
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        let problem = format!("expected 1 to {MOST_DIMENSIONS} dimensions, found {dimensions}");
        return Err(Error::damaged(path, &part, problem));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = reader.u64(&part)?;
        match usize::try_from(size) {
            Ok(size) if size > 0 => shape.push(size),
            _ => return Err(Error::damaged(path, &part, format!("expected sizes of at least 1, found {size}"))),
        }
    }
    // The file has the fastest dimension first.
    shape.reverse();
    let number = reader.u32(&part)?;
    let dtype = dtype(number).ok_or_else(|| {
        let problem = format!("expected a tensor type that can be computed with, found {}", type_name(number));
        Error::part(path, &part, problem, CONVERT_AGAIN)
    })?;
    let offset = reader.u64(&part)?;
    Ok(Info { name, dtype, shape: shape.into(), offset })
}

fn range(path: &Path, info: &Info, alignment: u64, start: u64, length: u64) -> Result<Range<usize>, Error> {
    let part = format!("tensor `{}`", info.name);
    let bytes = info.dtype.bytes(&info.shape).map_err(|problem| Error::damaged(path, &part, problem))?;
    if !info.offset.is_multiple_of(alignment) {
        let problem = format!("expected an offset that is a multiple of {alignment}, found {}", info.offset);
        return Err(Error::damaged(path, &part, problem));
    }
    let begin = start.checked_add(info.offset);
    match begin.and_then(|begin| Some((begin, begin.checked_add(bytes as u64)?))) {
        Some((begin, end)) if end <= length => Ok(begin as usize..end as usize),
        _ => {
            let (dtype, shape, offset) = (info.dtype.name(), &info.shape, info.offset);
            let problem = format!(
                "expected {bytes} bytes for {dtype} of shape {shape:?} at {start} + {offset}, found a file of {length} bytes"
            );
            Err(Error::damaged(path, &part, problem))
        }
    }
}

/// ggml's numbers of the types that can be computed with.
fn dtype(number: u32) -> Option<Dtype> {
    Some(match number {
        0 => Dtype::F32,
        1 => Dtype::F16,
        2 => Dtype::Q4_0,
        3 => Dtype::Q4_1,
        6 => Dtype::Q5_0,
        7 => Dtype::Q5_1,
        8 => Dtype::Q8_0,
        10 => Dtype::Q2K,
        11 => Dtype::Q3K,
        12 => Dtype::Q4K,
        13 => Dtype::Q5K,
        14 => Dtype::Q6K,
        30 => Dtype::BF16,
        _ => return None,
    })
}

/// ggml's names of the types that can't.
fn type_name(number: u32) -> String {
    let name = match number {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("the unknown type {number}"),
    };
    name.into()
}
