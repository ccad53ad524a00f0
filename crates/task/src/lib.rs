//! Questions to ask a model: generated task families, BIG-bench-style `task.json`, JSONL. Knows no model.
//!
//! A [`Family`] is what a study file says; with a [`Key`](saltus_random::Key) it becomes a [`Generator`], whose tables
//! (lexicon, permutations, facts, exceptions, held-out split) are fixed for the study. A generator gives training
//! [`Segment`]s, never a held-out one, and evaluation [`QuestionSet`]s. A [`TaskFile`] is a task of the user's own.

pub mod bigbench;
mod draw;
mod families;
mod file;
mod identity;
pub mod lm_eval;

pub use families::addition::{Addition, Order};
pub use families::arithmetic::Arithmetic;
pub use families::copy::Copy;
pub use families::exception::Exception;
pub use families::facts::Facts;
pub use families::mapping::Mapping;
pub use families::sum::Sum;
pub use families::text::Text;
pub use families::{Family, Generator, Span};
pub use file::{MAX_EXAMPLES, MAX_FILE_BYTES, MAX_TEXT_BYTES, TaskFile};
pub use identity::prompt_identity;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The character that ends every generated item; generation stops before it.
pub const END: char = ';';

/// Text that a model is trained on, with the parts that count for the loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The text of one training item with its [`END`], for example `P438+253=0691;`.
    pub text: String,
    /// Byte ranges of `text` whose characters are predicted for the loss, in order, not overlapping. [`END`] is not among
    /// them (but for sentences): a quarter of the scored characters would be the same, and the smallest models learn
    /// markedly less else, with worse luck among seeds (docs/pocket.md has the measurement).
    pub scored: Vec<std::ops::Range<usize>>,
}

impl Segment {
    /// Empties the segment but keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.scored.clear();
    }

    /// Ends the item; what was written from byte `from` on is scored.
    pub(crate) fn finish(&mut self, from: usize) {
        self.scored.push(from..self.text.len());
        self.text.push(END);
    }
}

/// How the answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// The answer at once.
    Direct,
    /// Intermediate results first.
    StepByStep,
}

impl std::fmt::Display for Style {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Style::Direct => "direct",
            Style::StepByStep => "step-by-step",
        })
    }
}

/// One candidate answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its text, appended to the prompt as it stands.
    pub text: String,
    /// 1 right, 0 wrong; BIG-bench allows values between.
    pub score: f64,
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What the model reads; not empty.
    pub prompt: String,
    /// Candidates that are scored. An open question has the right answer alone (a task file may have several). A
    /// step-by-step answer is the whole scratchpad.
    pub candidates: Vec<Candidate>,
    /// Ask for a greedy continuation too.
    pub generate: Option<Generate>,
}

/// How to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generate {
    /// At most so many tokens.
    pub max_tokens: usize,
    /// Generation ends before any of these characters.
    pub stop: Vec<char>,
}

/// The questions of one measured cell: one task in one style with one number of shots.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionSet {
    /// Task family, for example `addition`.
    pub family: String,
    /// Task within the family, for example `3-digit plain`.
    pub task: String,
    /// Style.
    pub style: Style,
    /// Solved examples in each prompt.
    pub shots: u32,
    /// Score of blind guessing, in [0, 1): for candidates, the mean score of one drawn uniformly; for an open answer
    /// of a generated family, the chance to hit all its characters; 0 for a task file's open answers and for text.
    pub chance: f64,
    /// The questions; the same for every model of a study.
    pub questions: Vec<Question>,
}

/// What is wrong with a task, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A parameter of a generated family.
    #[error("family `{family}`: `{field}` is {value}: {remedy}")]
    Parameter {
        /// The family, as the study file names it.
        family: &'static str,
        /// The parameter.
        field: &'static str,
        /// Its value, as text.
        value: String,
        /// What to write instead.
        remedy: String,
    },
    /// A task file.
    #[error("{path}{place}: {problem}: {remedy}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where in it: empty, or `, line 3, column 7`, or `, at examples[2].target`.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}
