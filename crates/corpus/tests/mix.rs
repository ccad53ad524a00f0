//! The mix: what is packed into rows, and what of it is scored.
#![allow(clippy::unwrap_used)]

use saltus_corpus::{Batch, Component, Corpus, IGNORE, Mix, PADDING};
use saltus_random::Key;
use serde::Deserialize;
use std::collections::BTreeMap;

const MIX: &str = r#"
mix = [
    { weight = 0.5, family = "text", words = 1000, letters = { min = 3, max = 6 }, zipf = 1, length = 5, follow = 0.7, successors = [4, 2, 1, 1] },
    { weight = 1.5, family = "addition", digits = 3, order = "plain", held_out = 0.125 },
    { weight = 1.0, family = "addition", digits = 3, order = "reversed", held_out = 0.125 },
    { weight = 1.2, family = "copy", letters = { min = 5, max = 9 } },
    { weight = 1.0, family = "mapping", symbols = 8, permutations = 4, pairs = 6 },
    { weight = 2.0, family = "facts", keys = 600, zipf = 1 },
    { weight = 2.2, family = "exception", names = 8, pairs = 3, exceptions = 9, rate = 0.03 },
    { weight = 0.6, family = "sum", numbers = { min = 2, max = 5 }, style = "direct", held_out = 0.125 },
    { weight = 1.5, family = "sum", numbers = { min = 2, max = 5 }, style = "step-by-step", held_out = 0.125 },
    { weight = 0.4, family = "arithmetic", ranges = [{ min = 1, max = 99 }], style = "direct", held_out = 0.125 },
    { weight = 0.4, family = "arithmetic", ranges = [{ min = 1, max = 99 }], style = "step-by-step", held_out = 0.125 },
]
"#;

#[derive(Deserialize)]
struct Study {
    mix: Vec<Component>,
}

fn components(text: &str) -> Vec<Component> {
    toml::from_str::<Study>(text).unwrap().mix
}

fn mix(text: &str, context: usize) -> Mix {
    Mix::new(&components(text), context, Key::new(1)).unwrap()
}

fn batch(mix: &Mix, seed: u64, step: u64, rows: usize) -> Batch {
    let mut batch = Batch::default();
    mix.batch(Key::new(seed), step, rows, &mut batch);
    batch
}

/// Which characters of an item are scored, told from its text alone.
fn scored(item: &str) -> Vec<bool> {
    let from = match &item[..1] {
        "T" => 1,
        "C" => item.find('|').unwrap() + 1,
        "Q" => item.find('?').unwrap() + 2,
        "F" => return item.char_indices().map(|(i, c)| i > 0 && c.is_ascii_digit()).collect(),
        _ => item.find('=').unwrap() + 1,
    };
    let end = item.len() - usize::from(!item.starts_with('T'));
    (0..item.len()).map(|i| (from..end).contains(&i)).collect()
}

/// Scored positions predict exactly the scored characters of whole items; what is left of a row is padding.
#[test]
fn rows_are_whole_items_and_padding() {
    for context in [64, 40, 200] {
        let mix = mix(MIX, context);
        let batch = batch(&mix, 2, 3, 400);
        assert_eq!((batch.context, batch.tokens.len(), batch.targets.len()), (context, 400 * context, 400 * context));
        let (mut positions, mut predicted) = (0, 0);
        for (tokens, targets) in batch.tokens.chunks(context).zip(batch.targets.chunks(context)) {
            let mut text = mix.tokenizer().decode(tokens);
            // The end of the last item may stand beyond the row.
            if !text.ends_with(['_', ';']) {
                text.push(';');
            }
            let filled = text.rfind(';').map_or(0, |at| at + 1);
            assert!(filled > 0 && text[filled..].chars().all(|c| c == '_'), "{text}");
            let flags: Vec<bool> = text[..filled].split_inclusive(';').flat_map(scored).collect();
            let text = mix.tokenizer().encode(&text).unwrap();
            for (at, &target) in targets.iter().enumerate() {
                let expect = if flags.get(at + 1) == Some(&true) { text[at + 1] } else { IGNORE };
                assert_eq!(target, expect, "position {at}");
            }
            predicted += targets.iter().filter(|&&t| t != IGNORE).count();
            positions += context;
        }
        let share = predicted as f64 / positions as f64;
        println!("context {context}: {:.1}% of the positions are scored", 100.0 * share);
        assert!((0.25..0.55).contains(&share), "{share}");
    }
}

#[test]
fn a_batch_depends_on_its_arguments_alone() {
    let mix = mix(MIX, 64);
    let whole = batch(&mix, 5, 7, 16);
    assert_eq!(whole, batch(&mix, 5, 7, 16));
    // A buffer that was used before makes no difference, and neither does the number of rows.
    let mut used = batch(&mix, 9, 1, 40);
    mix.batch(Key::new(5), 7, 16, &mut used);
    assert_eq!(whole, used);
    assert_eq!(whole.tokens[..4 * 64], batch(&mix, 5, 7, 4).tokens);
    for other in [batch(&mix, 5, 8, 16), batch(&mix, 6, 7, 16)] {
        let rows = whole.tokens.chunks(64).zip(other.tokens.chunks(64));
        assert!(rows.into_iter().all(|(a, b)| a != b));
    }
    let rows: std::collections::HashSet<&[u32]> = whole.tokens.chunks(64).collect();
    assert_eq!(rows.len(), 16);
}

#[test]
fn items_are_drawn_by_weight() {
    let mix = mix(MIX, 64);
    let batch = batch(&mix, 2, 0, 20_000);
    let mut firsts = BTreeMap::new();
    for row in batch.tokens.chunks(64) {
        *firsts.entry(mix.tokenizer().decode(&row[..1])).or_insert(0.0) += 1.0;
    }
    let weights = [
        ("A", 0.4),
        ("B", 0.4),
        ("C", 1.2),
        ("D", 0.6),
        ("F", 1.0),
        ("G", 1.5),
        ("K", 2.0),
        ("P", 1.5),
        ("Q", 2.2),
        ("R", 1.0),
        ("T", 0.5),
    ];
    let total: f64 = weights.iter().map(|w| w.1).sum();
    assert_eq!(firsts.len(), weights.len());
    for (letter, weight) in weights {
        let share = weight / total;
        let sd = (20_000.0 * share * (1.0 - share)).sqrt();
        assert!((firsts[letter] - 20_000.0 * share).abs() < 4.0 * sd, "{letter}: {}", firsts[letter]);
    }
}

#[test]
fn the_identity_is_that_of_the_batches() {
    let key = Key::new(1);
    let identity = |text: &str, context, world| Mix::new(&components(text), context, world).unwrap().identity();
    let all = [
        identity(MIX, 64, key),
        identity(MIX, 65, key),
        identity(MIX, 64, Key::new(2)),
        identity(&MIX.replace("weight = 0.5", "weight = 0.6"), 64, key),
        identity(&MIX.replace("keys = 600", "keys = 601"), 64, key),
    ];
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    assert_eq!(all[0], identity(MIX, 64, key));
}

#[test]
fn broken_mixes() {
    let replaced = [("weight = 0.5", "weight = -1"), ("weight = 0.5", "weight = nan"), ("keys = 600", "keys = 6000")];
    let mut messages: Vec<String> = replaced
        .map(|(from, to)| Mix::new(&components(&MIX.replace(from, to)), 64, Key::new(1)).unwrap_err().to_string())
        .into();
    messages.extend([7, 24].map(|context| Mix::new(&components(MIX), context, Key::new(1)).unwrap_err().to_string()));
    messages.push(Mix::new(&[], 64, Key::new(1)).unwrap_err().to_string());
    let unknown = toml::from_str::<Study>(r#"mix = [{ weight = 1, family = "copy", letter = { min = 1, max = 2 } }]"#);
    messages.push(unknown.err().unwrap().to_string());
    insta::assert_snapshot!(messages.join("\n"), @r#"
    mix[0].weight (text): -1: write a positive number, such as 1.5
    mix[0].weight (text): NaN: write a positive number, such as 1.5
    family `facts`: `keys` is 6000: write a number from 4 to 676
    context: 7 characters: write a number from 8 to 65536
    mix[0] (text): an item can have 36 characters, a row holds 24: make the items shorter or the context longer
    mix: no families: list at least one, such as { weight = 1, family = "copy", ... }
    TOML parse error at line 1, column 8
      |
    1 | mix = [{ weight = 1, family = "copy", letter = { min = 1, max = 2 } }]
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    unknown field `letter`, expected `letters`
    "#);
}

/// Printed, not asserted: `cargo test --release -p saltus-corpus throughput -- --nocapture`.
#[test]
fn throughput() {
    let mix = mix(MIX, 64);
    let (mut batch, start) = (Batch::default(), std::time::Instant::now());
    for step in 0..200 {
        mix.batch(Key::new(1), step, 16, &mut batch);
    }
    let rate = 200.0 * 16.0 * 64.0 / start.elapsed().as_secs_f64() / 1e6;
    println!("{rate:.2} million positions/s");
    assert!(batch.tokens.iter().any(|&t| t != PADDING));
}
