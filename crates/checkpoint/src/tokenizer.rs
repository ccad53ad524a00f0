//! Tokenizers as models' files bring them.

mod gguf;
mod json;
mod llama2c;
mod scored;

use crate::Error;
use saltus_lm::{TokenId, Tokenizer};
use scored::Scored;
use std::path::{Path, PathBuf};

/// The token that a model expects before a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The token.
    pub token: TokenId,
    /// Whether the model's own tokenizer puts it there unasked. (GPT-2 has one that is not added.)
    pub added: bool,
}

/// The tokenizer of a model's files.
///
/// Text is data: what looks like a special token in it (`<|endoftext|>`, `<bos>`) is encoded as the characters it is
/// made of, and nothing is added before or after. Special tokens come from [`FileTokenizer::beginning`],
/// [`FileTokenizer::end`] and [`FileTokenizer::special`] alone. Tokens that a tokenizer adds as plain text (runs of
/// white space in Gemma's) are found in text as always.
///
/// `decode(encode(text)) == text` holds for byte-level and score-based tokenizers. It does not where a model's own
/// tokenizer changes the text it reads: BERT's makes it lower-case, Pythia's and Qwen's bring it to Unicode's NFC, and
/// SentencePiece takes `▁` (U+2581) for a space. `decode` shows special tokens as their names.
pub struct FileTokenizer {
    path: PathBuf,
    model: Model,
    vocabulary: usize,
    beginning: Option<Beginning>,
    end: Vec<TokenId>,
    identity: String,
}

enum Model {
    /// Through the `tokenizers` crate.
    Pipeline(Box<json::Pipeline>),
    /// Greedy merges by score.
    Scored(Box<Scored>),
}

impl FileTokenizer {
    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token that the model expects before a text, where it has one.
    pub fn beginning(&self) -> Option<Beginning> {
        self.beginning
    }

    /// The tokens that end a text or a turn, ascending; empty where none is known.
    pub fn end(&self) -> &[TokenId] {
        &self.end
    }

    /// The special token of this name (`<|im_start|>`), which `encode` never gives.
    pub fn special(&self, name: &str) -> Option<TokenId> {
        match &self.model {
            Model::Pipeline(pipeline) => pipeline.special(name),
            Model::Scored(scored) => scored.special(name),
        }
    }

    /// Whether the white space before this special token belongs to it, as before RoBERTa's mask: what stands there is a
    /// word with the space before it.
    pub fn takes_space(&self, token: TokenId) -> bool {
        match &self.model {
            Model::Pipeline(pipeline) => pipeline.takes_space(token),
            Model::Scored(_) => false,
        }
    }

    /// Every token has a row among the `rows` of the model's embedding. (More rows than tokens are usual: padding.)
    pub fn fits(&self, rows: usize) -> Result<(), Error> {
        if self.vocabulary <= rows {
            return Ok(());
        }
        let problem =
            format!("expected tokens below {rows}, the rows of the embedding, found {} tokens", self.vocabulary);
        Err(Error::file(&self.path, problem, "the tokenizer and the weights are of two models; give both of one"))
    }
}

impl Tokenizer for FileTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
        match &self.model {
            Model::Pipeline(pipeline) => pipeline.encode(text),
            Model::Scored(scored) => scored.encode(text),
        }
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        match &self.model {
            Model::Pipeline(pipeline) => pipeline.decode(tokens),
            Model::Scored(scored) => scored.decode(tokens),
        }
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn prefix(&self) -> Option<TokenId> {
        self.beginning.filter(|beginning| beginning.added).map(|beginning| beginning.token)
    }

    fn separator(&self) -> Option<TokenId> {
        self.beginning.map(|beginning| beginning.token).or_else(|| self.end.first().copied())
    }

    fn ends(&self) -> &[TokenId] {
        &self.end
    }
}
