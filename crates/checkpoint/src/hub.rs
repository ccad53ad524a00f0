//! Models by name from the Hugging Face Hub, through the cache that Hugging Face's own tools use.
//!
//! The cache's layout is `huggingface_hub`'s: `models--ORG--NAME/{refs/REVISION, blobs/HASH, snapshots/COMMIT/FILE}`, so
//! that what `transformers` has downloaded is found here and the other way round. What is complete in the cache is used
//! without asking the network: a study computes the same thing tomorrow. (Remove `refs/main` to follow a branch.)
//!
//! A client of our own: the `hf-hub` crate brings either an asynchronous runtime or another set of root certificates and
//! a hundred more crates, and knows neither `HF_HUB_CACHE` nor `HF_HUB_OFFLINE`.

mod client;
mod name;

use crate::{
    Error,
    folder::{CONFIG, GENERATION, INDEX, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, places},
};
use client::{Client, Failure, RemoteFile};
use name::Name;
use std::{
    env,
    path::{Path, PathBuf},
};

/// How far the download of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes that it has.
    pub total: u64,
}

/// Where models are looked for by name, and how.
pub struct Hub<'a> {
    /// The folder with `models--ORG--NAME` in it.
    pub cache: PathBuf,
    /// `https://huggingface.co`, or a mirror of it.
    pub endpoint: String,
    /// For models that need permission.
    pub token: Option<String>,
    /// Use the cache alone.
    pub offline: bool,
    /// Called as files come in.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl<'a> Hub<'a> {
    /// As Hugging Face's tools are configured: `HF_HUB_CACHE`, else `HF_HOME`/hub, else `XDG_CACHE_HOME`/huggingface/hub,
    /// else `~/.cache/huggingface/hub`; `HF_ENDPOINT`; `HF_TOKEN`, else the file `token` in `HF_HOME`; `HF_HUB_OFFLINE`.
    pub fn from_environment(progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let folder = |name: &str| variable(name).map(PathBuf::from);
        let home = folder("HF_HOME").unwrap_or_else(|| {
            let cache = folder("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
            cache.unwrap_or_default().join("huggingface")
        });
        let saved = || std::fs::read_to_string(home.join("token")).ok();
        let token = variable("HF_TOKEN").or_else(saved).map(|token| token.trim().to_owned());
        Hub {
            cache: folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()),
            token: token.filter(|token| !token.is_empty()),
            offline: variable("HF_HUB_OFFLINE").is_some_and(|value| !["0", "false", "no"].contains(&value.as_str())),
            progress,
        }
    }
}

/// The path of a model: `source` itself where it is a file or folder, else the folder in the cache of the Hub's model
/// `org/name` or `org/name@revision` (a branch, a tag such as Pythia's `step3000`, or a commit), downloaded where it is
/// missing: configuration, tokenizer and safetensors, nothing else.
pub fn resolve(source: &str, hub: &Hub) -> Result<PathBuf, Error> {
    let path = Path::new(source);
    if path.exists() {
        return Ok(path.into());
    }
    let Some(name) = Name::parse(source) else {
        let problem = "expected a file, a folder, or a Hub name such as org/name or org/name@revision, found none";
        return Err(Error::new(source, problem, "check the path or the name"));
    };
    let cached = cached(hub, &name);
    match &cached {
        Some(folder) if folder.join(TOKENIZER).exists() => Ok(folder.clone()),
        _ if hub.offline => cached.ok_or_else(|| unreached(hub, &name, "HF_HUB_OFFLINE is set")),
        _ => match fetch(hub, &name) {
            Ok(folder) => Ok(folder),
            Err(Failure::Unreached(why)) => cached.ok_or_else(|| unreached(hub, &name, &why)),
            Err(Failure::Refused(error)) => Err(error),
        },
    }
}

/// The snapshot in the cache, if its configuration and weights are all there.
fn cached(hub: &Hub, name: &Name) -> Option<PathBuf> {
    let repository = hub.cache.join(name.folder());
    let commit = match name.is_commit() {
        true => name.revision.clone(),
        false => std::fs::read_to_string(repository.join("refs").join(&name.revision)).ok()?.trim().to_owned(),
    };
    let folder = repository.join("snapshots").join(commit);
    let weights = || match folder.join(INDEX) {
        index if index.exists() => places(&index).is_ok_and(|all| all.values().all(|file| folder.join(file).exists())),
        _ => folder.join(WEIGHTS).exists(),
    };
    (folder.join(CONFIG).exists() && weights()).then_some(folder)
}

/// Downloads what is missing.
fn fetch(hub: &Hub, name: &Name) -> Result<PathBuf, Failure> {
    let client = Client::new(hub, name);
    let listing = client.listing()?;
    let find = |file: &str| listing.files.iter().find(|remote| remote.name == file);
    let repository = hub.cache.join(name.folder());
    let folder = repository.join("snapshots").join(&listing.commit);
    let get = |file: &RemoteFile| client.fetch(&listing.commit, file, &repository, &folder);
    let refused = |problem: String| {
        let remedy = "make safetensors of it with transformers (`save_pretrained`) and give the folder";
        Failure::Refused(Error::new(name.to_string(), problem, remedy))
    };
    let Some(config) = find(CONFIG) else { return Err(refused(format!("expected {CONFIG}, found none"))) };
    get(config)?;
    for file in [GENERATION, TOKENIZER, TOKENIZER_CONFIG] {
        find(file).map(get).transpose()?;
    }
    match (find(WEIGHTS), find(INDEX)) {
        (Some(weights), _) => get(weights)?,
        (None, Some(index)) => {
            get(index)?;
            let shards: std::collections::BTreeSet<_> = places(&folder.join(INDEX))?.into_values().collect();
            for shard in shards {
                get(find(&shard).ok_or_else(|| refused(format!("expected the weights {shard}, found none")))?)?;
            }
        }
        (None, None) => {
            let names: Vec<&str> = listing.files.iter().map(|file| file.name.as_str()).take(20).collect();
            return Err(refused(format!("expected {WEIGHTS} or {INDEX}, found {}", names.join(", "))));
        }
    }
    client::write_ref(&repository, name, &listing.commit)?;
    Ok(folder)
}

fn unreached(hub: &Hub, name: &Name, why: &str) -> Error {
    let problem = format!(
        "expected a file or folder of this name, or that model in the cache ({}) or on the Hub, found none: {why}",
        hub.cache.join(name.folder()).display()
    );
    let remedy = format!(
        "put {CONFIG}, {TOKENIZER}, and {WEIGHTS} (or {INDEX} with all weight files that it names) from \
         {}/{}/{}/tree/{} into one folder and give its path; or copy the cache's folder from a machine that has it",
        hub.endpoint, name.organisation, name.model, name.revision
    );
    Error::new(name.to_string(), problem, remedy)
}
