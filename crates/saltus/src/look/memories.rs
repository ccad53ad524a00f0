//! `saltus look memories`: feed-forward layers as key-value memories, over a corpus.
//!
//! The triggers are read in parts: after each, what is known so far stands in the folder (`KEY.part`), and a run that was
//! stopped goes on from there to the same bytes.

use super::{Common, Folder, Found};
use crate::{
    models, print,
    progress::Progress,
    table::{columns, row},
};
use clap::{Args, builder::RangedU64ValueParser};
use miette::{IntoDiagnostic, Result};
use saltus_lens::memories::{Corpus, PASS, Settings, Triggers, look, observe};
use saltus_lm::LanguageModel;
use saltus_random::Key;
use saltus_record::{ModelKey, Observation};
use saltus_report::inside::Detail;
use saltus_study::Event;
use saltus_transformer::{LocalModel, Model};
use serde::Serialize;
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    time::Instant,
};

/// Tokens between two states on the disk.
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
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.common.threads.unwrap_or(0)).build();
    let read = |path: &PathBuf| saltus_file::read_text(path, MAX_TEXT, "split it into several files").into_diagnostic();
    let texts: Vec<String> = arguments.texts.iter().map(read).collect::<Result<_>>()?;
    let looks: Vec<Looked> = pool.into_diagnostic()?.install(|| {
        arguments.common.models.iter().map(|source| one(arguments, &texts, source)).collect::<Result<_>>()
    })?;
    print(arguments.common.json, &looks, || looks.iter().map(Looked::text).collect())
}

fn one(arguments: &MemoriesArguments, texts: &[String], source: &str) -> Result<Looked> {
    let (model, name) = models::load(source)?;
    let layers = layers(arguments.layers.as_ref(), model.model().config().layers)?;
    let key = key(arguments, texts, &name, &layers);
    let folder = Folder(&arguments.common.out);
    let found = match folder.read(&key) {
        Some(found) => found,
        None => {
            let found = find(arguments, texts, (&model, &name), &layers, &key)?;
            folder.write(&key, &found)?;
            // It was only there to go on from.
            let _ = fs::remove_file(part_path(&arguments.common.out, &key));
            found
        }
    };
    Ok(Looked::new(&name, &key, &arguments.common.out, &found))
}

/// The layers asked for, from 0.
fn layers(asked: Option<&Layers>, layers: usize) -> Result<Vec<usize>> {
    let Some(Layers(asked)) = asked else { return Ok((0..layers).collect()) };
    match asked.iter().find(|layer| **layer > layers) {
        Some(layer) => Err(saltus_lens::Error::Layer { layer: *layer, layers }).into_diagnostic(),
        None => Ok(asked.iter().map(|layer| layer - 1).collect()),
    }
}

/// All that determines what is found.
fn key(arguments: &MemoriesArguments, texts: &[String], name: &ModelKey, layers: &[usize]) -> String {
    let numbers = [arguments.top, arguments.sample, arguments.keys].map(|number| number.to_string());
    let (limit, seed) = (format!("{:?}", arguments.tokens), arguments.seed.to_string());
    let layers = format!("{layers:?}");
    let texts: Vec<String> = texts.iter().map(|text| blake3::hash(text.as_bytes()).to_hex().to_string()).collect();
    let mut parts = vec!["memories", &name.name, &name.weights, &name.tokenizer, &limit, &seed, &layers];
    parts.extend(numbers.iter().chain(&texts).map(String::as_str));
    Folder::key(&parts)
}

fn find(
    arguments: &MemoriesArguments,
    texts: &[String],
    (model, name): (&LocalModel, &ModelKey),
    layers: &[usize],
    key: &str,
) -> Result<Found> {
    let (tokenizer, model) = (model.tokenizer(), model.model());
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let corpus = Corpus::new(&texts, tokenizer, model.config().context, arguments.tokens).into_diagnostic()?;
    if corpus.sentences() < arguments.top {
        let (sentences, top) = (corpus.sentences(), arguments.top);
        return Err(saltus_lens::Error::FewSentences { sentences, top }).into_diagnostic();
    }
    let progress = Progress::new(arguments.common.quiet || arguments.common.json);
    let mut triggers = Triggers::new(model, layers, arguments.top).into_diagnostic()?;
    read_triggers(model, &corpus, &mut triggers, &part_path(&arguments.common.out, key), &progress)?;
    let settings = Settings {
        sample: arguments.sample,
        keys: arguments.keys,
        kept: KEPT,
        key: Key::new(arguments.seed).child("memories"),
    };
    let show = |share, phase| progress.show(Event::Progress { phase, share, detail: name.name.clone() });
    let findings = look(model, &corpus, &triggers, &settings, &show).into_diagnostic();
    progress.finish();
    let findings = findings?;
    let book = saltus_study::inside::memories(model, tokenizer, &corpus, &findings);
    Ok(Found { observations: observe(name, &findings), details: vec![Detail::Memories(book)] })
}

fn part_path(out: &Path, key: &str) -> PathBuf {
    out.join(format!("{key}.part"))
}

/// Reads the triggers from where the last state on the disk has them.
fn read_triggers(
    model: &Model,
    corpus: &Corpus,
    triggers: &mut Triggers,
    part: &Path,
    progress: &Progress,
) -> Result<()> {
    if let Ok(bytes) = fs::read(part)
        && let Some((seal, state)) = bytes.split_first_chunk::<32>()
        && blake3::hash(state).as_bytes() == seal
    {
        triggers.resume(state, corpus);
    }
    let (begun, before) = (Instant::now(), corpus.tokens_before(triggers.sentences()));
    let mut saved = before;
    while triggers.sentences() < corpus.sentences() {
        triggers.read(model, corpus, corpus.after(triggers.sentences(), STEP), PASS).into_diagnostic()?;
        let done = corpus.tokens_before(triggers.sentences());
        let speed = (done - before) as f64 / begun.elapsed().as_secs_f64().max(1e-3);
        let detail = format!("{done} of {} tokens, {speed:.0} tokens/s", corpus.tokens());
        progress.show(Event::Progress { phase: "triggers", share: done as f64 / corpus.tokens() as f64, detail });
        if done - saved >= PART {
            saved = done;
            save(triggers, part)?;
        }
    }
    // What comes after takes minutes too.
    if saved > before || before > 0 { save(triggers, part) } else { Ok(()) }
}

fn save(triggers: &Triggers, part: &Path) -> Result<()> {
    fs::create_dir_all(part.parent().unwrap_or(Path::new("."))).into_diagnostic()?;
    let state = triggers.to_bytes();
    let put = |file: &mut fs::File| {
        std::io::Write::write_all(file, blake3::hash(&state).as_bytes())?;
        std::io::Write::write_all(file, &state)
    };
    saltus_record::write_atomically(part, put).into_diagnostic()
}

/// One model's look, as it is printed.
#[derive(Serialize)]
struct Looked {
    model: String,
    key: String,
    definition: String,
    /// Where the observations are.
    observations: PathBuf,
    numbers: Vec<Number>,
}

/// One number of a layer.
#[derive(Serialize)]
struct Number {
    layer: Option<u32>,
    group: String,
    metric: String,
    value: f64,
    interval: Option<(f64, f64)>,
    n: u64,
    chance: Option<f64>,
}

impl Looked {
    fn new(model: &ModelKey, key: &str, out: &Path, found: &Found) -> Self {
        let number = |o: &Observation| Number {
            layer: o.layer,
            group: o.group.clone(),
            metric: o.metric.clone(),
            value: o.value,
            interval: o.interval,
            n: o.n,
            chance: o.chance,
        };
        let definition = found.details.iter().find_map(|detail| match detail {
            Detail::Memories(book) => Some(book.definition.clone()),
            _ => None,
        });
        Looked {
            model: model.name.clone(),
            key: key.to_owned(),
            definition: definition.unwrap_or_default(),
            observations: out.join(format!("{key}.parquet")),
            numbers: found.observations.iter().map(number).collect(),
        }
    }

    /// The table by layer. Shares are in percent.
    fn text(&self) -> String {
        let mut rows = vec![row([
            "layer",
            "agreement",
            "(chance)",
            "rank",
            "active",
            "zero agr.",
            "(chance)",
            "refined",
            "residual",
            "ffn",
            "both",
            "neither",
            "-first",
            "-last",
            "-random",
        ])];
        let mut layers: Vec<u32> = self.numbers.iter().filter_map(|number| number.layer).collect();
        layers.dedup();
        for layer in layers {
            let of = |group: &str, metric: &str| {
                self.numbers.iter().find(|n| n.layer == Some(layer) && n.group == group && n.metric == metric)
            };
            let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.1}", 100.0 * value));
            let share = |metric: &str| percent(of("", metric).map(|n| n.value));
            let chance = |metric: &str| percent(of("", metric).and_then(|n| n.chance));
            let removal = |group: &str| percent(of(group, "removal").map(|n| n.value));
            let agreement = match of("", "agreement").and_then(|n| n.interval) {
                Some((low, high)) => {
                    format!("{} [{}, {}]", share("agreement"), percent(Some(low)), percent(Some(high)))
                }
                None => share("agreement"),
            };
            rows.push(vec![
                layer.to_string(),
                agreement,
                chance("agreement"),
                of("", "agreement_rank").map_or("-".to_owned(), |n| format!("{:.0}", n.value)),
                share("active_share"),
                share("zero_agreement"),
                chance("zero_agreement"),
                share("refined"),
                share("from_residual"),
                share("from_ffn"),
                share("from_agreement"),
                share("from_composition"),
                removal("first"),
                removal("last"),
                removal("random"),
            ]);
        }
        let mut text = format!("{}\n{}", self.model, columns(&rows));
        let _ = writeln!(text, "{}\nin percent; observations: {}\n", self.definition, self.observations.display());
        text
    }
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
