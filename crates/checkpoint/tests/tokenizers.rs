//! Tokenizers from each kind of file: ids, round trips, special tokens as text, beginning and end.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Gguf, Meta};
use proptest::prelude::*;
use saltus_checkpoint::{Beginning, Checkpoint, Error, FileTokenizer};
use saltus_lm::Tokenizer;
use std::fs;

fn of_gguf(file: &Gguf) -> Result<FileTokenizer, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    fs::write(&path, file.build()).unwrap();
    Checkpoint::open(&path).unwrap().tokenizer()
}

/// A folder's tokenizer with these contents of `tokenizer_config.json`, `generation_config.json` and `config.json`.
fn of_folder(settings: &str, generation: &str, config: &str) -> FileTokenizer {
    let folder = tempfile::tempdir().unwrap();
    let weights = common::safetensors(&[("a", "F32", &[1], 4)]);
    let tokenizer = common::tokenizer_json();
    let files: [(&str, &[u8]); 5] = [
        ("tokenizer_config.json", settings.as_bytes()),
        ("generation_config.json", generation.as_bytes()),
        ("config.json", config.as_bytes()),
        ("tokenizer.json", tokenizer.as_bytes()),
        ("model.safetensors", &weights),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    Checkpoint::open(folder.path()).unwrap().tokenizer().unwrap()
}

fn of_llama2c(pieces: &[(&str, f32)]) -> FileTokenizer {
    let folder = tempfile::tempdir().unwrap();
    let tokens = 259 + pieces.len();
    fs::write(folder.path().join("m.bin"), common::llama2c([2, 1, 1, 1, 1, tokens as i32, 1])).unwrap();
    fs::write(folder.path().join(format!("tok{tokens}.bin")), common::llama2c_vocabulary(pieces)).unwrap();
    Checkpoint::open(&folder.path().join("m.bin")).unwrap().tokenizer().unwrap()
}

const PIECES: [(&str, f32); 7] =
    [("he", -0.0), ("ll", -1.0), ("hell", -2.0), (" ", -3.0), ("h", -4.0), ("e", -5.0), ("l", -6.0)];

/// One of each kind.
fn every() -> Vec<FileTokenizer> {
    vec![
        of_gguf(&common::byte_level_gguf()).unwrap(),
        of_gguf(&common::scored_gguf(true)).unwrap(),
        of_gguf(&common::scored_gguf(false)).unwrap(),
        of_folder("{}", "{}", "{}"),
        of_llama2c(&PIECES),
    ]
}

#[test]
fn the_best_merge_comes_first() {
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    let tokenizer = of_gguf(&common::byte_level_gguf()).unwrap();
    assert_eq!(tokenizer.encode("hello").unwrap(), [vec![258], bytes("o")].concat());
    assert_eq!(tokenizer.encode("hel").unwrap(), [vec![256], bytes("l")].concat());
    // Scored pieces: `he` (4) scores best, then `ll` (5), then both (6); `▁he` (7) only where nothing better is made.
    let scored = of_gguf(&common::scored_gguf(true)).unwrap();
    assert_eq!(scored.encode("hello").unwrap(), [9, 6, 13]);
    assert_eq!(scored.encode("he").unwrap(), [7]);
    assert_eq!(scored.encode("lo").unwrap(), [9, 8]);
    let plain = of_gguf(&common::scored_gguf(false)).unwrap();
    assert_eq!(plain.encode("hello").unwrap(), [6, 13]);
    // Of equal pairs the leftmost: lll is ll, l.
    assert_eq!(plain.encode("lll").unwrap(), [5, 12]);
}

#[test]
fn what_is_no_piece_goes_byte_by_byte() {
    let scored = of_gguf(&common::scored_gguf(false)).unwrap();
    let byte = |byte: u8| 15 + u32::from(byte);
    assert_eq!(scored.encode("hé").unwrap(), [10, byte(0xc3), byte(0xa9)]);
    assert_eq!(scored.decode(&[byte(0xc3)]), "\u{fffd}");
    let llama2c = of_llama2c(&PIECES);
    assert_eq!(llama2c.encode("é").unwrap(), [262, 3 + 0xc3, 3 + 0xa9]);
}

#[test]
fn added_text_is_found_before_any_merge() {
    let scored = of_gguf(&common::scored_gguf(true)).unwrap();
    assert_eq!(scored.encode("\n\n\n").unwrap(), [3, 14]);
    // The prefix belongs to the beginning of a text, not to what follows an added token.
    assert_eq!(scored.encode("\n\nhe").unwrap(), [3, 4]);
}

#[test]
fn special_tokens_in_text_are_text() {
    for tokenizer in every() {
        for text in ["<|end|>", "<|begin|>hello", "a <s> b</s>", "<unk><0x0A>"] {
            let tokens = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&tokens), text);
            let special = ["<|end|>", "<|begin|>", "<s>", "</s>", "<unk>"].map(|name| tokenizer.special(name));
            assert!(tokens.iter().all(|token| !special.contains(&Some(*token))), "{text}: {tokens:?}");
        }
    }
    assert_eq!(of_gguf(&common::byte_level_gguf()).unwrap().special("<|end|>"), Some(259));
    assert_eq!(of_folder("{}", "{}", "{}").special("<|end|>"), Some(259));
    assert_eq!(of_gguf(&common::scored_gguf(true)).unwrap().special("</s>"), Some(2));
    assert_eq!(of_gguf(&common::scored_gguf(true)).unwrap().special("he"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn text_comes_back(text in "([hel lo\n]|[ -~]|\\PC|é|語|🦀){0,40}") {
        thread_local! { static EVERY: Vec<FileTokenizer> = every(); }
        // `▁` is how scored pieces write a space.
        prop_assume!(!text.contains('▁'));
        EVERY.with(|all| for tokenizer in all {
            let tokens = tokenizer.encode(&text).unwrap();
            assert_eq!(tokenizer.decode(&tokens), text, "{}", tokenizer.path().display());
            assert!(tokens.iter().all(|&token| (token as usize) < tokenizer.vocabulary()));
        });
    }
}

#[test]
fn beginning_and_end_are_as_the_files_say() {
    let beginning = |token, added| Some(Beginning { token, added });
    // The post-processor alone: <|begin|> is added.
    let plain = of_folder("{}", "{}", "{}");
    assert_eq!((plain.beginning(), plain.end()), (beginning(260, true), &[][..]));
    let told = of_folder(
        r#"{"add_bos_token": false, "eos_token": {"content": "<|end|>"}}"#,
        r#"{"eos_token_id": [5, 259]}"#,
        r#"{"eos_token_id": 7, "bos_token_id": 3}"#,
    );
    assert_eq!((told.beginning(), told.end()), (beginning(260, false), &[5, 7, 259][..]));
    // Ids beyond the vocabulary (a configuration's defaults) are none.
    assert_eq!(of_folder("{}", "{}", r#"{"eos_token_id": 50256}"#).end(), &[] as &[u32]);
    let gguf = of_gguf(&common::byte_level_gguf()).unwrap();
    assert_eq!((gguf.beginning(), gguf.end()), (beginning(260, false), &[259][..]));
    let scored = of_gguf(&common::scored_gguf(true)).unwrap();
    assert_eq!((scored.beginning(), scored.end()), (beginning(1, true), &[2][..]));
    let silent = of_gguf(&common::scored_gguf(true).entry("tokenizer.ggml.add_bos_token", Meta::Bool(false))).unwrap();
    assert_eq!(silent.beginning(), beginning(1, false));
}

/// WordPiece, as BERT's: text between two special tokens, letters made small, what is unknown one token.
#[test]
fn bert_has_a_beginning_and_an_end_and_changes_its_text() {
    let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "wor", "##ld"];
    let ids: std::collections::BTreeMap<_, _> = vocabulary.iter().enumerate().map(|(id, text)| (text, id)).collect();
    let special = |id: usize| {
        serde_json::json!({ "id": id, "content": vocabulary[id], "single_word": false, "lstrip": false,
                            "rstrip": false, "normalized": false, "special": true })
    };
    let json = serde_json::json!({
        "version": "1.0", "truncation": { "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "[PAD]" },
        "added_tokens": [special(2), special(3)],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                        "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": false },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": ids }
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), json.to_string()).unwrap();
    let tokenizer = FileTokenizer::from_json(file.path()).unwrap();
    // Neither cut to the file's length nor padded to it.
    assert_eq!(tokenizer.encode("Hello WORLD, hello").unwrap(), [4, 5, 6, 1, 4]);
    assert_eq!(tokenizer.decode(&[4, 5, 6]), "hello world");
    assert_eq!(tokenizer.beginning(), Some(Beginning { token: 2, added: true }));
    assert_eq!((tokenizer.end(), tokenizer.special("[SEP]")), (&[3][..], Some(3)));
}

#[test]
fn the_identity_is_the_tokenizer_alone() {
    let with =
        |key: &str, value: &str| of_gguf(&common::byte_level_gguf().entry(key, Meta::Text(value))).unwrap().identity();
    let plain = of_gguf(&common::byte_level_gguf()).unwrap().identity();
    assert_eq!(plain, with("general.name", "other"));
    assert_eq!(plain, with("tokenizer.chat_template", "other"));
    assert_ne!(plain, with("tokenizer.ggml.other", "other"));
    assert_ne!(of_llama2c(&PIECES).identity(), of_llama2c(&PIECES[1..]).identity());
}

#[test]
fn a_byte_without_a_token_is_an_error_with_its_place() {
    let (tokens, _) = common::byte_level_vocabulary();
    let text: Vec<&str> =
        tokens.iter().map(String::as_str).map(|token| if token == "!" { "!!" } else { token }).collect();
    let file = Gguf::new()
        .entry("tokenizer.ggml.model", Meta::Text("gpt2"))
        .entry("tokenizer.ggml.pre", Meta::Text("gpt-2"))
        .entry("tokenizer.ggml.tokens", Meta::Texts(text))
        .entry("tokenizer.ggml.merges", Meta::Texts(vec![]))
        .tensor("t", &[1], 0, 4);
    let error = of_gguf(&file).unwrap().encode("hé!").unwrap_err();
    assert_eq!(error, saltus_lm::Error::NoToken { text: "!".into(), at: 3 });
}

#[test]
fn a_vocabulary_larger_than_the_embedding_does_not_fit() {
    let tokenizer = of_gguf(&common::byte_level_gguf()).unwrap();
    assert!(tokenizer.fits(261).is_ok() && tokenizer.fits(1000).is_ok());
    assert!(tokenizer.fits(260).unwrap_err().problem.contains("expected tokens below 260"));
}

/// How each pattern cuts words, seen where a vocabulary of bytes would merge across the cut.
#[test]
fn pre_tokenizers_cut_where_their_models_do() {
    let cases = [
        // Digits: GPT-2 takes runs, SmolLM and Qwen each one, Llama 3 up to three.
        ("gpt-2", "1234", vec!["1234"]),
        ("smollm", "1234", vec!["1", "2", "3", "4"]),
        ("qwen2", "1234", vec!["1", "2", "3", "4"]),
        ("llama-bpe", "1234", vec!["123", "4"]),
        ("dbrx", "1234", vec!["123", "4"]),
        ("tekken", "1234", vec!["1", "2", "3", "4"]),
        // Contractions: GPT-2 in lower case alone.
        ("gpt-2", "I'M", vec!["I", "'", "M"]),
        ("qwen2", "I'M", vec!["I", "'M"]),
        // One sign before letters belongs to them in the newer patterns.
        ("gpt-2", "(ab", vec!["(", "ab"]),
        ("llama-bpe", "(ab", vec!["(ab"]),
        // White space before a word: all but one.
        ("gpt-2", "a   b", vec!["a", "  ", " b"]),
        ("qwen2", "a\n\nb", vec!["a", "\n\n", "b"]),
        // BLOOM cuts at punctuation and spaces, not between letters and digits.
        ("bloom", "ab12, c", vec!["ab12", ",", " c"]),
        // Mistral's Tekken cuts where lower case turns to upper.
        ("tekken", "abCd", vec!["ab", "Cd"]),
    ];
    for (pre, text, words) in cases {
        // A vocabulary in which every part of the text is a token made by merging from its left.
        let letters = common::byte_letters();
        let spelled: Vec<&str> = text.bytes().map(|byte| letters[usize::from(byte)].as_str()).collect();
        let (mut tokens, mut merges) = (letters.clone(), Vec::new());
        for begin in 0..spelled.len() {
            for end in begin + 2..=spelled.len() {
                let (left, right) = (spelled[begin..end - 1].concat(), spelled[end - 1]);
                if !tokens.contains(&format!("{left}{right}")) {
                    merges.push(format!("{left} {right}"));
                    tokens.push(format!("{left}{right}"));
                }
            }
        }
        let file = Gguf::new()
            .entry("tokenizer.ggml.model", Meta::Text("gpt2"))
            .entry("tokenizer.ggml.pre", Meta::Text(pre))
            .entry("tokenizer.ggml.tokens", Meta::Texts(tokens.iter().map(String::as_str).collect()))
            .entry("tokenizer.ggml.merges", Meta::Texts(merges.iter().map(String::as_str).collect()))
            .tensor("t", &[1], 0, 4);
        let tokenizer = of_gguf(&file).unwrap();
        // No token crosses a cut: the cuts are among the boundaries of the tokens, and each word is its tokens alone.
        let alone: Vec<u32> = words.iter().flat_map(|word| tokenizer.encode(word).unwrap()).collect();
        assert_eq!(tokenizer.encode(text).unwrap(), alone, "{pre}: {text}");
        let whole = words.iter().all(|word| tokenizer.encode(word).unwrap().len() < word.len().max(2));
        assert!(whole, "{pre}: {text}: a word is cut further than said");
    }
}
