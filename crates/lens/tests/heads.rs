//! Scores of heads whose weights are set by hand.
#![allow(clippy::unwrap_used)]

mod common;

use common::Planted;
use saltus_lens::heads::{Options, Scores, scores, text_loss};
use saltus_random::Key;
use saltus_transformer::{Architecture, Config, Model, Positions};

/// Tokens, and positions: the stream holds a token, its position, and the token before.
const V: usize = 32;
const WIDTH: usize = 3 * V;
/// Channels of a head: a token and a position.
const HEAD: usize = 2 * V;

fn config(layers: usize) -> Config {
    let mut architecture = Architecture::llama(HEAD, 10_000.0, 1e-5);
    architecture.positions = Positions::Learned;
    Config {
        vocabulary: V,
        context: V,
        width: WIDTH,
        layers,
        heads: 2,
        kv_heads: 2,
        head_dim: HEAD,
        mlp_hidden: 1,
        tied_embedding: false,
        architecture,
    }
}

/// 1 where it holds.
fn one(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

/// Head 0 of layer 1 attends to the position before and writes its token to the third part of the stream. Head 0 of layer
/// 2 looks for where that is its own token, and copies the token there: an induction head. Head 1 of layer 2 looks for
/// its own token elsewhere: a duplicate-token head. Head 1 of layer 1 does nothing.
fn induction(layers: usize) -> Model {
    let mut model = Planted::new(config(layers))
        .plant("model.embed_tokens.weight", &|token, channel| one(channel == token))
        .plant("model.embed_positions.weight", &|position, channel| one(channel == V + position))
        .plant("lm_head.weight", &|token, channel| one(channel == token))
        .plant("model.layers.0.self_attn.q_proj.weight", &|row, channel| 5.0 * one(row < V && channel == V + row + 1))
        .plant("model.layers.0.self_attn.k_proj.weight", &|row, channel| one(row < V && channel == V + row))
        .plant("model.layers.0.self_attn.v_proj.weight", &|row, channel| one(row < V && channel == row))
        .plant("model.layers.0.self_attn.o_proj.weight", &|channel, row| {
            // The norm before has made a token sqrt(WIDTH / 2) large.
            one(row < V && channel == 2 * V + row) / (WIDTH as f32 / 2.0).sqrt()
        });
    if layers > 1 {
        model = model
            .plant("model.layers.1.self_attn.q_proj.weight", &|row, channel| match row {
                // Head 0: my token; head 1: my token, and not my position.
                row if row < V => 8.0 * one(channel == row),
                row if (HEAD..HEAD + V).contains(&row) => 8.0 * one(channel == row - HEAD),
                row if row >= HEAD + V => -8.0 * one(channel == V + row - HEAD - V),
                _ => 0.0,
            })
            .plant("model.layers.1.self_attn.k_proj.weight", &|row, channel| match row {
                row if row < V => one(channel == 2 * V + row),
                row if row >= HEAD => one(channel == row - HEAD),
                _ => 0.0,
            })
            .plant("model.layers.1.self_attn.v_proj.weight", &|row, channel| one(row < V && channel == row))
            .plant("model.layers.1.self_attn.o_proj.weight", &|channel, row| 4.0 * one(row < V && channel == row));
    }
    model.model()
}

/// The beginning is what the first random token has before it: without it, its own token would be.
fn options() -> Options {
    Options { sequences: 6, length: 15, beginning: Some(0), tokens: (1..V as u32).collect() }
}

fn of(model: &Model) -> Scores {
    scores(model, &options(), Key::new(1)).unwrap()
}

#[test]
fn hand_built_heads_score_one_and_the_others_chance() {
    let found = of(&induction(2));
    let check = |head: usize, score: usize, expect: f64| {
        let found = found.heads[head].scores[score];
        assert!((found.value - expect).abs() < 0.01, "head {head} score {score}: {found:?}");
        let (low, high) = found.interval.unwrap();
        assert!(low <= found.value && found.value <= high);
    };
    (0..3).for_each(|score| check(0, score, f64::from(u8::from(score == 0))));
    (0..3).for_each(|score| check(1, score, found.chance[score]));
    [(2, 1, 0.0), (2, 2, 1.0), (3, 1, 1.0), (3, 2, 0.0)].into_iter().for_each(|(h, s, x)| check(h, s, x));
    assert_eq!(found.induction_max, found.heads[2].scores[2]);
    assert!((found.induction_mean.value - (1.0 + found.chance[2]) / 4.0).abs() < 0.01);
    // The copy is foreseen, and not its first token.
    assert_eq!(found.repeated.loss.len(), 30);
    assert!(found.repeated.loss[16..].iter().all(|loss| loss.value < 0.1), "{:?}", found.repeated);
    assert!(found.repeated.loss[15].value > 2.0);
    assert!(found.repeated.icl_score.value < -2.0 && found.repeated.icl_score.interval.unwrap().1 < 0.0);
}

#[test]
fn one_layer_has_no_induction_head_and_learns_nothing_from_the_copy() {
    let found = of(&induction(1));
    assert!(found.induction_max.value < 2.0 * found.chance[2], "{:?}", found.induction_max);
    assert!((found.heads[0].scores[0].value - 1.0).abs() < 0.01);
    assert!(found.repeated.icl_score.value.abs() < 0.05, "{:?}", found.repeated.icl_score);
}

#[test]
fn without_a_beginning_every_token_but_the_first_has_a_loss() {
    let found = scores(&induction(2), &Options { length: 16, beginning: None, ..options() }, Key::new(2)).unwrap();
    // The first token takes itself for the token before, so that its copy looks at two places.
    assert!((found.heads[2].scores[2].value - (1.0 - 0.5 / 16.0)).abs() < 0.001, "{:?}", found.heads[2]);
    assert!((found.heads[0].scores[0].value - 1.0).abs() < 0.01, "{:?}", found.heads[0]);
    assert_eq!(found.repeated.loss.len(), 31);
    assert!(found.repeated.icl_score.value < -2.0);
}

#[test]
fn equal_keys_give_equal_scores_at_any_number_of_threads() {
    let model = induction(2);
    let on = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    assert_eq!(on(1).install(|| of(&model)), on(3).install(|| of(&model)));
}

#[test]
fn a_text_that_repeats_itself_is_learnt_from() {
    let texts: Vec<Vec<u32>> =
        (0..4).map(|i| (0..32).map(|t| (7 * (t % 8) + 3 * i + (t % 8) * i) % V as u32).collect()).collect();
    let found = text_loss(&induction(2), &texts).unwrap();
    assert_eq!(found.loss.len(), 31);
    // Positions 2 and 3 against 30 and 31.
    let mean = |from: usize| (found.loss[from].value + found.loss[from + 1].value) / 2.0;
    assert!((found.icl_score.value - (mean(29) - mean(1))).abs() < 1e-9);
    assert!(found.icl_score.value < -1.0, "{:?}", found.icl_score);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let check = |options: Options, expect: &str| {
        let error = scores(&induction(1), &options, Key::new(1)).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(Options { length: 16, ..options() }, "16 tokens twice do not fit the model's context of 32: give at most 15");
    check(Options { length: 17, beginning: None, ..options() }, "give at most 16");
    check(Options { tokens: vec![1, 2, 3], ..options() }, "15 different tokens cannot be drawn from 3: give at most 3");
    check(Options { sequences: 1, ..options() }, "give at least 2");
    check(Options { tokens: (20..40).collect(), ..options() }, "vocabulary of 32");
    let mut both_ways = config(1);
    both_ways.architecture.attention.causal = false;
    let error = scores(&Planted::new(both_ways).model(), &options(), Key::new(1)).unwrap_err();
    assert!(error.to_string().contains("sees both ways"));
    assert!(text_loss(&induction(1), &[vec![1; 16], vec![1; 16]]).unwrap_err().to_string().contains("32 tokens"));
    let broken = Planted::new(config(1)).plant("lm_head.weight", &|_, _| f32::NAN).model();
    assert_eq!(scores(&broken, &options(), Key::new(1)), Err(saltus_lens::Error::Unsound));
}
