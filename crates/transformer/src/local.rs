//! A model that answers questions.

use crate::{
    Cache, Chunk, Hidden, Model, NoTaps, Weights,
    generate::{awake, generate},
    score::{Asked, Limits, score},
};
use rayon::prelude::*;
use saltus_compute::{BLOCK, Prediction};
use saltus_lm::{
    Capabilities, Error, FillRequest, GenerateRequest, Generation, LanguageModel, Score, ScoreRequest, TokenId,
    Tokenizer,
};
use std::sync::{Arc, atomic::Ordering};

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

/// Bytes of keys and values that are kept for more than one pass.
const CACHE: usize = 1 << 30;

const LIMITS: Limits = Limits { pass: 512, largest_pass: 1024, trunk_pass: 2048, memory: CACHE };

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

    fn unsound(&self) -> Error {
        Error::Other(format!("the model's logits are no numbers: {}", self.model.why_unsound()))
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

    /// Whether a request can be answered: nothing of it is cut off, because what stands on either side counts.
    fn fillable(&self, request: &FillRequest) -> Result<(), Error> {
        let (length, context) = (request.tokens.len(), self.model.config.context);
        if self.model.config.architecture.attention.causal {
            return Err(Error::Other(
                "the model reads from left to right and fills no gaps: use BERT, for example".into(),
            ));
        }
        if length > context {
            return Err(Error::TooLong { tokens: length, context });
        }
        if length == 0 {
            return Err(Error::Empty { part: "text" });
        }
        if request.targets.is_empty() {
            return Err(Error::Empty { part: "list of targets" });
        }
        let places: Vec<usize> = request.targets.iter().map(|(place, _)| *place).collect();
        if !places.is_sorted() || places.last().is_some_and(|last| *last >= length) {
            return Err(Error::Other(format!(
                "targets at {places:?} of {length} tokens: give places in the text, ascending"
            )));
        }
        self.known(&request.tokens)?;
        self.known(&request.targets.iter().map(|(_, token)| *token).collect::<Vec<_>>())
    }

    /// Every token is wanted: a column is a place.
    fn read_both_ways(&self, request: &FillRequest) -> Hidden {
        let FillRequest { tokens, second, .. } = request;
        let mut cache = Cache::new(&self.model.config, Cache::pages_of(tokens.len()));
        let mut sequence = cache.begin();
        let mut chunks = [Chunk { sequence: &mut sequence, tokens, wanted: 0..tokens.len(), second: *second }];
        match self.model.forward(&mut chunks, &mut cache, &mut NoTaps) {
            Some(hidden) => hidden,
            None => unreachable!("the cache was made for this request"),
        }
    }

    /// The `count` most probable tokens at each place of a text, with their natural-log probabilities, for a model that sees
    /// both ways.
    ///
    /// # Errors
    /// Those of [`LanguageModel::fill`].
    pub fn candidates(&self, request: &FillRequest, count: usize) -> Result<Vec<Vec<(TokenId, f64)>>, Error> {
        self.fillable(request)?;
        let hidden = self.read_both_ways(request);
        let at = |place: usize| {
            let mut said: Vec<(TokenId, f64)> = (0..)
                .zip(self.model.logits(&hidden, place..place + 1).iter().step_by(BLOCK).map(|x| f64::from(*x)))
                .collect();
            said.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let most = said.first().map_or(0.0, |first| first.1);
            let total = most + said.iter().map(|(_, x)| (x - most).exp()).sum::<f64>().ln();
            if !total.is_finite() {
                return Err(self.unsound());
            }
            said.truncate(count);
            said.iter_mut().for_each(|(_, x)| *x -= total);
            Ok(said)
        };
        request.targets.iter().map(|(place, _)| at(*place)).collect()
    }

    /// What is read: all but the last token of context and continuation.
    fn asked(&self, request: &ScoreRequest) -> Result<Asked, Error> {
        let ScoreRequest { context, continuation } = request;
        self.known(context)?;
        self.known(continuation)?;
        if continuation.is_empty() {
            return Err(Error::Empty { part: "continuation" });
        }
        // The last token is predicted, not read: lm-evaluation-harness, too, lets it stand beyond the context.
        let spare = usize::from(self.overflow == Overflow::TruncateLeft);
        let mut tokens = self.fit(context, continuation.len() - spare)?.to_vec();
        tokens.extend_from_slice(&continuation[..continuation.len() - 1]);
        Ok(Asked { tokens, targets: continuation.clone() })
    }
}

fn to_score(said: Vec<Prediction>) -> Score {
    let (logprobs, argmax) = said.into_iter().map(|p| (p.logprob as f32, p.argmax)).unzip();
    Score { logprobs, argmax }
}

impl LanguageModel for LocalModel {
    fn capabilities(&self) -> Capabilities {
        let causal = self.model.config.architecture.attention.causal;
        Capabilities { context: self.model.config.context, scores: causal, generates: causal, fills: !causal }
    }

    fn tokenizer(&self) -> &dyn Tokenizer {
        &*self.tokenizer
    }

    fn tokens_read(&self) -> u64 {
        self.model.tokens_read.load(Ordering::Relaxed)
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>, Error> {
        let asked = requests.iter().map(|request| self.asked(request)).collect::<Result<Vec<_>, _>>()?;
        // Within the pool: work handed to it from outside would wake its threads for every product.
        let said = rayon::scope(|_| score(&self.model, &asked, LIMITS));
        if said.iter().flatten().any(|said| !said.logprob.is_finite()) {
            return Err(self.unsound());
        }
        Ok(said.into_iter().map(to_score).collect())
    }

    fn fill(&self, requests: &[FillRequest]) -> Result<Vec<Score>, Error> {
        for request in requests {
            self.fillable(request)?;
        }
        let one = |request| self.model.predictions(&self.read_both_ways(request), &request.targets);
        let said: Vec<Vec<Prediction>> = rayon::scope(|_| requests.par_iter().map(one).collect());
        if said.iter().flatten().any(|said| !said.logprob.is_finite()) {
            return Err(self.unsound());
        }
        Ok(said.into_iter().map(to_score).collect())
    }

    fn generate(&self, requests: &[GenerateRequest]) -> Result<Vec<Generation>, Error> {
        let mut fitting = Vec::with_capacity(requests.len());
        for request in requests {
            self.known(&request.context)?;
            let context = self.fit(&request.context, request.max_tokens)?.to_vec();
            fitting.push(GenerateRequest { context, ..request.clone() });
        }
        let answer = || generate(&self.model, &*self.tokenizer, &fitting, CACHE);
        let answers = if self.model.shares() { awake(answer) } else { rayon::scope(|_| answer()) };
        answers.ok_or_else(|| self.unsound())
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
        prepared::Ready,
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
        forward(Ready { weights: &weights.cast::<f64>(), prepared: None }, &plan, &mut to);
        (0..tokens.len()).map(|t| to.logits.iter().skip(t).step_by(plan.scored.count).copied().collect()).collect()
    }

    fn logprob(logits: &[f64], token: TokenId) -> f64 {
        let max = logits.iter().copied().fold(f64::MIN, f64::max);
        logits[token as usize] - max - logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
    }

    #[test]
    fn gaps_are_filled_as_the_logits_say() {
        let mut model: Model = weights(&small(false)).into();
        model.config.architecture.attention.causal = false;
        let model = LocalModel::of(model, Arc::new(NoText { vocabulary: 11 }), Overflow::Refuse);
        let request = |targets| FillRequest { tokens: tokens(3, 12), second: 12, targets };
        let every: Vec<(usize, TokenId)> = (0..11).map(|token| (5, token)).collect();
        let said = model.fill(&[request(every), request(vec![(2, 7), (9, 1)])]).unwrap();
        let total: f64 = said[0].logprobs.iter().map(|x| f64::from(*x).exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
        let candidates = model.candidates(&request(vec![(2, 0), (5, 0)]), 11).unwrap();
        for (token, logprob) in &candidates[1] {
            assert!((logprob - f64::from(said[0].logprobs[*token as usize])).abs() < 1e-5);
        }
        assert_eq!(candidates[1][0].0, said[0].argmax[0]);
        let seven = candidates[0].iter().find(|(token, _)| *token == 7).unwrap();
        assert!((seven.1 - f64::from(said[1].logprobs[0])).abs() < 1e-5);
        // What stands behind a gap counts.
        let mut other = request(vec![(2, 7)]);
        other.tokens[11] = (other.tokens[11] + 1) % 11;
        assert!((model.fill(&[other]).unwrap()[0].logprobs[0] - said[1].logprobs[0]).abs() > 1e-6);
        for wrong in [vec![], vec![(12, 1)], vec![(5, 1), (4, 1)], vec![(1, 11)]] {
            assert!(model.fill(&[request(wrong)]).is_err());
        }
        let causal = LocalModel::new(weights(&small(false)), Arc::new(NoText { vocabulary: 11 }));
        assert!(causal.fill(&[request(vec![(2, 7)])]).unwrap_err().to_string().contains("left to right"));
    }

    /// What is filled is what training computes, in double precision.
    #[test]
    fn gaps_are_filled_as_training_computes_them() {
        for (seed, length) in [(3, 12), (8, 24), (5, 1), (2, 17)] {
            let config = small(seed % 2 == 0);
            let config = Config { architecture: config.architecture.clone().bidirectional(), ..config };
            let model = model(&config);
            let tokens = tokens(seed, length);
            let targets: Vec<(usize, TokenId)> = (0..length).step_by(4).map(|at| (at, (at % 11) as TokenId)).collect();
            let request = FillRequest { tokens: tokens.clone(), second: length, targets: targets.clone() };
            let said = &model.fill(&[request]).unwrap()[0];
            let logits = plain(&weights(&config), &tokens);
            for ((at, token), said) in targets.iter().zip(&said.logprobs) {
                let expect = logprob(&logits[*at], *token);
                assert!((expect - f64::from(*said)).abs() < 1e-5, "{at}: {said} {expect}");
            }
        }
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
