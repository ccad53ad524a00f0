//! Measuring with a small model whose every probability is known: what is asked, what is kept, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::key;
use saltus_eval::{Boundary, Encoding, Error, Metric, Overflow, Prepared, Value, measure, values};
use saltus_lm::{
    self as lm, Capabilities, GenerateRequest, Generation, LanguageModel, Score, ScoreRequest, TokenId, Tokenizer,
};
use saltus_record::{Outcome, Record};
use saltus_task::{Candidate, Generate, Question, QuestionSet, Role};

/// The characters, one token each.
const ALPHABET: &str = "ab;";
/// Probability of the next character (column) after the last one (row).
const NEXT: [[f64; 3]; 3] = [[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]];
const ENCODING: Encoding = Encoding { boundary: Boundary::BigBench, overflow: Overflow::Refuse };
/// A token whose meaning a broken model forgets.
const UNKNOWN: TokenId = 99;

struct Letters;

impl Tokenizer for Letters {
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, lm::Error> {
        let token = |(at, c): (usize, char)| {
            let token = ALPHABET.chars().position(|known| known == c).map(|t| t as TokenId);
            token.ok_or_else(|| lm::Error::NoToken { text: c.to_string(), at })
        };
        text.char_indices().map(token).collect()
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        tokens.iter().map(|&t| ALPHABET.chars().nth(t as usize).unwrap_or('\u{fffd}')).collect()
    }

    fn vocabulary(&self) -> usize {
        ALPHABET.len()
    }

    fn identity(&self) -> String {
        ALPHABET.to_owned()
    }
}

/// The tokens generated for each request.
type Answers = Vec<Vec<TokenId>>;

/// A bigram model, and what is wrong with it.
struct Bigram {
    capabilities: Capabilities,
    spoil_score: fn(&ScoreRequest, Score) -> Score,
    spoil_answers: fn(Answers) -> Answers,
    fail: fn(&ScoreRequest) -> Result<(), lm::Error>,
}

fn sound() -> Bigram {
    Bigram {
        capabilities: Capabilities { context: 16, scores: true, generates: true, fills: false },
        spoil_score: |_, score| score,
        spoil_answers: |answers| answers,
        fail: |_| Ok(()),
    }
}

fn most_probable(last: TokenId) -> TokenId {
    let row = NEXT[last as usize];
    (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap() as TokenId
}

impl LanguageModel for Bigram {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn tokenizer(&self) -> &dyn Tokenizer {
        &Letters
    }

    fn tokens_read(&self) -> u64 {
        0
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>, lm::Error> {
        let score = |request: &ScoreRequest| {
            (self.fail)(request)?;
            let before = request.context.last().into_iter().chain(&request.continuation);
            let pairs: Vec<(TokenId, TokenId)> = before.copied().zip(request.continuation.iter().copied()).collect();
            let score = Score {
                logprobs: pairs.iter().map(|&(last, next)| NEXT[last as usize][next as usize].ln() as f32).collect(),
                argmax: pairs.iter().map(|&(last, _)| most_probable(last)).collect(),
            };
            Ok((self.spoil_score)(request, score))
        };
        requests.iter().map(score).collect()
    }

    fn generate(&self, requests: &[GenerateRequest]) -> Result<Vec<Generation>, lm::Error> {
        let continued = |request: &GenerateRequest| {
            let mut all = request.context.clone();
            while all.len() < request.context.len() + request.max_tokens {
                let next = most_probable(all[all.len() - 1]);
                if request.stop.contains(&next) {
                    break;
                }
                all.push(next);
            }
            all.split_off(request.context.len())
        };
        let answers = (self.spoil_answers)(requests.iter().map(continued).collect());
        let answer = |tokens| Generation { tokens, text: String::new(), end: lm::End::Length };
        Ok(answers.into_iter().map(answer).collect())
    }
}

fn set(questions: Vec<Question>) -> QuestionSet {
    let questions = (0..).zip(questions).map(|(number, question)| Question { number, ..question }).collect();
    QuestionSet { questions, ..QuestionSet::direct("f", "t", 0.0, []) }
}

/// A question whose first candidate is right.
fn question(prompt: &str, candidates: &[&str], max_tokens: Option<usize>) -> Question {
    let candidate = |(i, text): (usize, &&str)| match (candidates.len(), max_tokens) {
        (1, _) => Candidate::target(*text),
        _ => Candidate::choice(*text, f64::from(i == 0)),
    };
    Question {
        number: 0,
        cluster: 0,
        prompt: prompt.into(),
        candidates: candidates.iter().enumerate().map(candidate).collect(),
        generate: max_tokens.map(|max_tokens| Generate {
            max_tokens,
            stop: vec![";".into()],
            keep_stop: false,
            temperature: None,
        }),
    }
}

fn measured(model: &Bigram, questions: Vec<Question>) -> Vec<Record> {
    let set = set(questions);
    measure(model, &key(), &set, ENCODING).unwrap()
}

fn reason(record: &Record) -> &str {
    match &record.outcome {
        Outcome::Unscored(reason) => reason,
        Outcome::Scored { .. } => panic!("scored: {record:?}"),
    }
}

fn generated(record: &Record) -> Option<&str> {
    match &record.outcome {
        Outcome::Scored { generated, .. } => generated.as_ref().map(|g| g.text.as_str()),
        Outcome::Unscored(reason) => panic!("unscored: {reason}"),
    }
}

#[test]
fn evidence_is_what_the_model_says() {
    let records = measured(&sound(), vec![question("ba", &["ab", "b"], Some(3)), question("b", &["a"], None)]);
    assert_eq!(records.iter().map(|r| r.question.item).collect::<Vec<_>>(), [0, 1]);
    let Outcome::Scored { candidates, .. } = &records[0].outcome else { panic!() };
    assert_eq!(candidates[0].tokens, [0, 1]);
    assert_eq!(candidates[0].logprobs, [0.5f64.ln() as f32, 0.3f64.ln() as f32]);
    assert_eq!(candidates[0].is_argmax, [true, false]);
    assert_eq!((candidates[1].index, candidates[1].text.as_str(), candidates[1].target_score), (1, "b", 0.0));
    assert_eq!(generated(&records[0]), Some("aaa"));
    assert_eq!(generated(&records[1]), None);
}

#[test]
fn metrics_of_the_bigram_model_are_exact() {
    let records = measured(&sound(), vec![question("ba", &["ab", "b"], Some(3)), question("ab", &[";a"], Some(3))]);
    // p = 3/4: of "ab" the a, of ";a" both.
    let check = |metric, expect: [Option<f64>; 2]| {
        for (value, expect) in values(metric, &records).iter().zip(expect) {
            match (value.scored(), expect) {
                (Some(value), Some(expect)) => assert!((value - expect).abs() < 1e-6, "{metric:?}: {value} {expect}"),
                (value, expect) => assert_eq!(value, expect, "{metric:?}"),
            }
        }
    };
    check(Metric::ExactMatch, [Some(0.0), Some(0.0)]);
    check(Metric::TokenAccuracy, [Some(0.5), Some(1.0)]);
    check(Metric::PPowerL, [Some(0.5625), Some(0.5625)]);
    check(Metric::Probability, [Some(0.15), Some(0.42)]);
    check(Metric::Nll, [Some(-0.15f64.ln() / 2.0), Some(-0.42f64.ln() / 2.0)]);
    // "aaa" against "ab" and "" against ";a".
    check(Metric::EditSimilarity, [Some(1.0 / 3.0), Some(0.0)]);
    check(Metric::ChoiceAccuracy, [Some(0.0), None]);
    check(Metric::ChoiceProbability, [Some(1.0 / 3.0), None]);
    check(Metric::Brier, [Some(4.0 / 9.0), None]);
    check(Metric::FinalAnswer, [None, None]);
}

#[test]
fn generation_stops_before_the_stop_even_if_the_model_does_not() {
    let deaf = Bigram { spoil_answers: |_| vec![vec![0, 1, 2, 0]], ..sound() };
    let records = measured(&deaf, vec![question("b", &[], Some(4))]);
    let Outcome::Scored { generated: Some(generated), .. } = &records[0].outcome else { panic!() };
    assert_eq!((generated.text.as_str(), &generated.tokens[..]), ("ab", &[0, 1][..]));
}

#[test]
fn questions_asked_together_get_the_answers_that_each_gets_alone() {
    let questions: Vec<Question> = (0..2000)
        .map(|i| {
            let prompt: String = (0..1 + i % 7).map(|j| if (i >> j) % 2 == 0 { 'a' } else { 'b' }).collect();
            question(&prompt, &["ab", "b;a"], (i % 3 == 0).then_some(2))
        })
        .collect();
    let model = sound();
    let together = measured(&model, questions.clone());
    for (record, question) in together.iter().zip(questions).step_by(17) {
        assert_eq!(record.outcome, measured(&model, vec![question])[0].outcome);
    }
}

#[test]
fn what_cannot_be_asked_is_unscored_and_the_rest_goes_on() {
    let long = "a".repeat(15);
    let records = measured(
        &sound(),
        vec![
            question("a", &["b"], None),
            question(&long, &["ab"], None),
            question(&long, &["a"], Some(2)),
            question("ax", &["b"], None),
            question("a", &["b", "ß"], None),
            question("", &["b"], None),
            question("a", &["b", ""], None),
            question("a", &[], None),
            question(&long, &["a"], Some(1)),
        ],
    );
    for (item, expect) in [
        (1, "17 tokens do not fit the model's context of 16"),
        (2, "17 tokens do not fit"),
        (3, "the prompt cannot be encoded: the tokenizer has no token for \"x\" at byte 1"),
        (4, "candidate 1 cannot be encoded"),
        (5, "nothing before it, and the model has no token for the beginning of a text: write a prompt"),
        (7, "no candidates and asks for no generation"),
    ] {
        assert!(reason(&records[item]).contains(expect), "{item}: {}", reason(&records[item]));
        assert_eq!(values(Metric::Nll, &records)[item], Value::Unscored(reason(&records[item]).to_owned()));
    }
    assert!(matches!(records[0].outcome, Outcome::Scored { .. }));
    // An empty answer is certain.
    let Outcome::Scored { candidates, .. } = &records[6].outcome else { panic!() };
    assert_eq!((candidates[1].total(), candidates[1].tokens.len()), (0.0, 0));
    assert_eq!(generated(&records[8]), Some("a"));
}

#[test]
fn evidence_that_cannot_be_trusted_is_unscored() {
    let check = |model: &Bigram, expect: &str| {
        let records = measured(model, vec![question("a", &["ab"], Some(2)), question("b", &["b"], None)]);
        assert!(reason(&records[0]).contains(expect), "{}", reason(&records[0]));
        assert!(matches!(records[1].outcome, Outcome::Scored { .. }), "{:?}", records[1]);
    };
    /// Changes the answers to questions that begin with an `a`.
    fn spoiled(request: &ScoreRequest, mut score: Score, change: impl Fn(&mut Score)) -> Score {
        if request.context == [0] {
            change(&mut score);
        }
        score
    }
    let spoil = |spoil_score| Bigram { spoil_score, ..sound() };
    check(&spoil(|r, s| spoiled(r, s, |s| s.logprobs[1] = f32::NAN)), "log-probability of token 1 is NaN");
    check(&spoil(|r, s| spoiled(r, s, |s| s.logprobs[0] = f32::NEG_INFINITY)), "token 0 is -inf");
    check(&spoil(|r, s| spoiled(r, s, |s| s.logprobs[0] = 0.5)), "token 0 is 0.5");
    check(&spoil(|r, s| spoiled(r, s, |s| s.logprobs.truncate(1))), "1 log-probabilities and 2 most probable tokens");
    check(&spoil(|r, s| spoiled(r, s, |s| s.argmax.push(0))), "2 log-probabilities and 3 most probable tokens");
    check(&spoil(|r, s| spoiled(r, s, |s| s.argmax[0] = UNKNOWN)), "99 of a vocabulary of 3");
    let answer = |spoil_answers| Bigram { spoil_answers, ..sound() };
    check(&answer(|_| vec![vec![0, 0, 0]]), "3 tokens where 2 were asked for");
    check(&answer(|_| vec![vec![UNKNOWN]]), "token 99 of a vocabulary of 3");
    check(&answer(|_| vec![]), "0 answers to 1 requests");
}

#[test]
fn a_refused_request_does_not_take_its_batch_along() {
    let choosy = Bigram {
        fail: |r| match r.context[..] {
            [1] => Err(lm::Error::TooLong { tokens: 2, context: 1 }),
            _ => Ok(()),
        },
        ..sound()
    };
    let records = measured(&choosy, ["a", "b", "aa"].map(|p| question(p, &["b"], None)).into());
    assert!(matches!(records[0].outcome, Outcome::Scored { .. }));
    assert!(reason(&records[1]).contains("2 tokens do not fit"));
    assert!(matches!(records[2].outcome, Outcome::Scored { .. }));
}

#[test]
fn a_failing_or_incapable_model_gives_no_records() {
    let broken = Bigram { fail: |_| Err(lm::Error::Other("connection lost".into())), ..sound() };
    let ask = |model: &Bigram, q| {
        let set = set(vec![q]);
        measure(model, &key(), &set, ENCODING)
    };
    let error = ask(&broken, question("a", &["b"], None)).unwrap_err();
    assert!(error.to_string().contains("connection lost: run again"), "{error}");
    let capable = |scores, generates| Bigram {
        capabilities: Capabilities { context: 16, scores, generates, fills: false },
        ..sound()
    };
    let error = ask(&capable(false, true), question("a", &["b"], Some(1))).unwrap_err();
    let expect = "f, t, direct, 0 shots, asks for log-probabilities of given answers, and this model gives none: use a \
                  model that does, or leave the set out";
    assert_eq!(error.to_string(), expect);
    let error = ask(&capable(true, false), question("a", &["b"], Some(1))).unwrap_err();
    assert!(matches!(error, Error::Incapable { wanted: "generated answers", .. }));
    assert!(ask(&capable(false, true), question("a", &[], Some(1))).is_ok());
    assert!(ask(&capable(true, false), question("a", &["b"], None)).is_ok());
}

/// A tokenizer that merges: `ab` is one token, and a text begins with `;` where nothing else comes before.
struct Merging;

impl Tokenizer for Merging {
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, lm::Error> {
        let pieces = ["ab", " a", "a", "b", " ", ";"];
        let (mut at, mut tokens) = (0, Vec::new());
        while at < text.len() {
            let token = pieces.iter().position(|piece| text[at..].starts_with(piece)).unwrap();
            tokens.push(token as TokenId);
            at += pieces[token].len();
        }
        Ok(tokens)
    }

    fn decode(&self, _: &[TokenId]) -> String {
        String::new()
    }

    fn vocabulary(&self) -> usize {
        6
    }

    fn identity(&self) -> String {
        String::new()
    }

    fn separator(&self) -> Option<TokenId> {
        Some(5)
    }
}

/// Answers everything and remembers what it was asked.
#[derive(Default)]
struct Echo {
    asked: std::sync::Mutex<Vec<ScoreRequest>>,
}

impl LanguageModel for Echo {
    fn capabilities(&self) -> Capabilities {
        Capabilities { context: 4, scores: true, generates: false, fills: false }
    }

    fn tokenizer(&self) -> &dyn Tokenizer {
        &Merging
    }

    fn tokens_read(&self) -> u64 {
        let length = |r: &ScoreRequest| (r.context.len() + r.continuation.len() - 1) as u64;
        self.asked.lock().unwrap().iter().map(length).sum()
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>, lm::Error> {
        self.asked.lock().unwrap().extend_from_slice(requests);
        let score =
            |r: &ScoreRequest| Score { logprobs: vec![-1.0; r.continuation.len()], argmax: r.continuation.clone() };
        Ok(requests.iter().map(score).collect())
    }

    fn generate(&self, _: &[GenerateRequest]) -> Result<Vec<Generation>, lm::Error> {
        Ok(Vec::new())
    }
}

/// What a model is asked for one candidate behind a prompt.
fn asked(
    boundary: Boundary,
    overflow: Overflow,
    prompt: &str,
    candidate: Candidate,
) -> Result<Vec<ScoreRequest>, String> {
    let model = Echo::default();
    let set = set(vec![Question { candidates: vec![candidate], ..question(prompt, &["a"], None) }]);
    let encoding = Encoding { boundary, overflow };
    let records = measure(&model, &key(), &set, encoding).unwrap();
    let cost = Prepared::new(&model, &set.questions, encoding).cost();
    match &records[0].outcome {
        Outcome::Unscored(reason) => {
            assert_eq!((cost.refused, cost.requests), (1, 0));
            Err(reason.clone())
        }
        Outcome::Scored { .. } => {
            // Nothing is shared between the requests of one candidate here.
            assert_eq!((cost.naive, cost.refused), (model.tokens_read(), 0));
            Ok(model.asked.into_inner().unwrap())
        }
    }
}

#[test]
fn the_boundary_is_where_the_rule_says() {
    let check = |boundary, prompt, text, context: &[TokenId], continuation: &[TokenId]| {
        let expect = ScoreRequest { context: context.to_vec(), continuation: continuation.to_vec() };
        assert_eq!(
            asked(boundary, Overflow::Refuse, prompt, Candidate::target(text)).unwrap(),
            [expect],
            "{boundary:?}"
        );
    };
    // Apart, the merge across the boundary is not made.
    check(Boundary::BigBench, "ba", "b", &[3, 2], &[3]);
    check(Boundary::Joint, "ba", "b", &[3], &[0]);
    check(Boundary::LmEval, "bb", "ab", &[3, 3], &[0]);
    // White space at the end of the prompt goes over.
    check(Boundary::LmEval, "b ", "a", &[3], &[1]);
    check(Boundary::BigBench, "b ", "a", &[3, 4], &[2]);
    check(Boundary::Joint, "b ", "a", &[3], &[1]);
    // Nothing before: the separator.
    for boundary in Boundary::ALL {
        check(boundary, "", "ab", &[5], &[0]);
    }
    let merged = asked(Boundary::LmEval, Overflow::Refuse, "ba", Candidate::target("b")).unwrap_err();
    assert!(merged.contains("candidate 0 adds no token to its prompt"), "{merged}");
}

#[test]
fn what_is_too_long_is_refused_or_cut_at_its_beginning() {
    let check = |prompt, text| asked(Boundary::BigBench, Overflow::Truncate, prompt, Candidate::target(text));
    assert!(asked(Boundary::BigBench, Overflow::Refuse, "bbbb", Candidate::target("a")).is_err());
    // Five tokens: the last is predicted, not read.
    assert_eq!(check("bbb;", "a").unwrap()[0].context, [3, 3, 3, 5]);
    assert_eq!(check("bbb;", "aa").unwrap()[0].context, [3, 3, 5]);
    assert!(check("b", "aaaaa").unwrap_err().contains("do not fit"));
}

#[test]
fn a_long_text_is_read_in_windows_that_predict_each_token_once() {
    let text = Candidate { role: Role::Text, ..Candidate::target("aaa;bbb;a") };
    let windows = asked(Boundary::LmEval, Overflow::Truncate, "", text).unwrap();
    let pairs: Vec<(&[TokenId], &[TokenId])> = windows.iter().map(|w| (&w.context[..], &w.continuation[..])).collect();
    let expect: [(&[TokenId], &[TokenId]); 3] = [(&[5], &[2, 2, 2, 5]), (&[5], &[3, 3, 3, 5]), (&[3, 3, 3, 5], &[2])];
    assert_eq!(pairs, expect);
}
