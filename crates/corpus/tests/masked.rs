//! Text with hidden tokens: what is hidden depends on (key, step) alone, and the mask is a token of the tokenizer.
#![allow(clippy::unwrap_used)]

use saltus_corpus::{Batch, Corpus, HiddenWindows, IGNORE, Masked, TextFiles, TextSource, TokenizerSource, Vocabulary};
use saltus_lm::{TokenId, Tokenizer};
use saltus_random::Key;
use std::path::Path;

fn open(folder: &Path, tokenizer: TokenizerSource) -> TextFiles {
    let line = |i: u32| format!("Line {i} of the song: {} bottles — and [MASK] is a word.\n", i * i % 97);
    let file = folder.join("a.txt");
    std::fs::write(&file, (0..2000).map(line).collect::<String>()).unwrap();
    TextFiles::open(&TextSource { files: vec![file], tokenizer, held_out: 0.2 }, 40, &folder.join("cache")).unwrap()
}

fn batch(corpus: &dyn Corpus, seed: u64, step: u64, rows: usize) -> Batch {
    let mut batch = Batch::default();
    corpus.batch(Key::new(seed), step, rows, &mut batch);
    batch
}

/// What was read before it was hidden.
fn restored(tokens: &[TokenId], targets: &[TokenId]) -> Vec<TokenId> {
    tokens.iter().zip(targets).map(|(token, target)| if *target == IGNORE { *token } else { *target }).collect()
}

#[test]
fn batches_are_rows_of_the_text_with_tokens_hidden_anew_each_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let plain = open(folder.path(), TokenizerSource::Bpe(350));
    let masked = Masked::new(open(folder.path(), TokenizerSource::Bpe(350))).unwrap();
    let one = batch(&masked, 3, 5, 8);
    assert_eq!(one, batch(&masked, 3, 5, 8));
    assert_eq!(restored(&one.tokens, &one.targets), batch(&plain, 3, 5, 8).tokens);
    assert!(one.targets.chunks(40).all(|row| row.iter().filter(|t| **t != IGNORE).count() == 6));
    assert!(one.tokens.contains(&masked.mask().unwrap()));
    let one_by_one: Vec<u32> = (40..48).flat_map(|step| batch(&masked, 3, step, 1).targets).collect();
    assert_eq!(one.targets, one_by_one);
    assert_ne!(one.targets, batch(&masked, 4, 5, 8).targets);
    // The same window in two epochs.
    let windows = (plain.unique_tokens().unwrap() - 1) / 40;
    let (first, second) = (batch(&masked, 3, 0, windows as usize), batch(&masked, 3, 1, windows as usize));
    let of_text = |batch: &Batch, row: usize| {
        let (tokens, targets) = (&batch.tokens[row * 40..][..40], &batch.targets[row * 40..][..40]);
        (restored(tokens, targets), targets.to_vec())
    };
    let (text, hidden) = of_text(&first, 0);
    let again = (0..windows as usize).map(|row| of_text(&second, row)).find(|(other, _)| *other == text).unwrap();
    assert_ne!(hidden, again.1);
}

#[test]
fn the_objective_is_part_of_the_identity_and_not_of_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let plain = open(folder.path(), TokenizerSource::Byte);
    let masked = Masked::new(open(folder.path(), TokenizerSource::Byte)).unwrap();
    assert_ne!(plain.identity(), masked.identity());
    assert_eq!((plain.mask(), masked.mask()), (None, Some(256)));
    assert_eq!(masked.tokenizer().vocabulary(), 257);
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 1);
}

#[test]
fn held_out_windows_are_fixed_and_no_training_text() {
    let folder = tempfile::tempdir().unwrap();
    let masked = Masked::new(open(folder.path(), TokenizerSource::Bpe(350))).unwrap();
    let HiddenWindows { set, requests } = masked.held_out(30, Key::new(1)).unwrap();
    assert_eq!((set.questions.len(), requests.len()), (30, 30));
    assert_eq!(masked.held_out(30, Key::new(1)).unwrap().requests, requests);
    assert_ne!(masked.held_out(30, Key::new(2)).unwrap().requests, requests);
    assert_eq!(masked.held_out(10, Key::new(1)).unwrap().requests, requests[..10]);
    let training = batch(&masked, 1, 0, masked.unique_tokens().unwrap() as usize / 40);
    let training = masked.tokenizer().decode(&restored(&training.tokens, &training.targets));
    for (question, request) in set.questions.iter().zip(&requests) {
        assert_eq!((request.tokens.len(), request.second, request.targets.len()), (40, 40, 6));
        let mut text = request.tokens.clone();
        request.targets.iter().for_each(|(at, token)| text[*at] = *token);
        let text = masked.tokenizer().decode(&text);
        // Lines are numbered: a whole one is nowhere else.
        let line = text.split('\n').nth(1).unwrap_or(&text);
        assert!(line.len() < 12 || !training.contains(line), "{line}");
        assert_eq!(*question.prompt, *masked.tokenizer().decode(&request.tokens));
    }
}

#[test]
fn the_mask_is_a_special_token_and_what_looks_like_it_is_text() {
    let text = "Stay with [MASK] for a while";
    let bpe = Vocabulary::train((0..40).map(|i| format!("{text} {i}")), 300).unwrap();
    for (plain, takes_space) in [(Vocabulary::Byte, false), (bpe, true)] {
        let (vocabulary, mask) = plain.with_mask().unwrap();
        assert_eq!(mask as usize, plain.vocabulary());
        assert_eq!(vocabulary.encode(text).unwrap(), plain.encode(text).unwrap());
        assert_eq!(vocabulary.decode(&[mask]), "[MASK]");
        // A second time changes nothing.
        let (again, same) = vocabulary.with_mask().unwrap();
        assert_eq!((again.identity(), same), (vocabulary.identity(), mask));
        let folder = tempfile::tempdir().unwrap();
        vocabulary.save(folder.path()).unwrap();
        let settings = std::fs::read_to_string(folder.path().join("tokenizer_config.json")).unwrap();
        assert!(settings.contains(r#""mask_token": "[MASK]""#), "{settings}");
        // Elsewhere the mask in a text is the token, which takes the space of a word along.
        let elsewhere = tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
        let tokens = elsewhere.encode("with [MASK] for", false).unwrap().get_ids().to_vec();
        let before = if takes_space { "with" } else { "with " };
        assert_eq!(tokens, [plain.encode(before).unwrap(), vec![mask], plain.encode(" for").unwrap()].concat());
    }
}
