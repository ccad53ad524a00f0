//! Whether a jump was made by the metric: exact match against what independent tokens would give, and the smooth twins.

use crate::sample::Sample;
use crate::{Ability, Shape, Unjudgeable, Verdict};
use saltus_stats::{mean, variance};

/// Right tokens of one model, by item.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenScores {
    /// The model's scale.
    pub scale: f64,
    /// The model's seed.
    pub seed: u64,
    /// Right tokens of each item's answer; NaN: not scored.
    pub correct: Vec<f64>,
    /// Tokens of each item's answer.
    pub length: Vec<f64>,
}

/// Exact match against p^L for one model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Twin {
    /// Scale.
    pub scale: f64,
    /// Seed.
    pub seed: u64,
    /// Measured exact match.
    pub exact_match: f64,
    /// [`p_power_l`].
    pub p_power_l: f64,
}

/// Whether the metric made the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Independent tokens explain exact match, and no smooth metric jumps.
    Yes,
    /// Something of both.
    InPart,
    /// Several steps must all succeed, and their own success grows smoothly.
    Steps,
    /// The model answers with one class, whatever the question.
    LabelBias,
    /// The jump is in the smooth metrics too, or independent tokens do not explain it.
    No,
}

impl Ruling {
    /// The name used in findings.
    pub fn name(self) -> &'static str {
        match self {
            Ruling::Yes => "yes",
            Ruling::InPart => "in part",
            Ruling::Steps => "several steps",
            Ruling::LabelBias => "label bias",
            Ruling::No => "no",
        }
    }
}

/// A ruling with what it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtefactRuling {
    /// The ruling.
    pub ruling: Ruling,
    /// Its grounds, in a plain sentence with the numbers.
    pub evidence: String,
    /// Exact match beside p^L for each model that has both, by scale and seed.
    pub twin: Vec<Twin>,
}

/// p^L explains exact match if it accounts for this share of its variance over models, and for part of it from
/// [`PARTLY`] on.
const FULLY: f64 = 0.9;
const PARTLY: f64 = 0.5;

/// A jump is looked into from this weight of the emergent shape on, even if the verdict is undetermined.
const SUSPECTED: f64 = 0.2;

/// What exact match would be if a model's tokens were right independently, each with its measured rate p: the mean over
/// items of p^L (Schaeffer et al. 2023, arXiv 2304.15004). NaN if no item was scored.
pub fn p_power_l(tokens: &TokenScores) -> f64 {
    let scored = || tokens.correct.iter().zip(&tokens.length).filter(|(c, _)| c.is_finite());
    let (right, all) = scored().fold((0.0, 0.0), |(r, a), (c, l)| (r + c, a + l));
    let p: f64 = right / all;
    let powers: Vec<f64> = scored().map(|(_, l)| p.powf(*l)).collect();
    mean(&powers)
}

/// Rules on the jump of `exact`, whose verdict is `verdict`; `None` if there is no jump to explain (the shape is not
/// emergent and carries a weight below .2) or no model has token scores.
///
/// `smooth` names the verdicts of smooth metrics on the same answers: token accuracy, log-likelihood, Brier. "Yes" needs
/// p^L, measured for each model on its own, to account for at least 90% of the variance of exact match over the models,
/// and a smooth metric that grows smoothly while none jumps; "no" follows if p^L accounts for less than half, or if every
/// decided smooth metric jumps too; all else is "in part".
pub fn rule_artefact(
    exact: &Ability,
    verdict: &Verdict,
    tokens: &[TokenScores],
    smooth: &[(&str, &Verdict)],
) -> Result<Option<ArtefactRuling>, Unjudgeable> {
    if verdict.shape != Shape::Emergent && verdict.weight(Shape::Emergent) < SUSPECTED {
        return Ok(None);
    }
    let twin = twins(&Sample::read(exact)?, tokens);
    if twin.len() < 2 {
        return Ok(None);
    }
    let share = explained(&twin);
    let of = |shape: Shape| -> Vec<&str> {
        smooth.iter().filter(|(_, v)| v.shape == shape).map(|(name, _)| *name).collect()
    };
    let (jumping, growing) = (of(Shape::Emergent), of(Shape::Smooth));
    let ruling = if share < PARTLY || (!jumping.is_empty() && growing.is_empty()) {
        Ruling::No
    } else if share >= FULLY && jumping.is_empty() && !growing.is_empty() {
        Ruling::Yes
    } else {
        Ruling::InPart
    };
    let evidence = sentence(&twin, share, smooth, &jumping, &growing);
    Ok(Some(ArtefactRuling { ruling, evidence, twin }))
}

fn twins(sample: &Sample, tokens: &[TokenScores]) -> Vec<Twin> {
    let of_size = |size: &crate::sample::Size| -> Vec<Twin> {
        let of_model = |model: &crate::sample::Model| {
            let found = tokens.iter().find(|t| t.scale == size.scale && t.seed == model.seed)?;
            let twin = Twin {
                scale: size.scale,
                seed: model.seed,
                exact_match: sample.turn(model.mean),
                p_power_l: p_power_l(found),
            };
            twin.p_power_l.is_finite().then_some(twin)
        };
        size.models.iter().filter_map(of_model).collect()
    };
    sample.sizes.iter().flat_map(of_size).collect()
}

/// Share of the variance of exact match over the models that p^L accounts for, taken as it is, without a fit.
fn explained(twin: &[Twin]) -> f64 {
    let exact: Vec<f64> = twin.iter().map(|t| t.exact_match).collect();
    let missed = mean(&twin.iter().map(|t| (t.exact_match - t.p_power_l).powi(2)).collect::<Vec<_>>());
    let all = variance(&exact) * (twin.len() - 1) as f64 / twin.len() as f64;
    if all > 0.0 { 1.0 - missed / all } else { f64::NEG_INFINITY }
}

fn sentence(twin: &[Twin], share: f64, smooth: &[(&str, &Verdict)], jumping: &[&str], growing: &[&str]) -> String {
    let gap = mean(&twin.iter().map(|t| t.exact_match - t.p_power_l).collect::<Vec<_>>());
    let percent = (100.0 * share.clamp(0.0, 1.0)).floor();
    let mut text = format!(
        "Independent tokens at each model's own accuracy (p^L) account for {percent:.0}% of the variance of exact match \
         over {} models (mean gap {gap:+.3})",
        twin.len()
    );
    let list = |names: &[&str]| names.join(" and ");
    if !growing.is_empty() {
        text.push_str(&format!("; {} grows smoothly", list(growing)));
    }
    if !jumping.is_empty() {
        text.push_str(&format!("; {} jumps as well", list(jumping)));
    }
    if jumping.is_empty() && growing.is_empty() {
        let open: Vec<String> = smooth.iter().map(|(name, v)| format!("{name} is {}", v.shape)).collect();
        let open = if open.is_empty() { "no smooth metric was judged".to_string() } else { open.join(", ") };
        text.push_str(&format!("; {open}"));
    }
    text.push('.');
    text
}
