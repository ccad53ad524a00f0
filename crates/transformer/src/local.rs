//! A model in memory that answers questions.

use crate::{
    IGNORE, Weights,
    forward::{Activations, forward},
    generate::{Stepper, greedy},
    plan::Plan,
};
use saltus_compute::{BLOCK, predictions};
use saltus_lm::{Capabilities, Error, GenerateRequest, LanguageModel, Score, ScoreRequest, TokenId, Tokenizer};
use std::sync::Arc;

/// A model in memory with its tokenizer; implements [`LanguageModel`] on the calling thread alone.
pub struct LocalModel {
    weights: Weights<f32>,
    tokenizer: Arc<dyn Tokenizer>,
}

/// Positions scored together: sequences are packed one after another up to here.
const PACKED: usize = 512;

/// Requests answered side by side.
const SIDE_BY_SIDE: usize = 4 * BLOCK;

impl LocalModel {
    /// Weights and the tokenizer that they were trained with.
    pub fn new(weights: Weights<f32>, tokenizer: Arc<dyn Tokenizer>) -> Self {
        LocalModel { weights, tokenizer }
    }

    fn check(&self, context: &[TokenId], rest: &[TokenId], length: usize) -> Result<(), Error> {
        let config = &self.weights.config;
        if context.is_empty() {
            return Err(Error::Empty { part: "context" });
        }
        if length > config.context {
            return Err(Error::TooLong { tokens: length, context: config.context });
        }
        let vocabulary = config.vocabulary;
        match context.iter().chain(rest).find(|t| **t as usize >= vocabulary) {
            Some(token) => Err(Error::Other(format!(
                "token {token} in a model with a vocabulary of {vocabulary}: use the tokenizer the model was trained with"
            ))),
            None => Ok(()),
        }
    }

    /// Scores requests whose positions fit one pass.
    fn score_packed(&self, requests: &[ScoreRequest], plan: &mut Plan<f32>, to: &mut Activations<f32>) -> Vec<Score> {
        let sequences: Vec<(Vec<TokenId>, Vec<TokenId>)> = requests
            .iter()
            .map(|ScoreRequest { context, continuation }| {
                let mut tokens = context.clone();
                tokens.extend_from_slice(&continuation[..continuation.len() - 1]);
                let mut targets = vec![IGNORE; context.len() - 1];
                targets.extend_from_slice(continuation);
                (tokens, targets)
            })
            .collect();
        plan.lay(sequences.iter().map(|(tokens, targets)| (&tokens[..], &targets[..])));
        forward(&self.weights, plan, to);
        let said = predictions(&mut to.logits, &plan.targets);
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

impl LanguageModel for LocalModel {
    fn capabilities(&self) -> Capabilities {
        Capabilities { context: self.weights.config.context, scores: true, generates: true }
    }

    fn tokenizer(&self) -> &dyn Tokenizer {
        &*self.tokenizer
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>, Error> {
        let length = |r: &ScoreRequest| r.context.len() + r.continuation.len();
        for request in requests {
            self.check(&request.context, &request.continuation, length(request))?;
            if request.continuation.is_empty() {
                return Err(Error::Empty { part: "continuation" });
            }
        }
        let mut plan = Plan::new(&self.weights.config, self.weights.config.context);
        let mut activations = Activations::new(1);
        let mut scores = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let mut positions = 0;
            let fit = rest.iter().take_while(|r| {
                positions += length(r) - 1;
                positions <= PACKED
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            scores.extend(self.score_packed(now, &mut plan, &mut activations));
            rest = later;
        }
        Ok(scores)
    }

    fn generate(&self, requests: &[GenerateRequest]) -> Result<Vec<Vec<TokenId>>, Error> {
        let length = |r: &GenerateRequest| r.context.len() + r.max_tokens;
        for request in requests {
            self.check(&request.context, &[], length(request))?;
        }
        // Requests of like lengths run side by side: they begin their answers together, and few columns are idle.
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|i| (requests[*i].context.len(), requests[*i].max_tokens, *i));
        let mut answers = vec![Vec::new(); requests.len()];
        let side_by_side = SIDE_BY_SIDE.min(requests.len().next_multiple_of(BLOCK));
        let mut stepper = Stepper::new(&self.weights.config, side_by_side);
        for group in order.chunks(SIDE_BY_SIDE) {
            let together: Vec<&GenerateRequest> = group.iter().map(|i| &requests[*i]).collect();
            for (i, answer) in group.iter().zip(greedy(&self.weights, &together, &mut stepper)) {
                answers[*i] = answer;
            }
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, config::tests::small};
    use proptest::prelude::*;
    use saltus_random::Key;

    struct NoText(usize);
    impl Tokenizer for NoText {
        fn encode(&self, _: &str) -> Result<Vec<TokenId>, Error> {
            Ok(Vec::new())
        }
        fn decode(&self, _: &[TokenId]) -> String {
            String::new()
        }
        fn vocabulary(&self) -> usize {
            self.0
        }
        fn identity(&self) -> String {
            String::new()
        }
    }

    fn model(config: &Config) -> LocalModel {
        let mut weights = Weights::init(config, Key::new(7));
        // Sharper than at the beginning, so that answers differ.
        weights.values[config.ends().head].iter_mut().for_each(|x| *x *= 8.0);
        LocalModel::new(weights, Arc::new(NoText(config.vocabulary)))
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
            assert_eq!(model.score(std::slice::from_ref(request)).unwrap()[0], *score);
            let whole = [&request.context[..], &request.continuation].concat();
            let logits = plain(&model.weights, &whole);
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
            assert_eq!(*answer, expected);
        }
        assert!(stopped > 0 && answers.iter().any(|a| a.len() > 5));
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
        let request = GenerateRequest { context: tokens(1, 20), max_tokens: 5, stop: vec![] };
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
