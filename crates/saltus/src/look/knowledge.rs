//! `saltus look knowledge`: facts asked behind every layer.

mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
    facts,
};
use crate::{measured::Refused, progress::Progress};
use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Result};
use saltus_checkpoint::FileTokenizer;
use saltus_lens::{
    Frame, Lens, Start, Text, Training,
    knowledge::{Answers, Cloze, Fact, Facts, Summary, ask, summary},
};
use saltus_lm::Tokenizer;
use saltus_random::Key;
use saltus_report::inside::{self, Detail};
use saltus_study::Event;
use std::{path::PathBuf, process::ExitCode};

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
    /// The texts one after another.
    text: String,
}

pub(crate) fn run(arguments: &KnowledgeArguments) -> Result<ExitCode> {
    if let Some(problem) = contradiction(arguments) {
        return Err(Refused(problem.into()).into());
    }
    let (facts, facts_hash) = facts::read(&arguments.facts)?;
    let mut text = String::new();
    for path in &arguments.texts {
        text += &saltus_results::read_small(path).map_err(Refused::from)?;
        text.push('\n');
    }
    let KnowledgeArguments { common, lens, top, steps, learning_rate, from_scratch, layers, seed, .. } = arguments;
    let options = format!("{lens:?} {top} {steps:?} {learning_rate:?} {from_scratch} {layers:?} {seed}");
    let text_hash = blake3::hash(text.as_bytes()).to_hex().to_string();
    let given = Given { facts, text };
    let options = ["knowledge", &options, &facts_hash, &text_hash];
    let looks = each(common, &options, &|opened| find(arguments, &given, opened))?;
    shown::print(&looks, common, arguments.top)
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

fn find(arguments: &KnowledgeArguments, given: &Given, opened: &Opened) -> Result<Found> {
    let Opened { model, tokenizer, key, .. } = opened;
    let frame = facts::frame(model, tokenizer)?;
    let (numbered, left) = facts::speller(opened, &frame).spell(&given.facts.facts);
    let left_out = facts::left_out(&given.facts, left);
    let (numbers, clozes): (Vec<usize>, Vec<Cloze>) = numbered.into_iter().unzip();
    if clozes.is_empty() {
        let (path, reasons) = (arguments.facts.display(), facts::reasons(&left_out));
        let remedy = "give facts whose objects are one token of the model's, with slots [X] and [Y]";
        return Err(Refused(format!("{path}: no fact can be asked of {} ({reasons}): {remedy}", key.name)).into());
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
