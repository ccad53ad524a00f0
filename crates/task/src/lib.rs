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
mod mersenne_twister;
mod passages;
mod read;

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
pub use identity::{prompt_identity, questions_identity};

use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

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

/// Where the solved examples of a prompt come from: a named variable of every measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShotMode {
    /// New ones for each question, as BIG-bench and lm-evaluation-harness draw them.
    Fresh,
    /// One set for all questions of the task. Prompts share their beginning, which makes them cheap.
    Fixed,
}

impl std::fmt::Display for ShotMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ShotMode::Fresh => "fresh",
            ShotMode::Fixed => "fixed",
        })
    }
}

/// What the log-probability of a text is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// One of several answers to choose among.
    Choice,
    /// A right answer to an open question, which a generated text is compared with.
    Target,
    /// A choice without its question: how likely it is anyway.
    Unconditional,
    /// A whole text from its first token on, in windows where it is longer than the model's context.
    Text,
}

/// A text whose log-probability is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What for.
    pub role: Role,
    /// What the model reads before it where that is not the prompt; may be empty.
    pub context: Option<Arc<str>>,
    /// What is scored, as it stands behind the context.
    pub text: String,
    /// The answer itself where that is another text (without a delimiter, or part of the context): its length is what
    /// normalises.
    pub answer: Option<String>,
    /// 1 right, 0 wrong; BIG-bench allows values between.
    pub score: f64,
}

impl Candidate {
    /// One of several answers.
    pub fn choice(text: impl Into<String>, score: f64) -> Self {
        Self { role: Role::Choice, context: None, text: text.into(), answer: None, score }
    }

    /// A right answer to an open question.
    pub fn target(text: impl Into<String>) -> Self {
        Self { role: Role::Target, context: None, text: text.into(), answer: None, score: 1.0 }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its number in the task, the same however many are asked.
    pub number: u32,
    /// The number of the first question that it shares a passage with, else its own: such questions are no independent
    /// evidence.
    pub cluster: u32,
    /// What the model reads; may be empty.
    pub prompt: Arc<str>,
    /// Candidates that are scored. A step-by-step answer is the whole scratchpad.
    pub candidates: Vec<Candidate>,
    /// Ask for a continuation too.
    pub generate: Option<Generate>,
}

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Generate {
    /// At most so many tokens.
    pub max_tokens: usize,
    /// Generation ends with the first of these texts.
    pub stop: Vec<String>,
    /// Whether the stop that ended it is part of the answer; then one at the very beginning ends nothing.
    pub keep_stop: bool,
    /// Draw each token at this temperature; without one the most probable token is taken.
    pub temperature: Option<f32>,
}

/// The questions of one measured cell: one task in one style with one number of shots.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionSet {
    /// Task family, for example `addition`.
    pub family: String,
    /// Task within the family, for example `3-digit plain`.
    pub task: String,
    /// Part of the task that is scored on its own; empty where there are none.
    pub subtask: String,
    /// Style.
    pub style: Style,
    /// Solved examples in each prompt.
    pub shots: u32,
    /// Where they come from.
    pub shot_mode: ShotMode,
    /// The seed of their draw; 0 where nothing is drawn by one.
    pub shot_seed: u64,
    /// Score of blind guessing, in [0, 1): for candidates, the mean score of one drawn uniformly; for an open answer
    /// of a generated family, the chance to hit all its characters; 0 for a task file's open answers and for text.
    pub chance: f64,
    /// The questions; the same for every model of a study.
    pub questions: Vec<Question>,
}

/// A question before it has its number: prompt, candidates, how to generate.
pub type Asked = (String, Vec<Candidate>, Option<Generate>);

impl QuestionSet {
    /// A set in direct style without shots, its questions numbered.
    pub fn direct(
        family: &str,
        task: impl Into<String>,
        chance: f64,
        questions: impl IntoIterator<Item = Asked>,
    ) -> Self {
        let question = |(number, (prompt, candidates, generate)): (u32, Asked)| Question {
            number,
            cluster: number,
            prompt: prompt.into(),
            candidates,
            generate,
        };
        Self {
            family: family.into(),
            task: task.into(),
            subtask: String::new(),
            style: Style::Direct,
            shots: 0,
            shot_mode: ShotMode::Fixed,
            shot_seed: 0,
            chance,
            questions: (0..).zip(questions).map(question).collect(),
        }
    }
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
