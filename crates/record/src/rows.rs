//! The schema: what columns records and training curves have, and how they become rows and come back.
//!
//! A record is as many rows as it has candidates, numbered from 0, and one row without a candidate when it has none;
//! so a row whose `candidate` is 0 or null begins a record.

use crate::{
    Candidate, Generated, LossPoint, ModelKey, Outcome, QuestionKey, Record, Role, Training,
    table::{Column, Get, Table},
};
use parquet::errors::{ParquetError, Result};

/// One row of a part of records.
pub(crate) struct Row<'a> {
    record: &'a Record,
    candidate: Option<&'a Candidate>,
}

impl Row<'_> {
    fn generated(&self) -> Option<&Generated> {
        match &self.record.outcome {
            Outcome::Scored { generated, .. } => generated.as_ref(),
            Outcome::Unscored(_) => None,
        }
    }

    fn unscored(&self) -> Option<&str> {
        match &self.record.outcome {
            Outcome::Scored { .. } => None,
            Outcome::Unscored(reason) => Some(reason),
        }
    }
}

/// The rows of a record.
pub(crate) fn rows_of(record: &Record) -> Vec<Row<'_>> {
    match &record.outcome {
        Outcome::Scored { candidates, .. } if !candidates.is_empty() => {
            candidates.iter().map(|c| Row { record, candidate: Some(c) }).collect()
        }
        _ => vec![Row { record, candidate: None }],
    }
}

/// What contradicts itself in `record`, if anything does.
pub(crate) fn consistent(record: &Record) -> std::result::Result<(), String> {
    let Outcome::Scored { candidates, .. } = &record.outcome else { return Ok(()) };
    for (c, place) in candidates.iter().zip(0..) {
        if c.index != place {
            return Err(format!("candidate {place} has the number {}", c.index));
        }
        let lengths = [c.tokens.len(), c.logprobs.len(), c.is_argmax.len()];
        if lengths != [c.tokens.len(); 3] {
            return Err(format!("candidate {place} has lists of tokens, logprobs, is_argmax of lengths {lengths:?}"));
        }
    }
    Ok(())
}

/// What has a model.
pub(crate) trait OfModel {
    fn model(&self) -> &ModelKey;
}

impl OfModel for Row<'_> {
    fn model(&self) -> &ModelKey {
        &self.record.model
    }
}

impl OfModel for LossPoint {
    fn model(&self) -> &ModelKey {
        &self.model
    }
}

fn training<R: OfModel>(row: &R) -> Option<&Training> {
    row.model().training.as_ref()
}

pub(crate) fn column<R>(name: &'static str, get: Get<R>) -> Column<R> {
    Column { name, get }
}

/// The columns that say which model was asked; any part begins with them.
pub(crate) fn model_columns<R: OfModel>() -> Vec<Column<R>> {
    vec![
        column("model", Get::Text(|r| Some(&r.model().name))),
        column("model_width", Get::U32(|r| Some(r.model().width))),
        column("model_layers", Get::U32(|r| Some(r.model().layers))),
        column("model_params_non_embedding", Get::U64(|r| Some(r.model().params_non_embedding))),
        column("model_params_total", Get::U64(|r| Some(r.model().params_total))),
        column("model_weights", Get::Text(|r| Some(&r.model().weights))),
        column("model_tokenizer", Get::Text(|r| Some(&r.model().tokenizer))),
        column("training_ladder", Get::Text(|r| training(r).map(|t| t.ladder.as_str()))),
        column("training_seed", Get::U64(|r| training(r).map(|t| t.seed))),
        column("training_step", Get::U64(|r| training(r).map(|t| t.step))),
        column("training_tokens", Get::U64(|r| training(r).map(|t| t.tokens))),
        column("training_flops_6nd", Get::F64(|r| training(r).map(|t| t.flops_6nd))),
    ]
}

/// The columns of a part of losses.
pub(crate) fn loss_columns() -> Vec<Column<LossPoint>> {
    let mut columns = model_columns();
    columns.extend([
        column("train_loss", Get::F64(|r: &LossPoint| Some(r.train_loss))),
        column("learning_rate", Get::F64(|r| Some(r.learning_rate))),
        column("gradient_norm", Get::F64(|r| Some(r.gradient_norm))),
    ]);
    columns
}

/// The columns of a part of records. From `logprob` to `num_bytes` they are derived, for readers of other programs.
pub(crate) fn record_columns<'a>() -> Vec<Column<Row<'a>>> {
    let mut columns = model_columns();
    columns.extend([
        column("family", Get::Text(|r: &Row<'a>| Some(&r.record.question.family))),
        column("task", Get::Text(|r| Some(&r.record.question.task))),
        column("subtask", Get::Text(|r| Some(&r.record.question.subtask))),
        column("style", Get::Text(|r| Some(&r.record.question.style))),
        column("shots", Get::U32(|r| Some(r.record.question.shots))),
        column("shot_mode", Get::Text(|r| Some(&r.record.question.shot_mode))),
        column("shot_seed", Get::U64(|r| Some(r.record.question.shot_seed))),
        column("boundary", Get::Text(|r| Some(&r.record.question.boundary))),
        column("item", Get::U32(|r| Some(r.record.question.item))),
        column("cluster", Get::U32(|r| Some(r.record.question.cluster))),
        column("prompt", Get::Text(|r| Some(&r.record.question.prompt))),
        column("chance", Get::F64(|r| Some(r.record.question.chance))),
        column("candidate", Get::U32(|r| r.candidate.map(|c| c.index))),
        column("role", Get::Text(|r| r.candidate.map(|c| c.role.name()))),
        column("text", Get::Text(|r| r.candidate.map(|c| c.text.as_str()))),
        column("answer", Get::Text(|r| r.candidate.and_then(|c| c.answer.as_deref()))),
        column("target_score", Get::F64(|r| r.candidate.map(|c| c.target_score))),
        column("tokens", Get::U32List(|r| r.candidate.map(|c| c.tokens.as_slice()))),
        column("logprobs", Get::F32List(|r| r.candidate.map(|c| c.logprobs.as_slice()))),
        column("is_argmax", Get::BoolList(|r| r.candidate.map(|c| c.is_argmax.as_slice()))),
        column("logprob", Get::F64(|r| r.candidate.map(Candidate::total))),
        column("is_greedy", Get::U32(|r| r.candidate.map(|c| u32::from(c.is_greedy())))),
        column("num_tokens", Get::U32(|r| r.candidate.map(|c| count(c.tokens.len())))),
        column("num_code_points", Get::U32(|r| r.candidate.map(|c| count(c.answer().chars().count())))),
        column("num_bytes", Get::U32(|r| r.candidate.map(|c| count(c.answer().len())))),
        column("generated_text", Get::Text(|r| r.generated().map(|g| g.text.as_str()))),
        column("generated_tokens", Get::U32List(|r| r.generated().map(|g| g.tokens.as_slice()))),
        column("unscored", Get::Text(Row::unscored)),
    ]);
    columns
}

/// A count within one record; a part is too small to hold more than `u32` can say.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Declares the columns of a struct as they are read, and how one row is taken out of them; `else` gives the fields that
/// are taken from columns that may be null.
macro_rules! columns {
    (
        $columns:ident of $row:ident { $($field:ident: $type:ty = $get:ident($name:literal)),* $(,)? }
        $(else { $($other:ident: $value:expr),* })?
    ) => {
        struct $columns { $($field: Vec<Option<$type>>),* }

        impl $columns {
            fn read(table: &Table) -> Result<Self> {
                Ok(Self { $($field: table.$get($name)?),* })
            }

            fn take(&mut self, row: usize) -> Result<$row> {
                Ok($row { $($field: required(&mut self.$field, row)?,)* $($($other: $value),*)? })
            }
        }
    };
}

columns!(ModelColumns of ModelKey {
    name: String = text("model"),
    width: u32 = u32("model_width"),
    layers: u32 = u32("model_layers"),
    params_non_embedding: u64 = u64("model_params_non_embedding"),
    params_total: u64 = u64("model_params_total"),
    weights: String = text("model_weights"),
    tokenizer: String = text("model_tokenizer"),
} else { training: None });

columns!(TrainingColumns of Training {
    ladder: String = text("training_ladder"),
    seed: u64 = u64("training_seed"),
    step: u64 = u64("training_step"),
    tokens: u64 = u64("training_tokens"),
    flops_6nd: f64 = f64("training_flops_6nd"),
});

/// The columns of models.
pub(crate) struct Models {
    models: ModelColumns,
    trainings: TrainingColumns,
}

impl Models {
    pub(crate) fn read(table: &Table) -> Result<Self> {
        Ok(Self { models: ModelColumns::read(table)?, trainings: TrainingColumns::read(table)? })
    }

    pub(crate) fn take(&mut self, row: usize) -> Result<ModelKey> {
        let trained = self.trainings.ladder[row].is_some();
        let training = if trained { Some(self.trainings.take(row)?) } else { None };
        Ok(ModelKey { training, ..self.models.take(row)? })
    }
}

columns!(Questions of QuestionKey {
    family: String = text("family"),
    task: String = text("task"),
    subtask: String = text("subtask"),
    style: String = text("style"),
    shots: u32 = u32("shots"),
    shot_mode: String = text("shot_mode"),
    shot_seed: u64 = u64("shot_seed"),
    boundary: String = text("boundary"),
    item: u32 = u32("item"),
    cluster: u32 = u32("cluster"),
    prompt: String = text("prompt"),
    chance: f64 = f64("chance"),
});

columns!(CandidateColumns of Candidate {
    index: u32 = u32("candidate"),
    text: String = text("text"),
    target_score: f64 = f64("target_score"),
    tokens: Vec<u32> = u32_list("tokens"),
    logprobs: Vec<f32> = f32_list("logprobs"),
    is_argmax: Vec<bool> = bool_list("is_argmax"),
} else { role: Role::Choice, answer: None });

/// The columns of candidates.
struct Candidates {
    candidates: CandidateColumns,
    roles: Vec<Option<String>>,
    answers: Vec<Option<String>>,
}

impl Candidates {
    fn read(table: &Table) -> Result<Self> {
        let (roles, answers) = (table.text("role")?, table.text("answer")?);
        Ok(Self { candidates: CandidateColumns::read(table)?, roles, answers })
    }

    /// The candidate of a row, if it has one.
    fn take(&mut self, row: usize) -> Result<Option<Candidate>> {
        if self.candidates.index[row].is_none() {
            return Ok(None);
        }
        let name = required(&mut self.roles, row)?;
        let Some(role) = Role::ALL.into_iter().find(|role| role.name() == name) else {
            return Err(ParquetError::General(format!("row {row} has the role {name:?}")));
        };
        Ok(Some(Candidate { role, answer: self.answers[row].take(), ..self.candidates.take(row)? }))
    }
}

/// The rows of a part of losses.
pub(crate) fn decode_losses(table: &Table) -> Result<Vec<LossPoint>> {
    let mut models = Models::read(table)?;
    let mut train_loss = table.f64("train_loss")?;
    let mut learning_rate = table.f64("learning_rate")?;
    let mut gradient_norm = table.f64("gradient_norm")?;
    (0..table.rows())
        .map(|row| {
            Ok(LossPoint {
                model: models.take(row)?,
                train_loss: required(&mut train_loss, row)?,
                learning_rate: required(&mut learning_rate, row)?,
                gradient_norm: required(&mut gradient_norm, row)?,
            })
        })
        .collect()
}

/// The records of a part.
pub(crate) fn decode_records(table: &Table) -> Result<Vec<Record>> {
    let mut models = Models::read(table)?;
    let mut questions = Questions::read(table)?;
    let mut candidates = Candidates::read(table)?;
    let mut generated_text = table.text("generated_text")?;
    let mut generated_tokens = table.u32_list("generated_tokens")?;
    let mut unscored = table.text("unscored")?;
    let mut records: Vec<Record> = Vec::new();
    for row in 0..table.rows() {
        let mut candidate = candidates.take(row)?;
        if let Some(candidate) = candidate.take_if(|c| c.index > 0) {
            let Some(Outcome::Scored { candidates, .. }) = records.last_mut().map(|r| &mut r.outcome) else {
                return Err(ParquetError::General(format!("row {row} goes on with a record that did not begin")));
            };
            candidates.push(candidate);
            continue;
        }
        let outcome = match unscored[row].take() {
            Some(reason) => Outcome::Unscored(reason),
            None => Outcome::Scored {
                candidates: candidate.into_iter().collect(),
                generated: match (generated_tokens[row].take(), generated_text[row].take()) {
                    (Some(tokens), Some(text)) => Some(Generated { tokens, text }),
                    _ => None,
                },
            },
        };
        records.push(Record { model: models.take(row)?, question: questions.take(row)?, outcome });
    }
    Ok(records)
}

/// Takes the value of a cell that may not be null.
pub(crate) fn required<V>(column: &mut [Option<V>], row: usize) -> Result<V> {
    column[row].take().ok_or_else(|| ParquetError::General(format!("row {row} has a null where a value must be")))
}
