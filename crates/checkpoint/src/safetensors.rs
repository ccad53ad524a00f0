//! The safetensors format: the length of a header, the header (JSON), then the tensors' bytes without holes.
//!
//! Our own reader, because the `safetensors` crate says which tensor is at fault but not what was expected and found, and
//! lets the later of two tensors of one name win. The tests hold it against the crate.

use crate::{
    Error,
    dtype::Dtype,
    listing::{Entry, Listing, Other, overlap},
    mapped::{Mapped, utf8},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, ops::Range, path::Path};

/// The longest header, as in the `safetensors` crate.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes of the header's length.
const PREFIX: usize = 8;
/// More dimensions than any model's tensor has.
const MOST_DIMENSIONS: usize = 8;

/// What is not a tensor: the writer's remarks.
const REMARKS: &str = "__metadata__";

/// Storage of safetensors that is none of a model's weights here: names and bits of a value.
const OTHER_TYPES: &[(&str, usize)] = &[
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("I32", 32),
    ("U32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The header's tensors in the order of the file, so that two of one name are seen.
struct Header(Vec<(String, Info)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object with a description for each tensor")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut entries, mut remarks) = (Vec::new(), false);
                while let Some(name) = map.next_key::<String>()? {
                    if name == REMARKS {
                        map.next_value::<Option<BTreeMap<String, String>>>()?;
                        if std::mem::replace(&mut remarks, true) {
                            return Err(A::Error::duplicate_field(REMARKS));
                        }
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Adds the tensors of a mapped file, number `index` among the checkpoint's files, to `listing`.
pub(crate) fn list(file: &Mapped, index: usize, listing: &mut Listing) -> Result<(), Error> {
    let (path, bytes) = (&file.path, file.bytes());
    let (header, data) = header(path, bytes)?;
    let mut ranges: Vec<(Range<usize>, String)> = Vec::with_capacity(header.0.len());
    for (name, info) in header.0 {
        let part = format!("tensor `{name}`");
        let range = range(path, &part, &info, data.clone())?;
        ranges.push((range.clone(), name.clone()));
        match Dtype::ALL.into_iter().find(|dtype| dtype.name() == info.dtype && dtype.block_len() == 1) {
            Some(dtype) => listing.tensors.push(Entry { name, dtype, shape: info.shape.into(), file: index, range }),
            None => listing.others.push(Other { name, dtype: info.dtype, shape: info.shape.into(), file: index }),
        }
    }
    overlap(path, &mut ranges)?;
    whole(path, &ranges, data)
}

/// The parsed header and where the tensors' bytes are.
fn header(path: &Path, bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
        let problem = format!("expected at least {PREFIX} bytes of a safetensors file, found {}", bytes.len());
        return Err(Error::damaged(path, "", problem));
    };
    let length = u64::from_le_bytes(*prefix);
    if length > LONGEST_HEADER || length > rest.len() as u64 {
        let most = LONGEST_HEADER.min(rest.len() as u64);
        let problem =
            format!("expected a safetensors header of at most {most} bytes, found its length given as {length}");
        return Err(Error::damaged(path, "", problem));
    }
    let length = length as usize;
    // A copy, so that what is checked is what is used, whatever happens to the file.
    let text = utf8(path, "header", &rest[..length])?;
    let header = serde_json::from_str(&text).map_err(|e| {
        Error::damaged(path, "", format!("expected a safetensors header that describes each tensor, found {e}"))
    })?;
    Ok((header, PREFIX + length..bytes.len()))
}

/// Where in the file a tensor's bytes are, once its type, shape, offsets and the file's length agree.
fn range(path: &Path, part: &str, info: &Info, data: Range<usize>) -> Result<Range<usize>, Error> {
    let (begin, end) = info.data_offsets;
    if info.shape.len() > MOST_DIMENSIONS {
        let problem = format!("expected at most {MOST_DIMENSIONS} dimensions, found {}", info.shape.len());
        return Err(Error::damaged(path, part, problem));
    }
    if begin > end || end > data.len() {
        let problem = format!("expected offsets within the {} bytes of tensors, found {begin} to {end}", data.len());
        return Err(Error::damaged(path, part, problem));
    }
    let expected = bytes(&info.dtype, &info.shape).map_err(|problem| Error::damaged(path, part, problem))?;
    if end - begin != expected {
        let (dtype, shape) = (&info.dtype, &info.shape);
        let problem = format!("expected {expected} bytes for {dtype} of shape {shape:?}, found {}", end - begin);
        return Err(Error::damaged(path, part, problem));
    }
    Ok(data.start + begin..data.start + end)
}

/// Bytes of a tensor of a type of the format.
fn bytes(dtype: &str, shape: &[usize]) -> Result<usize, String> {
    let bits = match dtype {
        "F32" => Some(32),
        "F16" | "BF16" => Some(16),
        _ => OTHER_TYPES.iter().find(|(name, _)| *name == dtype).map(|(_, bits)| *bits),
    };
    let bits = bits.ok_or_else(|| format!("expected a type of the safetensors format, found `{dtype}`"))?;
    let total = shape.iter().try_fold(bits, |product, &n| product.checked_mul(n));
    let total = total.ok_or_else(|| format!("shape {shape:?} has more values than can be counted"))?;
    if total.is_multiple_of(8) {
        Ok(total / 8)
    } else {
        Err(format!("expected whole bytes, found {total} bits for {dtype} of shape {shape:?}"))
    }
}

/// The format leaves no bytes without a tensor: what is left over was meant to be one. `ranges` are in order.
fn whole(path: &Path, ranges: &[(Range<usize>, String)], data: Range<usize>) -> Result<(), Error> {
    let mut end = data.start;
    for (range, name) in ranges {
        if range.start != end {
            let problem = format!(
                "expected its bytes at offset {}, found {} bytes of no tensor before it",
                end - data.start,
                range.start - end
            );
            return Err(Error::damaged(path, &format!("tensor `{name}`"), problem));
        }
        end = range.end;
    }
    if end == data.end {
        Ok(())
    } else {
        let problem = format!("expected {} bytes of tensors, found {}", end - data.start, data.len());
        Err(Error::damaged(path, "", problem))
    }
}
