//! `saltus look causal`: what restoring and removing parts does to the answers about facts.

mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
    facts,
};
use crate::{judge::bar, measured::Refused, print};
use clap::{Args, ValueEnum};
use miette::Result;
use saltus_lens::{
    causal::{Case, Corruption, Options, Removal, ranks, trace},
    knowledge::Facts,
};
use saltus_random::Key;
use saltus_report::inside::Detail;
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

/// The command's arguments.
#[derive(Debug, Args)]
#[command(
    after_help = "A line of facts: {\"relation\": \"capital\", \"subject\": \"France\", \"template\": \"The capital \
    of [X] is [Y].\", \"object\": \"Paris\"} (LAMA's predicate_id, sub_label, obj_label will do). Facts whose object is not \
    one token behind the text, and facts that the model does not know, are left out and counted."
)]
pub(crate) struct CausalArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Facts, as JSON lines
    #[arg(long, value_name = "FILE")]
    facts: PathBuf,
    /// How subjects are corrupted
    #[arg(long, value_enum, default_value = "noise")]
    corrupt: Corrupt,
    /// Size of the noise, in standard deviations of the subjects' embeddings
    #[arg(long, value_name = "SIGMAS", default_value_t = 3.0)]
    sigmas: f64,
    /// Draws of the noise, or other subjects at most
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    draws: u16,
    /// What stands where a part is removed
    #[arg(long, value_enum, default_value = "zero")]
    remove: Remove,
    /// Layers of MLPs or attention restored or removed together around each, odd
    #[arg(long, value_name = "LAYERS", default_value_t = 1)]
    window: u16,
    /// Trace facts whose object has this rank or a better one; 0: all
    #[arg(long, value_name = "RANK", default_value_t = 1)]
    rank: u32,
    /// Seed of what is drawn
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Corrupt {
    /// Noise on the embeddings
    Noise,
    /// The subject of another fact of the relation, of as many tokens
    Swap,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Remove {
    /// Nothing
    Zero,
    /// The mean over the facts
    Mean,
}

pub(crate) fn run(arguments: &CausalArguments) -> Result<ExitCode> {
    let (facts, hash) = facts::read(&arguments.facts)?;
    let CausalArguments { corrupt, sigmas, draws, remove, window, rank, seed, .. } = arguments;
    let options = format!("{corrupt:?} {sigmas} {draws} {remove:?} {window} {rank} {seed}");
    let looks = each(&arguments.common, &["causal", &options, &hash], &|opened| find(arguments, &facts, opened))?;
    let details: Vec<&Vec<Detail>> = looks.iter().map(|look| &look.found.details).collect();
    print(arguments.common.json, &details, || looks.iter().map(shown::text).collect::<Vec<_>>().join("\n"))
}

fn find(arguments: &CausalArguments, facts: &Facts, opened: &Opened) -> Result<Found> {
    let CausalArguments { common, sigmas, draws, window, .. } = arguments;
    let refused = |e: saltus_lens::Error| Refused(format!("{}: {e}", opened.key.name));
    let (asked, mut left_out) = asked(arguments, facts, opened)?;
    let corruption = match arguments.corrupt {
        Corrupt::Noise => Corruption::Noise { sigmas: *sigmas },
        Corrupt::Swap => Corruption::Swap,
    };
    let removal = match arguments.remove {
        Remove::Zero => Removal::Zero,
        Remove::Mean => Removal::Mean,
    };
    let options = Options { corruption, draws: usize::from(*draws), removal, window: usize::from(*window) };
    let bar = bar(("tracing", "facts"), asked.len() as u64, common.quiet || common.json);
    let seed = Key::new(arguments.seed).child("causal");
    let traced = trace(&opened.model, &asked, &options, seed, &mut |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    let traced = traced.map_err(refused)?;
    if !traced.left_out.is_empty() {
        let reason = "no other subject of the relation has as many tokens and another object";
        left_out.insert(reason.into(), traced.left_out.len() as u64);
    }
    let detail = saltus_study::inside::causal(&traced, &options, &left_out);
    Ok(Found { observations: traced.observations(&opened.key), details: vec![Detail::Causal(detail)] })
}

/// The facts that are traced, and why others are not.
fn asked(arguments: &CausalArguments, facts: &Facts, opened: &Opened) -> Result<(Vec<Case>, BTreeMap<String, u64>)> {
    let rank = arguments.rank;
    let frame = facts::frame(&opened.model, &opened.tokenizer)?;
    let (mut asked, left) = facts::speller(opened, &frame).cases(&facts.facts);
    let mut left_out = facts::left_out(facts, left);
    if rank > 0 {
        let ranks = ranks(&opened.model, &asked).map_err(|e| Refused(format!("{}: {e}", opened.key.name)))?;
        let all = asked.len();
        let mut known = ranks.iter().map(|found| *found <= rank);
        asked.retain(|_| known.next() == Some(true));
        if let unknown @ 1.. = all - asked.len() {
            left_out.insert(format!("the object has no rank of {rank} or better"), unknown as u64);
        }
    }
    if asked.is_empty() {
        let problem = format!("no fact can be traced in {} ({})", opened.key.name, facts::reasons(&left_out));
        return Err(Refused(format!("{problem}: give facts that the model knows, or write `--rank 0`")).into());
    }
    Ok((asked, left_out))
}
