//! What changes an ability, by size: chain of thought, shots, depth.

use crate::findings::{Book, label, threshold};
use saltus_emergence as emergence;
use saltus_eval::Metric;
use saltus_report::findings::{Effect, EffectPoint, Interval};
use saltus_task::Style;

/// All effects that the study's questions and ladders can show.
pub(crate) fn effects(book: &Book<'_>) -> Vec<Effect> {
    let sets = 0..book.study.sets.len();
    let styles = sets.clone().filter_map(|set| chain_of_thought(book, set));
    let shots = sets.clone().filter_map(|set| shots(book, set));
    let depth = sets.filter_map(|set| depth(book, set));
    styles.chain(shots).chain(depth).collect()
}

/// Metrics that people quote, the most telling first.
const MAIN: [Metric; 3] = [Metric::FinalAnswer, Metric::ChoiceAccuracy, Metric::ExactMatch];

fn main_ability(book: &Book<'_>, set: usize, control: bool) -> Option<(Metric, emergence::Ability)> {
    MAIN.into_iter().find_map(|metric| Some((metric, book.ability(set, metric, control)?)))
}

/// A step-by-step set against the direct one with the same items. Right is right: a direct answer is scored by exact
/// match or choice, the other by its final answer.
fn chain_of_thought(book: &Book<'_>, set: usize) -> Option<Effect> {
    let with = &book.study.sets[set].set;
    if with.style != Style::StepByStep {
        return None;
    }
    let partner = book.study.sets.iter().position(|other| {
        let other = &other.set;
        other.style == Style::Direct
            && (&other.family, &other.task, other.shots) == (&with.family, &with.task, with.shots)
            && other.questions.len() == with.questions.len()
    })?;
    let (metric, stepwise) = main_ability(book, set, false)?;
    let (_, direct) = main_ability(book, partner, false)?;
    let found = emergence::effect(&stepwise, &direct, book.study.delta).ok()?;
    let name = label(&with.family, &with.task, "direct", with.shots);
    Some(finding(book, "chain-of-thought", format!("{name}: step by step minus direct"), metric, &found))
}

/// The set with the most shots of its task against the one with the fewest.
fn shots(book: &Book<'_>, set: usize) -> Option<Effect> {
    let with = &book.study.sets[set].set;
    let siblings = book.study.sets.iter().enumerate().filter(|(_, other)| {
        (&other.set.family, &other.set.task, other.set.style) == (&with.family, &with.task, with.style)
    });
    let (fewest, without) = siblings.clone().min_by_key(|(_, other)| other.set.shots)?;
    let most = siblings.map(|(_, other)| other.set.shots).max()?;
    if with.shots != most || without.set.shots == most {
        return None;
    }
    let (metric, many) = main_ability(book, set, false)?;
    let few = book.ability(fewest, metric, false)?;
    let found = emergence::effect(&many, &few, book.study.delta).ok()?;
    let name = label(&with.family, &with.task, &with.style.to_string(), 0);
    let label = format!("{name}: {most} shots minus {}", without.set.shots);
    Some(finding(book, "shots", label, metric, &found))
}

/// The ladder against its control of about the same number of parameters.
fn depth(book: &Book<'_>, set: usize) -> Option<Effect> {
    let (metric, control) = main_ability(book, set, true)?;
    let ladder = book.ability(set, metric, false)?;
    let found = emergence::effect_between_ladders(&ladder, &control, book.study.delta).ok()?;
    let q = &book.study.sets[set].set;
    let controls = book.study.models.iter().find(|m| m.control).map(|m| m.rung.ladder.clone())?;
    let label = format!("{}: main ladder minus {controls}", label(&q.family, &q.task, &q.style.to_string(), q.shots));
    (!found.points.is_empty()).then(|| finding(book, "depth", label, metric, &found))
}

fn finding(book: &Book<'_>, kind: &str, label: String, metric: Metric, found: &emergence::Effect) -> Effect {
    let point = |p: &emergence::EffectPoint| EffectPoint {
        params: p.scale,
        rung: book.rung_at(p.scale),
        with: p.with,
        without: p.without,
        difference: Interval { value: p.difference.value, low: p.difference.low, high: p.difference.high },
    };
    Effect {
        kind: kind.into(),
        summary: format!("{label}: {}", found.summary),
        label,
        metric: metric.name().into(),
        points: found.points.iter().map(point).collect(),
        switches_on: found.switches_on.map(threshold),
    }
}
