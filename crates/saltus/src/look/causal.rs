//! `saltus look causal`: what restoring and removing parts does to the answers about facts.

mod facts;
mod shown;

use super::{
    Common, Found,
    each::{Opened, each},
};
use crate::{judge::bar, measured::Refused, print};
use clap::{Args, ValueEnum};
use facts::{Fact, cases};
use miette::Result;
use saltus_lens::causal::{Case, Corruption, Options, Removal, Traced, ranks, trace};
use saltus_random::Key;
use saltus_report::inside::{self, Detail};
use std::{path::PathBuf, process::ExitCode};

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
    let text = saltus_results::read_small(&arguments.facts).map_err(Refused::from)?;
    let facts = facts::parse(&arguments.facts, &text).map_err(Refused)?;
    let CausalArguments { corrupt, sigmas, draws, remove, window, rank, seed, .. } = arguments;
    let options = format!("{corrupt:?} {sigmas} {draws} {remove:?} {window} {rank} {seed}");
    let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
    let looks = each(&arguments.common, &["causal", &options, &hash], &|opened| find(arguments, &facts, opened))?;
    let details: Vec<&Vec<Detail>> = looks.iter().map(|look| &look.found.details).collect();
    print(arguments.common.json, &details, || looks.iter().map(shown::text).collect::<Vec<_>>().join("\n"))
}

fn find(arguments: &CausalArguments, facts: &[Fact], opened: &Opened) -> Result<Found> {
    let CausalArguments { common, sigmas, draws, window, rank, .. } = arguments;
    let refused = |e: saltus_lens::Error| Refused(format!("{}: {e}", opened.key.name));
    let (mut asked, mut left_out) = cases(facts, opened)?;
    if *rank > 0 {
        let ranks = ranks(&opened.model, &asked).map_err(refused)?;
        let known: Vec<Case> = asked.iter().zip(&ranks).filter(|(_, r)| *r <= rank).map(|(c, _)| c.clone()).collect();
        left_out.push((format!("the object has no rank of {rank} or better"), (asked.len() - known.len()) as u64));
        asked = known;
    }
    left_out.retain(|(_, count)| *count > 0);
    if asked.is_empty() {
        let reasons: Vec<String> = left_out.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
        let problem = format!("no fact can be traced in {} ({})", opened.key.name, reasons.join("; "));
        return Err(Refused(format!("{problem}: give facts that the model knows, or write `--rank 0`")).into());
    }
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
        left_out.push((reason.into(), traced.left_out.len() as u64));
    }
    let detail = detail(&traced, &options, &left_out);
    Ok(Found { observations: traced.observations(&opened.key), details: vec![Detail::Causal(detail)] })
}

/// What the page shows.
fn detail(traced: &Traced, options: &Options, left_out: &[(String, u64)]) -> inside::Causal {
    let effects = traced.effects.iter().filter_map(|effect| {
        let (mean, kind) = (effect.mean, effect.kind);
        Some(inside::Effect {
            intervention: kind.intervention.name().into(),
            part: kind.component.name().into(),
            place: kind.place.name().into(),
            layer: kind.layer?,
            effect: mean.value,
            interval: mean.interval,
        })
    });
    inside::Causal {
        definition: definition(traced, options, left_out),
        effects: effects.collect(),
        disagreements: traced.sentences(),
    }
}

fn definition(traced: &Traced, options: &Options, left_out: &[(String, u64)]) -> String {
    let Options { corruption, draws, removal, window } = options;
    let corrupted = match corruption {
        Corruption::Noise { sigmas } => {
            format!("noise of {sigmas} standard deviations on the subject's embeddings (draws: {draws})")
        }
        Corruption::Swap => format!("the subject of another fact in its place, at most {draws} of them"),
    };
    let removed = match removal {
        Removal::Zero => "nothing",
        Removal::Mean => "its mean over the facts",
    };
    let around = if *window > 1 { format!(", {window} layers of MLPs or attention at once") } else { String::new() };
    let mut text = format!(
        "{} facts. Restore: in a run with {corrupted}, one clean activation is put back{around}. Remove: in the clean run \
         {removed} stands in its place. Effects are changes of the object's log-probability in nats, with 95% intervals over \
         facts, clustered by relation where there are several; each interval is that of one effect alone, and among hundreds \
         some miss.",
        traced.traced.len()
    );
    for (reason, count) in left_out {
        text += &format!(" Left out: {count} ({reason}).");
    }
    text
}
