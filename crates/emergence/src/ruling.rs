//! Rulings from tables of means: whether a metric made a jump or hides growth, several steps did, or answers of one class.

use crate::judge::DECISIVE;
use crate::{ArtefactRuling, Point, Ruling, Shape, Verdict};
use saltus_stats::{mean, wilson};

/// A metric of the same answers by the same models.
#[derive(Clone, Copy, Debug)]
pub struct Companion<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its verdict.
    pub verdict: &'a Verdict,
    /// Whether a higher score is the better one.
    pub higher_is_better: bool,
    /// What it is a share of, where it is one of parts that must all be right.
    pub parts: Option<Parts>,
}

/// What a metric counts within an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parts {
    /// Right tokens of answers of so many tokens.
    Tokens(f64),
    /// Right steps of solutions of so many steps.
    Steps(f64),
}

/// A jump is looked into from this weight of the emergent shape on, as for items.
const SUSPECTED: f64 = 0.2;
/// The product of the parts explains the whole if it accounts for this share of its variance over the sizes.
const FULLY: f64 = 0.9;
const PARTLY: f64 = 0.5;
/// A smooth metric that has made this share of its growth before the jump was there before it.
const EARLY: f64 = 0.25;
/// Answers are of one class if nearly all of them are right, or nearly all wrong.
const NEARLY_ALL: f64 = 0.9;

/// Rules on `verdict`, that of a metric with a threshold within an answer (exact match, the best choice), at the chance
/// level `chance`, from the means of the models; `None` if there is nothing to explain or nothing to explain it with.
///
/// * **label bias**: every model has the same score strictly between 0 and 1, which is the share of a class; or some
///   models are nearly always wrong where guessing would not be, and others nearly always right.
/// * **several steps**, **metric**: the product of the measured parts (arXiv 2310.09336; p^L of arXiv 2304.15004) accounts
///   for at least 90% of the variance over sizes; or a smooth metric of the same answers grows, and had begun to before
///   the jump, or grows where this one stays on its floor, however little.
/// * **neither**: the smooth metrics jump as well, or grow and had not begun to before the jump; or the parts explain less
///   than half.
pub fn rule_from_means(
    verdict: &Verdict,
    chance: Option<f64>,
    delta: f64,
    companions: &[Companion<'_>],
) -> Option<ArtefactRuling> {
    if let Some(evidence) = one_class(&verdict.points, chance) {
        return Some(ruled(Ruling::LabelBias, evidence));
    }
    let line = chance.unwrap_or(0.0) + delta;
    let on_floor =
        verdict.points.iter().all(|p| p.low <= line) && verdict.points.iter().all(|p| p.value <= line + delta);
    let jump = verdict.shape == Shape::Emergent || verdict.weight(Shape::Emergent) >= SUSPECTED;
    let parts = if jump { explained_by_parts(verdict, companions) } else { None };
    parts
        .map(by_parts)
        .or_else(|| if on_floor { on_the_floor(companions) } else { None })
        .or_else(|| if jump { at_the_jump(verdict, companions) } else { None })
}

fn ruled(ruling: Ruling, evidence: String) -> ArtefactRuling {
    ArtefactRuling { ruling, evidence, twin: Vec::new() }
}

fn by_parts((parts, share, name): (Parts, f64, &str)) -> ArtefactRuling {
    let what = if matches!(parts, Parts::Steps(_)) { Ruling::Steps } else { Ruling::Yes };
    let ruling = if share >= FULLY {
        what
    } else if share >= PARTLY {
        Ruling::InPart
    } else {
        Ruling::No
    };
    let percent = (100.0 * share.clamp(0.0, 1.0)).floor();
    let (unit, length) = match parts {
        Parts::Steps(n) => ("steps", n),
        Parts::Tokens(n) => ("tokens", n),
    };
    ruled(
        ruling,
        format!("{name} to the power of {length:.1} {unit} accounts for {percent:.0}% of the variance over the sizes."),
    )
}

/// The names of the metrics of a shape.
fn names(companions: &[Companion<'_>], shape: Shape) -> String {
    companions.iter().filter(|c| c.verdict.shape == shape).map(|c| c.name).collect::<Vec<_>>().join(" and ")
}

/// Whether other metrics grow where this one stays on its floor.
fn on_the_floor(companions: &[Companion<'_>]) -> Option<ArtefactRuling> {
    if let Some(growing) = companions.iter().find(|c| c.verdict.shape == Shape::Smooth) {
        let (smooth, weight) = (names(companions, Shape::Smooth), growing.verdict.weight(Shape::Smooth));
        let evidence = format!("No model leaves the floor, while {smooth} grows smoothly (weight {weight:.2}).");
        return Some(ruled(Ruling::Yes, evidence));
    }
    let (name, [first, last]) = companions.iter().find_map(creeping)?;
    let evidence =
        format!("No model leaves the floor, while {name}, little as it is, goes from {first:.4} to {last:.4}.");
    Some(ruled(Ruling::Yes, evidence))
}

/// Whether other metrics had begun to grow before this one jumps.
fn at_the_jump(verdict: &Verdict, companions: &[Companion<'_>]) -> Option<ArtefactRuling> {
    let others = names(companions, Shape::Emergent);
    if let Some(growing) = companions.iter().find(|c| c.verdict.shape == Shape::Smooth) {
        let (smooth, weight) = (names(companions, Shape::Smooth), growing.verdict.weight(Shape::Smooth));
        let early = growth_before(growing.verdict, verdict);
        let ruling = if early >= EARLY && others.is_empty() { Ruling::Yes } else { Ruling::InPart };
        let percent = 100.0 * early.clamp(0.0, 1.0);
        let also = if others.is_empty() { String::new() } else { format!("; {others} jumps as well") };
        return Some(ruled(
            ruling,
            format!(
                "{smooth} grows smoothly (weight {weight:.2}) and has made {percent:.0}% of its growth before the jump{also}."
            ),
        ));
    }
    if !others.is_empty() {
        return Some(ruled(Ruling::No, format!("{others} jumps as well.")));
    }
    let late = |c: &&Companion<'_>| {
        let growth = c.verdict.weight(Shape::Smooth) + c.verdict.weight(Shape::Emergent);
        growth >= DECISIVE && growth_before(c.verdict, verdict) < EARLY
    };
    let with = companions.iter().find(late)?;
    let percent = 100.0 * growth_before(with.verdict, verdict).max(0.0);
    let evidence =
        format!("{} has made only {percent:.0}% of its growth before the jump: it rises with it.", with.name);
    Some(ruled(Ruling::No, evidence))
}

/// A metric that changes by less than counts as growth but gets better beyond doubt: the intervals of the smallest and the
/// largest size do not meet.
fn creeping<'a>(companion: &Companion<'a>) -> Option<(&'a str, [f64; 2])> {
    let points = &companion.verdict.points;
    let (first, last) = (points.first()?, points.last()?);
    let better = if companion.higher_is_better { first.high < last.low } else { last.high < first.low };
    (points.len() >= 4 && better).then_some((companion.name, [first.value, last.value]))
}

/// The product of the parts against the whole, at the scales that both have.
fn explained_by_parts<'a>(verdict: &Verdict, companions: &[Companion<'a>]) -> Option<(Parts, f64, &'a str)> {
    let share = |companion: &Companion<'a>| {
        let parts = companion.parts?;
        let (Parts::Tokens(length) | Parts::Steps(length)) = parts;
        let pairs: Vec<(f64, f64)> = verdict
            .points
            .iter()
            .filter_map(|p| {
                let part = companion.verdict.points.iter().find(|q| q.scale == p.scale)?;
                Some((p.value, part.value.clamp(0.0, 1.0).powf(length)))
            })
            .collect();
        let centre = mean(&pairs.iter().map(|p| p.0).collect::<Vec<_>>());
        let all: f64 = pairs.iter().map(|(whole, _)| (whole - centre).powi(2)).sum();
        let missed: f64 = pairs.iter().map(|(whole, product)| (whole - product).powi(2)).sum();
        (pairs.len() >= 3 && all > 0.0).then(|| (parts, 1.0 - missed / all, companion.name))
    };
    companions.iter().filter_map(share).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The share of its growth that `smooth` has made at the last size before `jump` is there.
fn growth_before(smooth: &Verdict, jump: &Verdict) -> f64 {
    let step = |w: &[Point]| w[1].value - w[0].value;
    let steepest = (1..jump.points.len())
        .max_by(|&a, &b| step(&jump.points[a - 1..=a]).abs().total_cmp(&step(&jump.points[b - 1..=b]).abs()));
    let Some(before) = steepest.map(|j| jump.points[j - 1].scale) else { return 0.0 };
    let (Some(first), Some(last)) = (smooth.points.first(), smooth.points.last()) else { return 0.0 };
    let at = smooth.points.iter().find(|p| p.scale == before);
    at.map_or(0.0, |at| (at.value - first.value) / (last.value - first.value))
}

/// Why the answers are of one class, if they are.
fn one_class(points: &[Point], chance: Option<f64>) -> Option<String> {
    let (low, high) =
        points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p.value), high.max(p.value)));
    let constant = |p: &Point| (p.value - low).abs() < 1e-6;
    if points.len() >= 4 && points.iter().all(constant) && low > 0.02 && high < 0.98 {
        return Some(format!("All {} models score exactly {low:.3}, the share of one class.", points.len()));
    }
    // Guessing at a chance of a quarter or more is not nearly always wrong, nor is a poor model.
    // The model is as it is: only its items are a sample here.
    let at_most = |p: &Point| wilson(p.value.clamp(0.0, 1.0), p.items.max(1.0), 1.96).high;
    let always_wrong = points.iter().find(|p| p.value <= 1.0 - NEARLY_ALL && at_most(p) < chance.unwrap_or(0.0) - 0.1);
    let always_right = points.iter().find(|p| p.value >= NEARLY_ALL)?;
    let wrong = always_wrong.filter(|_| chance.is_some_and(|c| c >= 0.25))?;
    Some(format!(
        "One model is right in {:.3} of the items, far below guessing, another in {:.3}: the answers are of one class and \
         so, then, are the right ones.",
        wrong.value, always_right.value
    ))
}
