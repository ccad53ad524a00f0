//! The types of a measurement: which model, which question, and all the evidence that came back.

/// Which model was asked. Every number carries its convention in its name.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelKey {
    /// The ladder it belongs to, for example `main` or `one-layer`.
    pub ladder: String,
    /// Its rung, for example `48x2`.
    pub rung: String,
    /// Width of the residual stream.
    pub width: u32,
    /// Number of layers.
    pub layers: u32,
    /// Parameters without the embedding and the head.
    pub params_non_embedding: u64,
    /// All parameters.
    pub params_total: u64,
    /// Training seed.
    pub seed: u64,
    /// Optimiser step of the checkpoint.
    pub step: u64,
    /// Training tokens (positions) seen at that step.
    pub tokens: u64,
    /// Training compute up to that step by 6 N D, N without embeddings, in FLOPs.
    pub flops_6nd: f64,
    /// Hash of the weights, hex.
    pub weights: String,
}

/// Which question was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionKey {
    /// Task family, for example `addition`.
    pub family: String,
    /// Task within the family, for example `3-digit plain`.
    pub task: String,
    /// `direct` or `step-by-step`.
    pub style: String,
    /// Solved examples in the prompt.
    pub shots: u32,
    /// Number of the item within the task; the same for every model of a study.
    pub item: u32,
    /// Hash of the prompt text, hex.
    pub prompt: String,
    /// Score of blind guessing for the choice or exact-match metric, in [0, 1).
    pub chance: f64,
}

/// Evidence for one candidate answer: one Parquet row for each item and candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Number of the candidate within the item.
    pub index: u32,
    /// Its text.
    pub text: String,
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

/// A greedy continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Its tokens, without the stop token.
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
