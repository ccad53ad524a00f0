//! The user's text files as a corpus: tokenised once into a cache folder, dealt out in windows.
//!
//! Files are read a chunk at a time and tokens from the disk, so neither has to fit into memory. A chunk is held out by
//! the hash of its text, so that equal chunks are on one side.

mod cache;

use crate::chunks::Chunks;
use crate::permutation::Permutation;
use crate::{Batch, Corpus, Error, Vocabulary};
use cache::Tokens;
use saltus_lm::{TokenId, Tokenizer};
use saltus_random::Key;
use saltus_task::{Asked, Candidate, QuestionSet};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A BPE tokenizer is trained on the first so many bytes of training text.
const BPE_TRAINING_BYTES: usize = 256 << 20;

/// So many held-out chunks are kept for evaluation: those of the smallest hashes, a random sample.
const HELD_OUT_CHUNKS: usize = 4096;

/// Text files as a study file gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSource {
    /// The files, UTF-8, in this order.
    pub files: Vec<PathBuf>,
    /// How they become tokens.
    pub tokenizer: TokenizerSource,
    /// Share of the text (by chunks of about 4 kB) that is never trained on, above 0, at most 0.5.
    pub held_out: f64,
}

/// Where the tokenizer of text files comes from: `"byte"`, `{ bpe = 4096 }` or `{ file = "tokenizer.json" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenizerSource {
    /// One token for each byte.
    Byte,
    /// Byte-level BPE with so many tokens, trained on the training part of the files (its first 256 MiB).
    Bpe(usize),
    /// A `tokenizer.json`.
    File(PathBuf),
}

/// Tokenised text files. Step s reads the rows numbered s * rows and on, so the number of rows must not change within a
/// run. Each epoch deals out every window of `context` tokens once, in an order of its own.
#[derive(Debug)]
pub struct TextFiles {
    vocabulary: Arc<Vocabulary>,
    tokens: Tokens,
    /// By rising hash.
    held_out: Vec<String>,
    context: usize,
    identity: String,
}

impl TextFiles {
    /// Reads and checks the files, and tokenises them into a folder under `cache` unless they are there already.
    ///
    /// # Errors
    /// [`Error`] naming the file and byte of what is empty, binary or not UTF-8; if the text is too short for a row of
    /// `context` tokens and a held-out part; if the cache cannot be written.
    pub fn open(source: &TextSource, context: usize, cache: &Path) -> Result<Self, Error> {
        if !(source.held_out > 0.0 && source.held_out <= 0.5) {
            let problem = format!("{} of the text", source.held_out);
            return Err(Error::setting("held_out", problem, "write a share above 0 and up to 0.5, such as 0.05"));
        }
        if !(2..=65_536).contains(&context) {
            return Err(Error::setting("context", format!("{context} tokens"), "write a number from 2 to 65536"));
        }
        let scan = scan(source)?;
        let given = match &source.tokenizer {
            TokenizerSource::Byte => Some(Vocabulary::Byte),
            TokenizerSource::File(path) => Some(Vocabulary::open(path)?),
            TokenizerSource::Bpe(_) => None,
        };
        let name = scan.cache_name(&source.tokenizer, given.as_ref());
        let folder = cache.join(&name);
        if !folder.exists() {
            cache::build(&folder, source, &scan, given)?;
        }
        let (vocabulary, tokens, held_out) = cache::open(&folder)?;
        if tokens.len() <= context as u64 {
            let problem = format!("{} training tokens, not one row of {context}", tokens.len());
            return Err(Error::setting("files", problem, "give more text, or a shorter context"));
        }
        let mut identity = blake3::Hasher::new_derive_key("saltus 2026 text files");
        identity.update(format!("{context} {name}").as_bytes());
        let identity = identity.finalize().to_hex()[..32].to_owned();
        Ok(TextFiles { vocabulary: Arc::new(vocabulary), tokens, held_out, context, identity })
    }

    /// The tokenizer, which can be [saved](Vocabulary::save).
    pub fn vocabulary(&self) -> Arc<Vocabulary> {
        self.vocabulary.clone()
    }

    /// At most `items` held-out windows of `context` tokens, or of fewer where a whole chunk has not so many. Different
    /// chunks come before more of the same.
    ///
    /// # Errors
    /// If the tokenizer fails on the text.
    pub(crate) fn held_out_tokens(&self, items: usize) -> Result<Vec<Vec<TokenId>>, Error> {
        let chunks: Vec<Vec<Vec<TokenId>>> = self.encoded(items)?.iter().map(|c| self.whole_windows(c)).collect();
        Ok(in_turn(&chunks).take(items).cloned().collect())
    }

    fn whole_windows(&self, tokens: &[TokenId]) -> Vec<Vec<TokenId>> {
        let length = self.context.min(tokens.len()).max(1);
        tokens.chunks_exact(length).map(<[TokenId]>::to_vec).collect()
    }

    /// Tokens of as many held-out chunks as can be needed for `items` windows.
    fn encoded(&self, items: usize) -> Result<Vec<Vec<TokenId>>, Error> {
        let failed = |e: saltus_lm::Error| Error::setting("tokenizer", e.to_string(), "use another tokenizer");
        self.vocabulary.encode_all(&self.held_out[..items.min(self.held_out.len())]).map_err(failed)
    }

    /// At most `items` held-out windows of up to `context` tokens as questions: a prompt of a token or a few and the
    /// rest to be scored. Prompt, rest and whole each have the very tokens that the text has, so it does not matter
    /// whether they are encoded together or apart. Different chunks come before more of the same.
    ///
    /// # Errors
    /// If the tokenizer does not give back the text that it was given, so that there are no such windows.
    pub fn held_out(&self, items: usize) -> Result<QuestionSet, Error> {
        let windows: Vec<Vec<Asked>> = self.encoded(items)?.iter().map(|tokens| self.windows(tokens)).collect();
        let questions: Vec<Asked> = in_turn(&windows).take(items).cloned().collect();
        if questions.is_empty() && items > 0 {
            let problem = "no held-out text comes back as it was from its tokens";
            return Err(Error::setting("tokenizer", problem, "use `byte`, `bpe`, or a byte-level tokenizer.json"));
        }
        Ok(QuestionSet::direct("text", "held-out", 0.0, questions))
    }

    /// Windows one after the other, each beginning where it can be cut.
    fn windows(&self, tokens: &[u32]) -> Vec<Asked> {
        let (mut at, mut windows) = (0, Vec::new());
        while at + 2 <= tokens.len() {
            match self.window(&tokens[at..tokens.len().min(at + self.context)]) {
                Some((question, length)) => {
                    windows.push(question);
                    at += length;
                }
                None => at += 1,
            }
        }
        windows
    }

    /// The longest window at the beginning of `tokens` that can be cut within a few tokens of where it should be, and
    /// its length.
    fn window(&self, tokens: &[u32]) -> Option<(Asked, usize)> {
        let text_of = |tokens: &[u32]| {
            let text = self.vocabulary.decode(tokens);
            (self.vocabulary.encode(&text).is_ok_and(|again| again == tokens)).then_some(text)
        };
        for length in (2.max(tokens.len().saturating_sub(8))..=tokens.len()).rev() {
            let Some(whole) = text_of(&tokens[..length]) else { continue };
            for cut in 1..length.min(9) {
                let (prompt, rest) = tokens[..length].split_at(cut);
                let (Some(prompt), Some(rest)) = (text_of(prompt), text_of(rest)) else { continue };
                if whole.len() == prompt.len() + rest.len() {
                    return Some(((prompt, vec![Candidate::target(rest)], None), length));
                }
            }
        }
        None
    }
}

/// The first of each list, then the second of each, and so on.
fn in_turn<T>(lists: &[Vec<T>]) -> impl Iterator<Item = &T> {
    let most = lists.iter().map(Vec::len).max().unwrap_or(0);
    (0..most).flat_map(|at| lists.iter().filter_map(move |list| list.get(at)))
}

impl Corpus for TextFiles {
    fn batch(&self, key: Key, step: u64, rows: usize, batch: &mut Batch) {
        batch.reset(self.context, rows, 0);
        let windows = (self.tokens.len() - 1) / self.context as u64;
        let mut window = vec![0; self.context + 1];
        let in_batch = batch.tokens.chunks_exact_mut(self.context).zip(batch.targets.chunks_exact_mut(self.context));
        for (number, (tokens, targets)) in (step * rows as u64..).zip(in_batch) {
            let order = Permutation::new(windows, key.child("epoch").index(number / windows));
            self.tokens.read(order.apply(number % windows) * self.context as u64, &mut window);
            tokens.copy_from_slice(&window[..self.context]);
            targets.copy_from_slice(&window[1..]);
        }
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.vocabulary.clone()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn unique_tokens(&self) -> Option<u64> {
        Some(self.tokens.len())
    }
}

/// What a first reading of the files tells.
struct Scan {
    /// Of all bytes of all files.
    hash: blake3::Hash,
    /// Chunks with a hash below this are held out.
    held_out_below: u64,
    /// Share asked for.
    fraction: f64,
}

impl Scan {
    fn holds_out(&self, chunk: &str) -> bool {
        chunk_hash(chunk) < self.held_out_below
    }

    /// Names everything that determines the tokens.
    fn cache_name(&self, source: &TokenizerSource, given: Option<&Vocabulary>) -> String {
        let tokenizer = match (source, given) {
            (TokenizerSource::Bpe(size), _) => format!("bpe {size}"),
            (_, given) => given.map(Tokenizer::identity).unwrap_or_default(),
        };
        let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 text cache");
        hasher.update(format!("1 {} {} {tokenizer}", self.hash, self.fraction).as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

fn chunk_hash(chunk: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(chunk.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Reads all files once: are they text, what is their hash, and where is the split? If chance holds out nothing (a short
/// text), the chunk of the least hash is.
fn scan(source: &TextSource) -> Result<Scan, Error> {
    let mut hasher = blake3::Hasher::new();
    let (mut least, mut greatest) = (u64::MAX, 0);
    for path in &source.files {
        let mut bytes = 0u64;
        for chunk in Chunks::open(path)? {
            let chunk = chunk?;
            hasher.update(chunk.as_bytes());
            bytes += chunk.len() as u64;
            least = least.min(chunk_hash(&chunk));
            greatest = greatest.max(chunk_hash(&chunk));
        }
        if bytes == 0 {
            return Err(Error::file(path, "an empty file", "leave it out, or put text into it"));
        }
        hasher.update(&bytes.to_le_bytes());
    }
    if source.files.is_empty() {
        return Err(Error::setting("files", "an empty list", "list at least one text file"));
    }
    if least >= greatest {
        let problem = "too little text to hold any of it out";
        return Err(Error::setting("files", problem, "give text files of 10 kB or more in all"));
    }
    let threshold = (source.held_out * 2f64.powi(64)) as u64;
    Ok(Scan {
        hash: hasher.finalize(),
        held_out_below: threshold.max(least + 1).min(greatest),
        fraction: source.held_out,
    })
}

/// The chunks of all files; `training` or held-out ones.
fn chunks<'a>(
    source: &'a TextSource,
    scan: &'a Scan,
    training: bool,
) -> impl Iterator<Item = Result<String, Error>> + Send + 'a {
    let opened = source.files.iter().map(|path| Chunks::open(path));
    let all = opened.flat_map(|chunks| {
        let (chunks, error) = match chunks {
            Ok(chunks) => (Some(chunks), None),
            Err(e) => (None, Some(Err(e))),
        };
        error.into_iter().chain(chunks.into_iter().flatten())
    });
    all.filter(move |chunk| chunk.as_ref().map_or(true, |text| scan.holds_out(text) != training))
}
