//! `saltus look knowledge`: facts asked behind every layer.

mod shown;

use super::{Common, Folder, Found};
use crate::{available_cores, measured::Refused, models, progress::Progress};
use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Result};
use saltus_checkpoint::FileTokenizer;
use saltus_lens::{
    Frame, Lens, Start, Text, Training,
    knowledge::{Answers, Cloze, Fact, Facts, Speller, Summary, ask, parse, summary},
};
use saltus_lm::{TokenId, Tokenizer};
use saltus_random::Key;
use saltus_record::ModelKey;
use saltus_report::inside::{self, Detail};
use saltus_study::Event;
use saltus_transformer::Model;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The command's arguments.
#[derive(Debug, Args)]
#[command(
    after_help = "A line of facts: {\"relation\": \"capital\", \"subject\": \"France\", \"template\": \"The capital \
    of [X] is [Y].\", \"object\": \"Paris\"} (LAMA's predicate_id, sub_label, obj_label will do), or {\"relation\": \
    \"capital\", \"prompt\": \"The capital of France is\", \"target\": \"Paris\"}. Facts whose object is not one token of \
    the model's are left out and counted."
)]
pub(crate) struct KnowledgeArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Facts, as JSON lines
    #[arg(long, value_name = "FILE")]
    facts: PathBuf,
    /// How layers are read
    #[arg(long, value_enum, default_value = "logit")]
    lens: LensName,
    /// Text to train the lens on, UTF-8; may be given more than once
    #[arg(long = "text", value_name = "FILE")]
    texts: Vec<PathBuf>,
    /// The K of P@K
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Steps of training at most [default: 250 for a tuned lens, 2000 for heads]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Rate of its first step [default: 0.001 for a tuned lens, 0.00005 for heads]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f32>,
    /// Heads begin at random, not as copies of the model's own
    #[arg(long)]
    from_scratch: bool,
    /// Layers, such as 1,6,12 (0: the embedding; the last one is always asked) [default: all]
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    layers: Vec<usize>,
    /// Seed of what is drawn
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LensName {
    /// As if each layer were the last one
    Logit,
    /// Through an affine map for each layer, trained to say what the last layer says
    Tuned,
    /// By a head for each layer, trained to say the masked tokens (of a causal model: the next ones)
    Head,
}

/// Places of one step of training.
const BATCH: usize = 128;
/// Different places trained at, at most.
const POOL: u64 = 32_768;
/// Tokens of a window of text, at most.
const WINDOW: usize = 128;
/// Tokens of text that are used, at most.
const MOST_TOKENS: usize = 1 << 22;

/// What the user's files say.
struct Given {
    facts: Facts,
    facts_hash: String,
    /// The texts one after another.
    text: String,
}

pub(crate) fn run(arguments: &KnowledgeArguments) -> Result<ExitCode> {
    let given = given(arguments)?;
    let threads = arguments.common.threads.unwrap_or_else(available_cores);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().into_diagnostic()?;
    let mut looks = Vec::new();
    for source in &arguments.common.models {
        let (model, tokenizer, key) = models::parts(source)?;
        let opened = Opened { model, tokenizer, key };
        looks.push(pool.install(|| look(arguments, &given, &opened))?);
    }
    shown::print(&looks, &arguments.common, arguments.top)
}

fn given(arguments: &KnowledgeArguments) -> Result<Given> {
    if let Some(problem) = contradiction(arguments) {
        return Err(Refused(problem.into()).into());
    }
    let path = &arguments.facts;
    let bytes = saltus_results::read_small(path).map_err(Refused::from)?;
    let facts = parse(&bytes).map_err(|bad| {
        let like = r#"write lines like {"relation": "capital", "subject": "France", "template": "The capital of [X] is [Y].", "object": "Paris"}"#;
        Refused(format!("{}, line {}: {}: {like}", path.display(), bad.line, bad.problem))
    })?;
    if facts.facts.is_empty() && facts.left_out.is_empty() {
        let like = r#"write one fact a line, such as {"relation": "capital", "prompt": "The capital of France is", "target": "Paris"}"#;
        return Err(Refused(format!("{}: no fact in it: {like}", path.display())).into());
    }
    let mut text = String::new();
    for path in &arguments.texts {
        text += &saltus_results::read_small(path).map_err(Refused::from)?;
        text.push('\n');
    }
    Ok(Given { facts, facts_hash: blake3::hash(bytes.as_bytes()).to_hex().to_string(), text })
}

/// Arguments that do not go together.
fn contradiction(arguments: &KnowledgeArguments) -> Option<&'static str> {
    let KnowledgeArguments { lens, texts, steps, learning_rate, from_scratch, .. } = arguments;
    let trained = steps.is_some() || learning_rate.is_some() || !texts.is_empty();
    match lens {
        LensName::Logit if trained => Some(
            "the logit lens is not trained: leave `--text`, `--steps` and `--learning-rate` out, or write `--lens tuned`",
        ),
        LensName::Tuned | LensName::Head if texts.is_empty() => {
            Some("the lens is trained on text: give files with `--text`, or write `--lens logit`")
        }
        LensName::Logit | LensName::Tuned if *from_scratch => {
            Some("only heads begin from scratch: leave `--from-scratch` out, or write `--lens head`")
        }
        _ if learning_rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) => {
            Some("a learning rate that is not above 0: write one such as 0.001")
        }
        _ => None,
    }
}

/// A model with its tokenizer and key.
struct Opened {
    model: Model,
    tokenizer: FileTokenizer,
    key: ModelKey,
}

/// One model's look, found now or before.
struct Looked {
    model: ModelKey,
    key: String,
    folder: PathBuf,
    found: Found,
    /// Whether it was there already.
    before: bool,
}

fn look(arguments: &KnowledgeArguments, given: &Given, opened: &Opened) -> Result<Looked> {
    let key = address(arguments, given, &opened.key);
    let folder = Folder(&arguments.common.out);
    let looked = |found, before| {
        let folder = arguments.common.out.clone();
        Ok(Looked { model: opened.key.clone(), key: key.clone(), folder, found, before })
    };
    if let Some(found) = folder.read(&key) {
        return looked(found, true);
    }
    let found = find(arguments, given, opened)?;
    folder.write(&key, &found)?;
    looked(found, false)
}

/// All that determines what is found.
fn address(arguments: &KnowledgeArguments, given: &Given, model: &ModelKey) -> String {
    let KnowledgeArguments { lens, top, steps, learning_rate, from_scratch, layers, seed, .. } = arguments;
    let options = format!("{lens:?} {top} {steps:?} {learning_rate:?} {from_scratch} {layers:?} {seed}");
    let text = blake3::hash(given.text.as_bytes()).to_hex().to_string();
    // The name stands in every observation.
    let parts = ["knowledge", &model.name, &model.weights, &model.tokenizer, &given.facts_hash, &text, &options];
    Folder::key(&parts)
}

fn find(arguments: &KnowledgeArguments, given: &Given, opened: &Opened) -> Result<Found> {
    let Opened { model, tokenizer, key } = opened;
    let config = model.config();
    let frame = frame(model, tokenizer)?;
    let unknown = ["[UNK]", "<unk>"].iter().find_map(|name| tokenizer.special(name));
    let speller = Speller { tokenizer, frame: &frame, unknown, context: config.context };
    let (numbered, left) = speller.spell(&given.facts.facts);
    let mut left_out = given.facts.left_out.clone();
    left.into_iter().for_each(|(reason, count)| *left_out.entry(reason).or_default() += count);
    let (numbers, clozes): (Vec<usize>, Vec<Cloze>) = numbered.into_iter().unzip();
    if clozes.is_empty() {
        return Err(nothing(&arguments.facts, &key.name, &left_out).into());
    }
    let text = match arguments.lens {
        LensName::Logit => None,
        _ => Some(text(arguments, given, opened, &frame)?),
    };
    let lens = lens(arguments, text.as_ref());
    let progress = Progress::new(arguments.common.quiet || arguments.common.json);
    let show = |share| progress.show(Event::Progress { phase: "knowledge", share, detail: key.name.clone() });
    let answers = ask(model, &clozes, &arguments.layers, lens, &show);
    progress.finish();
    let answers = answers.map_err(|e| Refused(e.to_string()))?;
    let seeds = Key::new(arguments.seed).child("summary");
    let how = Summary { model: key, method: lens.method(), top: arguments.top, key: seeds };
    let observations = summary(how, &clozes, &answers);
    let facts = |number: &usize| &given.facts.facts[*number];
    let asked: Vec<&Fact> = numbers.iter().map(facts).collect();
    let left_out = left_out.into_iter().collect();
    let detail = detail(lens.method(), (tokenizer, frame.mask.is_some()), &asked, &answers, left_out);
    Ok(Found { observations, details: vec![Detail::Knowledge(detail)] })
}

/// What stands around a text, as the model expects it.
fn frame(model: &Model, tokenizer: &FileTokenizer) -> Result<Frame> {
    if model.config().architecture.attention.causal {
        return Ok(Frame { before: tokenizer.prefix().into_iter().collect(), ..Frame::default() });
    }
    let special = |names: [&str; 2]| names.iter().find_map(|name| tokenizer.special(name));
    let Some(mask) = special(["[MASK]", "<mask>"]) else {
        let path = tokenizer.path().display();
        miette::bail!(help = "use a model of BERT's kind, with its tokenizer", "{path} has no token [MASK]");
    };
    let (before, behind) = (special(["[CLS]", "<s>"]), special(["[SEP]", "</s>"]));
    let list = |token: Option<TokenId>| token.into_iter().collect();
    Ok(Frame { before: list(before), behind: list(behind), mask: Some(mask) })
}

fn nothing(path: &Path, model: &str, left_out: &BTreeMap<String, u64>) -> Refused {
    let reasons: Vec<String> = left_out.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
    let remedy = "give facts whose objects are one token of the model's, with slots [X] and [Y]";
    Refused(format!("{}: no fact can be asked of {model} ({}): {remedy}", path.display(), reasons.join("; ")))
}

/// The user's text in tokens, by windows.
fn text(arguments: &KnowledgeArguments, given: &Given, opened: &Opened, frame: &Frame) -> Result<Text> {
    let config = opened.model.config();
    let mut tokens = Vec::new();
    for lines in pieces(&given.text) {
        if tokens.len() >= MOST_TOKENS {
            if !arguments.common.quiet {
                eprintln!("note: only the first {MOST_TOKENS} tokens of the text are used");
            }
            break;
        }
        tokens.extend(opened.tokenizer.encode(lines).into_diagnostic()?);
    }
    let length = config.context.min(WINDOW);
    let text = Text::new(&tokens, frame.clone(), length, opened.tokenizer.vocabulary());
    Ok(text.map_err(|e| Refused(format!("--text: {e}")))?)
}

/// Whole lines together, of about 64 KiB; a longer line by itself.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    const PIECE: usize = 1 << 16;
    let mut rest = text;
    std::iter::from_fn(move || {
        let within = (0..=PIECE.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let end = match rest[..within].rfind('\n') {
            Some(at) if within < rest.len() => at + 1,
            _ => rest[within..].find('\n').map_or(rest.len(), |at| within + at + 1),
        };
        let (piece, later) = rest.split_at(end);
        rest = later;
        (!piece.is_empty()).then_some(piece)
    })
}

fn lens<'a>(arguments: &KnowledgeArguments, text: Option<&'a Text>) -> Lens<'a> {
    let training = |steps: u64, rate: f32| {
        let steps = arguments.steps.unwrap_or(steps);
        Training {
            steps,
            batch: BATCH,
            learning_rate: arguments.learning_rate.unwrap_or(rate),
            pool: steps.saturating_mul(BATCH as u64).clamp(1, POOL) as usize,
            key: Key::new(arguments.seed).child("lens"),
        }
    };
    let start = if arguments.from_scratch { Start::Random } else { Start::Own };
    match (arguments.lens, text) {
        (LensName::Tuned, Some(text)) => Lens::Tuned(text, training(250, 1e-3)),
        (LensName::Head, Some(text)) => Lens::Head(text, training(2000, 5e-5), start),
        _ => Lens::Logit,
    }
}

/// What the page shows beside the numbers.
fn detail(
    method: &str,
    (tokenizer, masked): (&FileTokenizer, bool),
    facts: &[&Fact],
    answers: &Answers,
    left_out: Vec<(String, u64)>,
) -> inside::Knowledge {
    let fact = |(number, fact): (usize, &&Fact)| inside::Fact {
        relation: fact.relation.clone(),
        text: match masked {
            true => format!("{}___{}", fact.before, fact.behind),
            false => fact.before.trim_end().to_owned(),
        },
        object: fact.object.clone(),
        ranks: answers.ranks.iter().map(|ranks| ranks[number]).collect(),
        said: tokenizer.decode(&[answers.said[number]]).trim().to_owned(),
    };
    inside::Knowledge {
        method: method.into(),
        layers: answers.layers.iter().map(|layer| *layer as u32).collect(),
        facts: facts.iter().enumerate().map(fact).collect(),
        left_out,
    }
}
