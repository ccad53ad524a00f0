//! `saltus look prompt`: one prediction taken apart.

mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
};
use crate::{measured::Refused, models::with_gaps, print};
use clap::Args;
use miette::{IntoDiagnostic, Result};
use saltus_lens::prompt::{Head, Memory, Options, Part, Prediction, take_apart};
use saltus_lm::{TokenId, Tokenizer};
use saltus_report::inside::{self, Detail, PromptHead, PromptMemory, PromptPicture};
use std::process::ExitCode;

/// The command's arguments.
#[derive(Debug, Args)]
#[command(
    after_help = "The logit of the target is a sum of what embedding, heads and hidden units write; nothing is left \
    over but rounding. A model that sees both ways is asked at one [MASK]: its layers and memories are shown, its logit is \
    no sum."
)]
pub(crate) struct PromptArguments {
    /// The text whose next token is asked for
    prompt: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// The token that is explained [default: the model's first choice]
    #[arg(long, value_name = "TOKEN")]
    target: Option<String>,
    /// Tokens of each list, and heads; twice as many memories
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
}

pub(crate) fn run(arguments: &PromptArguments) -> Result<ExitCode> {
    let target = arguments.target.as_deref().unwrap_or("");
    let options = format!("{} {:?}", arguments.top, arguments.target.is_some());
    let looks =
        each(&arguments.common, &["prompt", &arguments.prompt, target, &options], &|opened| find(arguments, opened))?;
    let details: Vec<&Vec<Detail>> = looks.iter().map(|look| &look.found.details).collect();
    print(arguments.common.json, &details, || looks.iter().map(shown::text).collect::<Vec<_>>().join("\n"))
}

fn find(arguments: &PromptArguments, opened: &Opened) -> Result<Found> {
    let (tokens, second, at) = ask(&arguments.prompt, opened)?;
    let target = arguments.target.as_deref().map(|target| one_token(&arguments.prompt, target, opened)).transpose()?;
    let top = usize::from(arguments.top);
    let options = Options { second, at, target, top, parts: 2 * top };
    let found = take_apart(&opened.model, &tokens, &options).map_err(|e| Refused(e.to_string()))?;
    let group = format!("{} | {}", arguments.prompt, opened.text(found.target));
    let observations = found.observations(&opened.key, &group);
    Ok(Found { observations, details: vec![Detail::Prompt(picture(opened, &tokens, found, top))] })
}

/// What is read, where a second sentence begins, and where it is asked.
fn ask(prompt: &str, opened: &Opened) -> Result<(Vec<TokenId>, usize, usize)> {
    if opened.model.config().architecture.attention.causal {
        let mut tokens: Vec<TokenId> = opened.tokenizer.prefix().into_iter().collect();
        tokens.extend(opened.tokenizer.encode(prompt).into_diagnostic()?);
        if tokens.is_empty() {
            return Err(Refused("a prompt without tokens: give a text".into()).into());
        }
        let (count, last) = (tokens.len(), tokens.len() - 1);
        return Ok((tokens, count, last));
    }
    let (request, _) = with_gaps(prompt, &opened.tokenizer)?;
    match request.targets[..] {
        [(at, _)] => Ok((request.tokens, request.second, at)),
        _ => {
            let count = request.targets.len();
            let problem = format!("the model sees both ways, and {count} places of the prompt are [MASK]");
            Err(Refused(format!("{problem}: write it once, where the token is asked for")).into())
        }
    }
}

/// The token that `target` is behind the prompt: with a blank between them, unless one of them has it or that is no single
/// token.
fn one_token(prompt: &str, target: &str, opened: &Opened) -> Result<TokenId> {
    let causal = opened.model.config().architecture.attention.causal;
    let encode = |text: &str| opened.tokenizer.encode(text).into_diagnostic();
    let before = if causal { prompt } else { "" };
    let read = encode(before)?;
    let spaced = before.ends_with(char::is_whitespace) || target.starts_with(char::is_whitespace);
    let joined =
        [" ", ""].iter().filter(|blank| blank.is_empty() || !spaced).map(|blank| format!("{before}{blank}{target}"));
    let (mut several, mut unknown) = (0, false);
    for text in joined {
        let tokens = encode(&text)?;
        match tokens.strip_prefix(&read[..]) {
            Some([token]) if says(&opened.text(*token), target) => return Ok(*token),
            Some([_]) => unknown = true,
            // The last one has no blank of ours.
            Some(more) => several = more.len(),
            _ => {}
        }
    }
    let what = match several {
        _ if unknown => format!("is no token of {}", opened.key.name),
        0 => "changes how the prompt's end is split into tokens".into(),
        count => format!("is {count} tokens of {}", opened.key.name),
    };
    Err(Refused(format!("--target {target:?} {what}: give a target that is one token behind the prompt")).into())
}

/// Whether a token stands for this text, and not for whatever is unknown; some tokenizers make text lower-case.
fn says(token: &str, text: &str) -> bool {
    token.trim().to_lowercase() == text.trim().to_lowercase()
}

/// What the page shows.
fn picture(opened: &Opened, tokens: &[TokenId], found: Prediction, top: usize) -> PromptPicture {
    let definition = definition(&found, opened);
    let Prediction { target, said, lens, attribution, memories } = found;
    let part = |part: &Part| inside::Part { name: part.kind.name().into(), layer: part.layer, amount: part.amount };
    let head = |head: &Head| PromptHead {
        layer: head.layer,
        head: head.head,
        amount: head.amount,
        attention: head.attention.iter().map(|x| f64::from(*x)).collect(),
    };
    let memory = |memory: &Memory| {
        let votes = memory.votes.iter().map(|token| opened.text(*token)).collect();
        let Memory { layer, unit, coefficient, amount, .. } = *memory;
        PromptMemory { layer, unit, coefficient, amount, votes }
    };
    PromptPicture {
        tokens: tokens.iter().map(|token| opened.text(*token)).collect(),
        target: opened.text(target),
        logit: attribution.as_ref().map_or(lens[lens.len() - 1].logit, |a| a.logit),
        said: opened.votes(&said),
        lens: lens.iter().map(|layer| opened.votes(&layer.said)).collect(),
        parts: attribution.iter().flat_map(|a| &a.parts).map(part).collect(),
        memories: memories.iter().map(memory).collect(),
        heads: attribution.iter().flat_map(|a| &a.heads).take(top).map(head).collect(),
        definition,
    }
}

fn definition(found: &Prediction, opened: &Opened) -> String {
    let lens = "Lens: the stream behind each layer, read by the final norm and the head as if it were the last.";
    let memory = if opened.model.config().architecture.mlp.gated {
        "A memory is a hidden unit; its coefficient is activation(gate) times up."
    } else {
        "A memory is a hidden unit; its coefficient is the activation."
    };
    let sum = match &found.attribution {
        None => {
            "This model's logit is no sum of what was written to the stream: a layer or norms stand between. Nothing is \
             attributed; memories are those that write the longest vectors, their votes those of the lens."
        }
        Some(_) => {
            "The logit (before a soft cap) is the sum of the parts, the final norm held at its statistics here; nothing is \
             left over but rounding."
        }
    };
    let cap = found.attribution.as_ref().and_then(|a| a.soft_cap);
    let cap = cap.map_or(String::new(), |cap| format!(" The model holds logits within {cap}."));
    format!("{lens} {memory} {sum}{cap}")
}
