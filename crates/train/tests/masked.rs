//! A masked objective: a text whose gaps can be known is learnt to nearly no loss, to the same bits after interruptions,
//! and the saved model fills gaps as it was trained to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "its corpus is for the other tests")]
mod toy;

use saltus_corpus::{Corpus, Masked, TextFiles, TextSource, TokenizerSource};
use saltus_lm::LanguageModel;
use saltus_random::Key;
use saltus_train::{Error, Event, Rung, Trained, checkpoint_folder, train_rung};
use saltus_transformer::{LocalModel, Weights};
use std::{fs, ops::ControlFlow, path::Path};

/// Eleven letters over and over: any letter that is seen tells all others.
fn corpus(folder: &Path) -> Masked {
    let file = folder.join("letters.txt");
    fs::write(&file, "abcdefghijk".repeat(4000)).unwrap();
    let source = TextSource { files: vec![file], tokenizer: TokenizerSource::Byte, held_out: 0.2 };
    Masked::new(TextFiles::open(&source, 24, &folder.join("cache")).unwrap()).unwrap()
}

fn rung(steps: u64) -> Rung {
    let mut rung = Rung { rows: 8, ..toy::rung(steps) };
    rung.config.vocabulary = 257;
    rung.config.context = 24;
    rung.config.architecture = rung.config.architecture.bidirectional();
    rung
}

fn train(rung: &Rung, corpus: &Masked, folder: &Path, threads: usize, stop: u64) -> Result<Trained, Error> {
    train_rung(rung, corpus, folder, threads, &mut |event| match event {
        Event::Step { step, .. } if step >= stop => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

#[test]
fn gaps_that_can_be_known_are_learnt_and_filled() {
    let dir = tempfile::tempdir().unwrap();
    let (corpus, rung) = (corpus(dir.path()), rung(1200));
    let trained = train(&rung, &corpus, &dir.path().join("model"), 1, u64::MAX).unwrap();
    let (first, last) = (trained.curve[0], trained.curve[trained.curve.len() - 1]);
    assert!(first.loss > 2.0 && last.loss < 0.05, "{first:?} {last:?}");

    let folder = checkpoint_folder(&dir.path().join("model"), 1200);
    let config: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["model_type"], &config["mask_token_id"]), (&"eurobert".into(), &256.into()));
    let model = LocalModel::new(Weights::load(&folder).unwrap(), corpus.tokenizer());
    let held_out = corpus.held_out(150, Key::new(9)).unwrap();
    let scores = model.fill(&held_out.requests).unwrap();
    let said: Vec<f64> = scores.iter().flat_map(|score| &score.logprobs).map(|x| f64::from(*x)).collect();
    let loss = -said.iter().sum::<f64>() / said.len() as f64;
    assert!(said.len() == 150 * 4 && loss < 0.05, "{loss}");
}

#[test]
fn bits_do_not_depend_on_threads_or_on_interruptions() {
    let dir = tempfile::tempdir().unwrap();
    let (corpus, rung) = (corpus(dir.path()), rung(30));
    let one = train(&rung, &corpus, &dir.path().join("1"), 1, u64::MAX).unwrap();
    assert_eq!(train(&rung, &corpus, &dir.path().join("4"), 4, u64::MAX).unwrap(), one);
    let interrupted = dir.path().join("interrupted");
    for stop in [1, 13, 29] {
        assert!(matches!(train(&rung, &corpus, &interrupted, 2, stop), Err(Error::Stopped { step }) if step == stop));
    }
    assert_eq!(train(&rung, &corpus, &interrupted, 1, u64::MAX).unwrap(), one);
}
