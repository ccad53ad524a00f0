//! Interventions on models whose facts are planted.
#![allow(clippy::unwrap_used)]

mod common;
mod variants;

use common::Planted;
use rand::RngExt;
use saltus_lens::{
    Captured, Patch, Patched,
    causal::{
        Case,
        Component::{self, Attention, Mlp, Residual},
        Corruption,
        Intervention::{self, Remove, Restore},
        Options,
        Place::{self, Last, Subject},
        Removal, Traced, trace,
    },
    read,
};
use saltus_random::Key;
use saltus_transformer::{Activation, Architecture, Config, Model, NoTaps, Positions, Site};
use variants::{VOCABULARY, llama, model, variants};

const V: usize = 16;
const LAYERS: usize = 4;

fn one(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

/// The stream holds a token and, in its second half, an answer. The MLPs of the layers `knowing` (from 1) write the answer
/// 9 + s where they read the subject s, one of 1 to 4; head 0 of layer 3 brings it from there to the token 15. The MLPs of
/// other layers do a little of everything but answers.
fn knows(knowing: &[usize]) -> Model {
    let mut architecture = Architecture::llama(V, 10_000.0, 1e-5);
    architecture.positions = Positions::Learned;
    architecture.mlp = saltus_transformer::Mlp { activation: Activation::Relu, gated: false, bias: true };
    let config = Config {
        vocabulary: V,
        context: 8,
        width: 2 * V,
        layers: LAYERS,
        heads: 2,
        kv_heads: 2,
        head_dim: V,
        mlp_hidden: 4,
        tied_embedding: false,
        architecture,
    };
    let little = |a: usize, b: usize| 0.01 * ((7 * a + 3 * b) as f32).sin();
    let mut planted = Planted::new(config)
        .plant("model.embed_tokens.weight", &|token, channel| one(channel == token))
        .plant("lm_head.weight", &|token, channel| one(channel == V + token))
        .plant("model.layers.2.self_attn.q_proj.weight", &|row, channel| 40.0 * one(row == 0 && channel == 15))
        .plant("model.layers.2.self_attn.k_proj.weight", &|row, channel| one(row == 0 && channel >= V))
        .plant("model.layers.2.self_attn.v_proj.weight", &|row, channel| one(row < V && channel == V + row))
        .plant("model.layers.2.self_attn.o_proj.weight", &|channel, row| one(row < V && channel == V + row));
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.mlp.{part}.weight");
        let here = knowing.contains(&(layer + 1));
        planted = planted
            // A trace of a subject is none.
            .plant(&format!("model.layers.{layer}.mlp.up_proj.bias"), &|_, _| -one(here))
            .plant(&name("up_proj"), &|unit, channel| {
                if here { one(channel == unit + 1) } else { little(unit, channel) }
            })
            .plant(&name("down_proj"), &|channel, unit| {
                if here { one(channel == V + unit + 10) } else { one(channel < V) * little(channel, unit) }
            });
    }
    planted.model()
}

/// Four relations, the four subjects in each.
fn cases() -> Vec<Case> {
    let case = |(relation, subject): (u32, u32)| Case {
        tokens: vec![5, subject, relation, 15],
        second: 4,
        subject: 0..2,
        at: 3,
        target: 9 + subject,
        cluster: relation,
    };
    (6..10).flat_map(|relation| (1..5).map(move |subject| (relation, subject))).map(case).collect()
}

fn options(corruption: Corruption) -> Options {
    Options { corruption, draws: 3, removal: Removal::Zero, window: 1 }
}

fn of(model: &Model, options: &Options) -> Traced {
    trace(model, &cases(), options, Key::new(1), &mut |_| {}).unwrap()
}

/// Effects by layer, and that of all layers at once.
fn effects(found: &Traced, intervention: Intervention, component: Component, place: Place) -> (Vec<f64>, Option<f64>) {
    let same = found.effects.iter().filter(|effect| {
        let kind = effect.kind;
        (kind.intervention, kind.component, kind.place) == (intervention, component, place)
    });
    let (single, all): (Vec<_>, Vec<_>) = same.partition(|effect| effect.kind.layer.is_some());
    (single.iter().map(|effect| effect.mean.value).collect(), all.first().map(|effect| effect.mean.value))
}

/// Near `share` of what was lost, layer by layer.
fn check(found: &Traced, of: (Intervention, Component, Place), share: [f64; LAYERS]) {
    let (single, _) = effects(found, of.0, of.1, of.2);
    let lost = found.lost.value;
    for (layer, (effect, share)) in single.iter().zip(share).enumerate() {
        assert!((effect / lost - share).abs() < 0.05, "{of:?} layer {}: {effect} of {lost}", layer + 1);
    }
}

#[test]
fn a_planted_fact_is_found_where_it_is_and_nowhere_else() {
    let found = of(&knows(&[2]), &options(Corruption::Swap));
    assert!(found.clean.value > -0.1 && found.lost.value > 3.0, "{found:?}");
    check(&found, (Restore, Mlp, Subject), [0.0, 1.0, 0.0, 0.0]);
    check(&found, (Restore, Mlp, Last), [0.0; LAYERS]);
    check(&found, (Restore, Attention, Subject), [0.0; LAYERS]);
    check(&found, (Restore, Attention, Last), [0.0, 0.0, 1.0, 0.0]);
    check(&found, (Restore, Residual, Subject), [1.0, 1.0, 0.0, 0.0]);
    check(&found, (Restore, Residual, Last), [0.0, 0.0, 1.0, 1.0]);
    for (place, component, layer) in [(Subject, Mlp, 1), (Last, Attention, 2)] {
        let (single, all) = effects(&found, Remove, component, place);
        assert!(single[layer] < -2.0, "{single:?}");
        assert!(single.iter().enumerate().all(|(l, effect)| l == layer || effect.abs() < 0.1), "{single:?}");
        assert!((all.unwrap() - single[layer]).abs() < 0.2);
    }
    assert!(found.probes.iter().all(|probe| probe.first() == Some(3)), "{:?}", found.probes);
    let [mlp, attention] = &found.peaks[..] else { panic!("{:?}", found.peaks) };
    assert_eq!((mlp.layer.value, mlp.lens_later.unwrap().value), (2.0, 1.0));
    assert_eq!((attention.layer.value, attention.lens_later.unwrap().value), (3.0, 0.0));
    let sentences = found.sentences().join("\n");
    assert!(sentences.contains("restoring an MLP at the subject's last token works most in layer 2.0"), "{sentences}");
    assert!(sentences.contains("that one is needed"), "{sentences}");
    assert!(!sentences.contains("no single one is needed"), "{sentences}");
    let idle = "Removing attention of all layers at the subject's last token costs 0.00 nats, next to nothing.";
    assert!(sentences.contains(idle), "{sentences}");
}

#[test]
fn noise_finds_it_too() {
    let found = of(&knows(&[2]), &Options { draws: 8, ..options(Corruption::Noise { sigmas: 3.0 }) });
    assert!(found.lost.value > 0.5 && found.lost.interval.unwrap().0 > 0.0, "{:?}", found.lost);
    let (single, _) = effects(&found, Restore, Mlp, Subject);
    assert!(single[1] > 0.3 * found.lost.value, "{single:?} of {:?}", found.lost);
    assert!([0, 2, 3].iter().all(|layer| single[*layer].abs() < 0.2 * single[1]), "{single:?}");
    check(&found, (Restore, Attention, Last), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(found, of(&knows(&[2]), &Options { draws: 8, ..options(Corruption::Noise { sigmas: 3.0 }) }));
}

#[test]
fn a_fact_that_is_written_twice_needs_neither_of_its_memories() {
    let found = of(&knows(&[1, 2]), &options(Corruption::Swap));
    let (single, all) = effects(&found, Remove, Mlp, Subject);
    assert!(single.iter().all(|effect| effect.abs() < 0.1), "{single:?}");
    assert!(all.unwrap() < -2.0, "{all:?}");
    let sentences = found.sentences().join("\n");
    let told =
        sentences.lines().find(|line| line.starts_with("Removing the MLPs of all layers at the subject's")).unwrap();
    assert!(told.ends_with("no single one is needed, others do its work."), "{told}");
    // A window that holds both is needed as a whole.
    let found = of(&knows(&[1, 2]), &Options { window: 3, ..options(Corruption::Swap) });
    let (single, _) = effects(&found, Remove, Mlp, Subject);
    assert!(single[0] < -2.0 && single[1] < -2.0 && single[3].abs() < 0.1, "{single:?}");
}

#[test]
fn the_mean_of_what_is_written_says_nothing_of_one_fact() {
    let found = of(&knows(&[2]), &Options { removal: Removal::Mean, ..options(Corruption::Swap) });
    let (single, _) = effects(&found, Remove, Mlp, Subject);
    // All four answers are as likely then.
    assert!((single[1] + 4f64.ln()).abs() < 0.2, "{single:?}");
    assert!([0, 2, 3].iter().all(|layer| single[*layer].abs() < 0.05), "{single:?}");
}

/// Questions of random tokens.
fn random_cases(count: usize) -> Vec<Case> {
    let mut rng = Key::new(5).rng();
    let mut token = || rng.random_range(0..VOCABULARY as u32);
    let case = |number: usize| Case {
        tokens: (0..7).map(|_| token()).collect(),
        second: 4,
        subject: 1..3,
        at: 6,
        target: token(),
        cluster: number as u32 % 6,
    };
    (0..count).map(case).collect()
}

#[test]
fn a_random_model_knows_nothing_anywhere() {
    let cases = random_cases(60);
    let noise = options(Corruption::Noise { sigmas: 3.0 });
    let found = trace(&model(llama(), 4), &cases, &noise, Key::new(1), &mut |_| {}).unwrap();
    let (low, high) = found.lost.interval.unwrap();
    assert!(low < 0.0 && 0.0 < high, "{:?}", found.lost);
    let sure = found.effects.iter().filter(|effect| effect.mean.interval.is_some_and(|(l, h)| l > 0.0 || h < 0.0));
    let (sure, all) = (sure.count(), found.effects.len());
    assert!(sure * 10 < all, "{sure} of {all} effects are told from 0");
}

#[test]
fn what_is_read_once_is_what_is_read_anew() {
    for (name, config) in variants() {
        let layers = config.layers;
        let model = model(config, 6);
        let mut cases = random_cases(2);
        cases.iter_mut().for_each(|case| case.cluster = 0);
        cases[1].target = (cases[0].target + 1) % VOCABULARY as u32;
        let found = trace(&model, &cases, &options(Corruption::Swap), Key::new(1), &mut |_| {}).unwrap();
        for (number, case) in cases.iter().enumerate() {
            let said = |tokens: &[u32], taps: &mut dyn saltus_transformer::Taps| {
                let hidden = read(&model, &[(tokens, case.second)], taps).unwrap();
                model.predictions(&hidden, &[(case.at, case.target)])[0].logprob
            };
            let mut other = case.tokens.clone();
            other[1..3].copy_from_slice(&cases[1 - number].tokens[1..3]);
            let sites: Vec<Site> = (0..layers)
                .flat_map(|layer| [Site::MlpOutput(layer), Site::AttentionOutput(layer), Site::ResidualAfter(layer)])
                .collect();
            let mut seen = Captured::new(sites, vec![2, 6]);
            let (clean, corrupted) = (said(&case.tokens, &mut seen), said(&other, &mut NoTaps));
            for effect in &found.effects {
                let kind = effect.kind;
                let position = if kind.place == Subject { 2 } else { 6 };
                let site = |layer| match kind.component {
                    Mlp => Site::MlpOutput(layer),
                    Attention => Site::AttentionOutput(layer),
                    Residual => Site::ResidualAfter(layer),
                };
                let layers = kind.layer.map_or(0..layers, |layer| layer as usize - 1..layer as usize);
                let patches = layers.map(|layer| match kind.intervention {
                    Restore => seen.patch(site(layer), position),
                    Remove => Patch { site: site(layer), position, values: vec![0.0; 12].into() },
                });
                let mut taps = Patched::new(patches.map(|patch| (0, patch)));
                let expect = match kind.intervention {
                    Restore => said(&other, &mut taps) - corrupted,
                    Remove => said(&case.tokens, &mut taps) - clean,
                };
                assert!((effect.by_case[number] - expect).abs() < 1e-4, "{name} {kind:?}: {effect:?} {expect}");
            }
        }
    }
}

/// Logits behind every token.
fn logits(model: &Model, tokens: &[u32], taps: &mut dyn saltus_transformer::Taps) -> Vec<f32> {
    let hidden = read(model, &[(tokens, 3)], taps).unwrap();
    model.logits(&hidden, 0..tokens.len())
}

#[test]
fn patching_everything_restores_the_clean_run_to_the_bit_and_patching_nothing_changes_nothing() {
    for (name, config) in variants() {
        let layers = config.layers;
        let model = model(config, 7);
        let [clean, other] = [0, 1].map(|which| random_cases(2)[which].tokens.clone());
        for layer in 0..layers {
            let sites = vec![
                Site::ResidualBefore(layer),
                Site::HeadOutput(layer),
                Site::AttentionOutput(layer),
                Site::ResidualBetween(layer),
                Site::MlpInput(layer),
                Site::MlpHidden(layer),
                Site::MlpOutput(layer),
                Site::ResidualAfter(layer),
            ];
            let mut seen = Captured::new(sites.clone(), (0..7).collect());
            let expect = logits(&model, &clean, &mut seen);
            let corrupted = logits(&model, &other, &mut NoTaps);
            assert!(expect != corrupted, "{name}");
            let all = |sites: &[Site], seen: &Captured| {
                let everywhere = sites.iter().flat_map(|site| (0..7).map(move |position| (*site, position)));
                Patched::new(everywhere.map(|(site, position)| (0, seen.patch(site, position))).collect::<Vec<_>>())
            };
            assert_eq!(logits(&model, &other, &mut all(&sites, &seen)), expect, "{name} {layer}");
            assert_eq!(logits(&model, &other, &mut all(&sites[7..], &seen)), expect, "{name} {layer}");
            assert_eq!(logits(&model, &clean, &mut all(&sites, &seen)), expect, "{name} {layer}");
            assert_eq!(logits(&model, &other, &mut Patched::default()), corrupted, "{name} {layer}");
        }
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let model = knows(&[2]);
    let check = |change: &dyn Fn(&mut Case), options: Options, expect: &str| {
        let mut cases = cases();
        cases.iter_mut().for_each(change);
        let error = trace(&model, &cases, &options, Key::new(1), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    let (swap, noise) = (options(Corruption::Swap), |sigmas| options(Corruption::Noise { sigmas }));
    check(&|case| case.subject = 2..2, swap, "question 0: the subject is tokens 2..2 of 4, asked at 3");
    check(&|case| case.at = 0, swap, "a subject lies inside and before what is asked");
    check(&|case| case.target = 16, swap, "token 16 in a model with a vocabulary of 16");
    check(&|case| case.tokens[0] = 99, swap, "token 99");
    check(&|case| case.tokens.extend([1; 5]), swap, "9 tokens do not fit the model's context of 8");
    check(&|case| case.target = 3, swap, "corrupt subjects with noise");
    check(&|_| {}, Options { window: 2, ..swap }, "write an odd number");
    check(&|_| {}, Options { draws: 0, ..swap }, "at least 1");
    check(&|_| {}, noise(0.0), "above 0");
    check(&|_| {}, noise(f64::NAN), "above 0");
    assert!(trace(&model, &[], &swap, Key::new(1), &mut |_| {}).unwrap_err().to_string().contains("no questions"));
    // One subject has no other of its length.
    let mut longer = cases();
    longer[0].subject = 0..1;
    let found = trace(&model, &longer, &swap, Key::new(1), &mut |_| {}).unwrap();
    assert_eq!((found.left_out, found.traced), (vec![0], (1..16).collect()));
}
