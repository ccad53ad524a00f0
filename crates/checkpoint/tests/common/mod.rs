//! Small files of each format, made by hand: what the readers are tested with and what fuzzing starts from.

#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use serde_json::json;
use std::collections::BTreeMap;

/// A tensor of a safetensors file: name, type, shape, bytes.
pub type Tensor<'a> = (&'a str, &'a str, &'a [usize], usize);

/// A safetensors file of these tensors, one after the other; byte `i` of the data is `i % 251`.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut at = 0;
    for (name, dtype, shape, bytes) in tensors {
        header.insert((*name).into(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes] }));
        at += bytes;
    }
    with_header(&serde_json::Value::Object(header).to_string(), at)
}

/// A safetensors file of a given header and so many bytes of tensors.
pub fn with_header(header: &str, bytes: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend((0..bytes).map(|i| (i % 251) as u8));
    file
}

/// A value of GGUF metadata.
pub enum Meta<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Floats(Vec<f32>),
    Ints(Vec<i32>),
    /// A type number and bytes as they are.
    Raw(u32, Vec<u8>),
}

/// A GGUF file under construction.
pub struct Gguf {
    pub version: u32,
    pub alignment: usize,
    entries: Vec<u8>,
    entry_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

pub fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}

impl Gguf {
    pub fn new() -> Self {
        Gguf {
            version: 3,
            alignment: 32,
            entries: Vec::new(),
            entry_count: 0,
            tensors: Vec::new(),
            tensor_count: 0,
            data: Vec::new(),
        }
    }

    pub fn entry(mut self, key: &str, value: Meta) -> Self {
        self.entry_count += 1;
        text(&mut self.entries, key.as_bytes());
        let out = &mut self.entries;
        let array = |out: &mut Vec<u8>, kind: u32, length: usize| {
            out.extend(9u32.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((length as u64).to_le_bytes());
        };
        match value {
            Meta::U32(value) => out.extend([4u32.to_le_bytes(), value.to_le_bytes()].concat()),
            Meta::F32(value) => out.extend([6u32.to_le_bytes(), value.to_le_bytes()].concat()),
            Meta::Bool(value) => out.extend([&7u32.to_le_bytes()[..], &[u8::from(value)]].concat()),
            Meta::Text(value) => {
                out.extend(8u32.to_le_bytes());
                text(out, value.as_bytes());
            }
            Meta::Texts(values) => {
                array(out, 8, values.len());
                values.iter().for_each(|value| text(out, value.as_bytes()));
            }
            Meta::Floats(values) => {
                array(out, 6, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Meta::Ints(values) => {
                array(out, 5, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Meta::Raw(kind, bytes) => {
                out.extend(kind.to_le_bytes());
                out.extend(bytes);
            }
        }
        self
    }

    /// A tensor with `bytes` bytes of data; `shape` outermost first, `kind` ggml's number.
    pub fn tensor(mut self, name: &str, shape: &[u64], kind: u32, bytes: usize) -> Self {
        self.data.resize(self.data.len().next_multiple_of(self.alignment), 0);
        let offset = self.data.len() as u64;
        self.data.extend((0..bytes).map(|i| (i % 251) as u8));
        self.described(name.as_bytes(), shape, kind, offset)
    }

    /// A tensor's description alone.
    pub fn described(mut self, name: &[u8], shape: &[u64], kind: u32, offset: u64) -> Self {
        self.tensor_count += 1;
        text(&mut self.tensors, name);
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|size| self.tensors.extend(size.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self
    }

    pub fn build(&self) -> Vec<u8> {
        self.build_as(self.tensor_count, self.entry_count)
    }

    /// With these counts in the header.
    pub fn build_as(&self, tensors: u64, entries: u64) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend(tensors.to_le_bytes());
        file.extend(entries.to_le_bytes());
        file.extend(&self.entries);
        file.extend(&self.tensors);
        file.resize(file.len().next_multiple_of(self.alignment), 0);
        file.extend(&self.data);
        file
    }
}

/// The 256 letters of the byte-level alphabet (GPT-2's `bytes_to_unicode`), by byte.
pub fn byte_letters() -> Vec<String> {
    let mut next = 0x100;
    let letter = |byte: u8| {
        if matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte).to_string();
        }
        next += 1;
        char::from_u32(next - 1).unwrap().to_string()
    };
    (0..=255).map(letter).collect()
}

/// Bytes, three merges, and two special tokens: the vocabulary of the byte-level tests.
pub fn byte_level_vocabulary() -> (Vec<String>, Vec<&'static str>) {
    let mut tokens = byte_letters();
    tokens.extend(["he", "ll", "hell", "<|end|>", "<|begin|>"].map(String::from));
    (tokens, vec!["h e", "l l", "he ll"])
}

/// A `tokenizer.json` with this vocabulary.
pub fn tokenizer_json() -> String {
    let (tokens, merges) = byte_level_vocabulary();
    let vocabulary: BTreeMap<&str, usize> = tokens.iter().enumerate().map(|(id, text)| (text.as_str(), id)).collect();
    let added = |id: usize| {
        json!({ "id": id, "content": tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let piece = |id: &str, kind: &str| json!({ kind: { "id": id, "type_id": 0 } });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [added(259), added(260)],
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": { "type": "TemplateProcessing",
            "single": [piece("<|begin|>", "SpecialToken"), piece("A", "Sequence")], "pair": [],
            "special_tokens": { "<|begin|>": { "id": "<|begin|>", "ids": [260], "tokens": ["<|begin|>"] } } },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges }
    })
    .to_string()
}

/// A GGUF file with one tensor and the byte-level tokenizer.
pub fn byte_level_gguf() -> Gguf {
    let (tokens, merges) = byte_level_vocabulary();
    let kinds = (0..tokens.len()).map(|id| if id >= 259 { 3 } else { 1 }).collect();
    Gguf::new()
        .entry("general.architecture", Meta::Text("llama"))
        .entry("tokenizer.ggml.model", Meta::Text("gpt2"))
        .entry("tokenizer.ggml.pre", Meta::Text("gpt-2"))
        .entry("tokenizer.ggml.tokens", Meta::Texts(tokens.iter().map(String::as_str).collect()))
        .entry("tokenizer.ggml.token_type", Meta::Ints(kinds))
        .entry("tokenizer.ggml.merges", Meta::Texts(merges))
        .entry("tokenizer.ggml.bos_token_id", Meta::U32(260))
        .entry("tokenizer.ggml.eos_token_id", Meta::U32(259))
        .tensor("output_norm.weight", &[8], 0, 32)
}

/// The vocabulary of the tests of scored pieces: text, score, ggml's kind. Bytes come last.
pub fn scored_vocabulary() -> Vec<(String, f32, i32)> {
    let mut tokens: Vec<(String, f32, i32)> = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("\n\n", 0.0, 4)]
        .map(|(t, s, k)| (t.into(), s, k))
        .into();
    for (rank, piece) in ["he", "ll", "hell", "▁he", "lo", "▁", "h", "e", "l", "o", "\n"].iter().enumerate() {
        tokens.push(((*piece).into(), -(rank as f32), 1));
    }
    tokens.extend((0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    tokens
}

/// A GGUF file with one tensor and the tokenizer of scored pieces.
pub fn scored_gguf(prefix: bool) -> Gguf {
    let tokens = scored_vocabulary();
    Gguf::new()
        .entry("general.architecture", Meta::Text("llama"))
        .entry("tokenizer.ggml.model", Meta::Text("llama"))
        .entry("tokenizer.ggml.tokens", Meta::Texts(tokens.iter().map(|(text, ..)| text.as_str()).collect()))
        .entry("tokenizer.ggml.scores", Meta::Floats(tokens.iter().map(|&(_, score, _)| score).collect()))
        .entry("tokenizer.ggml.token_type", Meta::Ints(tokens.iter().map(|&(.., kind)| kind).collect()))
        .entry("tokenizer.ggml.bos_token_id", Meta::U32(1))
        .entry("tokenizer.ggml.eos_token_id", Meta::U32(2))
        .entry("tokenizer.ggml.add_space_prefix", Meta::Bool(prefix))
        .tensor("token_embd.weight", &[2, 32], 8, 68)
}

/// A llama2.c checkpoint: header fields as in the file; float `i` is `i`.
pub fn llama2c(header: [i32; 7]) -> Vec<u8> {
    let [dim, hidden, layers, heads, kv_heads, vocabulary, context] = header.map(|n| n.unsigned_abs() as usize);
    let kv = dim / heads * kv_heads;
    let layer = 2 * dim + 2 * dim * dim + 2 * kv * dim + 3 * hidden * dim;
    let classifier = if header[5] < 0 { vocabulary * dim } else { 0 };
    let floats = vocabulary * dim + layers * layer + dim + context * (dim / heads) + classifier;
    let mut file: Vec<u8> = header.iter().flat_map(|n| n.to_le_bytes()).collect();
    file.extend((0..floats).flat_map(|i| (i as f32).to_le_bytes()));
    file
}

/// A vocabulary file of llama2.c: the three special tokens, 256 bytes, then pieces with scores.
pub fn llama2c_vocabulary(pieces: &[(&str, f32)]) -> Vec<u8> {
    let mut tokens: Vec<(String, f32)> = ["<unk>", "\n<s>\n", "\n</s>\n"].map(|text| (text.into(), 0.0)).into();
    tokens.extend((0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), 0.0)));
    tokens.extend(pieces.iter().map(|&(text, score)| (text.to_owned(), score)));
    let longest = tokens.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
    let mut file = (longest as u32).to_le_bytes().to_vec();
    for (text, score) in tokens {
        file.extend(score.to_le_bytes());
        file.extend((text.len() as i32).to_le_bytes());
        file.extend(text.as_bytes());
    }
    file
}
