//! The tokenizer inside a GGUF file: `gpt2` (byte-level byte-pair encoding) and `llama` (scored pieces).

use super::{
    Beginning, FileTokenizer, Model,
    json::{ByteLevelParts, byte_level_pipeline},
    scored::{Kind, Piece, Scored, Spelling},
};
use crate::{Error, gguf::Metadata, mapped::utf8};
use saltus_lm::TokenId;

const TOKENS: &str = "tokenizer.ggml.tokens";
const KINDS: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
const PRE: &str = "tokenizer.ggml.pre";
const MODEL: &str = "tokenizer.ggml.model";

/// ggml's kinds of token.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

const OTHER_SOURCE: &str = "give the model as a folder with its tokenizer.json";

/// Names of control tokens that end a text or a turn, for files that name only one of them.
const ENDS: [&str; 7] =
    ["<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>"];

// The patterns that cut text into words, as the models' own `tokenizer.json` has them.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Patterns of a `tokenizer.ggml.pre` (llama.cpp's names), and whether words that are tokens stay whole.
fn words(pre: &str) -> Option<(&'static [&'static str], bool)> {
    Some(match pre {
        "gpt-2" | "olmo" | "mpt" | "jais" | "phi-2" | "roberta-bpe" => (&[GPT2], false),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" => (&[DIGIT, GPT2], false),
        "llama3" | "llama-v3" | "llama-bpe" => (&[LLAMA3], true),
        "dbrx" | "smaug-bpe" => (&[LLAMA3], false),
        "qwen2" | "stablelm2" | "deepseek-r1-qwen" => (&[QWEN2], false),
        "bloom" | "poro-chat" | "gpt3-finnish" => (&[BLOOM], false),
        "tekken" => (&[TEKKEN], true),
        _ => return None,
    })
}

impl FileTokenizer {
    /// The tokenizer inside a GGUF file. Errors: a tokenizer of another kind, or one whose parts contradict each other.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, Error> {
        let model = required(metadata, MODEL, metadata.text(MODEL)?)?;
        let tokens = tokens(metadata)?;
        let count = tokens.len();
        let kinds = kinds(metadata, count)?;
        let ends: Vec<TokenId> = named_ends(&tokens, &kinds);
        let (model, adds) = match model {
            "gpt2" => byte_level(metadata, tokens, &kinds)?,
            "llama" => (Model::Scored(Box::new(scored(metadata, tokens, &kinds)?)), true),
            other => {
                let problem = format!("expected `gpt2` or `llama`, found `{other}`");
                return Err(Error::part(metadata.path(), &key(MODEL), problem, OTHER_SOURCE));
            }
        };
        let id = |name: &str| token_id(metadata, &format!("tokenizer.ggml.{name}_token_id"), count);
        let added = metadata.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(adds);
        let beginning = id("bos")?.map(|token| Beginning { token, added });
        let mut end: Vec<TokenId> = [id("eos")?, id("eot")?, id("eom")?].into_iter().flatten().chain(ends).collect();
        end.sort_unstable();
        end.dedup();
        let (path, identity) = (metadata.path().to_owned(), identity(metadata)?);
        Ok(FileTokenizer { path, model, vocabulary: count, beginning, end, identity })
    }
}

fn key(name: &str) -> String {
    format!("metadata `{name}`")
}

fn required<T>(metadata: &Metadata, name: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| {
        Error::part(metadata.path(), &key(name), "expected a tokenizer, found no such key", OTHER_SOURCE)
    })
}

fn tokens(metadata: &Metadata) -> Result<Vec<String>, Error> {
    let texts = required(metadata, TOKENS, metadata.texts(TOKENS)?)?;
    texts.enumerate().map(|(id, bytes)| utf8(metadata.path(), &format!("{TOKENS}[{id}]"), bytes)).collect()
}

/// One kind for each token: normal where the file says nothing.
fn kinds(metadata: &Metadata, count: usize) -> Result<Vec<i64>, Error> {
    let kinds = metadata.integers(KINDS)?.unwrap_or_else(|| vec![1; count]);
    of_length(metadata, KINDS, kinds, count)
}

fn of_length<T>(metadata: &Metadata, name: &str, values: Vec<T>, count: usize) -> Result<Vec<T>, Error> {
    if values.len() == count {
        Ok(values)
    } else {
        let problem = format!("expected one for each of the {count} tokens, found {}", values.len());
        Err(Error::damaged(metadata.path(), &key(name), problem))
    }
}

fn named_ends(tokens: &[String], kinds: &[i64]) -> Vec<TokenId> {
    let named = |(id, (text, &kind)): (usize, (&String, &i64))| {
        (kind == CONTROL && ENDS.contains(&text.as_str())).then_some(id as TokenId)
    };
    tokens.iter().zip(kinds).enumerate().filter_map(named).collect()
}

/// A key that holds the number of a token.
fn token_id(metadata: &Metadata, name: &str, count: usize) -> Result<Option<TokenId>, Error> {
    match metadata.unsigned(name)? {
        Some(id) if id >= count as u64 => {
            let problem = format!("expected one of the {count} tokens, found {id}");
            Err(Error::damaged(metadata.path(), &key(name), problem))
        }
        id => Ok(id.map(|id| id as TokenId)),
    }
}

/// The model, and whether a beginning is added where the file does not say.
fn byte_level(metadata: &Metadata, vocabulary: Vec<String>, kinds: &[i64]) -> Result<(Model, bool), Error> {
    let path = metadata.path();
    let pre = metadata.text(PRE)?.unwrap_or("default");
    let Some((patterns, whole_words)) = words(pre) else {
        let problem = format!("expected a pre-tokenizer that is known, found `{pre}`");
        return Err(Error::part(path, &key(PRE), problem, OTHER_SOURCE));
    };
    let merge = |(at, bytes): (usize, &[u8])| {
        let text = std::str::from_utf8(bytes).ok();
        // The first part may itself begin with a space.
        let space = text.and_then(|text| text.char_indices().skip(1).find(|(_, c)| *c == ' '));
        match (text, space) {
            (Some(text), Some((at, _))) => Ok((text[..at].to_owned(), text[at + 1..].to_owned())),
            _ => {
                let problem = format!("expected two parts with a space between, found \"{}\"", bytes.escape_ascii());
                Err(Error::damaged(path, &format!("{MERGES}[{at}]"), problem))
            }
        }
    };
    let merges = required(metadata, MERGES, metadata.texts(MERGES)?)?;
    let merges = merges.enumerate().map(merge).collect::<Result<_, _>>()?;
    let added = vocabulary.iter().zip(kinds).filter_map(|(text, &kind)| match kind {
        CONTROL | UNKNOWN => Some((text.clone(), true)),
        USER_DEFINED => Some((text.clone(), false)),
        _ => None,
    });
    let added = added.collect();
    let parts = ByteLevelParts { vocabulary, merges, patterns: patterns.to_vec(), whole_words, added };
    let pipeline = byte_level_pipeline(parts)
        .map_err(|e| Error::damaged(path, "tokenizer", format!("expected merges of tokens into tokens, found: {e}")))?;
    Ok((Model::Pipeline(Box::new(pipeline)), whole_words))
}

fn scored(metadata: &Metadata, tokens: Vec<String>, kinds: &[i64]) -> Result<Scored, Error> {
    let path = metadata.path();
    let scores = of_length(metadata, SCORES, required(metadata, SCORES, metadata.floats(SCORES)?)?, tokens.len())?;
    let mut pieces = Vec::with_capacity(tokens.len());
    for (id, ((text, score), &kind)) in tokens.into_iter().zip(scores).zip(kinds).enumerate() {
        let kind = match kind {
            UNKNOWN | CONTROL => Kind::Special,
            USER_DEFINED => Kind::Added,
            BYTE => Kind::Byte(byte(&text).ok_or_else(|| {
                let problem = format!("expected a byte such as <0x0A>, found `{text}`");
                Error::damaged(path, &format!("{TOKENS}[{id}]"), problem)
            })?),
            _ => Kind::Normal,
        };
        pieces.push(Piece { text: text.into(), score: score as f32, kind });
    }
    let prefix = metadata.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    Scored::new(path, pieces, Spelling { space: '▁', prefix })
}

/// The byte of `<0x0A>`.
fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

/// A hash of every key about the tokenizer, but for the templates of chats.
fn identity(metadata: &Metadata) -> Result<String, Error> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (key, value) in metadata.iter().filter(|(key, _)| key.starts_with("tokenizer.ggml.")) {
        add(key.as_bytes());
        match value {
            crate::Value::Array(array) => add(metadata.raw(array)),
            plain => add(format!("{plain:?}").as_bytes()),
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}
