//! Requests to a model in batches of bounded size, and answers checked one by one.

use crate::Error;
use saltus_lm as lm;

/// The most tokens in one call of a model, unless a single request has more: a bound on the memory of requests. A model
/// may compute what they share once, so that more are better.
const BATCH_TOKENS: usize = 1 << 24;

/// Puts `count` requests to a model through `call`, in batches of at most [`BATCH_TOKENS`] by `cost`; answers come in
/// order. Requests are made when their batch is due, so that only one batch of them exists at a time.
///
/// A request that the model refuses, or an answer that is missing, is an `Err` with the reason in its place.
///
/// # Errors
/// [`Error::Model`] when the model itself failed: it may work the next time, so nothing may be kept of it.
pub(crate) fn ask<Q, A>(
    count: usize,
    request: impl Fn(usize) -> Q,
    cost: impl Fn(&Q) -> usize,
    call: impl Fn(&[Q]) -> Result<Vec<A>, lm::Error>,
) -> Result<Vec<Result<A, String>>, Error> {
    ask_in_batches(count, request, cost, call, BATCH_TOKENS)
}

fn ask_in_batches<Q, A>(
    count: usize,
    request: impl Fn(usize) -> Q,
    cost: impl Fn(&Q) -> usize,
    call: impl Fn(&[Q]) -> Result<Vec<A>, lm::Error>,
    most: usize,
) -> Result<Vec<Result<A, String>>, Error> {
    let mut answers = Vec::with_capacity(count);
    let mut batch = Vec::new();
    let mut tokens = 0;
    for i in 0..count {
        let next = request(i);
        let more = cost(&next);
        if !batch.is_empty() && tokens + more > most {
            answers.extend(ask_batch(&batch, &call)?);
            batch.clear();
            tokens = 0;
        }
        batch.push(next);
        tokens += more;
    }
    if !batch.is_empty() {
        answers.extend(ask_batch(&batch, &call)?);
    }
    Ok(answers)
}

fn ask_batch<Q, A>(
    batch: &[Q],
    call: &impl Fn(&[Q]) -> Result<Vec<A>, lm::Error>,
) -> Result<Vec<Result<A, String>>, Error> {
    match call(batch) {
        Ok(answers) if answers.len() == batch.len() => Ok(answers.into_iter().map(Ok).collect()),
        // Which answer belongs to which request is unknown then.
        Ok(answers) => {
            let reason = format!("the model gave {} answers to {} requests: report it", answers.len(), batch.len());
            Ok(batch.iter().map(|_| Err(reason.clone())).collect())
        }
        Err(source @ lm::Error::Other(_)) => Err(Error::Model(source)),
        Err(source) if batch.len() == 1 => Ok(vec![Err(source.to_string())]),
        // One request spoils its batch: asked one by one, the others are answered.
        Err(_) => {
            let mut answers = Vec::with_capacity(batch.len());
            for one in batch.chunks(1) {
                answers.extend(ask_batch(one, call)?);
            }
            Ok(answers)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn batches_are_bounded_and_in_order() {
        let calls = RefCell::new(Vec::new());
        let call = |batch: &[usize]| {
            calls.borrow_mut().push(batch.to_vec());
            Ok(batch.iter().map(|x| x * 10).collect())
        };
        let answers = ask_in_batches(9, |i| i, |x| *x, call, 7).expect("the model is sound");
        assert_eq!(answers, (0..9).map(|i| Ok(i * 10)).collect::<Vec<_>>());
        // Together at most 7, or one alone.
        assert_eq!(*calls.borrow(), [vec![0, 1, 2, 3], vec![4], vec![5], vec![6], vec![7], vec![8]]);
    }
}
