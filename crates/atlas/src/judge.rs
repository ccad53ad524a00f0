//! Judges many abilities together, with rulings on their jumps.

use crate::{
    abilities::{Ability, Left},
    metric::{Counts, Form},
};
use rayon::prelude::*;
use saltus_emergence::{
    self as emergence, Analysis, ArtefactRuling, BigBench, Companion, Kind, Parts, PassGrowth, Passes, Ruling, Verdict,
    big_bench, judge_together, pass_growth, rule_from_means,
};

/// An ability with its verdict.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The ability.
    pub ability: Ability,
    /// The verdict, judged together with the others.
    pub verdict: Verdict,
    /// Linearity and breakthroughness of the means.
    pub measures: BigBench,
    /// What made the jump, where there is one and something to tell by.
    pub artefact: Option<ArtefactRuling>,
    /// How the rate of right answers grows, where answers are open and enough sizes have some right.
    pub pass_growth: Option<PassGrowth>,
}

/// Judges all, with false-discovery control over them. `tell` hears how many are done. The same key gives the same bits
/// at any thread count.
pub fn judge(abilities: Vec<Ability>, analysis: &Analysis, tell: &(dyn Fn(usize) + Sync)) -> (Vec<Judged>, Vec<Left>) {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let judge_one = |ability: Ability| {
        let Ability { family, task, metric, by, .. } = &ability;
        let key = analysis.key.child(family).child(task).child(metric).child(by);
        let result = emergence::judge(&ability.ability, &Analysis { key, ..*analysis });
        tell(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        match result {
            Ok(verdict) => Ok((ability, verdict)),
            Err(why) => {
                let Ability { family, task, metric, by, .. } = ability;
                Err(Left { family, task, metric, by, reason: why.to_string() })
            }
        }
    };
    let results: Vec<_> = abilities.into_par_iter().map(judge_one).collect();
    let (mut judged, mut left) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(pair) => judged.push(pair),
            Err(why) => left.push(why),
        }
    }
    judge_together(judged.iter_mut().map(|(_, verdict)| verdict), analysis.alpha);
    let rulings: Vec<_> =
        judged.iter().map(|(ability, verdict)| rule(ability, verdict, &judged, analysis.delta)).collect();
    let all = judged.into_iter().zip(rulings).map(|((ability, verdict), artefact)| {
        let means: Vec<f64> = verdict.points.iter().map(|p| p.value).collect();
        let pass_growth = passes(&ability, &verdict).and_then(|passes| pass_growth(&passes));
        Judged { measures: big_bench(&means), ability, verdict, artefact, pass_growth }
    });
    (all.collect(), left)
}

/// The rates of right answers to open questions.
fn passes(ability: &Ability, verdict: &Verdict) -> Option<Vec<Passes>> {
    let open = ability.form.form == Form::Open && ability.form.higher_is_better;
    let rate =
        |p: &emergence::Point| Passes { scale: p.scale, rate: p.value, samples: p.items * p.by_seed.len() as f64 };
    open.then(|| verdict.points.iter().map(rate).collect())
}

/// Rules on a metric with a threshold within an answer, by the other metrics of the same answers.
fn rule(ability: &Ability, verdict: &Verdict, all: &[(Ability, Verdict)], delta: f64) -> Option<ArtefactRuling> {
    if ability.form.smooth || matches!(ability.form.form, Form::Unbounded | Form::Perplexity) {
        return None;
    }
    if let Some(evidence) = &ability.one_class {
        return Some(ArtefactRuling { ruling: Ruling::LabelBias, evidence: evidence.clone(), twin: Vec::new() });
    }
    let same = |other: &&(Ability, Verdict)| {
        let o = &other.0;
        o.family == ability.family && o.task == ability.task && o.by == ability.by && o.metric != ability.metric
    };
    let companion = |(other, verdict): &'_ &'_ (Ability, Verdict)| {
        let length = other.length.or(ability.length);
        let parts = match other.form.counts {
            Counts::Answers => None,
            Counts::Tokens => length.map(Parts::Tokens),
            Counts::Steps => length.map(Parts::Steps),
        };
        (other.metric.clone(), verdict.clone(), other.form.higher_is_better, parts)
    };
    let others: Vec<(String, Verdict, bool, Option<Parts>)> =
        all.iter().filter(same).filter(|(o, _)| o.form.smooth).map(|o| companion(&o)).collect();
    let companions: Vec<Companion<'_>> = others
        .iter()
        .map(|(name, verdict, higher_is_better, parts)| Companion {
            name,
            verdict,
            higher_is_better: *higher_is_better,
            parts: *parts,
        })
        .collect();
    let chance = match ability.ability.kind {
        Kind::Proportion { chance } | Kind::Bounded { chance } => Some(chance),
        // Of a choice whose chance level is not told, a quarter: few have more than four.
        Kind::Unbounded => (ability.form.form == Form::Choice).then_some(0.25),
    };
    rule_from_means(verdict, chance, delta, &companions)
}
