//! A set of questions asked of one model: prompts to tokens, tokens to evidence, doubts to reasons.

use crate::ask::ask;
use crate::encode::{Boundary, Encoded, Encoder, Encoding};
use rayon::prelude::*;
use saltus_lm::{
    self as lm, GenerateRequest, LanguageModel, PrefixTree, Sampling, Score, ScoreRequest, TokenId, Tokenizer,
};
use saltus_record::{Candidate, Generated, ModelKey, Outcome, QuestionKey, Record, Role};
use saltus_task::{self as task, Generate, Question, QuestionSet, prompt_identity};

/// By how much rounding may lift a log-probability above 0.
const ROUNDING: f32 = 1e-3;

/// Why a set was not measured at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The model cannot do what the set asks for. An answer would have to be guessed.
    #[error("{set} asks for {wanted}, and this model gives none: use a model that does, or leave the set out")]
    Incapable {
        /// Family, task, style and shots.
        set: String,
        /// What is asked for.
        wanted: &'static str,
    },
    /// The model failed in a way that may pass: nothing is recorded, so that another run asks again.
    #[error("the model failed: {0}: run again to ask again, what was measured before is kept")]
    Model(lm::Error),
}

/// Questions in the tokens of a model, ready to be asked.
pub struct Prepared<'q> {
    asked: &'q [Question],
    encoded: Vec<Result<Encoded, String>>,
    boundary: Boundary,
}

/// Asks `model` all questions of `set`: [`Prepared::measure`].
///
/// # Errors
/// As there.
pub fn measure(
    model: &dyn LanguageModel,
    key: &ModelKey,
    set: &QuestionSet,
    encoding: Encoding,
) -> Result<Vec<Record>, Error> {
    Prepared::new(model, &set.questions, encoding).measure(model, key, set)
}

impl<'q> Prepared<'q> {
    /// The questions in the tokens of `model`.
    pub fn new(model: &dyn LanguageModel, asked: &'q [Question], encoding: Encoding) -> Self {
        let encoder = Encoder { tokenizer: model.tokenizer(), context: model.capabilities().context, encoding };
        let encoded = asked.par_iter().map(|question| encoder.question(question)).collect();
        Self { asked, encoded, boundary: encoding.boundary }
    }

    /// Asks `model` the questions, which are all of `set` or a part of them, and returns one record for each, in order;
    /// `key` says which model it is.
    ///
    /// All candidates of all questions are scored, and a continuation is generated where one is asked for. Requests go
    /// out in batches of at most 16,777,216 tokens (or one request), which bounds memory; records do not depend on the
    /// batches but for rounding.
    ///
    /// A question that cannot be asked (it does not fit the context, has no tokens, or nothing to score) or whose answer
    /// cannot be trusted (lengths that do not match, log-probabilities that are no log-probabilities, unknown tokens)
    /// becomes [`Outcome::Unscored`] with the reason, and the others go on.
    ///
    /// # Errors
    /// [`Error::Incapable`] before anything is asked; [`Error::Model`] when the model itself fails.
    pub fn measure(self, model: &dyn LanguageModel, key: &ModelKey, set: &QuestionSet) -> Result<Vec<Record>, Error> {
        let Self { asked, mut encoded, boundary } = self;
        check_capabilities(model, set, asked)?;
        let scores = score(model, asked, &mut encoded)?;
        let generated = generate(model, asked, &mut encoded)?;
        let outcomes =
            encoded.into_iter().zip(scores).zip(generated).map(|((encoded, candidates), generated)| match encoded {
                Ok(_) => Outcome::Scored { candidates, generated },
                Err(reason) => Outcome::Unscored(reason),
            });
        let records = outcomes.zip(asked).map(|(outcome, question)| Record {
            model: key.clone(),
            question: question_key(set, question, boundary.name()),
            outcome,
        });
        Ok(records.collect())
    }

    /// What asking them costs.
    pub fn cost(&self) -> Cost {
        let sound: Vec<(&Question, &Encoded)> =
            self.asked.iter().zip(&self.encoded).filter_map(|(q, e)| Some((q, e.as_ref().ok()?))).collect();
        // The last token of a continuation is predicted, not read.
        let read = |r: &ScoreRequest| [&r.context, &r.continuation[..r.continuation.len() - 1]].concat();
        let scored: Vec<Vec<TokenId>> =
            sound.iter().flat_map(|(_, e)| e.candidates.iter().flatten()).map(read).collect();
        let contexts: Vec<&[TokenId]> = sound.iter().filter_map(|(_, e)| e.generate.as_deref()).collect();
        let tree = |sequences: &[&[TokenId]]| PrefixTree::new(sequences).tokens() as u64;
        let tokens = |sequences: &[&[TokenId]]| sequences.iter().map(|s| s.len() as u64).sum::<u64>();
        let scored: Vec<&[TokenId]> = scored.iter().map(Vec::as_slice).collect();
        Cost {
            least: tree(&scored) + tree(&contexts),
            naive: tokens(&scored) + tokens(&contexts),
            requests: (scored.len() + contexts.len()) as u64,
            refused: (self.asked.len() - sound.len()) as u64,
            generated_at_most: sound.iter().filter_map(|(q, _)| Some(q.generate.as_ref()?.max_tokens as u64)).sum(),
        }
    }
}

/// What asking some questions costs, in tokens that a model reads; generated tokens, which nobody knows beforehand, not
/// among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// With every distinct prefix of the scored texts read once, and of the contexts of generation: the least that is
    /// possible, and what is read.
    pub least: u64,
    /// With one forward pass over context and continuation for each candidate, and over the context for each
    /// generation, as harnesses do it.
    pub naive: u64,
    /// Candidates and generations.
    pub requests: u64,
    /// Questions that will not be asked, because they do not fit or have no tokens.
    pub refused: u64,
    /// Tokens that may be generated at most.
    pub generated_at_most: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.least += other.least;
        self.naive += other.naive;
        self.requests += other.requests;
        self.refused += other.refused;
        self.generated_at_most += other.generated_at_most;
    }
}

/// How a question is called in records.
pub(crate) fn question_key(set: &QuestionSet, question: &Question, boundary: &str) -> QuestionKey {
    QuestionKey {
        family: set.family.clone(),
        task: set.task.clone(),
        subtask: set.subtask.clone(),
        style: set.style.to_string(),
        shots: set.shots,
        shot_mode: set.shot_mode.to_string(),
        shot_seed: set.shot_seed,
        boundary: boundary.to_owned(),
        item: question.number,
        cluster: question.cluster,
        prompt: prompt_identity(&question.prompt),
        chance: set.chance,
    }
}

/// A set that asks for what the model cannot give.
pub(crate) fn incapable(set: &QuestionSet, wanted: &'static str) -> Error {
    let QuestionSet { family, task, style, shots, .. } = set;
    Error::Incapable { set: format!("{family}, {task}, {style}, {shots} shots,"), wanted }
}

fn check_capabilities(model: &dyn LanguageModel, set: &QuestionSet, asked: &[Question]) -> Result<(), Error> {
    let capabilities = model.capabilities();
    if !capabilities.scores && asked.iter().any(|q| !q.candidates.is_empty()) {
        return Err(incapable(set, "log-probabilities of given answers"));
    }
    if !capabilities.generates && asked.iter().any(|q| q.generate.is_some()) {
        return Err(incapable(set, "generated answers"));
    }
    Ok(())
}

/// Scores all candidates of all questions; a question whose evidence cannot be trusted turns into its reason.
fn score(
    model: &dyn LanguageModel,
    asked: &[Question],
    encoded: &mut [Result<Encoded, String>],
) -> Result<Vec<Vec<Candidate>>, Error> {
    let mut evidence: Vec<Vec<Candidate>> = asked.iter().map(|_| Vec::new()).collect();
    let mut pairs: Vec<(usize, usize, &ScoreRequest)> = Vec::new();
    for (question, encoded) in encoded.iter().enumerate() {
        let Ok(encoded) = encoded else { continue };
        for (number, requests) in encoded.candidates.iter().enumerate() {
            evidence[question].push(unscored(number, &asked[question].candidates[number]));
            pairs.extend(requests.iter().map(|request| (question, number, request)));
        }
    }
    let cost = |r: &ScoreRequest| r.context.len() + r.continuation.len();
    let answers = ask(pairs.len(), |i| pairs[i].2.clone(), cost, |batch| model.score(batch))?;
    let vocabulary = model.tokenizer().vocabulary();
    let mut refused = Vec::new();
    for ((question, number, request), answer) in pairs.into_iter().zip(answers) {
        match answer.and_then(|s| check_score(s, &request.continuation, vocabulary)) {
            Ok((logprobs, is_argmax)) => {
                let candidate = &mut evidence[question][number];
                candidate.tokens.extend_from_slice(&request.continuation);
                candidate.logprobs.extend(logprobs);
                candidate.is_argmax.extend(is_argmax);
            }
            Err(reason) => refused.push((question, format!("candidate {number}: {reason}"))),
        }
    }
    refuse(encoded, refused);
    Ok(evidence)
}

/// A candidate before it is scored. An empty text stays so: it is certain.
pub(crate) fn unscored(number: usize, candidate: &task::Candidate) -> Candidate {
    Candidate {
        index: number as u32,
        role: match candidate.role {
            task::Role::Choice => Role::Choice,
            task::Role::Target => Role::Target,
            task::Role::Unconditional => Role::Unconditional,
            task::Role::Text => Role::Text,
        },
        text: candidate.text.clone(),
        answer: candidate.answer.clone(),
        target_score: candidate.score,
        tokens: Vec::new(),
        logprobs: Vec::new(),
        is_argmax: Vec::new(),
    }
}

/// Replaces the questions by the reasons why they were refused; the first reason of each counts.
fn refuse(encoded: &mut [Result<Encoded, String>], refused: Vec<(usize, String)>) {
    for (question, reason) in refused {
        if encoded[question].is_ok() {
            encoded[question] = Err(reason);
        }
    }
}

/// Log-probabilities of `tokens`, and whether each was the most probable token.
pub(crate) fn check_score(
    score: Score,
    tokens: &[TokenId],
    vocabulary: usize,
) -> Result<(Vec<f32>, Vec<bool>), String> {
    let Score { logprobs, argmax } = score;
    if logprobs.len() != tokens.len() || argmax.len() != tokens.len() {
        return Err(format!(
            "the model gave {} log-probabilities and {} most probable tokens for {} tokens: report it",
            logprobs.len(),
            argmax.len(),
            tokens.len()
        ));
    }
    if let Some((at, value)) = logprobs.iter().enumerate().find(|(_, x)| !x.is_finite() || **x > ROUNDING) {
        return Err(format!(
            "the log-probability of token {at} is {value}: look for a NaN or an overflow in the model"
        ));
    }
    if let Some(token) = argmax.iter().find(|&&t| t as usize >= vocabulary) {
        return Err(format!("the most probable token is {token} of a vocabulary of {vocabulary}: report it"));
    }
    let is_argmax = argmax.iter().zip(tokens).map(|(a, t)| a == t).collect();
    Ok((logprobs, is_argmax))
}

/// Generates where asked; a question whose continuation cannot be trusted turns into its reason.
fn generate(
    model: &dyn LanguageModel,
    asked: &[Question],
    encoded: &mut [Result<Encoded, String>],
) -> Result<Vec<Option<Generated>>, Error> {
    let mut open: Vec<(usize, &[TokenId], &Generate)> = (0..)
        .zip(encoded.iter())
        .zip(asked)
        .filter_map(|((i, e), q)| Some((i, e.as_ref().ok()?.generate.as_deref()?, q.generate.as_ref()?)))
        .collect();
    let mut generated: Vec<Option<Generated>> = asked.iter().map(|_| None).collect();
    let mut refused = Vec::new();
    // A stop at the very beginning, where that is none, ends generation all the same: those are asked again without.
    for stops in [true, false] {
        let request = |i: usize| {
            let (question, context, how) = open[i];
            generate_request(context, how, stops, asked[question].number, model.tokenizer())
        };
        let cost = |r: &GenerateRequest| r.context.len() + r.max_tokens;
        let answers = ask(open.len(), request, cost, |batch| model.generate(batch))?;
        let mut again = Vec::new();
        for (&(question, context, how), answer) in open.iter().zip(answers) {
            match answer.and_then(|answer| check_generated(answer.tokens, how, model.tokenizer())) {
                Ok(Ended::AtOnce(_)) if stops => again.push((question, context, how)),
                Ok(Ended::AtOnce(answer) | Ended::Later(answer)) => generated[question] = Some(answer),
                Err(reason) => refused.push((question, format!("generation: {reason}"))),
            }
        }
        open = again;
    }
    refuse(encoded, refused);
    Ok(generated)
}

fn generate_request(
    context: &[TokenId],
    how: &Generate,
    stops: bool,
    number: u32,
    tokenizer: &dyn Tokenizer,
) -> GenerateRequest {
    let stop_text: Vec<String> = how.stop.iter().filter(|stop| stops && !stop.is_empty()).cloned().collect();
    let mut stop = tokenizer.ends().to_vec();
    // A stop that is one token needs no look at the text, but would be lost from it.
    if !how.keep_stop {
        stop.extend(stop_text.iter().filter_map(|text| stop_token(text, tokenizer)));
    }
    let sampling = match how.temperature {
        None => Sampling::Greedy,
        Some(temperature) => Sampling::Random { temperature, top_k: 0, top_p: 1.0, seed: number.into() },
    };
    GenerateRequest { context: context.to_vec(), max_tokens: how.max_tokens, stop, stop_text, sampling }
}

/// The token that a text is, if it is exactly one character and one token. Other stops are found in the text.
fn stop_token(stop: &str, tokenizer: &dyn Tokenizer) -> Option<TokenId> {
    match tokenizer.encode(stop).as_deref() {
        Ok(&[token]) if stop.chars().count() == 1 => Some(token),
        _ => None,
    }
}

/// A generated text, and whether a stop that is part of it stands at its very beginning.
enum Ended {
    AtOnce(Generated),
    Later(Generated),
}

/// The generated text up to the first stop, with the tokens that lie wholly in it.
fn check_generated(mut tokens: Vec<TokenId>, how: &Generate, tokenizer: &dyn Tokenizer) -> Result<Ended, String> {
    let (given, most, vocabulary) = (tokens.len(), how.max_tokens, tokenizer.vocabulary());
    if given > most {
        return Err(format!("the model gave {given} tokens where {most} were asked for: report it"));
    }
    if let Some(token) = tokens.iter().find(|&&t| t as usize >= vocabulary) {
        return Err(format!("the model gave token {token} of a vocabulary of {vocabulary}: report it"));
    }
    let mut text = tokenizer.decode(&tokens);
    let Some((at, stop)) = first_stop(&text, &how.stop) else { return Ok(Ended::Later(Generated { tokens, text })) };
    if how.keep_stop && at == 0 {
        return Ok(Ended::AtOnce(Generated { tokens, text }));
    }
    let end = if how.keep_stop { at + stop.len() } else { at };
    if end < text.len() {
        let within = |n: &usize| {
            let part = tokenizer.decode(&tokens[..*n]);
            if how.keep_stop { part.len() <= end } else { first_stop(&part, &how.stop).is_none() }
        };
        tokens.truncate((0..=given).rev().find(within).unwrap_or(0));
        text.truncate(end);
    }
    Ok(Ended::Later(Generated { tokens, text }))
}

/// Where the first stop begins, and which it is. An empty text stops nothing.
fn first_stop<'s>(text: &str, stops: &'s [String]) -> Option<(usize, &'s str)> {
    let stops = stops.iter().filter(|stop| !stop.is_empty());
    stops.filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str()))).min_by_key(|(at, _)| *at)
}
