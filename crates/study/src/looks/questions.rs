//! What looks ask: one prompt, and the questions of a task whose subjects are traced.

use crate::plan::SetPlan;
use saltus_lens::{
    causal::Case,
    prompt::{Options, token_behind},
};
use saltus_lm::{TokenId, Tokenizer};
use saltus_task::{Question, QuestionSet};
use std::collections::BTreeMap;

/// Tokens of each list of a prediction, and heads; twice as many memories.
pub(super) const TOP: usize = 5;

/// The text of a gap.
const MASK: &str = "[MASK]";

/// The right answer to a question, if there is one.
pub(super) fn answer(question: &Question) -> Option<&str> {
    let best = question.candidates.iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
    (best.score > 0.0).then_some(best.text.as_str())
}

/// The sets of a family that are not the union of others: `all` of a family whose parts are sets too would count every
/// question twice.
pub(super) fn relations<'a>(sets: &'a [SetPlan], family: &str) -> Vec<&'a QuestionSet> {
    let sets: Vec<&QuestionSet> = sets.iter().map(|s| &s.set).filter(|s| s.family == family).collect();
    let parts: Vec<&QuestionSet> = sets.iter().copied().filter(|set| set.task != "all").collect();
    if parts.is_empty() { sets } else { parts }
}

/// What is read for a prompt and what is asked there: behind it, or in its one gap where the models have a `mask`.
///
/// # Errors
/// What is wrong with the prompt or its target, and what to write.
pub(super) fn prompt(
    (text, target): (&str, Option<&str>),
    tokenizer: &dyn Tokenizer,
    mask: Option<TokenId>,
    context: usize,
) -> Result<(Vec<TokenId>, Options), String> {
    let encode = |text: &str| tokenizer.encode(text).map_err(|e| format!("`text` has no tokens: {e}"));
    let (tokens, at, before) = match mask {
        None => {
            let tokens = encode(text)?;
            let last = tokens.len().checked_sub(1).ok_or("`text` has no tokens: write a text")?;
            (tokens, last, text)
        }
        Some(mask) => match text.split(MASK).collect::<Vec<_>>()[..] {
            // The space before a word is part of its token.
            [before, behind] => {
                let before = encode(before.trim_end())?;
                ([&before[..], &[mask], &encode(behind)?].concat(), before.len(), "")
            }
            _ => return Err(format!("`text` has no gap, or several: write {MASK} once, where the token is asked for")),
        },
    };
    if tokens.len() > context {
        return Err(format!("`text` has {} tokens, and models read {context}: write a shorter one", tokens.len()));
    }
    let target = target.map(|target| {
        let problem = |what| format!("`target` is {target:?}, which {what}: write one token that can follow the text");
        token_behind(tokenizer, before, target).map_err(problem)
    });
    let options = Options { second: tokens.len(), at, target: target.transpose()?, top: TOP, parts: 2 * TOP };
    Ok((tokens, options))
}

/// The questions of a family, each of its tasks a cluster, and why others are none. What the prompts of a task do not have
/// in common is the subject.
///
/// # Errors
/// Where a tokenizer has no tokens for a text.
pub(super) fn cases(
    sets: &[SetPlan],
    family: &str,
    tokenizer: &dyn Tokenizer,
) -> Result<(Vec<Case>, BTreeMap<String, u64>), saltus_lm::Error> {
    let (mut cases, mut left_out) = (Vec::new(), BTreeMap::new());
    for (cluster, set) in (0..).zip(relations(sets, family)) {
        let prompts: Vec<Vec<TokenId>> =
            set.questions.iter().map(|q| tokenizer.encode(&q.prompt)).collect::<Result<_, _>>()?;
        let (begin, end) = common(&prompts);
        for (question, tokens) in set.questions.iter().zip(prompts) {
            let subject = begin..tokens.len().saturating_sub(end);
            // An answer of several tokens is asked by its first one.
            let target = answer(question).map(|answer| tokenizer.encode(answer)).transpose()?;
            let reason = match target.and_then(|tokens| tokens.first().copied()) {
                Some(target) if !subject.is_empty() => {
                    let (second, at) = (tokens.len(), tokens.len() - 1);
                    cases.push(Case { tokens, second, subject, at, target, cluster });
                    continue;
                }
                Some(_) => "the prompt has nothing that those of its task do not have in common",
                None => "the question has no right answer",
            };
            *left_out.entry(reason.to_owned()).or_default() += 1;
        }
    }
    Ok((cases, left_out))
}

/// How many tokens all texts begin with, and with how many of the others all end.
fn common(texts: &[Vec<TokenId>]) -> (usize, usize) {
    let Some(first) = texts.first() else { return (0, 0) };
    let shortest = texts.iter().map(Vec::len).min().unwrap_or(0);
    let all = |at: &dyn Fn(&[TokenId]) -> TokenId| texts.iter().all(|text| at(text) == at(first));
    let begin = (0..shortest).take_while(|i| all(&|text| text[*i])).count();
    let end = (0..shortest - begin).take_while(|i| all(&|text| text[text.len() - 1 - *i])).count();
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_is_no_subject() {
        let check = |texts: &[&[TokenId]], expect| {
            assert_eq!(common(&texts.iter().map(|t| t.to_vec()).collect::<Vec<_>>()), expect);
        };
        check(&[&[1, 2, 3, 9], &[1, 4, 9], &[1, 5, 6, 7, 9]], (1, 1));
        check(&[&[1, 2, 2, 9], &[1, 2, 9]], (2, 1));
        check(&[&[1, 2], &[1, 2]], (2, 0));
        check(&[&[], &[1]], (0, 0));
        check(&[], (0, 0));
    }
}
