//! One prediction taken apart.
#![allow(clippy::unwrap_used)]

mod common;
mod variants;

use common::{Planted, plain};
use saltus_lens::prompt::{Options, PartKind, Prediction, take_apart};
use saltus_lm::TokenId;
use saltus_transformer::Model;
use variants::{VOCABULARY, model, variants};

fn options(at: usize) -> Options {
    Options { second: 3, at, target: None, top: 4, parts: 5 }
}

fn tokens(count: usize) -> Vec<TokenId> {
    (0..count).map(|i| ((i * i * 7 + i / 3) % VOCABULARY) as TokenId).collect()
}

fn of(model: &Model, options: &Options) -> Prediction {
    take_apart(model, &tokens(9), options).unwrap()
}

#[test]
fn the_parts_are_the_logit_in_every_architecture_that_has_a_reading() {
    let mut with_reading = 0;
    for (name, config) in variants() {
        let cap = config.architecture.head.soft_cap;
        let (layers, heads) = (config.layers, config.heads);
        let model = model(config, 1);
        for target in [None, Some(7)] {
            let found = of(&model, &Options { target, parts: 1000, ..options(8) });
            assert_eq!((found.lens.len(), found.said.len()), (layers + 1, 4), "{name}");
            assert_eq!(found.lens[layers].said, found.said, "{name}");
            assert_eq!(found.target, target.unwrap_or(found.said[0].0));
            let Some(attribution) = &found.attribution else {
                assert_eq!(name, "bert");
                assert!(found.memories.iter().all(|memory| memory.amount.is_none()));
                continue;
            };
            with_reading += 1;
            let near =
                |a: f64, b: f64, what: &str| assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name} {what} {a} {b}");
            near(attribution.parts.iter().map(|part| part.amount).sum(), attribution.logit, "parts");
            assert_eq!(attribution.soft_cap, cap, "{name}");
            let sum = |kind: PartKind| -> f64 {
                attribution.parts.iter().filter(|part| part.kind == kind).map(|part| part.amount).sum()
            };
            assert_eq!(attribution.heads.len(), layers * heads);
            near(attribution.heads.iter().map(|head| head.amount).sum(), sum(PartKind::Attention), "heads");
            near(found.memories.iter().map(|memory| memory.amount.unwrap()).sum(), sum(PartKind::Mlp), "memories");
            let biased = attribution.parts.iter().any(|part| part.kind == PartKind::Bias);
            assert_eq!(biased, ["gpt2", "neox", "bloom", "phi"].contains(&name), "{name}");
            for head in &attribution.heads {
                let total: f32 = head.attention.iter().sum();
                assert!(head.attention.len() == 9 && (total - 1.0).abs() < 1e-5, "{name}");
            }
        }
    }
    assert_eq!(with_reading, 18);
}

#[test]
fn the_logit_is_the_one_that_makes_the_prediction() {
    for (name, config) in variants().into_iter().filter(|(name, _)| *name != "bert") {
        let model = model(config, 2);
        let logits: Vec<f64> = (0..VOCABULARY as TokenId)
            .map(|token| {
                let found = of(&model, &Options { target: Some(token), ..options(8) });
                let attribution = found.attribution.unwrap();
                attribution.soft_cap.map_or(attribution.logit, |cap| cap * (attribution.logit / cap).tanh())
            })
            .collect();
        let total: f64 = logits.iter().map(|x| x.exp()).sum();
        for (token, logit) in (0..).zip(&logits) {
            let found = of(&model, &Options { target: Some(token), ..options(8) });
            let lens = found.lens.last().unwrap();
            assert!((lens.logprob - (logit - total.ln())).abs() < 1e-4, "{name} {token}");
            assert_eq!(lens.rank as usize, 1 + logits.iter().filter(|x| *x > logit).count(), "{name} {token}");
        }
    }
}

/// A key for token 3, whose value is token 5, in layer 2 of 2; all else is zero.
#[test]
fn a_planted_memory_is_found_with_its_coefficient_and_its_vote() {
    let one = |holds: bool| f32::from(u8::from(holds));
    let model = Planted::new(plain(8, 2, 4))
        .plant("model.embed_tokens.weight", &|token, channel| one(token == channel))
        .plant("lm_head.weight", &|token, channel| one(token == channel))
        .plant("model.layers.1.mlp.up_proj.weight", &|unit, channel| one(unit == 2 && channel == 3))
        .plant("model.layers.1.mlp.down_proj.weight", &|channel, unit| 3.0 * one(unit == 2 && channel == 5))
        .model();
    let found = take_apart(&model, &[1, 4, 3], &Options { second: 3, at: 2, target: None, top: 2, parts: 3 }).unwrap();
    let memory = &found.memories[0];
    assert_eq!((found.target, memory.layer, memory.unit, memory.votes[0]), (5, 2, 2, 5));
    // The norm makes the one-hot token about sqrt(8) large.
    let coefficient = (0.125f64 + 1e-5).powf(-0.5);
    assert!((memory.coefficient - coefficient).abs() < 1e-4 && (memory.written - 3.0 * coefficient).abs() < 1e-3);
    let attribution = found.attribution.unwrap();
    assert!((memory.amount.unwrap() - attribution.logit).abs() < 1e-6, "{attribution:?}");
    assert!(found.memories[1..].iter().all(|memory| memory.amount == Some(0.0)));
    assert_eq!(found.lens.iter().map(|lens| lens.said[0].0).collect::<Vec<_>>(), [3, 3, 5]);
    assert_eq!(found.lens.iter().map(|lens| lens.rank).collect::<Vec<_>>(), [8, 8, 1]);
}

#[test]
fn other_places_and_second_sentences_are_asked_too() {
    let bert = model(variants().into_iter().find(|(name, _)| *name == "bert").unwrap().1, 3);
    let at = |second: usize, at: usize| of(&bert, &Options { second, ..options(at) }).said;
    assert!(at(9, 4) != at(3, 4) && at(9, 4) != at(9, 5));
    // A causal model's prediction does not depend on what follows.
    let llama = model(variants::llama(), 3);
    let early = take_apart(&llama, &tokens(9)[..5], &options(4)).unwrap();
    assert_eq!(of(&llama, &options(4)).lens[3].rank, early.lens[3].rank);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let llama = model(variants::llama(), 1);
    let check = |tokens: &[TokenId], options: Options, expect: &str| {
        let error = take_apart(&llama, tokens, &options).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(&tokens(9), options(9), "there is no token 10 in a text of 9");
    check(&tokens(9), Options { target: Some(23), ..options(8) }, "token 23 in a model with a vocabulary of 23");
    check(&tokens(33), options(32), "33 tokens do not fit the model's context of 32");
    check(&[], options(0), "there is no token 1");
    let broken = Planted::new(plain(8, 1, 4)).plant("lm_head.weight", &|_, _| f32::INFINITY).model();
    assert_eq!(take_apart(&broken, &[1], &options(0)), Err(saltus_lens::Error::Unsound));
}
