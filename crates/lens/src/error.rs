//! Why a look could not be taken.

/// Each says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A sequence longer than the model's context.
    #[error("{tokens} tokens do not fit the model's context of {context}: give shorter texts")]
    TooLong {
        /// Tokens given.
        tokens: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// A sequence without tokens.
    #[error("a text without tokens: give at least one token")]
    Empty,
    /// A token that the model does not know.
    #[error("token {token} in a model with a vocabulary of {vocabulary}: use the model's own tokenizer")]
    Vocabulary {
        /// The token.
        token: u32,
        /// Tokens that there are.
        vocabulary: usize,
    },
    /// Layers that the model does not have.
    #[error("there is no layer {layer} in a model of {layers} layers: write 1 to {layers}")]
    Layer {
        /// The layer asked for, from 1.
        layer: usize,
        /// Layers that there are.
        layers: usize,
    },
    /// Logits or attention that are not finite.
    #[error("the model says what is no number: its weights are damaged, or are read as another format than theirs")]
    Unsound,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
