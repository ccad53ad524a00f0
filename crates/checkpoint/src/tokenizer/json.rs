//! Tokenizers as pipelines of the `tokenizers` crate: `tokenizer.json`, and byte-level vocabularies from elsewhere.

use super::{Beginning, FileTokenizer, Model};
use crate::{
    Error,
    folder::{GENERATION, LONGEST_CONFIG, TOKENIZER, TOKENIZER_CONFIG, object},
    mapped,
};
use saltus_lm::TokenId;
use serde_json::Value;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};
use tokenizers::{
    AddedToken, ModelWrapper, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer,
    models::bpe::BPE,
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

/// Several times the longest that is known (Gemma's, 35 MB).
const LONGEST_TOKENIZER: u64 = 1 << 28;
const MAKE_IT: &str = "make it with transformers: `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`";

/// A tokenizer of the crate, and what it can't write.
pub(super) struct Pipeline {
    inner: Tokenizer,
    /// Bytes that a byte-level vocabulary has no token for: the crate would drop them from a text silently.
    missing: Option<Box<[bool; 256]>>,
}

impl Pipeline {
    pub(super) fn new(mut inner: Tokenizer) -> Result<Self, tokenizers::Error> {
        inner.with_padding(None);
        inner.with_truncation(None)?;
        inner.set_encode_special_tokens(true);
        let silent = match inner.get_model() {
            ModelWrapper::BPE(bpe) => {
                bpe.get_unk_token().is_none() && inner.get_pre_tokenizer().is_some_and(byte_level)
            }
            _ => false,
        };
        let missing = silent.then(|| missing(&inner)).filter(|missing| missing.contains(&true)).map(Box::new);
        Ok(Pipeline { inner, missing })
    }

    pub(super) fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
        if let Some(missing) = &self.missing
            && let Some((at, c)) = text
                .char_indices()
                .find(|&(at, c)| text.as_bytes()[at..at + c.len_utf8()].iter().any(|&byte| missing[usize::from(byte)]))
        {
            return Err(saltus_lm::Error::NoToken { text: c.into(), at });
        }
        let refused = |e| saltus_lm::Error::Other(format!("the tokenizer failed on a text ({e}): check its file"));
        self.ids(text, false).map_err(refused)
    }

    fn ids(&self, text: &str, special: bool) -> Result<Vec<TokenId>, tokenizers::Error> {
        guarded(|| Ok(self.inner.encode_fast(text, special)?.get_ids().to_vec()))
    }

    pub(super) fn decode(&self, tokens: &[TokenId]) -> String {
        guarded(|| self.inner.decode(tokens, false)).unwrap_or_else(|_| "\u{fffd}".repeat(tokens.len()))
    }

    /// One more than the largest token.
    pub(super) fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    pub(super) fn special(&self, text: &str) -> Option<TokenId> {
        let added = self.inner.get_added_vocabulary();
        added.is_special_token(text).then(|| self.inner.token_to_id(text))?
    }

    /// Whether a special token takes the white space before it along.
    pub(super) fn takes_space(&self, token: TokenId) -> bool {
        self.inner.get_added_vocabulary().get_added_tokens_decoder().get(&token).is_some_and(|added| added.lstrip)
    }

    /// What the tokenizer itself puts before and after a text.
    fn around(&self) -> Result<(Vec<TokenId>, Vec<TokenId>), tokenizers::Error> {
        let (plain, full) = (self.ids("a", false)?, self.ids("a", true)?);
        let extra = full.len().saturating_sub(plain.len());
        let before = (0..=extra).find(|&at| full[at..].starts_with(&plain)).unwrap_or(extra);
        Ok((full[..before].to_vec(), full.get(before + plain.len()..).unwrap_or_default().to_vec()))
    }
}

/// The crate panics on some files that are no tokenizers, and on text with some that hardly are (found by fuzzing): a
/// file from anyone must not end the program.
fn guarded<T>(work: impl FnOnce() -> Result<T, tokenizers::Error>) -> Result<T, tokenizers::Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("a fault inside the `tokenizers` library".into()))
}

fn byte_level(step: &PreTokenizerWrapper) -> bool {
    match step {
        PreTokenizerWrapper::ByteLevel(_) => true,
        PreTokenizerWrapper::Sequence(steps) => steps.as_ref().iter().any(byte_level),
        _ => false,
    }
}

/// Which bytes have no token. The byte-level alphabet writes printable bytes as themselves and the others, in order,
/// as the characters from U+0100 on (GPT-2's `bytes_to_unicode`).
fn missing(inner: &Tokenizer) -> [bool; 256] {
    let mut missing = [false; 256];
    let mut next = 0x100;
    for byte in 0..=255u8 {
        let printable = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if printable { u32::from(byte) } else { next };
        next += u32::from(!printable);
        let letter = char::from_u32(code).map(String::from).unwrap_or_default();
        missing[usize::from(byte)] = inner.token_to_id(&letter).is_none();
    }
    missing
}

impl FileTokenizer {
    /// The `tokenizer.json` of a folder; its beginning and end also from `tokenizer_config.json`,
    /// `generation_config.json` and the model's `config`.
    pub(crate) fn from_folder(folder: &Path, config: &Value) -> Result<Self, Error> {
        let path = folder.join(TOKENIZER);
        if !path.exists() {
            return Err(Error::file(folder, format!("expected {TOKENIZER}, found none"), MAKE_IT));
        }
        let mut tokenizer = Self::from_json(&path)?;
        let optional = |name: &str| {
            let path = folder.join(name);
            if path.exists() { object(&path, LONGEST_TOKENIZER.min(16 * LONGEST_CONFIG)) } else { Ok(Value::Null) }
        };
        let (settings, generation) = (optional(TOKENIZER_CONFIG)?, optional(GENERATION)?);
        tokenizer.complete(config, &settings, &generation);
        Ok(tokenizer)
    }

    /// A `tokenizer.json` alone: beginning and end are what it adds to a text by itself.
    pub fn from_json(path: &Path) -> Result<Self, Error> {
        let bytes = mapped::read(path, LONGEST_TOKENIZER)?;
        let refused = |e: tokenizers::Error| {
            let problem = format!("expected a tokenizer as Hugging Face's `tokenizers` writes it, found {e}");
            Error::file(path, problem, MAKE_IT)
        };
        let pipeline = guarded(|| Pipeline::new(std::str::from_utf8(&bytes)?.parse()?)).map_err(refused)?;
        // A vocabulary without the letter that is tried says nothing about what it adds.
        let (before, after) = pipeline.around().unwrap_or_default();
        Ok(FileTokenizer {
            path: path.into(),
            vocabulary: pipeline.vocabulary(),
            model: Model::Pipeline(Box::new(pipeline)),
            beginning: before.first().map(|&token| Beginning { token, added: true }),
            end: after,
            identity: blake3::hash(&bytes).to_hex().to_string(),
        })
    }

    /// Fills in what the files beside a `tokenizer.json` say.
    fn complete(&mut self, config: &Value, settings: &Value, generation: &Value) {
        let known = |token: &TokenId| (*token as usize) < self.vocabulary;
        let number = |value: &Value| value.as_u64().and_then(|id| TokenId::try_from(id).ok()).filter(known);
        let named = |value: &Value| {
            let name = value.as_str().or_else(|| value.get("content")?.as_str())?;
            self.special(name)
        };
        let first = named(&settings["bos_token"]).or_else(|| number(&config["bos_token_id"]));
        let added = settings["add_bos_token"].as_bool();
        let beginning = match self.beginning {
            Some(beginning) => Some(Beginning { added: added.unwrap_or(true), ..beginning }),
            None => first.map(|token| Beginning { token, added: added.unwrap_or(false) }),
        };
        let mut end = Vec::new();
        for ids in [&generation["eos_token_id"], &config["eos_token_id"]] {
            end.extend(ids.as_array().map_or(std::slice::from_ref(ids), Vec::as_slice).iter().filter_map(number));
        }
        end.extend(named(&settings["eos_token"]));
        (self.beginning, self.end) = (beginning, [end, std::mem::take(&mut self.end)].concat());
        self.end.sort_unstable();
        self.end.dedup();
    }
}

/// A byte-level vocabulary from elsewhere.
pub(super) struct ByteLevelParts {
    /// The text of each token.
    pub(super) vocabulary: Vec<String>,
    /// Pairs in the order in which they are merged.
    pub(super) merges: Vec<(String, String)>,
    /// How text is cut into words.
    pub(super) patterns: Vec<&'static str>,
    /// A word that is a token is not merged from its bytes.
    pub(super) whole_words: bool,
    /// Tokens that are not made by merging: text, and whether it is special.
    pub(super) added: Vec<(String, bool)>,
}

/// Byte-level byte-pair encoding, as GPT-2's.
pub(super) fn byte_level_pipeline(parts: ByteLevelParts) -> Result<Pipeline, tokenizers::Error> {
    guarded(|| byte_level_tokenizer(parts))
}

fn byte_level_tokenizer(parts: ByteLevelParts) -> Result<Pipeline, tokenizers::Error> {
    let vocabulary: tokenizers::models::bpe::Vocab =
        parts.vocabulary.into_iter().enumerate().map(|(id, text)| (text, id as u32)).collect();
    let bpe = BPE::builder().vocab_and_merges(vocabulary, parts.merges).ignore_merges(parts.whole_words).build()?;
    let mut steps = Vec::new();
    for pattern in parts.patterns {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        steps.push(PreTokenizerWrapper::Split(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?));
    }
    steps.push(PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)));
    let mut inner = Tokenizer::new(ModelWrapper::BPE(bpe));
    inner.with_pre_tokenizer(Some(Sequence::new(steps))).with_decoder(Some(ByteLevel::default()));
    for (text, special) in parts.added {
        let token = AddedToken::from(text, special).normalized(false);
        if special {
            inner.add_special_tokens(&[token])
        } else {
            inner.add_tokens(&[token])
        };
    }
    Pipeline::new(inner)
}
