//! `saltus look prompt`: one prediction taken apart.

mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
};
use crate::{measured::Refused, models::with_gaps, print};
use clap::Args;
use miette::{IntoDiagnostic, Result};
use saltus_lens::prompt::{Options, take_apart, token_behind};
use saltus_lm::{TokenId, Tokenizer};
use saltus_report::inside::Detail;
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
    // A model that sees both ways has the target in a gap, not behind a text.
    let before = if opened.model.config().architecture.attention.causal { &arguments.prompt } else { "" };
    let target = arguments.target.as_deref().map(|target| {
        let refused = |what: String| {
            let name = &opened.key.name;
            Refused(format!("{name}: --target {target:?} {what}: give a target that is one token behind the prompt"))
        };
        token_behind(&opened.tokenizer, before, target).map_err(refused)
    });
    let target = target.transpose()?;
    let top = usize::from(arguments.top);
    let options = Options { second, at, target, top, parts: 2 * top };
    let found = take_apart(&opened.model, &tokens, &options).map_err(|e| Refused(e.to_string()))?;
    let group = format!("{} | {}", arguments.prompt, opened.text(found.target));
    let observations = found.observations(&opened.key, &group);
    let detail = saltus_study::inside::prompt(&opened.model, &opened.tokenizer, &tokens, found, top);
    Ok(Found { observations, details: vec![Detail::Prompt(detail)] })
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
