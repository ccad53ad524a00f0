//! A model that answers questions.

use crate::{Cache, Chunk, Model, NoTaps, Weights, generate::generate};
use rayon::prelude::*;
use saltus_lm::{
    Capabilities, Error, GenerateRequest, Generation, LanguageModel, Score, ScoreRequest, TokenId, Tokenizer,
};
use std::{ops::Range, sync::Arc};

/// A model with its tokenizer; implements [`LanguageModel`] on the threads of the caller's pool.
pub struct LocalModel {
    model: Model,
    tokenizer: Arc<dyn Tokenizer>,
    overflow: Overflow,
}

/// What happens to a request that is longer than the model's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It is an error.
    Refuse,
    /// Its beginning is cut off, as lm-evaluation-harness does it.
    TruncateLeft,
}

/// Positions scored together: sequences are packed one after another up to here.
const PACKED: usize = 512;

/// Bytes of keys and values while generating.
const CACHE: usize = 1 << 30;

impl LocalModel {
    /// Weights in memory and the tokenizer that they were trained with. Requests that are too long are refused.
    pub fn new(weights: Weights<f32>, tokenizer: Arc<dyn Tokenizer>) -> Self {
        Self::of(weights.into(), tokenizer, Overflow::Refuse)
    }

    /// Any model and its tokenizer.
    pub fn of(model: Model, tokenizer: Arc<dyn Tokenizer>, overflow: Overflow) -> Self {
        LocalModel { model, tokenizer, overflow }
    }

    /// The model itself.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What is kept of `context` if `more` tokens follow.
    fn fit<'a>(&self, context: &'a [TokenId], more: usize) -> Result<&'a [TokenId], Error> {
        let (length, most) = (context.len() + more, self.model.config.context);
        if context.is_empty() {
            return Err(Error::Empty { part: "context" });
        }
        match self.overflow {
            _ if length <= most => Ok(context),
            Overflow::TruncateLeft if more < most => Ok(&context[length - most..]),
            _ => Err(Error::TooLong { tokens: length, context: most }),
        }
    }

    fn known(&self, tokens: &[TokenId]) -> Result<(), Error> {
        let vocabulary = self.model.config.vocabulary;
        match tokens.iter().find(|t| **t as usize >= vocabulary) {
            Some(token) => Err(Error::Other(format!(
                "token {token} in a model with a vocabulary of {vocabulary}: use the tokenizer the model was trained with"
            ))),
            None => Ok(()),
        }
    }

    /// What is read and where predictions are wanted: all but the last token of context and continuation.
    fn sequence(&self, request: &ScoreRequest) -> Result<Asked, Error> {
        let ScoreRequest { context, continuation } = request;
        self.known(context)?;
        self.known(continuation)?;
        if continuation.is_empty() {
            return Err(Error::Empty { part: "continuation" });
        }
        // The last token is predicted, not read: lm-evaluation-harness, too, lets it stand beyond the context.
        let spare = usize::from(self.overflow == Overflow::TruncateLeft);
        let mut tokens = self.fit(context, continuation.len() - spare)?.to_vec();
        let from = tokens.len() - 1;
        tokens.extend_from_slice(&continuation[..continuation.len() - 1]);
        Ok(Asked { tokens, from })
    }

    /// Scores requests in one pass.
    fn score_packed(&self, cache: &mut Cache, requests: &[ScoreRequest], asked: &[Asked]) -> Vec<Score> {
        let mut sequences: Vec<_> = asked.iter().map(|_| cache.begin()).collect();
        let mut chunks: Vec<Chunk<'_>> = asked
            .iter()
            .zip(&mut sequences)
            .map(|(asked, sequence)| Chunk {
                sequence,
                tokens: &asked.tokens,
                wanted: asked.from..asked.tokens.len(),
                segment: 0,
            })
            .collect();
        let Some(hidden) = self.model.forward(&mut chunks, cache, &mut NoTaps) else {
            unreachable!("the cache was made for these requests")
        };
        drop(chunks);
        sequences.into_iter().for_each(|sequence| cache.end(sequence));
        let targets: Vec<TokenId> = requests.iter().flat_map(|request| &request.continuation).copied().collect();
        let said = self.model.predictions(&hidden, &targets);
        let mut said = said.iter();
        requests
            .iter()
            .map(|request| {
                let said = said.by_ref().take(request.continuation.len());
                let (logprobs, argmax) = said.map(|p| (p.logprob as f32, p.argmax)).unzip();
                Score { logprobs, argmax }
            })
            .collect()
    }
}

/// What is read for a score, and the first position behind which a prediction is wanted.
struct Asked {
    tokens: Vec<TokenId>,
    from: usize,
}

/// How many of the first of `lengths` are packed together.
fn pack(lengths: &[Asked]) -> usize {
    let mut positions = 0;
    let fit = lengths.iter().take_while(|asked| {
        positions += asked.tokens.len();
        positions <= PACKED
    });
    fit.count().max(1)
}

impl LanguageModel for LocalModel {
    fn capabilities(&self) -> Capabilities {
        let causal = self.model.config.architecture.attention.causal;
        Capabilities { context: self.model.config.context, scores: causal, generates: causal }
    }

    fn tokenizer(&self) -> &dyn Tokenizer {
        &*self.tokenizer
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>, Error> {
        let asked = requests.iter().map(|request| self.sequence(request)).collect::<Result<Vec<_>, _>>()?;
        let mut packs = Vec::new();
        let mut from = 0;
        while from < asked.len() {
            let count = pack(&asked[from..]);
            packs.push(from..from + count);
            from += count;
        }
        let pages = |pack: &Range<usize>| asked[pack.clone()].iter().map(|a| Cache::pages_of(a.tokens.len())).sum();
        let most = packs.iter().map(pages).max().unwrap_or(0);
        let begin = || Cache::new(&self.model.config, most);
        let score = |cache: &mut Cache, pack: &Range<usize>| {
            self.score_packed(cache, &requests[pack.clone()], &asked[pack.clone()])
        };
        // Packs side by side need no waiting for one another; fewer packs than threads share each product.
        let scores: Vec<Vec<Score>> = rayon::scope(|_| match packs.len() >= rayon::current_num_threads() {
            true => packs.par_iter().map_init(begin, score).collect(),
            false => {
                let mut cache = begin();
                packs.iter().map(|pack| score(&mut cache, pack)).collect()
            }
        });
        Ok(scores.into_iter().flatten().collect())
    }

    fn generate(&self, requests: &[GenerateRequest]) -> Result<Vec<Generation>, Error> {
        let mut fitting = Vec::with_capacity(requests.len());
        for request in requests {
            self.known(&request.context)?;
            let context = self.fit(&request.context, request.max_tokens)?.to_vec();
            fitting.push(GenerateRequest { context, ..request.clone() });
        }
        // Within the pool: work handed to it from outside would wake its threads for every product.
        Ok(rayon::scope(|_| generate(&self.model, &*self.tokenizer, &fitting, CACHE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Config,
        config::tests::small,
        forward::{Activations, forward},
        plan::Plan,
    };
    use proptest::prelude::*;
    use saltus_lm::{NoText, Sampling};
    use saltus_random::Key;

    fn weights(config: &Config) -> Weights {
        let mut weights = Weights::init(config, Key::new(7));
        // Sharper than at the beginning, so that answers differ.
        weights.values[config.ends().head].iter_mut().for_each(|x| *x *= 8.0);
        weights
    }

    fn model(config: &Config) -> LocalModel {
        LocalModel::new(weights(config), Arc::new(NoText { vocabulary: config.vocabulary }))
    }

    fn tokens(seed: usize, length: usize) -> Vec<TokenId> {
        (0..length).map(|i| ((seed + 3) * (i + 2) * (i + seed) % 11) as TokenId).collect()
    }

    /// Logits at each position of one sequence, in f64.
    fn plain(weights: &Weights<f32>, tokens: &[TokenId]) -> Vec<Vec<f64>> {
        let mut plan = Plan::new(&weights.config, weights.config.context);
        plan.lay(std::iter::once((tokens, &vec![0; tokens.len()][..])));
        let mut to = Activations::new(1);
        forward(&weights.cast::<f64>(), &plan, &mut to);
        (0..tokens.len()).map(|t| to.logits.iter().skip(t).step_by(plan.scored.count).copied().collect()).collect()
    }

    fn logprob(logits: &[f64], token: TokenId) -> f64 {
        let max = logits.iter().copied().fold(f64::MIN, f64::max);
        logits[token as usize] - max - logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
    }

    #[test]
    fn scores_are_those_of_one_sequence_at_a_time() {
        let model = model(&small(false));
        let requests: Vec<ScoreRequest> = (0..90)
            .map(|i| ScoreRequest { context: tokens(i, 1 + i % 17), continuation: tokens(i + 1, 1 + i % 7) })
            .collect();
        let scores = model.score(&requests).unwrap();
        for (request, score) in requests.iter().zip(&scores) {
            let alone = &model.score(std::slice::from_ref(request)).unwrap()[0];
            assert_eq!(alone.argmax, score.argmax);
            assert!(alone.logprobs.iter().zip(&score.logprobs).all(|(a, b)| (a - b).abs() < 1e-5));
            let whole = [&request.context[..], &request.continuation].concat();
            let logits = plain(&weights(&small(false)), &whole);
            for (i, token) in request.continuation.iter().enumerate() {
                let logits = &logits[request.context.len() - 1 + i];
                assert!((logprob(logits, *token) - f64::from(score.logprobs[i])).abs() < 1e-5);
                assert!(logits.iter().all(|x| *x <= logits[score.argmax[i] as usize] + 1e-5));
            }
        }
    }

    #[test]
    fn generation_is_repeated_scoring() {
        let model = model(&small(true));
        let requests: Vec<GenerateRequest> = (0..70)
            .map(|i| GenerateRequest {
                context: tokens(i, 1 + i % 13),
                max_tokens: i % 11,
                stop: if i % 2 == 0 { vec![4, 9] } else { vec![] },
                stop_text: Vec::new(),
                sampling: Sampling::Greedy,
            })
            .collect();
        let answers = model.generate(&requests).unwrap();
        let mut stopped = 0;
        for (request, answer) in requests.iter().zip(&answers) {
            let mut context = request.context.clone();
            let mut expected = Vec::new();
            while expected.len() < request.max_tokens {
                let ask = ScoreRequest { context: context.clone(), continuation: vec![0] };
                let next = model.score(&[ask]).unwrap()[0].argmax[0];
                if request.stop.contains(&next) {
                    stopped += 1;
                    break;
                }
                expected.push(next);
                context.push(next);
            }
            assert_eq!(answer.tokens, expected);
        }
        assert!(stopped > 0 && answers.iter().any(|a| a.tokens.len() > 5));
    }

    #[test]
    fn what_cannot_be_answered_is_an_error() {
        let model = model(&small(false));
        let score = |context: Vec<TokenId>, continuation: Vec<TokenId>| {
            model.score(&[ScoreRequest { context, continuation }]).unwrap_err().to_string()
        };
        assert!(score(vec![], vec![1]).contains("empty context"));
        assert!(score(vec![1], vec![]).contains("empty continuation"));
        assert!(score(tokens(1, 20), tokens(1, 5)).contains("25 tokens do not fit the model's context of 24"));
        assert!(score(vec![1], vec![11]).contains("token 11 in a model with a vocabulary of 11"));
        let request = GenerateRequest {
            context: tokens(1, 20),
            max_tokens: 5,
            stop: vec![],
            stop_text: vec![],
            sampling: Sampling::Greedy,
        };
        assert!(model.generate(&[request]).unwrap_err().to_string().contains("25 tokens"));
        assert_eq!(model.score(&[]).unwrap(), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn probabilities_sum_to_one(seed in 0usize..1000, length in 1usize..23) {
            let model = model(&small(false));
            let context = tokens(seed, length);
            let requests: Vec<_> =
                (0..11).map(|t| ScoreRequest { context: context.clone(), continuation: vec![t] }).collect();
            let total: f64 = model.score(&requests).unwrap().iter().map(|s| s.total().exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-5);
        }
    }
}
