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
    /// A model that sees what follows has no prefixes.
    #[error("the model sees both ways, and its memories have no prefixes as triggers: use a model that sees one way")]
    BothWays,
    /// Fewer sentences than triggers wanted.
    #[error(
        "{sentences} sentences for the top {top} triggers of each key, one a sentence: give more text or ask for fewer"
    )]
    FewSentences {
        /// Sentences that there are.
        sentences: usize,
        /// Triggers wanted of each key.
        top: usize,
    },
    /// Activations that are no numbers.
    #[error("the activations of layer {layer} are no finite numbers: the weights are broken, fetch them again")]
    NotFinite {
        /// The layer, from 1.
        layer: usize,
    },
    /// Logits or attention that are not finite.
    #[error("the model says what is no number: its weights are damaged, or are read as another format than theirs")]
    Unsound,
    /// Subjects that are to be swapped, and have no others.
    #[error(
        "no subject can be swapped: none has another of as many tokens, of the same relation and with another object; corrupt \
         subjects with noise"
    )]
    NoOther,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
