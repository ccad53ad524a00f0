//! What any language model can be asked: the one interface between models and measurements.
//!
//! Requests are in *tokens*, because where a prompt ends and an answer begins is a choice of the measurement (the
//! boundary rule), not of the model; the tokenizer is part of the interface so that the choice can be made outside.
//! A score keeps every token's log-probability: accuracy, p^L or Brier are views computed later.

mod prefix;

pub use prefix::{Node, PrefixTree};

/// The number of a token in a model's vocabulary.
pub type TokenId = u32;

/// Text to tokens and back. `decode(encode(text)) == text` wherever `encode` succeeds.
pub trait Tokenizer: Send + Sync {
    /// Tokens of `text`, without any special tokens added.
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, Error>;
    /// The text of `tokens`; what is no valid UTF-8 becomes U+FFFD.
    fn decode(&self, tokens: &[TokenId]) -> String;
    /// Number of tokens in the vocabulary.
    fn vocabulary(&self) -> usize;
    /// A hash of everything that determines `encode` and `decode`, in hex.
    fn identity(&self) -> String;
    /// The token that the model's own tokenizer puts before every text, if it does.
    fn prefix(&self) -> Option<TokenId> {
        None
    }
    /// What a model reads where there is no text before: its beginning-of-text token, else one that ends a text.
    fn separator(&self) -> Option<TokenId> {
        None
    }
    /// The tokens that end a text or a turn.
    fn ends(&self) -> &[TokenId] {
        &[]
    }
}

/// The tokenizer of a model that is asked in tokens alone: it has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoText {
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
}

impl Tokenizer for NoText {
    /// No text has a token, except the empty one.
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, Error> {
        match text.chars().next() {
            None => Ok(Vec::new()),
            Some(first) => Err(Error::NoToken { text: first.into(), at: 0 }),
        }
    }
    fn decode(&self, _: &[TokenId]) -> String {
        String::new()
    }
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }
    fn identity(&self) -> String {
        format!("no text, {} tokens", self.vocabulary)
    }
}

/// One question to a model: how likely is `continuation` after `context`?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreRequest {
    /// What the model has read; not empty (a model of ours has no beginning-of-text token: the first token of a text
    /// has no probability).
    pub context: Vec<TokenId>,
    /// What is scored; not empty.
    pub continuation: Vec<TokenId>,
}

/// The answer to a [`ScoreRequest`]: one entry for each token of the continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Natural-log probability of each continuation token given all before it.
    pub logprobs: Vec<f32>,
    /// The most probable token at each position (lowest id on ties), given the *true* tokens before it.
    pub argmax: Vec<TokenId>,
}

impl Score {
    /// Summed log-probability, in nats.
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|&x| f64::from(x)).sum()
    }
}

/// A question to a model that sees both ways: which tokens stand at some places of a text?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillRequest {
    /// The text with everything that the model expects in it: mask tokens where it is asked, its beginning and its ends.
    pub tokens: Vec<TokenId>,
    /// The first token of the second of two sentences; as many as there are tokens, if there is one sentence.
    pub second: usize,
    /// Places in `tokens`, ascending, and the tokens whose log-probability is wanted there.
    pub targets: Vec<(usize, TokenId)>,
}

/// A request to continue `context`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What the model has read; not empty.
    pub context: Vec<TokenId>,
    /// At most this many tokens are generated.
    pub max_tokens: usize,
    /// Generation ends before any of these tokens; the stop token is not part of the answer.
    pub stop: Vec<TokenId>,
    /// Generation ends where the text of the answer holds any of these, wherever its tokens end; the text is cut before
    /// it.
    pub stop_text: Vec<String>,
    /// How each token is chosen.
    pub sampling: Sampling,
}

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most probable, the lowest id on ties.
    Greedy,
    /// At random, as `transformers` does it: probabilities at `temperature`, of these the `top_k` most probable, of
    /// these the fewest that together have at least `top_p`.
    Random {
        /// Logits are divided by this; above 0.
        temperature: f32,
        /// How many tokens are considered; 0: all.
        top_k: usize,
        /// Share of the probability that is considered, in (0, 1].
        top_p: f32,
        /// The same seed chooses the same tokens.
        seed: u64,
    },
}

/// The answer to a [`GenerateRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The tokens generated, without a stop token; those of a stop text are among them.
    pub tokens: Vec<TokenId>,
    /// Their text, cut before a stop text.
    pub text: String,
    /// Why it ended.
    pub end: End,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As many tokens as asked for.
    Length,
    /// A stop token.
    Token,
    /// A stop text.
    Text,
}

/// What a model can do, so that a measurement is refused before it starts rather than answered by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The longest context plus continuation, in tokens.
    pub context: usize,
    /// Log-probabilities of given continuations are available.
    pub scores: bool,
    /// Text can be generated.
    pub generates: bool,
    /// Log-probabilities at masked places are available: the model sees both ways.
    pub fills: bool,
}

/// A language model.
pub trait LanguageModel: Send + Sync {
    /// What this model can do.
    fn capabilities(&self) -> Capabilities;
    /// Its tokenizer.
    fn tokenizer(&self) -> &dyn Tokenizer;
    /// Scores each request. Results are in the order of the requests and do not depend on how they are batched.
    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>, Error>;
    /// Continues each context, in the order of the requests.
    fn generate(&self, requests: &[GenerateRequest]) -> Result<Vec<Generation>, Error>;
    /// Tokens read since the model was opened, for progress and for the books.
    fn tokens_read(&self) -> u64;
    /// Scores the targets of each request, in the order of the requests: a model that sees both ways (BERT).
    fn fill(&self, _: &[FillRequest]) -> Result<Vec<Score>, Error> {
        Err(Error::Other("this model reads from left to right and fills no gaps: score continuations instead".into()))
    }
}

/// Why a model did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Text that the tokenizer has no token for.
    #[error(
        "the tokenizer has no token for {text:?} at byte {at}: use a tokenizer that covers the text, or change the text"
    )]
    NoToken {
        /// The character without a token.
        text: String,
        /// Its byte offset.
        at: usize,
    },
    /// A request longer than the model's context.
    #[error("{tokens} tokens do not fit the model's context of {context}: shorten the prompt or use fewer shots")]
    TooLong {
        /// Tokens asked for.
        tokens: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// A request with nothing to read or nothing to score.
    #[error("a request with an empty {part}: give at least one token")]
    Empty {
        /// `context` or `continuation`.
        part: &'static str,
    },
    /// Anything else, from behind the interface.
    #[error("{0}")]
    Other(String),
}
