//! Gaps filled by a model whose every probability is known: what is kept, and what is refused.

mod common;

use common::key;
use saltus_eval::{Error, Metric, Value, fill, values};
use saltus_lm::{
    self as lm, Capabilities, FillRequest, GenerateRequest, Generation, LanguageModel, NoText, Score, ScoreRequest,
    Tokenizer,
};
use saltus_record::Outcome;
use saltus_task::{Candidate, QuestionSet};

/// Says that token t stands at a place with probability (t + 1) / 10, in texts of at most 8 tokens.
struct Weighted {
    fills: bool,
    spoil: fn(&mut Score),
}

const TOKENS: NoText = NoText { vocabulary: 4 };

impl LanguageModel for Weighted {
    fn capabilities(&self) -> Capabilities {
        Capabilities { context: 8, scores: false, generates: false, fills: self.fills }
    }
    fn tokenizer(&self) -> &dyn Tokenizer {
        &TOKENS
    }
    fn score(&self, _: &[ScoreRequest]) -> Result<Vec<Score>, lm::Error> {
        unreachable!("it sees both ways")
    }
    fn generate(&self, _: &[GenerateRequest]) -> Result<Vec<Generation>, lm::Error> {
        unreachable!("it sees both ways")
    }
    fn tokens_read(&self) -> u64 {
        0
    }
    fn fill(&self, requests: &[FillRequest]) -> Result<Vec<Score>, lm::Error> {
        let one = |request: &FillRequest| {
            if request.tokens.len() > 8 {
                return Err(lm::Error::TooLong { tokens: request.tokens.len(), context: 8 });
            }
            let logprobs = request.targets.iter().map(|(_, token)| ((*token as f32 + 1.0) / 10.0).ln()).collect();
            let mut score = Score { logprobs, argmax: vec![3; request.targets.len()] };
            (self.spoil)(&mut score);
            Ok(score)
        };
        requests.iter().map(one).collect()
    }
}

fn asked() -> (QuestionSet, Vec<FillRequest>) {
    let request = |length: usize, targets| FillRequest { tokens: vec![0; length], second: length, targets };
    let requests = vec![request(5, vec![(1, 3), (2, 0)]), request(9, vec![(0, 1)]), request(8, vec![(7, 1)])];
    let question = |text: &str| ("read".to_owned(), vec![Candidate::target(text)], None);
    (QuestionSet::direct("text", "gaps", 0.0, ["da", "b", "b"].map(question)), requests)
}

#[test]
fn evidence_is_kept_for_each_gap_and_a_text_that_is_too_long_is_unscored() {
    let (set, requests) = asked();
    let records = fill(&Weighted { fills: true, spoil: |_| {} }, &key(), &set, &requests).unwrap();
    let Outcome::Scored { candidates, generated: None } = &records[0].outcome else { panic!("{:?}", records[0]) };
    assert_eq!((&candidates[0].tokens, &candidates[0].is_argmax), (&vec![3, 0], &vec![true, false]));
    assert_eq!((candidates[0].text.as_str(), records[0].question.boundary.as_str()), ("da", "none"));
    let nll = values(Metric::Nll, &records);
    let expect = -(0.4f64.ln() + 0.1f64.ln()) / 2.0;
    assert!(matches!(nll[0], Value::Scored(x) if (x - expect).abs() < 1e-6), "{:?}", nll[0]);
    assert!(matches!(&records[1].outcome, Outcome::Unscored(reason) if reason.contains("9 tokens do not fit")));
    assert!(matches!(&nll[2], Value::Scored(x) if (x + 0.2f64.ln()).abs() < 1e-6));
    // A part of the questions is asked as they are asked together.
    assert_eq!(fill(&Weighted { fills: true, spoil: |_| {} }, &key(), &set, &requests[..1]).unwrap(), records[..1]);
}

#[test]
fn models_that_cannot_or_do_not_answer_are_told() {
    let (set, requests) = asked();
    let causal = fill(&Weighted { fills: false, spoil: |_| {} }, &key(), &set, &requests);
    let Err(error @ Error::Incapable { .. }) = causal else { panic!("{causal:?}") };
    assert!(error.to_string().contains("log-probabilities at hidden places"), "{error}");
    let spoils: [fn(&mut Score); 2] = [|score| score.logprobs[0] = f32::NAN, |score| score.logprobs.clear()];
    for spoil in spoils {
        let records = fill(&Weighted { fills: true, spoil }, &key(), &set, &requests[..1]).unwrap();
        assert!(matches!(&records[0].outcome, Outcome::Unscored(_)), "{:?}", records[0]);
    }
}
