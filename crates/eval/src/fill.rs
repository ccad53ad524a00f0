//! Gaps in texts, filled by a model that sees both ways: evidence of the same kind as that of answers.

use crate::ask::ask;
use crate::measure::{Error, check_score, incapable, question_key, unscored};
use saltus_lm::{FillRequest, LanguageModel};
use saltus_record::{ModelKey, Outcome, Record};
use saltus_task::QuestionSet;

/// The boundary in records of gaps: there is no prompt that would end.
const NO_BOUNDARY: &str = "none";

/// Asks `model` to fill the gaps of `requests`, which stand for the first questions of `set`, and returns one record for
/// each, in order: the question's one candidate with the tokens wanted in the gaps, each with its log-probability given
/// all that the model reads on both sides. `key` says which model it is. The negative log-likelihood of a record, in nats
/// per token, is the masked loss of its text.
///
/// A text that cannot be asked (it does not fit the context) or whose answer cannot be trusted becomes
/// [`Outcome::Unscored`] with the reason, and the others go on.
///
/// # Errors
/// [`Error::Incapable`] before anything is asked; [`Error::Model`] when the model itself fails.
///
/// # Panics
/// When there are more requests than questions, or a question has no candidate.
pub fn fill(
    model: &dyn LanguageModel,
    key: &ModelKey,
    set: &QuestionSet,
    requests: &[FillRequest],
) -> Result<Vec<Record>, Error> {
    if !model.capabilities().fills && !requests.is_empty() {
        return Err(incapable(set, "log-probabilities at hidden places"));
    }
    let questions = &set.questions[..requests.len()];
    let cost = |request: &FillRequest| request.tokens.len();
    let answers = ask(requests.len(), |i| requests[i].clone(), cost, |batch| model.fill(batch))?;
    let vocabulary = model.tokenizer().vocabulary();
    let record = |((answer, request), question): ((Result<_, String>, &FillRequest), &saltus_task::Question)| {
        let wanted: Vec<_> = request.targets.iter().map(|(_, token)| *token).collect();
        let outcome = match answer.and_then(|score| check_score(score, &wanted, vocabulary)) {
            Ok((logprobs, is_argmax)) => {
                let mut candidate = unscored(0, &question.candidates[0]);
                (candidate.tokens, candidate.logprobs, candidate.is_argmax) = (wanted, logprobs, is_argmax);
                Outcome::Scored { candidates: vec![candidate], generated: None }
            }
            Err(reason) => Outcome::Unscored(reason),
        };
        Record { model: key.clone(), question: question_key(set, question, NO_BOUNDARY), outcome }
    };
    Ok(answers.into_iter().zip(requests).zip(questions).map(record).collect())
}
