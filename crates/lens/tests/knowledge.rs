//! Knowledge by layer, where it is known where it sits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Planted, plain};
use rand::RngExt;
use saltus_lens::{
    Frame, Lens, Start, Text, Training,
    knowledge::{Answers, Cloze, Summary, ask, summary},
    read,
};
use saltus_random::Key;
use saltus_record::{ModelKey, Observation};
use saltus_transformer::{
    Architecture, Config, EmbeddingKind, Head, Model, NoTaps, Norm, NormKind, NormPlace, Positions,
};

/// Tokens below this are subjects, those from here on their objects.
const OBJECTS: u32 = 8;

fn fact(tokens: Vec<u32>, target: u32, relation: &str, cluster: u32) -> Cloze {
    let (second, at) = (tokens.len(), tokens.len() - 1);
    Cloze { tokens, second, at, target, relation: relation.into(), cluster }
}

/// Each subject has the object of its number, in two relations.
fn facts() -> Vec<Cloze> {
    (0..OBJECTS).map(|s| fact(vec![3, s], OBJECTS + s, if s < 4 { "first" } else { "second" }, s)).collect()
}

/// Channel c is token c. The first MLP writes each subject's object into the channel that `place` says for it, the second
/// one adds what `second` says at (channel, the unit that reads the channel of an object's place).
fn planted(place: fn(u32) -> u32, second: &dyn Fn(usize, usize) -> f32) -> Model {
    let one = |at: bool| if at { 1.0 } else { 0.0 };
    let units = OBJECTS as usize;
    Planted::new(plain(16, 2, units))
        .plant("model.embed_tokens.weight", &|token, channel| one(token == channel))
        .plant("lm_head.weight", &|token, channel| one(token == channel))
        .plant("model.layers.0.mlp.up_proj.weight", &|unit, channel| one(unit == channel))
        .plant("model.layers.0.mlp.down_proj.weight", &|channel, unit| {
            3.0 * one(channel == place(OBJECTS + unit as u32) as usize)
        })
        .plant("model.layers.1.mlp.up_proj.weight", &|unit, channel| {
            one(channel == place(OBJECTS + unit as u32) as usize)
        })
        .plant("model.layers.1.mlp.down_proj.weight", second)
        .model()
}

/// Written by the first MLP, erased by the second.
fn erased() -> Model {
    planted(|object| object, &|channel, unit| if channel == unit + OBJECTS as usize { -6.0 } else { 0.0 })
}

/// An object's place, turned by one.
fn turned(object: u32) -> u32 {
    OBJECTS + (object - OBJECTS + 1) % OBJECTS
}

/// Written in turned channels, turned back by the second MLP.
fn rotated() -> Model {
    planted(turned, &|channel, unit| match channel {
        _ if channel == unit + OBJECTS as usize => 3.0,
        _ if channel == turned(unit as u32 + OBJECTS) as usize => -3.0,
        _ => 0.0,
    })
}

fn key() -> ModelKey {
    ModelKey {
        name: "planted".into(),
        width: 16,
        layers: 2,
        params_non_embedding: 0,
        params_total: 0,
        weights: String::new(),
        tokenizer: String::new(),
        training: None,
    }
}

fn observations(clozes: &[Cloze], answers: &Answers, top: u32) -> Vec<Observation> {
    summary(Summary { model: &key(), method: "logit-lens", top, key: Key::new(1) }, clozes, answers)
}

#[track_caller]
fn one<'a>(rows: &'a [Observation], metric: &str, group: &str, layer: Option<u32>) -> &'a Observation {
    let found: Vec<_> = rows
        .iter()
        .filter(|r| r.metric == metric && r.group == group && r.layer == layer && r.item.is_none())
        .collect();
    assert_eq!(found.len(), 1, "{metric} {group} {layer:?}");
    found[0]
}

fn logit(model: &Model, clozes: &[Cloze]) -> Answers {
    ask(model, clozes, &[], Lens::Logit, &|_| ()).unwrap()
}

#[test]
fn a_fact_written_by_one_mlp_and_erased_by_the_next_is_known_between_them() {
    let answers = logit(&erased(), &facts());
    assert_eq!(answers.layers, [0, 1, 2]);
    let rows = observations(&facts(), &answers, 3);
    for group in ["", "first", "second"] {
        for (layer, known) in [(0, 0.0), (1, 1.0), (2, 0.0)] {
            let row = one(&rows, "p_at_1", group, Some(layer));
            assert_eq!((row.value, row.n), (known, if group.is_empty() { 8 } else { 4 }), "{group} {layer}");
            let (low, high) = row.interval.unwrap();
            assert!(low <= known && known <= high && low < high, "{row:?}");
        }
        assert_eq!(one(&rows, "p_at_1_total", group, None).value, 1.0);
    }
    let intermediate = one(&rows, "intermediate_only", "", None);
    assert_eq!((intermediate.value, intermediate.interval), (1.0, None), "nothing shows how relations differ");
    assert_eq!(one(&rows, "mrr", "", Some(1)).value, 1.0);
    assert!(rows.iter().all(|row| row.metric != "p_at_1_total_null"), "there is nothing to seed in the logit lens");
    let ranks: Vec<f64> = rows.iter().filter(|r| r.metric == "rank" && r.layer == Some(1)).map(|r| r.value).collect();
    assert_eq!(ranks, [1.0; 8]);
}

/// Every weight drawn at random; gains are 1.
fn random(config: Config) -> Model {
    let names: Vec<String> = config.tensors().into_iter().map(|tensor| tensor.name).collect();
    let deviation = 1.0 / (config.width as f32).sqrt();
    let mut model = Planted::new(config);
    for name in names.iter().filter(|name| !name.contains("norm.weight")) {
        let value = |row: usize, column: usize| {
            let mut rng = Key::new(5).child(name).index((row << 20 | column) as u64).rng();
            let scale = if name.contains("embed") { 1.0 } else { 2.0 * deviation };
            scale * (rng.random::<f32>() - 0.5) * 3.4
        };
        model = model.plant(name, &value);
    }
    model.model()
}

/// BERT's: both ways, LayerNorm of the stream, learned positions, a head with a transform.
fn bert(vocabulary: usize, layers: usize) -> Config {
    let mut config = plain(vocabulary, layers, 24);
    let architecture = &mut config.architecture;
    architecture.norm = Norm { kind: NormKind::Layer, eps: 1e-12, place: NormPlace::Stream };
    architecture.positions = Positions::Learned;
    architecture.attention.causal = false;
    architecture.mlp.activation = saltus_transformer::Activation::Gelu;
    architecture.embedding = EmbeddingKind { scale: None, norm: true, segments: 2 };
    architecture.head = Head { bias: true, soft_cap: None, transform: true };
    config
}

fn capped(vocabulary: usize, layers: usize) -> Config {
    let mut config = plain(vocabulary, layers, 24);
    config.architecture = Architecture::llama(vocabulary / 2, 10_000.0, 1e-5);
    config.architecture.head.soft_cap = Some(5.0);
    config.tied_embedding = true;
    config
}

/// Facts without rhyme or reason.
fn nonsense(count: u32, vocabulary: u32) -> Vec<Cloze> {
    let mut rng = Key::new(9).rng();
    let fact = |n| {
        let tokens: Vec<u32> = (0..4).map(|_| rng.random_range(0..vocabulary)).collect();
        fact(tokens, rng.random_range(0..vocabulary), "nonsense", n)
    };
    (0..count).map(fact).collect()
}

#[test]
fn the_lens_at_the_last_layer_is_the_models_own_answer() {
    for config in [plain(16, 3, 24), bert(16, 3), capped(16, 2)] {
        let model = random(config);
        let clozes = nonsense(70, 16);
        let answers = logit(&model, &clozes);
        for (fact, cloze) in clozes.iter().enumerate() {
            let hidden = read(&model, &[(&cloze.tokens, cloze.second)], &mut NoTaps).unwrap();
            let said = model.predictions(&hidden, &[(cloze.at, cloze.target)])[0];
            assert!((answers.logprobs.last().unwrap()[fact] - said.logprob).abs() < 1e-4);
            assert_eq!(answers.said[fact], said.argmax);
        }
    }
}

#[test]
fn a_random_backbone_is_at_chance() {
    let clozes = nonsense(600, 16);
    let rows = observations(&clozes, &logit(&random(plain(16, 3, 24)), &clozes), 10);
    for layer in 0..=3 {
        let (low, high) = one(&rows, "p_at_1", "", Some(layer)).interval.unwrap();
        assert!(low < 1.0 / 16.0 && 1.0 / 16.0 < high, "layer {layer}: {low} to {high}");
    }
}

#[test]
fn chance_is_naming_the_most_frequent_object() {
    let objects = [10, 10, 11];
    let mut clozes: Vec<Cloze> = (0..3).map(|s| fact(vec![s], objects[s as usize], "a", s)).collect();
    clozes.push(fact(vec![5], 12, "b", 9));
    let rows = observations(&clozes, &logit(&erased(), &clozes), 2);
    let chance = |metric: &str, group: &str| one(&rows, metric, group, Some(1)).chance.unwrap();
    assert_eq!(chance("p_at_1", "a"), 2.0 / 3.0);
    assert_eq!(chance("p_at_2", "a"), 1.0);
    assert_eq!(chance("mrr", "a"), 2.5 / 3.0);
    assert!((chance("p_at_1", "") - 5.0 / 6.0).abs() < 1e-12, "the mean over relations, not over facts");
}

/// Subjects one after another.
fn subjects() -> Vec<u32> {
    let mut rng = Key::new(2).rng();
    (0..4000).map(|_| rng.random_range(0..OBJECTS)).collect()
}

fn training(steps: u64, learning_rate: f32) -> Training {
    Training { steps, batch: 48, learning_rate, pool: 2000, key: Key::new(4) }
}

#[test]
fn an_untrained_tuned_lens_is_the_logit_lens_to_the_bit() {
    let text = Text::new(&subjects(), Frame::default(), 20, 16).unwrap();
    for config in [plain(16, 3, 24), bert(16, 3), capped(16, 2)] {
        let (model, clozes) = (random(config), nonsense(40, 16));
        let tuned = ask(&model, &clozes, &[], Lens::Tuned(&text, training(0, 1e-3)), &|_| ()).unwrap();
        let plain = logit(&model, &clozes);
        assert_eq!(tuned.ranks, plain.ranks);
        assert_eq!(tuned.logprobs, plain.logprobs);
        assert!(tuned.losses.last().unwrap().abs() < 1e-6 && tuned.losses[0] > 0.01, "{:?}", tuned.losses);
    }
}

#[test]
fn a_tuned_lens_finds_what_the_stream_holds_in_other_channels() {
    let (model, clozes) = (rotated(), facts());
    let before = (model.unembedding(), logit(&model, &clozes));
    let known =
        |answers: &Answers, layer: u32| one(&observations(&clozes, answers, 10), "p_at_1", "", Some(layer)).value;
    assert_eq!((known(&before.1, 1), known(&before.1, 2)), (0.0, 1.0));
    let text = Text::new(&subjects(), Frame::default(), 20, 16).unwrap();
    let tuned = ask(&model, &clozes, &[], Lens::Tuned(&text, training(300, 0.02)), &|_| ()).unwrap();
    assert_eq!((known(&tuned, 1), known(&tuned, 2)), (1.0, 1.0));
    let plain = ask(&model, &clozes, &[], Lens::Tuned(&text, training(0, 0.02)), &|_| ()).unwrap();
    assert!(tuned.losses[1] < 0.05 * plain.losses[1], "{} of {}", tuned.losses[1], plain.losses[1]);
    assert!(before == (model.unembedding(), logit(&model, &clozes)), "the model has been changed");
}

#[test]
fn heads_learn_what_the_text_says_and_a_union_of_them_inflates_by_itself() {
    let mut config = plain(16, 4, 24);
    config.context = 32;
    let (model, clozes) = (random(config), nonsense(500, 16));
    let text = Text::new(&subjects(), Frame::default(), 20, 16).unwrap();
    let lens = Lens::Head(&text, training(2, 1e-4), Start::Random);
    assert_eq!(lens.method(), "next-token-head");
    let answers = ask(&model, &clozes, &[], lens, &|_| ()).unwrap();
    assert_eq!(answers.null.len(), 4);
    let rows = observations(&clozes, &answers, 10);
    let value = |metric: &str, layer| one(&rows, metric, "", layer);
    let (total, null) = (value("p_at_1_total", None), value("p_at_1_total_null", None));
    // Four heads that know nothing: 1 - (15/16)^4 = 0.23 and not 0.06.
    assert!(null.value > 2.0 * value("p_at_1", Some(4)).value, "{null:?}");
    let (low, high) = null.interval.unwrap();
    assert!((low - 0.05..high + 0.05).contains(&total.value), "{total:?} {null:?}");
    // A sequence in which every subject is followed by its object.
    let said: Vec<u32> = subjects().into_iter().flat_map(|s| [s, s + OBJECTS]).collect();
    let text = Text::new(&said, Frame::default(), 20, 16).unwrap();
    let lens = Lens::Head(&text, training(300, 5e-3), Start::Own);
    let answers = ask(&rotated(), &facts(), &[1], lens, &|_| ()).unwrap();
    assert_eq!(answers.layers, [1, 2]);
    assert_eq!(answers.ranks, [vec![1; 8], vec![1; 8]]);
}

#[test]
fn a_masked_head_learns_and_threads_change_no_bit() {
    let (model, clozes) = (random(bert(16, 3)), nonsense(40, 16));
    let tokens: Vec<u32> = (0..4000).map(|i| i % 7).collect();
    let text = Text::new(&tokens, Frame { before: vec![14], behind: vec![13], mask: Some(15) }, 20, 16).unwrap();
    let run = |steps, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let lens = Lens::Head(&text, training(steps, 5e-3), Start::Own);
        assert_eq!(lens.method(), "masked-head");
        pool.install(|| ask(&model, &clozes, &[], lens, &|_| ()).unwrap())
    };
    let alone = run(60, 1);
    assert_eq!(alone, run(60, 3));
    let fresh = run(0, 2);
    for (trained, fresh) in alone.losses.iter().zip(&fresh.losses) {
        assert!(*trained < 0.8 * fresh, "{trained} {fresh}");
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let model = erased();
    let refused =
        |clozes: &[Cloze], layers: &[usize]| ask(&model, clozes, layers, Lens::Logit, &|_| ()).unwrap_err().to_string();
    assert!(refused(&facts(), &[3]).contains("no layer 3 in a model of 2 layers"));
    assert!(refused(&[], &[]).contains("no fact"));
    let mut wrong = facts();
    wrong[0].at = 2;
    assert!(refused(&wrong, &[]).contains("behind token 2 of 2"));
    wrong[0] = fact(vec![1], 16, "a", 0);
    assert!(refused(&wrong, &[]).contains("token 16"));
}
