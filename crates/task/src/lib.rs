//! Questions to ask a model: generated task families, BIG-bench-style `task.json`, JSONL. Knows no model.

/// Text that a model is trained on, with the parts that count for the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The text of one training item, for example `P438+253=0691`.
    pub text: String,
    /// Byte ranges of `text` whose characters are predicted for the loss, in order.
    pub scored: Vec<std::ops::Range<usize>>,
}

/// How the answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Style {
    /// The answer at once.
    Direct,
    /// Intermediate results first.
    StepByStep,
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
    /// Candidates that are scored. An open question has one: the right answer.
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
    /// Task within the family.
    pub task: String,
    /// Style.
    pub style: Style,
    /// Solved examples in each prompt.
    pub shots: u32,
    /// Score of blind guessing, in [0, 1).
    pub chance: f64,
    /// The questions; the same for every model of a study.
    pub questions: Vec<Question>,
}
