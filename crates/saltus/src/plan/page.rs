//! A plan as the data of its page.

use super::{
    Plan,
    abilities::{Ability, Axis, Stands},
    shown,
};
use saltus_law::plan::{Answer, BudgetLaw, Estimate, map};
use saltus_report::budget::{self, Budget, LawPlan, Seen};

/// All that the page shows.
pub(super) fn page(plan: &Plan) -> Budget {
    let known = plan.question.known();
    let asked: [(&str, Option<String>); 6] = [
        ("FLOPs", known.flops.map(shown::flops)),
        ("parameters", known.params.map(shown::count)),
        ("tokens", known.tokens.map(shown::count)),
        ("nats of loss", known.loss.map(|l| format!("{l}"))),
        ("tokens in use", known.inference.map(shown::count)),
        ("unique tokens", known.unique.map(shown::count)),
    ];
    let words: Vec<String> = asked.into_iter().filter_map(|(what, n)| n.map(|n| format!("{n} {what}"))).collect();
    Budget {
        saltus: env!("CARGO_PKG_VERSION").to_owned(),
        title: words.join(", "),
        // A budget that was given in FLOPs stands in the heading already.
        budget: plan.budget.clone().filter(|words| words.contains('=')),
        laws: plan.rows.iter().map(|(law, answer)| one(plan, law, answer)).collect(),
        left_out: plan.left_out.clone(),
        abilities: plan.abilities.iter().map(|ability| seen(plan, ability)).collect(),
    }
}

fn one(plan: &Plan, law: &BudgetLaw, answer: &Answer) -> LawPlan {
    let map = map(&law.form, plan.question.known().unique, &answer.point);
    LawPlan {
        law: law.name.clone(),
        title: law.title.clone(),
        source: law.source.clone(),
        parameters: shown::parameters(law).to_owned(),
        text: law.text.clone(),
        interval: law.interval.clone(),
        notes: law.notes.iter().chain(&answer.notes).cloned().collect(),
        params: estimate(answer.params),
        params_total: estimate(answer.params_total),
        tokens: estimate(answer.tokens),
        tokens_per_param: estimate(answer.tokens_per_param),
        loss: estimate(answer.loss),
        flops: estimate(answer.flops),
        budgets: map.budgets,
        contours: map.contours.into_iter().map(|c| (c.loss, c.points)).collect(),
        frontier: map.frontier.iter().map(|p| (p.params, p.tokens)).collect(),
        profile: map.profile.iter().map(|p| (p.params, p.loss)).collect(),
    }
}

fn estimate(e: Estimate) -> budget::Estimate {
    budget::Estimate { value: e.value, low: e.low, high: e.high }
}

fn seen(plan: &Plan, ability: &Ability) -> Seen {
    let unit = match ability.axis {
        Axis::Flops => "FLOPs",
        Axis::Params => "parameters",
        Axis::ParamsNonEmbedding => "non-embedding parameters",
        Axis::Tokens => "tokens",
        Axis::Loss => "nats of loss",
    };
    let by: Vec<(Stands, &str)> =
        plan.rows.iter().map(|(law, answer)| (ability.stands(answer), law.name.as_str())).collect();
    let parts: Vec<String> = Stands::ALL
        .iter()
        .filter_map(|stands| {
            let laws: Vec<&str> = by.iter().filter(|(s, _)| s == stands).map(|(_, law)| *law).collect();
            match laws.len() {
                0 => None,
                all if all == by.len() => Some(stands.words().to_owned()),
                _ => Some(format!("{}: {}", stands.words(), laws.join(", "))),
            }
        })
        .collect();
    Seen {
        ability: ability.ability.clone(),
        asked: format!("{}, {}", ability.asked, ability.family),
        unit: unit.to_owned(),
        seen_at: ability.seen_at,
        absent_at: ability.absent_at,
        standing: parts.join("; "),
        source: ability.source.clone(),
    }
}
