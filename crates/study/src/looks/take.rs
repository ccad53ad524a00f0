//! Taking one look at one model.

use super::{
    LookPlan, LookSpec,
    questions::{self, TOP, answer, relations},
    spec::causal_options,
};
use crate::{error::Error, inside, plan::Study};
use saltus_lens::{
    Lens,
    causal::{self, Case},
    heads,
    knowledge::{self, Cloze, Summary},
    memories::{self, Corpus, PASS, Partial, Settings, Triggers},
    prompt::take_apart,
};
use saltus_lm::Tokenizer;
use saltus_record::{ModelKey, Observation};
use saltus_report::inside::Detail;
use saltus_task::Question;
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
        LookSpec::Prompt { text, target } => prompt(study, (text, target.as_deref()), (model, name), tokenizer),
        LookSpec::Causal { family, corrupt, draws, remove } => {
            causal(study, family, causal_options(*corrupt, *draws, *remove), (model, name))
        }
    }
}

/// The facts of a family at every layer. Sets that are parts of another are its relations.
fn knowledge(
    study: &Study,
    family: &str,
    (model, name): (&Model, &ModelKey),
    tokenizer: &dyn Tokenizer,
) -> Result<Taken, Error> {
    let mut clozes = Vec::new();
    for set in relations(&study.sets, family) {
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
    let findings = memories::look(model, &corpus, &triggers, &settings, Partial::default(), &mut |_, _, _| ())
        .map_err(Error::room)?;
    let book = inside::memories(model, tokenizer, &corpus, &findings);
    Ok((memories::observe(name, &findings), vec![Detail::Memories(book)]))
}

/// One prediction taken apart.
fn prompt(
    study: &Study,
    asked: (&str, Option<&str>),
    (model, name): (&Model, &ModelKey),
    tokenizer: &dyn Tokenizer,
) -> Result<Taken, Error> {
    let context = model.config().context;
    let (tokens, options) = questions::prompt(asked, tokenizer, study.corpus.mask(), context)
        .map_err(|e| Error::room(saltus_lens::Error::Other(e)))?;
    let found = take_apart(model, &tokens, &options).map_err(Error::room)?;
    // A first choice is another one in another model.
    let of = if asked.1.is_some() { tokenizer.decode(&[found.target]) } else { "first choice".into() };
    let observations = found.observations(name, &format!("{} | {of}", asked.0));
    let picture = inside::prompt(model, tokenizer, &tokens, found, TOP);
    Ok((observations, vec![Detail::Prompt(picture)]))
}

/// The questions of a family that the model knows, with parts restored and removed. A model that knows none of them has
/// the share that it knows, 0, and no effects.
fn causal(
    study: &Study,
    family: &str,
    options: causal::Options,
    (model, name): (&Model, &ModelKey),
) -> Result<Taken, Error> {
    let tokenizer = study.corpus.tokenizer();
    let (cases, mut left_out) = questions::cases(&study.sets, family, tokenizer.as_ref()).map_err(Error::room)?;
    let ranks = causal::ranks(model, &cases).map_err(Error::room)?;
    let mut observations = vec![causal::known(name, &cases, &ranks)];
    let of_known: Vec<Case> =
        cases.iter().zip(&ranks).filter(|(_, rank)| **rank == 1).map(|(c, _)| c.clone()).collect();
    if let unknown @ 1.. = cases.len() - of_known.len() {
        left_out.insert("the model does not say the object".into(), unknown as u64);
    }
    if of_known.is_empty() {
        return Ok((observations, Vec::new()));
    }
    let traced = match causal::trace(model, &of_known, &options, study.key.child("causal"), &mut |_| ()) {
        Err(saltus_lens::Error::NoOther) => return Ok((observations, Vec::new())),
        traced => traced.map_err(Error::room)?,
    };
    observations.extend(traced.observations(name));
    Ok((observations, vec![Detail::Causal(inside::causal(&traced, &options, &left_out))]))
}
