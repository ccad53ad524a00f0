//! The types of a measurement: which model, which question, and all the evidence that came back.

/// Which model was asked. Every number carries its convention in its name.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelKey {
    /// What it is called: the rung of a ladder, for example `48x2`, or where it was read from.
    pub name: String,
    /// Width of the residual stream.
    pub width: u32,
    /// Number of layers.
    pub layers: u32,
    /// Parameters without the embedding and the head.
    pub params_non_embedding: u64,
    /// All parameters.
    pub params_total: u64,
    /// Hash of the weights, hex; empty where they were not looked at.
    pub weights: String,
    /// Hash of the tokenizer, hex.
    pub tokenizer: String,
    /// How it was trained, where that is known.
    pub training: Option<Training>,
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// The ladder it belongs to, for example `main` or `one-layer`.
    pub ladder: String,
    /// Training seed.
    pub seed: u64,
    /// Optimiser step of the checkpoint.
    pub step: u64,
    /// Training tokens (positions) seen at that step.
    pub tokens: u64,
    /// Training compute up to that step by 6 N D, N without embeddings, in FLOPs.
    pub flops_6nd: f64,
}

/// Which question was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionKey {
    /// Task family, for example `addition`.
    pub family: String,
    /// Task within the family, for example `3-digit plain`.
    pub task: String,
    /// Part of the task that is scored on its own; empty where there are none.
    pub subtask: String,
    /// `direct` or `step-by-step`.
    pub style: String,
    /// Solved examples in the prompt.
    pub shots: u32,
    /// `fresh` (new shots for each question) or `fixed` (one set for the task).
    pub shot_mode: String,
    /// Seed of the draw of shots.
    pub shot_seed: u64,
    /// Where the prompt ends and the answer begins, in tokens: `bigbench` (encoded apart), `lm-eval` or `joint`;
    /// `none` where gaps in a text are filled.
    pub boundary: String,
    /// Number of the item within the task; the same for every model, however many are asked.
    pub item: u32,
    /// Number of the first item that it shares a passage with, else its own.
    pub cluster: u32,
    /// Hash of the prompt text, hex.
    pub prompt: String,
    /// Score of blind guessing for the choice or exact-match metric, in [0, 1).
    pub chance: f64,
}

/// What the log-probability of a candidate was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// One of several answers to choose among.
    Choice,
    /// A right answer to an open question, which a generated text is compared with.
    Target,
    /// A choice without its question: how likely it is anyway.
    Unconditional,
    /// A whole text from its first token on.
    Text,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Choice, Role::Target, Role::Unconditional, Role::Text];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Role::Choice => "choice",
            Role::Target => "target",
            Role::Unconditional => "unconditional",
            Role::Text => "text",
        }
    }
}

/// Evidence for one candidate answer: one Parquet row for each item and candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Number of the candidate within the item.
    pub index: u32,
    /// What its log-probability was asked for.
    pub role: Role,
    /// What was scored, delimiter and all.
    pub text: String,
    /// The answer itself where that is another text: its length is what normalises.
    pub answer: Option<String>,
    /// 1 for a right answer, 0 for a wrong one; BIG-bench allows values between.
    pub target_score: f64,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Natural-log probability of each token given all true tokens before it.
    pub logprobs: Vec<f32>,
    /// Whether each token was the model's most probable one, given all true tokens before it.
    pub is_argmax: Vec<bool>,
}

impl Candidate {
    /// The answer itself, without a delimiter.
    pub fn answer(&self) -> &str {
        self.answer.as_deref().unwrap_or(&self.text)
    }

    /// Whether every token was the model's most probable one.
    pub fn is_greedy(&self) -> bool {
        self.is_argmax.iter().all(|&hit| hit)
    }

    /// Summed log-probability, in nats.
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|&x| f64::from(x)).sum()
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Evidence; `generated` is the greedy continuation, in tokens and as text, where one was asked for.
    Scored {
        /// The candidates, in order.
        candidates: Vec<Candidate>,
        /// Greedy continuation.
        generated: Option<Generated>,
    },
    /// Nothing came back; why, and what to do about it.
    Unscored(String),
}

/// A generated continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Its tokens, without those of a stop that is not part of the text.
    pub tokens: Vec<u32>,
    /// Its text.
    pub text: String,
}

/// One item asked of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which model.
    pub model: ModelKey,
    /// Which question.
    pub question: QuestionKey,
    /// The evidence.
    pub outcome: Outcome,
}

/// One point of a training curve.
#[derive(Clone, Debug, PartialEq)]
pub struct LossPoint {
    /// Which model, at which step.
    pub model: ModelKey,
    /// Mean training loss since the point before, nats per scored token.
    pub train_loss: f64,
    /// Learning rate at this step.
    pub learning_rate: f64,
    /// Mean gradient norm before clipping since the point before.
    pub gradient_norm: f64,
}

/// One number read inside a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which model.
    pub model: ModelKey,
    /// What was looked at: `knowledge`, `memories`, `heads`, `prompt`, `causal`.
    pub look: String,
    /// How: `logit-lens`, `tuned-lens`, `masked-head`, `restore-mlp` ...; empty where there is one way only.
    pub method: String,
    /// The part that the number is about: a relation, a removed token's place; empty: all together.
    pub group: String,
    /// What the number is, in the field's words: `p_at_1`, `agreement`, `induction` ...
    pub metric: String,
    /// Layer, from 1; 0 is the embedding; none: the whole model.
    pub layer: Option<u32>,
    /// Number of the head or hidden unit in its layer, from 0.
    pub unit: Option<u32>,
    /// Number of the item, where the number is about one.
    pub item: Option<u32>,
    /// The number.
    pub value: f64,
    /// Two-sided 95% interval, where there is one.
    pub interval: Option<(f64, f64)>,
    /// Items that it is a mean of; 1 for one item.
    pub n: u64,
    /// The same of a model that knows nothing, where that is known.
    pub chance: Option<f64>,
}

impl Observation {
    /// One number about a whole model, of one item, with nothing beside it: what differs is set by the caller.
    pub fn new(model: &ModelKey, look: &str, metric: &str, value: f64) -> Self {
        Observation {
            model: model.clone(),
            look: look.to_owned(),
            method: String::new(),
            group: String::new(),
            metric: metric.to_owned(),
            layer: None,
            unit: None,
            item: None,
            value,
            interval: None,
            n: 1,
            chance: None,
        }
    }

    /// What is compared over models, in words: everything that says what the number is, but not which model.
    pub fn task(&self) -> String {
        let layer = self.layer.map(|layer| format!("layer {layer}"));
        let unit = self.unit.map(|unit| format!("unit {unit}"));
        let words = [Some(self.look.clone()), Some(self.method.clone()), Some(self.group.clone()), layer, unit];
        words.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}
