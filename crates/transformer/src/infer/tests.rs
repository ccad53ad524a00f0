//! Every variant of the architecture: what is inside adds up to what comes out.

use super::*;
use crate::{
    Architecture, Config, Error, Format, Mlp, Norm, NormKind, NormPlace, Piece, Source, Window,
    architecture::Head,
    config::{Tensor, tests::small},
    inside::Reading,
    taps::NoTaps,
};
use rand::RngExt;
use saltus_random::Key;
use std::collections::BTreeMap;

/// Random tensors, each hanging on its name.
struct Chance;

impl Source for Chance {
    fn pieces(&self, tensor: &Tensor) -> Result<Vec<Piece>, Error> {
        let mut rng = Key::new(1).child(&tensor.name).rng();
        let vector = tensor.shape.len() == 1;
        let scale = if vector { 0.3 } else { 1.5 / (tensor.shape[tensor.shape.len() - 1] as f32).sqrt() };
        let middle = if vector && tensor.name.ends_with("weight") { 1.0 } else { 0.0 };
        let value = |_| middle + scale * (rng.random::<f32>() * 2.0 - 1.0);
        let values: Vec<f32> = tensor.range.clone().map(value).collect();
        Ok(vec![Piece { format: Format::F32, bytes: saltus_compute::as_bytes(&values).to_vec().into() }])
    }
}

/// The architectures of the families, on one small shape.
fn variants() -> Vec<(&'static str, Config)> {
    let llama = small(false);
    let of = |change: &dyn Fn(&mut Architecture)| {
        let mut config = llama.clone();
        change(&mut config.architecture);
        config
    };
    let classic = |a: &mut Architecture| {
        a.norm.kind = NormKind::Layer;
        a.mlp = Mlp { activation: Activation::Gelu, gated: false, bias: true };
        (a.attention.qkv_bias, a.attention.out_bias) = (true, true);
    };
    vec![
        ("llama", llama.clone()),
        ("tied", small(true)),
        ("gpt2", of(&|a| (classic(a), a.positions = Positions::Learned).1)),
        ("neox", of(&|a| (classic(a), a.residual = Residual::Parallel).1)),
        ("bloom", of(&|a| (classic(a), a.positions = Positions::Alibi, a.embedding.norm = true).2)),
        ("olmo", of(&|a| (a.norm.kind = NormKind::LayerPlain, a.attention.clip = Some(0.8)).1)),
        ("olmo2", of(&|a| (a.norm.place = NormPlace::After, a.attention.qk_norm = QkNorm::Whole).1)),
        (
            "gemma3",
            of(&|a| {
                a.norm = Norm { kind: NormKind::RmsPlusOne, eps: 1e-6, place: NormPlace::Both };
                a.attention.qk_norm = QkNorm::Head;
                a.attention.window = Some(Window { size: 5, layers: vec![true, false] });
                a.attention.soft_cap = Some(4.0);
                a.mlp.activation = Activation::GeluTanh;
                a.embedding.scale = Some(2.4);
                a.head.soft_cap = Some(3.0);
            }),
        ),
        (
            "bert",
            of(&|a| {
                classic(a);
                a.positions = Positions::Learned;
                a.norm.place = NormPlace::Stream;
                a.attention.causal = false;
                a.embedding = EmbeddingKind { scale: None, norm: true, segments: 2 };
                a.head = Head { bias: true, soft_cap: None, transform: true };
            }),
        ),
    ]
}

fn tokens(count: usize) -> Vec<TokenId> {
    (0..count).map(|i| ((i * i * 7 + i / 3) % 11) as TokenId).collect()
}

fn chunk<'a>(sequence: &'a mut Sequence, tokens: &'a [TokenId], wanted: Range<usize>) -> Chunk<'a> {
    Chunk { sequence, tokens, wanted, second: 1 }
}

/// Logits `[vocabulary, 16 n]` behind every token, read in pieces.
fn read(model: &Model, tokens: &[TokenId], pieces: &[usize], taps: &mut dyn Taps) -> Vec<Vec<f32>> {
    let mut cache = Cache::new(&model.config, 8);
    let mut sequence = cache.begin();
    let (mut at, mut rows) = (0, Vec::new());
    for size in pieces {
        let tokens = &tokens[at..at + size];
        let hidden = model.forward(&mut [chunk(&mut sequence, tokens, 0..*size)], &mut cache, taps).unwrap();
        let logits = model.logits(&hidden, 0..*size);
        let columns = size.next_multiple_of(BLOCK);
        rows.extend((0..*size).map(|t| logits.iter().skip(t).step_by(columns).copied().collect::<Vec<f32>>()));
        at += size;
    }
    rows
}

fn assert_near(a: &[Vec<f32>], b: &[Vec<f32>], name: &str) {
    assert_eq!(a.len(), b.len());
    for (t, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * b.abs().max(1.0)), "{name} at {t}: {a:?} {b:?}");
    }
}

#[test]
fn pieces_forks_and_neighbours_change_nothing() {
    for (name, config) in variants().into_iter().filter(|(_, c)| c.architecture.attention.causal) {
        let model = Model::new(config, &Chance).unwrap();
        let (text, other) = (tokens(23), tokens(40)[17..].to_vec());
        let whole = read(&model, &text, &[23], &mut NoTaps);
        assert!(whole[3].iter().zip(&whole[4]).any(|(a, b)| (a - b).abs() > 0.05), "{name}");
        assert_near(&read(&model, &text, &[1, 1, 4, 9, 8], &mut NoTaps), &whole, name);
        assert_near(&read(&model, &text, &[1; 23], &mut NoTaps), &whole, name);

        // Two readers of the same beginning, one of which goes another way and comes back, side by side.
        let mut cache = Cache::new(model.config(), 12);
        let mut first = cache.begin();
        model.forward(&mut [chunk(&mut first, &text[..10], 0..0)], &mut cache, &mut NoTaps).unwrap();
        let mut second = cache.fork(&first);
        model.forward(&mut [chunk(&mut second, &other[..9], 0..0)], &mut cache, &mut NoTaps).unwrap();
        cache.truncate(&mut second, 7);
        let mut both = [chunk(&mut first, &text[10..], 5..13), chunk(&mut second, &text[7..], 2..3)];
        let hidden = model.forward(&mut both, &mut cache, &mut NoTaps).unwrap();
        let logits = model.logits(&hidden, 0..9);
        let rows: Vec<Vec<f32>> = (0..9).map(|t| logits.iter().skip(t).step_by(16).copied().collect()).collect();
        assert_near(&rows[..8], &whole[15..], name);
        assert_near(&rows[8..], &whole[9..10], name);
        cache.end(first);
        cache.end(second);
        assert_eq!(cache.free_pages(), 12);
    }
}

/// Keeps everything.
#[derive(Default)]
struct Everything {
    seen: BTreeMap<Site, (usize, Vec<f32>)>,
    patterns: Vec<Vec<f32>>,
}

impl Taps for Everything {
    fn wants(&self, _: Site) -> bool {
        true
    }
    fn at(&mut self, site: Site, activations: Activations<'_>) {
        self.seen.insert(site, (activations.channels, activations.values.to_vec()));
    }
    fn pattern(&mut self, _: usize, _: usize, _: usize, pattern: &[f32]) {
        self.patterns.push(pattern.to_vec());
    }
}

#[test]
fn the_parts_add_up_and_looking_changes_nothing() {
    for (name, config) in variants() {
        let (layers, place) = (config.layers, config.architecture.norm.place);
        let model = Model::new(config, &Chance).unwrap();
        let text = tokens(19);
        let mut taps = Everything::default();
        let looked = read(&model, &text, &[19], &mut taps);
        assert_eq!(looked, read(&model, &text, &[19], &mut NoTaps), "{name}");
        assert_eq!(taps.seen.len(), 8 * layers + 1, "{name}");
        let at = |site: Site| &taps.seen[&site].1;
        let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f32>>();
        for layer in 0..layers {
            assert_eq!(taps.seen[&Site::MlpHidden(layer)].0, model.config.mlp_hidden);
            let middle = sum(at(Site::ResidualBefore(layer)), at(Site::AttentionOutput(layer)));
            let after = sum(at(Site::ResidualBetween(layer)), at(Site::MlpOutput(layer)));
            if place == NormPlace::Stream {
                // What is added is normed at once: the norm of the sum is the stream.
                let weights = &model.layers[layer];
                let normed =
                    |norm: &Option<crate::model::NormWeights>, x: &[f32]| normed_by(norm.as_ref().unwrap(), 32, x);
                assert_eq!(&normed(&weights.after_attention, &middle), at(Site::ResidualBetween(layer)));
                assert_eq!(&normed(&weights.after_mlp, &after), at(Site::ResidualAfter(layer)));
            } else {
                assert_eq!(&middle, at(Site::ResidualBetween(layer)), "{name}");
                assert_eq!(&after, at(Site::ResidualAfter(layer)), "{name}");
            }
            if layer > 0 {
                assert_eq!(at(Site::ResidualBefore(layer)), at(Site::ResidualAfter(layer - 1)));
            }
        }
        assert_eq!(at(Site::FinalNormInput), at(Site::ResidualAfter(layers - 1)));
        // The lens at the last layer is the logits.
        let lens = model.lens(at(Site::ResidualAfter(layers - 1)), 32);
        for (t, row) in looked.iter().enumerate() {
            let column: Vec<f32> = lens.iter().skip(t).step_by(32).copied().collect();
            assert_eq!(&column, row, "{name}");
        }
        for pattern in &taps.patterns {
            assert!(pattern.chunks(19).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5), "{name}");
        }
        assert_eq!(taps.patterns.len(), layers);
    }
}

/// Overwrites one site at one position.
struct Patch {
    site: Site,
    column: usize,
    values: Vec<f32>,
}

impl Taps for Patch {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }
    fn at(&mut self, _: Site, mut activations: Activations<'_>) {
        activations.set_column(self.column, &self.values);
    }
}

#[test]
fn a_patch_from_another_text_makes_its_prediction_there_and_changes_nothing_before() {
    for (name, config) in variants().into_iter().filter(|(_, c)| c.architecture.attention.causal) {
        let last = config.layers - 1;
        let model = Model::new(config, &Chance).unwrap();
        let (text, other) = (tokens(19), tokens(40)[21..].to_vec());
        let mut taps = Everything::default();
        let theirs = read(&model, &other, &[19], &mut taps);
        let ours = read(&model, &text, &[19], &mut NoTaps);
        let site = Site::ResidualAfter(last);
        let values: Vec<f32> = taps.seen[&site].1.iter().skip(12).step_by(32).copied().collect();
        let patched = read(&model, &text, &[19], &mut Patch { site, column: 12, values });
        assert_eq!(patched[12], theirs[12], "{name}");
        assert_eq!((&patched[..12], &patched[13..]), (&ours[..12], &ours[13..]), "{name}");
        // Ablating an MLP early on reaches later positions, not earlier ones.
        let ablated = read(
            &model,
            &text,
            &[19],
            &mut Patch { site: Site::MlpOutput(0), column: 12, values: vec![0.0; model.config.width] },
        );
        assert_eq!(ablated[..12], ours[..12], "{name}");
        assert!(ablated[12] != ours[12], "{name}");
    }
}

/// One column of every site.
#[derive(Default)]
struct Last(BTreeMap<Site, Vec<f32>>);

impl Taps for Last {
    fn wants(&self, site: Site) -> bool {
        !matches!(site, Site::AttentionPattern(_))
    }
    fn at(&mut self, site: Site, activations: Activations<'_>) {
        let column = activations.spans[0].end - 1;
        self.0.insert(site, activations.column(column));
    }
}

#[test]
fn a_logit_is_the_sum_of_what_was_written() {
    for (name, config) in variants() {
        let model = Model::new(config, &Chance).unwrap();
        let text = tokens(9);
        let mut last = Last::default();
        let mut cache = Cache::new(&model.config, 2);
        let mut sequence = cache.begin();
        model.forward(&mut [chunk(&mut sequence, &text, 8..9)], &mut cache, &mut last).unwrap();
        let at = |site: Site| last.0[&site].as_slice();
        let near =
            |a: f64, b: f64, what: &str| assert!((a - b).abs() < 2e-4 * b.abs().max(1.0), "{name} {what}: {a} {b}");
        let stream = at(Site::FinalNormInput);
        let Some(reading) = model.logit_reading(stream, 5) else {
            assert_eq!(name, "bert");
            continue;
        };
        let mut block = vec![0.0; stream.len() * BLOCK];
        block.iter_mut().step_by(BLOCK).zip(stream).for_each(|(to, from)| *to = *from);
        let said = f64::from(model.lens(&block, BLOCK)[5 * BLOCK]);
        let cap = model.config.architecture.head.soft_cap;
        let capped = |x: f64| cap.map_or(x, |cap| cap * (x / cap).tanh());
        near(capped(reading.of(stream)), said, "logit");

        let mut sum = reading.offset + reading.part(at(Site::ResidualBefore(0)));
        for layer in 0..model.config.layers {
            let part = Reading { offset: 0.0, ..reading.clone() };
            for (parts, written) in [
                (model.head_contributions(layer, at(Site::HeadOutput(layer)), &part), Site::AttentionOutput(layer)),
                (model.unit_contributions(layer, at(Site::MlpHidden(layer)), &part), Site::MlpOutput(layer)),
            ] {
                let total = parts.inputs.iter().sum::<f64>() + parts.rest;
                near(total, reading.part(at(written)), "parts");
                sum += total;
            }
        }
        near(capped(sum), said, "sum");
    }
}

/// A vote is the rise of the logits when a little of the value is written, at a fixed norm.
#[test]
fn votes_are_directions_of_the_logits() {
    for (name, config) in variants().into_iter().filter(|(name, _)| *name != "bert") {
        let model = Model::new(config, &Chance).unwrap();
        let (values, units) = (model.values(1, 3..7), 4);
        let columns = values.len() / model.config.width;
        let votes = model.votes(&values, columns);
        let stream: Vec<f32> = (0..model.config.width).map(|i| (i as f32 * 1.7).sin()).collect();
        for unit in 0..units {
            let value: Vec<f32> = values.iter().skip(unit).step_by(columns).copied().collect();
            let said = |token: u32| model.logit_reading(&stream, token).unwrap().part(&value);
            let factor = said(0) / f64::from(votes[unit]);
            assert!(factor > 0.0, "{name}");
            for token in 1..11u32 {
                let vote = factor * f64::from(votes[token as usize * columns + unit]);
                assert!(
                    (vote - said(token)).abs() < 1e-4 * said(token).abs().max(0.1),
                    "{name}: {vote} {}",
                    said(token)
                );
            }
        }
    }
}
