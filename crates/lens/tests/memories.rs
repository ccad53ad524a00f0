//! Feed-forward memories: planted keys and values are found as they were planted, and nothing depends on how the work is
//! divided.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Planted, plain};
use proptest::prelude::*;
use saltus_lens::{
    Error,
    memories::{Corpus, Findings, PASS, Partial, Settings, Trigger, Triggers, definition, look, observe},
    read,
};
use saltus_lm::{TokenId, Tokenizer};
use saltus_random::Key;
use saltus_record::{ModelKey, Observation};
use saltus_transformer::{
    Activation, Activations, Config, Mlp, Model, Norm, NormKind, NormPlace, Positions, Residual, Site, Taps,
};
use std::collections::BTreeMap;

/// Letters from `a` on as tokens from 0 on; a token 7 before every text, if it has one.
struct Letters {
    begins: bool,
}

impl Tokenizer for Letters {
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
        Ok(text.bytes().map(|letter| TokenId::from(letter - b'a')).collect())
    }
    fn decode(&self, tokens: &[TokenId]) -> String {
        tokens.iter().map(|token| char::from(b'a' + *token as u8)).collect()
    }
    fn vocabulary(&self) -> usize {
        8
    }
    fn identity(&self) -> String {
        "letters".into()
    }
    fn prefix(&self) -> Option<TokenId> {
        self.begins.then_some(7)
    }
}

fn corpus(text: &str) -> Corpus {
    Corpus::new(&[text], &Letters { begins: false }, 16, None).unwrap()
}

fn settings(sample: usize) -> Settings {
    Settings { sample, keys: 64, kept: 8, key: Key::new(1) }
}

fn triggers(model: &Model, corpus: &Corpus, top: usize) -> Triggers {
    let layers: Vec<usize> = (0..model.config().layers).collect();
    let mut triggers = Triggers::new(model, &layers, top).unwrap();
    triggers.read(model, corpus, corpus.sentences(), PASS).unwrap();
    triggers
}

fn found(model: &Model, corpus: &Corpus, top: usize) -> Findings {
    look(model, corpus, &triggers(model, corpus, top), &settings(1000), Partial::default(), &mut |_, _, _| ()).unwrap()
}

fn number(findings: &Findings, group: &str, metric: &str) -> Observation {
    let model = ModelKey {
        name: "planted".into(),
        width: 8,
        layers: 1,
        params_non_embedding: 1,
        params_total: 2,
        weights: String::new(),
        tokenizer: String::new(),
        training: None,
    };
    let all = observe(&model, findings);
    all.into_iter().find(|o| o.group == group && o.metric == metric).unwrap_or_else(|| panic!("no {metric}"))
}

/// Eight tokens; channels 0..8 hold the token, 8..24 the position, 24..32 the token before, which a head brings. One memory:
/// its key is the bigram "a b", its value token c.
fn bigram() -> Model {
    let mut config = plain(32, 1, 1);
    (config.vocabulary, config.context) = (8, 16);
    (config.heads, config.kv_heads, config.head_dim) = (1, 1, 16);
    config.architecture.positions = Positions::Learned;
    config.architecture.norm.eps = 0.0;
    let one = |hit: bool| if hit { 1.0 } else { 0.0 };
    // Norms see two equal channels of 32 before attention, and three before the MLP (what attention brings is as long as
    // they are).
    let (before, between) = (4.0, (32f32 / 3.0).sqrt());
    Planted::new(config)
        .plant("model.embed_tokens.weight", &|token, channel| one(token == channel))
        .plant("model.embed_positions.weight", &|position, channel| one(channel == 8 + position))
        .plant("model.layers.0.self_attn.q_proj.weight", &|to, from| 100.0 * one(from == 8 + to))
        .plant("model.layers.0.self_attn.k_proj.weight", &|to, from| one(to > 0 && from == 7 + to))
        .plant("model.layers.0.self_attn.v_proj.weight", &|to, from| one(to < 8 && from == to) / before)
        .plant("model.layers.0.self_attn.o_proj.weight", &|to, from| one(to == 24 + from))
        .plant("model.layers.0.mlp.up_proj.weight", &|_, from| one(from == 1 || from == 24) / between)
        .plant("model.layers.0.mlp.up_proj.bias", &|_, _| -1.0)
        .plant("model.layers.0.mlp.down_proj.weight", &|to, _| 9.0 * one(to == 2))
        .plant("lm_head.weight", &|token, channel| one(token == channel))
        .model()
}

const LINES: &str = "deabcd\nfabcaa\nacbbde\neeeabc\nabdefg\nbabbaa\nghhabc\nbacede";

#[test]
fn a_planted_bigram_is_found_with_what_it_says() {
    let (model, corpus) = (bigram(), corpus(LINES));
    // Four sentences have "abc"; two more have "ab" before something else.
    let findings = found(&model, &corpus, 4);
    let memory = &findings.layers[0].values.kept[0];
    for (trigger, (sentence, position)) in memory.triggers.iter().zip([(0, 3), (1, 2), (3, 4), (4, 1)]) {
        assert_eq!((trigger.sentence, trigger.position), (sentence, position));
        assert!((trigger.coefficient - 1.0).abs() < 1e-5, "{trigger:?}");
    }
    assert_eq!((memory.top[0].0, findings.layers[0].values.next[0]), (2, Some((2, 1))));
    let check = |group: &str, metric: &str, expect: f64| {
        let found = number(&findings, group, metric);
        assert!((found.value - expect).abs() < 1e-4, "{found:?}");
    };
    check("", "agreement", 1.0);
    check("", "agreement_rank", 1.0);
    check("first", "removal", 0.0);
    check("last", "removal", -1.0);
    // It is active behind the six places of "ab", and there alone: 6 of 48.
    check("", "active_share", 6.0 / 48.0);
    // An inactive layer votes for nothing, which is said to be token 0; no memory is there to do so.
    check("", "zero_agreement", 42.0 / 48.0);
}

#[test]
fn two_memories_that_compose_what_neither_votes_for() {
    let mut config = plain(8, 1, 2);
    config.width = 8;
    let one = |hit: bool| if hit { 1.0 } else { 0.0 };
    // Both are always active; values are c and d; e reads their sum.
    let model = Planted::new(config)
        .plant("model.embed_tokens.weight", &|_, channel| one(channel == 7))
        .plant("model.layers.0.mlp.up_proj.bias", &|_, _| 1.0)
        .plant("model.layers.0.mlp.down_proj.weight", &|to, unit| one(to == 2 + unit))
        .plant("lm_head.weight", &|token, channel| match token {
            4 => one(channel == 2 || channel == 3) / 2f32.sqrt(),
            7 => 0.1 * one(channel == 7),
            _ => one(token == channel),
        })
        .model();
    let findings = found(&model, &corpus(LINES), 3);
    let layer = &findings.layers[0];
    assert_eq!(layer.values.first, [2, 3]);
    assert!(layer.predictions.ffn.iter().chain(&findings.said).all(|token| *token == 4));
    let value = |metric| number(&findings, "", metric).value;
    assert_eq!((value("zero_agreement"), value("active_share")), (1.0, 1.0));
    assert_eq!((value("from_ffn"), value("from_composition"), value("refined")), (1.0, 0.0, 0.0));
    // All other places say the same: chance has nothing to add.
    assert_eq!(number(&findings, "", "zero_agreement").chance, Some(1.0));
}

/// Numbers between -1 and 1 that look random.
fn noise(name: &str, row: usize, column: usize) -> f32 {
    let mut key = name.bytes().fold(7u64, |h, b| h.wrapping_mul(31) + u64::from(b));
    key = (key ^ (row * 8191 + column) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key = (key ^ (key >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (key >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn random(config: Config) -> Model {
    let names: Vec<String> = config.tensors().into_iter().map(|tensor| tensor.name).collect();
    let plant = |model: Planted, name: &String| model.plant(name, &|row, column| noise(name, row, column));
    names.iter().fold(Planted::new(config), plant).model()
}

/// Plain and gated MLPs, serial and parallel.
fn variants() -> Vec<Config> {
    let mut all = Vec::new();
    for residual in [Residual::Serial, Residual::Parallel] {
        for (activation, gated) in [
            (Activation::Relu, false),
            (Activation::Gelu, false),
            (Activation::Silu, true),
            (Activation::GeluTanh, true),
        ] {
            let mut config = plain(8, 2, 20);
            config.context = 16;
            config.architecture.mlp = Mlp { activation, gated, bias: !gated };
            config.architecture.residual = residual;
            all.push(config);
        }
    }
    all
}

/// Everything at every site: `[channels, columns]`, and the columns.
#[derive(Default)]
struct Everything(BTreeMap<Site, (Vec<f32>, usize)>);

impl Everything {
    fn column(&self, site: Site, column: usize) -> Vec<f64> {
        let (values, columns) = &self.0[&site];
        values.iter().skip(column).step_by(*columns).map(|x| f64::from(*x)).collect()
    }
}

impl Taps for Everything {
    fn wants(&self, site: Site) -> bool {
        !matches!(site, Site::AttentionPattern(_))
    }
    fn at(&mut self, site: Site, activations: Activations<'_>) {
        self.0.insert(site, (activations.values.to_vec(), activations.columns));
    }
}

#[test]
fn memories_sum_to_what_the_layer_adds_and_residuals_to_its_output() {
    for config in variants() {
        let (bias, residual) = (config.architecture.mlp.bias, config.architecture.residual);
        let model = random(config);
        let tokens = [3, 1, 4, 1, 5, 2, 6];
        let mut seen = Everything::default();
        read(&model, &[(&tokens, 7)], &mut seen).unwrap();
        for (layer, position) in [(0, 0), (0, 6), (1, 3)] {
            let (values, columns) = (model.values(layer, 0..20), 32);
            let m = seen.column(Site::MlpHidden(layer), position);
            let name = format!("model.layers.{layer}.mlp.down_proj.bias");
            let ffn = seen.column(Site::MlpOutput(layer), position);
            for (channel, (expect, row)) in ffn.iter().zip(values.chunks_exact(columns)).enumerate() {
                let b = if bias { f64::from(noise(&name, channel, 0)) } else { 0.0 };
                let sum = b + m.iter().zip(row).map(|(m, v)| m * f64::from(*v)).sum::<f64>();
                assert!((sum - expect).abs() < 1e-5 * expect.abs().max(1.0), "{residual:?} {sum} {expect}");
            }
            let r = seen.column(Site::ResidualBetween(layer), position);
            let o = seen.column(Site::ResidualAfter(layer), position);
            assert!(r.iter().zip(&ffn).zip(&o).all(|((r, y), o)| (r + y - o).abs() < 1e-5));
        }
    }
}

#[test]
fn streamed_triggers_are_those_of_a_full_sort() {
    let text: String = (0..60usize)
        .flat_map(|line| {
            let letters =
                (0..3 + line % 11).map(move |i| char::from(b'a' + ((line * line + 3 * i + line * i) % 7) as u8));
            letters.chain(['\n'])
        })
        .collect();
    for (config, begins) in variants().into_iter().zip([false, true].into_iter().cycle()) {
        let model = random(config);
        let corpus = Corpus::new(&[&text], &Letters { begins }, 16, None).unwrap();
        let triggers = triggers(&model, &corpus, 5);
        let mut all = vec![Vec::new(); 40];
        for sentence in 0..corpus.sentences() {
            let mut seen = Everything::default();
            // Among others: few columns are multiplied in another order.
            let tokens = corpus.sentence(sentence);
            read(&model, &[(tokens, tokens.len()), (&[0; 8], 8)], &mut seen).unwrap();
            for (key, best) in all.iter_mut().enumerate() {
                let (values, columns) = &seen.0[&Site::MlpHidden(key / 20)];
                let values = &values[key % 20 * columns..][corpus.begin()..tokens.len()];
                let (at, most) = values.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
                let position = (at + corpus.begin()) as u32;
                best.push(Trigger { coefficient: *most, sentence: sentence as u32, position });
            }
        }
        for (key, mut best) in all.into_iter().enumerate() {
            best.sort_by(|a, b| b.coefficient.total_cmp(&a.coefficient).then(a.sentence.cmp(&b.sentence)));
            assert_eq!(triggers.layer(key / 20).nth(key % 20).unwrap(), &best[..5]);
        }
    }
}

#[test]
fn what_the_model_says_is_what_the_last_layer_says_and_cases_are_all_there_are() {
    for config in variants() {
        let (model, corpus) = (random(config), corpus(LINES));
        let findings = found(&model, &corpus, 4);
        assert_eq!(findings.places.len(), 48);
        assert_eq!(findings.layers[1].predictions.output, findings.said);
        for (place, said) in findings.places.iter().zip(&findings.said) {
            let tokens = corpus.sentence(place.sentence as usize);
            let hidden = read(&model, &[(tokens, tokens.len())], &mut saltus_transformer::NoTaps).unwrap();
            let position = place.position as usize;
            let logits = model.logits(&hidden, position..position + 1);
            let column: Vec<f32> = logits.iter().step_by(16).copied().collect();
            assert_eq!(column.iter().copied().fold(f32::MIN, f32::max), column[*said as usize]);
        }
        let value = |metric| number(&findings, "", metric).value;
        let cases = ["from_residual", "from_ffn", "from_agreement", "from_composition"].map(value);
        assert!((cases.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{cases:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Threads, columns of a pass, and a stop in the middle.
    #[test]
    fn nothing_depends_on_how_the_work_is_divided(
        lines in prop::collection::vec("[a-h]{1,14}", 8..30),
        columns in 1usize..40,
        stop in 1usize..8,
        which in 0usize..8,
    ) {
        let (model, corpus) = (random(variants().swap_remove(which)), corpus(&lines.join("\n")));
        let whole = triggers(&model, &corpus, 3);
        let expect = look(&model, &corpus, &whole, &settings(20), Partial::default(), &mut |_, _, _| ()).unwrap();
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (parts, findings) = pool.install(|| {
                let mut begun = Triggers::new(&model, &[0, 1], 3).unwrap();
                begun.read(&model, &corpus, stop, columns).unwrap();
                let mut parts = Triggers::new(&model, &[0, 1], 3).unwrap();
                assert!(parts.resume(&begun.to_bytes(), &corpus));
                assert_eq!(parts.sentences(), stop);
                parts.read(&model, &corpus, corpus.sentences(), columns).unwrap();
                let findings = look(&model, &corpus, &parts, &settings(20), Partial::default(), &mut |_, _, _| ());
                (parts, findings.unwrap())
            });
            prop_assert_eq!(&parts, &whole);
            prop_assert_eq!(&findings, &expect);
        }
    }
}

/// Products of few columns run elsewhere than those of many, where contractions are long enough for a tile unit.
#[test]
fn triggers_of_a_wide_model_have_the_same_bits_however_many_are_read_together() {
    let model = random(Config { context: 16, ..plain(64, 2, 20) });
    let corpus = corpus(
        "abcdefgh\nhgfedcba\nacegbdfh\nabab\ncdcdcd\nefghefgh\naabbccdd\nhhggffee\nabcabc\nfedfed\ngaga\nhahaha",
    );
    let whole = triggers(&model, &corpus, 3);
    for columns in [1, 20, 70] {
        let mut parts = Triggers::new(&model, &[0, 1], 3).unwrap();
        parts.read(&model, &corpus, corpus.sentences(), columns).unwrap();
        assert_eq!(parts, whole, "{columns} columns");
    }
}

/// `to_bytes` of what a look has so far, and back.
fn saved(partial: &Partial) -> Partial {
    serde_json::from_slice(&serde_json::to_vec(partial).unwrap()).unwrap()
}

#[test]
fn a_look_goes_on_from_wherever_it_was_stopped() {
    let (model, corpus) = (random(variants().swap_remove(1)), corpus(LINES));
    let (triggers, settings) = (triggers(&model, &corpus, 3), settings(60));
    let mut stops = vec![Partial::default()];
    let mut told = |_: f64, _: &'static str, partial: &Partial| stops.push(saved(partial));
    let whole = look(&model, &corpus, &triggers, &settings, Partial::default(), &mut told).unwrap();
    // Nothing, each of two layers, the removals in one pass, one batch of places.
    assert_eq!(stops.len(), 5);
    for (done, stop) in stops.into_iter().enumerate() {
        assert!(stop.fits(&model, &corpus, &triggers, &settings));
        let mut left = 0;
        let found = look(&model, &corpus, &triggers, &settings, stop, &mut |_, _, _| left += 1).unwrap();
        assert_eq!((found, left), (whole.clone(), 4 - done), "stopped after {done}");
    }
}

#[test]
fn what_another_look_has_is_told_apart() {
    let (model, corpus) = (random(variants().swap_remove(1)), corpus(LINES));
    let (triggers, settings) = (triggers(&model, &corpus, 3), settings(60));
    let mut last = Partial::default();
    look(&model, &corpus, &triggers, &settings, Partial::default(), &mut |_, _, partial| last = partial.clone())
        .unwrap();
    let text = serde_json::to_string(&last).unwrap();
    let damaged = |from: &str, to: &str| {
        let partial: Partial = serde_json::from_str(&text.replacen(from, to, 1)).unwrap();
        assert_ne!(partial, last, "{from} was not there");
        partial.fits(&model, &corpus, &triggers, &settings)
    };
    assert!(last.fits(&model, &corpus, &triggers, &settings));
    assert!(!damaged("\"first\":[", "\"first\":[999999,"));
    assert!(!damaged("\"sentence\":[", "\"sentence\":[0,"));
    assert!(!damaged("\"said\":[", "\"said\":[0,"));
    assert!(!damaged("\"unit\":", "\"unit\":9999"));
    assert!(!damaged("\"active\":[", "\"active\":[0.5,"));
    let one = Triggers::new(&model, &[0], 3).unwrap();
    assert!(!last.fits(&model, &corpus, &one, &settings));
}

#[test]
fn a_state_of_something_else_is_not_gone_on_from() {
    let (model, corpus) = (random(variants().swap_remove(0)), corpus(LINES));
    let bytes = triggers(&model, &corpus, 3).to_bytes();
    let resumes = |layers: &[usize], top: usize, bytes: &[u8]| {
        let mut fresh = Triggers::new(&model, layers, top).unwrap();
        let before = fresh.clone();
        let resumed = fresh.resume(bytes, &corpus);
        assert!(resumed || fresh == before);
        resumed
    };
    assert!(resumes(&[0, 1], 3, &bytes));
    assert!(!resumes(&[0, 1], 4, &bytes) && !resumes(&[1], 3, &bytes));
    for length in 0..bytes.len() {
        assert!(!resumes(&[0, 1], 3, &bytes[..length]));
    }
    let with = |at: usize, word: [u8; 4]| [&bytes[..at], &word, &bytes[at + 4..]].concat();
    // The header has 5 numbers, then come sentences read, then coefficient, sentence and position.
    assert!(!resumes(&[0, 1], 3, &with(40, [9, 0, 0, 0])));
    assert!(!resumes(&[0, 1], 3, &with(52, [8, 0, 0, 0])));
    assert!(!resumes(&[0, 1], 3, &with(56, [6, 0, 0, 0])));
    assert!(resumes(&[0, 1], 3, &with(56, [5, 0, 0, 0])));
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let (model, few) = (random(variants().swap_remove(0)), corpus("abc\ndef"));
    let error = look(&model, &few, &triggers(&model, &few, 3), &settings(5), Partial::default(), &mut |_, _, _| ())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 sentences for the top 3 triggers of each key, one a sentence: give more text or ask for fewer"
    );
    let mut both_ways = variants().swap_remove(0);
    both_ways.architecture.attention.causal = false;
    assert_eq!(Triggers::new(&random(both_ways), &[0], 3).unwrap_err(), Error::BothWays);
    let mut gelu = plain(8, 2, 4);
    gelu.architecture.mlp.activation = Activation::Gelu;
    let broken = Planted::new(gelu).plant("model.layers.1.mlp.up_proj.bias", &|_, _| f32::NAN).model();
    let error = look(&broken, &few, &triggers(&broken, &few, 2), &settings(5), Partial::default(), &mut |_, _, _| ())
        .unwrap_err();
    assert_eq!(error, Error::NotFinite { layer: 2 });
}

#[test]
fn definitions_say_what_the_architecture_has() {
    let check = |config: &Config, expect: &str| assert_eq!(definition(config), expect);
    let mut config = plain(8, 1, 4);
    check(
        &config,
        "m = relu(K x), x being what the MLP reads; active: m > 0; residual: the stream between attention and MLP",
    );
    config.architecture.mlp = Mlp { activation: Activation::Silu, gated: true, bias: false };
    config.architecture.residual = Residual::Parallel;
    config.architecture.norm = Norm { kind: NormKind::Rms, eps: 1e-5, place: NormPlace::After };
    check(
        &config,
        "m = silu(G x) * (U x), x being what the MLP reads; active: |m| above the root mean square of the layer's \
         coefficients; residual: the layer's input and what attention adds, in parallel to the MLP; the norm behind the \
         MLP scales all of a layer's values by one factor",
    );
}
