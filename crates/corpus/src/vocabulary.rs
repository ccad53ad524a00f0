//! Tokenizers: the 64 characters of the generated families, bytes, and byte-pair encoding.

use crate::Error;
use saltus_lm::TokenId;
use serde_json::{Map, Value, json};
use std::path::Path;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// The characters of [`Vocabulary::Char`] in the order of their tokens: padding first, then letters, digits, the
/// capitals that begin the generated families' items (and `Q` and `A` of BIG-bench's prompts), punctuation.
pub const ALPHABET: &str = "_abcdefghijklmnopqrstuvwxyz0123456789ABCDFGKPQRT; +=|?*-.,:>()!\n";

/// The token that fills rows: `_`.
pub const PADDING: TokenId = 0;

/// The token that hides what is asked of a masked model, as BERT's tokenizers call it.
const MASK: &str = "[MASK]";

/// The name under which `transformers` looks for a tokenizer.
const FILE: &str = "tokenizer.json";

const CHARACTERS: [TokenId; 128] = {
    let (mut table, alphabet) = ([TokenId::MAX; 128], ALPHABET.as_bytes());
    let mut i = 0;
    while i < alphabet.len() {
        table[alphabet[i] as usize] = i as TokenId;
        i += 1;
    }
    table
};

/// The token of a byte of [`ALPHABET`]; the generated families write no other.
pub(crate) fn char_token(byte: u8) -> TokenId {
    CHARACTERS[usize::from(byte & 127)]
}

/// A tokenizer that can be kept beside a model.
#[derive(Clone, Debug)]
pub enum Vocabulary {
    /// One token for each character of [`ALPHABET`].
    Char,
    /// One token for each byte: 256.
    Byte,
    /// Any tokenizer of the `tokenizers` library; byte-pair encoding where it is trained here.
    Trained(Box<Trained>),
}

/// A tokenizer of the `tokenizers` library.
#[derive(Clone, Debug)]
pub struct Trained {
    inner: tokenizers::Tokenizer,
    /// Its `tokenizer.json`.
    json: String,
    size: usize,
}

impl Vocabulary {
    /// Byte-level BPE (Sennrich et al., arXiv 1508.07909) with GPT-2's splitting into words, trained on `texts`; with
    /// `size` tokens, or fewer if the texts have not so many pairs that occur twice.
    ///
    /// # Errors
    /// [`Error::Setting`] if `size` is not between 257 and 1,000,000.
    pub fn train(texts: impl Iterator<Item = String> + Send, size: usize) -> Result<Self, Error> {
        if !(257..=1_000_000).contains(&size) {
            let remedy = "write a number from 257 to 1000000: 256 bytes and the merged pairs";
            return Err(Error::setting("tokenizer.bpe", format!("{size} tokens"), remedy));
        }
        let mut inner = tokenizers::Tokenizer::new(ModelWrapper::BPE(BPE::default()));
        let byte_level = ByteLevel::new(false, true, true);
        inner.with_pre_tokenizer(Some(byte_level)).with_decoder(Some(byte_level));
        let alphabet = ByteLevel::alphabet().into_iter().collect();
        let trainer =
            BpeTrainer::builder().vocab_size(size).min_frequency(2).show_progress(false).initial_alphabet(alphabet);
        let mut trainer = TrainerWrapper::BpeTrainer(trainer.build());
        let failed = |e: tokenizers::Error| Error::setting("tokenizer.bpe", format!("{e}"), "check the text files");
        inner.train(&mut trainer, texts).map_err(failed)?;
        Self::trained(inner).map_err(|e| Error::setting("tokenizer.bpe", e, "check the text files"))
    }

    /// The same tokenizer with a special token `[MASK]` behind its others, unless it has one; and that token. Where the
    /// tokenizer's words bring the space before them along, as byte-pair encoding's do, so does the mask. What looks like
    /// the mask in a text is text.
    ///
    /// # Errors
    /// [`Error::Setting`] if the tokenizer takes no such token.
    pub fn with_mask(&self) -> Result<(Self, TokenId), Error> {
        let refused = |e: String| {
            let problem = format!("it can be given no token {MASK} ({e})");
            Error::setting("tokenizer", problem, "use `byte`, `bpe`, or another tokenizer.json")
        };
        let mut inner: tokenizers::Tokenizer =
            self.json().parse().map_err(|e: tokenizers::Error| refused(e.to_string()))?;
        if !inner.get_added_vocabulary().is_special_token(MASK) {
            let words = !matches!(self, Vocabulary::Char | Vocabulary::Byte);
            inner.add_special_tokens(&[AddedToken::from(MASK, true).lstrip(words)]);
        }
        inner.set_encode_special_tokens(true);
        let mask = inner.token_to_id(MASK).ok_or_else(|| refused("it is lost".into()))?;
        Ok((Self::trained(inner).map_err(refused)?, mask))
    }

    /// The tokenizer in the `tokenizer.json` at `path`.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
        if text == char_json() {
            return Ok(Vocabulary::Char);
        }
        if text == byte_json() {
            return Ok(Vocabulary::Byte);
        }
        let remedy = "give a tokenizer.json as Hugging Face's `tokenizers` writes it";
        let refused = |e: String| Error::file(path, format!("not a tokenizer ({e})"), remedy);
        Self::trained(text.parse().map_err(|e: tokenizers::Error| refused(e.to_string()))?).map_err(refused)
    }

    /// The tokenizer in `folder`, where [`save`](Self::save) put it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn load(folder: &Path) -> Result<Self, Error> {
        Self::open(&folder.join(FILE))
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` into `folder`, for `transformers.AutoTokenizer`.
    ///
    /// # Errors
    /// [`Error::File`] if they cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let mut config = json!({ "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false });
        if let Vocabulary::Trained(trained) = self
            && trained.inner.get_added_vocabulary().is_special_token(MASK)
        {
            config["mask_token"] = MASK.into();
        }
        for (name, text) in [(FILE, self.json()), ("tokenizer_config.json", format!("{config:#}"))] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|e| Error::unwritable(&path, &e))?;
        }
        Ok(())
    }

    /// Tokens of each text; uses all threads.
    pub(crate) fn encode_all(&self, texts: &[String]) -> Result<Vec<Vec<TokenId>>, saltus_lm::Error> {
        match self {
            Vocabulary::Trained(trained) => {
                let texts = texts.iter().map(String::as_str).collect();
                let all = trained.inner.encode_batch_fast(texts, false).map_err(other)?;
                Ok(all.into_iter().map(|e| e.get_ids().to_vec()).collect())
            }
            _ => texts.iter().map(|text| saltus_lm::Tokenizer::encode(self, text)).collect(),
        }
    }

    fn trained(mut inner: tokenizers::Tokenizer) -> Result<Self, String> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        let json = inner.to_string(true).map_err(|e| e.to_string())?;
        let size = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        Ok(Vocabulary::Trained(Box::new(Trained { inner, json, size })))
    }

    fn json(&self) -> String {
        match self {
            Vocabulary::Char => char_json(),
            Vocabulary::Byte => byte_json(),
            Vocabulary::Trained(trained) => trained.json.clone(),
        }
    }
}

impl saltus_lm::Tokenizer for Vocabulary {
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
        match self {
            Vocabulary::Char => text
                .char_indices()
                .map(|(at, c)| {
                    let token = CHARACTERS.get(c as usize).copied().filter(|&t| t != TokenId::MAX);
                    token.ok_or_else(|| saltus_lm::Error::NoToken { text: c.into(), at })
                })
                .collect(),
            Vocabulary::Byte => Ok(text.bytes().map(TokenId::from).collect()),
            Vocabulary::Trained(trained) => {
                Ok(trained.inner.encode_fast(text, false).map_err(other)?.get_ids().to_vec())
            }
        }
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        const UNKNOWN: char = char::REPLACEMENT_CHARACTER;
        match self {
            Vocabulary::Char => {
                tokens.iter().map(|&t| ALPHABET.as_bytes().get(t as usize).map_or(UNKNOWN, |&b| b.into())).collect()
            }
            Vocabulary::Byte => {
                // 0xff is never valid UTF-8.
                let bytes: Vec<u8> = tokens.iter().map(|&t| u8::try_from(t).unwrap_or(0xff)).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Vocabulary::Trained(trained) => trained.inner.decode(tokens, false).unwrap_or_else(|_| UNKNOWN.into()),
        }
    }

    fn vocabulary(&self) -> usize {
        match self {
            Vocabulary::Char => ALPHABET.len(),
            Vocabulary::Byte => 256,
            Vocabulary::Trained(trained) => trained.size,
        }
    }

    fn identity(&self) -> String {
        blake3::hash(self.json().as_bytes()).to_hex()[..32].to_owned()
    }
}

fn other(error: tokenizers::Error) -> saltus_lm::Error {
    saltus_lm::Error::Other(format!("the tokenizer failed ({error}): use another tokenizer"))
}

/// Each character is a word of a word-level model; one outside the alphabet becomes padding (here it is refused). The
/// pattern is any character, said so that Oniguruma, with which Python's `tokenizers` is built, understands it too.
fn char_json() -> String {
    let vocabulary: Map<String, Value> =
        (0..).zip(ALPHABET.chars()).map(|(i, c): (u32, char)| (c.into(), i.into())).collect();
    document(
        json!({ "type": "Split", "pattern": { "Regex": r"[\s\S]" }, "behavior": "Isolated", "invert": false }),
        json!({ "type": "Fuse" }),
        json!({ "type": "WordLevel", "vocab": vocabulary, "unk_token": "_" }),
    )
}

/// Each byte is a token of a byte-pair model without pairs, written as GPT-2 writes bytes.
fn byte_json() -> String {
    let vocabulary: Map<String, Value> =
        (0..).zip(byte_characters()).map(|(i, c): (u32, char)| (c.into(), i.into())).collect();
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": [],
    });
    document(level.clone(), level, model)
}

fn document(pre_tokenizer: Value, decoder: Value, model: Value) -> String {
    let document = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": decoder, "model": model,
    });
    format!("{document:#}")
}

/// GPT-2's printable character for each byte: itself where it can be seen, else the next from U+0100 on.
fn byte_characters() -> Vec<char> {
    let mut hidden = (0x100..).filter_map(char::from_u32);
    let seen = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    (0..=255u8).map(|b| if seen(b) { b.into() } else { hidden.next().unwrap_or_default() }).collect()
}
