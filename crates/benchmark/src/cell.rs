//! Cells: one model asked one sheet of questions, in parts that are computed and kept each on its own.

use crate::Sheet;
use saltus_eval::{Encoding, Grading, Overflow};
use saltus_record::{ModelKey, SCHEMA};
use saltus_task::{Question, questions_identity};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Questions in a part, at most.
const MOST_QUESTIONS: usize = 1024;
/// Work in a part, in floating-point operations: minutes on a small machine. What is lost when a run is killed.
const WORK: f64 = 4e13;
/// Bytes of text in a part (about four to a token), at least and at most. Parts begin anew with what their prompts
/// share, so that very small ones waste.
const BYTES: (f64, f64) = (32_768.0, 524_288.0);

/// What a cell is: everything that determines its records, but the questions themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What the model is called.
    pub model: String,
    /// Hash of its weights.
    pub weights: String,
    /// Its parameters, all of them.
    pub params_total: u64,
    /// Its parameters without the embedding and the head.
    pub params_non_embedding: u64,
    /// `bigbench`, `lm-eval` or `file`.
    pub family: String,
    /// The task.
    pub task: String,
    /// Its part; empty where there are none.
    pub subtask: String,
    /// Solved examples in each prompt.
    pub shots: u32,
    /// `fresh` or `fixed`.
    pub shot_mode: String,
    /// Seed of their draw.
    pub seed: u64,
    /// Where a prompt ends.
    pub boundary: String,
    /// Whether prompts that are too long are cut.
    pub truncate: bool,
    /// Number of questions.
    pub items: usize,
    /// Score of blind guessing.
    pub chance: f64,
    /// How the answers are graded.
    pub grading: Grading,
    /// The keys of its parts, in order.
    pub parts: Vec<String>,
}

/// A part: some questions of a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Content address.
    pub key: String,
    /// Which questions.
    pub questions: Range<usize>,
    /// Bytes of their texts, what they share with the one before counted once: a measure of the work.
    pub bytes: usize,
}

/// A cell of a sheet, with its parts.
pub(crate) fn cell(model: &ModelKey, sheet: &Sheet, encoding: Encoding) -> (Header, Vec<Part>) {
    let set = &sheet.set;
    let parts: Vec<Part> = ranges(&set.questions, model.params_total)
        .into_iter()
        .map(|(questions, bytes)| {
            let key = part_key(model, sheet, encoding, &set.questions[questions.clone()]);
            Part { key, questions, bytes }
        })
        .collect();
    let header = Header {
        model: model.name.clone(),
        weights: model.weights.clone(),
        params_total: model.params_total,
        params_non_embedding: model.params_non_embedding,
        family: set.family.clone(),
        task: set.task.clone(),
        subtask: set.subtask.clone(),
        shots: set.shots,
        shot_mode: set.shot_mode.to_string(),
        seed: set.shot_seed,
        boundary: encoding.boundary.name().into(),
        truncate: encoding.overflow == Overflow::Truncate,
        items: set.questions.len(),
        chance: set.chance,
        grading: sheet.grading.clone(),
        parts: parts.iter().map(|part| part.key.clone()).collect(),
    };
    (header, parts)
}

impl Header {
    /// The name of its place: one measurement of a model by a task with a number of shots takes that of another.
    pub(crate) fn place(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 place of a cell");
        let (shots, seed) = (self.shots.to_string(), self.seed.to_string());
        let truncate = self.truncate.to_string();
        let Self { model, family, task, subtask, shot_mode, boundary, .. } = self;
        for text in [model, family, task, subtask, &shots, shot_mode, &seed, boundary, &truncate] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// `task` or `task:subtask`.
    pub fn name(&self) -> String {
        if self.subtask.is_empty() { self.task.clone() } else { format!("{}:{}", self.task, self.subtask) }
    }
}

/// Everything that determines the records of a part.
fn part_key(model: &ModelKey, sheet: &Sheet, encoding: Encoding, questions: &[Question]) -> String {
    let set = &sheet.set;
    let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 part of a benchmark");
    let numbers = [SCHEMA.into(), set.shots.into(), set.shot_seed, set.chance.to_bits()];
    numbers.iter().for_each(|number: &u64| {
        hasher.update(&number.to_le_bytes());
    });
    let style = set.style.to_string();
    let mode = set.shot_mode.to_string();
    let overflow = if encoding.overflow == Overflow::Truncate { "truncate" } else { "refuse" };
    let questions = questions_identity(questions);
    // The name too: records carry it, and the same weights may have two.
    let texts = [
        &*model.name,
        &model.weights,
        &model.tokenizer,
        &set.family,
        &set.task,
        &set.subtask,
        &style,
        &mode,
        encoding.boundary.name(),
        overflow,
        &questions,
    ];
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Consecutive questions as parts, with the bytes of each. Where a part ends does not depend on what follows, so that the
/// parts of fewer questions are parts of more.
fn ranges(questions: &[Question], params: u64) -> Vec<(Range<usize>, usize)> {
    let most = (4.0 * WORK / (2.0 * params.max(1) as f64)).clamp(BYTES.0, BYTES.1) as usize;
    let (mut ranges, mut begin, mut bytes) = (Vec::new(), 0, 0);
    let mut before: &str = "";
    for (at, question) in questions.iter().enumerate() {
        let full = at - begin == MOST_QUESTIONS || bytes >= most;
        if full {
            ranges.push((begin..at, bytes));
            (begin, bytes, before) = (at, 0, "");
        }
        bytes += own_bytes(question, before);
        before = &question.prompt;
    }
    if begin < questions.len() {
        ranges.push((begin..questions.len(), bytes));
    }
    ranges
}

/// Bytes of a question that are not those of the prompt before it.
fn own_bytes(question: &Question, before: &str) -> usize {
    let shared = question.prompt.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
    let candidates = question.candidates.iter().map(|c| c.text.len() + c.context.as_ref().map_or(0, |c| c.len()));
    let generated = question.generate.as_ref().map_or(0, |how| how.max_tokens);
    question.prompt.len() - shared + candidates.sum::<usize>() + generated
}

#[cfg(test)]
mod tests {
    use super::*;
    use saltus_task::{Candidate, QuestionSet};

    fn questions(count: usize, length: usize) -> Vec<Question> {
        let prompt = |i: usize| format!("{i:06}{}", "x".repeat(length));
        QuestionSet::direct("f", "t", 0.0, (0..count).map(|i| (prompt(i), vec![Candidate::target("a")], None)))
            .questions
    }

    #[test]
    fn parts_of_fewer_questions_are_parts_of_more() {
        let all = questions(3000, 700);
        let many = ranges(&all, 7_000_000_000);
        let few = ranges(&all[..500], 7_000_000_000);
        assert!(few.len() > 2 && many[..few.len() - 1] == few[..few.len() - 1]);
        assert!(many.iter().zip(&many[1..]).all(|(a, b)| a.0.end == b.0.start) && many[many.len() - 1].0.end == 3000);
    }

    #[test]
    fn a_part_has_bounded_work() {
        assert_eq!(ranges(&questions(3000, 1), 1000).len(), 3);
        for (_, bytes) in ranges(&questions(3000, 700), 7_000_000_000) {
            assert!(bytes < 40_000);
        }
    }
}
