//! From texts to tokens: where a prompt ends and an answer begins, what stands before a text, and what is cut off.

use saltus_lm::{self as lm, ScoreRequest, TokenId, Tokenizer};
use saltus_task::{Candidate, Question, Role};

/// Where a prompt ends and an answer begins, in tokens: a named variable of every measurement, because tokenizers merge
/// characters of both (with GPT-2's, the prompt's last token changes in nine of ten BIG-bench questions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Prompt and answer are encoded apart, as BIG-bench does it.
    BigBench,
    /// White space at the prompt's end goes over to the answer; both are encoded together, and the answer's tokens are
    /// those behind as many as the prompt alone has: lm-evaluation-harness's rule.
    LmEval,
    /// Both are encoded together, and the answer's tokens are those from the first one on in which the joint encoding
    /// differs from that of the prompt alone.
    Joint,
}

impl Boundary {
    /// All rules.
    pub const ALL: [Boundary; 3] = [Boundary::BigBench, Boundary::LmEval, Boundary::Joint];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Boundary::BigBench => "bigbench",
            Boundary::LmEval => "lm-eval",
            Boundary::Joint => "joint",
        }
    }
}

/// What happens to a question that is longer than the model's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// It is not asked, and says so.
    Refuse,
    /// The beginning of its prompt is cut off, as lm-evaluation-harness does it.
    Truncate,
}

/// How texts become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// Where a prompt ends.
    pub boundary: Boundary,
    /// What happens to what is too long.
    pub overflow: Overflow,
}

/// A question in tokens; it fits the context.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// For each candidate what is asked; none for an empty text, several for a text longer than the context.
    pub(crate) candidates: Vec<Vec<ScoreRequest>>,
    /// What generation begins behind.
    pub(crate) generate: Option<Vec<TokenId>>,
}

/// What a question's texts are encoded with.
pub(crate) struct Encoder<'a> {
    pub(crate) tokenizer: &'a dyn Tokenizer,
    /// The model's context, in tokens.
    pub(crate) context: usize,
    pub(crate) encoding: Encoding,
}

impl Encoder<'_> {
    /// A question in tokens.
    ///
    /// # Errors
    /// In words, what keeps it from being asked.
    pub(crate) fn question(&self, question: &Question) -> Result<Encoded, String> {
        if question.candidates.is_empty() && question.generate.is_none() {
            return Err("the question has no candidates and asks for no generation: give it one of them".to_owned());
        }
        // The prompt is read once for all candidates that stand behind it.
        let mut prompt = None;
        let mut candidates = Vec::with_capacity(question.candidates.len());
        for (number, candidate) in question.candidates.iter().enumerate() {
            let requests = self.candidate(question, candidate, &mut prompt);
            candidates.push(requests.map_err(|problem| problem.about(&format!("candidate {number}")))?);
        }
        let generate = match &question.generate {
            None => None,
            Some(generate) => {
                let mut tokens = self.context_of(&question.prompt).map_err(|p| p.about("the prompt"))?;
                let cut = self.cut(tokens.len(), generate.max_tokens)?;
                Some(tokens.split_off(cut))
            }
        };
        Ok(Encoded { candidates, generate })
    }

    fn candidate(
        &self,
        question: &Question,
        candidate: &Candidate,
        prompt: &mut Option<Vec<TokenId>>,
    ) -> Result<Vec<ScoreRequest>, Problem> {
        if candidate.text.is_empty() {
            return Ok(Vec::new());
        }
        if candidate.role == Role::Text {
            return self.windows(&candidate.text);
        }
        let (mut context, continuation) = match &candidate.context {
            Some(other) => self.split(other, &candidate.text, &mut None)?,
            None => self.split(&question.prompt, &candidate.text, prompt)?,
        };
        // The last token is predicted, not read: it may stand beyond the context.
        let spare = usize::from(self.encoding.overflow == Overflow::Truncate);
        let cut = self.cut(context.len(), continuation.len() - spare).map_err(Problem::Whole)?;
        Ok(vec![ScoreRequest { context: context.split_off(cut), continuation }])
    }

    /// Tokens of context and continuation; `known` is the encoded context, and becomes it.
    fn split(
        &self,
        context: &str,
        continuation: &str,
        known: &mut Option<Vec<TokenId>>,
    ) -> Result<(Vec<TokenId>, Vec<TokenId>), Problem> {
        if context.is_empty() || self.encoding.boundary == Boundary::BigBench {
            let context = self.known_context(context, known)?;
            let continuation = self.encode(continuation)?;
            return Ok((context, continuation));
        }
        let kept = match self.encoding.boundary {
            Boundary::LmEval => context.trim_end_matches(saltus_task::lm_eval::is_space),
            _ => context,
        };
        let before = self.known_context(kept, known)?;
        let mut whole: Vec<TokenId> = self.tokenizer.prefix().into_iter().collect();
        whole.extend(self.encode(&format!("{context}{continuation}"))?);
        let at = match self.encoding.boundary {
            Boundary::LmEval => before.len().min(whole.len()),
            _ => before.iter().zip(&whole).take_while(|(a, b)| a == b).count().min(whole.len() - 1),
        };
        let continuation = whole.split_off(at);
        if continuation.is_empty() {
            let problem = "adds no token to its prompt: its characters are part of the prompt's last token; \
                           take another boundary rule";
            return Err(Problem::Text(problem.into()));
        }
        // What stands before is read as the joint encoding has it, which may differ from the prompt alone.
        if whole.is_empty() {
            whole = self.separator().into_iter().collect();
        }
        if whole.is_empty() {
            return Err(self.no_context());
        }
        Ok((whole, continuation))
    }

    fn known_context(&self, text: &str, known: &mut Option<Vec<TokenId>>) -> Result<Vec<TokenId>, Problem> {
        if known.is_none() {
            *known = Some(self.context_of(text).map_err(Problem::into_context)?);
        }
        Ok(known.clone().unwrap_or_default())
    }

    /// Tokens of a context: what the model expects before a text, and the text.
    fn context_of(&self, text: &str) -> Result<Vec<TokenId>, Problem> {
        if text.is_empty() {
            return match self.separator() {
                Some(separator) => Ok(vec![separator]),
                None => Err(self.no_context()),
            };
        }
        let mut tokens: Vec<TokenId> = self.tokenizer.prefix().into_iter().collect();
        tokens.extend(self.encode(text)?);
        Ok(tokens)
    }

    fn separator(&self) -> Option<TokenId> {
        self.tokenizer.prefix().or_else(|| self.tokenizer.separator())
    }

    fn no_context(&self) -> Problem {
        let problem = "there is nothing before it, and the model has no token for the beginning of a text: \
                       write a prompt";
        Problem::Whole(problem.into())
    }

    fn encode(&self, text: &str) -> Result<Vec<TokenId>, Problem> {
        match self.tokenizer.encode(text) {
            Ok(tokens) if tokens.is_empty() => Err(Problem::Text("has no tokens: give it some text".into())),
            Ok(tokens) => Ok(tokens),
            Err(error) => Err(Problem::Text(format!("cannot be encoded: {error}"))),
        }
    }

    /// How many tokens of a context are cut off at its beginning if `more` follow.
    fn cut(&self, length: usize, more: usize) -> Result<usize, String> {
        let tokens = length + more;
        match self.encoding.overflow {
            _ if tokens <= self.context => Ok(0),
            Overflow::Truncate if more < self.context => Ok(tokens - self.context),
            _ => Err(lm::Error::TooLong { tokens, context: self.context }.to_string()),
        }
    }

    /// A text from its first token on: the first window begins with the separator, later ones have as much context as
    /// fits, and each token is predicted once (`get_rolling_token_windows` of lm-evaluation-harness).
    fn windows(&self, text: &str) -> Result<Vec<ScoreRequest>, Problem> {
        let Some(separator) = self.separator() else { return Err(self.no_context()) };
        let tokens = self.encode(text)?;
        let first = tokens.len().min(self.context);
        let mut windows = vec![ScoreRequest { context: vec![separator], continuation: tokens[..first].to_vec() }];
        let mut predicted = first;
        while predicted < tokens.len() {
            let end = tokens.len().min(predicted + self.context);
            // A window reads as many tokens as the context has, the last token predicted not being read.
            let context = tokens[end - 1 - self.context..predicted].to_vec();
            windows.push(ScoreRequest { context, continuation: tokens[predicted..end].to_vec() });
            predicted = end;
        }
        Ok(windows)
    }
}

/// What is wrong, before it is said with what.
enum Problem {
    /// With the text itself.
    Text(String),
    /// With the prompt that it stands behind.
    Context(String),
    /// With both together; said as it is.
    Whole(String),
}

impl Problem {
    fn into_context(self) -> Self {
        match self {
            Problem::Text(problem) => Problem::Context(problem),
            other => other,
        }
    }

    fn about(self, text: &str) -> String {
        match self {
            Problem::Text(problem) => format!("{text} {problem}"),
            Problem::Context(problem) => format!("the prompt {problem}"),
            Problem::Whole(problem) => problem,
        }
    }
}
