//! Tokenizers: what they encode, and what is kept of them beside a model.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use saltus_corpus::{ALPHABET, PADDING, Vocabulary};
use saltus_lm::Tokenizer;
use std::collections::HashSet;

const TEXT: &str = "The quick brown fox, and the quicker one; naïve — 語彙.\n\n  Two  spaces\tand a tab.\n";

fn bpe(size: usize) -> Vocabulary {
    let texts = (0..40).map(|i| format!("{TEXT} number {i} of the quick ones"));
    Vocabulary::train(texts.collect::<Vec<_>>().into_iter(), size).unwrap()
}

#[test]
fn the_alphabet_is_64_characters() {
    assert_eq!((ALPHABET.len(), ALPHABET.chars().collect::<HashSet<_>>().len()), (64, 64));
    assert_eq!(Vocabulary::Char.vocabulary(), 64);
    assert_eq!(Vocabulary::Char.encode("_").unwrap(), [PADDING]);
    assert_eq!(Vocabulary::Char.encode("ab;").unwrap(), [1, 2, 48]);
    assert_eq!(Vocabulary::Char.decode(&[1, 64, 2]), "a\u{fffd}b");
    let message = Vocabulary::Char.encode("abé").unwrap_err().to_string();
    insta::assert_snapshot!(message, @r#"the tokenizer has no token for "é" at byte 2: use a tokenizer that covers the text, or change the text"#);
}

#[test]
fn bytes_are_bytes() {
    assert_eq!(Vocabulary::Byte.encode("é").unwrap(), [0xc3, 0xa9]);
    assert_eq!(Vocabulary::Byte.decode(&[0x61, 0xc3, 0x62, 300]), "a\u{fffd}b\u{fffd}");
}

#[test]
fn training_is_reproducible_and_merges() {
    let (one, two) = (bpe(300), bpe(300));
    assert_eq!(one.identity(), two.identity());
    assert_ne!(one.identity(), bpe(301).identity());
    assert_eq!(one.vocabulary(), 300);
    assert!(one.encode(TEXT).unwrap().len() < TEXT.len() / 2);
    assert!(one.encode(TEXT).unwrap().iter().all(|&t| t < 300));
    // A text without repetition has nothing to merge.
    let small = Vocabulary::train(["abc".to_owned()].into_iter(), 1000).unwrap();
    assert_eq!(small.vocabulary(), 256);
    let message = Vocabulary::train([String::new()].into_iter(), 10).unwrap_err().to_string();
    insta::assert_snapshot!(message, @r#"tokenizer.bpe: 10 tokens: write a number from 257 to 1000000: 256 bytes and the merged pairs"#);
}

proptest! {
    #[test]
    fn decoding_gives_back_the_text(text in "\\PC{0,40}", spaced in "[ \n\ta-zé]{0,40}", of_alphabet in "[_a-z0-9;+=?* \n]{0,40}") {
        let trained = bpe(280);
        for text in [&text, &spaced] {
            for vocabulary in [&Vocabulary::Byte, &trained] {
                prop_assert_eq!(&vocabulary.decode(&vocabulary.encode(text).unwrap()), text);
            }
        }
        prop_assert_eq!(&Vocabulary::Char.decode(&Vocabulary::Char.encode(&of_alphabet).unwrap()), &of_alphabet);
    }
}

/// What is saved is opened by the `tokenizers` library (and with it by `transformers`) to the same tokens and texts.
#[test]
fn a_saved_tokenizer_is_the_same_elsewhere() {
    let texts = [(Vocabulary::Char, ALPHABET), (Vocabulary::Byte, TEXT), (bpe(300), TEXT)];
    for (vocabulary, text) in texts {
        let folder = tempfile::tempdir().unwrap();
        vocabulary.save(folder.path()).unwrap();
        let elsewhere = tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
        let tokens = vocabulary.encode(text).unwrap();
        assert_eq!(elsewhere.encode(text, false).unwrap().get_ids(), tokens);
        assert_eq!(elsewhere.decode(&tokens, false).unwrap(), text);
        assert_eq!(elsewhere.get_vocab_size(true), vocabulary.vocabulary());
        let loaded = Vocabulary::load(folder.path()).unwrap();
        assert_eq!(std::mem::discriminant(&loaded), std::mem::discriminant(&vocabulary));
        assert_eq!((loaded.identity(), loaded.encode(text).unwrap()), (vocabulary.identity(), tokens));
    }
}
