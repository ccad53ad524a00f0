//! Taking one look at one model.

use super::{LookPlan, LookSpec};
use crate::{error::Error, inside, plan::Study};
use saltus_lens::{
    Lens, heads,
    knowledge::{self, Cloze, Summary},
    memories::{self, Corpus, PASS, Settings, Triggers},
};
use saltus_lm::Tokenizer;
use saltus_record::{ModelKey, Observation};
use saltus_report::inside::Detail;
use saltus_task::{Question, QuestionSet};
use saltus_transformer::Model;

/// What is found, as numbers and as what the page shows beside them.
type Taken = (Vec<Observation>, Vec<Detail>);

/// Keys of each layer whose triggers lose a token.
const KEYS: usize = 32;
/// Memories of each layer that are kept whole.
const KEPT: usize = 32;

pub(super) fn take(study: &Study, look: &LookPlan, model: &Model, name: &ModelKey) -> Result<Taken, Error> {
    let tokenizer = study.corpus.tokenizer();
    let tokenizer = tokenizer.as_ref();
    match &look.spec {
        LookSpec::Knowledge { family } => knowledge(study, family, (model, name), tokenizer),
        LookSpec::Memories { triggers, sample } => memories(study, (*triggers, *sample), (model, name), tokenizer),
        LookSpec::Heads { sequences, length, tokens, beginning } => {
            let encode = |text: &str| tokenizer.encode(text).map_err(Error::room);
            let options = heads::Options {
                sequences: *sequences,
                length: *length,
                beginning: encode(beginning)?.first().copied(),
                tokens: encode(tokens)?,
            };
            let scores = heads::scores(model, &options, study.key.child("heads")).map_err(Error::room)?;
            Ok((scores.observations(name), Vec::new()))
        }
    }
}

/// The right answer to a question, if there is one.
fn answer(question: &Question) -> Option<&str> {
    let best = question.candidates.iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
    (best.score > 0.0).then_some(best.text.as_str())
}

/// The facts of a family at every layer. Sets that are parts of another are its relations.
fn knowledge(
    study: &Study,
    family: &str,
    (model, name): (&Model, &ModelKey),
    tokenizer: &dyn Tokenizer,
) -> Result<Taken, Error> {
    let sets: Vec<&QuestionSet> = study.sets.iter().map(|s| &s.set).filter(|s| s.family == family).collect();
    let mut clozes = Vec::new();
    for set in relations(&sets) {
        for question in &set.questions {
            let Some(answer) = answer(question) else { continue };
            let encode = |text: &str| tokenizer.encode(text).map_err(Error::room);
            // An answer of several tokens is asked by its first one.
            let (tokens, target) = (encode(&question.prompt)?, encode(answer)?.first().copied());
            if let (Some(at), Some(target)) = (tokens.len().checked_sub(1), target) {
                let (second, cluster) = (tokens.len(), clozes.len() as u32);
                clozes.push(Cloze { tokens, second, at, target, relation: set.task.clone(), cluster });
            }
        }
    }
    let answers = knowledge::ask(model, &clozes, &[], Lens::Logit, &|_| {}).map_err(Error::room)?;
    let of = Summary { model: name, method: Lens::Logit.method(), top: 10, key: study.key.child("knowledge") };
    let detail = inside::knowledge(tokenizer, of.method, &clozes, &answers);
    Ok((knowledge::summary(of, &clozes, &answers), vec![Detail::Knowledge(detail)]))
}

/// The sets that are not the union of others: `all` of a family whose parts are sets too would count every fact twice.
fn relations<'a>(sets: &[&'a QuestionSet]) -> Vec<&'a QuestionSet> {
    let parts: Vec<&QuestionSet> = sets.iter().copied().filter(|set| set.task != "all").collect();
    if parts.is_empty() { sets.to_vec() } else { parts }
}

/// Memories over the questions of all tasks, each with its answer as one sentence.
fn memories(
    study: &Study,
    (top, sample): (usize, usize),
    (model, name): (&Model, &ModelKey),
    tokenizer: &dyn Tokenizer,
) -> Result<Taken, Error> {
    let solved = |question: &Question| format!("{}{}", question.prompt, answer(question).unwrap_or_default());
    let texts: Vec<String> = study.sets.iter().flat_map(|s| s.set.questions.iter().map(solved)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let corpus = Corpus::new(&texts, tokenizer, model.config().context, None).map_err(Error::room)?;
    let layers: Vec<usize> = (0..model.config().layers).collect();
    let mut triggers = Triggers::new(model, &layers, top).map_err(Error::room)?;
    triggers.read(model, &corpus, corpus.sentences(), PASS).map_err(Error::room)?;
    let settings = Settings { sample, keys: KEYS, kept: KEPT, key: study.key.child("memories") };
    let findings = memories::look(model, &corpus, &triggers, &settings, &|_, _| {}).map_err(Error::room)?;
    let book = inside::memories(model, tokenizer, &corpus, &findings);
    Ok((memories::observe(name, &findings), vec![Detail::Memories(book)]))
}
