//! `saltus look memories`: feed-forward layers as key-value memories, over a corpus.
//!
//! What is known so far stands in the folder (`KEY.part`), and a run that was stopped goes on from there to the same bytes.

mod part;
mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
};
use crate::{print, progress::Progress};
use clap::{Args, builder::RangedU64ValueParser};
use miette::{IntoDiagnostic, Result};
use part::Kept;
use saltus_lens::memories::{Corpus, PASS, Partial, Settings, Triggers, look, observe};
use saltus_random::Key;
use saltus_report::inside::Detail;
use saltus_study::Event;
use std::{path::PathBuf, process::ExitCode, str::FromStr, time::Instant};

/// Tokens between two states on the disk, at most.
const PART: usize = 1 << 15;
/// Tokens between two words of progress.
const STEP: usize = PASS;
/// Memories of each layer that are kept whole.
const KEPT: usize = 64;
/// A text file of more bytes is refused.
const MAX_TEXT: u64 = 1 << 30;

/// What is asked for.
#[derive(Debug, Args)]
#[command(
    after_help = "A sentence ends at the end of a line, and behind `.`, `!` or `?` where white space follows. Each is \
    read by itself. A run that was stopped goes on where it was."
)]
pub(crate) struct MemoriesArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Text to read, UTF-8; several files are read one after another
    #[arg(long = "text", value_name = "FILE", required = true, num_args = 1..)]
    texts: Vec<PathBuf>,
    /// Triggers of each key, one a sentence
    #[arg(long, value_name = "K", default_value_t = 25, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    top: usize,
    /// Places whose predictions are taken apart
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    sample: usize,
    /// Keys of each layer whose triggers lose a token
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    keys: usize,
    /// Read at most so many tokens, in whole sentences [default: all]
    #[arg(long, value_name = "LIMIT", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 40))]
    tokens: Option<usize>,
    /// Layers, such as 1,4-6 [default: all]
    #[arg(long)]
    layers: Option<Layers>,
    /// Seed of what is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Layers from 1, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layers(Vec<usize>);

impl FromStr for Layers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|layer| (1..=100_000).contains(layer));
        let mut layers = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match number(first).zip(number(last)) {
                Some((first, last)) if first <= last => layers.extend(first..=last),
                _ => return Err(format!("`{part}` is no layer and no range of layers: write 3 or 4-6")),
            }
        }
        layers.sort_unstable();
        layers.dedup();
        Ok(Layers(layers))
    }
}

/// Looks at each model, or takes what was found before.
pub(crate) fn run(arguments: &MemoriesArguments) -> Result<ExitCode> {
    let read = |path: &PathBuf| saltus_file::read_text(path, MAX_TEXT, "split it into several files").into_diagnostic();
    let texts: Vec<String> = arguments.texts.iter().map(read).collect::<Result<_>>()?;
    let MemoriesArguments { common, top, sample, keys, tokens, layers, seed, .. } = arguments;
    let hashes: Vec<String> = texts.iter().map(|text| blake3::hash(text.as_bytes()).to_hex().to_string()).collect();
    let options = format!("{top} {sample} {keys} {tokens:?} {layers:?} {seed}");
    let looks = each(common, &["memories", &options, &hashes.join(" ")], &|opened| find(arguments, &texts, opened))?;
    let shown: Vec<shown::Shown<'_>> = looks.iter().map(shown::Shown::of).collect();
    print(common.json, &shown, || looks.iter().map(shown::text).collect())
}

/// The layers asked for, from 0.
fn layers(asked: Option<&Layers>, layers: usize) -> Result<Vec<usize>> {
    let Some(Layers(asked)) = asked else { return Ok((0..layers).collect()) };
    match asked.iter().find(|layer| **layer > layers) {
        Some(layer) => Err(saltus_lens::Error::Layer { layer: *layer, layers }).into_diagnostic(),
        None => Ok(asked.iter().map(|layer| layer - 1).collect()),
    }
}

fn find(arguments: &MemoriesArguments, texts: &[String], opened: &Opened) -> Result<Found> {
    let Opened { model, tokenizer, key: name, part } = opened;
    let layers = layers(arguments.layers.as_ref(), model.config().layers)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let corpus = Corpus::new(&texts, tokenizer, model.config().context, arguments.tokens).into_diagnostic()?;
    if corpus.sentences() < arguments.top {
        let (sentences, top) = (corpus.sentences(), arguments.top);
        return Err(saltus_lens::Error::FewSentences { sentences, top }).into_diagnostic();
    }
    let settings = Settings {
        sample: arguments.sample,
        keys: arguments.keys,
        kept: KEPT,
        key: Key::new(arguments.seed).child("memories"),
    };
    let progress = Progress::new(arguments.common.quiet || arguments.common.json);
    let mut triggers = Triggers::new(model, &layers, arguments.top).into_diagnostic()?;
    let mut kept = Kept::at(part);
    let partial = kept.resume(model, &corpus, &mut triggers, &settings);
    read_triggers(opened, &corpus, &mut triggers, &mut kept, &progress)?;
    let findings = look(model, &corpus, &triggers, &settings, partial, &mut |share, phase, partial| {
        progress.show(Event::Progress { phase, share, detail: name.name.clone() });
        kept.now_and_then(&triggers, partial);
    });
    progress.finish();
    let findings = findings.into_diagnostic()?;
    let book = saltus_study::inside::memories(model, tokenizer, &corpus, &findings);
    Ok(Found { observations: observe(name, &findings), details: vec![Detail::Memories(book)] })
}

/// Reads the triggers on to the end of the corpus.
fn read_triggers(
    opened: &Opened,
    corpus: &Corpus,
    triggers: &mut Triggers,
    kept: &mut Kept<'_>,
    progress: &Progress,
) -> Result<()> {
    let (begun, before) = (Instant::now(), corpus.tokens_before(triggers.sentences()));
    let mut saved = before;
    while triggers.sentences() < corpus.sentences() {
        let until = corpus.after(triggers.sentences(), STEP);
        triggers.read(&opened.model, corpus, until, PASS).into_diagnostic()?;
        let done = corpus.tokens_before(triggers.sentences());
        let speed = (done - before) as f64 / begun.elapsed().as_secs_f64().max(1e-3);
        let detail = format!("{done} of {} tokens, {speed:.0} tokens/s", corpus.tokens());
        progress.show(Event::Progress { phase: "triggers", share: done as f64 / corpus.tokens() as f64, detail });
        match done - saved {
            PART.. => {
                saved = done;
                kept.save(triggers, &Partial::default());
            }
            _ => kept.now_and_then(triggers, &Partial::default()),
        }
    }
    // What comes after takes minutes too.
    if saved > before {
        kept.save(triggers, &Partial::default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_numbers_and_ranges() {
        let check = |text: &str, expect: &[usize]| assert_eq!(text.parse(), Ok(Layers(expect.to_vec())));
        check("3", &[3]);
        check("7,1-3, 2", &[1, 2, 3, 7]);
        for wrong in ["", "0", "a", "3-", "5-4", "1,,2", "1-999999"] {
            assert!(wrong.parse::<Layers>().is_err(), "{wrong}");
        }
    }
}
