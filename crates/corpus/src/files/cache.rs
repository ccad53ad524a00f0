//! The cache of a tokenised corpus: a folder made beside its place and renamed into it, so that it is whole or absent.

use super::{BPE_TRAINING_BYTES, HELD_OUT_CHUNKS, Scan, TextSource, TokenizerSource, chunk_hash, chunks};
use crate::{Error, Vocabulary};
use saltus_lm::Tokenizer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Token numbers in 2 bytes each, or 4 if the vocabulary is larger than 65,536; little-endian.
const TOKENS: &str = "tokens.bin";
const CONTENTS: &str = "contents.json";

/// Chunks that are encoded together: 1 MiB.
const GROUP: usize = 256;

/// `contents.json`, written last.
#[derive(Serialize, Deserialize)]
struct Contents {
    /// How many tokens `tokens.bin` has.
    tokens: u64,
    /// Held-out chunks by rising hash.
    held_out: Vec<String>,
}

/// The training tokens, on disk.
#[derive(Debug)]
pub(super) struct Tokens {
    path: PathBuf,
    file: File,
    width: usize,
    length: u64,
}

impl Tokens {
    fn open(path: PathBuf, vocabulary: usize, length: u64) -> Result<Self, Error> {
        let file = File::open(&path).map_err(|e| damaged(&path, &e))?;
        let (bytes, width) = (file.metadata().map_err(|e| damaged(&path, &e))?.len(), width(vocabulary));
        if bytes != length * width as u64 {
            return Err(damaged(&path, &format!("{bytes} bytes for {length} tokens")));
        }
        Ok(Tokens { path, file, width, length })
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Reads the tokens from number `from` on.
    pub(super) fn read(&self, from: u64, tokens: &mut [u32]) {
        let mut bytes = vec![0; tokens.len() * self.width];
        if let Err(e) = self.file.read_exact_at(&mut bytes, from * self.width as u64) {
            panic!("{}: the training tokens can no longer be read ({e}): run again to go on", self.path.display());
        }
        for (token, bytes) in tokens.iter_mut().zip(bytes.chunks_exact(self.width)) {
            *token = bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
        }
    }
}

fn width(vocabulary: usize) -> usize {
    if vocabulary <= 1 << 16 { 2 } else { 4 }
}

fn damaged(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    let remedy = "delete the folder that it is in; it will be made again";
    Error::file(path, format!("a damaged cache of tokens ({problem})"), remedy)
}

/// Tokenises `source` into `folder`, which does not exist.
pub(super) fn build(folder: &Path, source: &TextSource, scan: &Scan, given: Option<Vocabulary>) -> Result<(), Error> {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let making = folder.with_file_name(name);
    fs::create_dir_all(&making).map_err(|e| Error::unwritable(&making, &e))?;
    let built = fill(&making, source, scan, given);
    let renamed = built.and_then(|()| match fs::rename(&making, folder) {
        // Someone else was faster, with the same content.
        Err(_) if folder.exists() => Ok(()),
        result => result.map_err(|e| Error::unwritable(folder, &e)),
    });
    // What is still there is of no use; that it cannot be removed is no reason to stop.
    let _ = fs::remove_dir_all(&making);
    renamed
}

fn fill(folder: &Path, source: &TextSource, scan: &Scan, given: Option<Vocabulary>) -> Result<(), Error> {
    let vocabulary = match (&source.tokenizer, given) {
        (_, Some(given)) => given,
        (TokenizerSource::Bpe(size), None) => train(source, scan, *size)?,
        (_, None) => Vocabulary::Byte,
    };
    vocabulary.save(folder)?;
    let tokens = write_tokens(&folder.join(TOKENS), &vocabulary, source, scan)?;
    let mut kept = BTreeMap::new();
    for chunk in chunks(source, scan, false) {
        let chunk = chunk?;
        kept.insert(chunk_hash(&chunk), chunk);
        if kept.len() > HELD_OUT_CHUNKS {
            kept.pop_last();
        }
    }
    let contents = Contents { tokens, held_out: kept.into_values().collect() };
    let path = folder.join(CONTENTS);
    let text = serde_json::to_vec(&contents).map_err(std::io::Error::other);
    text.and_then(|text| fs::write(&path, text)).map_err(|e| Error::unwritable(&path, &e))
}

fn train(source: &TextSource, scan: &Scan, size: usize) -> Result<Vocabulary, Error> {
    let mut bytes = 0;
    // The files were read without an error a moment ago; should one vanish, tokenising says so.
    let texts = chunks(source, scan, true).map_while(Result::ok).take_while(move |chunk| {
        bytes += chunk.len();
        bytes <= BPE_TRAINING_BYTES
    });
    Vocabulary::train(texts, size)
}

/// Returns how many there are.
fn write_tokens(path: &Path, vocabulary: &Vocabulary, source: &TextSource, scan: &Scan) -> Result<u64, Error> {
    let unwritable = |e: std::io::Error| Error::unwritable(path, &e);
    let width = width(vocabulary.vocabulary());
    let mut out = BufWriter::new(File::create(path).map_err(unwritable)?);
    let mut training = chunks(source, scan, true);
    let mut written = 0;
    loop {
        let group = training.by_ref().take(GROUP).collect::<Result<Vec<String>, Error>>()?;
        if group.is_empty() {
            break;
        }
        let refused = |e: saltus_lm::Error| {
            Error::setting("tokenizer", e.to_string(), "use a tokenizer that covers the text, such as `byte` or `bpe`")
        };
        for tokens in vocabulary.encode_all(&group).map_err(refused)? {
            written += tokens.len() as u64;
            for token in tokens {
                out.write_all(&token.to_le_bytes()[..width]).map_err(unwritable)?;
            }
        }
    }
    out.into_inner().map_err(|e| unwritable(e.into_error()))?.sync_all().map_err(unwritable)?;
    Ok(written)
}

/// Opens what [`build`] made.
pub(super) fn open(folder: &Path) -> Result<(Vocabulary, Tokens, Vec<String>), Error> {
    let vocabulary = Vocabulary::load(folder).map_err(|e| damaged(folder, &e))?;
    let path = folder.join(CONTENTS);
    let text = fs::read(&path).map_err(|e| damaged(&path, &e))?;
    let contents: Contents = serde_json::from_slice(&text).map_err(|e| damaged(&path, &e))?;
    let tokens = Tokens::open(folder.join(TOKENS), vocabulary.vocabulary(), contents.tokens)?;
    Ok((vocabulary, tokens, contents.held_out))
}
