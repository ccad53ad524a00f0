//! A set of questions asked of one model: prompts to tokens, tokens to evidence, doubts to reasons.

use crate::ask::ask;
use saltus_lm::{self as lm, GenerateRequest, LanguageModel, Sampling, Score, ScoreRequest, TokenId, Tokenizer};
use saltus_record::{Candidate, Generated, ModelKey, Outcome, QuestionKey, Record};
use saltus_task::{Generate, Question, QuestionSet, prompt_identity};

/// Where a prompt ends and an answer begins, in tokens. In `bigbench` mode prompt and answer are encoded apart, as the
/// BIG-bench reference does, so the tokens of the prompt are the same for every candidate.
pub const BOUNDARY: &str = "bigbench";

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

/// Asks `model` every question of `set` and returns one record for each, in order; `key` says which model it is.
///
/// Prompt and candidates are encoded apart (see [`BOUNDARY`]), all candidates of all questions are scored, and a greedy
/// continuation is generated where one is asked for. Requests go out in batches of at most 1,048,576 tokens (or one
/// request), which bounds memory; records do not depend on the batches.
///
/// A question that cannot be asked (it does not fit the context, has no tokens, or nothing to score) or whose answer
/// cannot be trusted (lengths that do not match, log-probabilities that are no log-probabilities, unknown tokens)
/// becomes [`Outcome::Unscored`] with the reason, and the others go on.
///
/// # Errors
/// [`Error::Incapable`] before anything is asked; [`Error::Model`] when the model itself fails.
pub fn measure(model: &dyn LanguageModel, key: &ModelKey, set: &QuestionSet) -> Result<Vec<Record>, Error> {
    check_capabilities(model, set)?;
    let context = model.capabilities().context;
    let mut asked: Vec<Result<Asked, String>> =
        set.questions.iter().map(|q| Asked::new(q, model.tokenizer(), context)).collect();
    let scores = score(model, set, &mut asked)?;
    let generated = generate(model, set, &mut asked)?;
    let outcomes = asked.into_iter().zip(scores).zip(generated).map(|((asked, candidates), generated)| match asked {
        Ok(_) => Outcome::Scored { candidates, generated },
        Err(reason) => Outcome::Unscored(reason),
    });
    let records = outcomes.zip(&set.questions).zip(0..).map(|((outcome, question), item)| Record {
        model: key.clone(),
        question: QuestionKey {
            family: set.family.clone(),
            task: set.task.clone(),
            style: set.style.to_string(),
            shots: set.shots,
            item,
            prompt: prompt_identity(&question.prompt),
            chance: set.chance,
        },
        outcome,
    });
    Ok(records.collect())
}

fn check_capabilities(model: &dyn LanguageModel, set: &QuestionSet) -> Result<(), Error> {
    let capabilities = model.capabilities();
    let incapable = |wanted| {
        let QuestionSet { family, task, style, shots, .. } = set;
        Err(Error::Incapable { set: format!("{family}, {task}, {style}, {shots} shots,"), wanted })
    };
    if !capabilities.scores && set.questions.iter().any(|q| !q.candidates.is_empty()) {
        return incapable("log-probabilities of given answers");
    }
    if !capabilities.generates && set.questions.iter().any(|q| q.generate.is_some()) {
        return incapable("generated answers");
    }
    Ok(())
}

/// A question in tokens; it fits the context.
struct Asked {
    prompt: Vec<TokenId>,
    candidates: Vec<Vec<TokenId>>,
    stop: Vec<TokenId>,
}

impl Asked {
    fn new(question: &Question, tokenizer: &dyn Tokenizer, context: usize) -> Result<Self, String> {
        let encode = |part: &str, text: &str| match tokenizer.encode(text) {
            Ok(tokens) if tokens.is_empty() => Err(format!("the {part} has no tokens: give it some text")),
            Ok(tokens) => Ok(tokens),
            Err(error) => Err(format!("the {part} cannot be encoded: {error}")),
        };
        if question.candidates.is_empty() && question.generate.is_none() {
            return Err("the question has no candidates and asks for no generation: give it one of them".to_owned());
        }
        let prompt = encode("prompt", &question.prompt)?;
        let candidates = question
            .candidates
            .iter()
            .enumerate()
            .map(|(i, c)| encode(&format!("candidate {i}"), &c.text))
            .collect::<Result<Vec<_>, _>>()?;
        let to_generate = question.generate.as_ref().map_or(0, |g| g.max_tokens);
        let longest = candidates.iter().map(Vec::len).max().unwrap_or(0).max(to_generate);
        let tokens = prompt.len() + longest;
        if tokens > context {
            return Err(lm::Error::TooLong { tokens, context }.to_string());
        }
        let stop = question.generate.iter().flat_map(|g| &g.stop).filter_map(|&c| stop_token(c, tokenizer)).collect();
        Ok(Self { prompt, candidates, stop })
    }
}

/// The token that a character is, if it is exactly one. Other stops are found in the text afterwards.
fn stop_token(stop: char, tokenizer: &dyn Tokenizer) -> Option<TokenId> {
    match tokenizer.encode(stop.encode_utf8(&mut [0; 4])).as_deref() {
        Ok(&[token]) => Some(token),
        _ => None,
    }
}

/// Scores all candidates of all questions; a question whose evidence cannot be trusted turns into its reason.
fn score(
    model: &dyn LanguageModel,
    set: &QuestionSet,
    asked: &mut [Result<Asked, String>],
) -> Result<Vec<Vec<Candidate>>, Error> {
    let pairs: Vec<(usize, &[TokenId], &[TokenId])> = asked
        .iter()
        .enumerate()
        .filter_map(|(i, a)| a.as_ref().ok().map(|a| (i, a)))
        .flat_map(|(i, a)| a.candidates.iter().map(move |c| (i, &a.prompt[..], &c[..])))
        .collect();
    let request = |i: usize| ScoreRequest { context: pairs[i].1.to_vec(), continuation: pairs[i].2.to_vec() };
    let cost = |r: &ScoreRequest| r.context.len() + r.continuation.len();
    let answers = ask(pairs.len(), request, cost, |batch| model.score(batch))?;
    let vocabulary = model.tokenizer().vocabulary();
    let mut evidence: Vec<Vec<Candidate>> = set.questions.iter().map(|_| Vec::new()).collect();
    let mut refused = Vec::new();
    for ((question, _, tokens), answer) in pairs.iter().zip(answers) {
        let index = evidence[*question].len();
        let checked = answer.and_then(|s| check_score(s, tokens, vocabulary));
        let (logprobs, is_argmax) = checked.unwrap_or_else(|reason| {
            refused.push((*question, format!("candidate {index}: {reason}")));
            Default::default()
        });
        let candidate = &set.questions[*question].candidates[index];
        evidence[*question].push(Candidate {
            index: index as u32,
            text: candidate.text.clone(),
            target_score: candidate.score,
            tokens: tokens.to_vec(),
            logprobs,
            is_argmax,
        });
    }
    refuse(asked, refused);
    Ok(evidence)
}

/// Replaces the questions by the reasons why they were refused; the first reason of each counts.
fn refuse(asked: &mut [Result<Asked, String>], refused: Vec<(usize, String)>) {
    for (question, reason) in refused {
        if asked[question].is_ok() {
            asked[question] = Err(reason);
        }
    }
}

/// Log-probabilities of `tokens`, and whether each was the most probable token.
fn check_score(score: Score, tokens: &[TokenId], vocabulary: usize) -> Result<(Vec<f32>, Vec<bool>), String> {
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
    set: &QuestionSet,
    asked: &mut [Result<Asked, String>],
) -> Result<Vec<Option<Generated>>, Error> {
    let open: Vec<(usize, &Asked, &Generate)> = (0..)
        .zip(asked.iter())
        .zip(&set.questions)
        .filter_map(|((i, a), q)| Some((i, a.as_ref().ok()?, q.generate.as_ref()?)))
        .collect();
    let request = |i: usize| {
        let (_, asked, generate) = open[i];
        let (context, stop) = (asked.prompt.clone(), asked.stop.clone());
        let (max_tokens, stop_text) = (generate.max_tokens, Vec::new());
        GenerateRequest { context, max_tokens, stop, stop_text, sampling: Sampling::Greedy }
    };
    let cost = |r: &GenerateRequest| r.context.len() + r.max_tokens;
    let answers = ask(open.len(), request, cost, |batch| model.generate(batch))?;
    let mut generated: Vec<Option<Generated>> = set.questions.iter().map(|_| None).collect();
    let mut refused = Vec::new();
    for (&(question, _, generate), answer) in open.iter().zip(answers) {
        match answer.and_then(|answer| check_generated(answer.tokens, generate, model.tokenizer())) {
            Ok(answer) => generated[question] = Some(answer),
            Err(reason) => refused.push((question, format!("generation: {reason}"))),
        }
    }
    refuse(asked, refused);
    Ok(generated)
}

/// The generated text up to the first stop, with the tokens that lie wholly before it.
fn check_generated(
    mut tokens: Vec<TokenId>,
    generate: &Generate,
    tokenizer: &dyn Tokenizer,
) -> Result<Generated, String> {
    let (given, most, vocabulary) = (tokens.len(), generate.max_tokens, tokenizer.vocabulary());
    if given > most {
        return Err(format!("the model gave {given} tokens where {most} were asked for: report it"));
    }
    if let Some(token) = tokens.iter().find(|&&t| t as usize >= vocabulary) {
        return Err(format!("the model gave token {token} of a vocabulary of {vocabulary}: report it"));
    }
    let mut text = tokenizer.decode(&tokens);
    if let Some(at) = text.find(&generate.stop[..]) {
        let before = |n: &usize| !tokenizer.decode(&tokens[..*n]).contains(&generate.stop[..]);
        tokens.truncate((0..=given).rev().find(before).unwrap_or(0));
        text.truncate(at);
    }
    Ok(Generated { tokens, text })
}
