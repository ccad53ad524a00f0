//! The evidence of a record, as lm-evaluation-harness's metrics want it.

use super::Answer;
use saltus_record::{Candidate, Outcome, Record, Role};
use saltus_task::lm_eval::{Ask, Gold, Item, Request};

/// The item and its answer. What the model read is not kept, and no metric asks for it.
///
/// # Errors
/// In words, why there is no evidence.
pub(crate) fn from_record(record: &Record) -> Result<(Item, Answer), String> {
    let (candidates, generated) = match &record.outcome {
        Outcome::Scored { candidates, generated } => (candidates, generated),
        Outcome::Unscored(reason) => return Err(reason.clone()),
    };
    let of = |role| candidates.iter().filter(move |c: &&Candidate| c.role == role);
    let request = |c: &Candidate| Request { context: "".into(), continuation: c.text.clone() };
    let document = record.question.item as usize;
    if let Some(generated) = generated {
        let ask = Ask::Generate("".into());
        let gold = Gold::Texts(of(Role::Target).map(|c| c.answer().to_owned()).collect());
        return Ok((Item { document, ask, gold }, Answer::Text(generated.text.clone())));
    }
    if let Some(text) = of(Role::Text).next() {
        let item = Item { document, ask: Ask::Rolling(text.text.clone()), gold: Gold::None };
        return Ok((item, Answer::Rolling(text.total())));
    }
    if let Some(target) = of(Role::Target).next() {
        let item = Item { document, ask: Ask::Loglikelihood(request(target)), gold: Gold::None };
        return Ok((item, Answer::Loglikelihood { logprob: target.total(), greedy: target.is_greedy() }));
    }
    let right: Vec<Option<usize>> =
        of(Role::Choice).enumerate().filter(|(_, c)| c.target_score > 0.0).map(|(place, _)| Some(place)).collect();
    let gold = match right[..] {
        [] => Gold::Choice(None),
        [one] => Gold::Choice(one),
        _ => Gold::Choices(right),
    };
    let ask = Ask::Choices {
        requests: of(Role::Choice).map(request).collect(),
        choices: of(Role::Choice).map(|c| c.answer().to_owned()).collect(),
        unconditional: of(Role::Unconditional).map(request).collect(),
    };
    let answer = Answer::Choices {
        logprobs: of(Role::Choice).map(Candidate::total).collect(),
        greedy: of(Role::Choice).map(Candidate::is_greedy).collect(),
        unconditional: of(Role::Unconditional).map(Candidate::total).collect(),
    };
    Ok((Item { document, ask, gold }, answer))
}
