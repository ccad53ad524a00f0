//! A folder as `transformers` writes it: `config.json` and weights in one safetensors file or several with an index.

use crate::{
    DAMAGED, Error,
    listing::Listing,
    mapped::{self, Mapped},
    safetensors,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const GENERATION: &str = "generation_config.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// No configuration is longer.
pub(crate) const LONGEST_CONFIG: u64 = 1 << 20;
/// No list of tensors is longer.
const LONGEST_INDEX: u64 = 100_000_000;

const OTHER_WEIGHTS: [&str; 4] =
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"];
const TO_SAFETENSORS: &str = "make safetensors of it with transformers: \
    `AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER)`";

/// Reads a JSON file that must be an object.
pub(crate) fn object(path: &Path, limit: u64) -> Result<Value, Error> {
    let bytes = mapped::read(path, limit)?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::damaged(path, "", format!("expected a JSON object, found {e}")))?;
    match value {
        Value::Object(_) => Ok(value),
        other => Err(Error::damaged(path, "", format!("expected a JSON object, found {}", kind(&other)))),
    }
}

/// What a JSON value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Maps the weight files of a folder and lists their tensors.
pub(crate) fn weights(folder: &Path, listing: &mut Listing) -> Result<Vec<Arc<Mapped>>, Error> {
    let (single, index) = (folder.join(WEIGHTS), folder.join(INDEX));
    if index.is_file() {
        return sharded(folder, &index, listing);
    }
    if single.is_file() {
        let file = Mapped::open(&single)?;
        safetensors::list(&file, 0, listing)?;
        return Ok(vec![Arc::new(file)]);
    }
    let problem = format!("expected {WEIGHTS} or {INDEX}, found neither");
    Err(match OTHER_WEIGHTS.iter().find(|name| folder.join(name).is_file()) {
        Some(other) => Error::file(folder, format!("{problem}, but {other}"), TO_SAFETENSORS),
        None => Error::file(folder, problem, "put the model's weights there, or give the folder that has them"),
    })
}

/// Every shard that the index names, with exactly the tensors that it says.
fn sharded(folder: &Path, index: &Path, listing: &mut Listing) -> Result<Vec<Arc<Mapped>>, Error> {
    let places = places(index)?;
    let shards: BTreeSet<&str> = places.values().map(String::as_str).collect();
    let missing: Vec<&str> = shards.iter().copied().filter(|shard| !folder.join(shard).is_file()).collect();
    if let Some(first) = missing.first() {
        let problem =
            format!("expected {} weight files, found {} missing, among them {first}", shards.len(), missing.len());
        return Err(Error::file(index, problem, "put the missing files beside the index; download them again"));
    }
    let mut files = Vec::with_capacity(shards.len());
    for (number, shard) in shards.iter().enumerate() {
        let file = Mapped::open(&folder.join(shard))?;
        safetensors::list(&file, number, listing)?;
        files.push(Arc::new(file));
    }
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    let tensors = listing.tensors.iter().map(|t| (&t.name, t.file));
    for (name, file) in tensors.chain(listing.others.iter().map(|t| (&t.name, t.file))) {
        found.insert(name, shards.iter().nth(file).copied().unwrap_or_default());
    }
    for (name, shard) in &places {
        let other = found.get(name.as_str()).copied();
        if other != Some(shard.as_str()) {
            let found = other.map_or("found it nowhere".into(), |other| format!("found it in {other}"));
            let problem = format!("expected it in {shard}, as the index says, {found}");
            return Err(Error::part(index, &format!("tensor `{name}`"), problem, DAMAGED));
        }
    }
    Ok(files)
}

/// Tensor -> file name, as the index has it.
pub(crate) fn places(index: &Path) -> Result<BTreeMap<String, String>, Error> {
    let value = object(index, LONGEST_INDEX)?;
    let Some(map) = value.get("weight_map").and_then(Value::as_object) else {
        let found = value.get("weight_map").map_or("no such key", kind);
        return Err(Error::damaged(index, "key `weight_map`", format!("expected an object, found {found}")));
    };
    let mut places = BTreeMap::new();
    for (name, shard) in map {
        // A plain file name: an index may not point out of its folder.
        let plain = shard.as_str().filter(|shard| Path::new(shard).file_name().is_some_and(|name| name == *shard));
        let Some(shard) = plain else {
            let problem = format!("expected the name of a file beside the index, found {shard}");
            return Err(Error::damaged(index, &format!("tensor `{name}`"), problem));
        };
        places.insert(name.clone(), shard.to_owned());
    }
    Ok(places)
}

/// The folder of a weight file: one that the folder's model consists of.
pub(crate) fn of_weights(path: &Path) -> Result<&Path, Error> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let problem = if !path.is_file() {
        format!("expected a file, found {}", if path.exists() { "something else" } else { "none" })
    } else if !folder.join(CONFIG).is_file() {
        format!("expected {CONFIG} beside it, found none")
    } else if folder.join(INDEX).is_file() || name == WEIGHTS {
        return Ok(folder);
    } else {
        format!("expected the name {WEIGHTS}, found {name}")
    };
    Err(Error::file(path, problem, format!("put {CONFIG} and {WEIGHTS} into one folder and give that")))
}

/// The only GGUF file of a folder that has no `config.json`.
pub(crate) fn only_gguf(folder: &Path) -> Result<PathBuf, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::reading(folder))? {
        let path = entry.map_err(Error::reading(folder))?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::file(
            folder,
            format!("expected {CONFIG} with {WEIGHTS}, or a GGUF file, found neither"),
            "give a folder that has a model, or the file itself",
        )),
        [first, ..] => {
            let problem = format!("expected one GGUF file, found {}, among them {}", found.len(), first.display());
            Err(Error::file(folder, problem, "give the path of one of them"))
        }
    }
}
