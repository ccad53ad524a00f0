//! `saltus look heads`: scores of every head, and what context is worth.

mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
};
use crate::{measured::Refused, print};
use clap::{Args, builder::RangedU64ValueParser};
use miette::{IntoDiagnostic, Result};
use saltus_lens::heads::{ByPosition, Options, SCORES, Scores, scores, text_loss};
use saltus_lm::{TokenId, Tokenizer};
use saltus_random::Key;
use saltus_report::inside::{Detail, HeadScore, HeadScores};
use std::{path::PathBuf, process::ExitCode};

/// The command's arguments.
#[derive(Debug, Args)]
#[command(
    after_help = "Each sequence is random tokens, all different, and the same once more. In the mean over tokens, \
    previous-token: attention to the token before; duplicate-token: from the second copy to the first copy of the token; \
    induction: from the second copy to what followed the first (arXiv 2209.11895)."
)]
pub(crate) struct HeadsArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Random sequences, and windows of the text
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = RangedU64ValueParser::<usize>::new().range(2..=100_000))]
    sequences: usize,
    /// Random tokens, which are read twice [default: 64, or what the context holds]
    #[arg(long, value_name = "TOKENS", value_parser = RangedU64ValueParser::<usize>::new().range(2..=1 << 20))]
    length: Option<usize>,
    /// Text to score early and late in the context too, UTF-8
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Seed of what is drawn
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

/// Tokens of a copy.
const LENGTH: usize = 64;
/// Ordinary tokens to draw from, at most.
const POOL: usize = 4096;
/// Tokens of a window of text, at most; as in the paper.
const WINDOW: usize = 512;
/// Bytes that a token takes at most, mostly: so much text is cut out for a window.
const BYTES: usize = 12;

pub(crate) fn run(arguments: &HeadsArguments) -> Result<ExitCode> {
    let text =
        arguments.text.as_ref().map(|path| saltus_results::read_small(path).map_err(Refused::from)).transpose()?;
    let hash = text.as_ref().map_or(String::new(), |text| blake3::hash(text.as_bytes()).to_hex().to_string());
    let HeadsArguments { sequences, length, seed, .. } = arguments;
    let options = format!("{sequences} {length:?} {seed}");
    let looks =
        each(&arguments.common, &["heads", &options, &hash], &|opened| find(arguments, text.as_deref(), opened))?;
    let details: Vec<&Vec<Detail>> = looks.iter().map(|look| &look.found.details).collect();
    print(arguments.common.json, &details, || looks.iter().map(shown::text).collect::<Vec<_>>().join("\n"))
}

fn find(arguments: &HeadsArguments, text: Option<&str>, opened: &Opened) -> Result<Found> {
    let seed = Key::new(arguments.seed).child("heads");
    let beginning = opened.tokenizer.prefix();
    let tokens = ordinary(opened);
    let most = (opened.model.config().context - usize::from(beginning.is_some())) / 2;
    let length = arguments.length.unwrap_or(LENGTH.min(most).min(tokens.len()));
    let options = Options { sequences: arguments.sequences, length, beginning, tokens };
    let refused = |e: saltus_lens::Error| Refused(format!("{}: {e}", opened.key.name));
    let found = scores(&opened.model, &options, seed.child("sequences")).map_err(refused)?;
    let mut observations = found.observations(&opened.key);
    let mut on_text = None;
    if let Some(text) = text {
        let windows = windows(text, arguments.sequences, opened)?;
        let found =
            text_loss(&opened.model, &windows).map_err(|e| Refused(format!("--text with {}: {e}", opened.key.name)))?;
        observations.extend(found.observations(&opened.key, "text"));
        on_text = Some(found);
    }
    Ok(Found { observations, details: vec![Detail::Heads(detail(&found, on_text.as_ref(), &options))] })
}

/// Some of the tokens that text is made of, from all over the vocabulary: each is a text by itself, which is read as that
/// token.
fn ordinary(opened: &Opened) -> Vec<TokenId> {
    let tokenizer = &opened.tokenizer;
    let special: Vec<TokenId> =
        tokenizer.ends().iter().copied().chain(tokenizer.prefix()).chain(tokenizer.separator()).collect();
    let is_ordinary = |token: &TokenId| {
        let text = opened.text(*token);
        // A tokenizer of SentencePiece puts a blank before every text.
        let reads = |text: &str| tokenizer.encode(text).is_ok_and(|tokens| tokens == [*token]);
        !special.contains(token) && !text.is_empty() && (reads(&text) || reads(text.trim_start()))
    };
    let vocabulary = tokenizer.vocabulary();
    let step = vocabulary.div_ceil(POOL).max(1);
    let all = (0..step).flat_map(|first| (first..vocabulary).step_by(step)).map(|token| token as TokenId);
    let mut found: Vec<TokenId> = all.filter(is_ordinary).take(POOL).collect();
    found.sort_unstable();
    found
}

/// Windows of the text of one length, evenly spread, each behind the beginning that the model expects.
fn windows(text: &str, count: usize, opened: &Opened) -> Result<Vec<Vec<TokenId>>> {
    let length = opened.model.config().context.min(WINDOW);
    let beginning: Vec<TokenId> = opened.tokenizer.prefix().into_iter().collect();
    let mut windows = Vec::new();
    for number in 0..count {
        let from = boundary(text, number * (text.len() / count));
        let to = boundary(text, (from + BYTES * length).min(text.len()));
        // The next window's text is not read twice.
        let to = to.min(boundary(text, (number + 1) * (text.len() / count)));
        let mut tokens = beginning.clone();
        tokens.extend(opened.tokenizer.encode(&text[from..to]).into_diagnostic()?);
        if tokens.len() >= length {
            tokens.truncate(length);
            windows.push(tokens);
        }
    }
    if windows.len() < 2 {
        let need = format!("{count} windows of {length} tokens");
        return Err(
            Refused(format!("--text: not enough for {need}: give a longer text, or fewer `--sequences`")).into()
        );
    }
    Ok(windows)
}

/// The last place up to `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// What the page shows.
fn detail(found: &Scores, text: Option<&ByPosition>, options: &Options) -> HeadScores {
    let Options { sequences, length, .. } = options;
    let definition = |(name, what): (&str, String)| (name.to_owned(), what);
    let random = format!("{sequences} sequences of {length} different random tokens, each read twice in a row");
    let mut definitions = vec![
        ("previous_token", format!("mean attention to the token before; {random}")),
        (
            "duplicate_token",
            format!("mean attention from a token of the second copy to the same token of the first; {random}"),
        ),
        (
            "induction",
            format!("mean attention from a token of the second copy to what followed it in the first; {random}"),
        ),
        ("icl_score", "loss of the second copy less that of the first, each without its first token, nats".into()),
        ("loss_by_position", format!("mean loss of the token at each position, nats; {random}")),
    ];
    if let Some(text) = text {
        let (windows, length) = (text.icl_score.n, text.loss.len() + 1);
        let what = format!(
            "loss at the last sixteenth of {windows} windows of {length} tokens less that between a sixteenth and an eighth"
        );
        definitions.push(("icl_score (text)", what));
    }
    let scores = found.heads.iter().flat_map(|head| {
        SCORES.into_iter().zip(head.scores).map(|(score, mean)| HeadScore {
            layer: head.layer,
            head: head.head,
            score: score.into(),
            value: mean.value,
        })
    });
    HeadScores {
        definitions: definitions.into_iter().map(definition).collect(),
        scores: scores.collect(),
        loss_by_position: found.repeated.loss.iter().map(|loss| loss.value).collect(),
    }
}
